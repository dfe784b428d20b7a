// The page /audit: what was done to one thing, in words, before and after, narrowed by what stands in the page's address.

import assert from 'node:assert/strict';

/** Checks the page for the thing `id`, whose entries are `actions`, newest first. Answers how many entries there are of it. */
export async function checkAudit(page, url, until, { id, actions, changed }) {
	await page.goto(new URL('/audit', url).href);
	await page.waitForSelector('[data-entry]');
	assert.equal(await page.title(), 'Audit · Headwater');
	assert.equal(await page.locator('nav a[aria-current=page]').innerText(), 'Audit');
	const shown = () => page.locator('[data-entry]').evaluateAll((all) => all.map((entry) => entry.dataset.action));

	// Only this thing: by a link inside an entry, and then by the page's own address.
	const entry = page.locator(`[data-action="${actions[0]}"]`).first();
	await entry.locator('summary').click();
	await entry.locator('button', { hasText: 'only this one' }).click();
	await until('its entries only', async () => (await shown()).join() === actions.join());
	assert.equal(new URL(page.url()).searchParams.get('resource'), id);
	await page.reload();
	await until('the same by its address', async () => (await shown()).join() === actions.join());

	// Before and after.
	const change = page.locator(`[data-action="${changed.action}"]`).first();
	await change.locator('summary').click();
	const rows = await change.locator('[data-testid=difference] tbody tr').allInnerTexts();
	const said = rows.find((row) => row.startsWith(changed.field));
	assert.ok(said, rows.join('\n'));
	for (const word of changed.words) assert.ok(said.includes(word), said);

	// By action and time; and nothing, in words.
	await page.locator('select[name=action]').selectOption(actions.at(-1));
	await until('that action only', async () => (await shown()).join() === actions.at(-1));
	await page.locator('select[name=span]').selectOption('between');
	await page.locator('input[name=to]').fill('2020-01-01T00:00');
	await page.waitForSelector('[data-testid=none]');
	await page.locator('[data-testid=none] button').click();
	await until('all of them again', async () => (await shown()).length >= actions.length);
	assert.equal(new URL(page.url()).search, '');

	const size = page.viewportSize();
	await page.setViewportSize({ width: 390, height: 844 });
	await page.locator('[data-entry] summary').first().click();
	const width = await page.evaluate(() => document.documentElement.scrollWidth);
	assert.ok(width <= 390, `the page is ${width} px wide on a screen of 390`);
	await page.setViewportSize(size);
	return actions.length;
}

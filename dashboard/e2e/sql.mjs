// The page /sql against a running server: what it shows is what the API says, everything is reached by keyboard, nothing
// overflows on a narrow screen.

import assert from 'node:assert/strict';

/** Checks the page that `page` is on, then loads it anew. Answers how many queries it offers. */
export async function checkSql(page, url, until) {
	await page.waitForSelector('[data-testid=views] details');
	assert.equal(new URL(page.url()).pathname, '/sql');
	assert.equal(await page.title(), 'SQL · Headwater');
	assert.equal(await page.locator('nav a[aria-current=page]').innerText(), 'SQL');
	const told = await (await fetch(new URL('/api/v1/sql', url))).json();

	// Connecting: host, port, user, database for each tool, and a password in none.
	const connect = page.locator('[data-testid=connect]');
	const text = await connect.innerText();
	for (const word of [new URL(told.url).hostname, new URL(told.url).port, told.database, told.user, 'store/credentials.toml']) {
		assert.ok(text.includes(word), `${word} is not in: ${text}`);
	}
	await page.locator('input[name=tool]:checked').focus();
	await page.keyboard.press('ArrowRight');
	await until('the next tool by an arrow key', async () => (await page.locator('[data-tool=grafana]').count()) === 1);
	assert.ok((await page.locator('[data-tool=grafana]').innerText()).includes(new URL(told.url).port));

	// Queries: as many as the API has, each can be copied, and opened by keyboard.
	const queries = page.locator('[data-testid=queries] li');
	assert.equal(await queries.count(), told.queries.length);
	await page.evaluate(() => {
		window.copied = [];
		navigator.clipboard.writeText = async (value) => void window.copied.push(value);
	});
	await queries.nth(1).locator('button').click();
	assert.deepEqual(await page.evaluate(() => window.copied), [told.queries[1].sql]);
	await queries.nth(1).locator('summary').focus();
	await page.keyboard.press('Enter');
	await until('the second query to open', () => queries.nth(1).locator('pre').isVisible());
	assert.equal(await queries.nth(1).locator('pre').innerText(), told.queries[1].sql);

	// Views: each with its columns; the search finds a column by its other name and says how many there are.
	const names = await page.locator('[data-testid=views] summary .name').allInnerTexts();
	assert.deepEqual(names, told.views.map((view) => view.name));
	await page.fill('input[type=search]', 'block_timestamp');
	await until('the search', async () => /^\d+ columns in \d+ views$/.test(await page.locator('[data-testid=found]').innerText()));
	const found = await page.locator('[data-testid=views] tbody tr').allInnerTexts();
	assert.ok(found.length >= 5 && found.every((row) => row.includes('block_timestamp')), found.join('\n'));
	await page.fill('input[type=search]', 'no such column');
	await until('a word about finding nothing', async () => (await page.locator('[data-testid=views] .none').count()) === 1);
	await page.fill('input[type=search]', '');

	// Sizes and limits.
	const rows = await page.locator('[data-testid=sizes] tbody tr').allInnerTexts();
	assert.equal(rows.length, told.tables.length);
	assert.match(rows.find((row) => row.startsWith('block_rows')) ?? '', /\d.*B.*\d{4}-\d\d-\d\d/s);
	assert.ok((await page.locator('[data-testid=limits]').innerText()).includes(`${told.limits.seconds} s`));

	// By its own address, on a narrow screen.
	await page.setViewportSize({ width: 390, height: 844 });
	await page.goto(new URL('/sql', url).href);
	await page.waitForSelector('[data-testid=views] details');
	await page.locator('[data-testid=views] summary').first().click();
	const width = await page.evaluate(() => document.documentElement.scrollWidth);
	assert.ok(width <= 390, `the page is ${width} px wide on a screen of 390`);
	return told.queries.length;
}

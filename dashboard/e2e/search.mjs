// The search box against a running server: from what is pasted to its page, by keyboard alone. A failed transaction's hash to the sentence
// why it failed takes one paste.

import assert from 'node:assert/strict';

/** Milliseconds from the paste to the sentence. */
const WITHIN_MS = 10_000;

/** Checks the box on the page that `page` is on. Answers how long the way to a sentence took, in milliseconds. */
export async function checkSearch(page, url, until) {
	const api = async (path) => (await fetch(new URL(`/api/v1${path}`, url))).json();
	const box = page.locator('[data-testid=search] input');
	const lines = page.locator('[data-testid=search] [role=option]');
	const said = () => page.locator('[data-testid=search-said]').innerText();
	const focused = () => page.evaluate(() => document.activeElement?.getAttribute('name'));
	const path = () => new URL(page.url()).pathname;

	// `/` leads there, but not away from where somebody writes.
	await page.goto(new URL('/txs', url).href);
	await page.waitForSelector('main [data-key]');
	await page.keyboard.press('/');
	assert.equal(await focused(), 'q');
	assert.equal(await box.inputValue(), '');
	await page.locator('main input[name=method]').focus();
	await page.keyboard.press('/');
	assert.equal(await focused(), 'method');
	assert.equal(await page.locator('main input[name=method]').inputValue(), '/');
	await page.locator('main input[name=method]').fill('');

	// Nothing of that name, in words; Escape.
	await page.goto(new URL('/providers', url).href);
	await page.waitForSelector('[data-testid=search]');
	await page.keyboard.press('/');
	await box.fill('nothing-is-called-like-this');
	await page.keyboard.press('Enter');
	await until('a word that there is nothing', async () => /Nothing of that name/.test(await said()));
	await page.keyboard.press('Escape');
	await until('the list to close', async () => (await said()) === '');

	// A complaint: the hash of a failed transaction is pasted, with what came along.
	const { items } = await api('/txs?status=failed&limit=50');
	const tx = items.find((item) => item.found_by) ?? items[0];
	await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: new URL(url).origin });
	await page.evaluate((text) => navigator.clipboard.writeText(text), `  ${tx.hash}\n`);
	await box.fill('');
	const began = Date.now();
	await page.keyboard.press('ControlOrMeta+v');
	await page.waitForSelector('[data-testid=sentence]');
	const took = Date.now() - began;
	assert.equal(path(), `/txs/${tx.network}/${tx.hash}`);
	assert.ok(took < WITHIN_MS, `from the paste to the sentence took ${took} ms`);
	assert.equal(await box.inputValue(), '');

	// A height: one page, or a list to choose from by arrow keys.
	await page.keyboard.press('/');
	await page.keyboard.type(String(tx.height));
	await until('what has that height', async () => (await lines.count()) > 0);
	await page.keyboard.press('ArrowDown');
	assert.equal(await lines.first().getAttribute('aria-selected'), 'true');
	assert.equal(await box.getAttribute('aria-activedescendant'), await lines.first().getAttribute('id'));
	const first = await lines.first().locator('a').getAttribute('href');
	await page.keyboard.press('Enter');
	await until('the page of the line', async () => path() === new URL(first, url).pathname);

	// An address: what is known of it is listed, or its only page is opened.
	if (tx.to) {
		await page.keyboard.press('/');
		await box.fill(tx.to);
		await page.keyboard.press('Enter');
		await until('the address', async () => (await lines.count()) > 0 || path() === '/txs');
		await page.keyboard.press('Escape');
	}
	return took;
}

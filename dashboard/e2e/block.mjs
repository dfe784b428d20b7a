// A block's page against a running server: header, fees and transactions as the API has them, by height and by hash, and the ways to the
// blocks beside it.

import assert from 'node:assert/strict';

/** Checks the page that `page` is on, which is of the block of `tx`. Answers how many transactions it has. */
export async function checkBlock(page, url, until, tx) {
	const api = async (path) => (await fetch(new URL(`/api/v1${path}`, url))).json();
	const part = (id) => page.locator(`[data-testid=${id}]`);
	const hashes = () => page.locator('main [data-key]').evaluateAll((all) => all.map((row) => row.dataset.hash));
	const at = (height) => until(`block ${height}`, async () => new URL(page.url()).pathname.endsWith(`/${height}`) && (await part('header').count()) === 1);

	await part('header').waitFor();
	const block = await api(`/blocks/${tx.network}/${tx.height}`);
	const height = block.height.toLocaleString('en-US');
	assert.equal(await page.locator('main h2').innerText(), `Block ${height}`);
	assert.ok((await page.locator('main .hash').first().innerText()).includes(block.hash));
	assert.ok((await part('header').innerText()).includes(block.gas_used.toLocaleString('en-US')));
	assert.ok((await part('outcome').innerText()).includes(String(block.transaction_count)));
	const parts = Object.entries(block.fee_parts ?? {}).filter(([, amount]) => amount != null).map(([name]) => name);
	assert.deepEqual(await part('fees').locator('[data-part]').evaluateAll((all) => all.map((row) => row.dataset.part)), parts);

	// Its transactions, in its order, all of them by and by.
	const { items } = await api(`/txs?network=${tx.network}&block=${tx.height}&sort=oldest&limit=1000`);
	await until('its transactions', async () => (await hashes()).length > 0);
	while (await part('more').count()) {
		const before = (await hashes()).length;
		await part('more').click();
		await until('more of them', async () => (await hashes()).length > before);
	}
	assert.deepEqual(await hashes(), items.map((item) => item.hash));
	assert.equal(items.length, block.transaction_count);

	// The one before, its child by the page's own way, and the same by its hash.
	await part('previous').click();
	await at(block.height - 1);
	await part('next').click();
	await at(block.height);
	await page.goto(new URL(`/blocks/${tx.network}/${block.hash}`, url).href);
	await until('the same by its hash', async () => (await page.locator('main h2').innerText()) === `Block ${height}`);

	const size = page.viewportSize();
	await page.setViewportSize({ width: 390, height: 844 });
	await until('its transactions', async () => (await hashes()).length > 0);
	const width = await page.evaluate(() => document.documentElement.scrollWidth);
	assert.ok(width <= 390, `the page is ${width} px wide on a screen of 390`);
	await page.setViewportSize(size);
	return block.transaction_count;
}

// The page /failures against a running server: cards as the API groups them, filters in the address, the ways to an example and to all of
// a group, new ones by themselves; a failed transaction's page with the sentence, how it was found, and the calls; on a narrow screen too.

import assert from 'node:assert/strict';

/** Checks the page that `page` is on. Answers how many groups there were at most, and how many of the examples have a trace. */
export async function checkFailures(page, url, until) {
	const api = async (path) => (await fetch(new URL(`/api/v1${path}`, url))).json();
	const part = (id) => page.locator(`[data-testid=${id}]`);
	const cards = () => part('group').evaluateAll((all) => all.map((card) => ({ ...card.dataset })));
	const search = () => Object.fromEntries(new URL(page.url()).searchParams);
	const failed = async () => Number(((await part('sum').innerText()).match(/^[\d,]+/)?.[0] ?? '0').replaceAll(',', ''));
	const settled = () => page.waitForFunction(() => !document.querySelector('.cards.stale, .cards[aria-busy]'));
	const only = (what, fits) =>
		until(what, async () => {
			await settled();
			const shown = await cards();
			return shown.length > 0 ? shown.every(fits) : (await part('none').count()) === 1;
		});

	await until('the page', async () => new URL(page.url()).pathname === '/failures');
	await until('a card', async () => (await part('group').count()) > 0);
	assert.equal(await page.title(), 'Failures · Headwater');
	assert.equal(await page.locator('nav a[aria-current=page]').innerText(), 'Failures');
	await page.mouse.move(2, 2);

	// What comes, comes by itself.
	const before = await failed();
	await until('more failures by themselves', async () => (await failed()) > before);
	const groups = (await api('/failures?window=24h&limit=60')).items;
	const shown = await cards();
	assert.ok(shown.length > 0 && shown.every((card) => card.network && card.testid === 'group'));
	assert.ok(shown.some((card) => groups.some((g) => g.network === card.network && (g.contract ?? '') === card.contract && (g.cause ?? '') === card.cause)));
	assert.ok((await part('count').allInnerTexts()).every((text) => Number(text.replaceAll(',', '')) > 0));
	assert.equal(await part('group').locator('svg[role=img]').count(), groups[0].trend?.length ? await part('group').count() : 0);

	// Cause, window, network and contract: in the address, and there again when it is opened anew.
	const { cause, network, contract } = groups.find((g) => g.cause && g.contract) ?? groups[0];
	await page.locator('select[name=cause]').selectOption(cause);
	await only(`failures by ${cause} only`, (card) => card.cause === cause);
	await page.locator('input[name=window][value="1h"]').check({ force: true });
	await until('both in the address', async () => search().cause === cause && search().window === '1h');
	await page.reload();
	await only('the same by its address', (card) => card.cause === cause);
	assert.equal(await page.locator('select[name=cause]').inputValue(), cause);
	await part('clear').click();
	await page.locator('select[name=network]').selectOption(network);
	await only(`failures of ${network} only`, (card) => card.network === network);
	await page.locator('form input[name=contract]').fill('0x12');
	await page.keyboard.press('Enter');
	await until('a word about the address', async () => /40 digits/.test(await page.locator('main form [role=alert]').innerText()));
	await page.locator('form input[name=contract]').fill(contract);
	await page.keyboard.press('Enter');
	await until('the contract in the address', async () => search().contract === contract);
	await only('failures of the contract only', (card) => card.contract.toLowerCase() === contract.toLowerCase());

	// All of a group: the list of transactions, narrowed as the card says; and by how the cause was found.
	await page.goto(new URL(`/failures?network=${network}&cause=${cause}`, url).href);
	await until('a card', async () => (await part('group').count()) > 0);
	await part('all').first().click();
	await page.waitForSelector('main [data-key]');
	assert.deepEqual([search().cause, search().status, search().span], [cause, 'failed', '24h']);
	assert.equal(await page.locator('select[name=cause]').inputValue(), cause);
	assert.ok((await page.locator('main [data-key]').evaluateAll((all) => all.map((row) => row.dataset.status))).every((s) => s === 'failed'));
	await page.goto(new URL('/txs?status=failed', url).href);
	await page.waitForSelector('main [data-key]');
	const [{ found_by }] = (await api('/txs?status=failed&limit=200')).items.filter((tx) => tx.found_by).concat({ found_by: 'receipt' });
	await page.locator('select[name=found_by]').selectOption(found_by);
	await until('how it was found in the address', async () => search().found_by === found_by);
	await page.waitForSelector('main [data-key], [data-testid=none], [data-testid=none-yet]');

	// An example, by its card.
	await page.goto(new URL('/failures', url).href);
	await until('a card', async () => (await part('group').count()) > 0);
	await part('example').first().click();
	await page.waitForSelector('[data-testid=why]');

	// Failed ones of every class and every way to find them that there is: the page says what the API says.
	const { items } = await api('/txs?status=failed&limit=300');
	const kinds = new Map();
	for (const tx of items.filter((tx) => tx.found_by)) kinds.set(`${tx.cause} ${tx.found_by}`, tx);
	let traced = 0;
	for (const tx of kinds.size > 0 ? [...kinds.values()].slice(0, 12) : items.slice(0, 3)) {
		await page.goto(new URL(`/txs/${tx.network}/${tx.hash}`, url).href);
		await page.waitForSelector('[data-testid=facts]');
		const { failure } = await api(`/txs/${tx.network}/${tx.hash}`);
		assert.ok(failure, `${tx.hash} has no failure`);
		if (failure.pending) continue;
		await until('the last word', async () => (await part('pending').count()) === 0);
		assert.equal(await part('why').getAttribute('data-cause'), failure.cause ?? '');
		if (failure.reason) assert.equal((await part('sentence').innerText()).trim().toLowerCase(), failure.reason.trim().toLowerCase());
		if (failure.found_by) assert.match(await part('found-by').innerText(), /^Found by /);
		assert.equal(await part('approximate').count(), failure.approximate ? 1 : 0);
		const tree = part('call-tree');
		assert.equal(await tree.count(), failure.calls ? 1 : 0);
		if (failure.calls) {
			traced++;
			assert.equal(await tree.locator('[data-here]').count(), 1, 'not one frame that failed');
			assert.ok(await tree.locator('[data-here]').isVisible());
			assert.ok((await tree.locator('[data-path]').count()) >= 1);
		}
		if (failure.error_signature) assert.equal(await part('error-name').innerText(), failure.error_signature.match(/^\w+/)[0]);
		await page.waitForFunction(() => !document.querySelector('[data-testid=similar] [aria-busy], [data-testid=endpoints] [aria-busy]'));
	}

	const size = page.viewportSize();
	await page.setViewportSize({ width: 390, height: 844 });
	for (const path of [new URL(page.url()).pathname, '/failures']) {
		await page.goto(new URL(path, url).href);
		await page.waitForSelector('[data-testid=why], [data-testid=group]');
		const width = await page.evaluate(() => document.documentElement.scrollWidth);
		assert.ok(width <= 390, `${path} is ${width} px wide on a screen of 390`);
	}
	await page.setViewportSize(size);
	return { groups: groups.length, kinds: kinds.size, traced };
}

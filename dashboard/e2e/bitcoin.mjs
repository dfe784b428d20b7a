// Bitcoin's pages against the mock: a transaction as a picture and as lists, a block, one of which only the header is held, the overview
// with windows that the median time leaves open, servers and nodes on /providers, what is said of sources that disagree, and the form of a monitor.

import assert from 'node:assert/strict';

/** `url`: of a mock with `--bitcoin`. Answers how many inputs the largest transaction has. */
export async function checkBitcoin(page, url, until) {
	const api = async (path) => (await fetch(new URL(`/api/v1${path}`, url))).json();
	const part = (id) => page.locator(`[data-testid=${id}]`);
	const network = 'bitcoin-mainnet';
	const open = async (tx) => {
		await page.goto(new URL(`/txs/${network}/${tx.hash}`, url).href);
		await page.waitForSelector('[data-testid=flow]');
	};
	const { items } = await api(`/txs?network=${network}&limit=400`);
	const details = [];
	for (const { hash } of items.slice(0, 140)) details.push(await api(`/txs/${network}/${hash}`));
	const sum = (values) => values.reduce((all, value) => all + BigInt(value), 0n);

	// A thousand inputs: a bounded picture, lists that come a piece at a time, and every one of them in the end.
	const many = details.find((tx) => tx.bitcoin.input_count === 1_000);
	await open(many);
	const bands = page.locator('[data-testid=flow] [data-side=left]');
	assert.equal(await bands.count(), 24);
	assert.equal(await bands.last().getAttribute('data-band'), 'others');
	assert.match(await bands.last().getAttribute('aria-label'), /^977 inputs together: [\d.]+ BTC\.$/);
	assert.equal(await page.locator('[data-input]').count(), 30);
	// What cannot be loaded is not passed over: the button stays, and what is held is shown.
	const loading = /\/txs\/[^/]+\/[^/]+\?inputs_from=/;
	await page.route(loading, (route) => route.abort());
	for (let n = 0; n < 7; n++) {
		await part('more-inputs').click();
		await until('an answer or none', async () => part('more-inputs').isEnabled());
	}
	assert.equal(await page.locator('[data-input]').count(), 600);
	await page.unroute(loading);
	for (let n = 0; (await part('more-inputs').count()) > 0; n++) {
		assert.ok(n < 10, 'there is no end to it');
		const before = await page.locator('[data-input]').count();
		await part('more-inputs').click();
		await until('more inputs', async () => (await page.locator('[data-input]').count()) > before);
	}
	const shown = await page.locator('[data-input]').evaluateAll((all) => all.map((row) => Number(row.dataset.input)));
	assert.deepEqual(shown, Array.from({ length: 1_000 }, (_, i) => i));

	// What flows in is what flows out and the fee, to the satoshi, as the bands say it.
	const data = details.find((tx) => !tx.bitcoin.is_coinbase && tx.bitcoin.outputs.some((output) => output.type === 'nulldata'));
	await open(data);
	const says = (side) => page.locator(`[data-testid=flow] [data-side=${side}]`).evaluateAll((all) => all.map((band) => band.getAttribute('aria-label')));
	const satoshi = (words) => sum(words.map((text) => {
		const [whole, rest = ''] = text.match(/([\d,]+(?:\.\d+)?) BTC/)[1].replaceAll(',', '').split('.');
		return whole + rest.padEnd(8, '0');
	}));
	assert.equal(satoshi(await says('left')), sum(data.bitcoin.inputs.map((input) => input.value)));
	assert.equal(satoshi(await says('right')), sum(data.bitcoin.inputs.map((input) => input.value)));
	assert.ok((await part('facts').innerText()).includes(data.height.toLocaleString('en-US')));
	assert.ok((await part('fee-rate').innerText()).includes('sat/vB'));
	assert.equal(await part('pushed-text').innerText(), 'hello from a mock!');
	const spent = await page.locator('[data-output]').evaluateAll((all) => all.map((row) => row.dataset.spent));
	assert.deepEqual(spent, data.bitcoin.outputs.map((output) => output.spent));

	// A bare multisig that names a key twice: its page stands, and has each address once.
	const twice = (output) => new Set(output.addresses).size < output.addresses.length;
	const doubled = details.find((tx) => tx.bitcoin.outputs.some(twice));
	await open(doubled);
	const bare = doubled.bitcoin.outputs.find(twice);
	assert.equal(await page.locator(`[data-output="${bare.index}"] .address`).count(), new Set(bare.addresses).size);

	// By the keyboard: a band says in words what it is; one that leads nowhere else leads to its line.
	const kept = details.find((tx) => tx.bitcoin.outputs.some((output) => output.spent === 'unspent') && !tx.bitcoin.is_coinbase);
	const index = kept.bitcoin.outputs.findIndex((output) => output.spent === 'unspent');
	await open(kept);
	await page.locator(`[data-testid=flow] [data-side=right][data-index="${index}"]`).focus();
	await page.keyboard.press('Enter');
	await until('its line', async () => (await page.evaluate(() => document.activeElement?.id)) === `out-${index}`);
	const from = details.find((tx) => tx.bitcoin.inputs.some((input) => input.spent_txid));
	await open(from);
	const { spent_txid } = from.bitcoin.inputs[0];
	assert.equal(await page.locator('[data-testid=flow] [data-side=left]').first().getAttribute('href'), `/txs/${network}/${spent_txid}`);

	// A coinbase, and the way to its block.
	const coinbase = details.find((tx) => tx.bitcoin.is_coinbase && tx.bitcoin.pool);
	await open(coinbase);
	assert.equal(await page.locator('main h2').innerText(), 'Coinbase');
	assert.ok((await part('facts').innerText()).includes(coinbase.bitcoin.pool));
	assert.equal(await page.locator('[data-testid=flow] [data-band=new]').count(), 1);
	await part('block').click();
	await until('its block', async () => new URL(page.url()).pathname === `/blocks/${network}/${coinbase.height}`);
	await page.waitForSelector('main [data-key]');
	const block = await api(`/blocks/${network}/${coinbase.height}`);
	assert.ok((await part('header').innerText()).includes('86.39 T'));
	assert.ok((await part('outcome').innerText()).includes(block.bitcoin.weight.toLocaleString('en-US')));
	assert.equal(await part('coinbase-text').innerText(), '/mock/');
	assert.equal(await page.locator('main [data-key]').first().locator('[role=cell].what').innerText(), 'coinbase');
	assert.match(await page.locator('main [data-key]').nth(1).locator('[role=cell].fee').innerText(), /sat|BTC/);

	// Of a header alone nothing is said of transactions.
	await page.goto(new URL('/blocks/bitcoin-headers/840040', url).href);
	await part('header-only').waitFor();
	assert.equal(await page.locator('#of-block').count(), 0);

	// The overview: what the last hour is waiting for, no failures, rates in sat/vB; sources that disagree.
	await page.goto(new URL(`/?network=${network}&window=6h`, url).href);
	await page.waitForSelector('[data-testid=charts][aria-busy=false]');
	assert.match(await part('median-time').innerText(), /still open/);
	assert.equal(await page.locator('[data-chart=failures]').count(), 0);
	assert.ok((await page.locator('[data-chart=gas]').innerText()).includes('sat/vB'));
	assert.match(await page.locator('[data-chart=completeness]').innerText(), /goes on/);
	await fetch(new URL(`/mock/state?network=${network}&to=diverged`, url));
	await until('a word that its sources disagree', async () => (await page.locator(`article[data-network=${network}] [data-state=diverged], a.tile[data-network=${network}]`).innerText()).includes('diverged'));
	await fetch(new URL(`/mock/state?network=${network}&to=live`, url));

	// Servers and nodes: what is spoken, sockets, software, and why one is not asked.
	await page.goto(new URL('/providers', url).href);
	const card = (name) => page.locator(`[data-provider=${name}][data-network=${network}]`);
	await card('electrum-green').waitFor();
	assert.equal(await card('electrum-green').locator('[data-testid=protocol]').innerText(), 'Electrum');
	assert.match(await card('electrum-green').innerText(), /breaker open[\s\S]*Its breaker is open/);
	assert.match(await card('electrum-blue').locator('[data-fact=sockets]').innerText(), /3 open/);
	assert.equal(await card('electrum-blue').locator('[data-fact=software]').innerText(), 'ElectrumX 1.16.0');
	assert.match(await card('electrum-red').innerText(), /said[\s\S]*right/);
	assert.equal(await card('core-1').locator('[data-testid=protocol]').innerText(), 'Core, REST');

	// A monitor: what Bitcoin has is offered, and what it has not is not.
	await page.goto(new URL(`/monitors?${new URLSearchParams({ network, contract: 'bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq' })}#/new`, url).href);
	await part('add-transaction').click();
	assert.equal((await part('add-event').count()) + (await part('add-function').count()), 0);
	assert.match(await page.locator('[data-field=addresses]').innerText(), /^Addresses/);
	assert.deepEqual(await page.locator('[data-field="match_conditions.transactions.0.status"] option').allInnerTexts(), ['whatever became of it']);
	const expression = page.locator('[data-field="match_conditions.transactions.0.expression"] input');
	await expression.click();
	await page.keyboard.type('rec');
	assert.deepEqual(await page.locator('[role=option]:visible .mono').allInnerTexts(), ['received']);
	await page.keyboard.press('Enter');
	await page.keyboard.type('>= 1 b');
	assert.deepEqual(await page.locator('[role=option]:visible .mono').allInnerTexts(), ['btc']);
	await page.keyboard.press('Escape');

	// Narrow screens.
	const size = page.viewportSize();
	await page.setViewportSize({ width: 390, height: 844 });
	for (const path of [`/txs/${network}/${many.hash}`, `/txs/${network}/${data.hash}`, `/blocks/${network}/${coinbase.height}`, `/?network=${network}`, '/providers']) {
		await page.goto(new URL(path, url).href);
		await page.waitForSelector('main h2, main h3');
		await page.waitForTimeout(600);
		const width = await page.evaluate(() => document.documentElement.scrollWidth);
		assert.ok(width <= 390, `${path} is ${width} px wide on a screen of 390`);
	}
	await page.setViewportSize(size);
	return many.bitcoin.input_count;
}

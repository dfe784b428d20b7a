// A transaction's own page against a running server: what it shows is what the API says, decoded and raw, by an address that can be
// passed on; and what is not there is said.

import assert from 'node:assert/strict';

/** Opens pages of transactions. Answers the one that has most to tell, as the API has it. */
export async function checkTx(page, url, until) {
	const api = async (path) => (await fetch(new URL(`/api/v1${path}`, url))).json();
	const open = async (tx) => {
		await page.goto(new URL(`/txs/${tx.network}/${tx.hash}`, url).href);
		await page.waitForSelector('[data-testid=facts]');
		return api(`/txs/${tx.network}/${tx.hash}`);
	};
	const part = (id) => page.locator(`[data-testid=${id}]`);
	// Deep enough that no fork takes them away while they are looked at.
	const deep = new Date(Date.now() - 20_000).toISOString();
	const { items } = await api(`/txs?limit=300&to=${deep}`);

	// Of those with a known call, or any, the one with most events.
	let most = null;
	for (const item of [...items.filter((tx) => tx.signature), ...items].slice(0, 60)) {
		const detail = await api(`/txs/${item.network}/${item.hash}`);
		const weight = (tx) => (tx.call ? 5 : 0) + Math.min(tx.events.length, 20) + 3 * (tx.inner_calls?.length ?? 0);
		if (!most || weight(detail) > weight(most)) most = detail;
	}
	const tx = await open(most);
	assert.match(await page.title(), /· Headwater$/);
	assert.equal(await page.locator('nav a[aria-current]').innerText(), 'Transactions');
	assert.ok((await page.locator('main .hash').innerText()).includes(tx.hash));
	assert.ok((await part('outcome').innerText()).includes(tx.status));
	const facts = await part('facts').innerText();
	for (const word of [tx.from, tx.height.toLocaleString('en-US')]) assert.ok(facts.includes(word), `${word} is not in: ${facts}`);

	// The call: name and arguments as the API has them, the input beside them when it is asked for.
	const call = await part('call').innerText();
	if (tx.call) {
		assert.ok(call.includes(tx.call.signature.match(/^\w+/)[0]), call);
		const named = await part('call').locator('[data-argument]').evaluateAll((all) => all.map((item) => item.dataset.argument));
		for (const name of Object.keys(tx.call.arguments ?? {})) assert.ok(named.includes(name), `${name} is not in: ${named}`);
		assert.equal(await part('call').locator('[data-testid=raw]').count(), 0);
		await part('raw-input').click();
		assert.ok((await part('call').locator('[data-testid=raw]').innerText()).includes(tx.input.slice(0, 10)));
	} else if (tx.method) {
		assert.ok(call.includes(tx.method), call);
	}

	// Events: each once, decoded by name with topics and data on demand, or topics and data.
	const events = part('events').locator('[data-event]');
	assert.equal(await events.count(), Math.min(tx.events.length, 30));
	const decoded = tx.events.findIndex((event) => event.event);
	if (decoded >= 0 && decoded < 30) {
		const name = tx.events[decoded].event.match(/^\w+/)[0];
		assert.equal(await events.nth(decoded).getAttribute('data-event'), name);
		await part('raw-events').click();
		assert.ok((await events.nth(decoded).innerText()).includes(tx.events[decoded].topics[0]));
	}
	if (tx.transfers?.length) assert.equal(await part('transfers').locator('li').count(), Math.min(tx.transfers.length, 50));

	// The fee: its parts add up to the whole, as the page itself says.
	if (tx.fee != null) {
		const parts = Object.entries(tx.fee_parts).filter(([, amount]) => amount != null).map(([name]) => name);
		assert.deepEqual(await part('fee').locator('[data-part]').evaluateAll((all) => all.map((row) => row.dataset.part)), parts);
		assert.equal(await part('fee').locator('.note').count(), 0);
	} else {
		assert.equal(await part('no-fee').count(), 1);
	}

	// Why one failed; and its like.
	const failed = items.find((item) => item.status === 'failed');
	if (failed) {
		const detail = await open(failed);
		if (!detail.failure?.pending) assert.equal(await part('why').getAttribute('data-cause'), detail.cause ?? '');
		assert.ok((await part('sentence').innerText()).length > 10);
	}

	// Nothing of that name.
	await page.goto(new URL(`/txs/${tx.network}/0x${'1'.repeat(64)}`, url).href);
	await page.waitForSelector('main .problem');

	// On a narrow screen, with the raw input.
	const size = page.viewportSize();
	await page.setViewportSize({ width: 390, height: 844 });
	await open(tx);
	if (await part('raw-input').count()) await part('raw-input').click();
	const width = await page.evaluate(() => document.documentElement.scrollWidth);
	assert.ok(width <= 390, `the page is ${width} px wide on a screen of 390`);
	await page.setViewportSize(size);

	// To its block.
	await part('block').click();
	await until('the block’s page', async () => new URL(page.url()).pathname === `/blocks/${tx.network}/${tx.height}`);
	return tx;
}

/**
 * An ABI of one's own: what is there already is decoded by it on reading, and says so; what the next blocks bring is called by its names.
 * Takes it away again. Answers the function's name, or null where the newest transactions call nothing that could be tried.
 */
export async function checkOwnAbi(page, url, until) {
	const api = (path, init) => fetch(new URL(`/api/v1${path}`, url), init);
	const { items } = await (await api('/txs?method=transfer(address,uint256)&status=success&limit=300')).json();
	const calls = new Map();
	for (const { network, to } of items) calls.set(`${network} ${to}`, (calls.get(`${network} ${to}`) ?? 0) + 1);
	if (calls.size === 0) return null;
	const [network, address] = [...calls].sort((a, b) => b[1] - a[1])[0][0].split(' ');
	const before = items.find((tx) => tx.network === network && tx.to === address);
	const uint = { type: 'uint256', name: 'howMuch' };
	const abi = [{ type: 'function', name: 'transfer', stateMutability: 'nonpayable', inputs: [{ type: 'address', name: 'toWhom' }, uint], outputs: [] }];
	const body = JSON.stringify({ network, address, name: 'A token of ours', abi });
	const made = await api('/contracts', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
	assert.equal(made.status, 201, await made.clone().text());
	const { id, version } = await made.json();

	await until('what is there to be called by the new names', async () => {
		await page.goto(new URL(`/txs/${network}/${before.hash}`, url).href);
		await page.waitForSelector('[data-testid=facts]');
		return (await page.locator('[data-testid=call] [data-argument=howMuch]').count()) === 1;
	});
	const call = await page.locator('[data-testid=call]').innerText();
	assert.ok(call.includes('A token of ours'), call);
	assert.equal(await page.locator('[data-testid=call] [data-testid=late]').count(), 1);

	await until('the next blocks to be decoded by it', async () => {
		const { items } = await (await api(`/txs?${new URLSearchParams({ network, contract: address, method: '0xa9059cbb', limit: 50 })}`)).json();
		return items.some((tx) => tx.sequence > before.sequence && tx.signature?.includes('howMuch'));
	});
	const gone = await api(`/contracts/${id}`, { method: 'DELETE', headers: { 'if-match': `"${version}"` } });
	assert.ok(gone.ok, await gone.text());
	return 'transfer';
}

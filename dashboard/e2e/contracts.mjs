// The page /contracts against a running server that lets everybody in: an ABI with a mistake is refused with its place, a contract is
// added, seen in the rows of the next blocks, edited, edited by somebody else meanwhile, and removed; by keyboard, and on a narrow screen.

import assert from 'node:assert/strict';

const GOOD = [
	{ type: 'function', name: 'transfer', stateMutability: 'nonpayable', inputs: [{ name: 'to', type: 'address' }, { name: 'v', type: 'uint256' }], outputs: [] },
	{ type: 'event', name: 'Transfer', anonymous: false, inputs: [{ name: 'a', type: 'address', indexed: true }, { name: 'v', type: 'uint256', indexed: false }] },
	{ type: 'error', name: 'Refused', inputs: [{ name: 'why', type: 'string' }] }
];

/** Who was called most in the newest blocks: it will be called again. */
async function busiest(url) {
	const { items } = await (await fetch(new URL('/api/v1/txs?limit=500', url))).json();
	const calls = new Map();
	for (const { network, to } of items) if (to) calls.set(`${network} ${to}`, (calls.get(`${network} ${to}`) ?? 0) + 1);
	const [most] = [...calls].sort((a, b) => b[1] - a[1])[0];
	const [network, address] = most.split(' ');
	return { network, address };
}

/** Checks the page that `page` is on. Answers the contract's id. */
export async function checkContracts(page, url, until) {
	const api = (path, init) => fetch(new URL(`/api/v1${path}`, url), init);
	await page.waitForSelector('[data-testid=add]');
	assert.equal(new URL(page.url()).pathname, '/contracts');
	assert.equal(await page.title(), 'Contracts · Headwater');
	assert.equal(await page.locator('nav a[aria-current=page]').innerText(), 'Contracts');
	await page.waitForSelector('[data-testid=none]');

	// The form, by keyboard.
	await page.locator('[data-testid=add]').focus();
	await page.keyboard.press('Enter');
	const form = page.locator('[data-testid=contract-form]');
	await form.waitFor();

	// What is missing stands at its field, as the server says it.
	await form.locator('[data-testid=save]').click();
	await until('the mistakes at their fields', async () => /40 hex digits/.test(await form.locator('[data-field=address]').innerText()));
	assert.match(await form.locator('[data-field=name]').innerText(), /1 to 100/);
	assert.equal(await form.locator('[name=address]').getAttribute('aria-invalid'), 'true');

	// A mistake in an ABI: its path, its place, and what to write; nothing can be kept.
	const { network, address } = await busiest(url);
	await form.locator('[name=network]').selectOption(network);
	await form.locator('[name=address]').fill(address.toUpperCase().replace('0X', '0x'));
	await form.locator('[name=name]').fill('Busy one');
	await form.locator('[name=abi]').fill('[\n  {"type": "function", "name": "a", "inputs": [{"name": "x", "type": "uint7"}], "outputs": []}\n]');
	const abi = form.locator('[data-testid=abi]');
	await until('the mistake', async () => /abi\.0\.inputs\.0\.type/.test(await abi.innerText()));
	assert.match(await abi.innerText(), /uint7.*uint256/s);
	await abi.locator('button', { hasText: 'line 2, column 70' }).click();
	const chosen = await page.evaluate(() => {
		const { value, selectionStart, selectionEnd } = document.querySelector('textarea[name=abi]');
		return value.slice(selectionStart, selectionEnd);
	});
	assert.equal(chosen, '"uint7"');
	assert.equal(await form.locator('[data-testid=save]').getAttribute('aria-disabled'), 'true');
	await form.locator('[name=abi]').fill('[{"type": ');
	await until('what is no JSON', async () => /line 1, column \d+/.test(await abi.innerText()));

	// A good one, as a file that a compiler wrote: what it names, by the server.
	await form.locator('input[type=file]').setInputFiles({
		name: 'Busy.json',
		mimeType: 'application/json',
		buffer: Buffer.from(JSON.stringify({ contractName: 'Busy', abi: GOOD, bytecode: '0x' }, null, 2))
	});
	await form.locator('[data-what=function]').waitFor();
	assert.match(await form.locator('[data-what=function]').innerText(), /transfer\(address,uint256\)\s*0xa9059cbb/);
	assert.match(await form.locator('[data-what=event]').innerText(), /Transfer\(address,uint256\)/);
	assert.match(await form.locator('[data-what=error]').innerText(), /Refused\(string\)/);
	await form.locator('[name=labels]').fill('ours');
	await page.keyboard.press('Enter');
	await form.locator('[data-testid=save]').click();

	// It is there, with its own address in the address bar, and the server has it.
	await page.waitForSelector('[data-testid=edit]');
	const id = new URL(page.url()).hash.slice(2);
	const kept = await (await api(`/contracts/${id}`)).json();
	assert.deepEqual([kept.network, kept.address, kept.name, kept.labels], [network, address.toLowerCase(), 'Busy one', ['ours']]);
	assert.deepEqual(kept.abi, GOOD);
	await until('what it names', async () => /transfer\(address,uint256\)/.test(await page.locator('dialog').innerText()));
	await page.keyboard.press('Escape');
	const row = page.locator(`[data-contract="${id}"]`);
	await row.waitFor();

	// The same address again: the way to the one that has it.
	await page.locator('[data-testid=add]').click();
	await form.waitFor();
	await form.locator('[name=network]').selectOption(network);
	await form.locator('[name=address]').fill(address);
	await form.locator('[name=name]').fill('Twin');
	await form.locator('[data-testid=save]').click();
	await form.locator(`a[href="#/${id}"]`).waitFor();
	await page.locator('dialog .close').click();
	await until('the form to close', async () => (await page.locator('dialog').count()) === 0);

	// Edited while somebody else does: both are shown, and nothing is lost on either side without a choice.
	await row.locator('a').click();
	await page.locator('[data-testid=edit]').click();
	await form.locator('[name=name]').fill('Mine');
	const etag = (await api(`/contracts/${id}`)).headers.get('etag');
	const theirs = await api(`/contracts/${id}`, {
		method: 'PATCH',
		headers: { 'content-type': 'application/json', 'if-match': etag },
		body: JSON.stringify({ name: 'Theirs', labels: ['theirs'] })
	});
	assert.equal(theirs.status, 200, await theirs.text());
	await form.locator('[data-testid=save]').click();
	const stale = page.locator('[data-testid=stale]');
	await stale.waitFor();
	assert.match(await stale.innerText(), /Name\s+Theirs\s+Mine/);
	assert.equal((await (await api(`/contracts/${id}`)).json()).name, 'Theirs');
	await page.keyboard.press('Escape');
	assert.equal(await stale.count(), 1, 'what was typed went away by Escape');
	await stale.locator('button', { hasText: 'Save mine' }).click();
	await page.locator('[data-testid=edit]').waitFor();
	await until('mine to be kept', async () => (await (await api(`/contracts/${id}`)).json()).name === 'Mine');
	await page.keyboard.press('Escape');
	await until('the row to say so', async () => /Mine/.test(await row.innerText()));

	// Its transactions are counted from the next blocks on, with nothing loaded anew.
	await until('a transaction of it', async () => /[1-9]/.test(await row.locator('[data-label=transactions]').innerText()));

	// On a narrow screen, list, detail and form.
	const size = page.viewportSize();
	await page.setViewportSize({ width: 390, height: 844 });
	const width = () => page.evaluate(() => document.documentElement.scrollWidth);
	assert.ok((await width()) <= 390, `the page is ${await width()} px wide on a screen of 390`);
	await row.locator('a').click();
	await page.locator('[data-testid=edit]').click();
	await form.waitFor();
	const inside = await page.locator('dialog').first().evaluate((dialog) => dialog.scrollWidth);
	assert.ok(inside <= 390, `the form is ${inside} px wide on a screen of 390`);
	await form.locator('button', { hasText: 'Cancel' }).click();
	await page.keyboard.press('Escape');
	await until('it to close', async () => (await page.locator('dialog').count()) === 0);
	await page.setViewportSize(size);
	return id;
}

/** Removes what [`checkContracts`] added; its detail is open. */
export async function removeContract(page, url, until, id) {
	await page.goto(new URL(`/contracts#/${id}`, url).href);
	await page.locator('[data-testid=remove]').click();
	await page.locator('[data-testid=yes]').click();
	await until('it to be gone', async () => (await page.locator(`[data-contract="${id}"]`).count()) === 0 && (await page.locator('dialog').count()) === 0);
	assert.equal((await fetch(new URL(`/api/v1/contracts/${id}`, url))).status, 404);
}

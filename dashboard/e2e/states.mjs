// The pages in states that a healthy server does not show, against the mock: nothing to show, errors, old data, a lost connection, no
// WebSocket, an address of nothing. Starts the mocks itself; wants the built pages.
//
// Environment: CHROMIUM (default /usr/bin/chromium). Exit status: 0 all held, 1 something did not.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { checkAccountStates } from './accounts-states.mjs';
import { checkAlertStates } from './alerts-states.mjs';
import { checkBitcoin } from './bitcoin.mjs';
import { launch, waiting } from './browser.mjs';
import { checkOverviewStates } from './overview-states.mjs';

const TIMEOUT_MS = 20_000;
const children = [];

async function mock(mode, ...args) {
	const path = fileURLToPath(new URL('../dev/mock.mjs', import.meta.url));
	const child = spawn(process.execPath, [path, '--port', '0', '--mode', mode, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
	children.push(child);
	return new Promise((resolve, reject) => {
		child.stdout.once('data', (line) => resolve(line.toString().trim()));
		child.once('exit', (code) => reject(new Error(`the mock ended with ${code}`)));
	});
}

const until = waiting(TIMEOUT_MS, 50);

let page;
const browser = await launch();
const thrown = [];

async function open(url, { sockets = true } = {}) {
	await page?.close();
	page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
	page.setDefaultTimeout(TIMEOUT_MS);
	page.on('pageerror', (error) => thrown.push(String(error)));
	if (!sockets) await page.routeWebSocket('**/api/v1/ws', (socket) => socket.close());
	await page.goto(url);
	return page;
}

const card = (network, name) => page.locator(`[data-network=${network}][data-provider=${name}]`);
const change = (url, network, name, to) =>
	fetch(`${url}/mock/provider?${new URLSearchParams({ network, name, to: JSON.stringify(to) })}`);

try {
	const people = await checkAccountStates({ mock, browser, until });
	const figures = await checkOverviewStates({ mock, open, until, browser });
	const alerts = await checkAlertStates({ mock, open, until });

	const coins = await mock('live', '--bitcoin', '--networks', '1', '--trouble', 'nothing');
	const inputs = await checkBitcoin(await open(coins), coins, until);

	await open(`${await mock('empty')}/providers`);
	await page.waitForSelector('[data-testid=none]');

	const erring = await mock('error');
	await open(`${erring}/providers`);
	await page.waitForSelector('main .problem button');
	assert.match(await page.locator('main .problem').innerText(), /The store is not reachable/);

	// Old: the endpoint says nothing any more, though the server does.
	await open(`${await mock('troubled')}/providers`);
	await until('a card to say that it is old', async () => /no news for \d+ m/.test(await card('ethereum-mainnet', 'alchemy').innerText()));

	// A change comes by the WebSocket and moves the card to the front; while the reader is about to choose, it does not move.
	const live = await mock('live');
	await open(`${live}/providers`);
	const names = () => page.locator('[data-network=ethereum-mainnet][data-provider]').evaluateAll((all) => all.map((c) => c.dataset.provider));
	await until('worst first', async () => (await names()).join() === 'cheapnode,ankr,publicnode,alchemy');
	await page.mouse.move(2, 2);
	const lie = { said: 'a log of 0x1', right: 'a log of 0x2' };
	await change(live, 'ethereum-mainnet', 'publicnode', { state: 'failing', fails: 1, reason: 'HTTP 403 Forbidden' });
	await until('the change', async () => (await card('ethereum-mainnet', 'publicnode').getAttribute('data-state')) === 'failing');
	assert.match(await card('ethereum-mainnet', 'publicnode').innerText(), /HTTP 403 Forbidden/);
	await until('the failing one to be first', async () => (await names())[0] === 'publicnode');
	await card('ethereum-mainnet', 'alchemy').locator('h4 a').focus();
	await change(live, 'ethereum-mainnet', 'alchemy', { state: 'quarantined', lie, latency: 4_900, lag: 20 });
	await until('the lie', async () => /a log of 0x1.*a log of 0x2/s.test(await card('ethereum-mainnet', 'alchemy').innerText()));
	assert.equal((await names())[3], 'alchemy', 'a card moved away from under the focus');
	await until('the worst to be first again', async () => (await names())[0] === 'alchemy');

	// One is taken out: its card goes, with nothing loaded anew and no answer of REST.
	const lost = 'backup-with-a-rather-long-name-that-has-to-be-cut';
	await card('op-mainnet', lost).waitFor();
	await page.route('**/api/v1/providers/health*', () => {});
	await fetch(`${live}/mock/gone?network=op-mainnet&name=${lost}`);
	await until('the card to go', async () => (await card('op-mainnet', lost).count()) === 0);
	assert.equal(await card('op-mainnet', 'official').count(), 1);
	await page.unroute('**/api/v1/providers/health*');

	// The connection goes: what stands here stays, says of when it is, and goes on.
	await fetch(`${live}/mock/down`);
	await until('old data to say so', async () => /as of \d\d:\d\d:\d\d/.test(await card('ethereum-mainnet', 'ankr').innerText()));
	assert.equal((await names()).length, 4);
	await fetch(`${live}/mock/up`);
	await until('the data to be new again', async () => !/as of/.test(await card('ethereum-mainnet', 'ankr').innerText()));

	// An address of nothing.
	await open(`${live}/providers#/ethereum-mainnet/nobody`);
	await page.waitForSelector('dialog .problem');
	await page.keyboard.press('Escape');
	await until('it to close', async () => (await page.locator('dialog').count()) === 0);

	// Going back closes what a click opened.
	await page.goto(`${live}/providers`);
	await card('op-mainnet', 'official').locator('h4 a').click();
	await page.waitForSelector('dialog [data-testid=charts]');
	await page.goBack();
	await until('the history to close', async () => (await page.locator('dialog').count()) === 0);

	// Without a WebSocket the states are asked for.
	await open(`${live}/providers`, { sockets: false });
	await card('op-mainnet', 'official').waitFor();
	await change(live, 'op-mainnet', 'official', { state: 'slow', latency: 2_600 });
	await until('the change without a WebSocket', async () => (await card('op-mainnet', 'official').getAttribute('data-state')) === 'slow');

	// What was made: nothing yet, an error and another try, and a server that is gone and comes back.
	for (const path of ['contracts', 'keys', 'audit']) {
		await open(`${live}/${path}`);
		await page.waitForSelector('[data-testid=none]');
		await open(`${erring}/${path}`);
		await page.waitForSelector('main .problem button');
		assert.match(await page.locator('main .problem').innerText(), /The store is not reachable/);
		await page.route(`**/api/v1/${path}?*`, (route) => route.fulfill({ json: { items: [], next: null } }));
		await page.locator('main .problem button').click();
		await page.waitForSelector('[data-testid=none]');
	}
	// Transactions: none, an error and another try, what is behind, and a connection that goes and comes back.
	await open(`${await mock('empty')}/txs`);
	await page.waitForSelector('[data-testid=none]');
	await open(`${erring}/txs`);
	await page.waitForSelector('main .problem button');
	assert.match(await page.locator('main .problem').innerText(), /The store is not reachable/);
	await page.route('**/api/v1/txs?*', (route) => route.fulfill({ json: { items: [], next: null } }));
	await page.locator('main .problem button').click();
	await page.waitForSelector('[data-testid=none]');
	await open(`${await mock('troubled')}/txs`);
	await until('a word about what may be missing', async () =>
		(await page.locator('[data-testid=degraded]').allInnerTexts()).some((text) => /op-mainnet is reorg too deep/.test(text))
	);
	await open(`${live}/txs`);
	await page.waitForSelector('main [data-key]');
	await fetch(`${live}/mock/down`);
	await page.waitForSelector('[data-testid=lost]');
	assert.ok((await page.locator('main [data-key]').count()) > 0, 'the rows went with the connection');
	await fetch(`${live}/mock/up`);
	await until('new rows again', async () => (await page.locator('[data-testid=lost]').count()) === 0);

	// A reorg takes rows away.
	await page.goto(`${live}/txs?network=op-mainnet`);
	await page.waitForSelector('main [data-key]');
	await page.mouse.move(2, 2);
	await until('the live connection', async () => (await page.locator('.connection.live').count()) === 1);
	const gone = await page.locator('main [data-key]').first().getAttribute('data-key');
	await fetch(`${live}/mock/reorg?network=op-mainnet&depth=4`);
	await until('the reverted rows to go', async () => (await page.locator(`main [data-key="${gone}"]`).count()) === 0);

	// Text as input, calls inside, what was decoded later, and a reason in place of a fee.
	const { items } = await (await fetch(`${live}/api/v1/txs?limit=1000`)).json();
	const details = [];
	for (const { network, hash } of items.slice(0, 400)) details.push(await (await fetch(`${live}/api/v1/txs/${network}/${hash}`)).json());
	for (const [what, test, shown] of [
		['text', (tx) => tx.text, '[data-testid=text]'],
		['calls inside', (tx) => tx.inner_calls?.length, '[data-testid=inner] li'],
		['a late mark', (tx) => tx.call?.late, '[data-testid=late]']
	]) {
		const tx = details.find((detail) => detail.hash && test(detail));
		assert.ok(tx, `no transaction of the mock has ${what}`);
		await page.goto(`${live}/txs/${tx.network}/${tx.hash}`);
		await page.waitForSelector(shown);
	}
	const [one] = details;
	await page.route('**/api/v1/txs/*/*', (route) =>
		route.fulfill({ json: { ...one, fee: null, fee_parts: null, fee_reason: 'token', fee_token: one.from, fee_token_amount: '1234567' } })
	);
	await page.goto(`${live}/txs/${one.network}/${one.hash}`);
	await until('why there is no fee', async () => /paid in a token.*1,234,567/s.test(await page.locator('[data-testid=fee]').innerText()));
	await page.unroute('**/api/v1/txs/*/*');
	await page.goto(`${live}/blocks/op-mainnet/1`);
	await page.waitForSelector('main .problem');

	// Failures: none, an error and another try, old ones while the server is away, a window and a cause.
	await open(`${await mock('empty')}/failures`);
	await page.waitForSelector('[data-testid=none]');
	await open(`${erring}/failures`);
	await page.waitForSelector('main .problem button');
	await page.route('**/api/v1/failures?*', (route) => route.fulfill({ json: { items: [], total: 0, failed: 0, window: '24h' } }));
	await page.locator('main .problem button').click();
	await page.waitForSelector('[data-testid=none]');
	await open(`${live}/failures?cause=balance`);
	const groups = () => page.locator('[data-testid=group]').evaluateAll((all) => all.map((card) => card.dataset.cause));
	await until('groups of one cause', async () => (await groups()).length > 0 && new Set(await groups()).size === 1);
	await fetch(`${live}/mock/down`);
	await page.waitForSelector('[data-testid=old]');
	assert.ok((await groups()).length > 0, 'the cards went with the connection');
	await fetch(`${live}/mock/up`);
	await until('new figures again', async () => (await page.locator('[data-testid=old]').count()) === 0);
	await page.locator('select[name=cause]').selectOption('static_write');
	await page.waitForSelector('[data-testid=none] button');

	// A failed one whose cause is not there yet: the page shows it by itself when it has come, and the list does, too.
	await fetch(`${live}/mock/hold?on=1`);
	await open(`${live}/txs?status=failed&network=polygon-mainnet`);
	await page.waitForSelector('main [data-key]');
	await page.mouse.move(2, 2);
	let young;
	await until('a failure without a cause', async () => {
		const { items } = await (await fetch(`${live}/api/v1/txs?status=failed&network=polygon-mainnet&limit=5`)).json();
		young = items.find((tx) => tx.found_by == null);
		return young && (await page.locator(`main [data-hash="${young.hash}"]`).count()) === 1;
	});
	const row = page.locator(`main [data-hash="${young.hash}"]`);
	assert.equal(await row.locator('.cause').count(), 0);
	const other = await browser.newPage();
	await other.goto(`${live}/txs/${young.network}/${young.hash}`);
	await other.waitForSelector('[data-testid=pending]');
	await fetch(`${live}/mock/hold?on=0`);
	await until('the cause in the list', async () => (await row.locator('.cause').count()) === 1);
	await other.waitForSelector('[data-testid=found-by]');
	assert.equal(await other.locator('[data-testid=pending]').count(), 0);
	await other.close();

	// By a call made again: marked; by a trace three calls deep: the way to it is open, what is beside it folds; the output beside the error.
	const causes = (await (await fetch(`${live}/api/v1/txs?status=failed&limit=1000`)).json()).items;
	const ofCause = (cause) => causes.find((tx) => tx.cause === cause);
	const path = (tx) => `${live}/txs/${tx.network}/${tx.hash}`;
	await page.goto(path(ofCause('deadline')));
	await page.waitForSelector('[data-testid=approximate]');
	await page.goto(path(ofCause('balance')));
	const tree = page.locator('[data-testid=call-tree]');
	await tree.waitFor();
	assert.equal(await tree.locator('[data-here]').count(), 1);
	assert.ok(await tree.locator('[data-here]').isVisible());
	assert.equal(await tree.locator('[data-path]').count(), 4);
	await tree.locator('summary').first().focus();
	await page.keyboard.press('Enter');
	assert.ok(!(await tree.locator('[data-here]').isVisible()), 'the tree did not fold by the keyboard');
	assert.equal(await page.locator('[data-testid=error-name]').innerText(), 'ERC20InsufficientBalance');
	await page.locator('[data-testid=raw-output]').click();
	assert.match(await page.locator('[data-testid=where] [data-testid=raw]').innerText(), /0xe450d38c/);

	// The search box: several things of one name, none, and a hash that comes later.
	await page.keyboard.press('/');
	await page.keyboard.type('uniswap');
	await until('a line for each network', async () => (await page.locator('[data-found=contract]').count()) === 3);
	await page.keyboard.press('ArrowUp');
	await page.keyboard.press('Enter');
	await until('the contract’s transactions', async () => new URL(page.url()).searchParams.has('contract'));
	const late = '0x' + 'ee'.repeat(32);
	let known = false;
	await page.route('**/api/v1/search?*', (route) =>
		route.fulfill({ json: { items: known ? [{ kind: 'transaction', network: young.network, hash: young.hash }] : [] } })
	);
	await page.keyboard.press('/');
	await page.keyboard.type(late);
	await page.keyboard.press('Enter');
	await until('a word that it is waited for', async () => /looked for again/.test(await page.locator('[data-testid=search-said]').innerText()));
	known = true;
	await until('its page', async () => new URL(page.url()).pathname === `/txs/${young.network}/${young.hash}`);
	await page.unroute('**/api/v1/search?*');

	await open(`${live}/login?back=%2F%2Fevil.example`);
	await until('a word that no login is needed', async () => /No login is needed/.test(await page.locator('main').innerText()));
	assert.equal(await page.locator('main a.btn').getAttribute('href'), '/');

	assert.deepEqual(thrown, [], 'errors thrown in the page');
	console.log(`accounts (${people} things), overview (${figures}), alerts (${alerts}), Bitcoin (a transaction of ${inputs} inputs among them), transactions, failures, search, providers, contracts, keys, audit: empty, error, old, lost, without a WebSocket: all as they should be`);
} catch (error) {
	console.error(error.message ?? error);
	if (thrown.length > 0) console.error('thrown:', thrown.join('\n'));
	process.exitCode = 1;
} finally {
	await browser.close();
	for (const child of children) child.kill();
}

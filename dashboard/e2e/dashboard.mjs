// The page against a running server: HEADWATER_URL=http://127.0.0.1:8080 node e2e/dashboard.mjs
//
// Environment: HEADWATER_URL (wanted), HEADWATER_SCREENSHOT (where to write a picture), CHROMIUM (default
// /usr/bin/chromium), HEADWATER_E2E_TIMEOUT_MS (for each thing waited for, default 60,000).
// Exit status: 0 all held, 1 something did not (said on standard error), 2 HEADWATER_URL is missing.

import assert from 'node:assert/strict';
import { checkAudit } from './audit.mjs';
import { checkBlock } from './block.mjs';
import { hearViolations, launch, waiting } from './browser.mjs';
import { checkContracts, removeContract } from './contracts.mjs';
import { checkFailures } from './failures.mjs';
import { checkKeys, revokeKey } from './keys.mjs';
import { checkOverview } from './overview.mjs';
import { checkProviders } from './providers.mjs';
import { checkSearch } from './search.mjs';
import { checkSql } from './sql.mjs';
import { checkOwnAbi, checkTx } from './tx.mjs';
import { checkTxs } from './txs.mjs';

const url = process.env.HEADWATER_URL;
if (!url) {
	console.error('HEADWATER_URL is not set: the address of a running server, such as http://127.0.0.1:8080');
	process.exit(2);
}
const timeout = Number(process.env.HEADWATER_E2E_TIMEOUT_MS ?? 60_000);
const until = waiting(timeout);
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
page.setDefaultTimeout(timeout);

const errors = [];
const elsewhere = [];
/** While the server starts, it may answer 503, and the browser writes that down as an error. */
let started = false;
/** Answers to mistakes that the checks make on purpose; the browser writes each down as an error. */
const provoked = (message) =>
	(/status of (409|412|422) /.test(message.text()) && /\/api\/v1\/(contracts|keys)\b/.test(message.location().url)) ||
	(/status of 404 /.test(message.text()) && /\/txs\/[^/]+\/0x1+$/.test(message.location().url));
page.on('console', (message) => {
	if (message.type() !== 'error' || provoked(message)) return;
	if (!started && /status of 503/.test(message.text())) return;
	errors.push(`${message.text()} (${message.location().url})`);
});
page.on('pageerror', (error) => errors.push(String(error)));
page.on('request', (request) => {
	const { origin, protocol } = new URL(request.url());
	if (protocol.startsWith('http') && origin !== new URL(url).origin) elsewhere.push(request.url());
});
await hearViolations(page);

const seen = async () => Number((await page.locator('[data-testid=seen] b').first().innerText()).replaceAll(',', ''));
const statuses = () => page.locator('[data-key]').evaluateAll((rows) => rows.map((row) => row.dataset.status));
const networks = () => page.locator('[data-key]').evaluateAll((rows) => rows.map((row) => row.dataset.network));
const choose = (status) => page.locator(`input[name=status][value=${status}]`).check({ force: true });

try {
	await page.goto(url);
	assert.equal(await page.title(), 'Headwater');

	// Networks: a card each, as /health names them, with heights.
	await page.waitForSelector('[data-testid=networks] article');
	const health = await (await fetch(new URL('/api/v1/health', url))).json();
	const cards = page.locator('[data-testid=networks] article');
	const cardNames = await cards.evaluateAll((all) => all.map((card) => card.dataset.network).sort());
	assert.deepEqual(cardNames, health.networks.map((n) => n.network).sort());
	await until('a processed height on a card', async () => /\d/.test(await cards.first().locator('dd').first().innerText()));

	// Each network's way through the stages, as /health has it, and nothing that is wrong with all of them.
	const ways = await cards.evaluateAll((all) =>
		all.map((card) => [...card.querySelectorAll('[data-stage]')].map((mark) => mark.dataset.stage).join(' '))
	);
	assert.deepEqual(new Set(ways), new Set(['ingest enrich sink']));
	await until('every stage to be heard', async () => {
		const states = await page.locator('[data-testid=networks] [data-stage]').evaluateAll((all) => all.map((m) => m.dataset.state));
		return states.every((state) => ['running', 'live', 'syncing'].includes(state));
	});
	assert.equal(await page.locator('[data-testid=trouble]').count(), 0);

	// Live: connected, rows there, and their number grows.
	await until('the live connection', async () => (await page.locator('.connection.live').count()) === 1);
	await page.waitForSelector('[data-key]');
	started = true;
	const before = await seen();
	await until('a live transaction', async () => (await seen()) > before);
	assert.ok((await statuses()).every((s) => ['success', 'failed', 'unknown'].includes(s)));

	// Status filter: only matching rows, or a finished empty state.
	for (const status of ['failed', 'success']) {
		await choose(status);
		await until(`only ${status} rows, or none and a word about it`, async () => {
			const shown = await statuses();
			if (shown.length === 0) return (await page.locator('.empty').count()) === 1;
			return shown.every((s) => s === status);
		});
	}

	// Network filter.
	await choose('all');
	await page.selectOption('[data-testid=network-filter]', cardNames[0]);
	await until(`rows of ${cardNames[0]} only`, async () => {
		const shown = await networks();
		return shown.length > 0 ? shown.every((n) => n === cardNames[0]) : (await page.locator('.empty').count()) === 1;
	});
	await page.selectOption('[data-testid=network-filter]', '');
	await page.waitForSelector('[data-key]');

	// Pause by button: rows stand still from the click on. What stood there is read in the click's own turn, before anything
	// else can run in the page.
	await page.mouse.move(2, 2);
	await page.evaluate(() => {
		document.querySelector('button.pause').addEventListener(
			'click',
			() => (window.still = document.querySelector('[data-key]').dataset.key),
			{ once: true }
		);
	});
	await page.locator('button.pause').click();
	const still = await page.evaluate(() => window.still);
	const at = await seen();
	await until('a transaction while paused', async () => (await seen()) > at);
	assert.equal(await page.locator('[data-key]').first().getAttribute('data-key'), still);
	assert.match(await page.locator('[data-testid=withheld]').innerText(), /^[\d,]+ new$/);

	// Detail of the first row, by keyboard.
	const first = page.locator('[data-key]').first();
	const hash = await first.locator('.hash').getAttribute('title');
	await first.locator('.hash').focus();
	await page.keyboard.press('Enter');
	await page.waitForSelector('dialog[open]');
	assert.ok((await page.locator('dialog').innerText()).includes(hash));
	await until('the events in the detail', async () => (await page.locator('dialog [aria-busy=true]').count()) === 0);
	assert.equal(await page.locator('dialog .problem').count(), 0, 'the detail could not be loaded');
	await page.keyboard.press('Escape');
	await until('the detail to close', async () => (await page.locator('dialog').count()) === 0);
	await page.locator('button.pause').click();

	// Both themes.
	for (const theme of ['light', 'dark']) {
		await page.locator(`input[name=theme][value=${theme}]`).check({ force: true });
		assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), theme);
	}

	await new Promise((resolve) => setTimeout(resolve, 1_000));
	const liveSeen = await seen();
	if (process.env.HEADWATER_SCREENSHOT) await page.screenshot({ path: process.env.HEADWATER_SCREENSHOT });
	const violations = await page.evaluate(() => window.violations);

	// The page of transactions, by the navigation; one of them; and its block.
	await page.locator('nav a', { hasText: 'Transactions' }).click();
	const shown = await checkTxs(page, url, until);
	const tx = await checkTx(page, url, until);
	const ofBlock = await checkBlock(page, url, until, tx);
	assert.ok(await checkOwnAbi(page, url, until), 'nobody calls transfer(address,uint256)');
	violations.push(...(await page.evaluate(() => window.violations)));

	// Why transactions failed, by the navigation; and from anything that is pasted to its page.
	await page.locator('nav a', { hasText: 'Failures' }).click();
	const failures = await checkFailures(page, url, until);
	violations.push(...(await page.evaluate(() => window.violations)));
	const took = await checkSearch(page, url, until);
	violations.push(...(await page.evaluate(() => window.violations)));

	// The page of endpoints, by the navigation.
	await page.locator('nav a', { hasText: 'Providers' }).click();
	const providers = await checkProviders(page, url, until);
	violations.push(...(await page.evaluate(() => window.violations)));

	// The page of SQL, by the navigation.
	await page.locator('nav a', { hasText: 'SQL' }).click();
	const queries = await checkSql(page, url, until);
	violations.push(...(await page.evaluate(() => window.violations)));

	// What is wrong, and windows as charts, by the navigation.
	await page.setViewportSize({ width: 1440, height: 900 });
	await page.locator('nav a', { hasText: 'Overview' }).click();
	const windows = await checkOverview(page, url, until);
	violations.push(...(await page.evaluate(() => window.violations)));

	// What is made here: contracts, keys, and their entries in the audit. Each page by the navigation.
	await page.setViewportSize({ width: 1440, height: 900 });
	await page.locator('nav a', { hasText: 'Contracts' }).click();
	const contract = await checkContracts(page, url, until);
	await page.locator('nav a', { hasText: 'Keys' }).click();
	const key = await checkKeys(page, until, { name: 'from a browser', scopes: ['contracts:read'] });
	await revokeKey(page, until, key.id);
	violations.push(...(await page.evaluate(() => window.violations)));
	await removeContract(page, url, until, contract);
	const entries = await checkAudit(page, url, until, {
		id: contract,
		actions: ['contract.delete', 'contract.change', 'contract.change', 'contract.create'],
		changed: { action: 'contract.change', field: 'name', words: ['Theirs', 'Mine'] }
	});
	violations.push(...(await page.evaluate(() => window.violations)));

	assert.deepEqual(violations, [], 'violations of the content security policy');
	assert.deepEqual(elsewhere, [], 'requests to other hosts');
	assert.deepEqual(errors, [], 'errors on the console');
	console.log(`dashboard at ${url}: ${cardNames.length} networks, ${liveSeen} live transactions, ${windows} windows compared, ${shown} in the list, ${tx.events.length} events of one, a block of ${ofBlock}, ${failures.groups} groups of failures (${failures.kinds} kinds looked at, ${failures.traced} with a trace), from a hash to its sentence in ${took} ms, ${providers} endpoints with a score, ${queries} queries, ${entries} changes of a contract, no errors`);
} catch (error) {
	console.error(error.message ?? error);
	if (errors.length > 0) console.error('console:', errors.join('\n'));
	process.exitCode = 1;
} finally {
	await browser.close();
}

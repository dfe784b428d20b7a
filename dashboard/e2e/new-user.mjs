// The way of somebody who sees Headwater for the first time, against a running demo: HEADWATER_URL=http://127.0.0.1:8080 node e2e/new-user.mjs
//
// The page comes without a login and shows live transactions, 500 at least; a contract is added and its transactions are seen; a channel is
// made, and a test arrives at it; a rule is made, fires, and its message arrives once; from the alert to why a transaction failed; and the
// alert is acknowledged by the message's own link. Every message is verified by the library of Standard Webhooks. Clicks, keys and seconds
// are counted and said. What it makes it takes away at the end, the rule first.
//
// The server must be allowed to send to this machine ([alerts] allow_targets = ["127.0.0.1"], as the demo has it).
// Environment: HEADWATER_URL (wanted), HEADWATER_SHOTS (a folder for a picture of each step), CHROMIUM (default /usr/bin/chromium),
// HEADWATER_E2E_TIMEOUT_MS (for each thing waited for, default 90,000).
// Exit status: 0 all held, 1 something did not (said on standard error), 2 HEADWATER_URL is missing.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { hearViolations, launch, waiting } from './browser.mjs';
import { receiver } from './receiver.mjs';

const url = process.env.HEADWATER_URL;
if (!url) {
	console.error('HEADWATER_URL is not set: the address of a running demo, such as http://127.0.0.1:8080');
	process.exit(2);
}
const timeout = Number(process.env.HEADWATER_E2E_TIMEOUT_MS ?? 90_000);
const until = waiting(timeout);
const shots = process.env.HEADWATER_SHOTS;
if (shots) mkdirSync(shots, { recursive: true });

const TRANSACTIONS = 500;
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
page.setDefaultTimeout(timeout);
const errors = [];
page.on('pageerror', (error) => errors.push(String(error)));
await hearViolations(page);

const hook = await receiver();
const api = async (path, init) => {
	const response = await fetch(new URL(`/api/v1${path}`, url), init);
	return { status: response.status, etag: response.headers.get('etag'), body: response.status === 204 ? null : await response.json() };
};

const steps = [];
let clicks = 0;
let fills = 0;

/** One click of the user's. */
async function click(locator) {
	clicks++;
	await locator.click();
}

/** One field that the user fills in, or chooses in. */
async function fill(locator, text) {
	fills++;
	if ((await locator.evaluate((field) => field.tagName)) === 'SELECT') await locator.selectOption(text);
	else await locator.fill(text);
}

async function step(name, doIt) {
	const [began, before] = [Date.now(), [clicks, fills]];
	const more = await doIt();
	const taken = { step: name, seconds: (Date.now() - began) / 1000, clicks: clicks - before[0], fields: fills - before[1], ...more };
	steps.push(taken);
	console.error(`${taken.seconds.toFixed(1)} s, ${taken.clicks} clicks, ${taken.fields} fields: ${name}${more ? ` (${Object.entries(more).map(([k, v]) => `${k} ${v}`).join(', ')})` : ''}`);
	if (shots) await page.screenshot({ path: `${shots}/${String(steps.length).padStart(2, '0')}-${name.replaceAll(/\W+/g, '-')}.png` });
}

const made = {};
const messages = () => hook.verified(made.secret);
/** Without what some other test wrote about the same channel. */
const ofType = (type) => messages().filter((message) => message.type === type);

try {
	const total = Date.now();

	await step('the page without a login', async () => {
		await page.goto(url);
		await page.waitForSelector('[data-testid=networks] article');
		await until('a live transaction', async () => (await page.locator('[data-key]').count()) > 0);
		assert.equal(new URL(page.url()).pathname, '/');
	});

	await step('live transactions', async () => {
		const seen = await until(`${TRANSACTIONS} transactions in the last 24 h`, async () => {
			const { items } = (await api(`/txs?limit=${TRANSACTIONS}`)).body;
			return items.length >= TRANSACTIONS && items.length;
		});
		return { transactions: `${seen} or more` };
	});

	/** Whose transactions fail most. */
	const failing = await until('a contract whose transactions fail', async () => {
		const { items } = (await api('/txs?status=failed&limit=500')).body;
		const by = new Map();
		for (const { network, to } of items) if (to) by.set(`${network} ${to}`, (by.get(`${network} ${to}`) ?? 0) + 1);
		const [most] = [...by].sort((a, b) => b[1] - a[1])[0] ?? [];
		return most && { network: most.split(' ')[0], address: most.split(' ')[1] };
	});

	await step('a contract is added and seen', async () => {
		await click(page.locator('nav a', { hasText: 'Contracts' }));
		await click(page.locator('[data-testid=add]'));
		const form = page.locator('[data-testid=contract-form]');
		await fill(form.locator('[name=network]'), failing.network);
		await fill(form.locator('[name=address]'), failing.address);
		await fill(form.locator('[name=name]'), 'The new one');
		await click(form.locator('[data-testid=save]'));
		await page.waitForSelector('[data-testid=edit]');
		made.contract = new URL(page.url()).hash.slice(2);
		await until('its transactions', async () => {
			const figures = (await api(`/contracts/${made.contract}`)).body.figures;
			return (figures?.transactions_24h ?? 0) > 0;
		});
	});

	await step('a channel, and a test of it', async () => {
		await click(page.locator('dialog .close'));
		await click(page.locator('nav a', { hasText: 'Alerts' }).first());
		await click(page.locator('nav.tabs a', { hasText: 'Channels' }));
		await click(page.locator('[data-testid=add]'));
		const form = page.locator('[data-testid=channel-form]');
		await fill(form.locator('[name="config.url"]'), hook.url);
		await fill(form.locator('[name=name]'), 'My program');
		await click(form.locator('[data-testid=save]'));
		made.secret = await page.locator('[data-testid=secret-text]').innerText();
		made.channel = new URL(page.url()).hash.slice(2);
		const sent = Date.now();
		await click(page.locator('[data-testid=test]'));
		await page.waitForSelector('[data-testid=test-result][data-state=sent]');
		const [test] = ofType('channel.test');
		assert.ok(test, 'the test was said to have arrived, and did not');
		assert.equal(hook.taken.length, 1, 'one test, one message');
		return { 'the test arrived after': `${test.at - sent} ms` };
	});

	await step('a rule', async () => {
		await click(page.locator('dialog .close'));
		await click(page.locator('nav.tabs a', { hasText: 'Rules' }));
		await click(page.locator('[data-testid=add]'));
		const form = page.locator('[data-testid=rule-form]');
		await form.locator('button', { hasText: 'The new one' }).waitFor();
		await click(form.locator('button', { hasText: 'The new one' }));
		await fill(form.locator('[name=metric]'), 'failed');
		await fill(form.locator('[name=threshold]'), '0');
		// The only channel is chosen already, and the network is the contract's.
		const channel = form.locator(`input[name=channels][value="${made.channel}"]`);
		if (!(await channel.isChecked())) await click(channel);
		assert.ok(await form.locator(`input[name=networks][value="${failing.network}"]`).isChecked());
		await click(form.locator('[data-testid=save]'));
		await page.waitForSelector('[data-testid=edit]');
		made.rule = new URL(page.url()).hash.slice(2);
		made.ruleAt = Date.now();
	});

	await step('it fires, and its message arrives', async () => {
		await click(page.locator('dialog .close'));
		await click(page.locator('nav.tabs a', { hasText: 'Alerts' }));
		const row = page.locator('[data-testid=now] [data-alert]', { hasText: 'The new one' }).first();
		await row.waitFor();
		made.alert = await row.getAttribute('data-alert');
		const firing = await until('the message', () => ofType('alert.firing').find((m) => m.data.alert.id === made.alert));
		assert.equal(firing.data.alert.contract?.toLowerCase(), failing.address.toLowerCase());
		assert.ok(firing.data.alert.evidence.failed > 0);
		assert.ok(firing.data.alert.links.acknowledge);
		made.acknowledge = firing.data.alert.links.acknowledge;
		return { 'after the rule was made': `${((firing.at - made.ruleAt) / 1000).toFixed(1)} s` };
	});

	await step('why a transaction failed', async () => {
		await click(page.locator(`[data-alert="${made.alert}"] a`));
		await page.waitForSelector('[data-testid=evidence]');
		await click(page.locator('[data-testid=example]'));
		await until('its page', () => new URL(page.url()).pathname.startsWith('/txs/'));
		await page.waitForSelector('[data-testid=why] [data-testid=sentence]');
		await page.waitForSelector('[data-testid=found-by]');
		const sentence = await page.locator('[data-testid=why] [data-testid=sentence]').innerText();
		assert.ok(sentence.length > 10, sentence);
		return { said: `“${sentence}”` };
	});

	await step('the alert is acknowledged from the message', async () => {
		const { pathname } = new URL(made.acknowledge);
		// The link carries the public address; here it is this one.
		await page.goto(new URL(pathname, url).href);
		assert.equal((await api(`/alerts/${made.alert}`)).body.state, 'firing', 'to look at the link acknowledged it');
		await click(page.locator('button'));
		await until('it to be acknowledged', async () => (await api(`/alerts/${made.alert}`)).body.state === 'acknowledged');
		await page.goto(new URL(`/alerts/${made.alert}`, url).href);
		await page.waitForSelector('[data-testid=story] [data-event=acknowledged]');
		await until('that message, too', () => ofType('alert.acknowledged').length === 1);
		// Each message stands there with its attempts.
		await page.waitForSelector('[data-delivery][data-type="alert.firing"][data-state=sent]');
	});

	const firings = ofType('alert.firing').filter((m) => m.data.alert.id === made.alert);
	assert.equal(new Set(firings.map((m) => m.id)).size, 1, `${firings.length} messages that it fires`);
	assert.deepEqual(await page.evaluate(() => window.violations), [], 'violations of the content security policy');
	assert.deepEqual(errors, [], 'errors thrown in the page');
	const seconds = (Date.now() - total) / 1000;
	console.log(JSON.stringify({ seconds, clicks, fields: fills, messages: messages().map((m) => m.type), steps }, null, '\t'));
} catch (error) {
	console.error(error.message ?? error);
	console.error('messages:', hook.taken.map((m) => m.text.slice(0, 300)).join('\n') || 'none');
	if (errors.length > 0) console.error('thrown:', errors.join('\n'));
	if (shots) await page.screenshot({ path: `${shots}/failed.png` });
	process.exitCode = 1;
} finally {
	for (const [kind, id] of [['rules', made.rule], ['channels', made.channel], ['contracts', made.contract]]) {
		if (!id) continue;
		const { etag } = await api(`/${kind}/${id}`).catch(() => ({}));
		if (etag) await fetch(new URL(`/api/v1/${kind}/${id}`, url), { method: 'DELETE', headers: { 'if-match': etag, 'content-type': 'application/json' } }).catch(() => {});
	}
	await browser.close();
	hook.stop();
}

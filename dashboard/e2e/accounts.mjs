// Organisations in browsers of their own: HEADWATER_URL=http://127.0.0.1:8080 node e2e/accounts.mjs
//
// Two people sign up, and neither sees what the other made; one invites a third, who looks, is given more, and is taken out; all of it stands
// in the audit, what is used stands beside what is allowed, and everything can be taken along as a file. Whoever runs the server sees both
// organisations and suspends one.
//
// Environment: HEADWATER_URL (a running server with [auth] mode = "accounts" and sign_up = "open"), HEADWATER_BINARY and HEADWATER_CONFIG (the
// server's; without them nobody is made an operator), CHROMIUM (default /usr/bin/chromium), HEADWATER_E2E_TIMEOUT_MS (default 60,000).
// Exit status: 0 all held, 1 something did not (said on standard error), 2 HEADWATER_URL is missing.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { hearViolations, launch, waiting } from './browser.mjs';
import { checkKeys } from './keys.mjs';

const { HEADWATER_URL: url, HEADWATER_BINARY: binary, HEADWATER_CONFIG: config } = process.env;
if (!url) {
	console.error('HEADWATER_URL is wanted: a running server with [auth] mode = "accounts" and sign_up = "open"');
	process.exit(2);
}
const timeout = Number(process.env.HEADWATER_E2E_TIMEOUT_MS ?? 60_000);
const until = waiting(timeout);
const browser = await launch();
const errors = [];
const PASSWORD = 'three otters on a raft';
/** Addresses of this run: the server may have been here before. */
const run = Date.now().toString(36);
const mail = (name) => `${name}.${run}@example.com`;

/** A browser of its own, with no cookie. */
async function open(path) {
	const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
	const page = await context.newPage();
	page.setDefaultTimeout(timeout);
	page.on('pageerror', (error) => errors.push(String(error)));
	await hearViolations(page);
	await page.goto(new URL(path, url).href);
	return page;
}
const at = (page) => new URL(page.url()).pathname;
const acting = (page) => page.locator('[data-testid=who] .name').innerText().catch(() => '');
/** What the page's own session gets, by its cookie. */
const status = (page, path) => page.evaluate(async (path) => (await fetch(`/api/v1${path}`)).status, path);

async function signUp(page, email, organisation) {
	await page.waitForSelector('[data-testid=sign-up]');
	await page.locator('input[name=email]').fill(email);
	await page.locator('input[name=password]').fill(PASSWORD);
	if (organisation) await page.locator('input[name=organisation]').fill(organisation);
	await page.keyboard.press('Enter');
	await until(`${email} to be in`, () => at(page) === '/');
}

try {
	// Two organisations in two browsers.
	const [alpha, beta] = [`Alpha ${run}`, `Beta ${run}`];
	const ada = await open('/sign-up');
	await signUp(ada, mail('ada'), alpha);
	await until('the organisation in the head', async () => (await acting(ada)) === alpha);
	assert.equal(await ada.evaluate(() => document.cookie), '', 'a script can read the cookie');
	const bob = await open('/sign-up');
	await signUp(bob, mail('bob'), beta);

	// What one makes is not there for the other.
	await ada.goto(new URL('/keys', url).href);
	const key = await checkKeys(ada, until, { name: 'a program of alpha', scopes: ['chains:read', 'usage:read'] });
	const asked = await fetch(new URL('/api/v1/usage', url), { headers: { authorization: `Bearer ${key.second}` } });
	assert.equal(asked.status, 200, await asked.text());
	assert.equal(await status(ada, `/keys/${key.id}`), 200);
	assert.equal(await status(bob, `/keys/${key.id}`), 404);
	await bob.goto(new URL('/keys', url).href);
	await bob.waitForSelector('[data-testid=none]');

	// Out, a wrong password, and in again to where one was.
	await bob.locator('[data-testid=who]').click();
	await bob.locator('[data-testid=sign-out]').click();
	await bob.waitForSelector('[data-testid=person-login]');
	await bob.locator('input[name=email]').fill(mail('bob'));
	await bob.locator('input[name=password]').fill('three otters on a boat');
	await bob.keyboard.press('Enter');
	await until('the refusal', async () => (await bob.locator('[data-field=password] .wrong').innerText()).length > 0);
	await bob.locator('input[name=password]').fill(PASSWORD);
	await bob.keyboard.press('Enter');
	await until('the way back', () => at(bob) === '/keys');

	// A third is invited, may look, and no more than that.
	await ada.goto(new URL('/organisation', url).href);
	const invite = ada.locator('[data-testid=invite]');
	await invite.locator('input[name=email]').fill(mail('cleo'));
	await invite.locator('button[type=submit]').click();
	const link = await ada.locator('[data-testid=invited] input').inputValue();
	const cleo = await open(new URL(link).pathname + new URL(link).hash);
	await signUp(cleo, mail('cleo'));
	await until('the organisation of the invitation', async () => (await acting(cleo)) === alpha);
	assert.equal(await status(cleo, '/keys'), 403);
	assert.equal(await status(cleo, '/usage'), 200);

	// Given more, which holds by itself; then taken out, and led to the login by itself.
	const row = ada.locator(`[data-member="${mail('cleo')}"]`);
	await until('the third in the list', async () => (await row.getAttribute('data-state').catch(() => '')) === 'member');
	await row.locator('select').selectOption('admin');
	await ada.locator('[data-testid=yes]').click();
	await until('the third to see keys', async () => (await status(cleo, '/keys')) === 200);
	await until('the role in the list', async () => (await row.locator('select').inputValue()) === 'admin');
	await row.locator('button', { hasText: 'Remove' }).click();
	await ada.locator('[data-testid=yes]').click();
	await until('the third to be out', async () => (await status(cleo, '/usage')) === 401);
	await until('the login, by itself', () => at(cleo) === '/login');

	// It stands in the audit; what is used stands beside what is allowed; all of it is a file.
	await ada.goto(new URL('/audit', url).href);
	await ada.waitForSelector('[data-entry]');
	const actions = await ada.locator('[data-entry]').evaluateAll((all) => all.map((entry) => entry.dataset.action));
	for (const action of ['member.remove', 'member.change', 'member.join', 'invitation.create', 'key.create']) assert.ok(actions.includes(action), actions.join());
	await ada.goto(new URL('/usage', url).href);
	await ada.waitForSelector('[data-quota=keys]');
	assert.match(await ada.locator('[data-quota=keys] .used').innerText(), /^1\b/);
	await ada.goto(new URL('/organisation', url).href);
	await ada.locator('[data-testid=export]').click();
	const file = await ada.locator('[data-testid=exported] a').getAttribute('href');
	const lines = (await ada.evaluate(async (file) => (await fetch(file)).text(), file)).trim().split('\n').map((line) => JSON.parse(line));
	assert.equal(lines[0].kind, 'headwater.organisation');
	assert.equal(lines.at(-1).kind, 'end');
	assert.ok(lines.some((line) => line.kind === 'key' && line.id === key.id));

	// Another organisation of one's own, and back.
	await ada.locator('[data-testid=make] input').fill(`Second ${run}`);
	await ada.locator('[data-testid=make] button').click();
	await until('the second one', async () => (await acting(ada)) === `Second ${run}`);
	assert.equal(await status(ada, `/keys/${key.id}`), 404);
	await ada.locator('[data-testid=who]').click();
	await ada.locator('[data-organisation]', { hasText: alpha }).click();
	await until('the first one', async () => (await acting(ada)) === alpha);

	// Whoever runs the server sees all of them, and suspends one: its people are out within seconds.
	assert.equal(await status(ada, '/platform/organisations'), 403);
	if (binary && config) {
		execFileSync(binary, ['people', 'operator', mail('ada'), '--config', config]);
		await until('the operator’s page', async () => {
			await ada.goto(new URL('/operator', url).href);
			return (await ada.locator('[data-tenant]').first().waitFor({ timeout: 2_000 }).then(() => true, () => false));
		});
		const tenant = ada.locator('[data-tenant]', { hasText: beta });
		await tenant.locator('button', { hasText: 'Suspend' }).click();
		await ada.locator('input[name=reason]').fill('for a test');
		await ada.locator('[data-testid=yes]').click();
		await until('it suspended', async () => (await tenant.getAttribute('data-state')) === 'suspended');
		await until('its people to be out', async () => (await status(bob, '/keys')) !== 200);
		await tenant.locator('button', { hasText: 'Resume' }).click();
		await ada.locator('[data-testid=yes]').click();
		await until('it resumed', async () => (await tenant.getAttribute('data-state')) === 'active');
	}

	for (const page of [ada, bob]) assert.deepEqual(await page.evaluate(() => window.violations), [], 'violations of the content security policy');
	assert.deepEqual(errors, [], 'errors thrown in the page');
	console.log(`accounts at ${url}: two organisations, an invitation, roles, a file, switching${binary && config ? ', an operator' : ''}; ${actions.length} entries in the audit`);
} catch (error) {
	console.error(error.message ?? error);
	if (errors.length > 0) console.error('thrown:', errors.join('\n'));
	process.exitCode = 1;
} finally {
	await browser.close();
}

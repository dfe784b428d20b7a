// The pages where keys are asked for: HEADWATER_URL=http://127.0.0.1:8080 HEADWATER_KEY=hw_… node e2e/login.mjs
//
// Signing in leads back to where one was; a key that may only look changes nothing and says why; a revoked one is signed out; and
// nothing of a key stays in the page.
//
// Environment: HEADWATER_URL and HEADWATER_KEY (an operator's; both wanted), CHROMIUM (default /usr/bin/chromium),
// HEADWATER_E2E_TIMEOUT_MS (for each thing waited for, default 60,000).
// Exit status: 0 all held, 1 something did not (said on standard error), 2 one of the two is missing.

import assert from 'node:assert/strict';
import { checkAudit } from './audit.mjs';
import { hearViolations, launch, waiting } from './browser.mjs';
import { checkKeys, revokeKey } from './keys.mjs';

const { HEADWATER_URL: url, HEADWATER_KEY: operator } = process.env;
if (!url || !operator) {
	console.error('HEADWATER_URL and HEADWATER_KEY are wanted: a running server with [auth] mode = "keys", and an operator key');
	process.exit(2);
}
const timeout = Number(process.env.HEADWATER_E2E_TIMEOUT_MS ?? 60_000);
const until = waiting(timeout);
const browser = await launch();
const errors = [];

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

async function signIn(page, key) {
	await page.locator('input[name=key]').fill(key);
	await page.keyboard.press('Enter');
}

const at = (page) => {
	const { pathname, search, hash } = new URL(page.url());
	return pathname + search + hash;
};

try {
	// Nobody yet: the login, whatever page was asked for; and no answer without it.
	assert.equal((await fetch(new URL('/api/v1/keys', url))).status, 401);
	const page = await open('/audit?resource=key');
	await page.waitForSelector('input[name=key]');
	assert.equal(await page.title(), 'Sign in · Headwater');
	assert.equal(await page.locator('input[name=key]').getAttribute('type'), 'password');
	await signIn(page, 'hw_aaaaaaaa_aaaaaaaaaaaaaaaaaaaaaa');
	await until('the refusal at the field', async () => (await page.locator('[data-field=key] .wrong').innerText()).length > 0);
	await signIn(page, operator);
	await until('the way back to where one was', () => at(page) === '/audit?resource=key');
	await page.waitForSelector('[data-testid=who]');
	assert.ok(!(await page.content()).includes(operator), 'the page has the key');
	assert.equal(await page.evaluate(() => document.cookie), '', 'a script can read the cookie');
	assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes('hw_')), false);

	// A key that may only look, made by hand; the server takes its second text.
	await page.locator('nav a', { hasText: 'Keys' }).click();
	const scopes = ['contracts:read', 'keys:read', 'chains:read'];
	const key = await checkKeys(page, until, { name: 'only looks', scopes });
	const asked = await fetch(new URL('/api/v1/contracts', url), { headers: { authorization: `Bearer ${key.second}` } });
	assert.equal(asked.status, 200, await asked.text());

	// With it: what it may is shown, what it may not is there, does nothing, and says why.
	const looker = await open('/contracts');
	await looker.waitForSelector('input[name=key]');
	await signIn(looker, key.second);
	await until('the contracts', () => at(looker) === '/contracts');
	const add = looker.locator('[data-testid=add]');
	await until('the button to say why', async () => /only looks.*contracts:write/.test((await add.getAttribute('title')) ?? ''));
	assert.equal(await add.getAttribute('aria-disabled'), 'true');
	await add.focus();
	await looker.keyboard.press('Enter');
	assert.equal(await looker.locator('dialog').count(), 0);
	await looker.locator('[data-testid=who]').click();
	const panel = await looker.locator('#who').innerText();
	for (const word of ['only looks', `hw_${key.second.slice(3, 11)}_`, ...scopes]) assert.ok(panel.includes(word), panel);
	await looker.keyboard.press('Escape');

	// Revoked in the other browser: it is signed out by itself, and its key is refused.
	await revokeKey(page, until, key.id);
	await until('the login, by itself', () => at(looker).startsWith('/login'));
	await signIn(looker, key.second);
	await until('the refusal of a revoked key', async () => (await looker.locator('[data-field=key] .wrong').innerText()).length > 0);
	await looker.context().close();

	// All of it stands in the audit.
	const entries = await checkAudit(page, url, until, {
		id: key.id,
		actions: ['key.revoke', 'key.rotate', 'key.create'],
		changed: { action: 'key.rotate', field: 'prefix', words: [key.first.slice(3, 11), key.second.slice(3, 11)] }
	});

	// Out: the next page is the login, going back shows nothing.
	await page.goto(new URL('/keys', url).href);
	await page.waitForSelector('[data-key-id]');
	await page.locator('[data-testid=who]').click();
	await page.locator('[data-testid=sign-out]').click();
	await until('the login', () => at(page) === '/login?back=%2Fkeys');
	await page.goto(new URL('/contracts', url).href);
	await page.waitForSelector('input[name=key]');

	// On a narrow screen.
	await page.setViewportSize({ width: 390, height: 844 });
	const width = await page.evaluate(() => document.documentElement.scrollWidth);
	assert.ok(width <= 390, `the login is ${width} px wide on a screen of 390`);

	assert.deepEqual(await page.evaluate(() => window.violations), [], 'violations of the content security policy');
	assert.deepEqual(errors, [], 'errors thrown in the page');
	console.log(`login at ${url}: in, back, looked, refused, revoked, out; ${entries} entries in the audit`);
} catch (error) {
	console.error(error.message ?? error);
	if (errors.length > 0) console.error('thrown:', errors.join('\n'));
	process.exitCode = 1;
} finally {
	await browser.close();
}

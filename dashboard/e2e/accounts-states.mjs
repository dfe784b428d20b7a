// People, against the mock: signing in with a password and a code, the way back, signing up, invitations, roles, switching, what another tab
// did meanwhile, quotas, exports, suspending, and what stands behind the # of a mail's link. Sizes of 390 px, and the keyboard.

import assert from 'node:assert/strict';

const PASSWORD = 'correct horse battery';

/** Answers how many things were tried. */
export async function checkAccountStates({ mock, browser, until }) {
	const url = await mock('live', '--auth', 'accounts');
	const closed = await mock('live', '--auth', 'accounts', '--sign-up', 'closed');
	const thrown = [];
	const contexts = [];
	let tried = 0;

	/** A browser of its own. */
	async function fresh(path, of = url) {
		const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
		contexts.push(context);
		return tab(context, path, of);
	}
	async function tab(context, path, of = url) {
		const page = await context.newPage();
		page.setDefaultTimeout(20_000);
		page.on('pageerror', (error) => thrown.push(String(error)));
		await page.goto(of + path);
		return page;
	}
	const at = (page) => {
		const { pathname, search, hash } = new URL(page.url());
		return pathname + search + hash;
	};
	const said = (page, field) => page.locator(`[data-field=${field}] .wrong`).innerText();
	async function signIn(page, email, password = PASSWORD) {
		await page.locator('input[name=email]').fill(email);
		await page.locator('input[name=password]').fill(password);
		await page.keyboard.press('Enter');
	}
	async function narrow(page, what, before = async () => {}) {
		const size = page.viewportSize();
		await page.setViewportSize({ width: 390, height: 844 });
		await before();
		const width = await page.evaluate(() => document.documentElement.scrollWidth);
		assert.ok(width <= 390, `${what} is ${width} px wide on a screen of 390`);
		await page.setViewportSize(size);
		tried++;
	}

	// Nobody yet: the login, with ways in; a wrong password at its field; then back to where one was.
	const ada = await fresh('/usage?a=b');
	await ada.waitForSelector('[data-testid=person-login]');
	assert.equal(at(ada), '/login?back=%2Fusage%3Fa%3Db');
	assert.equal(await ada.locator('[data-provider=sso]').getAttribute('href'), '/api/v1/auth/oidc/sso?back=%2Fusage%3Fa%3Db');
	assert.equal(await ada.locator('input[name=password]').getAttribute('type'), 'password');
	await narrow(ada, 'the login');
	await ada.keyboard.press('Tab');
	await signIn(ada, 'ada@example.com', 'wrong');
	await until('the refusal at the password', async () => /not right/.test(await said(ada, 'password')));
	await signIn(ada, 'ada@example.com');
	await until('the way back', () => at(ada) === '/usage?a=b');
	assert.equal(await ada.evaluate(() => document.cookie), '', 'a script can read the cookie');
	tried += 3;

	// Quotas: what is used up, and what is nearly so, in words and not by colour alone.
	await ada.waitForSelector('[data-quota=unindexed_monitors][data-state=full]');
	assert.match(await ada.locator('[data-quota=monitors]').innerText(), /41 of 50\s*nearly used/);
	assert.match(await ada.locator('[data-quota=backtest_rows]').innerText(), /1,200,000, no limit/);
	assert.match(await ada.locator('[data-testid=full]').innerText(), /1 quota is used up/);
	assert.equal(await ada.locator('nav a[aria-current=page]').innerText(), 'Usage');
	await narrow(ada, 'the usage');
	tried += 2;

	// A second step: asked for once the password was right, and no mistake the first time.
	const grace = await fresh('/login');
	await grace.waitForSelector('[data-testid=person-login]');
	await signIn(grace, 'grace@example.com');
	const code = grace.locator('input[name=code]');
	await code.waitFor();
	await until('the focus in it', () => code.evaluate((field) => field === document.activeElement));
	assert.equal(await said(grace, 'code'), '');
	await code.fill('000000');
	await grace.keyboard.press('Enter');
	await until('a wrong code to be told', async () => /not right/.test(await said(grace, 'code')));
	await code.fill('123 456');
	await grace.keyboard.press('Enter');
	await until('the page', () => at(grace) === '/');
	tried += 2;

	// What a role does not allow is there, does nothing, and says why.
	await grace.goto(`${url}/organisation`);
	await grace.waitForSelector('[data-testid=delete]');
	assert.equal(await grace.locator('[data-testid=members]').count(), 0);
	assert.match(await grace.locator('[data-testid=delete]').getAttribute('title'), /Only an owner/);
	await grace.locator('[data-testid=delete]').focus();
	await grace.keyboard.press('Enter');
	assert.equal(await grace.locator('dialog').count(), 0);
	await grace.goto(`${url}/operator`);
	await grace.waitForSelector('[data-testid=refused]');
	assert.equal(await grace.locator('nav a', { hasText: 'Operator' }).count(), 0);
	tried += 2;

	// Members: one is invited, the link stands there once; a mistake stands at its field.
	await ada.locator('nav a', { hasText: 'Organisation' }).click();
	const row = (email) => ada.locator(`[data-member="${email}"]`);
	await row('grace@example.com').waitFor();
	const invite = ada.locator('[data-testid=invite]');
	await invite.locator('input[name=email]').fill('new@example.com');
	await invite.locator('select[name=role]').selectOption('editor');
	await invite.locator('button[type=submit]').click();
	const link = await ada.locator('[data-testid=invited] input').inputValue();
	assert.match(link, /\/sign-up#invitation=hwi_[0-9a-f]+$/);
	await until('the invitation in the list', async () => (await row('new@example.com').getAttribute('data-state').catch(() => '')) === 'invited');
	await narrow(ada, 'the organisation');
	tried += 2;

	// The only owner stays; another role is asked about first.
	assert.match(await row('ada@example.com').locator('button', { hasText: 'Leave' }).getAttribute('title'), /owner at all times/);
	await row('grace@example.com').locator('select').selectOption('viewer');
	await ada.locator('dialog button', { hasText: 'Cancel' }).click();
	assert.equal(await row('grace@example.com').locator('select').inputValue(), 'editor');
	await row('grace@example.com').locator('select').selectOption('admin');
	await ada.locator('[data-testid=yes]').click();
	await until('the other role', async () => (await row('grace@example.com').locator('select').inputValue()) === 'admin');
	tried += 2;

	// The invitation is taken by whoever it was written to, and by nobody else; its text leaves the address.
	const guest = await fresh(new URL(link).pathname + new URL(link).hash);
	await guest.waitForSelector('[data-testid=sign-up]');
	assert.equal(await guest.locator('input[name=organisation]').count(), 0);
	assert.equal(await guest.locator('[data-provider=sso]').getAttribute('href'), null, 'an invitation stands in no address');
	await guest.locator('input[name=email]').fill('other@example.com');
	await guest.locator('input[name=password]').fill('short');
	await guest.keyboard.press('Enter');
	await until('a short password to be told', async () => /too short/.test(await said(guest, 'password')));
	await guest.locator('input[name=password]').fill(PASSWORD);
	await guest.keyboard.press('Enter');
	await until('the refusal', async () => /No such invitation/.test(await guest.locator('.problem').innerText().catch(() => '')));
	await guest.locator('input[name=email]').fill('new@example.com');
	await guest.keyboard.press('Enter');
	await until('to be in', () => at(guest) === '/');
	assert.equal(await guest.locator('[data-testid=who] .name').innerText(), 'Acme Settlement');
	await until('the list to tell', async () => (await ada.reload(), await row('new@example.com').getAttribute('data-state').catch(() => '')) === 'member');
	tried += 3;

	// Switching: the page begins anew in the other organisation. A tab of before sends nothing there.
	const second = await tab(ada.context(), '/organisation');
	await second.waitForSelector('[data-testid=rename] input');
	await narrow(ada, 'the panel of organisations', () => ada.locator('[data-testid=who]').click());
	await ada.keyboard.press('Escape');
	await ada.locator('[data-testid=who]').click();
	await ada.locator('[data-organisation]', { hasText: 'Beta Research' }).click();
	await until('the other organisation', async () => (await ada.locator('[data-testid=who] .name').innerText().catch(() => '')) === 'Beta Research');
	await ada.locator('[data-testid=delete]').waitFor();
	assert.match(await ada.locator('.lead').innerText(), /a viewer of it/);
	const asked = [];
	second.on('request', (request) => request.method() === 'PATCH' && asked.push(request.headers()['x-headwater-csrf']));
	await second.locator('[data-testid=rename] input').fill('Renamed by mistake');
	await second.locator('[data-testid=rename] button').click();
	await until('the tab to begin anew', async () => (await second.locator('.lead h2').innerText().catch(() => '')) === 'Beta Research');
	assert.ok(new Set(asked).size <= 1, 'a change was sent again for another organisation');
	await second.close();
	await ada.locator('[data-testid=who]').click();
	await ada.locator('[data-organisation]', { hasText: 'Acme' }).click();
	await until('the first one again', async () => (await ada.locator('.lead h2').innerText().catch(() => '')) === 'Acme Settlement');
	tried += 2;

	// A file of it, and another organisation of a file; one of its own; the end of that, once its name was written.
	await ada.locator('[data-testid=export]').click();
	await until('the file', async () => /Save the file/.test(await ada.locator('[data-testid=exported]').innerText().catch(() => '')));
	await ada.locator('input[name=import]').setInputFiles({ name: 'acme.jsonl', mimeType: 'application/x-ndjson', buffer: Buffer.from('{"kind":"headwater.organisation","version":1,"name":"Acme"}\n{"kind":"history"}\n{"kind":"alert"}\n') });
	assert.equal(await ada.locator('[data-testid=import] input').inputValue(), 'Acme');
	await ada.locator('[data-testid=import] input').fill('Acme again');
	await ada.locator('[data-testid=import] button').click();
	await until('what it lacks', async () => /wait for their secrets: ops/.test(await ada.locator('[data-testid=imported]').innerText().catch(() => '')));
	await ada.locator('[data-testid=imported] button').click();
	await until('the new one', async () => (await ada.locator('.lead h2').innerText().catch(() => '')) === 'Acme again');
	await ada.locator('[data-testid=delete]').click();
	assert.equal(await ada.locator('[data-testid=yes]').getAttribute('aria-disabled'), 'true');
	await ada.locator('input[name=typed]').fill('Acme again');
	await ada.locator('[data-testid=yes]').click();
	await until('to be out of it', () => at(ada) === '/');
	tried += 3;

	// The operator's page: noisiest first, by what is chosen; suspending says why.
	const operator = await fresh('/login?back=/operator');
	let looked = 0;
	operator.on('request', (request) => (looked += request.url().endsWith('/platform/tombstones') ? 1 : 0));
	await operator.waitForSelector('[data-testid=person-login]');
	await signIn(operator, 'ada@example.com');
	await operator.waitForSelector('[data-tenant]');
	const names = () => operator.locator('[data-tenant] .name').allInnerTexts();
	assert.equal((await names())[0], 'Acme Settlement');
	assert.match(await operator.locator('[data-testid=noisy]').innerText(), /9\d(\.\d)? % of all/);
	await narrow(operator, 'the operator’s page');
	const beta = operator.locator('[data-tenant]', { hasText: 'Beta Research' });
	await beta.locator('button', { hasText: 'Suspend' }).click();
	assert.equal(await operator.locator('[data-testid=yes]').getAttribute('aria-disabled'), 'true');
	await operator.locator('input[name=reason]').fill('too many requests');
	await operator.locator('[data-testid=yes]').click();
	await until('it suspended', async () => (await beta.getAttribute('data-state')) === 'suspended' && /too many requests/.test(await beta.innerText()));
	await beta.locator('button', { hasText: 'Resume' }).click();
	await operator.locator('[data-testid=yes]').click();
	await until('it resumed', async () => (await beta.getAttribute('data-state')) === 'active');
	await beta.locator('button', { hasText: 'Plan' }).click();
	await operator.locator('input[name=plan]').fill('team');
	await operator.locator('[data-testid=yes]').click();
	await until('the other plan', async () => /team/.test(await beta.locator('[data-label=plan]').innerText()));
	// Networks: all of them, or those that are chosen; and its members see which.
	// What it reaches now cannot be read: the question says so, and asks once more.
	const reached = /\/platform\/organisations\/[^/?]+$/;
	await operator.route(reached, (route) => route.abort());
	await beta.locator('button', { hasText: 'Networks' }).click();
	await operator.waitForSelector('dialog .problem');
	assert.match(await operator.locator('[data-testid=yes]').getAttribute('title'), /could not be read/);
	await operator.unroute(reached);
	await operator.locator('dialog .problem button').click();
	await operator.locator('label', { hasText: 'only these' }).click();
	assert.equal(await operator.locator('[data-testid=yes]').getAttribute('aria-disabled'), 'true');
	await operator.locator('dialog input[type=checkbox]').first().check();
	await operator.locator('[data-testid=yes]').click();
	await until('the networks changed', async () => /reaches \S+ now/.test(await operator.locator('[data-testid=said]').innerText()));
	// What stays of those that are gone: read when somebody looks, not whenever the list is.
	assert.equal(looked, 0);
	await operator.locator('[data-testid=deleted] > summary').click();
	await operator.locator('[data-testid=tombstones] summary').first().click();
	assert.match(await operator.locator('[data-testid=tombstones]').innerText(), /Delta, gone[\s\S]*128 entries[\s\S]*alert_rows/);
	assert.equal(looked, 1);
	tried += 6;

	// Where no provider is configured it says so, and how one comes to be; what somebody came in by before stands there still.
	const ways = '**/api/v1/auth/ways';
	await operator.route(ways, (route) => route.fulfill({ json: { mode: 'accounts', sign_up: 'open', providers: [], reset: true } }));
	await operator.goto(`${url}/account`);
	await operator.waitForSelector('[data-identity=sso]');
	assert.match(await operator.locator('[data-testid=no-providers]').innerText(), /No provider is configured[\s\S]*\[\[auth\.oidc\]\][\s\S]*docs\/providers\.md/);
	await operator.unroute(ways);
	// The account: a wrong password is no way out of it; a second step; out everywhere, and the other browser with it.
	await operator.goto(`${url}/account`);
	const form = operator.locator('[data-testid=password]');
	await form.locator('input[name=password]').fill('not it');
	await form.locator('input[name=new]').fill('another horse battery');
	await form.locator('button[type=submit]').click();
	await until('the mistake at its field', async () => /present one/.test(await form.locator('[data-field=password] .wrong').innerText()));
	assert.equal(at(operator), '/account');
	await operator.locator('[data-testid=totp] button', { hasText: 'Turn on' }).click();
	await operator.locator('[data-testid=totp-prove] input[name=password]').fill(PASSWORD);
	await operator.keyboard.press('Enter');
	assert.equal((await operator.locator('[data-testid=totp-secret]').innerText()).slice(0, 9), 'JBSW Y3DP');
	await operator.locator('[data-testid=totp-confirm] input[name=code]').fill('123456');
	await operator.keyboard.press('Enter');
	await operator.waitForSelector('[data-testid=recovery]');
	await narrow(operator, 'the account');
	await operator.locator('[data-testid=recovery] .btn.primary').click();
	await until('it on', async () => /^on/.test(await operator.locator('[data-testid=totp-state]').innerText().catch(() => '')));
	await operator.locator('[data-testid=everywhere]').click();
	await operator.locator('[data-testid=yes]').click();
	await until('the login', () => at(operator).startsWith('/login'));
	await ada.goto(`${url}/keys`);
	await until('the login in the other browser', () => at(ada).startsWith('/login?back=%2Fkeys'));
	tried += 4;

	// Links of mails: their texts leave the address at once. A forgotten password says the same for whatever address.
	const mail = await fresh('/login#reset=reset-token-1');
	await mail.waitForSelector('[data-testid=forgotten]');
	assert.equal(at(mail), '/login');
	await mail.locator('input[name=password]').fill('another horse battery');
	await mail.keyboard.press('Enter');
	await mail.locator('button', { hasText: 'Sign in' }).click();
	await mail.waitForSelector('[data-testid=person-login]');
	await mail.locator('button', { hasText: 'Forgot' }).click();
	await mail.locator('input[name=email]').fill('nobody@example.com');
	await mail.keyboard.press('Enter');
	await until('the same words for whoever', async () => /If nobody@example.com has an account/.test(await mail.locator('[data-testid=reset-asked]').innerText().catch(() => '')));
	await mail.goto(`${url}/login?problem=%3Cimg%20src%3Dx%3E`);
	await until('a problem of a provider', async () => /did not end well/.test(await mail.locator('.problem').innerText().catch(() => '')));
	assert.ok(!(await mail.locator('main').innerText()).includes('img'));
	// An address is confirmed by whoever is signed in to its account, and by no click alone.
	await mail.goto(`${url}/sign-up`);
	await mail.goto(`${url}/login#verify=verify-token-1`);
	await mail.waitForSelector('[data-testid=prove]');
	assert.equal(at(mail), '/login');
	assert.equal(await mail.locator('[data-testid=verified]').count(), 0);
	await signIn(mail, 'new@example.com');
	await mail.waitForSelector('[data-testid=verified]');
	assert.equal(at(mail), '/login');
	tried += 5;

	// Signing up: open makes an organisation; closed says so.
	const made = await fresh('/sign-up');
	await made.waitForSelector('[data-testid=sign-up]');
	await made.locator('input[name=email]').fill('eve@example.com');
	await made.locator('input[name=password]').fill(PASSWORD);
	await made.locator('input[name=organisation]').fill('Eve and others');
	await narrow(made, 'the sign-up');
	await made.locator('button[type=submit]').click();
	await until('to be in it', async () => (await made.locator('[data-testid=who] .name').innerText().catch(() => '')) === 'Eve and others');
	// Where mails are sent, nothing is there before the link and the password.
	const mailed = await fresh('/sign-up');
	await mailed.waitForSelector('[data-testid=sign-up]');
	await mailed.locator('input[name=email]').fill('fay@mailed.example.com');
	await mailed.locator('input[name=password]').fill(PASSWORD);
	await mailed.locator('input[name=organisation]').fill('Fay and others');
	await mailed.locator('button[type=submit]').click();
	await mailed.waitForSelector('[data-testid=sign-up-sent]');
	await mailed.goto(`${url}/login`);
	await mailed.goto(`${url}/sign-up#confirm=confirm-token-1`);
	await mailed.waitForSelector('[data-testid=confirm]');
	assert.equal(at(mailed), '/sign-up');
	await mailed.locator('input[name=password]').fill('not the one');
	await mailed.keyboard.press('Enter');
	await until('the mistake at the password', async () => /not the one/.test(await said(mailed, 'password')));
	await narrow(mailed, 'the password of a mail’s link');
	await mailed.locator('input[name=password]').fill(PASSWORD);
	await mailed.keyboard.press('Enter');
	await until('to be in it by the link', async () => (await mailed.locator('[data-testid=who] .name').innerText().catch(() => '')) === 'Fay and others');
	// Providers that one comes in by: taken away with the password.
	await mailed.goto(`${url}/account`);
	const joined = mailed.locator('[data-identity=sso]');
	await joined.waitFor();
	await joined.locator('button').click();
	await until('the password to be wanted', async () => /present one/.test(await said(mailed, 'provider-password')));
	await mailed.locator('input[name=provider-password]').fill(PASSWORD);
	await joined.locator('button').click();
	await until('it gone', async () => (await joined.count()) === 0);
	tried += 4;
	const shut = await fresh('/sign-up', closed);
	await until('closed to say so', async () => /No sign-up here/.test(await shut.locator('main').innerText()));
	tried += 2;

	for (const context of contexts) await context.close();
	assert.deepEqual(thrown, [], 'errors thrown in the pages of accounts');
	return tried;
}

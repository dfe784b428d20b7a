// The page /keys: a key is made, its text shown once and kept from being closed by accident, given another one, and revoked.

import assert from 'node:assert/strict';

/** Checks the page that `page` is on. Answers the key's id and its texts, the first and the one after. */
export async function checkKeys(page, until, { name, scopes }) {
	await page.waitForSelector('[data-testid=make]');
	assert.equal(new URL(page.url()).pathname, '/keys');
	assert.equal(await page.title(), 'Keys · Headwater');
	assert.equal(await page.locator('nav a[aria-current=page]').innerText(), 'Keys');

	await page.locator('[data-testid=make]').click();
	const form = page.locator('[data-testid=key-form]');
	await form.waitFor();
	await form.locator('[data-testid=save]').click();
	await until('the mistakes at their fields', async () => /1 to 100/.test(await form.locator('[data-field=name]').innerText()));
	await form.locator('[name=name]').fill(name);
	for (const scope of scopes) await form.locator(`input[value="${scope}"]`).check();
	await form.locator('[name=life]').selectOption('24h');
	await form.locator('[data-testid=save]').click();

	// Its text: once, and neither Escape nor the veil takes it away.
	const secret = page.locator('[data-testid=secret]');
	const read = async () => {
		await secret.waitFor();
		return secret.locator('input').inputValue();
	};
	const first = await read();
	assert.match(first, /^hw_[0-9A-Za-z]{8}_[0-9A-Za-z]{22}$/);
	await page.keyboard.press('Escape');
	await page.mouse.click(5, 300);
	assert.equal(await secret.count(), 1, 'the key went away before it was kept');
	await page.evaluate(() => {
		window.copied = [];
		navigator.clipboard.writeText = async (value) => void window.copied.push(value);
	});
	await secret.locator('button.copy').click();
	assert.deepEqual(await page.evaluate(() => window.copied), [first]);
	await page.locator('[data-testid=kept]').click();
	await until('it to close', async () => (await page.locator('dialog').count()) === 0);
	assert.ok(!(await page.content()).includes(first), 'the page still has the key');

	const row = page.locator('[data-key-id]', { hasText: name });
	await row.waitFor();
	const text = await row.innerText();
	assert.ok(text.includes(`hw_${first.slice(3, 11)}_…`), text);
	for (const scope of scopes) assert.ok(text.includes(scope), text);
	assert.match(text, /in (23 h 59|24 h 00) m/);

	// Another text.
	await row.locator('button', { hasText: 'Rotate' }).click();
	await page.locator('select[name=overlap]').selectOption('15m');
	await page.locator('[data-testid=rotate-yes]').click();
	const second = await read();
	assert.notEqual(second, first);
	await page.locator('[data-testid=kept]').click();
	await until('the new prefix', async () => (await row.innerText()).includes(`hw_${second.slice(3, 11)}_…`));
	return { id: await row.getAttribute('data-key-id'), first, second };
}

/** Revokes the key of that name on the page that `page` is on. */
export async function revokeKey(page, until, id) {
	const row = page.locator(`[data-key-id="${id}"]`);
	await row.locator('button', { hasText: 'Revoke' }).click();
	await page.locator('[data-testid=yes]').click();
	await until('it to be gone', async () => (await row.count()) === 0);
	await page.locator('button', { hasText: 'Show those that ended' }).click();
	await until('it among those that ended', async () => (await row.getAttribute('data-state').catch(() => null)) === 'revoked');
}

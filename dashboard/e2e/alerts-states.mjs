// The pages of alerts, rules, monitors, channels and silences against the mock: empty, with errors, and with everything that people do
// there: mistakes at their fields and characters, what is completed, an edit while somebody else edits, pause, duplicate, a secret that is
// shown once, a test, an alert that comes by itself and is acknowledged, and a lost connection.

import assert from 'node:assert/strict';

const KINDS = ['rules', 'monitors', 'channels', 'silences'];

/** Answers in words what was seen. */
export async function checkAlertStates({ mock, open, until }) {
	const empty = await mock('empty');
	let page = await open(`${empty}/alerts`);
	await page.waitForSelector('[data-testid=calm] a[href="/rules#/new"]');
	for (const kind of KINDS) {
		await page.goto(`${empty}/${kind}`);
		await page.waitForSelector('[data-testid=none]');
	}
	// A rule without a channel says where its alerts are.
	await page.goto(`${empty}/rules#/new`);
	await page.waitForSelector('dialog a[href="/channels#/new"]');

	page = await open(`${await mock('error')}/alerts`);
	await page.waitForSelector('[data-testid=now] .problem button');
	await page.route('**/api/v1/alerts?*', (route) => route.fulfill({ json: { items: [], next: null } }));
	await page.locator('[data-testid=now] .problem button').click();
	await page.waitForSelector('[data-testid=calm]');

	const live = await mock('live');
	const api = async (path, init) => {
		const response = await fetch(`${live}/api/v1${path}`, init);
		return { body: await response.json(), etag: response.headers.get('etag') };
	};
	page = await open(`${live}/alerts`);

	// Worst first; what is over is below, and what a reorg took back says so.
	await page.waitForSelector('[data-testid=past] [data-alert]');
	const states = (where) => page.locator(`[data-testid=${where}] [data-alert]`).evaluateAll((rows) => rows.map((row) => row.dataset.state));
	assert.deepEqual(await states('now'), ['firing', 'acknowledged']);
	assert.deepEqual(await states('past'), ['retracted', 'resolved']);
	await page.locator('select[name=state]').selectOption('retracted');
	await until('only what was taken back', async () => (await states('past')).join() === 'retracted' && new URL(page.url()).search === '?state=retracted');
	await page.locator('select[name=severity]').selectOption('info');
	await until('a word that none fits', async () => (await page.locator('[data-testid=calm]').count()) === 1);
	await page.locator('button', { hasText: 'Show all' }).click();
	await until('all of them', async () => (await states('now')).length === 2);

	// A channel: a target that is not allowed is told at its field, a made secret is shown once, a test is followed to its end.
	await page.goto(`${live}/channels`);
	await page.waitForSelector('[data-thing]');
	await page.locator('[data-testid=add]').click();
	const form = (one) => page.locator(`[data-testid=${one}-form]`);
	await form('channel').locator('[name="config.url"]').fill('https://10.0.0.1/hook');
	await form('channel').locator('[data-testid=save]').click();
	await until('why it is refused', async () => /private address/.test(await form('channel').locator('[data-field="config.url"]').innerText()));
	assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('name')), 'config.url');
	await form('channel').locator('[name="config.url"]').fill('https://hooks.example.com/broken');
	await form('channel').locator('[name=name]').fill('Broken');
	await form('channel').locator('[data-testid=save]').click();
	assert.match(await page.locator('[data-testid=secret-text]').innerText(), /^whsec_[\w+/]+=*$/);
	await page.locator('[data-testid=test]').click();
	await page.waitForSelector('[data-testid=test-result][data-state=failed]');
	assert.match(await page.locator('[data-testid=test-result]').innerText(), /did not arrive: the answer was 404/);
	await page.waitForSelector('[data-delivery][data-type="channel.test"][data-state=failed]');
	await page.keyboard.press('Escape');
	assert.equal(await page.locator('[data-testid=secret]').count(), 1, 'what is shown once went away by Escape');
	const channel = new URL(page.url()).hash.slice(2);
	await page.locator('dialog .close').click();
	await page.locator(`[data-thing="${channel}"] a`).click();
	await page.locator('[data-testid=edit]').waitFor();
	assert.equal(await page.locator('[data-testid=secret]').count(), 0);
	assert.doesNotMatch(await page.locator('dialog').innerText(), /whsec_/);
	await page.locator('[data-testid=edit]').click();
	assert.equal(await form('channel').locator('[name="config.secret"]').inputValue(), '');
	await form('channel').locator('[name="config.url"]').fill('https://hooks.example.com/mended');
	await form('channel').locator('[data-testid=save]').click();
	await page.locator('[data-testid=test]').click();
	await page.waitForSelector('[data-testid=test-result][data-state=sent]');
	await page.locator('summary', { hasText: 'what was lost' }).click();
	await page.locator('[data-testid=replay] button').click();
	await until('the test that failed to be sent again', async () => (await page.locator('[data-delivery][data-state=failed]').count()) === 0);

	// A rule: mistakes at their fields, per cent, a name of its own where none is given.
	await page.goto(`${live}/rules`);
	await page.waitForSelector('[data-thing]');
	await page.locator('[data-testid=add]').click();
	await form('rule').locator('[name=threshold]').fill('much');
	await form('rule').locator('[data-testid=save]').click();
	await until('both mistakes', async () => /is no number/i.test(await form('rule').innerText()) && /name one at least/.test(await form('rule').innerText()));
	await form('rule').locator('input[name=networks][value=op-mainnet]').check();
	// When it would have fired is shown before the rule is made, beside the figure and its limit, and what is not known of that time.
	const fires = async () => page.locator('[data-testid=preview]').getAttribute('data-fired');
	await form('rule').locator('[name=threshold]').fill('5');
	await until('it to have fired twice', async () => (await fires()) === '2');
	assert.equal(await page.locator('[data-testid=preview] rect.firing').count(), 2);
	assert.match(await page.locator('[data-testid=preview]').innerText(), /In the last 6 hours\s+it would have fired 2 times, last at .+ with 5(\.\d+)? %/);
	await page.locator('[data-testid=preview] summary').click();
	assert.match(await page.locator('[data-testid=preview]').innerText(), /no window tells of it/);
	await form('rule').locator('[name=threshold]').fill('12.5');
	await until('never', async () => (await fires()) === '0');
	assert.match(await page.locator('[data-testid=preview]').innerText(), /it would not have fired/);
	await form('rule').locator(`input[name=channels][value="${channel}"]`).check();
	await form('rule').locator('[data-testid=save]').click();
	await page.locator('[data-testid=edit]').waitFor();
	const rule = new URL(page.url()).hash.slice(2);
	const kept = (await api(`/rules/${rule}`)).body;
	assert.deepEqual(
		[kept.name, kept.networks, kept.metric, kept.operator, kept.threshold, kept.channels],
		['Failure rate over 12.5 % in 5m, op-mainnet', ['op-mainnet'], 'failure_rate', '>', 0.125, [channel]]
	);

	// Pause, go on, and an edit while somebody else edits: both are shown.
	await page.locator('[data-testid=pause]').click();
	await until('it to be paused', async () => (await api(`/rules/${rule}`)).body.paused === true && (await page.locator('[data-testid=pause]').innerText()) === 'Go on');
	await page.locator('[data-testid=edit]').click();
	await form('rule').locator('[name=threshold]').fill('20');
	const { etag } = await api(`/rules/${rule}`);
	await api(`/rules/${rule}`, { method: 'PATCH', headers: { 'content-type': 'application/json', 'if-match': etag }, body: JSON.stringify({ name: 'Theirs' }) });
	await form('rule').locator('[data-testid=save]').click();
	const stale = page.locator('[data-testid=stale]');
	await stale.waitFor();
	assert.match(await stale.innerText(), /name\s+Theirs\s+Failure rate/);
	assert.match(await stale.innerText(), /threshold\s+0\.125\s+0\.2/);
	await stale.locator('button', { hasText: 'Take theirs' }).click();
	await form('rule').locator('[name=threshold]').fill('20');
	await form('rule').locator('[data-testid=save]').click();
	await until('both changes', async () => {
		const { name, threshold, paused } = (await api(`/rules/${rule}`)).body;
		return name === 'Theirs' && threshold === 0.2 && paused === true;
	});
	await page.locator('[data-testid=duplicate]').click();
	await form('rule').waitFor();
	assert.equal(await form('rule').locator('[name=name]').inputValue(), 'Theirs (copy)');
	await form('rule').locator('[data-testid=save]').click();
	await page.locator('[data-testid=remove]').waitFor();
	const copy = new URL(page.url()).hash.slice(2);
	assert.equal((await api(`/rules/${copy}`)).body.threshold, 0.2);
	await page.locator('[data-testid=remove]').click();
	await page.locator('[data-testid=yes]').click();
	await until('the copy to be gone', async () => (await page.locator('dialog').count()) === 0 && (await page.locator(`[data-thing="${copy}"]`).count()) === 0);

	// A monitor: expressions are completed by keyboard from the contract's ABI, and a mistake stands at its character.
	const { items } = (await api('/txs?limit=50')).body;
	const { network, to } = items.find((tx) => tx.to);
	const abi = [{ type: 'event', name: 'Moved', inputs: [{ name: 'who', type: 'address', indexed: true }, { name: 'amount', type: 'uint256', indexed: false }] }];
	await api('/contracts', { method: 'POST', body: JSON.stringify({ network, address: to, name: 'Vault', abi }) });
	await page.goto(`${live}/monitors?${new URLSearchParams({ network, contract: to })}#/new`);
	await form('monitor').waitFor();
	await until('the contract’s ABI', async () => /ABI: 1 item/.test(await form('monitor').innerText()));
	await page.locator('[data-testid=add-event]').click();
	await form('monitor').locator('[name="match_conditions.events.0.signature"]').fill('Moved(address,uint256)');
	const expression = form('monitor').locator('[data-field="match_conditions.events.0.expression"] input');
	await expression.click();
	await page.keyboard.type('am');
	assert.deepEqual(await page.locator('[role=option]:visible .mono').allInnerTexts(), ['amount']);
	await page.keyboard.press('Enter');
	assert.equal(await expression.inputValue(), 'amount ');
	await page.keyboard.type('= 3');
	await page.keyboard.press('Escape');
	assert.equal(await form('monitor').count(), 1, 'Escape closed the form');
	// The mistake stands there before anything is kept.
	await page.locator('[data-field="match_conditions.events.0.expression"] mark', { hasText: '=' }).waitFor();
	await form('monitor').locator('[data-testid=save]').click();
	await page.locator('[data-field="match_conditions.events.0.expression"] button', { hasText: 'character 8' }).click();
	const chosen = await expression.evaluate((input) => input.value.slice(input.selectionStart, input.selectionEnd));
	assert.equal(chosen, '=');
	await expression.fill('amount >= 3');
	await page.keyboard.press('Escape');
	await until('what it would have found', async () => Number(await page.locator('[data-testid=preview]').getAttribute('data-matches')) > 0);
	// What its message would say, of a real alert, and of another one that is chosen.
	await form('monitor').locator('summary', { hasText: 'When it is said' }).click();
	await form('monitor').locator('[name="template.title"]').fill('${source.name} moved');
	await form('monitor').locator('[data-field="template.body"] textarea').fill('${events.0.args.value} by ${nobody}');
	const message = page.locator('[data-testid=message]');
	await until('the message', async () => /Firing: Large transfers moved/.test(await message.innerText()));
	assert.equal(await message.getAttribute('data-of'), 'alert');
	assert.match(await message.innerText(), /1234567000000000000 by \$\{nobody\}\s+1 name leads nowhere there: nobody/);
	await message.locator('select').selectOption({ index: 2 });
	await until('the other one', async () => (await message.locator('select').inputValue()) !== '' && (await message.getAttribute('data-of')) === 'alert');
	await form('monitor').locator('[name="template.title"]').fill('');
	await form('monitor').locator('[data-field="template.body"] textarea').fill('');
	await until('nothing to show', async () => (await message.count()) === 0);
	await form('monitor').locator('[data-testid=save]').click();
	await page.locator('[data-testid=edit]').waitFor();
	const monitor = (await api(`/monitors/${new URL(page.url()).hash.slice(2)}`)).body;
	assert.equal(monitor.name, `event Moved · Vault · ${network}`);
	assert.deepEqual([monitor.addresses, monitor.match_conditions.events], [[{ address: to, abi }], [{ signature: 'Moved(address,uint256)', expression: 'amount >= 3' }]]);

	// An alert comes by itself, while one looks at the page and at its rule.
	await page.goto(`${live}/alerts`);
	await until('the live connection', async () => (await page.locator('[data-testid=live]').getAttribute('data-live')) === 'true');
	await fetch(`${live}/mock/fire?rule=${rule}`);
	const row = page.locator('[data-testid=now] [data-alert]', { hasText: 'Theirs' });
	const from = Date.now();
	await row.waitFor();
	const took = Date.now() - from;
	await row.locator('a').click();
	await page.locator('[data-testid=acknowledge]').waitFor();
	assert.match(await page.locator('[data-testid=sentence]').innerText(), /Failure rate 20 % in 5m on op-mainnet, the limit is 20 %/);
	await page.locator('[name=note]').fill('I look at it');
	await page.locator('[data-testid=acknowledge]').click();
	await until('who did it, and what they said', async () => /Acknowledged\s+by anyone[\s\S]*I look at it/.test(await page.locator('[data-testid=story]').innerText()));
	await until('that it went out', async () => (await page.locator('[data-delivery][data-type="alert.acknowledged"][data-state=sent]').count()) === 1);
	assert.equal(await page.locator('[data-testid=acknowledge]').count(), 0);
	assert.ok(await page.locator('[data-testid=example]').getAttribute('href'));

	// From it to a silence of its rule.
	await page.goto(`${live}/silences?rule=${rule}#/new`);
	await form('silence').waitFor();
	await until('the rule by its name', async () => (await form('silence').locator('[name="match.rule"] option:checked').innerText()) === 'Theirs');
	await form('silence').locator('[name=reason]').fill('deploying');
	await form('silence').locator('[data-testid=save]').click();
	await page.locator('[data-testid=edit]').waitFor();
	assert.match(await page.locator('dialog').innerText(), /holds messages back for another (59 m|1 h)/);

	// A lost connection takes nothing away.
	await page.goto(`${live}/alerts`);
	await row.waitFor();
	await fetch(`${live}/mock/down`);
	await until('a word that it is not live', async () => (await page.locator('[data-testid=live]').getAttribute('data-live')) === 'false');
	assert.equal(await row.count(), 1, 'the rows went with the connection');
	await fetch(`${live}/mock/up`);
	await until('the live connection again', async () => (await page.locator('[data-testid=live]').getAttribute('data-live')) === 'true');

	// On a narrow screen nothing is wider than it.
	await page.setViewportSize({ width: 390, height: 844 });
	const alert = await row.getAttribute('data-alert');
	for (const path of ['alerts', `alerts/${alert}`, ...KINDS, ...KINDS.map((kind) => `${kind}#/new`)]) {
		await page.goto('about:blank');
		await page.goto(`${live}/${path}`);
		await page.waitForSelector(path.includes('#') ? 'dialog form' : path.startsWith('alerts/') ? '[data-testid=deliveries]' : '[data-alert], [data-thing]');
		const width = await page.evaluate(() => Math.max(document.documentElement.scrollWidth, ...[...document.querySelectorAll('dialog')].map((d) => d.scrollWidth)));
		assert.ok(width <= 390, `/${path} is ${width} px wide on a screen of 390`);
	}
	return `an alert ${took} ms after it fired`;
}

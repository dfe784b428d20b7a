// Pictures of every state of the built page, for looking at: node dev/shots.mjs [DIR] (default shots/). Starts mocks itself.

import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const dir = process.argv[2] ?? 'shots';
mkdirSync(dir, { recursive: true });
const mocks = [];

async function mock(...args) {
	const child = spawn(process.execPath, [fileURLToPath(new URL('mock.mjs', import.meta.url)), '--port', '0', ...args]);
	mocks.push(child);
	child.stderr.pipe(process.stderr);
	return new Promise((resolve) => child.stdout.once('data', (line) => resolve(line.toString().trim())));
}

const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
	args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
});
const wide = { width: 1440, height: 900 };
const problems = [];
let current = null;

async function open(url, { scheme = 'dark', viewport = wide, touch = false, quiet = false } = {}) {
	await current?.close();
	const context = (current = await browser.newContext({ colorScheme: scheme, viewport, hasTouch: touch }));
	const page = await context.newPage();
	if (!quiet) {
		page.on('console', (m) => m.type() === 'error' && problems.push(m.text()));
		page.on('pageerror', (e) => problems.push(String(e)));
	}
	await page.goto(url);
	return page;
}
const shot = (page, name) => page.screenshot({ path: `${dir}/${name}.png` });
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

try {
	const live = await mock();
	const dark = await open(live);
	await dark.waitForSelector('[data-key]');
	await wait(6_000);
	await shot(dark, 'dark');

	await dark.locator('input[name=status][value=failed]').check({ force: true });
	await dark.locator('button.pause').click();
	await dark.locator('[data-status=failed] .hash').first().click();
	await dark.waitForSelector('dialog ol, dialog h3');
	await wait(700);
	await shot(dark, 'drawer');
	await dark.keyboard.press('Escape');

	const light = await open(live, { scheme: 'light' });
	await light.waitForSelector('[data-key]');
	await wait(3_000);
	await fetch(`${live}/mock/reorg?network=polygon-mainnet&depth=2`);
	await wait(900);
	await shot(light, 'light-reorg');
	await light.locator('label', { hasText: 'failed' }).click();
	await wait(800);
	await light.mouse.move(700, 20);
	await fetch(`${live}/mock/reorg?network=op-mainnet&depth=3`);
	await wait(700);
	await shot(light, 'light-struck');
	await light.locator('label', { hasText: 'all' }).first().click();
	await wait(500);
	await light.mouse.move(700, 600);
	await light.mouse.wheel(0, 300);
	await wait(5_000);
	await shot(light, 'light-held');
	await light.locator('[data-network=op-mainnet][data-key]').first().click().catch(() => {});
	await wait(700);
	await shot(light, 'light-drawer');
	await light.keyboard.press('Escape');

	const narrow = await open(live, { viewport: { width: 360, height: 780 }, touch: true });
	await narrow.waitForSelector('[data-key]');
	await wait(2_500);
	await shot(narrow, 'narrow');
	await narrow.locator('#transactions').scrollIntoViewIfNeeded();
	await narrow.evaluate(() => document.getElementById('transactions').scrollIntoView());
	await wait(500);
	await shot(narrow, 'narrow-table');
	await narrow.locator('[data-key] .hash').first().click();
	await wait(700);
	await shot(narrow, 'narrow-drawer');
	const middle = await open(live, { viewport: { width: 900, height: 800 }, scheme: 'light' });
	await middle.waitForSelector('[data-key]');
	await wait(2_000);
	await shot(middle, 'middle');

	await middle.selectOption('[data-testid=network-filter]', 'ethereum-mainnet');
	await middle.locator('input[name=status][value=success]').check({ force: true });
	await wait(800);
	await middle.locator('button.pause').click();
	for (const row of await middle.locator('[data-key] .hash').all()) {
		await row.click();
		await middle.waitForSelector('dialog h3');
		await wait(400);
		if ((await middle.locator('dialog li').count()) > 1) break;
		await middle.keyboard.press('Escape');
	}
	await shot(middle, 'events');

	for (const [name, args, path, options] of [
		['one', ['--networks', '1', '--trouble', 'nothing'], '/?window=24h', { scheme: 'light' }],
		['five', ['--networks', '5'], '/?network=polygon-mainnet', {}],
		['fifty', ['--networks', '50', '--trouble', 'chain'], '/', { scheme: 'light' }],
		['narrow', ['--networks', '5'], '/', { viewport: { width: 390, height: 844 }, touch: true }]
	]) {
		const url = await mock(...args);
		const overview = await open(url + path, options);
		await overview.waitForSelector('[data-testid=charts][aria-busy=false]');
		await wait(2_500);
		if (name === 'five') await fetch(`${url}/mock/reorg?network=polygon-mainnet&depth=3`);
		await overview.locator('[data-testid=time]').focus();
		for (let i = 0; i < 20; i++) await overview.keyboard.press(i < 12 ? 'ArrowLeft' : 'Shift+ArrowLeft');
		await wait(900);
		const height = await overview.evaluate(() => document.getElementById('transactions').getBoundingClientRect().top + scrollY);
		const clip = { x: 0, y: 0, width: overview.viewportSize().width, height };
		await overview.screenshot({ path: `${dir}/overview-${name}.png`, fullPage: true, clip });
	}

	for (const [name, options] of [['light', { scheme: 'light' }], ['dark', {}], ['narrow', { viewport: { width: 390, height: 844 }, touch: true }]]) {
		const alerts = await open(`${live}/alerts`, options);
		await alerts.waitForSelector('[data-testid=past] [data-alert]');
		await wait(500);
		await shot(alerts, `alerts-${name}`);
		const told = await alerts.locator('[data-alert]').evaluateAll((rows) => rows.map((row) => [row.dataset.state, row.dataset.alert]));
		for (const [state, id] of told.slice(0, 2)) {
			await alerts.goto(`${live}/alerts/${id}`);
			await alerts.waitForSelector('[data-testid=deliveries]');
			await wait(500);
			await alerts.screenshot({ path: `${dir}/alert-${state}-${name}.png`, fullPage: true });
		}
		for (const kind of ['rules', 'monitors', 'channels', 'silences']) {
			await alerts.goto(`${live}/${kind}`);
			await alerts.waitForSelector('[data-thing]');
			await shot(alerts, `${kind}-${name}`);
			await alerts.locator('[data-thing] a').first().click();
			await alerts.locator('[data-testid=edit]').waitFor();
			await wait(700);
			await shot(alerts, `${kind}-one-${name}`);
			await alerts.locator('[data-testid=edit]').click();
			await wait(900);
			await shot(alerts, `${kind}-edit-${name}`);
		}
	}

	const people = await mock('--auth', 'accounts');
	for (const [name, options] of [['light', { scheme: 'light' }], ['dark', {}], ['narrow', { viewport: { width: 390, height: 844 }, touch: true }]]) {
		const page = await open(`${people}/sign-up`, { ...options, quiet: true });
		await page.waitForSelector('form');
		await shot(page, `sign-up-${name}`);
		await page.goto(`${people}/login`);
		await page.waitForSelector('form');
		await shot(page, `login-${name}`);
		await page.locator('input[name=email]').fill('ada@example.com');
		await page.locator('input[name=password]').fill('correct horse battery');
		await page.keyboard.press('Enter');
		await page.waitForSelector('[data-testid=who]');
		for (const [path, shown] of [['organisation', '[data-testid=members]'], ['usage', '[data-quota]'], ['account', '[data-session]'], ['operator', '[data-tenant]']]) {
			await page.goto(`${people}/${path}`);
			await page.waitForSelector(shown);
			await wait(300);
			await page.screenshot({ path: `${dir}/${path}-${name}.png`, fullPage: true });
		}
	}

	const sql = await open(`${live}/sql`, { scheme: 'light' });
	await sql.waitForSelector('[data-testid=views] details');
	await shot(sql, 'sql');
	await sql.fill('input[type=search]', 'fee');
	await sql.locator('#views').scrollIntoViewIfNeeded();
	await shot(sql, 'sql-search');
	const narrowSql = await open(`${live}/sql`, { viewport: { width: 390, height: 844 }, touch: true });
	await narrowSql.waitForSelector('[data-testid=views] details');
	await shot(narrowSql, 'narrow-sql');

	const { items } = await (await fetch(`${live}/api/v1/txs?limit=500`)).json();
	const decoded = items.find((tx) => tx.signature?.startsWith('fill')) ?? items.find((tx) => tx.signature) ?? items[0];
	for (const [name, options] of [['light', { scheme: 'light' }], ['narrow', { viewport: { width: 390, height: 844 }, touch: true }]]) {
		const txs = await open(`${live}/txs`, options);
		await txs.waitForSelector('main [data-key]');
		await wait(2_500);
		await shot(txs, `txs-${name}`);
		await txs.goto(`${live}/txs/${decoded.network}/${decoded.hash}`);
		await txs.waitForSelector('[data-testid=facts]');
		await wait(500);
		await txs.screenshot({ path: `${dir}/tx-${name}.png`, fullPage: true });
		await txs.goto(`${live}/blocks/${decoded.network}/${decoded.height}`);
		await txs.waitForSelector('main [data-key]');
		await wait(500);
		await shot(txs, `block-${name}`);
	}

	const why = items.filter((tx) => tx.found_by);
	for (const [name, options] of [['light', { scheme: 'light' }], ['dark', {}], ['narrow', { viewport: { width: 390, height: 844 }, touch: true }]]) {
		const failures = await open(`${live}/failures`, options);
		await failures.waitForSelector('[data-testid=group]');
		await wait(500);
		await shot(failures, `failures-${name}`);
		for (const cause of ['balance', 'deadline', 'opaque']) {
			const tx = why.find((tx) => tx.cause === cause);
			await failures.goto(`${live}/txs/${tx.network}/${tx.hash}`);
			await failures.waitForSelector('[data-testid=similar] li, [data-testid=similar] p');
			await failures.screenshot({ path: `${dir}/failed-${cause}-${name}.png`, fullPage: true });
		}
		await failures.keyboard.press('/');
		await failures.keyboard.type('uniswap');
		await failures.waitForSelector('[data-found]');
		await failures.keyboard.press('ArrowDown');
		await shot(failures, `search-${name}`);
	}

	for (const scheme of ['dark', 'light']) {
		const providers = await open(`${live}/providers`, { scheme });
		await providers.waitForSelector('[data-provider]');
		await wait(2_000);
		await shot(providers, `providers-${scheme}`);
		await providers.locator('[data-provider=polygon-rpc] h4 a').click();
		await providers.waitForSelector('dialog [data-testid=charts]');
		await providers.locator('dialog label', { hasText: '6 h' }).click();
		await wait(900);
		await providers.locator('dialog svg[role=img]').first().hover();
		await shot(providers, `providers-${scheme}-history`);
	}
	const narrowProviders = await open(`${live}/providers`, { viewport: { width: 390, height: 844 }, touch: true });
	await narrowProviders.waitForSelector('[data-provider]');
	await wait(1_500);
	await shot(narrowProviders, 'narrow-providers');
	await narrowProviders.locator('[data-provider=cheapnode] h4 a').click();
	await narrowProviders.waitForSelector('dialog [data-testid=charts]');
	await wait(600);
	await shot(narrowProviders, 'narrow-providers-history');

	const flood = await mock('--rate', '1000');
	const fast = await open(flood);
	await wait(8_000);
	await shot(fast, 'fast');

	const troubled = await open(await mock('--mode', 'troubled'));
	await troubled.waitForSelector('[data-key]');
	await wait(2_500);
	await shot(troubled, 'troubled');

	await troubled.goto(troubled.url() + 'providers');
	await troubled.waitForSelector('[data-provider]');
	await wait(1_500);
	await shot(troubled, 'troubled-providers');

	const empty = await open(await mock('--mode', 'empty'));
	await wait(2_500);
	await shot(empty, 'empty');
	await empty.goto(empty.url() + 'providers');
	await wait(1_500);
	await shot(empty, 'empty-providers');

	const error = await open(await mock('--mode', 'error'), { quiet: true });
	await wait(2_500);
	await shot(error, 'error');
	await error.goto(error.url() + 'providers');
	await wait(1_500);
	await shot(error, 'error-providers');

	const lost = await open(live, { quiet: true, scheme: 'light' });
	await lost.waitForSelector('[data-key]');
	await fetch(`${live}/mock/down`);
	await wait(6_500);
	await shot(lost, 'disconnected');
	await lost.setViewportSize({ width: 360, height: 780 });
	await wait(300);
	await shot(lost, 'narrow-disconnected');
	await fetch(`${live}/mock/up`);
	await wait(8_000);
	await shot(lost, 'back');

	const gone = await open(await mock('--mode', 'empty'), { quiet: true });
	await gone.route('**/api/v1/**', (route) => route.abort());
	await gone.reload();
	await wait(1_500);
	await shot(gone, 'unreachable');

	const loading = await open(live, { quiet: true });
	await loading.route('**/api/v1/**', () => {});
	await loading.reload();
	await wait(500);
	await shot(loading, 'loading');
	await loading.routeWebSocket('**/api/v1/ws', () => {});
	await loading.goto(`${live}/providers`);
	await wait(500);
	await shot(loading, 'loading-providers');

	const old = await open(`${live}/providers`, { quiet: true });
	await old.waitForSelector('[data-provider]');
	await fetch(`${live}/mock/down`);
	await wait(8_000);
	await shot(old, 'disconnected-providers');
	await fetch(`${live}/mock/up`);

	console.log(problems.length === 0 ? 'no console errors' : problems.join('\n'));
} finally {
	await browser.close();
	for (const child of mocks) child.kill();
}

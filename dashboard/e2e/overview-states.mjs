// The overview in states that a healthy server does not show, against the mock: nothing yet, errors, a server that goes and comes back, what is wrong, a
// reorg that corrects windows, windows that are not whole, no WebSocket, fifty networks with a thousand transactions a second.

import assert from 'node:assert/strict';

/** Requests that fifty networks may cost in a minute. */
const REQUESTS = 30;
/** Until something of the page is to be seen, milliseconds. */
const PAINT_MS = 1_500;
/** From a key or a move to the picture after it, of three quarters of them: the machine of a test is shared. */
const INTERACTION_MS = 100;

/** `mock(mode, ...args)` starts one and answers its address, `open(url, options)` answers a page. */
export async function checkOverviewStates({ mock, open, until, browser }) {
	// Fifty networks: counted from the first moment on, while the other checks run.
	const many = await mock('live', '--networks', '50', '--rate', '1000');
	const crowd = await browser.newPage({ viewport: { width: 1440, height: 900 } });
	const asked = [];
	const began = Date.now();
	crowd.on('request', (request) => {
		if (new URL(request.url()).pathname.startsWith('/api/') && Date.now() - began < 60_000) asked.push(new URL(request.url()).pathname);
	});
	await crowd.addInitScript(() => {
		window.took = [];
		const note = (list) => window.took.push(...list.getEntries().map((entry) => entry.duration));
		new PerformanceObserver(note).observe({ type: 'event', durationThreshold: 16 });
	});
	await crowd.goto(many);

	// Nothing: no network yet; and a server whose store is away.
	let page = await open(await mock('empty'));
	await page.waitForSelector('[data-testid=networks]');
	await until('charts without a window', async () => /Nothing is known of this time yet/.test(await page.locator('[data-chart=transactions]').innerText()));
	page = await open(await mock('error'));
	await page.waitForSelector('[data-testid=figures] .problem button');
	assert.match(await page.locator('[data-testid=figures]').innerText(), /The store is not reachable/);

	// What is wrong, the worst first, in words, with where to look; a link leads to the diagnosis of that network.
	page = await open(await mock('troubled'));
	await until('what is wrong', async () => (await page.locator('[data-testid=now] li').count()) >= 3);
	const lines = await page.locator('[data-testid=now] li').allInnerTexts();
	assert.match(lines[0], /enrich is silent/);
	assert.ok(lines.some((line) => /op-mainnet is reorg too deep: fork at/.test(line)), lines.join('\n'));
	await page.locator('[data-testid=now] li[data-network=op-mainnet] a', { hasText: 'the chain or the provider' }).first().click();
	await until('that network', async () => (await page.locator('[data-testid=figures]').getAttribute('aria-label')) === 'Figures of op-mainnet');
	assert.equal(new URL(page.url()).searchParams.get('network'), 'op-mainnet');
	await until('the focus in the diagnosis', async () => page.evaluate(() => document.activeElement?.id === 'diagnosis'));

	// Failures that are unusual, with the verdict; causes stacked with their figures.
	const live = await mock('live');
	page = await open(live);
	await until('unusual failures', async () => /of ethereum-mainnet’s transactions failed/.test(await page.locator('[data-testid=now]').innerText()));
	await page.locator('[data-testid=diagnosis][data-verdict=contract]').waitFor();
	assert.ok((await page.locator('[data-chart=failures] .entry').count()) > 3);

	// Windows that are not whole say so, and why.
	await page.goto(`${live}/?network=polygon-mainnet`);
	const slider = page.locator('[data-testid=time]');
	const says = () => slider.getAttribute('aria-valuetext');
	await until('a chart', async () => (await page.locator('[data-testid=charts][aria-busy=false]').count()) === 1);
	assert.match(await page.locator('[data-chart=completeness]').innerText(), /incomplete\s+7/);
	assert.match(await page.locator('[data-testid=held]').innerText(), /1 gap: 38,102,301 to 38,102,377/);
	await slider.focus();
	for (let i = 0; i < 40 && !/, incomplete/.test(await says()); i++) await page.keyboard.press('ArrowLeft');
	assert.match(await says(), /, incomplete: blocks 38,102,301 to 38,102,377 are missing/);
	await page.keyboard.press('Escape');

	// A reorg is marked, and the windows that it changed say that they were corrected.
	await until('the live connection', async () => (await page.locator('.connection.live').count()) === 1);
	await new Promise((resolve) => setTimeout(resolve, 1_500));
	await fetch(`${live}/mock/reorg?network=polygon-mainnet&depth=3`);
	await until('the reorg', async () => /1 reorg since this page was opened, .*3 blocks/.test(await page.locator('[data-testid=reorgs]').innerText().catch(() => '')));
	await slider.focus();
	await until('a corrected window', async () => {
		await page.keyboard.press('End');
		for (let i = 0; i < 4; i++) {
			await page.keyboard.press('ArrowLeft');
			if (/corrected by a reorg/.test(await page.locator('[data-testid=readout]').innerText())) return true;
		}
		return false;
	});

	// One contract: by the address alone, its own windows.
	const contract = '0x' + 'ab'.repeat(20);
	const [request] = await Promise.all([
		page.waitForRequest((r) => r.url().includes('/metrics/series') && r.url().includes(contract)),
		page.goto(`${live}/?network=op-mainnet&contract=${contract}`)
	]);
	assert.match(request.url(), /network=op-mainnet/);
	await until('the contract’s charts', async () => (await page.locator('[data-testid=charts][aria-busy=false]').count()) === 1);
	assert.equal(await page.locator('[data-testid=look-contract]').inputValue(), contract);

	// The server goes: what is drawn stays and says so; it comes back.
	await fetch(`${live}/mock/down`);
	await page.waitForSelector('[data-testid=server-away]');
	assert.equal(await page.locator('[data-chart]').count(), 7);
	await fetch(`${live}/mock/up`);
	await until('news again', async () => (await page.locator('[data-testid=server-away]').count()) === 0);

	// Without a WebSocket the windows are asked for.
	page = await open(live, { sockets: false });
	await until('a chart', async () => (await page.locator('[data-testid=charts][aria-busy=false]').count()) === 1);
	await page.locator('[data-testid=time]').focus();
	await page.keyboard.press('End');
	const before = await page.locator('[data-testid=time]').getAttribute('aria-valuetext');
	await until('a new figure without a WebSocket', async () => (await page.locator('[data-testid=time]').getAttribute('aria-valuetext')) !== before);

	// Fifty networks: few requests in the first minute, in which it loads; found by name, one click to the charts of one.
	await new Promise((resolve) => setTimeout(resolve, Math.max(0, 60_000 - (Date.now() - began))));
	assert.ok(asked.length <= REQUESTS, `${asked.length} requests in a minute: ${asked.join(', ')}`);
	const paint = await crowd.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime);
	assert.ok(paint <= PAINT_MS, `the first paint took ${paint} ms`);
	await crowd.locator('[data-testid=time]').focus();
	await crowd.evaluate(() => void window.took.splice(0));
	const over = await crowd.locator('[data-chart=transactions] .u-over').boundingBox();
	for (let i = 0; i < 30; i++) {
		await crowd.keyboard.press('ArrowLeft');
		await crowd.mouse.move(over.x + 10 + i * 8, over.y + 30);
		await new Promise((resolve) => setTimeout(resolve, 40));
	}
	await new Promise((resolve) => setTimeout(resolve, 500));
	// Those that are quicker than a picture are not told of.
	const took = (await crowd.evaluate(() => window.took)).sort((a, b) => a - b);
	const interaction = took[Math.floor(took.length * 0.75)] ?? 16;
	assert.ok(interaction <= INTERACTION_MS, `three quarters of keys and moves took up to ${interaction} ms: ${took.join(', ')}`);
	assert.equal(await crowd.locator('[data-testid=networks] a').count(), 50);
	await crowd.locator('[data-testid=find-network]').fill('celo');
	await until('the found ones', async () => (await crowd.locator('[data-testid=networks] a').count()) === 3);
	await crowd.locator('[data-testid=networks] [data-network=celo-sepolia]').click();
	await until('its charts', async () => (await crowd.locator('[data-testid=figures]').getAttribute('aria-label')) === 'Figures of celo-sepolia');
	await crowd.close();
	return `${asked.length} requests a minute, first paint ${Math.round(paint)} ms, interaction ${interaction} ms with 50 networks`;
}

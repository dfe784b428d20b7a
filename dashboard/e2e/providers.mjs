// The page /providers against a running server: a card with a score for each endpoint that the API has, worst first, kept up
// to date without a reload, one endpoint's history by keyboard, nothing wider than a narrow screen.

import assert from 'node:assert/strict';

const RANK = { quarantined: 0, open: 0, failing: 0, behind: 1, slow: 1, throttled: 1, unknown: 2, ok: 3 };

/** Checks the page that `page` is on, then loads it anew. Answers how many cards have a score. */
export async function checkProviders(page, url, until) {
	await page.waitForSelector('[data-provider]');
	assert.equal(new URL(page.url()).pathname, '/providers');
	assert.equal(await page.title(), 'Providers · Headwater');
	assert.equal(await page.locator('nav a[aria-current=page]').innerText(), 'Providers');

	const cards = page.locator('article[data-provider]');
	const shown = () =>
		cards.evaluateAll((all) =>
			all.map((card) => ({
				key: `${card.dataset.network}/${card.dataset.provider}`,
				network: card.dataset.network,
				state: card.dataset.state,
				score: card.querySelector('[data-testid=score]').textContent,
				word: card.querySelector('[data-testid=state]').textContent,
				parts: [...card.querySelectorAll('[data-part]')].map((part) => part.textContent.trim()),
				used: card.querySelector('[data-testid=in-use]')?.textContent ?? null
			}))
		);

	// A card for each endpoint of the API and no other; the endpoints' first probes may take a while.
	const told = async () => (await (await fetch(new URL('/api/v1/providers/health', url))).json()).items;
	const { networks } = await (await fetch(new URL('/api/v1/health', url))).json();
	assert.ok(networks.length > 0);
	await until('a card for each endpoint, and an endpoint of each network', async () => {
		const items = await told();
		const keys = items.map((item) => `${item.network}/${item.name}`).sort();
		const all = networks.every((n) => items.some((item) => item.network === n.network));
		return all && (await shown()).map((card) => card.key).sort().join() === keys.join();
	});

	// Scores: a whole number from 0 to 100 with all of its parts on each card of an endpoint that was heard.
	let scored = [];
	await until('a score on each network', async () => {
		scored = (await shown()).filter((card) => /^\d+$/.test(card.score));
		return networks.every((n) => scored.some((card) => card.network === n.network));
	});
	for (const card of scored) {
		assert.ok(Number(card.score) <= 100, `${card.key}: ${card.score}`);
		assert.equal(card.parts.length, 3, `${card.key}: ${card.parts}`);
		assert.match(card.parts[0], /^latency\s+[\d.]+$/, card.key);
		assert.match(card.parts[1], /^success\s+[\d.]+$/, card.key);
		assert.match(card.parts[2], /^height\s+× [\d.]+$/, card.key);
		assert.ok(card.word.trim().length > 0, `${card.key} has no word for its state`);
	}

	// One in use on each network, and which it is stands over the cards too.
	await until('an endpoint in use on each network', async () => {
		const all = await shown();
		return networks.every((n) => all.some((card) => card.network === n.network && /^in use/.test(card.used ?? '')));
	});

	// Worst first.
	await page.mouse.move(2, 2);
	await until('the worst to be first', async () => {
		const all = await shown();
		return networks.every(({ network }) => {
			const ranks = all.filter((card) => card.network === network).map((card) => RANK[card.state]);
			assert.ok(ranks.every((rank) => rank != null), `a state that nobody promised: ${all.map((card) => card.state)}`);
			return ranks.every((rank, i) => i === 0 || ranks[i - 1] <= rank);
		});
	});

	// Live: a height grows with nothing done.
	const heights = () => cards.evaluateAll((all) => all.reduce((sum, card) => sum + Number(card.dataset.height ?? 0), 0));
	const before = await heights();
	await until('a new height of an endpoint', async () => (await heights()) > before);

	// The history of the first, by keyboard; the focus comes back to it.
	const first = cards.first().locator('h4 a');
	const name = await first.innerText();
	await first.focus();
	await page.keyboard.press('Enter');
	await page.waitForSelector('dialog[open]');
	assert.equal(await page.locator('dialog h2').innerText(), name);
	assert.match(new URL(page.url()).hash, /^#\/[^/]+\/[^/]+$/);
	await until('the history', async () => (await page.locator('dialog [aria-busy=true]').count()) === 0);
	assert.equal(await page.locator('dialog .problem').count(), 0, 'the history could not be loaded');
	assert.equal(await page.locator('dialog').locator('[data-testid=charts], [data-testid=no-history]').count(), 1);
	await page.locator('dialog input[name=span][value="24 h"]').check({ force: true });
	await until('the last day', async () => (await page.locator('dialog [data-testid=figures]').count()) === 1);
	assert.equal(await page.locator('dialog .problem').count(), 0, 'the last day could not be loaded');
	if ((await page.locator('dialog [data-testid=charts]').count()) === 1) {
		const slider = page.locator('dialog input[type=range]');
		await slider.focus();
		const at = await slider.getAttribute('aria-valuetext');
		await page.keyboard.press('ArrowLeft');
		await until('the slider to move', async () => (await slider.getAttribute('aria-valuetext')) !== at);
	}
	await page.keyboard.press('Escape');
	await until('the history to close', async () => (await page.locator('dialog').count()) === 0);
	assert.equal(new URL(page.url()).hash, '');
	await until('the focus to come back', async () => (await page.evaluate(() => document.activeElement?.textContent)) === name);

	// And the same once more.
	await page.keyboard.press('Enter');
	await page.waitForSelector('dialog[open]');
	await page.keyboard.press('Escape');
	await until('the history to close again', async () => (await page.locator('dialog').count()) === 0);

	// By its own address, on a narrow screen.
	const size = page.viewportSize();
	const deep = scored[0].key.split('/').map(encodeURIComponent).join('/');
	await page.setViewportSize({ width: 390, height: 844 });
	await page.goto(new URL('/providers', url).href);
	await page.waitForSelector('[data-provider]');
	const width = () => page.evaluate(() => document.documentElement.scrollWidth);
	assert.ok((await width()) <= 390, `the page is ${await width()} px wide on a screen of 390`);
	await page.goto(new URL(`/providers#/${deep}`, url).href);
	await page.waitForSelector('dialog[open] h2');
	const inside = await page.locator('dialog').evaluate((dialog) => dialog.scrollWidth);
	assert.ok(inside <= 390, `the history is ${inside} px wide on a screen of 390`);
	await page.keyboard.press('Escape');
	await page.setViewportSize(size);
	return scored.length;
}

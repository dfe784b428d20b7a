// The page /txs against a running server: every filter stands in the page's address and is the server's own, new rows come by themselves
// and narrowed, a pause holds the place, older ones come by cursor, what fits can be had as a file; by keyboard, and on a narrow screen.

import assert from 'node:assert/strict';

/** Checks the page that `page` is on. Answers how many rows were shown at most. */
export async function checkTxs(page, url, until) {
	const api = async (query) => (await fetch(new URL(`/api/v1/txs?${new URLSearchParams(query)}`, url))).json();
	const rows = () =>
		page.locator('main [data-key]').evaluateAll((all) =>
			all.map((row) => ({ ...row.dataset, method: row.querySelector('[data-method]').dataset.method }))
		);
	const settled = () => page.waitForFunction(() => !document.querySelector('.tx-rows.old, main [aria-busy=true]'));
	const search = () => Object.fromEntries(new URL(page.url()).searchParams);
	const none = () => page.locator('[data-testid=none], [data-testid=none-yet]').count();
	/** All rows are such, and there are some, or a word that there are none. */
	const only = (what, fits) =>
		until(what, async () => {
			await settled();
			const shown = await rows();
			return shown.length > 0 ? shown.every(fits) : (await none()) === 1;
		});
	const away = () => page.mouse.move(2, 2);

	await page.waitForSelector('main [data-key]');
	assert.equal(new URL(page.url()).pathname, '/txs');
	assert.equal(await page.title(), 'Transactions · Headwater');
	assert.equal(await page.locator('nav a[aria-current=page]').innerText(), 'Transactions');
	await away();
	await until('the live connection', async () => (await page.locator('.connection.live').count()) === 1);
	await until('new ones to come', async () => (await page.locator('[data-testid=came]').count()) === 1);

	// Status: in the address, and still there when that is opened anew.
	await page.locator('input[name=status][value=failed]').check({ force: true });
	await only('failed ones only', (row) => row.status === 'failed');
	assert.deepEqual(search(), { status: 'failed' });
	await page.reload();
	await only('the same by its address', (row) => row.status === 'failed');
	await page.locator('input[name=status][value=all]').check({ force: true });

	// A contract, also one that is only an emitter of events: the server's word, of the past and of what comes.
	const { items } = await api({ limit: 500 });
	const calls = new Map();
	for (const { network, to } of items) if (to) calls.set(`${network} ${to}`, (calls.get(`${network} ${to}`) ?? 0) + 1);
	const [network, contract] = [...calls].sort((a, b) => b[1] - a[1])[0][0].split(' ');
	await page.locator('select[name=network]').selectOption(network);
	await only('one network only', (row) => row.network === network);
	await page.locator('input[name=contract]').fill('0x12');
	await page.keyboard.press('Enter');
	await until('a word about the address', async () => /40 digits/.test(await page.locator('.filters [role=alert]').innerText()));
	await page.locator('input[name=contract]').fill(contract);
	await page.keyboard.press('Enter');
	await until('the contract in the address', async () => search().contract === contract);
	await settled();
	await until('a live one of the contract', async () => (await page.locator('[data-testid=came]').count()) === 1);
	// Another one may come, or go with a fork, between the two looks.
	await until('rows of that contract only', async () => {
		const shown = await rows();
		const theirs = new Set((await api({ network, contract, limit: 1000 })).items.map((tx) => tx.hash));
		return shown.length > 0 && shown.every((row) => row.network === network && theirs.has(row.hash));
	});

	// A method by name where one is known, else by selector; everything off again.
	const called = items.find((tx) => tx.network === network && tx.method && tx.signature) ?? items.find((tx) => tx.network === network && tx.method);
	const method = called.signature?.match(/^\w+/)[0] ?? called.method;
	await page.locator('[data-testid=clear]').click();
	await until('an address without filters', async () => Object.keys(search()).length === 0);
	await page.goto(new URL(`/txs?network=${network}&method=${method}`, url).href);
	await only(`calls of ${method} only`, (row) => row.method === method);
	assert.equal(await page.locator('input[name=method]').inputValue(), method);

	// Paused by the button: rows stand still from the click on, and how many came is said; older ones come all the same.
	await page.goto(new URL('/txs', url).href);
	await page.waitForSelector('main [data-key]');
	await away();
	await until('new ones to come', async () => (await page.locator('[data-testid=came]').count()) === 1);
	await page.evaluate(() => {
		document.querySelector('button.pause').addEventListener('click', () => (window.still = document.querySelector('main [data-key]').dataset.key), { once: true });
	});
	await page.locator('button.pause').click();
	const still = await page.evaluate(() => window.still);
	await until('some withheld', async () => /^[\d,]+ new$/.test(await page.locator('[data-testid=withheld]').innerText()));
	assert.equal((await rows())[0].key, still);
	const before = (await rows()).length;
	await page.locator('[data-testid=more]').click();
	await until('older ones', async () => (await rows()).length > before);
	const all = await rows();
	assert.equal(new Set(all.map((row) => row.key)).size, all.length, 'a row twice');
	assert.equal(all[0].key, still);
	await away();
	await page.evaluate(() => scrollTo(0, 0));
	await page.locator('button.pause').click();
	await away();
	await until('the withheld ones', async () => (await rows())[0].key !== still && (await page.locator('[data-testid=withheld]').innerText()) === '');

	// Oldest first: a list that stands still.
	await page.locator('select[name=sort]').selectOption('oldest');
	await until('no pause for what stands still', async () => (await page.locator('button.pause').count()) === 0);
	await settled();
	const oldest = (await api({ sort: 'oldest', limit: 50 })).items.map((tx) => tx.hash);
	assert.equal((await rows())[0].hash, oldest[0]);
	await page.locator('select[name=sort]').selectOption('');

	// Nothing fits, in words.
	await page.locator('select[name=span]').selectOption('between');
	await page.locator('input[name=to]').fill('2001-01-01T00:00:00');
	await page.waitForSelector('[data-testid=none]');
	assert.equal(search().to, new Date('2001-01-01T00:00:00').toISOString());
	await page.locator('[data-testid=none] button').click();
	await page.waitForSelector('main [data-key]');

	// What fits as a file.
	await page.locator('input[name=status][value=success]').check({ force: true });
	await page.locator('select[name=network]').selectOption(network);
	await only('good ones of one network', (row) => row.status === 'success' && row.network === network);
	const file = async (kind) => fetch(new URL(await page.locator(`[data-testid=${kind}]`).getAttribute('href'), url));
	const json = await (await file('json')).json();
	assert.ok(json.length > 0 && json.every((tx) => tx.status === 'success' && tx.network === network), 'the JSON is not what was chosen');
	const csv = await file('csv');
	assert.match(csv.headers.get('content-type'), /^text\/csv/);
	const [head, ...lines] = (await csv.text()).trim().split('\n');
	assert.ok(head.split(',').includes('hash'), head);
	assert.ok(lines.length > 0 && lines.every((line) => line.includes(network)), lines[0]);

	// By keyboard: down to the next row, and to its own page.
	await page.locator('button.pause').click();
	await page.locator('main [data-key] .hash').first().focus();
	await page.keyboard.press('ArrowDown');
	const second = (await rows())[1].hash;
	assert.equal(await page.evaluate(() => document.activeElement.title), second);
	await page.keyboard.press('Enter');
	await page.waitForSelector('[data-testid=facts]');
	assert.equal(new URL(page.url()).pathname, `/txs/${network}/${second}`);
	await page.goBack();
	await page.waitForSelector('main [data-key]');
	assert.deepEqual(search(), { network, status: 'success' });

	// A narrow screen: nothing overflows, and the other filters are behind a button.
	const size = page.viewportSize();
	await page.setViewportSize({ width: 390, height: 844 });
	assert.ok(!(await page.locator('input[name=address]').isVisible()));
	await page.locator('button.toggle').click();
	assert.ok(await page.locator('input[name=address]').isVisible());
	const width = await page.evaluate(() => document.documentElement.scrollWidth);
	assert.ok(width <= 390, `the page is ${width} px wide on a screen of 390`);
	await page.setViewportSize(size);
	return all.length;
}

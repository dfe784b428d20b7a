// The overview on / against a running server: what is wrong first, one network's windows as charts that share their time, with the API's own
// figures, by pointer and by keyboard, live, in the address and as a file; the diagnosis; nothing wider than a narrow screen.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const CHARTS = ['transactions', 'failures', 'gas', 'fees', 'interval', 'lag', 'completeness'];
const MINUTE_MS = 60_000;

/** Checks the page that `page` is on, then loads it anew. Answers how many windows were compared. */
export async function checkOverview(page, url, until) {
	const api = async (path) => (await fetch(new URL(`/api/v1${path}`, url))).json();
	await until('the page', async () => (await page.locator('nav a[aria-current=page]').innerText()) === 'Overview');

	// What is wrong, or a word that nothing is.
	await until('a word about now', async () => (await page.locator('[data-testid=now] :is([data-testid=fine], li)').count()) > 0);

	// All charts of one network, drawn.
	await until('the charts', async () => (await page.locator('[data-testid=charts][aria-busy=false]').count()) === 1);
	assert.deepEqual(await page.locator('[data-chart]').evaluateAll((all) => all.map((chart) => chart.dataset.chart)), CHARTS);
	const slider = page.locator('[data-testid=time]');
	const says = () => slider.getAttribute('aria-valuetext');
	const search = () => new URL(page.url()).searchParams;
	const label = await page.locator('[data-testid=figures]').getAttribute('aria-label');
	const network = label.replace('Figures of ', '');

	// The diagnosis: a verdict, a sentence, and figures with what is usual or why there are none.
	const diagnosis = page.locator('[data-testid=diagnosis][data-verdict]');
	await diagnosis.waitFor();
	assert.match(await diagnosis.getAttribute('data-verdict'), /^(contract|chain|provider|nothing)$/);
	assert.ok((await diagnosis.locator('.sentence').innerText()).length > 10);
	assert.ok((await diagnosis.locator('tbody tr, [data-testid=missing]').count()) > 0, 'neither evidence nor what is missing');

	// Exact figures by keyboard: those of the API, wherever the slider stands. Demos are young, so that there may be few.
	// A window is whole when the next one has begun, and the first one never is.
	const wait = Date.now() + 3 * MINUTE_MS;
	while (!/, complete(, computed from rows)?\./.test((await says()) ?? '')) {
		assert.ok(Date.now() < wait, `no whole window within three minutes: ${await says()}`);
		await new Promise((resolve) => setTimeout(resolve, 500));
	}
	await slider.focus();
	let compared = 0;
	for (let i = 0; i < 5; i++) {
		const text = await says();
		const step = Number(await slider.inputValue());
		const length = Number(await slider.getAttribute('max')) + 1;
		if (/, complete(, computed from rows)?\./.test(text)) {
			const now = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS + MINUTE_MS;
			const at = now - (length - step) * MINUTE_MS;
			const range = `from=${new Date(at).toISOString()}&to=${new Date(at + MINUTE_MS).toISOString()}`;
			const { series } = await api(`/metrics/series?network=${network}&metric=transactions,failed&step=1m&${range}`);
			const [transactions, failed] = series.map(({ points }) => points[0].value);
			// A minute may have begun, or a reorg come, between the two.
			if (transactions != null && text === (await says()) && Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS + MINUTE_MS === now) {
				assert.ok(text.includes(`${transactions.toLocaleString('en')} transactions`), `${text}: the API has ${transactions}`);
				assert.ok(text.includes(`(${failed.toLocaleString('en')})`), `${text}: the API has ${failed} failed`);
				compared++;
			}
		}
		await page.keyboard.press('ArrowLeft');
		await until('the slider to move', async () => Number(await slider.inputValue()) !== step || step === 0);
	}
	assert.ok(compared > 0, 'no window was compared');

	// Zoom by keyboard, into the address, and back to now.
	await page.keyboard.press('Shift+ArrowLeft');
	for (let i = 0; i < 11; i++) await page.keyboard.press('Shift+ArrowLeft');
	await page.keyboard.press('Enter');
	await until('the zoom in the address', async () => search().has('from') && search().has('to'));
	await page.locator('[data-testid=between]').waitFor();
	assert.ok(Number(await slider.getAttribute('max')) < 59);
	await page.locator('[data-testid=to-now]').click();
	await until('now in the address', async () => !search().has('from'));

	// By pointer: the line goes with it in every chart, and a brush zooms.
	const over = page.locator('[data-chart=transactions] .u-over');
	await over.scrollIntoViewIfNeeded();
	const box = await over.boundingBox();
	await page.mouse.move(box.x + box.width * 0.3, box.y + box.height / 2);
	await until('the slider to follow', async () => Math.abs(Number(await slider.inputValue()) - 18) <= 1);
	await page.mouse.down();
	await page.mouse.move(box.x + box.width * 0.5, box.y + box.height / 2, { steps: 6 });
	// Long enough for live figures to come in between.
	await new Promise((resolve) => setTimeout(resolve, 1_500));
	await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2, { steps: 6 });
	await page.mouse.up();
	await until('the brush in the address', async () => search().has('from'));
	const [from, to] = ['from', 'to'].map((name) => Date.parse(search().get(name)));
	assert.ok(Math.abs(to - from - 18 * MINUTE_MS) <= 2 * MINUTE_MS, `a brush over 18 minutes gave ${(to - from) / MINUTE_MS}`);
	await page.goBack();
	await until('the way back', async () => !search().has('from'));
	await page.mouse.move(2, 2);

	// Live: the minute that goes on grows, with nothing done.
	await slider.focus();
	await page.keyboard.press('End');
	const before = await says();
	await until('a new figure of this minute', async () => (await says()) !== before);

	// A longer time, in the address, which can be passed on.
	await page.locator('input[name=window][value="24h"]').check({ force: true });
	await until('the window in the address', async () => search().get('window') === '24h');
	await page.reload();
	await until('the charts again', async () => (await page.locator('[data-testid=charts][aria-busy=false]').count()) === 1);
	assert.equal(await slider.getAttribute('max'), '287');
	assert.ok(await page.locator('input[name=window][value="24h"]').isChecked());
	await page.locator('input[name=window][value="1h"]').check({ force: true });
	await until('an hour', async () => (await slider.getAttribute('max')) === '59' && (await page.locator('[data-testid=charts][aria-busy=false]').count()) === 1);

	// As a file.
	const [download] = await Promise.all([page.waitForEvent('download'), page.locator('[data-testid=csv]').click()]);
	assert.match(download.suggestedFilename(), /^headwater-.+-1m\.csv$/);
	const lines = readFileSync(await download.path(), 'utf8').trimEnd().split('\r\n');
	assert.equal(lines.length, 61);
	assert.match(lines[0], /^from,to,network,contract,state,/);
	assert.ok(lines.some((line) => line.includes(',complete,')), 'no complete window in the file');

	const size = page.viewportSize();
	await page.setViewportSize({ width: 390, height: 844 });
	await new Promise((resolve) => setTimeout(resolve, 300));
	const width = await page.evaluate(() => document.documentElement.scrollWidth);
	assert.ok(width <= 390, `the page is ${width} px wide on a screen of 390`);
	await page.setViewportSize(size);
	return compared;
}

import { describe, expect, it } from 'vitest';
import type { ProviderMinute } from '../contract';
import { figures, HOUR_MS, MINUTE_MS, past, SPANS } from './history';

const now = Date.parse('2026-11-28T12:00:30Z');
const minute = (ago: number, more: Partial<ProviderMinute> = {}): ProviderMinute => ({
	at: new Date(now - 30_000 - ago * MINUTE_MS).toISOString(),
	calls: 10,
	failures: 0,
	latency_p50_ms: 100,
	latency_p95_ms: 300,
	bytes: 1_000,
	...more
});

describe('figures', () => {
	it('adds up counts, and leaves quantiles alone where all minutes are alike', () => {
		const all = figures([minute(2), minute(1, { failures: 5 }), minute(0)]);
		expect(all).toMatchObject({ calls: 30, failures: 5, bytes: 3_000, success: 25 / 30 });
		expect(all.p50).toBeCloseTo(100, 1);
		expect(all.p95).toBeCloseTo(300, 1);
	});

	it('shows a bad minute in the 95th percentile, as far as it weighs, and not in the median', () => {
		const good = Array.from({ length: 50 }, (_, i) => minute(i));
		const bad = Array.from({ length: 10 }, (_, i) => minute(50 + i, { latency_p50_ms: 3_000, latency_p95_ms: 5_000 }));
		const { p50, p95 } = figures([...good, ...bad]);
		expect(p50).toBeGreaterThan(100);
		expect(p50).toBeLessThan(200);
		expect(p95).toBeGreaterThan(3_000);
		expect(p95).toBeLessThan(5_000);
		const rare = figures([...good, minute(50, { calls: 1, latency_p50_ms: 3_000, latency_p95_ms: 5_000 })]);
		expect(rare.p95).toBeLessThan(400);
	});

	it('stays between the least and the most of the minutes', () => {
		for (let seed = 1; seed < 200; seed++) {
			const random = (n: number) => ((seed * 7919 + n * 104_729) % 997) / 997;
			const some = Array.from({ length: 1 + (seed % 7) }, (_, i) => {
				const p50 = 1 + 4_000 * random(i);
				return minute(i, { calls: 1 + Math.floor(50 * random(i + 9)), latency_p50_ms: p50, latency_p95_ms: p50 * (1 + 5 * random(i + 5)) });
			});
			const { p50, p95 } = figures(some);
			const [p50s, p95s] = [some.map((m) => m.latency_p50_ms!), some.map((m) => m.latency_p95_ms!)];
			expect(p50).toBeGreaterThanOrEqual(Math.min(...p50s) - 0.02);
			expect(p50).toBeLessThanOrEqual(Math.max(...p50s) + 0.02);
			expect(p95).toBeGreaterThanOrEqual(Math.min(...p95s) - 0.02);
			expect(p95).toBeLessThanOrEqual(Math.max(...p95s) + 0.02);
			expect(p95!).toBeGreaterThanOrEqual(p50! - 0.02);
		}
	});

	it('says nothing where nothing is known', () => {
		expect(figures([])).toEqual({ calls: 0, failures: 0, bytes: 0, p50: null, p95: null, success: null });
		const failed = figures([minute(0, { failures: 10, latency_p50_ms: null, latency_p95_ms: null })]);
		expect(failed).toMatchObject({ success: 0, p50: null, p95: null });
	});
});

describe('past', () => {
	it('takes the span and nothing else, the running minute included', () => {
		const { from, to, slots, total } = past([minute(70), minute(59), minute(0), minute(-1)], now, SPANS[0]);
		expect(to - from).toBe(HOUR_MS);
		expect(new Date(to).toISOString()).toBe('2026-11-28T12:01:00.000Z');
		expect(slots.map((s) => (to - s.at) / MINUTE_MS)).toEqual([60, 1]);
		expect(total.calls).toBe(20);
	});

	it('puts what a minute has several rows of together, and minutes into longer slots', () => {
		const rows = [minute(0), minute(0, { calls: 30, failures: 20 }), minute(3), minute(8)];
		expect(past(rows, now, SPANS[0]).slots.map((s) => s.calls)).toEqual([10, 10, 40]);
		// Slots of five minutes stand on whole fives: 11:50, 11:55, 12:00.
		expect(past(rows, now, SPANS[1]).slots.map((s) => s.calls)).toEqual([10, 10, 40]);
		expect(past(rows, now, SPANS[2]).slots.map((s) => s.calls)).toEqual([20, 40]);
	});

	it('leaves minutes without a call and without a time out', () => {
		expect(past([minute(1, { calls: 0 }), minute(1, { at: 'soon' })], now, SPANS[0]).slots).toEqual([]);
	});
});

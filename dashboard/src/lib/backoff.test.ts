import { describe, expect, it } from 'vitest';
import { afterClose, delay, FIRST_MS, MAX_MS, OFFLINE_AFTER, secondsLeft, STEADY_MS } from './backoff';

describe('delay', () => {
	it('doubles, with jitter over the upper half, up to the limit', () => {
		expect(delay(1, 0)).toBe(FIRST_MS / 2);
		expect(delay(3, 0.5)).toBe(FIRST_MS * 4 * 0.75);
		for (let failures = 0; failures < 2000; failures += 7) {
			for (const random of [0, 0.5, 0.999999]) {
				const ms = delay(failures, random);
				expect(ms).toBeGreaterThanOrEqual(FIRST_MS / 2);
				expect(ms).toBeLessThanOrEqual(MAX_MS);
			}
		}
	});
});

describe('afterClose', () => {
	it('counts failures, and says offline after some', () => {
		let failures = 0;
		const kinds: string[] = [];
		for (let i = 0; i < OFFLINE_AFTER; i++) {
			const next = afterClose(failures, null, 1000, true, 0.5);
			failures = next.failures;
			kinds.push(next.kind);
		}
		expect(kinds).toEqual(['reconnecting', 'reconnecting', 'reconnecting', 'offline']);
	});

	it('believes the browser when it says that there is no network', () => {
		expect(afterClose(0, null, 0, false, 0).kind).toBe('offline');
	});

	it('starts over only after a connection that held', () => {
		expect(afterClose(7, 0, STEADY_MS, true, 0)).toEqual({ kind: 'reconnecting', failures: 1, at: STEADY_MS + 250 });
		// A server that accepts and hangs up at once must not be asked in a busy loop.
		expect(afterClose(7, 0, STEADY_MS - 1, true, 0).failures).toBe(8);
	});
});

describe('secondsLeft', () => {
	it('counts down to zero and stays there', () => {
		expect([0, 1, 999, 1000, 2500].map((now) => secondsLeft(2000, now))).toEqual([2, 2, 2, 1, 0]);
	});
});

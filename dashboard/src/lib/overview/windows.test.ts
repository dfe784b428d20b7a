import { describe, expect, it } from 'vitest';
import { axisOf, DEFAULT, MINUTE_MS, startOf } from './range';
import type { SeriesPoint, Value, WindowData } from './shapes';
import { column, KEPT, SETTLED_MS, stateOf, statesOf, sumOf, WindowBook } from './windows';

const NOW = Date.parse('2026-11-29T13:05:20Z');
const axis = axisOf(DEFAULT, NOW);
const iso = (i: number) => new Date(startOf(axis, i)).toISOString();

function point(i: number, value: Value, more: Partial<SeriesPoint> = {}): SeriesPoint {
	return { at: iso(i), value, complete: true, source: 'windows', reason: null, ...more };
}

function frame(i: number, sequence: number, transactions: number, more: Partial<WindowData> = {}): WindowData {
	return { contract: null, window_seconds: 60, window_start: iso(i), transactions, failed: 1, complete: true, sequence, ...more };
}

describe('windows', () => {
	it('fold several series into one window each, as whole as their first figure says', () => {
		const book = new WindowBook();
		book.answer(
			{
				series: [
					{ metric: 'transactions', points: [point(0, 10), point(1, 11, { complete: false, reason: 'a gap' })] },
					{ metric: 'fee_total', points: [point(0, '123456789012345678901', { source: 'rows' }), point(1, null)] },
					{ metric: 'gas_price_p50', points: [point(0, null, { complete: false, reason: 'no sketch' })] },
					{ metric: 'of_tomorrow', points: [point(0, 1)] }
				]
			},
			1
		);
		expect(book.at(startOf(axis, 0))).toMatchObject({ reason: null, values: { transactions: 10, fee_total: '123456789012345678901' }, complete: true, source: 'rows' });
		expect(book.at(startOf(axis, 1))).toMatchObject({ complete: false, reason: 'a gap' });
		expect(column(book, axis, 'transactions').slice(0, 3)).toEqual([10, 11, null]);
		expect(sumOf(column(book, axis, 'transactions'))).toBe(21);
		expect(sumOf([null, null])).toBeNull();
	});

	it('take the frame with the higher sequence, in whichever order they come', () => {
		for (const order of [[5, 7], [7, 5]]) {
			const book = new WindowBook();
			for (const sequence of order) book.frame(frame(3, sequence, sequence), NOW);
			expect(book.at(startOf(axis, 3))!.values.transactions).toBe(7);
		}
		const book = new WindowBook();
		expect(book.frame(frame(3, 5, 1), NOW)).toBe(true);
		expect(book.frame(frame(3, 5, 1), NOW)).toBe(false);
	});

	it('keep what a frame told while an answer was on its way, and take a later answer', () => {
		const book = new WindowBook();
		book.frame(frame(3, 5, 50), 20_000);
		book.answer({ series: [{ metric: 'transactions', points: [point(3, 40)] }] }, 19_000);
		expect(book.at(startOf(axis, 3))!.values.transactions).toBe(50);
		// The store may not have it yet.
		book.answer({ series: [{ metric: 'transactions', points: [point(3, 40)] }] }, 20_500);
		expect(book.at(startOf(axis, 3))!.values.transactions).toBe(50);
		book.answer({ series: [{ metric: 'transactions', points: [point(3, 60)] }] }, 20_000 + SETTLED_MS);
		expect(book.at(startOf(axis, 3))!.values.transactions).toBe(60);
	});

	it('are corrected when a complete one changes, and not when an open one grows', () => {
		const book = new WindowBook();
		book.frame(frame(3, 5, 50, { complete: false }), 1);
		book.frame(frame(3, 6, 60, { complete: false }), 2);
		book.frame(frame(3, 7, 70), 3);
		expect(book.at(startOf(axis, 3))!.corrected).toBe(false);
		book.frame(frame(3, 8, 70), 4);
		expect(book.at(startOf(axis, 3))!.corrected).toBe(false);
		book.frame(frame(3, 9, 66), 5);
		book.frame(frame(3, 10, 66), 6);
		expect(book.at(startOf(axis, 3))!.corrected).toBe(true);
		// Digits that the two sources round each in its way are no correction.
		book.frame(frame(4, 1, 70, { block_interval_ms: 2_000, failure_rate: 0.333333 }), 1);
		book.answer({ series: [{ metric: 'transactions', points: [point(4, 70)] }, { metric: 'block_interval_ms', points: [point(4, 1_999.6)] }] }, 60_000);
		expect(book.at(startOf(axis, 4))!.corrected).toBe(false);
	});

	it('are forgotten, the oldest first', () => {
		const book = new WindowBook();
		for (let i = 0; i < KEPT + 50; i++) book.frame(frame(i, 1, i), 1);
		expect(book.size).toBe(KEPT);
		expect(book.at(startOf(axis, 49))).toBeUndefined();
		book.before(startOf(axis, 100));
		expect(book.size).toBe(KEPT - 50);
	});

	it('say what they are', () => {
		const book = new WindowBook();
		book.answer({ series: [{ metric: 'transactions', points: [point(0, 1), point(1, 1, { source: 'rows' }), point(2, 1, { complete: false, reason: 'a gap' }), point(57, 1, { complete: false }), point(40, 1, { complete: false }), point(41, null, { complete: false, reason: 'before the first block' }), point(59, 1, { complete: false })] }] }, 1);
		const states = statesOf(book, axis, NOW);
		expect([0, 1, 2, 3, 40, 41, 57, 59].map((i) => states[i])).toEqual(['complete', 'rows', 'incomplete', 'none', 'incomplete', 'none', 'open', 'open']);
		// A gap is known at once, however young the window is.
		book.frame(frame(58, 2, 1, { complete: false, reason: 'a gap' }), 2);
		expect(stateOf(book.at(startOf(axis, 58)), startOf(axis, 58), MINUTE_MS, NOW)).toBe('incomplete');
		book.frame(frame(58, 3, 1, { complete: false, reason: 'its end is not reached' }), 3);
		expect(stateOf(book.at(startOf(axis, 58)), startOf(axis, 58), MINUTE_MS, NOW)).toBe('open');
		expect(stateOf(undefined, NOW + 1, MINUTE_MS, NOW)).toBe('open');
	});

	it('leaves windows open that the median time of the last blocks has not passed', () => {
		const told = (reason: string | null, complete = false) => ({ at: 0, values: { transactions: 1 }, complete, source: 'windows', reason, sequence: 1, heard: 0, corrected: false });
		const [start, step, now] = [60_000, 60_000, 3_600_000];
		const ends = 'its end is not reached: the median time past is 1970-01-01T00:01:00Z';
		expect(stateOf(told(ends), start, step, now, 60_000)).toBe('open');
		expect(stateOf(undefined, start, step, now, 60_000)).toBe('open');
		expect(stateOf(told(`no window tells of it; ${ends}`), start, step, now, 60_000)).toBe('open');
		expect(stateOf(told('blocks 3 to 4 are missing'), start, step, now, 60_000)).toBe('incomplete');
		expect(stateOf(told(null, true), start, step, now, 120_000)).toBe('complete');
		expect(stateOf(undefined, start, step, now, 120_000)).toBe('none');
	});
});

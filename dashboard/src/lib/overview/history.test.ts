import { describe, expect, it } from 'vitest';
import { LagBook, KEPT as KEPT_MINUTES } from './lag';
import { axisOf, DEFAULT, MINUTE_MS } from './range';
import { KEPT, withRevert, type Reorg } from './reorgs';
import { ticks, tickWords } from './ticks';

const NOW = Date.parse('2026-11-29T13:05:20Z');

describe('lag', () => {
	it('is the most of each step, and unknown where nobody looked', () => {
		const book = new LagBook();
		book.seen('op', 3, NOW);
		book.seen('op', 1, NOW + 6_000);
		book.seen('op', 0, NOW - 5 * MINUTE_MS);
		book.seen('op', null, NOW - 9 * MINUTE_MS);
		const column = book.over('op', axisOf(DEFAULT, NOW));
		expect(column.at(-1)).toBe(3);
		expect(column.at(-6)).toBe(0);
		expect(column.filter((lag) => lag != null)).toHaveLength(2);
		expect(book.over('eth', axisOf(DEFAULT, NOW)).every((lag) => lag == null)).toBe(true);
		for (let i = 0; i < KEPT_MINUTES + 10; i++) book.seen('op', 1, NOW + i * MINUTE_MS);
		expect(book.over('op', axisOf(DEFAULT, NOW)).filter((lag) => lag != null).length).toBeLessThan(2);
	});
});

describe('reorgs', () => {
	const block = (height: number) => ({ network: 'op', height, time: NOW - 10_000 + height, transactions: 10 });

	it('are one as long as their reverts come together', () => {
		let list: Reorg[] = [];
		for (const height of [9, 8, 7]) list = withRevert(list, block(height), NOW);
		list = withRevert(list, { ...block(8), network: 'eth' }, NOW + 100);
		expect(list).toHaveLength(2);
		expect(list[0]).toMatchObject({ from: 7, to: 9, blocks: 3, transactions: 30, at: NOW - 9_993 });
		list = withRevert(list, block(9), NOW + 10_000);
		expect(list).toHaveLength(3);
		for (let i = 0; i < KEPT + 5; i++) list = withRevert(list, block(9), NOW + i * 20_000);
		expect(list).toHaveLength(KEPT);
	});
});

describe('the axis in words', () => {
	it('has round times, as many as there is room for', () => {
		const hour = axisOf(DEFAULT, NOW);
		const few = ticks(hour, 320, 0);
		expect(few.map((at) => new Date(at * 1_000).toISOString().slice(11, 16))).toEqual(['12:15', '12:30', '12:45', '13:00']);
		expect(ticks(hour, 900, 0).length).toBeLessThanOrEqual(12);
		const month = axisOf({ ...DEFAULT, range: '30d' }, NOW);
		for (const at of ticks(month, 900, 0)) expect(at % 86_400).toBe(0);
		// In a zone of its own half hours.
		expect(ticks(axisOf({ ...DEFAULT, range: '7d' }, NOW), 600, -330).every((at) => (at + 330 * 60) % 86_400 === 0)).toBe(true);
	});

	it('names days where they begin', () => {
		const midnight = new Date(2026, 10, 29).getTime();
		const day = axisOf({ ...DEFAULT, range: '24h' }, midnight);
		expect(tickWords(midnight, day)).toBe('Nov 29');
		expect(tickWords(midnight + 3_600_000, day)).toBe('01:00');
	});
});

import { describe, expect, it } from 'vitest';
import { axisOf, DEFAULT, indexAt, LEAST_MS, MINUTE_MS, MOST, sameAxis, searchOf, shift, startOf, stepFor, viewOf, zoomBy, zoomTo } from './range';

const NOW = Date.parse('2026-11-29T13:05:20.500Z');
const at = (time: string) => Date.parse(`2026-11-29T${time}Z`);
const HOUR = 60 * MINUTE_MS;

describe('the address', () => {
	it('has nothing of what goes without saying', () => {
		expect(searchOf(DEFAULT)).toBe('');
		expect(viewOf('')).toEqual(DEFAULT);
	});

	it('comes back as it was', () => {
		for (const view of [
			{ ...DEFAULT, network: 'op-mainnet', range: '24h' as const },
			{ ...DEFAULT, network: 'a b&c', contract: '0xabc' },
			{ ...DEFAULT, network: 'x', range: '7d' as const, between: { from: at('10:00:00'), to: at('12:30:00') } }
		]) {
			expect(viewOf(searchOf(view))).toEqual(view);
		}
	});

	it('leaves out what cannot be read', () => {
		expect(viewOf('?window=2y&from=yesterday&to=now')).toEqual(DEFAULT);
		expect(viewOf('?from=2026-11-29T13:00:00Z&to=2026-11-29T12:00:00Z').between).toBeNull();
		expect(viewOf('?from=2026-11-29T13:00:00Z').between).toBeNull();
	});
});

describe('the axis', () => {
	it('ends with the step that goes on', () => {
		const axis = axisOf(DEFAULT, NOW);
		expect(new Date(axis.to).toISOString()).toBe('2026-11-29T13:06:00.000Z');
		expect(axis).toMatchObject({ length: 60, live: true, step: { name: '1m' } });
		expect(axisOf(DEFAULT, axis.to).to).toBe(axis.to + MINUTE_MS);
		expect(axisOf(DEFAULT, axis.to - 1).to).toBe(axis.to);
	});

	it('has steps that the server keeps, on their own borders, never too many', () => {
		for (const [range, step, length] of [['6h', '1m', 360], ['24h', '5m', 288], ['7d', '1h', 168], ['30d', '1h', 720]] as const) {
			const axis = axisOf({ ...DEFAULT, range }, NOW);
			expect([axis.step.name, axis.length]).toEqual([step, length]);
			expect(axis.from % axis.step.ms).toBe(0);
		}
		for (const days of [1, 40, 400, 4_000]) {
			const axis = axisOf({ ...DEFAULT, between: { from: NOW - days * 24 * HOUR, to: NOW } }, NOW);
			expect(axis.length).toBeLessThanOrEqual(MOST);
			expect(axis.from % axis.step.ms).toBe(0);
			expect(axis.to).toBeGreaterThanOrEqual(NOW);
		}
	});

	it('covers what was asked for with whole steps', () => {
		const axis = axisOf({ ...DEFAULT, between: { from: at('10:00:30'), to: at('10:20:30') } }, NOW);
		expect([axis.from, axis.to]).toEqual([at('10:00:00'), at('10:21:00')]);
		expect(axis.live).toBe(false);
	});

	it('knows where a time lies', () => {
		const axis = axisOf(DEFAULT, NOW);
		expect(indexAt(axis, axis.from)).toBe(0);
		expect(indexAt(axis, axis.to - 1)).toBe(59);
		expect(indexAt(axis, axis.to)).toBeNull();
		expect(indexAt(axis, axis.from - 1)).toBeNull();
		expect(indexAt(axis, startOf(axis, 17))).toBe(17);
	});
});

describe('zooming', () => {
	const day = { ...DEFAULT, range: '24h' as const };

	it('takes the brushed time in whole steps and finer ones', () => {
		const axis = axisOf(day, NOW);
		const view = zoomTo(day, startOf(axis, 100), startOf(axis, 112));
		const inside = axisOf(view, NOW);
		expect([inside.from, inside.to]).toEqual([startOf(axis, 100), startOf(axis, 112)]);
		expect(inside.step.name).toBe('1m');
		expect(zoomTo(view, startOf(axis, 112), startOf(axis, 100))).toEqual(view);
	});

	it('stops where there is nothing more to see', () => {
		const axis = axisOf(DEFAULT, NOW);
		const view = zoomTo(DEFAULT, startOf(axis, 10), startOf(axis, 11));
		const inside = axisOf(view, NOW);
		expect(inside.to - inside.from).toBeGreaterThanOrEqual(LEAST_MS);
		expect(inside.from).toBeLessThanOrEqual(startOf(axis, 10));
		expect(inside.to).toBeGreaterThanOrEqual(startOf(axis, 11));
	});

	it('out of the present widens the range, and out of a time around its middle', () => {
		expect(zoomBy(DEFAULT, axisOf(DEFAULT, NOW), false, null, NOW)).toEqual({ ...DEFAULT, range: '6h' });
		const most = { ...DEFAULT, range: '30d' as const };
		expect(zoomBy(most, axisOf(most, NOW), false, null, NOW)).toEqual(most);
		const past = { ...DEFAULT, between: { from: at('06:00:00'), to: at('07:00:00') } };
		const wider = zoomBy(past, axisOf(past, NOW), false, null, NOW).between!;
		expect(wider.to - wider.from).toBe(2 * HOUR);
		expect((wider.from + wider.to) / 2).toBe(at('06:30:00'));
	});

	it('never shows the future, and goes on with the clock again when it is reached', () => {
		let view = shift(DEFAULT, axisOf(DEFAULT, NOW), false, NOW);
		expect(view.between!.to).toBeLessThan(NOW);
		view = shift(view, axisOf(view, NOW), true, NOW);
		expect(view).toEqual(DEFAULT);
		const odd = { ...DEFAULT, between: { from: at('12:40:00'), to: at('13:00:00') } };
		const later = shift(odd, axisOf(odd, NOW), true, NOW);
		expect(axisOf(later, NOW).to).toBeLessThanOrEqual(axisOf(DEFAULT, NOW).to);
	});

	it('gives the same axis for the same time only', () => {
		expect(sameAxis(axisOf(day, NOW), axisOf(day, NOW + 1_000))).toBe(true);
		expect(sameAxis(axisOf(day, NOW), axisOf(DEFAULT, NOW))).toBe(false);
		expect(stepFor(LEAST_MS).name).toBe('1m');
	});
});

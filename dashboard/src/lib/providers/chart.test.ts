import { describe, expect, it } from 'vitest';
import { band, ceiling, floorOf, line, points } from './chart';

describe('axes', () => {
	it('ends at a number that people say', () => {
		expect([0, 0.4, 1, 101, 200, 201, 4_999, 6_000].map(ceiling)).toEqual([1, 0.5, 1, 200, 200, 500, 5_000, 10_000]);
		expect(ceiling(NaN)).toBe(1);
	});

	it('begins where the worst still has a place', () => {
		expect([1, 0.992, 0.97, 0.3].map(floorOf)).toEqual([0.99, 0.99, 0.95, 0]);
	});
});

describe('lines', () => {
	const slots = [0, 60, 180].map((at) => ({ at, value: at / 240 }));
	const some = points(slots, { from: 0, to: 240, slot: 60 }, (s) => s.value);

	it('has a point for each slot and breaks where one is missing', () => {
		expect(some.map((p) => [p.x, p.y])).toEqual([
			[75, 100],
			[225, 75],
			[375, null],
			[525, 25]
		]);
		expect(line(some)).toBe('M75 100L225 75M522 25H528');
	});

	it('fills what lies between two lines, run by run', () => {
		const lower = points(slots, { from: 0, to: 240, slot: 60 }, () => 0);
		expect(band(some, lower)).toBe('M75 100L225 75L225 100L75 100Z');
		expect(band([], [])).toBe('');
	});
});

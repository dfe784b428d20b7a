import { describe, expect, it } from 'vitest';
import { axisOf, DEFAULT, startOf } from './range';
import type { CausesPoint } from './shapes';
import { heights, NAMED, OTHERS, stackOf, UNTOLD } from './stack';

const axis = axisOf({ ...DEFAULT, between: { from: 0, to: 600_000 } }, 0);
const at = (i: number) => new Date(startOf(axis, i)).toISOString();
const column = (...values: (number | null)[]) => [...values, ...new Array<null>(axis.length - values.length).fill(null)];

describe('causes', () => {
	it('add up to what failed, whatever is not told yet', () => {
		const items: CausesPoint[] = [
			{ at: at(0), causes: { slippage: 3, balance: 1, unknown: 2 } },
			{ at: at(1), causes: { slippage: 9 } },
			{ at: '1999-01-01T00:00:00Z', causes: { slippage: 99 } }
		];
		const stack = stackOf(items, axis, column(10, 9, 0, 4), column(100, 10, 50, 8));
		expect(stack.causes.map(({ cause, total }) => [cause, total])).toEqual([['slippage', 12], ['balance', 1], [UNTOLD, 10]]);
		for (const i of [0, 1, 2, 3]) expect(stack.causes.reduce((sum, { counts }) => sum + counts[i]!, 0)).toBe([10, 9, 0, 4][i]);
		const rows = heights(stack);
		expect(rows.at(-1)!.slice(0, 5)).toEqual([0.1, 0.9, 0, 0.5, null]);
		expect(rows[0]!.slice(0, 2)).toEqual([0.03, 0.9]);
	});

	it('have a colour each up to a number, and the others one together', () => {
		const causes = Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name, i) => [name, 20 - i]));
		const sum = Object.values(causes).reduce((a, b) => a + b, 0);
		const stack = stackOf([{ at: at(0), causes }], axis, column(sum), column(sum));
		expect(stack.causes.map(({ cause }) => cause)).toEqual(['a', 'b', 'c', 'd', 'e', OTHERS]);
		expect(stack.causes[NAMED]!.total).toBe(15 + 14 + 13);
		const six = stackOf([{ at: at(0), causes: { a: 6, b: 5, c: 4, d: 3, e: 2, f: 1 } }], axis, column(21), column(21));
		expect(six.causes.map(({ cause }) => cause)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
	});

	it('never stand higher than all of a window’s transactions', () => {
		const stack = stackOf([{ at: at(0), causes: { a: 12 } }], axis, column(10), column(10));
		expect(heights(stack)[0]![0]).toBe(1);
		expect(heights(stackOf([], axis, column(null), column(null)))).toEqual([]);
	});
});

/**
 * Failures by cause, one on the other: the share of a window's transactions that failed, parted by why.
 *
 * Guarantee: the parts of a window add up to its failures as its window counts them. Causes come later than their transactions, so what is not told
 * yet is a part of its own. Pure.
 */

import { instant } from '../format';
import { indexAt, type Axis } from './range';
import type { CausesPoint, Value } from './shapes';

/** Causes that have a colour of their own; all others together have one more. */
export const NAMED = 5;
export const OTHERS = 'others';
/** Not looked into yet, or nobody could tell: the server's word is the same for both. */
export const UNTOLD = 'not known yet';
const UNKNOWN = 'unknown';

export interface Stack {
	/** Most frequent first, then `OTHERS`, then `UNTOLD`; only those that occur. */
	causes: { cause: string; counts: number[]; total: number }[];
	failed: (number | null)[];
	transactions: (number | null)[];
}

export function stackOf(items: readonly CausesPoint[], axis: Axis, failed: readonly Value[], transactions: readonly Value[]): Stack {
	const counts = new Map<string, number[]>();
	const told = new Array<number>(axis.length).fill(0);
	for (const { at, causes } of items) {
		const i = indexAt(axis, instant(at) ?? NaN);
		if (i == null || Number.isNaN(i)) continue;
		for (const [cause, count] of Object.entries(causes)) {
			if (cause === UNKNOWN) continue;
			let row = counts.get(cause);
			if (!row) counts.set(cause, (row = new Array<number>(axis.length).fill(0)));
			row[i]! += count;
			told[i]! += count;
		}
	}
	const ranked = [...counts]
		.map(([cause, row]) => ({ cause, counts: row, total: row.reduce((a, b) => a + b, 0) }))
		.filter(({ total }) => total > 0)
		.sort((a, b) => b.total - a.total || a.cause.localeCompare(b.cause, 'en'));
	const causes = ranked.slice(0, NAMED);
	const rest = ranked.slice(NAMED);
	if (rest.length === 1) causes.push(rest[0]!);
	else if (rest.length > 1) {
		const sum = axisSum(rest.map((r) => r.counts), axis.length);
		causes.push({ cause: OTHERS, counts: sum, total: sum.reduce((a, b) => a + b, 0) });
	}
	const all = failed.map(number);
	const untold = all.map((n, i) => Math.max(0, (n ?? 0) - told[i]!));
	const total = untold.reduce((a, b) => a + b, 0);
	if (total > 0) causes.push({ cause: UNTOLD, counts: untold, total });
	return { causes, failed: all, transactions: transactions.map(number) };
}

/** Heights of the parts over the axis, each with those under it; shares of 0 to 1, null where nothing is known. */
export function heights(stack: Stack): (number | null)[][] {
	const under = new Array<number>(stack.failed.length).fill(0);
	return stack.causes.map(({ counts }) =>
		counts.map((count, i) => {
			under[i]! += count;
			const of = stack.transactions[i];
			if (of == null || stack.failed[i] == null) return null;
			return of > 0 ? Math.min(1, under[i]! / of) : 0;
		})
	);
}

function axisSum(rows: number[][], length: number): number[] {
	return Array.from({ length }, (_, i) => rows.reduce((sum, row) => sum + row[i]!, 0));
}

function number(value: Value): number | null {
	return typeof value === 'number' ? value : null;
}

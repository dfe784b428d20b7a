/**
 * What a rule's figure did lately, beside its limit. Windows stand side by side here, where the rule's own trails behind each block: it says
 * about how often the rule would have fired, not exactly.
 */

import type { SeriesPoint } from '../overview/shapes';
import { duration } from './duration';

export interface Span {
	/** As `/metrics/series` calls it. */
	step: string;
	stepMs: number;
	/** So much is shown, milliseconds. */
	shownMs: number;
	words: string;
}

/** What is shown for a rule's window. */
export const SPANS: Record<string, Span> = {
	'1m': { step: '1m', stepMs: 60_000, shownMs: 90 * 60_000, words: '90 minutes' },
	'5m': { step: '5m', stepMs: 300_000, shownMs: 6 * 3_600_000, words: '6 hours' },
	'1h': { step: '1h', stepMs: 3_600_000, shownMs: 3 * 86_400_000, words: '3 days' },
	'24h': { step: '1d', stepMs: 86_400_000, shownMs: 30 * 86_400_000, words: '30 days' }
};

/** The most steps of one answer. */
const MOST = 1_500;

/** From when on it is read, with what a baseline needs before; milliseconds. */
export function since(span: Span, over: string | null, now: number): number {
	const before = over == null ? 0 : Math.min(duration(over) ?? 0, (MOST - 2) * span.stepMs - span.shownMs);
	return Math.floor((now - span.shownMs - before) / span.stepMs) * span.stepMs;
}

export interface Compared {
	operator: string;
	/** A fixed limit. */
	threshold: number | null;
	/** Or so much above or below what is usual. */
	baseline: { percent: number; over: string } | null;
}

export interface Preview {
	/** Those that are shown, oldest first; null: there is none. */
	points: { at: number; value: number | null; beyond: boolean }[];
	limit: number | null;
	/** The newest. */
	now: number | null;
	/** How many are beyond the limit, and of how many. */
	beyond: number;
	of: number;
}

export function preview(points: readonly SeriesPoint[], span: Span, { operator, threshold, baseline }: Compared, now: number): Preview {
	const all = points.map(({ at, value }) => ({ at: Date.parse(at), value: value == null ? null : Number(value) }));
	const values = all.filter((point) => point.value != null);
	let limit = threshold;
	if (baseline) {
		const from = now - (duration(baseline.over) ?? 0);
		const usual = values.filter((point) => point.at >= from);
		const mean = usual.reduce((sum, point) => sum + (point.value ?? 0), 0) / usual.length;
		limit = usual.length === 0 ? null : mean * (1 + (operator.startsWith('<') ? -1 : 1) * (baseline.percent / 100));
	}
	const shown = all
		.filter((point) => point.at >= now - span.shownMs - span.stepMs)
		.map((point) => ({ ...point, beyond: point.value != null && limit != null && holds(point.value, operator, limit) }));
	const known = shown.filter((point) => point.value != null);
	return { points: shown, limit, now: known.at(-1)?.value ?? null, beyond: known.filter((point) => point.beyond).length, of: known.length };
}

function holds(value: number, operator: string, limit: number): boolean {
	switch (operator) {
		case '>':
			return value > limit;
		case '>=':
			return value >= limit;
		case '<':
			return value < limit;
		case '<=':
			return value <= limit;
		case '==':
			return value === limit;
		default:
			return value !== limit;
	}
}

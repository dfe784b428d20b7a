/**
 * An endpoint's past: minutes as the server has them, folded into slots for pictures and into the figures of a span.
 *
 * Guarantee: counts are exact sums. Quantiles of several minutes together are estimated from the quantiles of each, weighted
 * by its answers: exact when the minutes are alike, always between the least and the most of them.
 */

import type { ProviderMinute } from '../contract';
import { instant } from '../format';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;

/** Choices of span: what is shown, and in slots of what length. */
export const SPANS = [
	{ name: '1 h', says: 'the last hour', ms: HOUR_MS, slot: MINUTE_MS },
	{ name: '6 h', says: 'the last six hours', ms: 6 * HOUR_MS, slot: 5 * MINUTE_MS },
	{ name: '24 h', says: 'the last day', ms: 24 * HOUR_MS, slot: 15 * MINUTE_MS }
] as const;

export type Span = (typeof SPANS)[number];

export interface Figures {
	calls: number;
	failures: number;
	bytes: number;
	p50: number | null;
	p95: number | null;
	/** 0 to 1; null without a call. */
	success: number | null;
}

export interface Slot extends Figures {
	/** Its start, milliseconds since the epoch. */
	at: number;
}

export interface Past {
	from: number;
	to: number;
	slot: number;
	/** Oldest first; a slot without a call is not there. */
	slots: Slot[];
	/** Of the whole span. */
	total: Figures;
}

/** The minutes of a span that ends with the minute of `now`. */
export function past(minutes: readonly ProviderMinute[], now: number, span: Pick<Span, 'ms' | 'slot'>): Past {
	const to = Math.floor(now / span.slot) * span.slot + span.slot;
	const from = to - span.ms;
	const groups = new Map<number, ProviderMinute[]>();
	const inside: ProviderMinute[] = [];
	for (const minute of minutes) {
		const at = instant(minute.at);
		if (at == null || at < from || at >= to || !(minute.calls > 0)) continue;
		const slot = Math.floor(at / span.slot) * span.slot;
		const group = groups.get(slot);
		if (group) group.push(minute);
		else groups.set(slot, [minute]);
		inside.push(minute);
	}
	const slots = [...groups].sort(([a], [b]) => a - b).map(([at, group]) => ({ at, ...figures(group) }));
	return { from, to, slot: span.slot, slots, total: figures(inside) };
}

/** Any number of minutes as one. */
export function figures(minutes: readonly ProviderMinute[]): Figures {
	let calls = 0;
	let failures = 0;
	let bytes = 0;
	const parts: Part[] = [];
	for (const minute of minutes) {
		calls += minute.calls;
		failures += Math.min(minute.failures, minute.calls);
		bytes += minute.bytes ?? 0;
		const p50 = minute.latency_p50_ms;
		if (p50 == null) continue;
		// Latencies are those of answers; where all failed and there are some regardless, they count by the calls.
		const weight = minute.calls - minute.failures || minute.calls;
		if (weight > 0) parts.push({ p50, p95: Math.max(p50, minute.latency_p95_ms ?? p50), weight });
	}
	return {
		calls,
		failures,
		bytes,
		p50: quantile(parts, 0.5),
		p95: quantile(parts, 0.95),
		success: calls > 0 ? (calls - failures) / calls : null
	};
}

interface Part {
	p50: number;
	p95: number;
	weight: number;
}

/** Where `q` of the answers of all parts lie below, each part's distribution taken as straight between what is known of it. */
function quantile(parts: readonly Part[], q: number): number | null {
	if (parts.length === 0) return null;
	const own = parts.map((part) => (q <= 0.5 ? part.p50 : part.p95));
	let low = Math.min(...own);
	let high = Math.max(...own);
	const wanted = q * parts.reduce((sum, part) => sum + part.weight, 0);
	for (let i = 0; i < 40 && high - low > 0.01; i++) {
		const middle = (low + high) / 2;
		const below = parts.reduce((sum, part) => sum + part.weight * shareBelow(part, middle), 0);
		if (below < wanted) low = middle;
		else high = middle;
	}
	return high;
}

function shareBelow({ p50, p95 }: Part, x: number): number {
	if (x >= p95) return p95 > p50 ? Math.min(1, 0.95 + (0.05 * (x - p95)) / (p95 - p50)) : 1;
	if (x >= p50) return 0.5 + (0.45 * (x - p50)) / (p95 - p50);
	return p50 > 0 ? (0.5 * x) / p50 : 0;
}

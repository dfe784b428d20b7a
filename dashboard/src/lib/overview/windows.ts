/**
 * The windows of one network (or contract) in steps of one length, from two sources: answers of `/metrics/series`, and frames of the topic
 * `windows`.
 *
 * Guarantees: of two frames of one window the one with the higher sequence holds, in whichever order they come; an answer does not
 * overwrite what a frame told while it was on its way, or so shortly before that the store may not have it; at most `KEPT` windows are held.
 * A window that was complete and whose sums are told otherwise later was corrected, which is what a reorg does. Pure.
 */

import { instant } from '../format';
import { startOf, type Axis } from './range';
import { METRICS, type Metric, type SeriesAnswer, type Value, type WindowData } from './shapes';

export const KEPT = 1_600;
/** So long the store may be behind what is told live, milliseconds. */
export const SETTLED_MS = 10_000;
/** What is compared to know whether a window was corrected: exact sums, which both sources tell by the same digits. */
const SUMS = ['transactions', 'failed', 'fee_total'] as const;

export interface Window {
	/** Its start, milliseconds. */
	at: number;
	values: Partial<Record<Metric, Value>>;
	complete: boolean;
	/** `windows` or `rows`. */
	source: string;
	reason: string | null;
	/** Of frames; null of what an answer told. */
	sequence: number | null;
	/** When it was heard, by our clock. */
	heard: number;
	/** Its figures changed after it was complete. */
	corrected: boolean;
}

export class WindowBook {
	private known = new Map<number, Window>();

	get size(): number {
		return this.known.size;
	}

	at(start: number): Window | undefined {
		return this.known.get(start);
	}

	/** An answer, true at some time after `sent`, by our clock. */
	answer(answer: Pick<SeriesAnswer, 'series'>, sent: number): void {
		const told = new Map<number, Window>();
		for (const { metric, points } of answer.series) {
			if (!isMetric(metric)) continue;
			for (const point of points) {
				const at = instant(point.at);
				if (at == null) continue;
				let window = told.get(at);
				if (!window) {
					// Whether it is whole is said of the window by its first figure: a later one may only lack what makes it (a quantile's sketch).
					const { complete, source, reason } = point;
					window = { at, values: {}, complete, source: source ?? 'windows', reason: reason ?? null, sequence: null, heard: sent, corrected: false };
					told.set(at, window);
				}
				window.values[metric] = point.value;
				if (point.source === 'rows') window.source = 'rows';
			}
		}
		for (const [at, window] of told) {
			const held = this.known.get(at);
			if (held && held.heard > (held.sequence == null ? sent : sent - SETTLED_MS)) continue;
			window.corrected = corrected(held, window);
			this.known.set(at, window);
		}
		this.trim();
	}

	/** False: it was known already, or a newer one is. */
	frame(data: WindowData, now: number): boolean {
		const at = instant(data.window_start);
		if (at == null) return false;
		const held = this.known.get(at);
		if (held?.sequence != null && held.sequence >= data.sequence) return false;
		const values: Window['values'] = {};
		for (const metric of METRICS) if (data[metric] !== undefined) values[metric] = data[metric];
		const window: Window = {
			at,
			values,
			complete: data.complete,
			source: 'windows',
			reason: data.reason ?? null,
			sequence: data.sequence,
			heard: now,
			corrected: false
		};
		window.corrected = corrected(held, window);
		this.known.set(at, window);
		this.trim();
		return true;
	}

	/** Forgets what lies before. */
	before(start: number): void {
		for (const at of this.known.keys()) if (at < start) this.known.delete(at);
	}

	private trim(): void {
		if (this.known.size <= KEPT) return;
		const starts = [...this.known.keys()].sort((a, b) => a - b);
		for (const at of starts.slice(0, this.known.size - KEPT)) this.known.delete(at);
	}
}

function corrected(held: Window | undefined, now: Window): boolean {
	if (!held) return false;
	if (held.corrected) return true;
	return held.complete && SUMS.some((metric) => held.values[metric] !== undefined && now.values[metric] !== undefined && String(held.values[metric]) !== String(now.values[metric]));
}

function isMetric(name: string): name is Metric {
	return (METRICS as readonly string[]).includes(name);
}

/** How the server says so. */
const NOT_ENDED = /^its end is not reached/;
/** The same where rows were asked too, and no window is there yet. */
const WAITS = /its end is not reached|no later block is held yet/;
/** So long after its end, the block that ends a window may still be on its way, milliseconds; a step, where that is longer. */
const ENDING_MS = 120_000;

/** What is to be said of a step: `open` goes on now, or no block has told yet that it is over; `none`: nothing is known of it. */
export type State = 'complete' | 'rows' | 'open' | 'incomplete' | 'none';

/** `water`: of chains whose blocks may come with earlier times than the last one's, up to when windows are over (Bitcoin's median time past). */
export function stateOf(window: Window | undefined, start: number, stepMs: number, now: number, water: number | null = null): State {
	if (water != null && start + stepMs > water && start <= now && !window?.complete && (window?.reason == null || WAITS.test(window.reason))) return 'open';
	const ending = now < start + stepMs + Math.max(ENDING_MS, stepMs);
	if (now < start + stepMs || (ending && !window?.complete && (window?.reason == null || NOT_ENDED.test(window.reason)))) return 'open';
	if (!window || (!window.complete && window.values.transactions == null)) return 'none';
	if (!window.complete) return 'incomplete';
	return window.source === 'rows' ? 'rows' : 'complete';
}

export function statesOf(book: WindowBook, axis: Axis, now: number, water: number | null = null): State[] {
	return Array.from({ length: axis.length }, (_, i) => {
		const start = startOf(axis, i);
		return stateOf(book.at(start), start, axis.step.ms, now, water);
	});
}

/** A metric over an axis, as it was told. */
export function column(book: WindowBook, axis: Axis, metric: Metric): Value[] {
	return Array.from({ length: axis.length }, (_, i) => book.at(startOf(axis, i))?.values[metric] ?? null);
}

/** The sum of a count over the axis; null where nothing is known of it at all. */
export function sumOf(values: readonly Value[]): number | null {
	const known = values.filter((value): value is number => typeof value === 'number');
	return known.length > 0 ? known.reduce((a, b) => a + b, 0) : null;
}

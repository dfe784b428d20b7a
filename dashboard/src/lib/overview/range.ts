/**
 * What is looked at: which network and contract, over which time, in steps of what length; as it stands in the page's address.
 *
 * Guarantees: an address can be passed on (`viewOf(searchOf(view))` is the view; times stand in it in UTC); an axis is whole steps
 * that begin where the server's windows do, and never more than `MOST` of them. Pure; the clock is passed in.
 */

import { instant } from '../format';

export const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Windows that end with the present one. */
export const RANGES = [
	{ name: '1h', words: '1 h', says: 'the last hour', ms: HOUR_MS },
	{ name: '6h', words: '6 h', says: 'the last six hours', ms: 6 * HOUR_MS },
	{ name: '24h', words: '24 h', says: 'the last day', ms: DAY_MS },
	{ name: '7d', words: '7 d', says: 'the last seven days', ms: 7 * DAY_MS },
	{ name: '30d', words: '30 d', says: 'the last thirty days', ms: 30 * DAY_MS }
] as const;

export type RangeName = (typeof RANGES)[number]['name'];

/** Lengths of windows that the server keeps. */
export const STEPS = [
	{ name: '1m', words: 'minute', ms: MINUTE_MS },
	{ name: '5m', words: 'five minutes', ms: 5 * MINUTE_MS },
	{ name: '1h', words: 'hour', ms: HOUR_MS },
	{ name: '1d', words: 'day', ms: DAY_MS }
] as const;

export type Step = (typeof STEPS)[number];

/** Steps of an axis: as many as a screen has room for. */
export const MOST = 760;
/** The shortest time that is zoomed into. */
export const LEAST_MS = 10 * MINUTE_MS;

export interface View {
	/** Empty: the page chooses. */
	network: string;
	/** Empty: the whole network. */
	contract: string;
	range: RangeName;
	/** A time that stands still, milliseconds; null: the range, up to now. */
	between: { from: number; to: number } | null;
}

export const DEFAULT: View = { network: '', contract: '', range: '1h', between: null };

export interface Axis {
	/** The start of the first step, milliseconds. */
	from: number;
	/** The end of the last. */
	to: number;
	step: Step;
	/** How many steps. */
	length: number;
	/** It goes on with the clock. */
	live: boolean;
}

/** From an address; what cannot be read is left out. */
export function viewOf(search: string): View {
	const query = new URLSearchParams(search);
	const text = (name: string) => (query.get(name) ?? '').trim();
	const range = RANGES.find((r) => r.name === text('window'))?.name ?? DEFAULT.range;
	const [from, to] = [instant(text('from')), instant(text('to'))];
	const between = from != null && to != null && to - from >= MINUTE_MS ? { from, to } : null;
	return { network: text('network'), contract: text('contract').toLowerCase(), range, between };
}

/** For an address: `?network=op-mainnet&window=24h`, or nothing. */
export function searchOf(view: Partial<View>): string {
	const query = new URLSearchParams();
	if (view.network) query.set('network', view.network);
	if (view.contract) query.set('contract', view.contract);
	if (view.range && view.range !== DEFAULT.range) query.set('window', view.range);
	if (view.between) {
		query.set('from', new Date(view.between.from).toISOString());
		query.set('to', new Date(view.between.to).toISOString());
	}
	const text = query.toString();
	return text ? `?${text}` : '';
}

/** The finest step that does not make too many of them. */
export function stepFor(ms: number): Step {
	if (ms <= 6 * HOUR_MS) return STEPS[0];
	if (ms <= 36 * HOUR_MS) return STEPS[1];
	return ms <= 31 * DAY_MS ? STEPS[2] : STEPS[3];
}

/** At this time by the server's clock. */
export function axisOf(view: View, now: number): Axis {
	const length = view.between ? view.between.to - view.between.from : RANGES.find((r) => r.name === view.range)!.ms;
	const step = stepFor(length);
	// The step that is going on has its place from its first moment on.
	const end = view.between ? Math.ceil(view.between.to / step.ms) * step.ms : Math.floor(now / step.ms) * step.ms + step.ms;
	const begin = view.between ? Math.floor(view.between.from / step.ms) * step.ms : end - length;
	const from = Math.max(begin, end - MOST * step.ms);
	return { from, to: end, step, length: Math.round((end - from) / step.ms), live: view.between == null };
}

/** Whether both are drawn over the same steps. */
export function sameAxis(a: Axis, b: Axis): boolean {
	return a.from === b.from && a.to === b.to && a.step === b.step && a.live === b.live;
}

/** The start of step number `i`. */
export function startOf(axis: Axis, i: number): number {
	return axis.from + i * axis.step.ms;
}

/** In which step a time lies; null where it is outside. */
export function indexAt(axis: Axis, at: number): number | null {
	const i = Math.floor((at - axis.from) / axis.step.ms);
	return i >= 0 && i < axis.length ? i : null;
}

/** Zoomed to a time, in whole steps; not to less than `LEAST_MS`. The same again changes nothing. */
export function zoomTo(view: View, from: number, to: number): View {
	return between(view, Math.min(from, to), Math.max(from, to));
}

/** Half as much around the step `at`, or twice as much around the middle. */
export function zoomBy(view: View, axis: Axis, closer: boolean, at: number | null, now: number): View {
	const span = axis.to - axis.from;
	if (!closer && axis.live) {
		const next = RANGES[RANGES.findIndex((r) => r.name === view.range) + 1];
		return next ? { ...view, range: next.name } : view;
	}
	const middle = at == null ? (axis.from + axis.to) / 2 : startOf(axis, at) + axis.step.ms / 2;
	const half = closer ? span / 4 : span;
	return present(between(view, middle - half, middle + half), now);
}

/** Half of what is shown earlier or later; what reaches the present goes on with it. */
export function shift(view: View, axis: Axis, later: boolean, now: number): View {
	const by = ((axis.to - axis.from) / 2) * (later ? 1 : -1);
	return present(between(view, axis.from + by, axis.to + by), now);
}

function between(view: View, from: number, to: number): View {
	const lacks = Math.max(0, LEAST_MS - (to - from));
	const step = stepFor(Math.max(LEAST_MS, to - from)).ms;
	const begin = Math.floor((from - lacks / 2) / step) * step;
	return { ...view, between: { from: begin, to: Math.max(begin + LEAST_MS, Math.ceil((to + lacks / 2) / step) * step) } };
}

/** Nothing is to be seen of the future: what would reach into it ends at the present, and a whole range goes on with the clock. */
function present(view: View, now: number): View {
	if (!view.between || view.between.to < now) return view;
	const span = view.between.to - view.between.from;
	const whole = RANGES.find((r) => Math.abs(r.ms - span) < r.ms / 4);
	if (whole) return { ...view, range: whole.name, between: null };
	const end = Math.floor(now / MINUTE_MS) * MINUTE_MS + MINUTE_MS;
	return { ...view, between: { from: end - span, to: end } };
}

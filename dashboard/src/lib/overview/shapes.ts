/**
 * The shapes of windows in `/api/v1`, and of what is told by them. Counts and milliseconds are numbers, shares 0 to 1; chain amounts are
 * decimal strings in the chain's smallest unit; times are RFC 3339. A value that nobody knows is null, never zero.
 */

/** What this page draws, as `/metrics/series` calls it. */
export const METRICS = [
	'transactions',
	'failed',
	'failure_rate',
	'gas_price_p50',
	'gas_price_p95',
	'fee_total',
	'block_interval_ms'
] as const;

export type Metric = (typeof METRICS)[number];

export type Value = number | string | null;

/** A network's last minutes or day, of `/metrics/overview`. */
export interface OverviewItem {
	network: string;
	contract?: string | null;
	window?: string;
	transactions: number | null;
	failed: number | null;
	failure_rate: number | null;
	tps?: number | null;
	complete?: boolean;
	reason?: string | null;
	source?: string | null;
}

export interface SeriesPoint {
	/** The window's start. */
	at: string;
	value: Value;
	complete: boolean;
	/** `windows`, or `rows`: computed from rows, since there was no window. */
	source?: string | null;
	/** Why it is not complete. */
	reason?: string | null;
}

/** `/metrics/series` with several metrics. */
export interface SeriesAnswer {
	network: string;
	contract?: string | null;
	step: string;
	series: { metric: string; unit?: string | null; points: SeriesPoint[] }[];
}

/** `/metrics/causes`. */
export interface CausesAnswer {
	items: CausesPoint[];
}

export interface CausesPoint {
	at: string;
	causes: Record<string, number>;
}

/** Of a frame `window`. */
export interface WindowData extends Partial<Record<Metric, Value>> {
	/** Null: of the whole network. */
	contract?: string | null;
	window_seconds: number;
	window_start: string;
	tps?: number | null;
	blocks?: number | null;
	complete: boolean;
	reason?: string | null;
	/** The last event of the network that it was computed at. */
	sequence: number;
}

export interface Evidence {
	name: string;
	value: Value;
	unit?: string | null;
	usual_low: Value;
	usual_high: Value;
	/** Whom it speaks against; null: nobody. */
	verdict?: string | null;
	/** What it was compared with. */
	note?: string | null;
}

/** `/diagnosis`. */
export interface Diagnosis {
	/** `contract`, `chain`, `provider`, `nothing`. Unknown ones are shown as they are. */
	verdict: string;
	sentence: string;
	at: string;
	evidence: Evidence[];
	/** Which comparisons were impossible, and why. */
	missing?: string[];
}

/** `/networks/{network}/completeness`, as far as it is shown. */
export interface Completeness {
	ranges: { from_height: number; to_height: number; complete: boolean; coverage?: string }[];
	gaps: { from_height: number; to_height: number; reason?: string | null }[];
}

/**
 * Figures of windows in words: exact ones for whoever points at them, short ones for axes. Pure.
 *
 * Guarantee: what is said of an amount has all its digits; only heights of lines and labels of axes are approximate.
 */

import { formatUnits, group } from '../amount';
import { priceIn, unit, type Unit } from '../chain';
import { count, millis, percent, plural } from '../format';
import type { Metric, Value } from './shapes';

/** `12.000000001 gwei`, `1,204`, `3.2 %`; `—` where nobody knows. */
export function exact(metric: Metric, value: Value | undefined, network: string, family: string): string {
	if (value == null) return '—';
	switch (metric) {
		case 'transactions':
		case 'failed':
			return count(Number(value));
		case 'failure_rate':
			return percent(Number(value));
		case 'block_interval_ms':
			return millis(Number(value));
		case 'gas_price_p50':
		case 'gas_price_p95':
			return amount(value, priceIn(family));
		case 'fee_total':
			return amount(value, unit(network, family));
	}
}

function amount(value: string | number, { decimals, symbol }: Unit): string {
	const said = formatUnits(String(value), decimals, 30);
	return said ? `${said.exact}${symbol ? ` ${symbol}` : ''}` : String(value);
}

/** For the height of a line: in the measure's unit. */
export function plain(value: Value | undefined, decimals = 0): number | null {
	if (value == null) return null;
	const n = Number(value);
	return Number.isFinite(n) ? n / 10 ** decimals : null;
}

/** For an axis: `1.2 k`, `0.05`, `3 M`. */
export function brief(n: number): string {
	const size = Math.abs(n);
	if (size === 0) return '0';
	for (const [at, letter] of [[1e9, 'G'], [1e6, 'M'], [1e4, 'k']] as const) if (size >= at) return `${trimmed(n / (at === 1e4 ? 1e3 : at))} ${letter}`;
	if (size >= 1_000) return group(String(Math.round(n)));
	if (size < 1e-3) return n.toExponential(0).replace('e-', 'e−');
	return trimmed(n);
}

function trimmed(n: number): string {
	return Number(n.toPrecision(3)).toString();
}

/** The least of 1, 2, 2.5, 5 × 10ⁿ that is not below `most`. */
export function ceiling(most: number): number {
	if (!(most > 0)) return 1;
	const unit = 10 ** Math.floor(Math.log10(most));
	return [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((n) => n * unit).find((n) => n >= most * (1 - 1e-9)) ?? 10 * unit;
}

/** `9 – 16 gwei`; null where neither end is known. */
export function usual(low: Value, high: Value, unitName: string | null | undefined, family: string): string | null {
	if (low == null && high == null) return null;
	if (low == null) return `at most ${measured(high, unitName, family)}`;
	if (high == null) return `at least ${measured(low, unitName, family)}`;
	const [from, to] = [measured(low, unitName, family), measured(high, unitName, family)];
	if (from === to) return to;
	const unit = to.slice(to.lastIndexOf(' '));
	// The unit once, where both have the same.
	const short = /^ [a-z%/]+$/i.test(unit) && from.replace(/s$/, '').endsWith(unit.replace(/s$/, '')) ? from.slice(0, from.lastIndexOf(' ')) : from;
	return `${short} – ${to}`;
}

/** A value of evidence, with its unit as the server names it. */
export function measured(value: Value | undefined, unitName: string | null | undefined, family: string): string {
	if (value == null) return '—';
	const n = Number(value);
	switch (unitName) {
		case 'ratio':
			return percent(n);
		case 'ms':
			return millis(n);
		case 'price':
			return amount(String(value), priceIn(family));
		case 'blocks':
			return plural(n, 'block');
		case 'endpoints':
			return plural(n, 'endpoint');
		case 'branches':
			return plural(n, 'branch', 'branches');
		default: {
			const text = typeof value === 'string' && /^\d+$/.test(value) ? group(value) : Number.isInteger(n) ? count(n) : brief(n);
			return unitName ? `${text} ${unitName}` : text;
		}
	}
}

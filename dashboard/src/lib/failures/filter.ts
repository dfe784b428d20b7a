/** The filters of `/failures`: as they stand in the page's address, as the API takes them, and the way from a group to its transactions. */

import { txsPath } from '../txs/paths';
import { instant } from '../format';
import type { FailureGroup, Failures } from './shapes';

export interface FailureFilter {
	network: string;
	/** An address. */
	contract: string;
	cause: string;
	/** A selector. */
	method: string;
	/** One of `WINDOWS`. */
	window: string;
}

/** `slot`: a twenty-fourth of it, in words. */
export const WINDOWS = [
	{ value: '1h', label: '1 h', words: 'the last hour', slot: '2½ minutes', ms: 3_600_000 },
	{ value: '24h', label: '24 h', words: 'the last 24 hours', slot: 'hour', ms: 86_400_000 },
	{ value: '7d', label: '7 d', words: 'the last 7 days', slot: '7 hours', ms: 7 * 86_400_000 }
] as const;

export const DEFAULT_WINDOW = '24h';
export const ALL: FailureFilter = { network: '', contract: '', cause: '', method: '', window: DEFAULT_WINDOW };

const NAMES = Object.keys(ALL) as (keyof FailureFilter)[];

/** From an address; what is not known is left out. */
export function failureFilterOf(search: string): FailureFilter {
	const query = new URLSearchParams(search);
	const filter = { ...ALL };
	for (const name of NAMES) filter[name] = (query.get(name) ?? '').trim() || ALL[name];
	if (!WINDOWS.some(({ value }) => value === filter.window)) filter.window = DEFAULT_WINDOW;
	return filter;
}

/** For an address: `?cause=slippage`, or nothing. */
export function failureSearchOf(filter: Partial<FailureFilter>): string {
	const set = NAMES.map((name) => [name, filter[name] ?? ''] as const).filter(([name, value]) => value && value !== ALL[name]);
	return set.length > 0 ? `?${new URLSearchParams(set.map(([name, value]) => [name, value]))}` : '';
}

export function failuresPath(filter: Partial<FailureFilter>): string {
	return `/failures${failureSearchOf(filter)}`;
}

/** For the API. */
export function failureQueryOf(filter: FailureFilter): Record<string, string> {
	return Object.fromEntries(NAMES.filter((name) => filter[name]).map((name) => [name, filter[name]]));
}

/** How many things it is narrowed by; the window is none of them. */
export function failuresNarrowed(filter: FailureFilter): number {
	return NAMES.filter((name) => name !== 'window' && filter[name]).length;
}

/** The transactions of a group. */
export function groupPath(group: FailureGroup, window: string): string {
	return txsPath({
		network: group.network,
		contract: group.contract ?? '',
		method: group.method ?? '',
		cause: group.cause ?? '',
		status: 'failed',
		span: window
	});
}

/** From when on an answer was counted, where that is clearly less than its window; milliseconds, else null. */
export function cutOf({ window, from, to }: Pick<Failures, 'window' | 'from' | 'to'>): number | null {
	const asked = WINDOWS.find(({ value }) => value === window);
	const [since, until] = [instant(from), instant(to)];
	return asked && since != null && until != null && until - since < 0.98 * asked.ms ? since : null;
}

/** One group and no other; its error is that of the newest one, and changes. */
export function groupKey({ network, cause, method, contract }: FailureGroup): string {
	return [network, cause, method, contract].map((part) => part ?? '').join(' ');
}

/**
 * The order of the cards: as the server says. While `held` (the reader points at one of them) those that stand keep their places, so
 * that none moves away under a click; new ones come behind them.
 */
export function arrangeGroups(groups: FailureGroup[], before: readonly string[], held: boolean): FailureGroup[] {
	if (!held) return groups;
	const place = (group: FailureGroup) => {
		const at = before.indexOf(groupKey(group));
		return at < 0 ? before.length : at;
	};
	return [...groups].sort((a, b) => place(a) - place(b));
}

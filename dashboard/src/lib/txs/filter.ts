/**
 * The filters of the transactions: as they stand in the page's address, as the API takes them, and as the WebSocket does.
 *
 * Guarantee: an address can be passed on. Times stand in it in UTC, and what it holds comes back from it (`filterOf`).
 */

export interface TxFilter {
	network: string;
	/** An address: sent to it, creating it, or with a log of it. */
	contract: string;
	/** The same, or sent by it. */
	address: string;
	/** A selector, or a function's name. */
	method: string;
	status: string;
	cause: string;
	/** How the cause was found: `trace`, `call`, … */
	found_by: string;
	/** A height; goes with `network`. */
	block: string;
	/** One of `SPANS`, or empty for all. */
	span: string;
	/** Of `between`: RFC 3339; either may be empty. */
	from: string;
	to: string;
	/** `oldest`, or empty for the newest first. */
	sort: string;
}

export const NONE: TxFilter = {
	network: '',
	contract: '',
	address: '',
	method: '',
	status: '',
	cause: '',
	found_by: '',
	block: '',
	span: '',
	from: '',
	to: '',
	sort: ''
};

export const STATUSES = ['success', 'failed', 'unknown'] as const;

export const SPANS = [
	{ value: '', words: 'at any time', ms: null },
	{ value: '15m', words: 'in the last 15 minutes', ms: 900_000 },
	{ value: '1h', words: 'in the last hour', ms: 3_600_000 },
	{ value: '24h', words: 'in the last 24 hours', ms: 86_400_000 },
	{ value: '7d', words: 'in the last 7 days', ms: 7 * 86_400_000 },
	{ value: 'between', words: 'between …', ms: null }
] as const;

/** The most that one export holds. */
export const EXPORT_ROWS = 1_000_000;

/** What the API and the WebSocket call by the same name. */
const SHARED = ['contract', 'address', 'method', 'status', 'cause', 'found_by'] as const;

/** From an address; what is not known is left out. */
export function filterOf(search: string): TxFilter {
	const query = new URLSearchParams(search);
	const filter = { ...NONE };
	for (const name of Object.keys(NONE) as (keyof TxFilter)[]) filter[name] = (query.get(name) ?? '').trim();
	for (const name of ['from', 'to'] as const) filter[name] = utc(filter[name]);
	if (!SPANS.some((span) => span.value === filter.span)) filter.span = '';
	if (!filter.span && (filter.from || filter.to)) filter.span = 'between';
	if (!STATUSES.some((status) => status === filter.status)) filter.status = '';
	if (filter.sort !== 'oldest') filter.sort = '';
	if (!/^\d{1,15}$/.test(filter.block)) filter.block = '';
	return filter;
}

/** For an address: `?network=op-mainnet&status=failed`, or nothing. */
export function searchOf(filter: Partial<TxFilter>): string {
	const set = (Object.keys(NONE) as (keyof TxFilter)[])
		.map((name) => [name, filter[name] ?? ''] as const)
		.filter(([name, value]) => value && (filter.span === 'between' || (name !== 'from' && name !== 'to')));
	return set.length > 0 ? `?${new URLSearchParams(set.map(([name, value]) => [name, value]))}` : '';
}

/** For the API, at this time by the server's clock. */
export function queryOf(filter: TxFilter, now: number): Record<string, string> {
	const query: Record<string, string> = {};
	for (const name of ['network', ...SHARED, 'block', 'sort'] as const) if (filter[name]) query[name] = filter[name];
	const span = SPANS.find((s) => s.value === filter.span);
	if (span?.ms) query.from = new Date(now - span.ms).toISOString();
	if (filter.span === 'between') {
		if (filter.from) query.from = filter.from;
		if (filter.to) query.to = filter.to;
	}
	return query;
}

/** Where all that fits can be had as a file. */
export function exportOf(filter: TxFilter, format: 'csv' | 'json', now: number): string {
	return `/api/v1/txs/export?${new URLSearchParams({ format, ...queryOf(filter, now), limit: String(EXPORT_ROWS) })}`;
}

/** What a subscription is narrowed by; the network is said beside it. */
export function narrowing(filter: TxFilter): Record<string, string> {
	return Object.fromEntries(SHARED.filter((name) => filter[name]).map((name) => [name, filter[name]]));
}

/** Whether new rows can belong to it and come at the top. */
export function follows(filter: TxFilter): boolean {
	return !filter.sort && !filter.block && !(filter.span === 'between' && filter.to);
}

/** How many things it is narrowed by. */
export function narrowed(filter: TxFilter): number {
	return Object.entries(filter).filter(([name, value]) => value && !['from', 'to', 'sort'].includes(name)).length;
}

/** What is wrong with what was typed as an address; null: nothing, as far as can be told here. */
export function addressMistake(text: string): string | null {
	if (!/^0x/i.test(text)) return null;
	if (/[^0-9a-f]/i.test(text.slice(2))) return 'An address has digits and the letters a to f behind 0x.';
	return text.length === 42 ? null : `An address has 40 digits behind 0x; here are ${text.length - 2}.`;
}

/** What a field of date and time shows, in the reader's zone, of a time in UTC. */
export function localOf(time: string): string {
	const at = new Date(time);
	if (!time || Number.isNaN(at.getTime())) return '';
	return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** RFC 3339 in UTC of any time that can be read; else nothing. */
export function utc(time: string): string {
	const at = new Date(time);
	return !time || Number.isNaN(at.getTime()) ? '' : at.toISOString();
}

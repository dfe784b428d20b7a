/** Quotas in words: how much of what is used, and when it begins anew. */

import { count } from '../format';

/** One of `GET /usage`. */
export interface Quota {
	/** `contracts`, `requests_per_day`, … Unknown ones are shown as they are. */
	name: string;
	/** Null: none. */
	limit: number | null;
	/** Null: it is not known at the moment. */
	used: number | null;
	/** Null: it is no figure of a time. */
	resets_at?: string | null;
}

export interface Usage {
	plan?: string | null;
	quotas: Quota[];
}

/** From this share on it is told to be tight. */
const TIGHT = 0.8;

const WORDS: Record<string, { words: string; about: string; group: 'things' | 'traffic' }> = {
	contracts: { words: 'Contracts', about: 'with names and ABIs of your own', group: 'things' },
	rules: { words: 'Rules', about: 'alerts on figures', group: 'things' },
	monitors: { words: 'Monitors', about: 'alerts on transactions', group: 'things' },
	unindexed_monitors: { words: 'Monitors of everything', about: 'those that no address, topic or method narrows', group: 'things' },
	channels: { words: 'Channels', about: 'where alerts go', group: 'things' },
	keys: { words: 'API keys', about: 'that work', group: 'things' },
	members: { words: 'Members', about: 'with those who are invited', group: 'things' },
	requests_per_minute: { words: 'Requests a minute', about: 'of all keys and people together', group: 'traffic' },
	requests_per_day: { words: 'Requests a day', about: 'of all keys and people together; up to 5 s behind', group: 'traffic' },
	sockets: { words: 'Live connections', about: 'open at the moment', group: 'traffic' },
	backtest_rows: { words: 'Rows of back-tests', about: 'read to try rules on the past', group: 'traffic' },
	deliveries_per_hour: { words: 'Deliveries an hour', about: 'messages to channels', group: 'traffic' }
};

export function quotaWords(name: string): { words: string; about: string; group: 'things' | 'traffic' } {
	if (Object.hasOwn(WORDS, name)) return WORDS[name] as (typeof WORDS)[string];
	const words = name.replaceAll('_', ' ');
	return { words: words.charAt(0).toUpperCase() + words.slice(1), about: '', group: 'traffic' };
}

/** Used of the limit, 0 to 1 and above; null without a limit, or where it is not known how much is used. */
export function shareOf({ limit, used }: Quota): number | null {
	if (limit == null || used == null) return null;
	// Where nothing is allowed, nothing is left.
	return limit <= 0 ? 1 : used / limit;
}

export type QuotaState = 'open' | 'good' | 'tight' | 'full';

export function stateOf(quota: Quota): QuotaState {
	const share = shareOf(quota);
	if (share == null) return 'open';
	return share >= 1 ? 'full' : share >= TIGHT ? 'tight' : 'good';
}

/** `12 of 50`, `12, no limit`, `not known now`. */
export function figures({ limit, used }: Quota): string {
	if (used == null) return limit == null ? 'not known now' : `not known now, of ${count(limit)}`;
	return limit == null ? `${count(used)}, no limit` : `${count(used)} of ${count(limit)}`;
}

/** Those of a group, in the order of the words above; what this page does not know comes last. */
export function groupOf(quotas: readonly Quota[], group: 'things' | 'traffic'): Quota[] {
	const names = Object.keys(WORDS);
	const place = ({ name }: Quota) => (names.indexOf(name) + 1 || names.length + 1);
	return quotas.filter((q) => quotaWords(q.name).group === group).sort((a, b) => place(a) - place(b));
}

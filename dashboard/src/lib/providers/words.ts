/** What is said of endpoints: states, order, age. Pure; the clock is passed in. Unknown words have tolerant defaults. */

import type { StateWords, Tone } from '../chain';
import type { Provider } from '../contract';
import { age, instant, plural } from '../format';

const STATES: Record<string, StateWords> = {
	ok: { tone: 'good', label: 'ok', hint: '' },
	slow: { tone: 'warn', label: 'slow', hint: 'It answers later than it should; a faster endpoint is asked first.' },
	behind: { tone: 'warn', label: 'behind', hint: 'It has not the newest blocks that others have shown.' },
	throttled: { tone: 'warn', label: 'throttled', hint: 'It refuses requests above its limit; it is asked less often.' },
	failing: { tone: 'bad', label: 'failing', hint: 'Too many of its answers are errors.' },
	open: { tone: 'bad', label: 'breaker open', hint: 'It failed too often in a row: it is left alone for a while, then tried again.' },
	quarantined: { tone: 'bad', label: 'quarantined', hint: 'It told what is not so, and is left out until it has agreed with the others for a while.' },
	unknown: { tone: 'plain', label: 'unknown', hint: 'Nothing has been heard of it lately, or ever.' }
};

const RANK: Record<Tone, number> = { bad: 0, warn: 1, busy: 2, plain: 2, good: 3 };

export function providerWords(state: string): StateWords {
	if (Object.hasOwn(STATES, state)) return STATES[state]!;
	return { tone: 'plain', label: state.replaceAll('_', ' '), hint: '' };
}

const PROTOCOLS: Record<string, string> = {
	'electrum tcp': 'Electrum',
	'electrum tls': 'Electrum, TLS',
	'core rpc': 'Core, RPC',
	'core rest': 'Core, REST'
};

/** What is spoken with it; null where it is what everybody speaks. Unknown words are shown as they are. */
export function protocolWords(protocol: string | null | undefined): string | null {
	if (!protocol || protocol === 'http') return null;
	return Object.hasOwn(PROTOCOLS, protocol) ? PROTOCOLS[protocol]! : protocol;
}

/** Anything to look into. */
export function troubled(provider: Provider): boolean {
	const { tone } = providerWords(provider.state);
	return tone === 'bad' || tone === 'warn';
}

/** Worst first: by how bad the state is, then by score, then by name. */
export function worstFirst(a: Provider, b: Provider): number {
	return (
		RANK[providerWords(a.state).tone] - RANK[providerWords(b.state).tone] ||
		(a.score ?? 0) - (b.score ?? 0) ||
		a.name.localeCompare(b.name, 'en')
	);
}

/**
 * The order of a network's cards. While `held` (the reader points at one of them) those that stand keep their places, so
 * that none moves away under a click; new ones come behind them.
 */
export function arrange(providers: Provider[], before: readonly string[], held: boolean): Provider[] {
	const sorted = [...providers].sort(worstFirst);
	if (!held) return sorted;
	const place = (p: Provider) => (before.includes(p.name) ? before.indexOf(p.name) : before.length);
	return sorted.sort((a, b) => place(a) - place(b));
}

/** The score as a whole number, cut and not rounded: 100 is only said of a hundred. */
export function points(score: number | null | undefined): string {
	return score == null || !Number.isFinite(score) ? '—' : String(Math.floor(Math.min(100, Math.max(0, score)) + 1e-9));
}

/** An endpoint's state is old when nothing was heard of it for this many of its probes, and for `OLD_MS` at least. */
const OLD_PROBES = 4;
const OLD_MS = 120_000;

/** How long nothing was heard of it, milliseconds, when that is too long; null while it is in time or was never heard. */
export function silentFor(provider: Provider, now: number): number | null {
	const heard = Math.max(instant(provider.at) ?? 0, instant(provider.last_seen_at) ?? 0);
	if (heard === 0) return null;
	const silence = now - heard;
	return silence > Math.max(OLD_MS, OLD_PROBES * (provider.probe_every_ms ?? 0)) ? silence : null;
}

/** `in use for 3 h 12 m`; null when it is not in use. */
export function useWords(provider: Provider, now: number): string | null {
	if (!provider.in_use) return null;
	const since = instant(provider.in_use_since);
	return since == null || now - since < 1_000 ? 'in use' : `in use for ${age(now - since)}`;
}

/** How far behind the best: `with the best`, `12 blocks behind`. */
export function lagWords(lag: number | null | undefined): string | null {
	if (lag == null) return null;
	return lag <= 0 ? 'with the best' : `${plural(lag, 'block')} behind`;
}

/** Used part of the day's cap, 0 and up; null without a cap. */
export function capShare(provider: Provider): number | null {
	const { calls_per_day: calls, per_day: cap } = provider;
	return calls == null || cap == null || cap <= 0 ? null : calls / cap;
}

/**
 * What is wrong right now, in words, worst first, each with where to look. Pure: of `/health`, the endpoints' states and the last five minutes of
 * every network against its last day.
 *
 * Guarantees: at most one line for each network and kind of trouble; a failure rate counts as unusual only with `FEW` failures at least and when it is both
 * `TIMES` the day's and `POINTS` above it, so that a quiet network's single failure is no news.
 */

import { stateWords } from '../chain';
import type { Health, Problem, Provider } from '../contract';
import { count, percent, plural } from '../format';
import { providerWords, troubled } from '../providers/words';
import { searchOf } from './range';
import type { OverviewItem } from './shapes';

export const FEW = 10;
export const TIMES = 2;
export const POINTS = 0.03;
/** Blocks that a network may be behind without a word. */
export const BEHIND = 5;

export interface Wrong {
	key: string;
	tone: 'bad' | 'warn';
	/** Null: it is about all of them. */
	network: string | null;
	/** What is wrong, without a full stop. */
	text: string;
	/** What that means, or what to do. */
	hint: string;
	since: string | null;
	links: { words: string; href: string }[];
}

export interface Known {
	health: Health | null;
	providers: readonly Provider[];
	/** By network: the last five minutes, and the last day. */
	recent: ReadonlyMap<string, OverviewItem>;
	day: ReadonlyMap<string, OverviewItem>;
	/** Why figures or endpoints could not be read the last time. */
	blind: readonly { what: string; problem: Problem }[];
}

export function wrongNow({ health, providers, recent, day, blind }: Known): Wrong[] {
	const list: Wrong[] = [];
	for (const { stage, network, since, problem, cure } of health?.problems ?? []) {
		if (network != null) continue;
		list.push({ key: `problem ${stage} ${problem}`, tone: 'bad', network, text: problem, hint: sentence(cure), since, links: [] });
	}
	if (health?.store_error) {
		const text = 'The store does not answer';
		list.push({ key: 'store', tone: 'bad', network: null, text, hint: sentence(health.store_error), since: null, links: [] });
	}
	for (const { what, problem } of blind) {
		const hint = sentence(problem.detail ?? '');
		list.push({ key: `blind ${what}`, tone: 'warn', network: null, text: `${what} cannot be told: ${problem.title}`, hint, since: null, links: [] });
	}
	for (const n of health?.networks ?? []) {
		const words = stateWords(n.state);
		const links = [diagnosis(n.network)];
		if (words.tone === 'bad' || words.tone === 'warn') {
			const said = n.error ? `: ${n.error}` : n.lag_blocks ? `, ${plural(n.lag_blocks, 'block')} behind` : '';
			list.push({
				key: `state ${n.network}`,
				tone: words.tone,
				network: n.network,
				text: `${n.network} is ${words.label}${said}`,
				hint: words.hint,
				since: n.stages?.find((stage) => stage.state === n.state)?.since ?? null,
				links: [...links, endpoints(n.network)]
			});
		} else if (words.tone === 'good' && (n.lag_blocks ?? 0) > BEHIND) {
			const text = `${n.network} is ${plural(n.lag_blocks!, 'block')} behind its tip`;
			list.push({ key: `lag ${n.network}`, tone: 'warn', network: n.network, text, hint: 'What is shown of it is that much older.', since: null, links });
		}
		const unusual = unusualFailures(recent.get(n.network), day.get(n.network));
		if (unusual) list.push({ key: `failures ${n.network}`, tone: 'warn', network: n.network, ...unusual, since: null, links: [diagnosis(n.network), failures(n.network)] });
	}
	for (const [network, all] of byNetwork(providers)) list.push(...ofEndpoints(network, all));
	for (const { stage, problem, cure, since } of health?.warnings ?? []) {
		list.push({ key: `warning ${stage} ${problem}`, tone: 'warn', network: null, text: problem, hint: sentence(cure), since, links: [] });
	}
	if (list.length === 0 && health?.status === 'degraded') {
		const text = 'The server calls itself degraded';
		list.push({ key: 'degraded', tone: 'bad', network: null, text, hint: 'It does not say why: headwater status tells more.', since: null, links: [] });
	}
	return list.sort((a, b) => Number(a.tone === 'warn') - Number(b.tone === 'warn'));
}

/** Null where nothing is unusual, or where the day does not tell. */
function unusualFailures(recent: OverviewItem | undefined, day: OverviewItem | undefined): Pick<Wrong, 'text' | 'hint'> | null {
	if (recent?.failure_rate == null || day?.failure_rate == null || (recent.failed ?? 0) < FEW) return null;
	const { failure_rate: now } = recent;
	const { failure_rate: usual } = day;
	if (now < usual * TIMES || now < usual + POINTS) return null;
	return {
		text: `${percent(now)} of ${recent.network}’s transactions failed in the last five minutes, ${count(recent.failed)} of ${count(recent.transactions)}`,
		hint: `In the last day it was ${percent(usual)}.`
	};
}

function ofEndpoints(network: string, all: readonly Provider[]): Wrong[] {
	const ill = all.filter(troubled);
	if (ill.length === 0) return [];
	if (ill.length === all.length) {
		const text = all.length === 1 ? `The only endpoint of ${network} is ${label(ill[0]!)}` : `All ${all.length} endpoints of ${network} are in trouble`;
		const hint = ill.length === 1 ? reason(ill[0]!) : ill.map((p) => `${p.name} is ${label(p)}`).join(', ') + '.';
		return [{ key: `endpoints ${network}`, tone: 'bad', network, text, hint, since: null, links: [endpoints(network, ill.length === 1 ? ill[0] : undefined), diagnosis(network)] }];
	}
	const lies = ill.filter((p) => p.state === 'quarantined');
	const used = ill.filter((p) => p.in_use && p.state !== 'quarantined');
	const rest = ill.filter((p) => !lies.includes(p) && !used.includes(p));
	const list: Wrong[] = [...used, ...lies].map((p) => ({
		key: `endpoint ${network} ${p.name}`,
		tone: 'warn',
		network,
		text: `${p.name}, ${p.in_use ? 'which is in use for' : 'an endpoint of'} ${network}, is ${label(p)}`,
		hint: reason(p),
		since: p.since,
		links: [endpoints(network, p)]
	}));
	if (rest.length > 0) {
		const names = rest.map((p) => `${p.name} is ${label(p)}`).join(', ');
		const others = all.length - ill.length;
		const text = `${rest.length} of ${plural(all.length, 'endpoint')} of ${network} ${rest.length === 1 ? 'is' : 'are'} not well: ${names}`;
		list.push({ key: `endpoints ${network}`, tone: 'warn', network, text, hint: `${plural(others, 'other')} ${others === 1 ? 'does' : 'do'} its work.`, since: null, links: [endpoints(network, rest.length === 1 ? rest[0] : undefined)] });
	}
	return list;
}

function byNetwork(providers: readonly Provider[]): Map<string, Provider[]> {
	const groups = new Map<string, Provider[]>();
	for (const provider of providers) {
		const group = groups.get(provider.network);
		if (group) group.push(provider);
		else groups.set(provider.network, [provider]);
	}
	return groups;
}

function label(p: Provider): string {
	return p.state === 'quarantined' ? 'in quarantine' : providerWords(p.state).label;
}

function reason(p: Provider): string {
	return sentence(p.reason || providerWords(p.state).hint);
}

function diagnosis(network: string): Wrong['links'][number] {
	return { words: 'Is it us, the chain or the provider?', href: `/${searchOf({ network })}#diagnosis` };
}

function failures(network: string): Wrong['links'][number] {
	return { words: 'Why they failed', href: `/failures?network=${encodeURIComponent(network)}&window=1h` };
}

function endpoints(network: string, one?: Provider): Wrong['links'][number] {
	const of = one ? `#/${encodeURIComponent(network)}/${encodeURIComponent(one.name)}` : '';
	return { words: one ? `History of ${one.name}` : 'Its endpoints', href: `/providers${of}` };
}

function sentence(text: string): string {
	const trimmed = text.trim();
	return !trimmed || /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

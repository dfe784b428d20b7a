/** Alerts, rules, monitors and messages in words. Pure. */

import { age, count, instant, plural, shorten, stamp } from '../format';
import { inCoins } from '../bitcoin/words';
import { families } from '../families.svelte';
import { figure, metricOf, OPERATORS } from './metrics';
import type { Alert, Channel, Delivery, LeftOut, Match, Monitor, Route, Rule, Silence } from './shapes';

export const SEVERITIES = ['critical', 'warning', 'info'] as const;

/** States of alerts that are not over. */
export const NOW = ['firing', 'acknowledged', 'pending'] as const;

export const isOver = (alert: Pick<Alert, 'state'>): boolean => !(NOW as readonly string[]).includes(alert.state);

/** How long it was; empty of one that is not over. */
export function lasted(alert: Alert): string {
	const from = instant(alert.fired_at ?? alert.started_at);
	const to = instant(alert.ended_at);
	return from == null || to == null ? '' : age(Math.max(0, to - from));
}

export const STATES: Record<string, string> = {
	pending: 'about to fire',
	firing: 'firing',
	acknowledged: 'acknowledged',
	resolved: 'over',
	retracted: 'taken back'
};

/** What happened to an alert: in a word, and what it means. */
export const EVENTS: Record<string, { word: string; about: string }> = {
	pending: { word: 'Began', about: 'The condition holds, not yet long enough.' },
	fired: { word: 'Fired', about: 'A message went to every channel.' },
	amended: { word: 'Amended', about: 'The same alert, with newer figures.' },
	acknowledged: { word: 'Acknowledged', about: 'Somebody looks after it.' },
	repeated: { word: 'Said again', about: 'It was still firing.' },
	escalated: { word: 'Passed on', about: 'Nobody had acknowledged it.' },
	silenced: { word: 'Silenced', about: 'Its messages are held back.' },
	resolved: { word: 'Over', about: 'The condition does not hold any more.' },
	retracted: { word: 'Taken back', about: 'A reorg took its block away: what it said did not happen.' },
	included_again: { word: 'Back again', about: 'What had been taken back is in another block.' }
};

/** A message's type in words. */
export const MESSAGES: Record<string, string> = {
	'alert.firing': 'firing',
	'alert.amended': 'amended',
	'alert.acknowledged': 'acknowledged',
	'alert.repeated': 'still firing',
	'alert.escalated': 'passed on',
	'alert.resolved': 'over',
	'alert.retracted': 'taken back',
	'alert.included_again': 'back again',
	'channel.test': 'a test',
	'channel.summary': 'a summary of what was too much',
	'alerts.settled': 'a reorg has ended'
};

export const TYPES: Record<string, string> = {
	webhook: 'Webhook',
	slack: 'Slack',
	discord: 'Discord',
	email: 'Email',
	telegram: 'Telegram',
	pagerduty: 'PagerDuty',
	alertmanager: 'Alertmanager',
	script: 'Script'
};

/** What calls a contract by its name, where it has one. */
export type Naming = (network: string, address: string) => string | null;

const nameless: Naming = () => null;

/** Where it is: `Vault on op-mainnet`, `op-mainnet`. */
export function place(network: string | null | undefined, contract: string | null | undefined, naming: Naming = nameless): string {
	if (!contract) return network ?? 'all networks';
	return `${naming(network ?? '', contract) ?? shorten(contract, 8, 4)} on ${network ?? 'all networks'}`;
}

/** What an alert says, in one sentence without its end. */
export function sentence(alert: Alert, naming: Naming = nameless): string {
	const evidence = alert.evidence ?? {};
	const where = place(alert.network, alert.contract, naming);
	if (alert.source.kind === 'monitor') {
		const found = evidence.count ?? evidence.matches?.length ?? 0;
		const what = [...new Set((evidence.matches ?? []).map(matched))];
		const words = what.length === 1 ? `: ${what[0]}` : what.length > 1 ? `: ${what[0]} and ${count(what.length - 1)} more` : '';
		return `${plural(found, 'match', 'matches')} ${alert.contract ? 'at' : 'on'} ${where}${words}`;
	}
	const metric = metricOf(evidence.metric ?? '');
	const family = families.of(alert.network ?? '');
	if (metric?.unit === 'state') return `${metric.label} on ${where}${evidence.reason ? `: ${evidence.reason}` : ''}`;
	const limit = evidence.threshold ?? evidence.baseline;
	const against = limit == null ? '' : `, ${evidence.threshold == null ? 'usual' : 'the limit'} is ${figure(limit, evidence.metric, family)}`;
	const endpoint = alert.group?.endpoint;
	const window = metric?.windowed && evidence.window ? ` in ${evidence.window}` : '';
	const at = endpoint ? ` at ${endpoint} of ` : alert.contract ? ' at ' : ' on ';
	return `${metric?.label ?? evidence.metric ?? alert.source.name} ${figure(evidence.value, evidence.metric, family)}${window}${at}${where}${against}`;
}

export function matched(match: Match): string {
	const told = match.arguments ?? {};
	if (match.kind === 'transaction' && typeof told.output_value === 'string') {
		const amounts = [
			['received', told.received],
			['spent', told.spent],
			['moved', told.output_value]
		].flatMap(([name, satoshi]) => {
			const said = typeof satoshi === 'string' && satoshi !== '0' ? inCoins(satoshi) : null;
			return said ? [`${String(name)} ${said.exact} ${said.symbol}`] : [];
		});
		if (amounts.length > 0) return amounts.join(', ');
	}
	return match.signature ?? (match.kind === 'transaction' ? 'a transaction' : match.kind);
}

/** What was not told, and why. */
export function ofLeftOut({ network, matches, transactions, since, last_at }: LeftOut): string {
	const parts = [
		matches > 0 && `${plural(matches, 'match', 'matches')} beyond those that one block may give`,
		transactions > 0 && `what was in ${plural(transactions, 'transaction')}, since conditions cost too much`
	].filter(Boolean);
	return `Left out on ${network} since ${stamp(since)}: ${parts.join(', and ')}; the last time at ${stamp(last_at)}.`;
}

/** Which alerts go that way. */
export function ofRoute({ severity, hours }: Route): string {
	const which = !severity || severity === 'info' ? 'All' : severity === 'critical' ? 'Critical ones' : `Those that are ${severity} or worse`;
	return `${which}${hours ? `, ${hours} UTC` : ''}`;
}

/** The networks that a rule names, in whichever way; none: all of them. */
export function networksOf(rule: Rule): string[] {
	if (rule.networks?.length) return [...rule.networks];
	return rule.network ? [rule.network] : [];
}

/** What a rule waits for. */
export function ofRule(rule: Rule, naming: Naming = nameless): string {
	const metric = metricOf(rule.metric);
	const networks = networksOf(rule);
	const than = rule.baseline
		? `${rule.operator.startsWith('<') ? 'under' : 'over'} the usual of ${rule.baseline.over} by ${rule.baseline.percent} %`
		: `${OPERATORS[rule.operator] ?? rule.operator} ${figure(rule.threshold, rule.metric, families.shared(networks))}`;
	/** While it is so: that is no figure. */
	const plain = metric?.unit === 'state' && rule.operator === '>' && rule.threshold === 0;
	const window = metric?.windowed ? ` in ${rule.window}` : '';
	const since = rule.for && rule.for !== '0s' ? `, for ${rule.for}` : '';
	const endpoint = rule.endpoint ? ` of ${rule.endpoint}` : '';
	return `${metric?.label ?? rule.metric}${endpoint}${plain ? '' : ` ${than}`}${window}${since}, ${place(networks.join(', ') || null, rule.contract, naming)}`;
}

/** What a monitor looks for. */
export function ofMonitor(monitor: Monitor, naming: Naming = nameless): string {
	const { functions = [], events = [], transactions = [] } = monitor.match_conditions ?? {};
	const parts = [
		...events.map((e) => `event ${e.signature.split('(')[0] || '…'}`),
		...functions.map((f) => `call ${f.signature.split('(')[0] || '…'}`),
		...transactions.map((t) => (t.status === 'Failure' ? 'failed transactions' : t.status === 'Success' ? 'successful transactions' : 'transactions'))
	];
	const what = parts.length === 0 ? 'nothing' : parts.length > 3 ? `${parts.slice(0, 2).join(', ')} and ${parts.length - 2} more` : parts.join(', ');
	const [first, ...rest] = monitor.addresses ?? [];
	const network = monitor.networks.length === 1 ? (monitor.networks[0] ?? '') : '';
	const where = first ? `${naming(network, first.address) ?? shorten(first.address, 8, 4)}${rest.length > 0 ? ` and ${rest.length} more` : ''}` : 'any address';
	return `${what} · ${where} · ${monitor.networks.join(', ') || 'no network'}`;
}

/** Where a channel leads, as far as that is no secret. */
export function ofChannel(channel: Channel): string {
	const { config } = channel;
	const words = (value: unknown) => (typeof value === 'string' ? value : Array.isArray(value) ? value.join(', ') : '');
	const target =
		words(config.url) || words(config.recipients) || words(config.channel) || words(config.chat_id) || words(config.path) || 'its address is not shown';
	return `${TYPES[channel.type] ?? channel.type} · ${target}`;
}

export type Phase = 'coming' | 'active' | 'over';

/** `now` is the server's clock, milliseconds. */
export function phaseOf(silence: Pick<Silence, 'starts_at' | 'ends_at'>, now: number): Phase {
	if (Date.parse(silence.ends_at) <= now) return 'over';
	return Date.parse(silence.starts_at) > now ? 'coming' : 'active';
}

/** `named` calls rules, monitors and channels by their names. */
export function ofSilence(silence: Silence, named: (field: string, id: string) => string | null = () => null): string {
	const what = Object.entries(silence.match ?? {})
		.filter(([, value]) => value)
		.map(([field, value]) => `${field} ${named(field, value) ?? value}`);
	return what.length > 0 ? what.join(', ') : 'everything';
}

/** How a message went, in a sentence. */
export function ofDelivery(delivery: Delivery): string {
	const tries = delivery.attempts?.length ?? 0;
	const last = delivery.attempts?.at(-1);
	if (delivery.state === 'sent') return tries > 1 ? `arrived at the ${ordinal(tries)} attempt` : 'arrived';
	if (delivery.state === 'replaced') return 'a later one went instead';
	const why = last?.error ?? (last?.status ? `the answer was ${last.status}` : '');
	if (delivery.state === 'failed') return `given up after ${plural(tries, 'attempt')}${why ? `: ${why}` : ''}`;
	return tries === 0 ? 'waits to be sent' : `${plural(tries, 'attempt')} so far${why ? `: ${why}` : ''}`;
}

function ordinal(n: number): string {
	const last = n % 100 > 10 && n % 100 < 14 ? 0 : n % 10;
	return `${n}${['th', 'st', 'nd', 'rd'][last] ?? 'th'}`;
}

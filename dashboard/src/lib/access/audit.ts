/** The audit in words, and its filters as they stand in the page's address. */

import type { Actor, AuditEntry } from './shapes';

export const ACTIONS = [
	'contract.create',
	'contract.change',
	'contract.delete',
	'key.create',
	'key.change',
	'key.rotate',
	'key.revoke',
	...(['rule', 'monitor', 'channel', 'silence'] as const).flatMap((kind) => [`${kind}.create`, `${kind}.change`, `${kind}.delete`] as const),
	'channel.test',
	'channel.replay',
	'channel.disable',
	'delivery.replay',
	'alert.acknowledge',
	'invitation.create',
	'invitation.delete',
	'member.join',
	'member.change',
	'member.remove',
	...(['create', 'change', 'plan', 'entitle', 'suspend', 'resume', 'export', 'import', 'delete'] as const).map((verb) => `organisation.${verb}` as const)
] as const;

export const KINDS = ['contract', 'key', 'rule', 'monitor', 'channel', 'silence', 'alert', 'delivery', 'member', 'invitation', 'organisation'] as const;

const DONE: Record<string, string> = {
	create: 'added',
	change: 'changed',
	delete: 'removed',
	rotate: 'gave another secret to',
	revoke: 'revoked',
	test: 'sent a test to',
	replay: 'sent again',
	disable: 'disabled',
	acknowledge: 'acknowledged',
	join: 'joined as',
	entitle: 'changed the networks of',
	remove: 'removed',
	plan: 'gave another plan to',
	suspend: 'suspended',
	resume: 'resumed',
	export: 'exported',
	import: 'imported',
	gone: 'removed the last row of',
	sign_up: 'signed up as',
	password: 'changed the password of',
	sessions: 'ended the sessions of',
	factor_set: 'turned the second step on for',
	factor_lift: 'turned the second step off for',
	reset: 'set, by a mail’s link, another password of',
	identity: 'joined a provider to',
	identity_unlink: 'took a provider away from'
};
const TRIED: Record<string, string> = {
	create: 'add',
	change: 'change',
	delete: 'remove',
	rotate: 'give another secret to',
	revoke: 'revoke',
	test: 'send a test to',
	replay: 'send again',
	disable: 'disable',
	acknowledge: 'acknowledge',
	join: 'join as',
	entitle: 'change the networks of',
	remove: 'remove',
	plan: 'give another plan to',
	suspend: 'suspend',
	resume: 'resume',
	export: 'export',
	import: 'import',
	gone: 'remove the last row of',
	sign_up: 'sign up as',
	password: 'change the password of',
	sessions: 'end the sessions of',
	factor_set: 'turn the second step on for',
	factor_lift: 'turn the second step off for',
	reset: 'set, by a mail’s link, another password of',
	identity: 'join a provider to',
	identity_unlink: 'take a provider away from'
};

/** What happened, without who and to what: `added the contract`, `tried to revoke the key`. Unknown actions are shown as they are. */
export function deed(entry: Pick<AuditEntry, 'action' | 'outcome' | 'resource'>): string {
	const verb = entry.action.split('.').at(-1) ?? '';
	const kind = entry.resource.kind.replaceAll('_', ' ');
	const done = entry.outcome === 'done';
	// A channel is not sent again, but what went to it.
	if (entry.action === 'channel.replay') return `${done ? 'sent' : 'tried to send'} again what went to the channel`;
	// Who looks after all organisations.
	if (entry.action === 'user.operator') return `${done ? 'changed' : 'tried to change'} whether the user is an operator`;
	const words = Object.hasOwn(DONE, verb) ? (done ? DONE[verb] : `tried to ${TRIED[verb]}`) : `${done ? '' : 'tried '}${entry.action} on`;
	return `${words} the ${kind}`;
}

export function actorName(actor: Actor): string {
	return actor.name || actor.id || actor.kind;
}

export interface AuditFilter {
	actor: string;
	action: string;
	/** An id, or a kind. */
	resource: string;
	/** `1h`, `24h`, `7d`, `30d`, `between`, or empty for all. */
	span: string;
	/** Of `between`, as a field of date and time has them, in the reader's zone; either may be empty. */
	from: string;
	to: string;
}

const NONE: AuditFilter = { actor: '', action: '', resource: '', span: '', from: '', to: '' };

export const SPANS = [
	{ value: '', words: 'at any time', ms: null },
	{ value: '1h', words: 'in the last hour', ms: 3_600_000 },
	{ value: '24h', words: 'in the last 24 hours', ms: 86_400_000 },
	{ value: '7d', words: 'in the last 7 days', ms: 7 * 86_400_000 },
	{ value: '30d', words: 'in the last 30 days', ms: 30 * 86_400_000 },
	{ value: 'between', words: 'between …', ms: null }
] as const;

/** From an address; what is not known is left out. */
export function filterOf(search: string): AuditFilter {
	const query = new URLSearchParams(search);
	const filter = { ...NONE };
	for (const name of Object.keys(NONE) as (keyof AuditFilter)[]) filter[name] = query.get(name) ?? '';
	if (!SPANS.some((span) => span.value === filter.span)) filter.span = '';
	return filter;
}

/** For an address: `?action=key.create`, or nothing. */
export function searchOf(filter: AuditFilter): string {
	const set = Object.entries(filter).filter(([name, value]) => value && (filter.span === 'between' || !['from', 'to'].includes(name)));
	return set.length > 0 ? `?${new URLSearchParams(set)}` : '';
}

/** For the API, at this time by the reader's clock. */
export function queryOf(filter: AuditFilter, now: number): Record<string, string> {
	const query: Record<string, string> = {};
	for (const name of ['actor', 'action', 'resource'] as const) if (filter[name]) query[name] = filter[name];
	const span = SPANS.find((s) => s.value === filter.span);
	if (span?.ms) query.from = new Date(now - span.ms).toISOString();
	if (filter.span === 'between') {
		for (const name of ['from', 'to'] as const) {
			const at = Date.parse(filter[name]);
			if (!Number.isNaN(at)) query[name] = new Date(at).toISOString();
		}
	}
	return query;
}

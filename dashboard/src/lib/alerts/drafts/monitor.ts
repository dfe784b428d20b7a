/** A monitor as it is being written. */

import { abiOf } from '../../access/draft';
import { names } from '../../txs/names.svelte';
import type { Monitor, Severity } from '../shapes';
import { ofMonitor } from '../words';
import { filled, nameOf, numeric, type Kind } from './kind';
import { toldBody, toldOf, toldPaths, type ToldDraft } from './told';

export interface AddressDraft {
	address: string;
	/** JSON; empty: none. */
	abi: string;
}

export interface ConditionDraft {
	signature: string;
	expression: string;
}

export interface MonitorDraft extends ToldDraft {
	name: string;
	paused: boolean;
	severity: Severity;
	networks: string[];
	addresses: AddressDraft[];
	events: ConditionDraft[];
	functions: ConditionDraft[];
	transactions: { status: string; expression: string }[];
	/** One alert for each matching transaction, instead of one for all that comes close together. */
	each: boolean;
	/** Other groups than these two, as they came. */
	groups: string[];
	cooldown: string;
	/** Empty, `finalized`, or a number of blocks. */
	wait: string;
	channels: string[];
	title: string;
	text: string;
}

const STATUSES = ['Any', 'Success', 'Failure'] as const;

/** What may be asked of how a transaction went. In a block of Bitcoin's none fails: there is nothing to be asked. */
export function statusesOf(bitcoin: boolean): (typeof STATUSES)[number][] {
	return STATUSES.filter((status) => !bitcoin || status === 'Any');
}

/** What the networks do not have is asked of no transaction any more. */
export function keepTo(statuses: readonly string[], draft: MonitorDraft): void {
	for (const condition of draft.transactions) if (!statuses.includes(condition.status)) condition.status = 'Any';
}

function draft(monitor: Monitor | null): MonitorDraft {
	const { functions = [], events = [], transactions = [] } = monitor?.match_conditions ?? {};
	const condition = ({ signature, expression }: { signature: string; expression?: string | null }) => ({ signature, expression: expression ?? '' });
	const groups = monitor?.group_by ?? [];
	return {
		name: monitor?.name ?? '',
		paused: monitor?.paused ?? false,
		severity: monitor?.severity ?? 'warning',
		networks: [...(monitor?.networks ?? [])],
		addresses: (monitor?.addresses ?? []).map(({ address, abi }) => ({ address, abi: abi ? JSON.stringify(abi) : '' })),
		events: monitor ? events.map(condition) : [],
		functions: functions.map(condition),
		transactions: transactions.map(({ status, expression }) => ({ status, expression: expression ?? '' })),
		each: groups.includes('transaction'),
		groups: groups.filter((group) => group !== 'transaction'),
		cooldown: monitor?.cooldown ?? '0s',
		wait: monitor?.wait == null ? '' : String(monitor.wait),
		channels: [...(monitor?.channels ?? [])],
		title: monitor?.template?.title ?? '',
		text: monitor?.template?.body ?? '',
		...toldOf(monitor)
	};
}

function conditions(draft: MonitorDraft) {
	const condition = ({ signature, expression }: ConditionDraft) => ({ signature: signature.trim(), expression: filled(expression) });
	return {
		functions: draft.functions.map(condition),
		events: draft.events.map(condition),
		transactions: draft.transactions.map(({ status, expression }) => ({ status, expression: filled(expression) }))
	};
}

/** What the monitor is called where nobody gives it a name. */
export function suggested(draft: MonitorDraft): string {
	const { networks, addresses } = draft;
	return ofMonitor({ networks, addresses, match_conditions: conditions(draft) } as unknown as Monitor, names.naming);
}

export const MONITOR: Kind<Monitor, MonitorDraft> = {
	path: '/api/v1/monitors',
	resource: 'monitors',
	one: 'monitor',
	draft,
	body(draft) {
		const wait = draft.wait.trim();
		return {
			name: nameOf(draft.name, suggested(draft)),
			paused: draft.paused,
			severity: draft.severity,
			networks: [...draft.networks],
			addresses: draft.addresses.map(({ address, abi }) => ({ address: address.trim(), ...(abi.trim() ? { abi: abiOf(abi) } : {}) })),
			match_conditions: conditions(draft),
			group_by: draft.each ? [...draft.groups, 'transaction'] : draft.groups.length > 0 ? [...draft.groups] : ['monitor', 'contract'],
			cooldown: draft.cooldown.trim() || '0s',
			wait: wait === 'finalized' ? wait : numeric(wait),
			channels: [...draft.channels],
			template: draft.title.trim() || draft.text.trim() ? { title: filled(draft.title), body: filled(draft.text) } : null,
			...toldBody(draft)
		};
	},
	paths(draft) {
		const each = (kind: string, list: unknown[], fields: string[]) =>
			list.flatMap((_, i) => fields.map((field) => `match_conditions.${kind}.${i}.${field}`));
		return [
			'name', 'severity', 'networks', 'addresses', 'match_conditions', 'group_by', 'cooldown', 'wait', 'channels', 'template', 'template.title', 'template.body', ...toldPaths(draft),
			...draft.addresses.flatMap((_, i) => [`addresses.${i}.address`, `addresses.${i}.abi`, `addresses.${i}`]),
			...each('events', draft.events, ['signature', 'expression']),
			...each('functions', draft.functions, ['signature', 'expression']),
			...each('transactions', draft.transactions, ['status', 'expression'])
		];
	}
};

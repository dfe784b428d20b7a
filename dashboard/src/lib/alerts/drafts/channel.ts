/** A channel as it is being written. What is secret never comes back: an empty field leaves it as it is. */

import type { Channel, Severity } from '../shapes';
import { nameOf, numeric, type Kind } from './kind';
import { TYPES } from '../words';

export interface Setting {
	/** As the API calls it. */
	name: string;
	label: string;
	kind: 'text' | 'number' | 'list' | 'headers' | 'choice';
	/** It is not shown again. */
	secret?: boolean;
	/** It may be left out. */
	optional?: boolean;
	placeholder?: string;
	hint?: string;
	/** Of a choice; the first one is taken where nothing is said. */
	choices?: string[];
}

const text = (name: string, label: string, more: Partial<Setting> = {}): Setting => ({ name, label, kind: 'text', ...more });

/** What each type asks for. */
export const SETTINGS: Record<string, Setting[]> = {
	webhook: [
		text('url', 'URL', { placeholder: 'https://example.com/hooks/headwater', hint: 'A public https address, or one that the operator allows.' }),
		text('secret', 'Secret', { secret: true, optional: true, placeholder: 'whsec_…', hint: 'Signs every message (Standard Webhooks). Left out, one is made and shown once.' }),
		{ name: 'headers', label: 'Headers', kind: 'headers', optional: true, placeholder: 'authorization: Bearer …', hint: 'One in a line, for who receives it.' }
	],
	slack: [
		text('url', 'Webhook URL', { secret: true, optional: true, placeholder: 'https://hooks.slack.com/services/…', hint: 'Either this one, or a bot token with a channel: then a message is amended in its place.' }),
		text('token', 'Bot token', { secret: true, optional: true, placeholder: 'xoxb-…' }),
		text('channel', 'Channel', { optional: true, placeholder: '#alerts' })
	],
	discord: [text('url', 'Webhook URL', { secret: true, placeholder: 'https://discord.com/api/webhooks/…' })],
	email: [
		text('host', 'Server', { placeholder: 'smtp.example.com' }),
		{ name: 'port', label: 'Port', kind: 'number', placeholder: '587' },
		{ name: 'tls', label: 'Encryption', kind: 'choice', choices: ['starttls', 'tls'] },
		text('username', 'User name', { optional: true }),
		text('password', 'Password', { secret: true, optional: true }),
		text('sender', 'From', { placeholder: 'headwater@example.com' }),
		{ name: 'recipients', label: 'To', kind: 'list', placeholder: 'oncall@example.com', hint: 'One in a line.' }
	],
	telegram: [text('token', 'Bot token', { secret: true }), text('chat_id', 'Chat', { placeholder: '-1001234567890' })],
	pagerduty: [text('routing_key', 'Routing key', { secret: true })],
	alertmanager: [text('url', 'URL', { placeholder: 'https://alertmanager.example.com' })],
	script: [
		text('path', 'Path', { placeholder: 'page.sh', hint: 'A program in the operator’s directory for scripts, where these are enabled. It is run as it is, without a shell.' }),
		{ name: 'arguments', label: 'Arguments', kind: 'list', optional: true, hint: 'One in a line.' },
		{ name: 'timeout_ms', label: 'Time, at most', kind: 'number', optional: true, placeholder: '5000', hint: 'Milliseconds.' }
	]
};

/** What a new channel can be. */
export const OFFERED = ['webhook', 'slack', 'discord', 'email', 'script'] as const;

export interface ChannelDraft {
	name: string;
	type: string;
	/** By setting, as it is typed. */
	config: Record<string, string>;
	/** Settings that hold a secret already. */
	set: string[];
	/** The URL that it had; empty where that is not shown. */
	from: string;
	minSeverity: Severity;
	perHour: string;
	sendResolved: boolean;
}

const isSealed = (value: unknown): boolean => value != null && typeof value === 'object' && 'set' in value && typeof value.set === 'boolean';

/** Something sealed is in it, wherever. */
const holdsSealed = (value: unknown): boolean =>
	isSealed(value) || (value != null && typeof value === 'object' && Object.values(value).some((inner) => holdsSealed(inner)));

function typed(value: unknown): string {
	if (value == null || holdsSealed(value)) return '';
	if (Array.isArray(value)) return value.join('\n');
	if (typeof value === 'object') return Object.entries(value).map(([name, of]) => `${name}: ${of}`).join('\n');
	return String(value);
}

function originOf(url: string | undefined): string {
	try {
		return new URL((url ?? '').trim()).origin;
	} catch {
		return '';
	}
}

function valueOf(setting: Setting, text: string): unknown {
	const lines = text.split('\n').map((line) => line.trim()).filter(Boolean);
	if (lines.length === 0) return setting.kind === 'choice' ? setting.choices?.[0] : undefined;
	if (setting.kind === 'number') return numeric(text);
	if (setting.kind === 'list') return lines;
	if (setting.kind === 'headers') {
		return Object.fromEntries(lines.map((line) => [line.split(':')[0]?.trim(), line.includes(':') ? line.slice(line.indexOf(':') + 1).trim() : '']));
	}
	return text.trim();
}

export const CHANNEL: Kind<Channel, ChannelDraft> = {
	path: '/api/v1/channels',
	resource: 'channels',
	one: 'channel',
	draft(channel) {
		const type = channel?.type ?? 'webhook';
		const config = channel?.config ?? {};
		return {
			name: channel?.name ?? '',
			type,
			config: Object.fromEntries((SETTINGS[type] ?? []).map(({ name }) => [name, typed(config[name])])),
			set: Object.keys(config).filter((name) => holdsSealed(config[name])),
			from: typed(config.url),
			minSeverity: channel?.min_severity ?? 'info',
			perHour: String(channel?.per_hour ?? 60),
			sendResolved: channel?.send_resolved ?? true
		};
	},
	body(draft) {
		const settings = (SETTINGS[draft.type] ?? []).map((setting) => [setting.name, valueOf(setting, draft.config[setting.name] ?? '')] as const);
		const config = Object.fromEntries(settings.filter(([, value]) => value !== undefined));
		// Of Slack's two ways one holds: the other one goes.
		if (draft.type === 'slack' && config.token && draft.set.includes('url')) config.url = null;
		if (draft.type === 'slack' && config.url && draft.set.includes('token')) Object.assign(config, { token: null, channel: null });
		// What was sealed for one server signs for no other: a new secret is made, and shown once.
		const moved = originOf(draft.from) !== originOf(draft.config.url);
		if (draft.type === 'webhook' && draft.set.includes('secret') && !config.secret && moved) config.secret = null;
		return {
			name: nameOf(draft.name, TYPES[draft.type] ?? draft.type),
			type: draft.type,
			config,
			min_severity: draft.minSeverity,
			per_hour: numeric(draft.perHour),
			send_resolved: draft.sendResolved
		};
	},
	// A secret cannot be copied: it is nobody's to read.
	copied: (draft) => ({ ...draft, set: [] }),
	paths: (draft) => ['name', 'type', 'min_severity', 'per_hour', ...(SETTINGS[draft.type] ?? []).map(({ name }) => `config.${name}`)]
};

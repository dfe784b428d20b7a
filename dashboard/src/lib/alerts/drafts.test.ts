import { describe, expect, it } from 'vitest';
import { CHANNEL } from './drafts/channel';
import { keepTo, MONITOR, statusesOf } from './drafts/monitor';
import { choose, reprice, RULE, signOf } from './drafts/rule';
import { SILENCE } from './drafts/silence';
import { patchOf, versus } from './patch';
import type { Channel, Monitor, Rule, Silence } from './shapes';

const rule: Rule = {
	id: '01A', name: 'Vault fails', version: 3, paused: false, severity: 'critical', networks: ['op-mainnet'], contract: '0xab', endpoint: null, metric: 'failure_rate', operator: '>',
	threshold: 0.07, window: '5m', for: '0s', min_count: 20, group_by: ['rule', 'contract'], cooldown: '0s', repeat_every: '1h', channels: ['01C'],
	routes: [{ severity: 'critical', hours: '22:00-06:00', channels: ['01D'] }], escalate: null
};

describe('a rule', () => {
	it('that nobody touched makes no patch', () => {
		const draft = RULE.draft(rule);
		expect(draft.threshold).toBe('7');
		expect(patchOf(RULE.body(RULE.draft(rule), 0), RULE.body(draft, 0))).toEqual({});
	});

	it('carries only what was changed, and per cent as a rate', () => {
		const draft = { ...RULE.draft(rule), threshold: '12.5', repeat: '' };
		expect(patchOf(RULE.body(RULE.draft(rule), 0), RULE.body(draft, 0))).toEqual({ threshold: 0.125, repeat_every: null });
	});

	it('tells prices in the unit of the networks, and changes the unit, not the threshold', () => {
		const coins = { ...rule, metric: 'gas_price_avg', networks: ['bitcoin-mainnet'], network: null, contract: null, threshold: 12_500 } as Rule;
		const draft = RULE.draft(coins);
		expect([draft.threshold, signOf(draft)]).toEqual(['12.5', 'sat/vB']);
		expect(RULE.body(draft, 0)).toMatchObject({ threshold: 12_500, name: coins.name });
		draft.networks = ['ethereum-mainnet'];
		reprice(draft);
		expect([draft.threshold, signOf(draft)]).toEqual(['0.0000125', 'gwei']);
		expect(RULE.body(draft, 0).threshold).toBe(12_500);
	});

	it('has either a threshold or a baseline', () => {
		const draft = { ...RULE.draft(rule), against: 'baseline' as const };
		expect(patchOf(RULE.body(RULE.draft(rule), 0), RULE.body(draft, 0))).toEqual({ threshold: null, baseline: { percent: 50, over: '24h' } });
	});

	it('keeps what the form does not show, in a copy too', () => {
		expect(RULE.body(RULE.draft(rule), 0)).toMatchObject({ group_by: rule.group_by });
	});

	it('is told to others by how bad it is and when, and where nobody acknowledges it', () => {
		const draft = RULE.draft(rule);
		expect(draft.routes).toEqual([{ severity: 'critical', hours: '22:00-06:00', channels: ['01D'] }]);
		const more = { ...draft, routes: [...draft.routes, { severity: '' as const, hours: ' ', channels: ['01E'] }], escalateAfter: '15m', escalateTo: ['01F'] };
		expect(patchOf(RULE.body(draft, 0), RULE.body(more, 0))).toEqual({
			routes: [...rule.routes!, { severity: null, hours: null, channels: ['01E'] }],
			escalate: { after: '15m', channels: ['01F'] }
		});
		expect(RULE.paths(more)).toEqual(expect.arrayContaining(['routes.1.hours', 'routes.1', 'escalate.channels']));
	});

	it('is called by what it does where nobody names it', () => {
		const draft = { ...RULE.draft(null), networks: ['op-mainnet'] };
		expect(RULE.body(draft, 0).name).toBe('Failure rate over 5 % in 5m, op-mainnet');
		choose(draft, 'provider_score');
		expect(RULE.body(draft, 0)).toMatchObject({ operator: '<', threshold: 50, name: 'Score of an endpoint under 50, op-mainnet' });
	});

	it('sends what is no number as it is, for the server to say so', () => {
		expect(RULE.body({ ...RULE.draft(rule), threshold: 'much' }, 0).threshold).toBe('much');
	});
});

describe('a monitor', () => {
	const monitor: Monitor = {
		id: '01M', name: 'm', version: 1, paused: false, severity: 'info', networks: ['a'], addresses: [{ address: '0xab', abi: [{ type: 'event', name: 'E' }] }],
		match_conditions: { events: [{ signature: 'E()', expression: null }], functions: [], transactions: [{ status: 'Failure', expression: 'value > 1' }] },
		group_by: ['monitor', 'contract'], cooldown: '0s', wait: 12, channels: [], routes: [], escalate: null, template: null
	};

	it('that nobody touched makes no patch', () => {
		expect(patchOf(MONITOR.body(MONITOR.draft(monitor), 0), MONITOR.body(MONITOR.draft(monitor), 0))).toEqual({});
		expect(MONITOR.body(MONITOR.draft(monitor), 0)).toMatchObject({ wait: 12, addresses: monitor.addresses, match_conditions: monitor.match_conditions });
	});

	it('waits for blocks, for finality, or not at all', () => {
		const wait = (text: string) => MONITOR.body({ ...MONITOR.draft(monitor), wait: text }, 0).wait;
		expect([wait('3'), wait('finalized'), wait(' '), wait('soon')]).toEqual([3, 'finalized', null, 'soon']);
	});

	it('asks nothing of how transactions went where none fails', () => {
		const transactions = ['Success', 'Failure', 'Any'].map((status) => ({ status, expression: 'value > 1' }));
		const draft = { ...MONITOR.draft(monitor), transactions };
		keepTo(statusesOf(false), draft);
		expect(transactions.map(({ status }) => status)).toEqual(['Success', 'Failure', 'Any']);
		keepTo(statusesOf(true), draft);
		expect(transactions.map(({ status }) => status)).toEqual(['Any', 'Any', 'Any']);
	});

	it('takes an ABI as a compiler writes it, and nothing that is no JSON', () => {
		const draft = { ...MONITOR.draft(monitor), addresses: [{ address: '0xab', abi: '{"abi":[]}' }] };
		expect(MONITOR.body(draft, 0).addresses).toEqual([{ address: '0xab', abi: [] }]);
		expect(() => MONITOR.body({ ...draft, addresses: [{ address: '0xab', abi: '[' }] }, 0)).toThrow(SyntaxError);
	});

	it('is told to others as a rule is', () => {
		const escalate = { after: '10m', channels: ['01F'] };
		const told = { ...monitor, routes: [{ severity: null, hours: '08:00-18:00', channels: ['01D'] }], escalate };
		expect(patchOf(MONITOR.body(MONITOR.draft(told), 0), MONITOR.body(MONITOR.draft(told), 0))).toEqual({});
		expect(patchOf(MONITOR.body(MONITOR.draft(monitor), 0), MONITOR.body(MONITOR.draft(told), 0))).toEqual({ routes: told.routes, escalate });
		expect(MONITOR.body({ ...MONITOR.draft(told), routes: [], escalateAfter: '', escalateTo: [] }, 0)).toMatchObject({ routes: [], escalate: null });
	});

	it('names every field that it shows', () => {
		expect(MONITOR.paths(MONITOR.draft(monitor))).toContain('match_conditions.transactions.0.expression');
	});
});

describe('a channel', () => {
	const slack: Channel = { id: '01C', name: 's', version: 1, type: 'slack', config: { url: { set: true } }, min_severity: 'info', per_hour: 60, send_resolved: true };

	it('leaves a secret as it is unless another is written', () => {
		expect(CHANNEL.draft(slack)).toMatchObject({ set: ['url'], config: { url: '' } });
		expect(CHANNEL.body(CHANNEL.draft(slack), 0).config).toEqual({});
	});

	it('goes from one way of Slack to the other', () => {
		const clean = CHANNEL.draft(slack);
		const draft = { ...clean, config: { ...clean.config, token: 'xoxb-1', channel: '#a' } };
		expect(patchOf(CHANNEL.body(clean, 0), CHANNEL.body(draft, 0))).toEqual({ config: { url: null, token: 'xoxb-1', channel: '#a' } });
	});

	it('reads lists and headers by lines', () => {
		const email = { ...CHANNEL.draft(null), type: 'email', config: { host: 'h', port: '587', sender: 'a@b', recipients: 'x@y\n\n z@y ' } };
		expect(CHANNEL.body(email, 0).config).toEqual({ host: 'h', port: 587, sender: 'a@b', recipients: ['x@y', 'z@y'], tls: 'starttls' });
		const hook = { ...CHANNEL.draft(null), config: { url: 'u', secret: '', headers: 'authorization: Bearer a:b' } };
		expect(CHANNEL.body(hook, 0).config).toEqual({ url: 'u', headers: { authorization: 'Bearer a:b' } });
	});

	it('has a new signing secret made where a webhook moves to another server', () => {
		const hook = { ...slack, type: 'webhook', config: { url: 'https://a.example/in', secret: { set: true } } };
		const clean = CHANNEL.draft(hook);
		const to = (url: string, secret = '') => CHANNEL.body({ ...clean, config: { ...clean.config, url, secret } }, 0);
		const patch = (url: string, secret?: string) => patchOf(CHANNEL.body(clean, 0), to(url, secret)).config;
		expect(patch('https://a.example/other')).toEqual({ url: 'https://a.example/other' });
		expect(patch('https://b.example/in')).toEqual({ url: 'https://b.example/in', secret: null });
		expect(patch('https://b.example/in', 'whsec_x')).toEqual({ url: 'https://b.example/in', secret: 'whsec_x' });
	});

	it('copies no secret', () => {
		expect(CHANNEL.copied?.(CHANNEL.draft(slack)).set).toEqual([]);
	});
});

describe('a silence', () => {
	const now = Date.parse('2026-11-29T12:00:00Z');

	it('lasts from now on, and is named by what it holds back', () => {
		const draft = { ...SILENCE.draft(null), match: { network: 'op-mainnet', rule: '' } };
		expect(SILENCE.body(draft, now)).toEqual({
			name: 'network op-mainnet until 2026-11-29T13:00:00Z', match: { network: 'op-mainnet' }, ends_at: '2026-11-29T13:00:00Z', reason: null
		});
	});

	it('that nobody touched makes no patch, whatever the zone', () => {
		const silence: Silence = { id: '1', name: 'n', version: 1, match: { severity: 'info' }, starts_at: '2026-11-29T12:00:00Z', ends_at: '2026-11-29T13:30:00Z', reason: 'r' };
		const body = SILENCE.body(SILENCE.draft(silence), now);
		expect(body).toMatchObject({ starts_at: silence.starts_at, ends_at: silence.ends_at });
	});
});

it('shows what differs between mine and theirs', () => {
	expect(versus({ name: 'a', channels: ['x'], n: null }, { name: 'b', channels: ['x', 'y'] })).toEqual([
		{ field: 'name', mine: 'a', theirs: 'b' },
		{ field: 'channels', mine: 'x', theirs: 'x, y' }
	]);
});

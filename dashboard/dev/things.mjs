// What people make, for the mock: contracts, rules, monitors, channels and silences, with versions, and mistakes at their paths. It checks
// little: enough to show what the pages do with a 422, a 412 and a 409.

import { randomBytes } from 'node:crypto';

const KINDS = ['contracts', 'rules', 'monitors', 'channels', 'silences'];
const DEFAULTS = {
	contracts: { labels: [], source: 'tenant', has_abi: false },
	rules: {
		paused: false, severity: 'warning', contract: null, endpoint: null, window: '5m', for: '0s', min_count: 0, group_by: ['rule', 'contract'], cooldown: '0s',
		repeat_every: null, channels: [], routes: [], escalate: null
	},
	monitors: { paused: false, severity: 'warning', addresses: [], group_by: [], cooldown: '0s', wait: null, channels: [], routes: [], escalate: null, template: null },
	channels: { min_severity: 'info', per_hour: 60, send_resolved: true, state: 'active', disabled_reason: null },
	silences: { match: {}, created_by: 'anyone' }
};
const SECRETS = ['secret', 'token', 'password', 'routing_key', 'headers'];

const problem = (status, title, detail, more = {}) => [status, { type: 'about:blank', title, status, detail, ...more }];
const ulid = () => `01${randomBytes(15).toString('hex').toUpperCase().slice(0, 24)}`;
const tag = (thing) => ({ etag: `"${thing.version}"` });

function merged(into, patch) {
	if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) return patch;
	const result = { ...(into && typeof into === 'object' && !Array.isArray(into) ? into : {}) };
	for (const [key, value] of Object.entries(patch)) {
		if (value === null) delete result[key];
		else result[key] = merged(result[key], value);
	}
	return result;
}

/** The first place where an expression cannot be right. */
function expressionMistake(path, text) {
	if (text == null) return [];
	const single = text.search(/(?<![=!<>])=(?!=)/);
	if (single >= 0) return [{ path, position: single, problem: 'has = where a comparison is awaited', cure: 'write ==' }];
	let open = 0;
	for (let i = 0; i < text.length; i++) open += text[i] === '(' ? 1 : text[i] === ')' ? -1 : 0;
	if (open > 0) return [{ path, position: text.length, problem: 'ends inside a parenthesis', cure: 'close it with )' }];
	const end = text.match(/(AND|OR|==|!=|[<>]=?)\s*$/);
	return end ? [{ path, position: text.length, problem: `ends after ${end[1]}`, cure: 'say what it is compared or joined with' }] : [];
}

const CHECKS = {
	contracts: (c) => (/^0x[\da-f]{40}$/i.test(c.address ?? '') ? [] : [{ path: 'address', problem: 'is no address', cure: 'write 0x and 40 hex digits' }]),
	rules: (r) => [
		...((r.networks?.length ?? 0) > 0 || r.network ? [] : [{ path: 'networks', problem: 'is missing', cure: 'name one at least' }]),
		...(typeof r.threshold === 'number' || r.baseline ? [] : [{ path: 'threshold', problem: 'is no number', cure: 'write a number, or a baseline instead' }]),
		...(r.metric === 'failure_rate' && r.threshold > 1 ? [{ path: 'threshold', problem: 'is over 1', cure: 'a rate is 0 to 1: write 0.05 for 5 %' }] : []),
		...['for', 'cooldown', 'repeat_every'].filter((f) => r[f] != null && !/^\d+(ms|[smhd])$/.test(r[f])).map((path) => ({ path, problem: 'is no duration', cure: 'write 90s, 5m or 1h' }))
	],
	monitors: (m) => [
		...((m.networks?.length ?? 0) > 0 ? [] : [{ path: 'networks', problem: 'is missing', cure: 'name one at least' }]),
		...(Object.values(m.match_conditions ?? {}).flat().length > 0 ? [] : [{ path: 'match_conditions', problem: 'is empty', cure: 'name an event, a function or transactions' }]),
		...(m.addresses ?? []).flatMap((a, i) => (/^(0x[\da-f]{40}|bc1[\da-z]{11,87})$/i.test(a.address) ? [] : [{ path: `addresses.${i}.address`, problem: 'is no address', cure: 'write 0x and 40 hex digits, or a Bitcoin address' }])),
		...Object.entries(m.match_conditions ?? {}).flatMap(([kind, list]) =>
			list.flatMap((c, i) => [
				...(kind === 'transactions' || /^\w+\(.*\)$/.test(c.signature) ? [] : [{ path: `match_conditions.${kind}.${i}.signature`, problem: 'is no signature', cure: 'write transfer(address,uint256)' }]),
				...expressionMistake(`match_conditions.${kind}.${i}.expression`, c.expression)
			])
		)
	],
	channels: (c) => {
		const url = c.config?.url;
		if (c.type === 'webhook' && !url) return [{ path: 'config.url', problem: 'is missing', cure: 'write the address that takes the messages' }];
		const host = url && /^https?:\/\/([^/:]+)/.exec(url)?.[1];
		if (url && !host) return [{ path: 'config.url', problem: 'is no http address', cure: 'write https://…' }];
		if (host && /^(10\.|192\.168\.|169\.254\.)/.test(host)) return [{ path: 'config.url', problem: `is not allowed: ${host} is a private address`, cure: 'use a public one, or ask the operator for [alerts] allow_targets' }];
		return c.type === 'email' && !(c.config?.recipients?.length > 0) ? [{ path: 'config.recipients', problem: 'is missing', cure: 'name one address at least' }] : [];
	},
	silences: (s) => (s.ends_at && Date.parse(s.ends_at) > Date.parse(s.starts_at) ? [] : [{ path: 'ends_at', problem: 'is not after the start', cure: 'write a later time' }])
};

/** As it is read: without what is secret. */
function shown(kind, thing) {
	if (kind !== 'channels') return thing;
	const sealed = (name) => SECRETS.includes(name) || (name === 'url' && thing.type !== 'webhook');
	const config = Object.fromEntries(Object.entries(thing.config).map(([name, value]) => [name, sealed(name) ? { set: true } : value]));
	return { ...thing, config };
}

/** The name is another's. */
class Taken extends Error {
	constructor(id) {
		super('taken');
		this.id = id;
	}
}

export function things(clock = () => new Date().toISOString()) {
	const all = Object.fromEntries(KINDS.map((kind) => [kind, new Map()]));

	function mistakes(kind, thing) {
		const name = thing.name?.trim() ?? '';
		const found = name && name.length <= 100 ? [] : [{ path: 'name', problem: 'has no text', cure: 'write 1 to 100 characters' }];
		const twin = [...all[kind].values()].find((other) => other.name === name && other.id !== thing.id);
		if (twin) throw new Taken(twin.id);
		return [...found, ...CHECKS[kind](thing)];
	}

	function make(kind, body) {
		const at = clock();
		const thing = { id: ulid(), ...DEFAULTS[kind], ...(kind === 'silences' ? { starts_at: at } : {}), ...body, version: 1, created_at: at, updated_at: at };
		let made = null;
		if (thing.type === 'webhook' && !thing.config?.secret) {
			made = `whsec_${randomBytes(24).toString('base64')}`;
			thing.config = { ...thing.config, secret: made };
		}
		if (kind === 'contracts') Object.assign(thing, { has_abi: Array.isArray(thing.abi), figures: { transactions_24h: 812, failed_24h: 41 } });
		const found = mistakes(kind, thing);
		if (found.length > 0) return problem(422, 'The body has mistakes', `${found.length} of them; nothing was kept.`, { errors: found });
		all[kind].set(thing.id, thing);
		const answer = shown(kind, thing);
		return [201, made ? { ...answer, config: { ...answer.config, secret: made } } : answer, tag(thing)];
	}

	/** The mistakes of a monitor that is only tried, and of a rule. */
	const tried = (body) => CHECKS.monitors(body);
	const triedRule = (body) => CHECKS.rules(body);

	/** Answers what is asked of one of the kinds; undefined for whatever else. */
	function answer(...asked) {
		try {
			return answered(...asked);
		} catch (error) {
			if (!(error instanceof Taken)) throw error;
			return problem(409, 'The name is taken', 'Another one is called so.', { id: error.id });
		}
	}

	function answered(method, path, query, body, ifMatch) {
		const [, kind, id, rest] = path.match(/^\/(\w+)(?:\/([^/]+))?(\/.+)?$/) ?? [];
		if (!KINDS.includes(kind) || rest || id === 'abi' || id === 'preview') return undefined;
		if (!id) {
			if (method === 'POST') return make(kind, body ?? {});
			return [200, { items: [...all[kind].values()].map((thing) => shown(kind, thing)), next: null }];
		}
		const thing = all[kind].get(id);
		if (!thing) return problem(404, 'Not found', `There is none of the ${kind} with this id.`);
		if (method === 'GET') return [200, shown(kind, thing), tag(thing)];
		if (!ifMatch) return problem(428, 'A version is wanted', 'Send If-Match.');
		if (ifMatch !== tag(thing).etag) return problem(412, 'It was changed meanwhile', 'Read it again.');
		if (method === 'DELETE') {
			all[kind].delete(id);
			return [204, null];
		}
		const next = { ...DEFAULTS[kind], ...merged(thing, body ?? {}), version: thing.version + 1, updated_at: clock() };
		const found = mistakes(kind, next);
		if (found.length > 0) return problem(422, 'The body has mistakes', `${found.length} of them; nothing was kept.`, { errors: found });
		if (kind === 'channels') Object.assign(next, { state: 'active', disabled_reason: null });
		all[kind].set(id, next);
		return [200, shown(kind, next), tag(next)];
	}

	return { answer, make, tried, triedRule, all, problem, ulid };
}

// Alerts and messages, for the mock: some of each kind that have happened, and what comes of a test, an acknowledgement and a rule that fires
// (one with the limit 0 does so soon). Webhooks to this machine are sent, and signed as the standard's own library does.

import { Webhook } from 'standardwebhooks';
import { things } from './things.mjs';

const MINUTE = 60_000;
/** What a rule cannot be tried on. */
const NO_PAST = ['provider_score', 'provider_lag_blocks', 'endpoints_disagree', 'diverged', 'lag_blocks', 'stage_lag', 'incomplete_blocks'];

/** `chains()` answers the networks with their last blocks; `tell(frame)` reaches whoever has asked for alerts. */
export function alerting({ chains, tell, mode }) {
	const store = things();
	const { all, problem, ulid, make } = store;
	const alerts = [];
	const deliveries = [];
	const matchesOf = new Map();
	const iso = (ms) => new Date(ms).toISOString();

	function deliver(channel, alert, type, attempts, state) {
		const created = attempts[0]?.at ?? iso(Date.now());
		const made = { id: `msg_${ulid()}`, alert: alert?.id ?? null, channel, type, state, created_at: created, next_attempt_at: state === 'queued' ? iso(Date.now() + 4_000) : null, attempts };
		deliveries.unshift(made);
		return made;
	}

	/** Really, to this machine; its end is the delivery's. */
	async function post(made, channel, data) {
		const { url, secret } = channel.config;
		const at = new Date();
		const text = JSON.stringify({ type: made.type, timestamp: at.toISOString(), data });
		const headers = {
			'content-type': 'application/json',
			'webhook-id': made.id,
			'webhook-timestamp': String(Math.floor(at / 1000)),
			'webhook-signature': new Webhook(secret).sign(made.id, at, text)
		};
		const answer = await fetch(url, { method: 'POST', headers, body: text }).catch((error) => ({ error }));
		made.attempts.push({ at: at.toISOString(), status: answer.status ?? null, latency_ms: Date.now() - at, error: answer.ok ? null : String(answer.error ?? `the answer was ${answer.status}`) });
		made.state = answer.ok ? 'sent' : 'failed';
		made.next_attempt_at = null;
	}

	const isHere = (channel) => channel?.type === 'webhook' && channel.config.url.startsWith('http://127.0.0.1:');

	/** A message about an alert, to each of its channels. */
	function say(alert, type, channels) {
		for (const id of channels) {
			const channel = all.channels.get(id);
			const { events, ...said } = alert;
			if (isHere(channel)) void post(deliver(id, alert, type, [], 'queued'), channel, { alert: { ...said, links: { dashboard: null, acknowledge: `http://127.0.0.1/ack/${alert.id}` } } });
			else deliver(id, alert, type, [good(Date.now())], 'sent');
		}
	}

	function happen(alert, kind, at, more = {}) {
		alert.events.push({ at: iso(at), kind, by: null, sequence: 812, height: alert.evidence.height ?? alert.evidence.matches?.[0]?.height ?? null, ...more });
		tell({ type: 'alert', cursor: ulid(), op: 'apply', data: { id: alert.id, kind } });
	}

	const good = (at) => ({ at: iso(at), status: 204, latency_ms: 83, error: null });

	function seed() {
		const now = Date.now();
		const [main, polygon, op] = chains();
		const failed = (op ?? main).chain.flatMap((c) => c.transactions).find((t) => t.status === 'failed') ?? main.chain.at(-1).transactions[0];
		const some = main.chain.at(-2).transactions.filter((t) => t.to).slice(0, 3);
		const hook = make('channels', { name: 'On call', type: 'webhook', config: { url: 'https://hooks.example.com/headwater' } })[1];
		const chat = make('channels', { name: 'Ops in Slack', type: 'slack', config: { url: 'https://hooks.slack.com/services/T0/B0/x' }, min_severity: 'warning' })[1];
		const mail = make('channels', { name: 'Mail to everybody', type: 'email', config: { host: 'smtp.example.com', port: 587, tls: 'starttls', sender: 'headwater@example.com', recipients: ['oncall@example.com', 'all@example.com'] }, min_severity: 'critical' })[1];
		Object.assign(all.channels.get(chat.id), { state: 'disabled', disabled_reason: 'Slack answered 410: the webhook was removed there.' });
		const contract = failed.to;
		const rate = make('rules', { name: 'Vault fails', networks: [failed.network], contract, metric: 'failure_rate', operator: '>', threshold: 0.05, severity: 'critical', min_count: 20, channels: [hook.id, mail.id], repeat_every: '1h' })[1];
		const gas = make('rules', { name: 'Gas is expensive', networks: ['ethereum-mainnet'], metric: 'gas_price_avg', operator: '>', baseline: { percent: 50, over: '24h' }, window: '5m', severity: 'info', channels: [hook.id] })[1];
		const lag = make('rules', { name: 'An endpoint lags', networks: ['ethereum-mainnet', 'polygon-mainnet'], metric: 'provider_lag_blocks', operator: '>', threshold: 5, for: '2m', channels: [chat.id], paused: true })[1];
		const monitor = make('monitors', {
			name: 'Large transfers', networks: ['ethereum-mainnet'], addresses: [{ address: some[0].to, abi: null }], channels: [hook.id],
			match_conditions: { events: [{ signature: 'Transfer(address,address,uint256)', expression: 'value > 1000000000000000000' }], functions: [], transactions: [{ status: 'Success', expression: null }] }
		})[1];
		make('silences', { name: 'Deployment', match: { rule: lag.id }, starts_at: iso(now - 10 * MINUTE), ends_at: iso(now + 50 * MINUTE), reason: 'the new vault goes live' });
		make('silences', { name: 'Last week’s move', match: { severity: 'info' }, starts_at: iso(now - 9_000 * MINUTE), ends_at: iso(now - 8_000 * MINUTE), reason: 'moving to the other region' });

		const figured = (over) => ({
			metric: 'failure_rate', value: 0.124, threshold: 0.05, window: '5m', from: iso(now - 9 * MINUTE), to: iso(now - 4 * MINUTE), transactions: 121, failed: 15,
			causes: [{ cause: 'balance', count: 9 }, { cause: 'slippage', count: 4 }, { cause: null, count: 2 }], example: { hash: failed.hash }, height: failed.height,
			block_hash: failed.block_hash, sequence: failed.sequence, ...over
		});
		const matches = some.map((t, i) => ({
			network: t.network, transaction_hash: t.hash, kind: 'event', position: i, signature: 'Transfer(address,address,uint256)', height: t.height, block_hash: t.block_hash, monitor_version: 1, state: 'live', at: t.block_time,
			arguments: { from: t.from, to: t.to, value: String(1_234_567_000_000_000_000n * BigInt(i + 1)) }
		}));
		const add = (alert, story) => {
			const made = { id: ulid(), contract: null, group: {}, silenced: false, ended_at: null, events: [], links: { dashboard: null, acknowledge: null }, ...alert };
			for (const [kind, at, more] of story) happen(made, kind, at, more);
			alerts.unshift(made);
			return made;
		};
		const source = (kind, { id, name }) => ({ kind, id, name, version: 1 });

		const old = add({ source: source('rule', gas), network: 'ethereum-mainnet', state: 'resolved', severity: 'info', started_at: iso(now - 200 * MINUTE), fired_at: iso(now - 200 * MINUTE), ended_at: iso(now - 171 * MINUTE), evidence: { metric: 'gas_price_avg', value: 41_300_000_000, baseline: 26_100_000_000, window: '5m', from: iso(now - 205 * MINUTE), to: iso(now - 200 * MINUTE), transactions: 812, failed: 3, height: main.height - 900 } }, [['fired', now - 200 * MINUTE], ['resolved', now - 171 * MINUTE]]);
		deliver(hook.id, old, 'alert.firing', [good(now - 200 * MINUTE)], 'sent');
		deliver(hook.id, old, 'alert.resolved', [{ at: iso(now - 171 * MINUTE), status: 503, latency_ms: 1204, error: 'the answer was 503' }, good(now - 170 * MINUTE)], 'sent');
		const gone = add({ source: source('monitor', monitor), network: 'ethereum-mainnet', contract: some[0].to, state: 'retracted', severity: 'warning', started_at: iso(now - 60 * MINUTE), fired_at: iso(now - 60 * MINUTE), ended_at: iso(now - 59 * MINUTE), evidence: { matches: matches.slice(0, 1).map((m) => ({ ...m, state: 'retracted' })), count: 1 } }, [['fired', now - 60 * MINUTE], ['retracted', now - 59 * MINUTE]]);
		deliver(hook.id, gone, 'alert.firing', [good(now - 60 * MINUTE)], 'sent');
		deliver(hook.id, gone, 'alert.retracted', [good(now - 59 * MINUTE)], 'sent');
		const found = add({ source: source('monitor', monitor), network: 'ethereum-mainnet', contract: some[0].to, state: 'acknowledged', severity: 'warning', started_at: iso(now - 22 * MINUTE), fired_at: iso(now - 22 * MINUTE), evidence: { matches, count: 3 } }, [['fired', now - 22 * MINUTE], ['amended', now - 21 * MINUTE], ['acknowledged', now - 15 * MINUTE, { by: 'mara', note: 'the treasury moves, as announced' }]]);
		deliver(hook.id, found, 'alert.firing', [good(now - 22 * MINUTE)], 'sent');
		const firing = add({ source: source('rule', rate), network: failed.network, contract, group: { contract }, state: 'firing', severity: 'critical', started_at: iso(now - 4 * MINUTE), fired_at: iso(now - 4 * MINUTE), evidence: figured() }, [['fired', now - 4 * MINUTE], ['amended', now - 3 * MINUTE]]);
		deliver(hook.id, firing, 'alert.firing', [good(now - 4 * MINUTE)], 'sent');
		deliver(mail.id, firing, 'alert.firing', [{ at: iso(now - 4 * MINUTE), status: null, latency_ms: 5000, error: 'smtp.example.com:587 did not answer within 5 s' }, { at: iso(now - 3 * MINUTE), status: null, latency_ms: 5000, error: 'smtp.example.com:587 did not answer within 5 s' }], 'queued').next_attempt_at = iso(now + 5 * MINUTE);
		deliver(chat.id, null, 'channel.summary', [{ at: iso(now - 30 * MINUTE), status: 410, latency_ms: 120, error: 'the answer was 410' }], 'failed');
		matchesOf.set(monitor.id, [...matches, ...gone.evidence.matches]);
	}
	/** As lists have it. */
	const bare = ({ events, ...alert }) => alert;
	const fits = (of, wanted) => !wanted || wanted.split(',').includes(of);
	const paged = (list, query) => {
		const limit = Number(query.get('limit') ?? 50);
		const from = Number(query.get('cursor') ?? 0);
		return [200, { items: list.slice(from, from + limit), next: from + limit < list.length ? String(from + limit) : null }];
	};

	function acknowledge(alert, note) {
		if (!['firing', 'pending'].includes(alert.state)) return problem(409, 'The alert is over', 'Nothing is left to acknowledge.');
		alert.state = 'acknowledged';
		happen(alert, 'acknowledged', Date.now(), { by: 'anyone', note: note ?? null });
		say(alert, 'alert.acknowledged', [...all.rules.values(), ...all.monitors.values()].find((t) => t.id === alert.source.id)?.channels ?? []);
		return [200, alert];
	}

	function test(channel) {
		const made = deliver(channel.id, null, 'channel.test', [], 'queued');
		if (isHere(channel)) void post(made, channel, {});
		else setTimeout(() => {
			const bad = /broken/.test(JSON.stringify(channel.config));
			made.attempts.push(bad ? { at: iso(Date.now()), status: 404, latency_ms: 31, error: 'the answer was 404' } : good(Date.now()));
			made.state = bad ? 'failed' : 'sent';
			made.next_attempt_at = null;
		}, 900);
		return [202, { ...made, attempts: [] }];
	}

	/** A rule fires, as it would some time after it was made: `GET /mock/fire?rule=ID`. */
	function fire(id) {
		const rule = all.rules.get(id) ?? [...all.rules.values()].at(-1);
		const network = rule.networks?.[0] ?? rule.network;
		const block = chains().find((n) => n.slug === network)?.chain.at(-1);
		const failed = block?.transactions.find((t) => t.status === 'failed') ?? block?.transactions[0];
		const made = {
			id: ulid(), source: { kind: 'rule', id: rule.id, name: rule.name, version: rule.version }, network, contract: rule.contract, group: {}, state: 'firing', severity: rule.severity,
			started_at: iso(Date.now()), fired_at: iso(Date.now()), ended_at: null, silenced: false, events: [], links: {},
			evidence: { metric: rule.metric, value: rule.metric === 'failure_rate' ? 0.2 : 12, threshold: rule.threshold, window: rule.window, from: iso(Date.now() - MINUTE), to: iso(Date.now()), transactions: 60, failed: 12, causes: [{ cause: 'balance', count: 12 }], example: failed && { hash: failed.hash }, height: block?.block.height, block_hash: block?.block.hash, sequence: 1 }
		};
		alerts.unshift(made);
		happen(made, 'fired', Date.now());
		say(made, 'alert.firing', rule.channels);
	}

	/** What a monitor would have found: as much as is made up to fit. */
	function preview(body) {
		const errors = store.tried(body);
		if (errors.length > 0) return problem(422, 'The body has mistakes', `${errors.length} of them.`, { errors });
		const all = chains().filter((n) => body.networks.includes(n.slug)).flatMap((n) => n.chain.flatMap((c) => c.transactions)).reverse();
		const addresses = body.addresses.map((a) => a.address.toLowerCase());
		const fitting = all.filter((t) => addresses.length === 0 || addresses.includes(t.to));
		const [condition] = [...body.match_conditions.events, ...body.match_conditions.functions, ...body.match_conditions.transactions];
		const items = fitting.slice(0, 50).map((t) => ({
			network: t.network, transaction_hash: t.hash, kind: condition.signature ? 'event' : 'transaction', position: null, signature: condition.signature ?? null, arguments: { from: t.from, value: t.value },
			height: t.height, block_hash: t.block_hash, monitor_version: 0, state: 'live', at: t.block_time
		}));
		return [200, { items, matches: fitting.length, transactions: all.length, left_out: 0, asks_for_causes: JSON.stringify(body.match_conditions.transactions).includes('failure_cause'), from: all.at(-1)?.block_time ?? null, to: all[0]?.block_time ?? null }];
	}

	/** What a rule would have said: a wave of its figure, with two hills above half of what rates can be. */
	function previewRule(body, query) {
		const errors = store.triedRule(body);
		if (errors.length > 0) return problem(422, 'The body has mistakes', `${errors.length} of them.`, { errors });
		const [every, looks] = { '1m': ['1m', 90], '5m': ['1m', 360], '1h': ['5m', 864], '24h': ['1h', 720] }[body.window];
		const step = { '1m': MINUTE, '5m': 5 * MINUTE, '1h': 60 * MINUTE }[every];
		const end = Math.floor(Date.now() / step) * step;
		const of = { network: query.get('network') ?? body.network ?? body.networks[0], contract: body.contract ?? null, endpoint: null, metric: body.metric, window: body.window, every };
		if (NO_PAST.includes(body.metric)) {
			const [from, to] = [iso(end - looks * step), iso(end)];
			const incomplete = [{ from, to, reason: `the past of \`${body.metric}\` is not kept, so that it cannot be tried on it` }];
			return [200, { ...of, from, to, fired: 0, complete: false, points: [], firings: [], incomplete }];
		}
		const isShare = ['failure_rate', 'fullness', 'provider_error_rate'].includes(body.metric);
		const threshold = body.threshold ?? (isShare ? 0.04 : 40) * (1 + body.baseline.percent / 100);
		const value = (i) => (isShare ? 0.001 : 1) * (40 + 30 * Math.sin((i / looks) * 4 * Math.PI));
		const over = (v) => ({ '>': v > threshold, '>=': v >= threshold, '<': v < threshold, '<=': v <= threshold, '==': v === threshold, '!=': v !== threshold })[body.operator];
		const points = Array.from({ length: looks }, (_, i) => {
			const known = i >= 3;
			const v = known ? value(i) : null;
			return { at: iso(end - (looks - 1 - i) * step), value: v, threshold, transactions: known ? 60 : 0, over: known ? over(v) : null, state: known && over(v) ? 'firing' : 'quiet', complete: known };
		});
		const firings = [];
		points.forEach((point, i) => {
			const before = points[i - 1]?.state === 'firing';
			if (point.state === 'firing' && !before) firings.push({ started_at: point.at, fired_at: point.at, resolved_at: null, value: point.value, threshold });
			if (point.state === 'quiet' && before) firings.at(-1).resolved_at = point.at;
		});
		const from = iso(end - looks * step);
		const incomplete = [{ from, to: points[2].at, reason: 'no window tells of it; not all blocks of it are held with all their rows, see completeness' }];
		return [200, { ...of, from, to: iso(end), fired: firings.length, complete: false, points, firings, incomplete }];
	}

	/** What a message would say: the names that templates of these tests have. */
	function previewMessage(body) {
		const newest = alerts.find((a) => (body.alert ? a.id === body.alert : a.source.kind === 'monitor' && (!body.monitor || a.source.id === body.monitor)));
		if (body.alert && !newest) return problem(404, 'Not found', 'There is no alert with this id.');
		const match = newest?.evidence.matches?.[0] ?? { arguments: { value: '2500000000000000000' } };
		const names = { 'source.name': newest?.source.name ?? 'Large transfers', 'events.0.args.value': match.arguments.value };
		const missing = new Set();
		const filled = (text) => text.replaceAll(/\$\{([^}]*)\}/g, (written, name) => names[name.trim()] ?? (missing.add(name.trim()), written));
		const title = `Firing: ${filled(body.template?.title ?? names['source.name'])}`;
		const text = filled(body.template?.body ?? 'Severity: warning');
		return [200, { of: newest ? 'alert' : 'example', alert: newest?.id ?? null, type: 'alert.firing', title, text, missing: [...missing], data: newest ?? {} }];
	}

	/** Answers what belongs here; undefined for whatever else. */
	function answer(method, path, query, body, ifMatch) {
		const told = store.answer(method, path, query, body, ifMatch);
		if (told?.[0] === 201 && path === '/rules' && told[1].threshold === 0) setTimeout(() => fire(told[1].id), 1_500);
		if (told) return told;
		const [, kind, id, what] = path.match(/^\/(\w+)(?:\/([^/]+))?(?:\/(\w+))?$/) ?? [];
		if (kind === 'alerts') {
			const alert = id && alerts.find((a) => a.id === decodeURIComponent(id));
			if (id && !alert) return problem(404, 'Not found', 'There is no alert with this id.');
			if (what === 'acknowledge') return acknowledge(alert, body?.note);
			if (alert) return [200, alert];
			const list = alerts.filter(
				(a) =>
					fits(a.state, query.get('state')) && fits(a.severity, query.get('severity')) && fits(a.network, query.get('network')) && fits(a.contract, query.get('contract')) &&
					['rule', 'monitor'].every((k) => !query.get(k) || (a.source.kind === k && a.source.id === query.get(k)))
			);
			return paged(list.map(bare), query);
		}
		if (kind === 'deliveries') {
			const one = id && deliveries.find((d) => d.id === decodeURIComponent(id));
			if (id && !one) return problem(404, 'Not found', 'There is no delivery with this id.');
			if (what === 'replay') {
				one.state = 'queued';
				setTimeout(() => Object.assign(one, { state: 'sent', attempts: [...one.attempts, good(Date.now())] }), 900);
				return [202, one];
			}
			if (one) return [200, one];
			return paged(deliveries.filter((d) => fits(d.alert ?? '', query.get('alert')) && fits(d.channel, query.get('channel')) && fits(d.state, query.get('state'))), query);
		}
		if (kind === 'channels' && what === 'test') return all.channels.has(id) ? test(all.channels.get(id)) : problem(404, 'Not found', 'There is no channel with this id.');
		if (kind === 'channels' && what === 'replay') {
			const again = deliveries.filter((d) => d.channel === id && d.created_at >= body.since && d.state !== 'queued');
			for (const d of again) Object.assign(d, { state: 'sent', attempts: [...d.attempts, good(Date.now())] });
			return [202, { channel: id, since: body.since }];
		}
		if (path === '/monitors/preview') return preview(body);
		if (path === '/rules/preview') return previewRule(body, query);
		if (path === '/channels/preview') return previewMessage(body);
		if (kind === 'monitors' && what === 'matches') {
			const [status, page] = paged(matchesOf.get(id) ?? [], query);
			const at = iso(Date.now() - 20 * MINUTE);
			const left_out = matchesOf.has(id) ? [{ network: 'ethereum-mainnet', matches: 1_240, transactions: 0, since: at, last_at: at }] : [];
			return [status, { ...page, left_out }];
		}
		return undefined;
	}

	if (mode === 'live') seed();
	/** The link of a message: it asks, and its button does. */
	function linked({ method }, response, id) {
		const alert = alerts.find((a) => a.id === id);
		if (method === 'POST' && alert) acknowledge(alert, null);
		response.writeHead(alert ? 200 : 404, { 'content-type': 'text/html' });
		response.end(alert && `<!doctype html><title>Acknowledge</title><h1>${alert.state}</h1><form method="post"><button>Acknowledge</button></form>`);
	}

	return { answer, fire, linked };
}

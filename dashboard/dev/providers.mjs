// Endpoints for the mock: what `/providers/health`, `/providers/{network}/{name}` and the topic `providers` say of them, in every
// state, and changing. Development only.

const SCENES = {
	'ethereum-mainnet': [
		{ name: 'alchemy', operator: 'alchemy', latency: 96, in_use: true, used: 11_540_000, priority: 1, roles: ['stream', 'trace', 'serve'], day: 184_211, per_day: 500_000, limit: 25 },
		{
			name: 'cheapnode',
			operator: 'cheapnode',
			latency: 61,
			state: 'quarantined',
			since: 1_260_000,
			roles: ['serve'],
			day: 9_318,
			lie: {
				said: 'block 19,433,871 has 155 receipts, the one of transaction 0x8d97…af14 is not among them',
				right: 'it has 156: their root is that of the header, which alchemy and publicnode have shown too'
			},
			error: 'receipts of block 19433871 do not have the root of its header'
		},
		{ name: 'publicnode', operator: 'allnodes', latency: 208, day: 41_077 },
		{ name: 'ankr', operator: 'ankr', latency: 1_870, state: 'slow', since: 420_000, reason: 'Its median latency over ten minutes is 1.87 s; alchemy has 96 ms', day: 12_400, per_day: 200_000, fails: 0.03, error: 'POST https://rpc.ankr.com/eth/***: no answer within 5 s' }
	],
	'polygon-mainnet': [
		{ name: 'polygon-rpc', operator: 'polygon', latency: 140, state: 'failing', since: 95_000, fails: 0.97, reason: '57 of its last 60 calls ended with 403 Forbidden', day: 8_022, error: 'POST https://polygon-rpc.com/: HTTP 403 Forbidden: {"error":{"code":-32052,"message":"API key is not allowed to access blockchain"}}' },
		{ name: 'quicknode', operator: 'quicknode', latency: 118, in_use: true, used: 95_000, priority: 1, day: 478_903, per_day: 500_000, limit: 50 },
		{ name: 'blast', operator: 'blastapi', latency: 164, state: 'throttled', since: 31_000, fails: 0.22, reason: 'It refuses above 9 requests/s (Retry-After 12 s); it is asked 8 times a second', limit: 8, day: 66_140, error: 'POST https://polygon-mainnet.public.blastapi.io/: HTTP 429 Too Many Requests' },
		{ name: 'archive.internal', operator: '10.4.0.17', latency: 12, state: 'behind', lag: 1_012, since: 5_420_000, reason: 'Its head is 1,012 blocks behind that of quicknode', day: 2_140 },
		{ name: 'omnia', operator: 'omnia', latency: null, state: 'open', fails: 1, since: 12_000, reason: '10 calls in a row were refused; it is tried again in 34 s', day: 311, error: 'POST https://endpoints.omniatech.io/v1/matic/***: connection refused' }
	],
	'bitcoin-mainnet': [
		{ name: 'core-1', operator: '10.0.0.5', url: 'http://10.0.0.5:8332', protocol: 'core rest', software: '/Satoshi:30.0.0/', latency: 18, in_use: true, used: 9_240_000, priority: 1, roles: ['stream', 'serve'], day: 3_120 },
		{ name: 'core-old', operator: '10.0.0.6', url: 'http://10.0.0.6:8332', protocol: 'core rpc', software: '/Satoshi:25.1.0/', latency: 44, state: 'behind', lag: 3, since: 380_000, reason: 'Its head is 3 blocks behind that of core-1', day: 1_870, error: 'getblock: HTTP 500: Block not available (pruned data)' },
		{ name: 'electrum-blue', operator: 'blue', url: 'ssl://electrum.blue.example:50002', protocol: 'electrum tls', software: 'ElectrumX 1.16.0', sockets: 3, in_flight: 2, latency: 61, day: 28_410 },
		{ name: 'electrum-green', operator: 'green', url: 'tcp://green.example:50001', protocol: 'electrum tcp', software: 'Fulcrum 1.11.1', sockets: 0, in_flight: 0, latency: null, state: 'open', fails: 1, since: 41_000, reason: 'Its breaker is open: 6 connections in a row were closed before server.version was answered; it is tried again in 22 s', day: 902, error: 'server.version: connection closed by the server' },
		{
			name: 'electrum-red',
			operator: 'red',
			url: 'ssl://red.example:50002',
			protocol: 'electrum tls',
			software: 'electrs/0.10.5',
			sockets: 2,
			in_flight: 0,
			latency: 92,
			state: 'quarantined',
			since: 610_000,
			lie: { said: 'header 840,012 has the hash 00000000…4c1d, which does not reach its own target', right: 'core-1 and electrum-blue have shown 00000000…9a71, with enough work' },
			error: 'blockchain.headers.subscribe: the header has not the work that it claims',
			day: 5_214
		}
	],
	'bitcoin-headers': [{ name: 'electrum-blue', operator: 'blue', url: 'ssl://electrum.blue.example:50002', protocol: 'electrum tls', software: 'ElectrumX 1.16.0', sockets: 1, in_flight: 0, latency: 66, in_use: true, used: 900_000, day: 4_410 }],
	'op-mainnet': [
		{ name: 'official', operator: 'optimism', latency: 184, in_use: true, used: 187_000_000, day: 122_004 },
		{ name: 'backup-with-a-rather-long-name-that-has-to-be-cut', operator: 'someone-with-a-long-name-too.example', latency: null, state: 'unknown', day: 0 }
	]
};

const clamp = (n) => Math.min(1, Math.max(0, n));
const iso = (ms) => new Date(ms).toISOString();

/** The same number for the same arguments, 0 to 1. */
function noise(...parts) {
	let h = 2166136261;
	for (const c of parts.join(' ')) h = Math.imul(h ^ c.charCodeAt(0), 16777619);
	h = Math.imul(h ^ (h >>> 15), 2246822507);
	return ((h ^ (h >>> 13)) >>> 0) / 2 ** 32;
}

/** `heights` answers the best height of a network; `frozen`: nothing has been heard since `began`. */
export function fleet(heights, { frozen = false } = {}) {
	const began = Date.now();
	const changed = new Map();

	function state(network, scene) {
		const spec = { ...scene, ...changed.get(`${network}/${scene.name}`) };
		const now = frozen ? began - 400_000 : Date.now();
		const unknown = spec.state === 'unknown';
		const latency = spec.latency == null ? null : Math.round(spec.latency * (0.96 + 0.08 * noise(spec.name, Math.floor(now / 2_000))));
		const success = unknown ? null : 1 - (spec.fails ?? 0);
		const lag = spec.lag ?? 0;
		const components = {
			latency: latency == null ? (unknown ? null : 0) : clamp((5_000 - latency) / 4_900),
			success,
			height: unknown ? null : clamp(1 - (lag - 3) / 27)
		};
		return {
			network,
			name: spec.name,
			url: spec.url ?? `https://rpc.${spec.operator}${spec.operator.includes('.') ? '' : '.example'}/v2/***`,
			operator: spec.operator,
			protocol: spec.protocol ?? 'http',
			software: spec.software ?? null,
			sockets: spec.sockets ?? null,
			in_flight: spec.in_flight ?? null,
			priority: spec.priority ?? 2,
			roles: spec.roles ?? ['stream', 'serve'],
			score: unknown ? null : Math.round(100 * (components.latency / 2 + components.success / 2) * components.height),
			components,
			latency_ms: latency,
			success_rate: success,
			height: unknown ? null : heights(network) - lag,
			lag_blocks: unknown ? null : lag,
			state: spec.state ?? 'ok',
			reason: spec.lie ? `It said: ${spec.lie.said}. Right is: ${spec.lie.right}` : (spec.reason ?? null),
			since: iso(began - (spec.since ?? 11_540_000)),
			in_use: spec.in_use ?? false,
			in_use_since: spec.in_use ? iso(began - spec.used) : null,
			last_error: spec.error ?? null,
			last_error_at: spec.error ? iso(now - 4_000 - 90_000 * noise(spec.name)) : null,
			last_seen_at: unknown ? null : iso(now - (spec.state === 'open' ? 61_000 : 800)),
			at: iso(now),
			calls_per_block: unknown ? null : spec.in_use ? 2.04 : 0.31,
			bytes_per_block: unknown ? null : spec.in_use ? 412_300 : 1_220,
			calls_per_day: spec.day + Math.floor((now - began) / 1_000),
			bytes_per_day: spec.day * (spec.in_use ? 41_000 : 2_100),
			per_day: spec.per_day ?? null,
			limit_per_second: spec.limit ?? null,
			probe_every_ms: 30_000,
			lie: spec.lie ? { ...spec.lie, at: iso(began - (spec.since ?? 0)), found_by: 'ingest/host-1' } : null
		};
	}

	function history(network, scene, from, to) {
		const rows = [];
		if (scene.state === 'unknown') return rows;
		const end = Math.min(to, Math.floor(Date.now() / 60_000) * 60_000);
		for (let at = Math.ceil(from / 60_000) * 60_000; at < end; at += 60_000) {
			const ago = began - at;
			const troubled = scene.since != null && ago < scene.since;
			if (scene.name === 'ankr' && ago > 2_400_000 && ago < 2_700_000) continue;
			const methods = scene.protocol ? ['blockchain.headers.subscribe', 'getblock'] : ['eth_getBlockByNumber', 'eth_getBlockReceipts'];
			for (const [method, share] of [[methods[0], 0.6], [methods[1], 0.4]]) {
				const calls = Math.round((scene.in_use ? 30 : 5) * share * (0.7 + 0.6 * noise(scene.name, method, at)));
				const fails = troubled ? (scene.fails ?? 0) : noise(scene.name, at, 'f') > 0.96 ? 0.1 : 0;
				const failures = Math.min(calls, Math.round(calls * fails * (0.8 + 0.4 * noise(at, method))));
				const base = (troubled || scene.state !== 'slow' ? scene.latency : 240) ?? 150;
				const p50 = failures === calls ? null : Math.round(base * (0.8 + 0.35 * noise(scene.name, at) ** 2));
				const p95 = p50 && Math.round(p50 * (1.3 + 1.6 * noise(scene.name, at, 95) ** 4));
				rows.push({ at: iso(at), method, observer: 'ingest/host-1', calls, failures, latency_p50_ms: p50, latency_p95_ms: p95, bytes: calls * 21_400 });
			}
		}
		return rows;
	}

	const scenes = (network) => SCENES[network] ?? [];
	return {
		list: (networks) => networks.flatMap((n) => scenes(n).map((scene) => state(n, scene))),
		detail(network, name, from, to) {
			const scene = scenes(network).find((s) => s.name === name);
			return scene ? { ...state(network, scene), history: history(network, scene, from, to) } : null;
		},
		/** Makes an endpoint other than it was, e.g. `{ state: 'failing', fails: 0.9 }`. */
		change(network, name, to) {
			changed.set(`${network}/${name}`, to);
		}
	};
}

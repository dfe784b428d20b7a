// A stand-in for the API, for work on the page: the built page and the `/api/v1` contract, over blocks made of recorded
// transactions. Development only.
//
//   node dev/mock.mjs [--port 8080] [--mode live|empty|error|troubled] [--rate TX_PER_S] [--networks N]
//               [--trouble contract|chain|provider|nothing] [--bitcoin]   (a Bitcoin network, and one of headers only, beside the others)
//               [--auth none|accounts] [--sign-up open|invitation|closed]   (people, see dev/accounts.mjs)
//
// GET /mock/reorg?network=SLUG&depth=N   reverts the newest N blocks and applies others
// GET /mock/down, /mock/up               hangs up and refuses, comes back
// GET /mock/provider?network=SLUG&name=NAME&to=JSON   makes an endpoint other than it was (see dev/providers.mjs)
// GET /mock/hold?on=1|0                   causes of failures do not come any more; come again
// GET /mock/fire?rule=ID                  a rule fires; without an id the newest
// GET /mock/state?network=SLUG&to=WORD    the network's state in /health, such as diverged
// GET /mock/gone?network=SLUG&name=NAME   takes an endpoint out

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { WebSocketServer } from 'ws';
import { accounts } from './accounts.mjs';
import { alerting } from './alerts.mjs';
import { asset } from './assets.mjs';
import { bitcoinBlock, bitcoinChain } from './bitcoin.mjs';
import { catalogue } from './catalogue.mjs';
import { detailOf, methodOf } from './decoded.mjs';
import { endpointsThen, failureFor, groupsOf, searched, similarTo } from './failures.mjs';
import { asCsv, fits } from './fits.mjs';
import { figures } from './metrics.mjs';
import { named } from './networks.mjs';
import { fleet } from './providers.mjs';

const { values: options } = parseArgs({
	options: {
		port: { type: 'string', default: '8080' },
		mode: { type: 'string', default: 'live' },
		rate: { type: 'string', default: '0' },
		networks: { type: 'string', default: '3' },
		trouble: { type: 'string', default: 'contract' },
		bitcoin: { type: 'boolean', default: false },
		auth: { type: 'string', default: 'none' },
		'sign-up': { type: 'string', default: 'open' }
	}
});
const recorded = JSON.parse(readFileSync(new URL('recorded.json', import.meta.url), 'utf8'));
const people = options.auth === 'none' ? null : accounts(options.auth, options['sign-up']);
const sha = (...parts) => '0x' + createHash('sha256').update(parts.join(' ')).digest('hex');

const networks = new Map();
for (const [slug, everyMs, of] of named(Number(options.networks))) {
	const blocks = recorded.filter((b) => b.network === of);
	networks.set(slug, {
		slug,
		everyMs,
		of,
		source: blocks.flatMap((b) => b.transactions),
		sizes: blocks.map((b) => b.transactions.length),
		height: blocks[0].height,
		sequence: 0,
		cursor: 0,
		chain: [],
		log: []
	});
}
if (options.bitcoin) {
	networks.set('bitcoin-mainnet', bitcoinChain('bitcoin-mainnet'));
	networks.set('bitcoin-headers', bitcoinChain('bitcoin-headers', { headers: true }));
}
if (options.mode === 'empty') for (const n of [...networks.keys()].slice(1)) networks.delete(n);

const endpoints = fleet((slug) => networks.get(slug).height - 1, { frozen: options.mode === 'troubled' });
const gone = new Set();
const provided = () =>
	options.mode === 'empty' ? [] : endpoints.list([...networks.keys()]).filter((p) => !gone.has(`${p.network}/${p.name}`));

/** The states of all endpoints, to whoever has asked for them; at first, and then as they change. */
function tell(ws) {
	for (const data of provided()) {
		ws.send(JSON.stringify({ type: 'provider', network: data.network, sequence: networks.get(data.network).sequence, op: 'apply', data }));
	}
}
if (options.mode === 'live') setInterval(() => sockets.forEach((ws) => ws.providers && tell(ws)), 2_000);

const metrics = figures(() => [...networks.keys()], options, (slug) => networks.get(slug)?.chain.at(-1)?.block);
/** Windows that are open or were changed, to whoever has asked for them. */
function tellWindows(ws, frames) {
	for (const frame of frames) if ((frame.data.contract ?? '') === ws.windows.contract) ws.send(JSON.stringify(frame));
}
if (options.mode === 'live') setInterval(() => !down && metrics.tick((frames) => sockets.forEach((ws) => ws.windows && tellWindows(ws, frames))), 1_000);

let down = false;
let fork = 0;
const sockets = new Set();

const PARTS = ['execution', 'l1', 'operator', 'blob'];

/** Null where none of them has it. */
function summed(amounts) {
	const there = amounts.filter((amount) => amount != null);
	return there.length > 0 ? there.reduce((sum, amount) => sum + BigInt(amount), 0n).toString() : null;
}

/** One block of the next `size` recorded transactions; index 0 is the deposit on the OP stack, as recorded. */
function make(n, height, at, size) {
	if (n.family === 'bitcoin') return bitcoinBlock(n, height, at, size, fork);
	const hash = sha(n.slug, height, fork);
	const transactions = [];
	for (let index = 0; index < size; index++) {
		const from = n.source[n.cursor++ % n.source.length];
		const { events, fee_parts, logs, ...rest } = from;
		const repeated = n.cursor > n.source.length;
		transactions.push({
			...rest,
			...methodOf(from),
			network: n.slug,
			hash: repeated ? sha(from.hash, height, index, fork) : from.hash,
			height,
			block_hash: hash,
			index,
			cause: null,
			reason: null,
			found_by: null,
			block_time: new Date(at).toISOString(),
			detail: { ...detailOf(from, index), logs }
		});
	}
	for (const [i, t] of transactions.filter((t) => t.status === 'failed').entries()) explain(n, t, height + i);
	const now = new Date().toISOString();
	const block = {
		network: n.slug,
		family: 'evm',
		height,
		hash,
		parent_hash: sha(n.slug, height - 1, fork),
		block_time: new Date(at).toISOString(),
		transaction_count: size,
		failed_count: transactions.filter((t) => t.status === 'failed').length,
		log_count: transactions.reduce((sum, t) => sum + t.detail.logs, 0),
		gas_used: transactions.reduce((sum, t) => sum + t.gas_used, 0),
		gas_limit: 30_000_000,
		base_fee: recorded.find((b) => b.network === n.of).base_fee,
		fee_total: transactions.reduce((sum, t) => sum + BigInt(t.fee), 0n).toString(),
		fee_parts: Object.fromEntries(PARTS.map((part) => [part, summed(transactions.map((t) => t.detail.fee_parts[part]))])),
		fee_unknown: 0,
		fee_tokens: [],
		unknown_count: 0,
		unreadable_count: 0,
		miner: '0x4838b106fce9647bdf1e7877bf73ce8b0bad5f97',
		size: 180 * size,
		observed_at: new Date(at + 300).toISOString(),
		stored_at: now
	};
	return { block, transactions };
}

/** Milliseconds from a block to the causes of its failures. */
const CAUSES_MS = 4_000;
let holding = false;

/** The cause of a failure comes later; of what is old it is there already. */
function explain(n, t, which) {
	const { cause, reason, found_by } = failureFor(t, which);
	t.which = which;
	if (Date.now() - Date.parse(t.block_time) > CAUSES_MS) return void Object.assign(t, { cause, reason, found_by });
	setTimeout(function come() {
		if (holding) return void setTimeout(come, 300);
		const kept = n.chain.find((c) => c.block.hash === t.block_hash)?.transactions[t.index];
		if (!kept) return;
		Object.assign(kept, { cause, reason, found_by });
		const { network, hash, height, block_hash, index, sequence } = kept;
		const data = { network, hash, height, block_hash, index, sequence, revision: 1, cause, reason, found_by };
		for (const socket of sockets) {
			if (socket.wants.has(network) && fits(kept, socket.wants.get(network))) socket.send(JSON.stringify({ type: 'cause', network, sequence, op: 'apply', data }));
		}
	}, CAUSES_MS);
}

function append(n, op, { block, transactions }) {
	const sequence = ++n.sequence;
	const frames = [];
	const frame = (type, data) => frames.push({ type, network: n.slug, sequence, op, data: { ...data, sequence } });
	const { detail: _, ...told } = block;
	frame('block', told);
	if (op === 'apply') {
		for (const { detail, which, ...tx } of transactions) frame('transaction', tx);
		n.chain.push({ block: { ...block, sequence }, transactions: transactions.map((t) => ({ ...t, sequence })) });
		if (n.chain.length > 300) n.chain.shift();
	} else {
		n.chain.pop();
	}
	const position = JSON.stringify({ type: 'position', network: n.slug, sequence });
	/** Frames for whoever narrowed by `of`. */
	const text = (of) => {
		const left = frames.filter((f, i) => f.type !== 'transaction' || fits(transactions[i - 1], of));
		return [...left.map((f) => JSON.stringify(f)), position];
	};
	n.log.push({ sequence, text });
	if (n.log.length > 300) n.log.shift();
	for (const socket of sockets) if (socket.wants.has(n.slug)) text(socket.wants.get(n.slug)).forEach((t) => socket.send(t));
}

function nextBlock(n, past) {
	const at = past ?? Date.now();
	const flood = past ? 0 : Number(options.rate) / networks.size;
	const base = n.sizes[n.height % n.sizes.length];
	const wave = 0.55 + 0.45 * Math.sin(n.height / 4) ** 2;
	const size = flood > 0 ? Math.round((flood * n.everyMs) / 1000) : Math.max(1, Math.round(base * wave));
	append(n, 'apply', make(n, n.height++, at, size));
}

function reorg(n, depth) {
	fork++;
	for (let i = 0; i < depth && n.chain.length > 0; i++) {
		const top = n.chain.at(-1);
		append(n, 'revert', top);
		n.height--;
	}
	for (let i = 0; i < depth; i++) nextBlock(n);
	const frames = metrics.reorg(n.slug);
	for (const ws of sockets) if (ws.windows) tellWindows(ws, frames);
}

if (options.mode !== 'empty') {
	for (const n of networks.values()) {
		for (let i = 45; i > 0; i--) nextBlock(n, Date.now() - i * n.everyMs);
		if (options.rate !== '0') n.everyMs = 500;
		setInterval(() => !down && !stopped(n) && nextBlock(n), n.everyMs);
	}
}

const began = Date.now();

const alerts = alerting({
	chains: () => [...networks.values()],
	tell: (frame) => sockets.forEach((ws) => ws.alerts && ws.send(JSON.stringify(frame))),
	mode: options.mode
});

function stopped(n) {
	return options.mode === 'troubled' && n.slug !== 'ethereum-mainnet';
}

function health() {
	const silent = options.mode === 'troubled' ? new Date(began).toISOString() : null;
	const items = [...networks.values()].map((n) => {
		const top = n.chain.at(-1)?.block;
		const item = {
			network: n.slug,
			family: n.family ?? 'evm',
			state: options.mode === 'empty' ? 'starting' : (n.state ?? 'live'),
			tip_height: top?.height ?? n.height - 1,
			processed_height: top?.height ?? null,
			lag_blocks: top ? 0 : null,
			processed_sequence: n.sequence,
			last_block_at: top?.block_time ?? null,
			stages: ['ingest', 'enrich', 'sink'].map((stage) => ({
				stage,
				state: options.mode === 'empty' ? 'starting' : silent && stage === 'enrich' ? 'silent' : 'running',
				since: silent,
				error: null
			}))
		};
		if (!stopped(n)) return item;
		if (n.slug === 'op-mainnet') {
			return { ...item, state: 'reorg_too_deep', error: 'fork at 154,497,021 is 257 blocks deep, the limit is 256' };
		}
		return { ...item, state: 'stalled', tip_height: item.tip_height + 41, lag_blocks: 41 };
	});
	const problem = {
		stage: 'enrich',
		network: null,
		since: silent,
		problem: 'enrich is silent: none of its processes says anything',
		cure: 'Start `headwater enrich` again (last heard: host-1), or `headwater up`; its log says why it ended'
	};
	const status = options.mode === 'live' ? 'ok' : options.mode === 'empty' ? 'starting' : 'degraded';
	return { status, problems: silent ? [problem] : [], networks: items };
}

/** Inputs and outputs from where they are asked for. */
function part(detail, query) {
	if (!detail.bitcoin) return detail;
	const [from, to] = ['inputs_from', 'outputs_from'].map((name) => Number(query.get(name) ?? 0));
	const { inputs, outputs } = detail.bitcoin;
	return { ...detail, bitcoin: { ...detail.bitcoin, inputs: inputs.slice(from, from + 600), outputs: outputs.slice(to, to + 600) } };
}

/** As lists have it. */
const bare = ({ detail, which, ...tx }) => tx;

const byNewest = (a, b) => Date.parse(b.block_time) - Date.parse(a.block_time) || b.index - a.index;

function answer(path, query, { method = 'GET', body = null, ifMatch = null } = {}) {
	const one = query.get('network');
	const limit = Number(query.get('limit') ?? 50);
	const chains = [...networks.values()].filter((n) => !one || n.slug === one);
	if (path === '/health') return [200, health()];
	if (path === '/auth/ways') return [200, { mode: 'none', sign_up: 'closed', providers: [], reset: false }];
	if (path === '/usage') return [200, { plan: 'default', quotas: [] }];
	if (path === '/auth/me') return [200, { mode: 'none', actor: { kind: 'user', id: 'anyone', name: 'anyone' }, key: null, scopes: ['*:*'], networks: [], csrf: null }];
	if (options.mode === 'error') {
		const detail = 'The store at 127.0.0.1:8123 does not answer. Headwater starts it again and keeps what has come.';
		return [503, { type: 'about:blank', title: 'The store is not reachable', status: 503, detail }];
	}
	const told = alerts.answer(method, path, query, body, ifMatch) ?? metrics.answer(path, query);
	if (told) return told;
	const unknown = path.startsWith('/providers/') && [...query.keys()].find((key) => !['network', 'from', 'to'].includes(key));
	if (unknown) return [400, { type: 'about:blank', title: 'Unknown parameter', status: 400, detail: unknown }];
	if (path === '/providers/health') return [200, { items: provided(), next: null }];
	const [, ...named] = path.match(/^\/providers\/([^/]+)\/([^/]+)$/) ?? [];
	if (named.length > 0) {
		const [from, to] = ['from', 'to'].map((name) => Date.parse(query.get(name)));
		const detail = endpoints.detail(...named.map(decodeURIComponent), from || Date.now() - 3_600_000, to || Date.now());
		if (detail) return [200, detail];
	}
	if (path === '/sql') return [200, catalogue()];
	// Nothing was made yet: what is made is tried against a real server.
	if (['/keys', '/audit'].includes(path)) return [200, { items: [], next: null }];
	if (path === '/blocks') {
		const items = chains.flatMap((n) => n.chain.map(({ block: { detail, ...block } }) => block)).sort((a, b) => b.height - a.height);
		return [200, { items: items.slice(0, limit), next: null }];
	}
	if (path === '/txs' || path === '/txs/export') {
		const all = chains.flatMap((n) => n.chain.flatMap((c) => c.transactions)).filter((t) => fits(t, Object.fromEntries(query)));
		const sorted = all.sort(query.get('sort') === 'oldest' ? (a, b) => byNewest(b, a) : byNewest);
		// Behind the last of the page before, wherever that stands now.
		const from = query.has('cursor') ? sorted.findIndex((t) => t.hash === query.get('cursor')) + 1 : 0;
		const items = sorted.slice(from, from + limit).map(bare);
		if (path === '/txs/export') return [200, items];
		return [200, { items, next: from + limit < sorted.length ? items.at(-1).hash : null }];
	}
	const [, kind, slug, name] = path.match(/^\/(txs|blocks)\/([^/]+)\/([^/]+)$/) ?? [];
	const chain = networks.get(slug)?.chain ?? [];
	const block = kind === 'blocks' && chain.find((c) => String(c.block.height) === name || c.block.hash === name);
	if (block) {
		const { detail, ...item } = block.block;
		return [200, { ...item, ...detail }];
	}
	const every = () => [...networks.values()].flatMap((n) => n.chain.flatMap((c) => c.transactions));
	if (path === '/failures') return groupsOf(every(), query);
	if (path === '/search') return [200, { items: searched([...networks.values()], query.get('q') ?? '') }];
	const [, ofSlug, ofHash, what] = path.match(/^\/txs\/([^/]+)\/([^/]+)\/(similar|endpoints)$/) ?? [];
	const of = what && networks.get(ofSlug)?.chain.flatMap((c) => c.transactions).find((t) => t.hash === ofHash);
	if (of) return [200, { items: what === 'similar' ? similarTo(of, every()).map(bare) : endpointsThen(of, endpoints.list([ofSlug])) }];
	const found = kind === 'txs' && chain.flatMap((c) => c.transactions).find((t) => t.hash === name);
	if (found) {
		const pending = found.status === 'failed' && found.found_by == null;
		const failure = found.status === 'failed' ? { ...failureFor(found, found.which), ...(pending ? { cause: null, reason: null, found_by: null, frame: null, calls: null, error: null, error_selector: null, error_signature: null, output: null, approximate: false, rule: null } : {}), pending } : null;
		return [200, { ...bare(found), ...part(found.detail, query), failure }];
	}
	const detail = `Nothing is known at ${path}.`;
	return [404, { type: 'about:blank', title: 'Not found', status: 404, detail }];
}

const server = createServer((request, response) => {
	const url = new URL(request.url, 'http://mock');
	if (url.pathname.startsWith('/mock/')) {
		const what = url.pathname.slice(6);
		if (what === 'reorg') reorg(networks.get(url.searchParams.get('network')), Number(url.searchParams.get('depth') ?? 1));
		if (what === 'provider') {
			const [slug, name, to] = ['network', 'name', 'to'].map((key) => url.searchParams.get(key));
			endpoints.change(slug, name, JSON.parse(to));
			for (const socket of sockets) if (socket.providers) tell(socket);
		}
		if (what === 'gone') {
			const [network, name] = ['network', 'name'].map((key) => url.searchParams.get(key));
			const data = provided().find((p) => p.network === network && p.name === name);
			gone.add(`${network}/${name}`);
			const frame = JSON.stringify({ type: 'provider', network, sequence: networks.get(network).sequence, op: 'revert', data });
			for (const socket of sockets) if (socket.providers) socket.send(frame);
		}
		if (what === 'state') networks.get(url.searchParams.get('network')).state = url.searchParams.get('to');
		if (what === 'fire') alerts.fire(url.searchParams.get('rule'));
		if (what === 'hold') holding = url.searchParams.get('on') === '1';
		if (what === 'down' || what === 'up') down = what === 'down';
		if (down) for (const socket of sockets) socket.terminate();
		return response.end('done\n');
	}
	if (url.pathname.startsWith('/ack/')) return alerts.linked(request, response, url.pathname.slice(5));
	if (url.pathname.startsWith('/api/v1/')) {
		if (down) return request.socket.destroy();
		return void respond(request, response, url);
	}
	asset(url.pathname, response);
});

async function respond(request, response, url) {
	const chunks = [];
	for await (const chunk of request) chunks.push(chunk);
	const text = Buffer.concat(chunks).toString();
	// Lines of JSON are for who takes a document.
	const lines = request.headers['content-type'] === 'application/x-ndjson';
	const sent = text === '' ? null : lines ? { name: url.searchParams.get('name'), document: text } : JSON.parse(text);
	const asked = { method: request.method, body: sent, ifMatch: request.headers['if-match'] };
	const path = url.pathname.slice('/api/v1'.length);
	const known = { cookie: request.headers.cookie, token: request.headers['x-headwater-csrf'] };
	const [status, body, headers] = people?.({ ...asked, ...known, path, query: url.searchParams }) ?? answer(path, url.searchParams, asked);
	if (url.searchParams.get('format') === 'csv' && status === 200) {
		response.writeHead(200, { 'content-type': 'text/csv; charset=utf-8' });
		return response.end(asCsv(body));
	}
	const type = status < 400 ? 'application/json' : 'application/problem+json';
	response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', ...headers });
	response.end(body == null ? undefined : JSON.stringify(body));
}

const wss = new WebSocketServer({ noServer: true });
server.on('upgrade', (request, socket, head) => {
	if (down || !request.url.startsWith('/api/v1/ws')) return socket.destroy();
	wss.handleUpgrade(request, socket, head, (ws) => {
		ws.wants = new Map();
		sockets.add(ws);
		ws.on('close', () => sockets.delete(ws));
		ws.on('message', (data) => {
			const { op, id, topics, network, after, ...narrowing } = JSON.parse(data);
			if (op !== 'subscribe') return;
			if (topics.includes('windows') && options.mode === 'live') {
				ws.windows = { contract: narrowing.contract ?? '' };
				tellWindows(ws, metrics.present());
			}
			if (topics.includes('alerts')) ws.alerts = true;
			if (topics.includes('providers')) {
				if (options.mode === 'error') return;
				ws.providers = true;
				tell(ws);
			}
			if (!topics.includes('blocks') && !topics.includes('transactions')) return;
			const n = networks.get(network);
			if (!n) return ws.send(JSON.stringify({ type: 'error', id, problem: { title: 'No such network', detail: network } }));
			for (const e of n.log) if (after != null && e.sequence > after) e.text(narrowing).forEach((t) => ws.send(t));
			ws.wants.set(network, narrowing);
		});
	});
});

server.listen(Number(options.port), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));

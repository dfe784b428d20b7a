// Why transactions of the mock fail: causes with evidence, of every way to find them, and what the API makes of them. Development only.

const word = (value) => BigInt(value).toString(16).padStart(64, '0');
const text = (selector, string) => selector + word(32) + word(string.length) + Buffer.from(string).toString('hex').padEnd(Math.ceil(string.length / 32) * 64, '0');
const ROUTER = '0x7a250d5630b4cf539739df2c5dacb4c659f2488d';
const PAIR = '0xb4e16d0168e52d35cacd2c6185b44281ec28c9dc';
const TOKEN = '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48';
const VAULT = '0x2f39d218133afab8f2b819b1066c7e434ad94e9e';
const NAMES = { [ROUTER]: 'UniswapV2Router02', [PAIR]: 'USDC/WETH pair', [TOKEN]: 'USD Coin' };

/** Each answers what is known of a failure; `t` is the transaction. */
const KINDS = [
	(t) => ({
		cause: 'slippage',
		reason: 'output 4193000121 below the minimum 4200000000: UniswapV2Router: INSUFFICIENT_OUTPUT_AMOUNT',
		found_by: 'trace',
		rule: 'text "*Router: INSUFFICIENT_OUTPUT_AMOUNT"',
		frame: { address: t.to, name: null, depth: 0 },
		error: 'execution reverted',
		error_selector: '0x08c379a0',
		error_signature: 'Error(string message)',
		error_arguments: { message: 'UniswapV2Router: INSUFFICIENT_OUTPUT_AMOUNT' },
		output: text('0x08c379a0', 'UniswapV2Router: INSUFFICIENT_OUTPUT_AMOUNT'),
		calls: {
			type: 'CALL', to: t.to, value: t.value, gas: '0x3d090', gas_used: 121_004, method: t.method ?? '0x38ed1739', error: 'execution reverted', failed_here: true,
			calls: [
				{ type: 'STATICCALL', to: PAIR, gas: 220_000, gas_used: 2_504, method: '0x0902f1ac' },
				{ type: 'CALL', to: TOKEN, gas: 210_000, gas_used: 31_004, method: '0x23b872dd', calls: [{ type: 'DELEGATECALL', to: VAULT, gas: 200_000, gas_used: 22_004, method: '0x23b872dd' }] }
			]
		}
	}),
	(t) => ({
		cause: 'balance',
		reason: 'The sender has 1200 of the token, and 5000 are needed: ERC20InsufficientBalance',
		found_by: 'trace',
		rule: 'error ERC20InsufficientBalance',
		frame: { address: VAULT, name: null, depth: 3 },
		error: 'execution reverted',
		error_selector: '0xe450d38c',
		error_signature: 'ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)',
		error_arguments: { sender: t.from, balance: '1200', needed: '5000' },
		output: '0xe450d38c' + word(t.from) + word(1200) + word(5000),
		calls: {
			type: 'CALL', to: t.to, value: '0', gas: 300_000, gas_used: 96_221, method: t.method, error: 'execution reverted',
			calls: [
				{ type: 'STATICCALL', to: PAIR, gas: 280_000, gas_used: 2_504, method: '0x0902f1ac' },
				{ type: 'CALL', to: PAIR, gas: 275_000, gas_used: 4_100, method: '0x6a627842', error: 'execution reverted' },
				{
					type: 'CALL', to: ROUTER, value: '0', gas: 270_000, gas_used: 81_020, method: '0x38ed1739', error: 'execution reverted',
					calls: [
						{
							type: 'CALL', to: TOKEN, gas: 250_000, gas_used: 12_345, method: '0x23b872dd', error: 'execution reverted',
							calls: [{ type: 'DELEGATECALL', to: VAULT, gas: 240_000, gas_used: 9_001, method: '0x23b872dd', error: 'execution reverted', failed_here: true }]
						}
					]
				},
				...Array.from({ length: 14 }, (_, i) => ({ type: 'STATICCALL', to: PAIR, gas: 1_000 * i, gas_used: 400 + i, method: '0x70a08231' }))
			]
		}
	}),
	(t) => ({ cause: 'gas_limit', reason: `The whole gas limit of ${t.gas_used} was used`, found_by: 'receipt', rule: 'gas used = limit', error: null }),
	(t) => ({
		cause: 'deadline',
		reason: 'It came too late: Transaction too old',
		found_by: 'call',
		approximate: true,
		rule: 'text "Transaction too old"',
		error: 'execution reverted: Transaction too old',
		error_selector: '0x08c379a0',
		error_signature: 'Error(string message)',
		error_arguments: { message: 'Transaction too old' },
		output: text('0x08c379a0', 'Transaction too old')
	}),
	(t) => ({
		cause: 'custom',
		reason: 'The contract’s own error 0x4e6f7a11, which no ABI here names',
		found_by: 'trace',
		rule: 'any data',
		frame: { address: t.to, name: null, depth: 0 },
		error: 'execution reverted',
		error_selector: '0x4e6f7a11',
		output: '0x4e6f7a11' + word(41) + word(42),
		calls: { type: 'CALL', to: t.to, value: t.value, gas: 90_000, gas_used: 41_004, method: t.method, error: 'execution reverted', failed_here: true, calls: [] }
	}),
	() => ({ cause: 'opaque', reason: null, found_by: 'budget', group: '0x7a25…488d 0x38ed1739, 812 in a minute', rule: 'no data' })
];

const EMPTY = { approximate: false, rule: null, group: null, frame: null, error: null, error_selector: null, error_signature: null, error_arguments: null, output: null, calls: null, late: false };

/** What `failure` says of a transaction once its cause is found; `which` chooses the kind. */
export function failureFor(t, which) {
	const found = KINDS[which % KINDS.length](t);
	return { ...EMPTY, entry: t.to, entry_name: NAMES[t.to] ?? null, names: NAMES, ...found };
}

const WINDOWS = { '1h': 3_600_000, '24h': 86_400_000, '7d': 7 * 86_400_000 };

/** `GET /failures`. */
export function groupsOf(all, query) {
	const window = query.get('window') ?? '24h';
	if (!WINDOWS[window]) return [400, { type: 'about:blank', title: 'Unknown window', status: 400, detail: `${window}: 1h, 24h or 7d` }];
	const since = Date.now() - WINDOWS[window];
	const there = all.filter((t) => Date.parse(t.block_time) >= since);
	const failed = there.filter((t) => t.status === 'failed');
	const asked = (name, value) => !query.get(name) || query.get(name).toLowerCase() === value;
	const groups = new Map();
	for (const t of failed) {
		if (!t.found_by || !asked('network', t.network) || !asked('cause', t.cause) || !asked('contract', t.to) || !asked('method', t.method)) continue;
		const about = failureFor(t, t.which);
		const key = [t.network, t.cause, t.method, t.to, about.error_selector].join(' ');
		const group = groups.get(key) ?? {
			network: t.network, cause: t.cause, method: t.method, method_name: t.signature, contract: t.to, contract_name: NAMES[t.to] ?? null,
			error_selector: about.error_selector, error_signature: about.error_signature, reason: about.reason,
			count: 0, share: 0, trend: Array(24).fill(0), example: t.hash, last_at: t.block_time
		};
		group.count++;
		group.share = group.count / failed.length;
		group.trend[Math.min(23, Math.floor(((Date.parse(t.block_time) - since) / WINDOWS[window]) * 24))]++;
		if (t.block_time >= group.last_at) [group.last_at, group.example] = [t.block_time, t.hash];
		groups.set(key, group);
	}
	const items = [...groups.values()].sort((a, b) => b.count - a.count).slice(0, Number(query.get('limit') ?? 50));
	const iso = (ms) => new Date(ms).toISOString();
	return [200, { items, total: groups.size, failed: failed.length, window, from: iso(since), to: iso(Date.now()) }];
}

export function similarTo(t, all) {
	const apart = (other) => Math.abs(Date.parse(other.block_time) - Date.parse(t.block_time));
	return all.filter((o) => o.hash !== t.hash && o.network === t.network && t.cause && o.cause === t.cause).sort((a, b) => apart(a) - apart(b)).slice(0, 10);
}

export function endpointsThen(t, providers) {
	return providers.map(({ name, state, lag_blocks, latency_ms, last_error }) => ({
		endpoint: name,
		state,
		height: lag_blocks == null ? null : t.height - lag_blocks,
		lag_blocks,
		calls: 60,
		failures: last_error ? 7 : 0,
		latency_ms,
		error: last_error,
		at: t.block_time
	}));
}

/** `GET /search`. */
export function searched(networks, q) {
	const asked = q.trim().toLowerCase();
	const items = [];
	for (const { slug, chain } of networks) {
		if (asked.length >= 3 && slug.includes(asked)) items.push({ kind: 'network', network: slug, id: slug, path: `/txs?network=${slug}` });
		for (const { block, transactions } of chain) {
			const at = { network: slug, height: block.height, path: `/blocks/${slug}/${block.height}` };
			if (block.hash === asked || String(block.height) === asked) items.push({ kind: 'block', id: block.hash, hash: block.hash, ...at });
			for (const { hash, status, cause } of transactions) {
				if (hash === asked) items.push({ kind: 'transaction', network: slug, id: hash, hash, height: block.height, status, cause, path: `/txs/${slug}/${hash}` });
			}
		}
		const seen = new Set(chain.flatMap((c) => c.transactions.flatMap((t) => [t.from, t.to])));
		for (const [address, name] of Object.entries(NAMES)) {
			if (asked.length >= 3 && name.toLowerCase().includes(asked)) items.push({ kind: 'contract', network: slug, id: address, address, name, path: `/txs?network=${slug}&contract=${address}` });
		}
		if (seen.has(asked)) items.push({ kind: 'address', network: slug, id: asked, address: asked, name: NAMES[asked] ?? null, path: `/txs?network=${slug}&address=${asked}` });
	}
	return items.slice(0, 20);
}

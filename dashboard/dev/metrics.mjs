// Windows for the mock: `/metrics/overview`, `/metrics/series`, `/metrics/causes`, `/diagnosis`, completeness, and the topic `windows`. Made up by
// a function of network and minute, so that any range can be asked for; the present minute grows. Development only.

const MINUTE = 60_000;
const STEPS = { '1m': MINUTE, '5m': 5 * MINUTE, '1h': 60 * MINUTE, '1d': 1_440 * MINUTE };
const WINDOWS = { '1m': MINUTE, '5m': 5 * MINUTE, '1h': 60 * MINUTE, '24h': 1_440 * MINUTE };
const CAUSES = ['slippage', 'gas_limit', 'balance', 'allowance', 'deadline', 'opaque', 'custom', 'paused'];
const iso = (ms) => new Date(ms).toISOString();

/** The same number for the same arguments, 0 to 1. */
function noise(...parts) {
	let h = 2166136261;
	for (const c of parts.join(' ')) h = Math.imul(h ^ c.charCodeAt(0), 16777619);
	h = Math.imul(h ^ (h >>> 15), 2246822507);
	return ((h ^ (h >>> 13)) >>> 0) / 2 ** 32;
}

/** `tip`: the newest block of a network; of Bitcoin its median time says up to where windows are over. */
export function figures(networks, { trouble, mode, rate }, tip = () => null) {
	const began = Date.now();
	const reorgs = new Map();
	let sequence = 1_000;

	/** Minutes of which some blocks are missing: of the second network, two hours ago and just now. */
	const hole = (network, at) => network === networks()[1] && ((began - at > 20 * MINUTE && began - at < 27 * MINUTE) || (began - at > 118 * MINUTE && began - at < 131 * MINUTE));
	/** Before the stage was switched on there are no windows, only rows; and before that nothing. */
	const source = (at) => (began - at > 2_000 * MINUTE ? 'rows' : 'windows');
	const known = (at) => began - at < 20 * 1_440 * MINUTE;

	/** Of Bitcoin: a block now and then, at rates of satoshi per 1,000 virtual bytes. */
	function bitcoin(network, at, water) {
		const blocks = noise(network, at) < 0.11 ? 1 : 0;
		const transactions = blocks * Math.round(1_800 + 2_200 * noise(network, at, 't'));
		const p50 = BigInt(Math.round(4_000 + 9_000 * noise(network, Math.floor(at / (40 * MINUTE)))));
		return {
			transactions,
			failed: 0,
			gas_price_p50: blocks ? p50 : null,
			gas_price_p95: blocks ? p50 * 3n : null,
			fullness: blocks ? 0.99 : null,
			fee_total: (p50 * 190n * BigInt(transactions)) / 1_000n,
			block_interval_ms: Math.round(600_000 * (0.4 + 1.2 * noise(network, at, 'i'))),
			complete: at + MINUTE <= water,
			reason: at + MINUTE <= water ? null : `its end is not reached: the median time past is ${iso(water)}`
		};
	}

	function minute(network, contract, at) {
		const { median_time: water, coverage } = tip(network) ?? {};
		if (coverage === 'header') return { transactions: null, failed: null, gas_price_p50: null, gas_price_p95: null, fullness: null, fee_total: 0n, block_interval_ms: null, complete: false, reason: 'only headers are held' };
		if (water) return bitcoin(network, at, Date.parse(water));
		const now = Date.now();
		const part = Math.min(1, Math.max(0, (now - at) / MINUTE));
		const day = Math.sin((at / (1_440 * MINUTE)) * 2 * Math.PI);
		const share = contract ? 0.04 : 1;
		const flood = rate !== '0' && at > began - MINUTE ? (Number(rate) / networks().length) * 60 : 0;
		const size = flood || (400 + 2_400 * noise(network)) * (1 + 0.3 * day) * (0.85 + 0.3 * noise(network, at));
		const shaken = reorgs.get(`${network} ${at}`) ?? 0;
		const transactions = Math.round(size * part * share) - shaken;
		const recent = began - at < 9 * MINUTE;
		const bad = trouble === 'contract' && recent && network === networks()[0] ? 0.31 : 0.02 + 0.05 * noise(network, 'fails') + 0.02 * noise(network, at, 'f');
		const failed = Math.min(transactions, Math.round(transactions * bad * (contract && recent ? 1.6 : 1)));
		const full = trouble === 'chain' && recent;
		const p50 = BigInt(Math.round((8 + 30 * noise(network, 'gas') + 4 * noise(network, Math.floor(at / (7 * MINUTE)))) * (full ? 6 : 1) * 1e9)) + BigInt(Math.round(noise(at) * 1e6));
		const p95 = (p50 * BigInt(Math.round(130 + 90 * noise(network, at, 95)))) / 100n;
		return {
			transactions,
			failed,
			gas_price_p50: p50,
			gas_price_p95: p95,
			fullness: 0.4 + 0.5 * noise(network, at, 'full'),
			fee_total: p50 * 84_000n * BigInt(Math.max(0, transactions)),
			block_interval_ms: Math.round((network.startsWith('ethereum') ? 12_000 : 2_000) * (0.95 + 0.2 * noise(network, at, 'i') ** 3)),
			complete: !hole(network, at) && part === 1
		};
	}

	function window(network, contract, at, ms) {
		const parts = [];
		for (let m = at; m < at + ms && m <= Date.now(); m += MINUTE) {
			// A long window is made of a few of its minutes: nobody looks at these closely.
			if (ms > 60 * MINUTE && (m / MINUTE) % 30 !== 0 && m > at) continue;
			parts.push(minute(network, contract, m));
		}
		const times = ms > 60 * MINUTE ? 30 : 1;
		const sum = (name) => parts.reduce((n, p) => n + p[name], 0) * times;
		const transactions = sum('transactions');
		const failed = sum('failed');
		const fees = parts.reduce((n, p) => n + p.fee_total, 0n) * BigInt(times);
		const first = parts.find((p) => p.gas_price_p50 != null);
		if (parts.some((p) => p.transactions == null)) return { transactions: null, failed: null, failure_rate: null, tps: null, fee_total: null, complete: false, reason: parts[0].reason };
		return {
			transactions,
			failed,
			failure_rate: transactions > 0 ? failed / transactions : null,
			tps: transactions / (ms / 1_000),
			gas_price_p50: first ? first.gas_price_p50.toString() : null,
			gas_price_p95: first ? first.gas_price_p95.toString() : null,
			gas_price_avg: first ? first.gas_price_p50.toString() : null,
			base_fee: first && !contract ? ((first.gas_price_p50 * 9n) / 10n).toString() : null,
			fullness: contract ? null : (first?.fullness ?? null),
			fee_total: fees.toString(),
			block_interval_ms: parts[0]?.block_interval_ms ?? null,
			complete: at + ms <= Date.now() && parts.every((p) => p.complete),
			reason: parts.find((p) => p.reason)?.reason ?? (parts.some((p, i) => !p.complete && hole(network, at + i * MINUTE)) ? 'blocks 38,102,301 to 38,102,377 are missing: no endpoint had them yet' : null)
		};
	}

	function steps(query) {
		const ms = STEPS[query.get('step')];
		const [from, to] = ['from', 'to'].map((name) => Date.parse(query.get(name)));
		const starts = [];
		for (let at = Math.floor(from / ms) * ms; at < to && at <= Date.now(); at += ms) if (known(at)) starts.push(at);
		return { ms, starts };
	}

	function series(query) {
		const [network, contract] = [query.get('network'), query.get('contract') ?? ''];
		const { ms, starts } = steps(query);
		const windows = starts.map((at) => ({ at, ...window(network, contract, at, ms) }));
		const names = query.get('metric').split(',');
		const one = (metric) => ({
			metric,
			unit: null,
			points: windows.map((w) => ({ at: iso(w.at), value: w[metric] ?? null, complete: w.complete, source: source(w.at), reason: w.reason }))
		});
		return { network, contract: contract || null, step: query.get('step'), series: names.map(one) };
	}

	function causes(query) {
		const [network, contract] = [query.get('network'), query.get('contract') ?? ''];
		const { ms, starts } = steps(query);
		const items = starts.map((at) => {
			const { failed } = window(network, contract, at, ms);
			// Of the newest nothing is told yet.
			let left = Math.round(failed * (Date.now() - at < 2 * MINUTE ? 0.4 : 0.98));
			const of = {};
			for (const [i, cause] of CAUSES.entries()) {
				const n = Math.min(left, Math.round(left * (0.35 + 0.3 * noise(network, cause, Math.floor(at / (9 * MINUTE))))));
				if (n > 0) of[cause] = n;
				left -= n;
				if (i === 0 && trouble === 'contract' && began - at < 9 * MINUTE && network === networks()[0]) {
					of.paused = Math.round(left * 0.9);
					left -= of.paused;
				}
			}
			return { at: iso(at), causes: of };
		});
		return { items: items.filter((item) => Object.keys(item.causes).length > 0) };
	}

	function overview(query) {
		const name = query.get('window');
		const ms = WINDOWS[name];
		const to = Math.floor(Date.now() / MINUTE) * MINUTE;
		const item = (network) => ({ network, contract: null, window: name, from: iso(to - ms), to: iso(to), source: 'windows', ...window(network, '', to - ms, ms) });
		return { items: networks().map(item) };
	}

	const SENTENCES = {
		contract: 'It is most likely the contract: 31 % of its calls failed in the last five minutes, while the rest of the network fails as it always does.',
		chain: 'It is most likely the chain: its blocks are full and the base fee is six times its last day’s.',
		provider: 'It is most likely the provider: all endpoints are behind the chain’s tip by 40 blocks.',
		nothing: 'Nothing stands out: failures, fullness, base fee and endpoints are as they were over the last day.'
	};

	/** What a Bitcoin network is judged by; of headers alone nothing but the newest block. */
	function ofBitcoin(query, { coverage }) {
		const age = { name: 'age of the newest block', value: 240_000, unit: 'ms', usual_low: 0, usual_high: 5_400_000, verdict: null };
		const evidence = [
			{ name: 'fullness of blocks', value: 0.991, unit: 'ratio', usual_low: 0.97, usual_high: 0.998, verdict: null, note: 'virtual bytes of transactions by the million of a block, which are its 4,000,000 units of weight' },
			{ name: 'fee rate', value: '6200', unit: 'price', usual_low: '4100', usual_high: '9800', verdict: null, note: 'plain mean of the last hour’s transactions, by virtual bytes' },
			{ name: 'block interval', value: 610_000, unit: 'ms', usual_low: 430_000, usual_high: 1_260_000, verdict: null }
		];
		const headers = coverage === 'header';
		const missing = headers ? ['how full blocks are', 'the fee rate', 'how fast blocks come'].map((what) => `${what}: of this network block headers alone are held, since its endpoints are Electrum servers; a Bitcoin Core among them gives the rest`) : [];
		const sentence = headers ? `Nothing stands out in what could be compared; not compared: ${missing.join('; ')}` : 'Nothing stands out: all is within what was usual in the last day';
		return { network: query.get('network'), contract: null, verdict: 'nothing', sentence, at: query.get('at') ?? iso(Date.now()), evidence: headers ? [age] : [...evidence, age], missing };
	}

	function diagnosis(query) {
		const newest = tip(query.get('network'));
		if (newest?.median_time || newest?.coverage === 'header') return ofBitcoin(query, newest);
		const verdict = query.get('network') === networks()[0] ? trouble : 'nothing';
		const evidence = [
			{ name: 'failure rate of the contract', value: verdict === 'contract' ? 0.312 : 0.041, unit: 'ratio', usual_low: 0.018, usual_high: 0.064, verdict: verdict === 'contract' ? 'contract' : null },
			{ name: 'failure rate of the rest of the network', value: 0.044, unit: 'ratio', usual_low: 0.03, usual_high: 0.061, verdict: null },
			{ name: 'fullness of blocks', value: verdict === 'chain' ? 0.994 : 0.512, unit: 'ratio', usual_low: 0.41, usual_high: 0.63, verdict: verdict === 'chain' ? 'chain' : null },
			{ name: 'base fee', value: verdict === 'chain' ? '84120000123' : '12104000017', unit: 'price', usual_low: '9000000000', usual_high: '16000000000', verdict: verdict === 'chain' ? 'chain' : null },
			{ name: 'endpoints in trouble', value: verdict === 'provider' ? 3 : 1, unit: 'endpoints', usual_low: 0, usual_high: 1, verdict: verdict === 'provider' ? 'provider' : null },
			{ name: 'blocks behind the tip', value: verdict === 'provider' ? 40 : 0, unit: 'blocks', usual_low: 0, usual_high: 2, verdict: verdict === 'provider' ? 'provider' : null }
		];
		const none = query.get('contract') ? [] : ['failure rate of a contract: no contract was named, so the network as a whole was compared with its last day'];
		return { network: query.get('network'), contract: query.get('contract'), verdict, sentence: SENTENCES[verdict], at: query.get('at') ?? iso(Date.now()), evidence: query.get('contract') ? evidence : evidence.slice(1), missing: none };
	}

	function frame(network, at, ms) {
		return { type: 'window', network, sequence, op: 'apply', data: { contract: null, window_seconds: ms / 1_000, window_start: iso(at), ...window(network, '', at, ms), sequence } };
	}

	let minuteBefore = 0;
	return {
		answer(path, query) {
			const completeness = path.match(/^\/networks\/([^/]+)\/completeness$/)?.[1];
			if (completeness) {
				if (tip(completeness)?.coverage) return [200, { ranges: [{ from_height: 839_955, to_height: tip(completeness).height, complete: true, coverage: tip(completeness).coverage }], gaps: [] }];
				const gap = completeness === networks()[1];
				const ranges = [{ from_height: 38_000_000, to_height: 38_102_300, complete: true, coverage: 'full' }, { from_height: 38_102_378, to_height: 38_104_000, complete: true, coverage: 'full' }];
				return [200, { ranges: gap ? ranges : ranges.slice(0, 1), gaps: gap ? [{ from_height: 38_102_301, to_height: 38_102_377, reason: 'no endpoint had them yet' }] : [] }];
			}
			if (mode === 'empty' && path.startsWith('/metrics/')) return [200, { items: [], series: [] }];
			if (mode === 'empty' && path === '/diagnosis') {
				const missing = ['the last day: no window of it is held'];
				return [200, { verdict: 'nothing', sentence: 'Nothing could be compared: no block was seen yet.', at: iso(Date.now()), evidence: [], missing }];
			}
			if (path === '/metrics/series') return [200, series(query)];
			if (path === '/metrics/causes') return [200, causes(query)];
			if (path === '/metrics/overview') return [200, overview(query)];
			if (path === '/diagnosis') return [200, diagnosis(query)];
			return null;
		},
		/** The present windows, as they are told on subscribing. */
		present: () => networks().flatMap((network) => [MINUTE, 5 * MINUTE].map((ms) => frame(network, Math.floor(Date.now() / ms) * ms, ms))),
		/** Once a second. */
		tick(send) {
			sequence++;
			const at = Math.floor(Date.now() / MINUTE) * MINUTE;
			const frames = networks().map((network) => frame(network, at, MINUTE));
			if (at !== minuteBefore) for (const network of networks()) frames.push(frame(network, at - MINUTE, MINUTE), frame(network, Math.floor((at - MINUTE) / STEPS['5m']) * STEPS['5m'], STEPS['5m']));
			minuteBefore = at;
			send(frames);
		},
		/** Changes the last two minutes of a network; answers their windows. */
		reorg(network) {
			sequence++;
			const at = Math.floor(Date.now() / MINUTE) * MINUTE;
			return [at - MINUTE, at].map((start) => {
				reorgs.set(`${network} ${start}`, (reorgs.get(`${network} ${start}`) ?? 0) + 90);
				return frame(network, start, MINUTE);
			});
		}
	};
}

// A Bitcoin network for the mock: transactions of a recorded block (recorded-bitcoin.json) and, where that has none of a kind, made-up
// ones: SegWit, Taproot, data, an inscription, a thousand inputs. Development only.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const recorded = JSON.parse(readFileSync(new URL('recorded-bitcoin.json', import.meta.url), 'utf8'));
const sha = (...parts) => createHash('sha256').update(parts.join(' ')).digest('hex');
const POOLS = ['F2Pool', null, 'AntPool', 'Foundry USA'];
const CHARS = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const bech32 = (seed, length) => 'bc1' + [...Buffer.from(sha(seed) + sha(seed, 2), 'hex')].slice(0, length).map((b) => CHARS[b % 32]).join('');

const output = (seed, value, type = 'witness_v0_keyhash') => {
	const hash = sha(seed);
	if (type === 'nulldata') return { value: '0', type, addresses: [], script: '6a12' + Buffer.from('hello from a mock!').toString('hex') };
	if (type === 'anchor') return { value: '240', type, addresses: ['bc1pfeessrawgf'], script: '51024e73' };
	if (type === 'witness_v1_taproot') return { value: String(value), type, addresses: [bech32(seed, 59)], script: '5120' + hash };
	if (type === 'multisig') return { value: String(value), type, addresses: [1, 2, 1].map((n) => '1' + sha(seed, n).slice(0, 33)), script: '51' + '21' + hash + '02' + '53ae' };
	return { value: String(value), type, addresses: [bech32(seed, 39)], script: '0014' + hash.slice(0, 40) };
};

const input = (seed, value, type = 'witness_v0_keyhash', more = {}) => ({
	...output(seed, value, type),
	script: '',
	spent_txid: sha(seed, 'spent'),
	spent_index: Number(value % 3n),
	sequence: 0xfffffffd,
	witness: type === 'witness_v1_taproot' ? [sha(seed, 's') + sha(seed, 't')] : ['30440220' + sha(seed, 'r') + '0220' + sha(seed, 's') + '01', '02' + sha(seed, 'k')],
	...more
});

/** What the recorded block, of 2012, has none of. */
const MADE = [
	{
		inputs: [input('a', 1_250_000_000n, 'witness_v1_taproot')],
		outputs: [output('b', 300_000_000n, 'witness_v1_taproot'), output('c', 949_900_000n), output('d', 0n, 'nulldata')],
		size: 250,
		weight: 720
	},
	{
		inputs: [input('i', 60_000n, 'witness_v1_taproot', { envelope: 'image/png', witness: [sha('sig') + sha('sig2'), '20' + sha('k') + 'ac0063036f7264010109696d6167652f706e6700' + sha('png').repeat(8) + '68', 'c0' + sha('k')] })],
		outputs: [output('o', 546n, 'witness_v1_taproot')],
		size: 2_400,
		weight: 2_800
	},
	{
		inputs: [input('e', 240_000n), input('f', 61_000n)],
		outputs: [output('g', 280_000n), output('h', 240n, 'anchor'), output('m', 9_000n, 'multisig')],
		size: 420,
		weight: 1_010
	},
	{
		inputs: Array.from({ length: 1_000 }, (_, i) => input(`many ${i}`, BigInt(20_000 + ((i * 7_919) % 4_000_000)))),
		outputs: [output('sum', 2_000_000_000n)],
		size: 148_000,
		weight: 272_400
	}
];
// Nothing is left over by accident.
MADE[3].outputs[0].value = String(MADE[3].inputs.reduce((all, one) => all + BigInt(one.value), 0n) - 340_000n);

const source = [...MADE, ...recorded.transactions.slice(1)];
const sum = (items) => items.reduce((all, item) => all + BigInt(item.value), 0n);

/** One transaction at its place; `txid` of what was recorded stays where it is told the first time. */
function transaction(n, from, place, repeated) {
	const { network, height, block_hash, block_time, index } = place;
	const hash = !repeated && from.txid ? from.txid : sha(JSON.stringify(from.outputs[0]), height, index);
	const value = sum(from.outputs);
	const fee = sum(from.inputs) - value;
	const virtual = Math.ceil(from.weight / 4);
	const rate = (fee * 1_000n) / BigInt(virtual);
	const segwit = from.inputs.some((one) => one.witness?.length > 0);
	const bitcoin = {
		wtxid: segwit ? sha(hash, 'w') : hash,
		version: from.version ?? 2,
		lock_time: from.lock_time ?? height - 1,
		size: from.size,
		weight: from.weight,
		virtual_size: virtual,
		sigops: 4 * from.inputs.length,
		is_coinbase: false,
		segwit,
		replaceable: from.inputs.some((one) => one.sequence < 0xfffffffe),
		input_value: (value + fee).toString(),
		output_value: value.toString(),
		fee_rate: rate.toString(),
		pool: null,
		input_count: from.inputs.length,
		output_count: from.outputs.length,
		inputs: from.inputs.map((one, i) => ({ index: i, spent_height: height - 100 - i, envelope: null, witness: [], script: '', ...one })),
		outputs: from.outputs.map((one, i) => {
			const spent = one.type === 'nulldata' ? 'unknown' : ['unspent', 'spent', 'unknown'][(height + index + i) % 3];
			return { index: i, ...one, spent, spent_by: spent === 'spent' ? { txid: sha(hash, i, 'by'), index: 0, height: height + 1 } : null };
		})
	};
	return listed(network, { height, block_hash, block_time, index, hash, value, fee, rate, bitcoin });
}

function listed(network, { height, block_hash, block_time, index, hash, value, fee, rate, bitcoin }) {
	const none = { from: null, to: null, method: null, signature: null, gas_used: null, cause: null, reason: null, found_by: null };
	return { network, family: 'bitcoin', hash, height, block_hash, index, value: value.toString(), status: 'success', ...none, gas_price: rate == null ? null : rate.toString(), fee: fee.toString(), block_time, detail: { bitcoin, logs: 0, events: [], transfers: [], call: null, input: null, gas: null, nonce: null, type: null } };
}

function coinbase(network, place, fees) {
	const { height } = place;
	const value = 312_500_000n + fees;
	const hash = sha(network, height, 'coinbase', place.block_hash);
	const pool = POOLS[height % POOLS.length];
	const bitcoin = {
		wtxid: sha(hash, 'w'), version: 2, lock_time: 0, size: 320, weight: 1_172, virtual_size: 293, sigops: 4, is_coinbase: true, segwit: true, replaceable: false,
		input_value: null, output_value: value.toString(), fee_rate: null, pool, input_count: 1, output_count: 2,
		inputs: [{ index: 0, spent_txid: null, spent_index: null, value: null, type: null, addresses: [], script: '03' + height.toString(16) + '2f6d6f636b2f', sequence: 0xffffffff, witness: ['00'.repeat(32)], envelope: null }],
		outputs: [
			{ index: 0, ...output(`pool ${pool}`, value), spent: 'unspent', spent_by: null },
			{ index: 1, value: '0', type: 'nulldata', addresses: [], script: '6a24aa21a9ed' + sha(hash, 'commitment'), spent: 'unknown', spent_by: null }
		]
	};
	return listed(network, { ...place, index: 0, hash, value, fee: 0n, rate: null, bitcoin });
}

/** A chain of the mock, as `dev/mock.mjs` keeps them. */
export function bitcoinChain(slug, { everyMs = 9_000, headers = false } = {}) {
	return { slug, everyMs, of: 'bitcoin', family: 'bitcoin', headers, source, sizes: [24], height: 840_000, sequence: 0, cursor: 0, chain: [], log: [] };
}

/** One block of the next `size` transactions. Of a network of headers only, none. */
export function bitcoinBlock(n, height, at, size, fork) {
	const hash = '00000000000000000002' + sha(n.slug, height, fork).slice(20);
	const place = { network: n.slug, height, block_hash: hash, block_time: new Date(at).toISOString() };
	const transactions = [];
	for (let index = 1; index < size && !n.headers; index++) {
		const from = n.source[n.cursor++ % n.source.length];
		transactions.push(transaction(n, from, { ...place, index }, n.cursor > n.source.length));
	}
	const fees = transactions.reduce((all, tx) => all + BigInt(tx.fee), 0n);
	if (!n.headers) transactions.unshift(coinbase(n.slug, place, fees));
	const weight = transactions.reduce((all, tx) => all + tx.detail.bitcoin.weight, 320);
	const bytes = transactions.reduce((all, tx) => all + tx.detail.bitcoin.size, 80);
	const whole = (value) => (n.headers ? null : value);
	const bitcoin = {
		version: 0x20000000,
		merkle_root: sha(hash, 'root'),
		bits: 0x17034219,
		nonce: 3_932_395_645,
		difficulty: 86_388_558_925_171.02,
		chain_work: '0000000000000000000000000000000000000000753bdab0e0d745453677442b',
		size: whole(bytes),
		stripped_size: whole(Math.ceil((weight - bytes) / 3)),
		weight: whole(weight),
		virtual_size: whole(Math.ceil(weight / 4)),
		transaction_count: whole(transactions.length),
		coinbase: whole('0340d10c2f6d6f636b2f'),
		coinbase_text: whole('/mock/'),
		pool: whole(POOLS[height % POOLS.length])
	};
	const block = {
		network: n.slug,
		family: 'bitcoin',
		height,
		hash,
		parent_hash: '00000000000000000002' + sha(n.slug, height - 1, fork).slice(20),
		block_time: place.block_time,
		coverage: n.headers ? 'header' : 'full',
		// Blocks of the mock come faster than those of Bitcoin, and their times do not: it is an hour back.
		median_time: new Date(at - 58 * 60_000).toISOString(),
		transaction_count: whole(transactions.length),
		failed_count: whole(0),
		log_count: 0,
		gas_used: null,
		gas_limit: null,
		base_fee: null,
		fee_total: whole(fees.toString()),
		fee_parts: {},
		fee_unknown: 0,
		fee_tokens: [],
		unknown_count: 0,
		unreadable_count: 0,
		observed_at: new Date(at + 300).toISOString(),
		stored_at: new Date().toISOString(),
		detail: { bitcoin }
	};
	return { block, transactions };
}

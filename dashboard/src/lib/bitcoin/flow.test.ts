import { describe, expect, it } from 'vitest';
import { flowOf, MOST, outline, sharesOf } from './flow';
import type { BitcoinTransaction } from './shapes';

function tx(inputs: (string | null)[], outputs: string[], more: Partial<BitcoinTransaction> = {}): BitcoinTransaction {
	const sum = (values: (string | null)[]) => (values.includes(null) ? null : values.reduce((all, value) => all + BigInt(value!), 0n).toString());
	return {
		wtxid: '', version: 2, lock_time: 0, size: 0, weight: 0, virtual_size: 0, sigops: null, is_coinbase: false, segwit: true, replaceable: false,
		input_value: sum(inputs), output_value: sum(outputs) ?? '0', fee_rate: null, pool: null, input_count: inputs.length, output_count: outputs.length,
		inputs: inputs.map((value, index) => ({ index, spent_txid: 'a', spent_index: 0, value, type: null, addresses: [], script: '', sequence: 0, witness: [] })),
		outputs: outputs.map((value, index) => ({ index, value, type: 'pubkeyhash', addresses: [], script: '', spent: 'unknown' as const, spent_by: null })),
		...more
	};
}

describe('the picture of a transaction', () => {
	it('fills the trunk from both sides, the fee among the outputs', () => {
		const flow = flowOf(tx(['7000', '3000'], ['5000', '4000']), '1000');
		expect(flow.left.map((b) => [b.kind, b.index, b.value])).toEqual([['in', 0, 7000n], ['in', 1, 3000n]]);
		expect(flow.right.map((b) => [b.kind, b.value])).toEqual([['out', 5000n], ['out', 4000n], ['fee', 1000n]]);
		const room = flow.trunk.bottom - flow.trunk.top;
		for (const side of [flow.left, flow.right]) {
			const shares = sharesOf(side, flow.trunk);
			expect(shares.reduce((a, b) => a + b, 0)).toBeCloseTo(room);
			side.forEach((band, i) => expect(shares[i]! / room).toBeCloseTo(Number(band.value) / 10_000, 2));
		}
		for (const band of [...flow.left, ...flow.right]) {
			expect(band.y - band.thick / 2).toBeGreaterThanOrEqual(0);
			expect(band.y + band.thick / 2).toBeLessThanOrEqual(flow.height);
			expect(outline(band, 5, 100, 200)).toMatch(/^M100 [\d.]+C[\d. ]+V[\d.]+C[\d. ]+Z$/);
		}
	});

	it('shows the largest of a thousand and all others as one, and loses no satoshi', () => {
		const values = Array.from({ length: 1_000 }, (_, i) => String(1 + ((i * 7_919) % 1_000)));
		const flow = flowOf(tx(values, ['400000', '100500']), null);
		expect(flow.left).toHaveLength(MOST);
		const others = flow.left.at(-1)!;
		expect([others.kind, others.times]).toEqual(['others', 1_000 - MOST + 1]);
		expect(flow.left.reduce((all, band) => all + band.value!, 0n)).toBe(500_500n);
		const indices = flow.left.slice(0, -1).map((band) => band.index!);
		expect(indices).toEqual([...indices].sort((a, b) => a - b));
		expect(Math.min(...flow.left.slice(0, -1).map((band) => Number(band.value)))).toBe(1_000 - MOST + 2);
	});

	it('counts inputs that the answer does not hold, by what is left of the whole', () => {
		const part = tx(['10', '20'], ['95'], { input_count: 5_000, input_value: '100' });
		const others = flowOf(part, '5').left.at(-1)!;
		expect([others.kind, others.times, others.value]).toEqual(['others', 4_998, 70n]);
	});

	it('makes no value up: unknown inputs are as thick as one another', () => {
		const flow = flowOf(tx([null, null, null], ['9']), null);
		const shares = sharesOf(flow.left, flow.trunk);
		for (const share of shares) expect(share).toBeCloseTo(shares[0]!);
		expect(flow.left.every((band) => band.value == null)).toBe(true);
	});

	it('knows coinbases, outputs of nothing, and amounts above 2^53', () => {
		const coinbase = flowOf(tx([null], ['625000000', '0'], { is_coinbase: true, input_value: null }), '0');
		expect(coinbase.left).toMatchObject([{ kind: 'new', value: 625_000_000n }]);
		expect(coinbase.right.map((b) => b.kind)).toEqual(['out', 'out']);
		expect(coinbase.right[1]!.thick).toBeGreaterThan(0);
		const huge = flowOf(tx(['2100000000000000'], ['2099999999999999']), '1');
		expect(huge.right.at(-1)).toMatchObject({ kind: 'fee', value: 1n });
		expect(flowOf(tx(['0'], ['0']), '0').right).toHaveLength(1);
	});
});

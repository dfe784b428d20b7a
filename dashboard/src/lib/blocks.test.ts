import { describe, expect, it } from 'vitest';
import { BlockHistory, KEPT } from './blocks';
import type { Block } from './contract';

const T0 = Date.parse('2024-03-14T04:25:35Z');

function block(height: number, at: number, transactions: number, hash = `0x${height}`): Block {
	return {
		network: 'ethereum-mainnet',
		family: 'evm',
		height,
		hash,
		parent_hash: `0x${height - 1}`,
		block_time: new Date(at).toISOString(),
		transaction_count: transactions,
		failed_count: 1,
		sequence: height,
		observed_at: new Date(at).toISOString()
	};
}

describe('BlockHistory', () => {
	it('averages over the trailing minute', () => {
		const h = new BlockHistory();
		for (let i = 0; i < 10; i++) h.apply(block(i, T0 + i * 12_000, 171), T0 + i * 12_000);
		// The window (48 s, 108 s] holds the blocks of 60, 72, 84, 96 and 108 s.
		expect(h.rate(T0 + 108_000)).toBeCloseTo((5 * 171) / 60);
	});

	it('uses what is known while that is less than a minute', () => {
		const h = new BlockHistory();
		h.apply(block(1, T0, 171), T0);
		expect(h.rate(T0 + 5_000)).toBeNull();
		h.apply(block(2, T0 + 10_000, 172), T0 + 10_000);
		expect(h.rate(T0 + 10_000)).toBeCloseTo(17.2);
	});

	it('falls to zero when blocks stop, and says nothing without any', () => {
		const h = new BlockHistory();
		expect(h.rate(T0)).toBeNull();
		h.apply(block(1, T0, 171), T0);
		expect(h.rate(T0 + 61_000)).toBe(0);
	});

	it('counts a block once, and not at all when it is reverted', () => {
		const h = new BlockHistory();
		h.apply(block(1, T0, 50), T0);
		h.apply(block(2, T0 + 2_000, 100), T0 + 2_000);
		h.apply(block(2, T0 + 2_000, 100), T0 + 3_000);
		expect(h.last(9).length).toBe(2);
		h.change('revert', block(2, T0, 100), T0 + 4_000);
		h.change('apply', block(2, T0 + 4_000, 40, '0x2b'), T0 + 4_000);
		expect(h.last(9).map((b) => b.hash)).toEqual(['0x1', '0x2b']);
		expect(h.rate(T0 + 4_000)).toBeCloseTo(10);
		expect(h.revert('0xother')).toBeUndefined();
	});

	it('keeps the order of heights when older blocks come in later, and stays bounded', () => {
		const h = new BlockHistory();
		for (const height of [5, 3, 4]) h.apply(block(height, T0 + height, 1), T0 + 9);
		expect(h.last(3).map((b) => b.height)).toEqual([3, 4, 5]);
		for (let i = 10; i < 10 + 2 * KEPT; i++) h.apply(block(i, T0, 1), T0);
		expect(h.last(10 * KEPT).length).toBe(KEPT);
		expect(h.newest?.height).toBe(9 + 2 * KEPT);
	});

	it('does not believe a block from the future', () => {
		const h = new BlockHistory();
		h.apply(block(1, T0 + 600_000, 5), T0);
		expect(h.newest?.at).toBe(T0);
	});
});

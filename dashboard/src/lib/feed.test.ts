import { describe, expect, it } from 'vitest';
import { BURST, Feed, KEPT, SHOWN_PER_S, STRUCK_MS, following } from './feed';
import type { Block, DataFrame, Transaction, TxStatus } from './contract';

const T0 = Date.parse('2024-03-14T04:25:35Z');

function tx(height: number, index: number, status: TxStatus = 'success', network = 'a'): Transaction {
	return {
		network,
		hash: `0x${height}.${index}`,
		height,
		block_hash: `0xb${height}`,
		index,
		from: '0x1',
		to: null,
		value: '0',
		status,
		block_time: new Date(T0 + height * 1000).toISOString(),
		sequence: height
	};
}

function event(height: number, n: number, status: (i: number) => TxStatus = () => 'success', network = 'a'): DataFrame[] {
	const base = { network, sequence: height, op: 'apply' as const };
	return [
		{ ...base, type: 'block', data: { network, hash: `0xb${height}`, height } as Block },
		...Array.from({ length: n }, (_, i) => ({ ...base, type: 'transaction' as const, data: tx(height, i, status(i), network) }))
	];
}

function revert(height: number, network = 'a'): DataFrame {
	const data = { network, hash: `0xb${height}`, height } as Block;
	return { type: 'block', network, sequence: 1000 + height, op: 'revert', data };
}

const shown = (f: Feed) => f.rows.map((r) => r.tx.hash);

describe('following', () => {
	it('leaves out whole events that were filled in, and nothing else', () => {
		const filled = event(7, 3).map((f) => (f.type === 'block' ? { ...f, data: { ...f.data, origin: 'backfill' } as Block } : f));
		const live = [...event(8, 2), revert(6)];
		expect(following([...filled, ...live])).toEqual(live);
		expect(following([...filled, ...event(7, 1, undefined, 'b')]).map((f) => f.network)).toEqual(['b', 'b']);
	});
});

describe('Feed', () => {
	it('sets a cause into its row and no other, whichever comes first, and moves nothing', () => {
		const f = new Feed();
		const late = (height: number, index: number, block = `0xb${height}`) => ({ network: 'a', hash: `0x${height}.${index}`, block_hash: block, index, cause: 'slippage', reason: 'r', found_by: 'trace' });
		f.commit(event(1, 2, () => 'failed'), T0);
		expect(f.explain(late(1, 1))).toBe(true);
		expect(f.explain(late(1, 0, '0xother'))).toBe(false);
		expect(f.rows.map((r) => r.tx.cause ?? null)).toEqual(['slippage', null]);
		expect(f.explain(late(2, 0))).toBe(false);
		f.commit(event(2, 1, () => 'failed'), T0);
		expect(f.rows[0]!.tx).toMatchObject({ hash: '0x2.0', cause: 'slippage', found_by: 'trace' });
		f.pause();
		f.commit(event(3, 1, () => 'failed'), T0);
		expect(f.explain(late(3, 0))).toBe(true);
		expect(shown(f)).toEqual(['0x2.0', '0x1.1', '0x1.0']);
		f.resume();
		expect(f.rows[0]!.tx.cause).toBe('slippage');
	});

	it('puts the newest first, once each', () => {
		const f = new Feed();
		f.commit(event(1, 2), T0);
		f.commit(event(2, 1), T0);
		f.commit(event(2, 1), T0);
		expect(shown(f)).toEqual(['0x2.0', '0x1.1', '0x1.0']);
	});

	it('stays bounded and counts exactly at a thousand a second', () => {
		const f = new Feed();
		let now = T0;
		for (let i = 0; i < 100; i++, now += 200) f.commit(event(i, 200, (n) => (n === 7 ? 'failed' : 'success')), now);
		expect(f.rows.length).toBe(KEPT);
		expect(f.seen).toEqual({ transactions: 20_000, failed: 100 });
		expect(f.sampledAt).toBe(now - 200);
		// The sample holds about what a reader can be shown: the last 500 rows reach back over seconds, not half a second.
		const perFlush = (SHOWN_PER_S * 200) / 1000;
		const heights = new Set(f.rows.map((r) => r.tx.height));
		expect(heights.size).toBeGreaterThanOrEqual(Math.floor(KEPT / (perFlush + 1)));
		// Every block's failed transaction came through.
		expect(f.rows.filter((r) => r.tx.status === 'failed').length).toBeGreaterThanOrEqual(heights.size - 1);
	});

	it('prefers failed transactions in a sample, and never shows failed ones only', () => {
		const f = new Feed();
		f.commit(event(1, 4 * BURST, (i) => (i % 2 ? 'failed' : 'success')), T0);
		expect(f.rows.length).toBe(BURST);
		expect(f.rows.filter((r) => r.tx.status === 'failed').length).toBe(BURST / 2);
		const few = new Feed();
		few.commit(event(1, 4 * BURST, (i) => (i % 200 === 0 ? 'failed' : 'success')), T0);
		expect(few.rows.filter((r) => r.tx.status === 'failed').length).toBe((4 * BURST) / 200);
		const all = new Feed();
		all.commit(event(1, 4 * BURST, () => 'failed'), T0);
		expect(all.rows.length).toBe(BURST);
	});

	it('shows one large block whole', () => {
		const f = new Feed();
		f.commit(event(1, BURST), T0);
		expect(f.rows.length).toBe(BURST);
		expect(f.sampledAt).toBeNull();
	});

	it('strikes the rows of a reverted block, then removes them, and takes back their count', () => {
		const f = new Feed();
		f.commit([...event(1, 2), ...event(2, 3, () => 'failed')], T0);
		f.commit([revert(2)], T0 + 100);
		expect(f.rows.filter((r) => r.reverted != null).length).toBe(3);
		expect(f.seen).toEqual({ transactions: 2, failed: 0 });
		expect(f.isGone('a', '0xb2')).toBe(true);
		expect(f.sweep(T0 + 100 + STRUCK_MS - 1)).toBe(false);
		expect(f.sweep(T0 + 100 + STRUCK_MS)).toBe(true);
		expect(shown(f)).toEqual(['0x1.1', '0x1.0']);
	});

	it('never shows a block that was applied and reverted within one flush', () => {
		const f = new Feed();
		f.commit([...event(1, 2), revert(1)], T0);
		expect(f.rows).toEqual([]);
		expect(f.seen.transactions).toBe(0);
	});

	it('takes a block back that returns after its revert', () => {
		const f = new Feed();
		f.commit(event(1, 2), T0);
		f.commit([revert(1)], T0 + 1);
		f.commit(event(1, 2), T0 + 2);
		expect(f.rows.map((r) => r.reverted)).toEqual([null, null]);
		expect(f.seen.transactions).toBe(2);
		f.sweep(T0 + 10 * STRUCK_MS);
		expect(f.rows.length).toBe(2);
	});

	it('withholds while paused, with an exact count, and nothing moves', () => {
		const f = new Feed();
		f.commit(event(1, 1), T0);
		f.pause();
		for (let h = 2; h < 12; h++) f.commit(event(h, 100), T0 + h);
		f.commit([revert(1), revert(5)], T0 + 50);
		expect(f.withheld).toBe(900);
		expect(shown(f)).toEqual(['0x1.0']);
		expect(f.sweep(T0 + 10 * STRUCK_MS)).toBe(false);
		f.resume();
		expect(f.withheld).toBe(0);
		expect(f.rows.length).toBeLessThanOrEqual(KEPT);
		expect(f.rows[0]!.tx.height).toBe(11);
		expect(f.rows.some((r) => r.tx.height === 5)).toBe(false);
		f.sweep(T0 + 10 * STRUCK_MS);
		expect(f.rows.some((r) => r.tx.height === 1)).toBe(false);
	});

	it('stands still from the moment of the pause, whatever comes from wherever', () => {
		const f = new Feed();
		f.setFilter({ network: null, status: null });
		f.commit([...event(3, 2), ...event(4, 1, () => 'success', 'b')], T0);
		const still = shown(f);
		f.pause();
		// An answer that was asked for before, and a stream that was overtaken, with the answer that follows.
		f.merge([tx(6, 0), tx(2, 0)]);
		f.drop('b');
		f.merge([tx(6, 0), tx(5, 0, 'success', 'b')]);
		f.commit(event(7, 1), T0 + 1);
		expect(shown(f)).toEqual(still);
		expect(f.withheld).toBe(1);
		f.resume();
		expect(shown(f)).toEqual(['0x7.0', '0x6.0', '0x5.0', '0x3.1', '0x3.0', '0x2.0']);
		// What the reader asks for while it is paused is shown all the same, once.
		f.pause();
		f.setFilter({ network: 'a', status: null });
		f.merge([tx(8, 0), tx(5, 0, 'success', 'b')]);
		expect(shown(f)[0]).toBe('0x8.0');
		f.merge([tx(9, 0)]);
		expect(shown(f)[0]).toBe('0x8.0');
		f.resume();
		expect(shown(f)[0]).toBe('0x9.0');
	});

	it('takes rows without a time and without a fee', () => {
		const f = new Feed();
		const bare = (height: number): Transaction => ({ ...tx(height, 0), block_time: null, fee: null, gas_price: null });
		f.merge([bare(2), tx(1, 0), bare(3)]);
		expect(shown(f)).toEqual(['0x1.0', '0x3.0', '0x2.0']);
		f.commit([{ type: 'transaction', network: 'a', sequence: 4, op: 'apply', data: bare(4) }], T0);
		expect(shown(f)[0]).toBe('0x4.0');
	});

	it('filters by network and status', () => {
		const f = new Feed();
		f.commit([...event(1, 4, (i) => (i === 1 ? 'failed' : 'success')), ...event(1, 2, () => 'failed', 'b')], T0);
		f.setFilter({ network: 'a', status: 'failed' });
		expect(shown(f)).toEqual(['0x1.1']);
		f.commit(event(2, 3, () => 'failed', 'b'), T0);
		expect(f.rows.length).toBe(1);
		expect(f.seen.transactions).toBe(9);
	});

	it('merges an answer by time, without repeats, other filters and reverted blocks', () => {
		const f = new Feed();
		f.commit(event(5, 1), T0);
		f.commit([...event(4, 1), revert(4)], T0);
		f.setFilter({ network: 'a', status: null });
		f.merge([tx(5, 0), tx(4, 0), tx(3, 1), tx(3, 0), tx(6, 0), tx(2, 0, 'success', 'b')]);
		expect(shown(f)).toEqual(['0x6.0', '0x5.0', '0x3.1', '0x3.0']);
		f.drop('a');
		expect(f.rows).toEqual([]);
	});
});

describe('older rows that were asked for', () => {
	it('stand at the end, once, also while paused, and are kept beside what comes', () => {
		const feed = new Feed(4, true);
		feed.merge([tx(9, 1), tx(9, 0), tx(8, 0), tx(7, 0)]);
		feed.pause();
		feed.extend([tx(7, 0), tx(6, 0), tx(5, 0)]);
		expect(shown(feed)).toEqual(['0x9.1', '0x9.0', '0x8.0', '0x7.0', '0x6.0', '0x5.0']);
		feed.commit(event(10, 2), 0);
		expect(shown(feed)[0]).toBe('0x9.1');
		feed.resume();
		// As many as were asked for are kept: the oldest go.
		expect(shown(feed)).toEqual(['0x10.1', '0x10.0', '0x9.1', '0x9.0', '0x8.0', '0x7.0']);
	});

	it('of reverted blocks stay out', () => {
		const feed = new Feed(4, true);
		feed.commit([revert(6)], 0);
		feed.extend([tx(6, 0), tx(5, 0)]);
		expect(shown(feed)).toEqual(['0x5.0']);
	});
});

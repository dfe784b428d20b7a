import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NONE } from './filter';
import { TxList } from './list.svelte';

const T0 = Date.parse('2026-11-29T02:00:00Z');
const at = (height: number) => new Date(T0 + height * 1000).toISOString();

function tx(height: number, index = 0) {
	return { network: 'a', hash: `0x${height}.${index}`, height, block_hash: `0xb${height}`, index, from: '0x1', to: '0x2', value: '0', status: 'success', block_time: at(height), sequence: height };
}

/** A server with a transaction in each block up to `top`; pages of two. */
let top = 10;
let asked: string[] = [];
let sockets: FakeSocket[] = [];

class FakeSocket {
	static OPEN = 1;
	readyState = 1;
	sent: Record<string, unknown>[] = [];
	onopen: (() => void) | null = null;
	onmessage: ((message: { data: string }) => void) | null = null;
	onclose: (() => void) | null = null;
	constructor() {
		sockets.push(this);
		queueMicrotask(() => this.onopen?.());
	}
	send(text: string) {
		this.sent.push(JSON.parse(text));
	}
	close() {}
	/** A block with a transaction, or with none that fits. */
	block(height: number, fits = true) {
		const base = { network: 'a', sequence: height, op: 'apply' };
		const data = { network: 'a', hash: `0xb${height}`, height };
		const frames = [{ ...base, type: 'block', data }, ...(fits ? [{ ...base, type: 'transaction', data: tx(height) }] : []), { type: 'position', network: 'a', sequence: height }];
		for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) });
	}
}

function answer(url: URL): unknown {
	if (url.pathname.endsWith('/health')) return { status: 'ok', networks: [{ network: 'a', state: 'live', processed_sequence: 8 }] };
	const { searchParams } = url;
	const oldest = searchParams.get('sort') === 'oldest';
	const to = Date.parse(searchParams.get('to') ?? '') || Infinity;
	const heights = Array.from({ length: top }, (_, i) => (oldest ? i + 1 : top - i)).filter((height) => T0 + height * 1000 < to);
	// As a server that looks a piece at a time: pages without anything, as many as the cause says.
	const empty = Number(searchParams.get('cause') ?? 0);
	if (empty > 0) {
		const page = Number(searchParams.get('cursor') ?? 0) + 1;
		return page > empty ? { items: [tx(1)], next: null } : { items: [], next: String(page) };
	}
	const from = searchParams.has('cursor') ? heights.indexOf(Number(searchParams.get('cursor'))) + 1 : 0;
	const page = heights.slice(from, from + 4);
	return { items: page.map((height) => tx(height)), next: from + 4 < heights.length ? String(page.at(-1)) : null };
}

beforeEach(() => {
	top = 10;
	asked = [];
	sockets = [];
	vi.useFakeTimers({ now: T0 + 20_000 });
	vi.stubGlobal('WebSocket', FakeSocket);
	vi.stubGlobal('location', { protocol: 'http:', host: 'here' });
	vi.stubGlobal('addEventListener', () => {});
	vi.stubGlobal('removeEventListener', () => {});
	vi.stubGlobal('fetch', async (path: string) => {
		asked.push(path);
		return new Response(JSON.stringify(answer(new URL(path, 'http://here'))));
	});
});
afterEach(() => {
	vi.useRealTimers();
	vi.unstubAllGlobals();
});

const heights = (list: TxList) => list.rows.map((row) => row.tx.height);
const soon = () => vi.advanceTimersByTimeAsync(300);

async function started(filter = NONE) {
	const list = new TxList();
	list.start(filter);
	await soon();
	return list;
}

describe('transactions that fit a filter', () => {
	it('have no hole and no repeat where the past ends and the stream begins', async () => {
		const list = await started({ ...NONE, status: 'success' });
		// The store is at 10, but the position that was read first is 8: what lies between comes by the stream.
		expect(heights(list)).toEqual([8, 7]);
		expect(sockets[0]?.sent[0]).toMatchObject({ op: 'subscribe', network: 'a', after: 8, status: 'success' });
		for (const height of [9, 10, 11]) sockets[0]?.block(height, height !== 10);
		await soon();
		expect([heights(list), list.came]).toEqual([[11, 9, 8, 7], 2]);
		await list.further();
		expect(heights(list)).toEqual([11, 9, 8, 7, 6, 5, 4, 3]);
		await list.further();
		expect([heights(list).at(-1), list.more]).toEqual([1, false]);
		list.stop();
	});

	it('are told their causes later; where causes narrow, what has come to fit is read', async () => {
		const cause = (height: number) => {
			const data = { network: 'a', hash: `0x${height}.0`, height, block_hash: `0xb${height}`, index: 0, cause: 'slippage', reason: 'r', found_by: 'trace' };
			sockets[0]?.onmessage?.({ data: JSON.stringify({ type: 'cause', network: 'a', sequence: height, op: 'apply', data }) });
		};
		const list = await started();
		sockets[0]?.block(9);
		cause(9);
		cause(7);
		await soon();
		expect(list.rows.map((row) => [row.tx.height, row.tx.cause ?? null])).toEqual([[9, 'slippage'], [8, null], [7, 'slippage']]);
		const before = asked.length;
		cause(3);
		await vi.advanceTimersByTimeAsync(3_000);
		expect(asked.slice(before).filter((path) => path.startsWith('/api/v1/txs'))).toEqual([]);
		list.stop();

		sockets = [];
		const narrowed = await started({ ...NONE, found_by: 'trace' });
		expect(heights(narrowed)).toEqual([8, 7]);
		sockets[0]?.block(9, false);
		cause(9);
		await vi.advanceTimersByTimeAsync(3_000);
		expect(heights(narrowed)).toEqual([9, 8, 7]);
		narrowed.stop();
	});

	it('stand still while paused, and are counted', async () => {
		const list = await started();
		list.setPaused(true);
		sockets[0]?.block(9);
		await soon();
		expect([heights(list), list.withheld]).toEqual([[8, 7], 1]);
		await list.further();
		expect(heights(list).slice(0, 4)).toEqual([8, 7, 6, 5]);
		list.setPaused(false);
		expect([heights(list)[0], list.withheld]).toEqual([9, 0]);
		list.stop();
	});

	it('that new ones have pushed out are asked for by time', async () => {
		const list = await started();
		top = 400;
		for (let height = 9; height <= 400; height++) sockets[0]?.block(height);
		await soon();
		expect([list.rows.length, heights(list).at(-1), list.more]).toEqual([300, 101, true]);
		await list.further();
		expect(new URL(asked.at(-1)!, 'http://here').searchParams.get('to')).toBe(new Date(T0 + 101_001).toISOString());
		expect(heights(list).slice(-4)).toEqual([101, 100, 99, 98]);
		await list.further();
		expect([asked.at(-1)?.includes('cursor=98'), heights(list).at(-1)]).toEqual([true, 94]);
		list.stop();
	});

	it('are looked for through pages that hold none, a bounded number at once', async () => {
		const list = await started({ ...NONE, cause: '3' });
		expect([heights(list), list.more]).toEqual([[1], false]);
		list.narrow({ ...NONE, cause: '15' });
		await soon();
		expect([heights(list), list.more, list.table.kind]).toEqual([[], true, 'ready']);
		await list.further();
		expect([heights(list), list.more]).toEqual([[1], false]);
		list.stop();
	});

	it('stand still altogether with the oldest first', async () => {
		const list = await started({ ...NONE, sort: 'oldest' });
		expect([heights(list), list.connection, sockets.length]).toEqual([[1, 2, 3, 4], null, 0]);
		await list.further();
		expect(heights(list)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
		list.stop();
	});

	it('of two filters are those of the later one', async () => {
		const list = new TxList();
		list.start({ ...NONE, method: 'first' });
		list.narrow({ ...NONE, method: 'second' });
		await soon();
		expect(sockets.map((socket) => socket.sent[0]?.method)).toEqual(['second']);
		expect(asked.filter((path) => path.includes('/txs?')).every((path) => path.includes('method=second'))).toBe(true);
		list.stop();
	});

	it('are read again after a hole in the stream', async () => {
		const list = await started();
		sockets[0]?.onmessage?.({ data: JSON.stringify({ type: 'gap', network: 'a', from: 9, to: 12 }) });
		const before = asked.length;
		await vi.advanceTimersByTimeAsync(5_500);
		expect(asked.slice(before).some((path) => path.includes('/txs?'))).toBe(true);
		expect(sockets.length).toBe(2);
		list.stop();
	});

	it('that the stream refuses are shown with the reason', async () => {
		const list = await started({ ...NONE, method: 'x' });
		sockets[0]?.onmessage?.({ data: JSON.stringify({ type: 'error', id: 1, problem: { title: 'Invalid', detail: 'no such method' } }) });
		expect(list.refused).toBe('a: no such method');
		expect(heights(list)).toEqual([8, 7]);
		list.stop();
	});
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Found } from './results';
import { Search } from './search.svelte';

const HASH = '0x' + 'a7'.repeat(32);
const tx = (network: string): Found => ({ kind: 'transaction', network, hash: HASH });

let asked: string[];
let answers: (Found[] | number)[];
let opened: string[];
let search: Search;

beforeEach(() => {
	vi.useFakeTimers();
	[asked, answers, opened] = [[], [], []];
	vi.stubGlobal('fetch', async (path: string, init: { signal: AbortSignal }) => {
		asked.push(new URL(path, 'http://x').searchParams.get('q')!);
		const answer = answers.shift() ?? [];
		await new Promise((resolve) => setTimeout(resolve, 100));
		init.signal.throwIfAborted();
		if (typeof answer === 'number') return new Response(JSON.stringify({ title: 'Away' }), { status: answer });
		return new Response(JSON.stringify({ items: answer }));
	});
	search = new Search((path) => opened.push(path));
});

afterEach(() => {
	search.forget();
	vi.useRealTimers();
	vi.unstubAllGlobals();
});

describe('the search box', () => {
	it('asks when the typing rests, for what was typed last', async () => {
		for (const text of ['U', 'Un', 'Uni', 'Unis']) search.typed(text);
		await vi.advanceTimersByTimeAsync(1_000);
		expect(asked).toEqual(['Unis']);
		answers = [[tx('a')]];
		search.typed('Unisw');
		await vi.advanceTimersByTimeAsync(1_000);
		expect(search.items).toEqual([tx('a')]);
		expect(opened).toEqual([]);
	});

	it('leads to the only one, and lists several', async () => {
		answers = [[tx('a')], [tx('a'), tx('b')]];
		search.submit(` ${HASH} `);
		await vi.advanceTimersByTimeAsync(200);
		expect(opened).toEqual([`/txs/a/${HASH}`]);
		search.submit('7');
		await vi.advanceTimersByTimeAsync(200);
		expect(search.items.length).toBe(2);
		expect(opened.length).toBe(1);
	});

	it('takes what was asked already, also while it is on its way', async () => {
		answers = [[tx('a')]];
		search.typed('1234');
		await vi.advanceTimersByTimeAsync(250);
		search.submit('1234');
		await vi.advanceTimersByTimeAsync(200);
		expect(asked).toEqual(['1234']);
		expect(opened.length).toBe(1);
	});

	it('waits for a hash that is not there yet, and gives up after a while', async () => {
		answers = [[], [], [tx('a')]];
		search.submit(HASH);
		await vi.advanceTimersByTimeAsync(200);
		expect(search.waiting).toBe(true);
		await vi.advanceTimersByTimeAsync(10_000);
		expect(opened).toEqual([`/txs/a/${HASH}`]);
		expect(search.waiting).toBe(false);
		const before = asked.length;
		search.submit('0x' + 'b'.repeat(64));
		await vi.advanceTimersByTimeAsync(600_000);
		expect(asked.length - before).toBe(25);
		expect(search.waiting).toBe(false);
	});

	it('says what went wrong, and asks anew', async () => {
		answers = [503, [tx('a')]];
		search.submit('Router');
		await vi.advanceTimersByTimeAsync(200);
		expect(search.problem?.title).toBe('Away');
		search.submit('Router');
		await vi.advanceTimersByTimeAsync(200);
		expect(search.problem).toBeNull();
		expect(opened.length).toBe(1);
	});
});

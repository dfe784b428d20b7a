import { afterEach, describe, expect, it, vi } from 'vitest';
import { Listing } from './listing.svelte';

interface Row {
	id: string;
	name?: string;
}

const asked: string[] = [];
function answers(...list: (unknown | Response)[]) {
	asked.length = 0;
	vi.stubGlobal('fetch', (path: string, init: { signal: AbortSignal }) => {
		asked.push(path);
		const next = list.shift();
		if (next === 'never') return new Promise((_, reject) => init.signal.addEventListener('abort', () => reject(init.signal.reason)));
		return Promise.resolve(next instanceof Response ? next : new Response(JSON.stringify(next)));
	});
}
afterEach(() => vi.unstubAllGlobals());

const ids = (list: Listing<Row>) => list.items?.map((row) => row.id).join('');

describe('a list in pages', () => {
	it('goes on at the cursor, and has each once', async () => {
		answers({ items: [{ id: 'a' }, { id: 'b' }], next: 'c1' }, { items: [{ id: 'b' }, { id: 'c' }], next: null });
		const list = new Listing<Row>('/api/v1/x', { network: 'n' });
		await list.reload();
		expect([ids(list), list.more]).toEqual(['ab', true]);
		await list.further();
		expect([ids(list), list.more]).toEqual(['abc', false]);
		await list.further();
		expect(asked).toEqual(['/api/v1/x?network=n&limit=50', '/api/v1/x?network=n&limit=50&cursor=c1']);
	});

	it('keeps what is there when an attempt fails', async () => {
		answers({ items: [{ id: 'a' }], next: null }, new Response('{"title":"Away"}', { status: 503 }));
		const list = new Listing<Row>('/x');
		await list.reload();
		await list.reload();
		expect([ids(list), list.problem?.title, list.loading]).toEqual(['a', 'Away', false]);
	});

	it('takes the answer that was asked for later', async () => {
		answers('never', { items: [{ id: 'b' }], next: null });
		const list = new Listing<Row>('/x');
		const first = list.reload();
		expect(list.loading).toBe(true);
		await list.narrow({ action: 'key.create' });
		await first;
		expect([ids(list), list.loading, list.problem]).toEqual(['b', false, null]);
	});

	it('is changed by answers about one', async () => {
		answers({ items: [{ id: 'a' }, { id: 'b' }], next: null });
		const list = new Listing<Row>('/x');
		await list.reload();
		list.put({ id: 'b', name: 'new' });
		list.put({ id: 'c' });
		expect([ids(list), list.items?.[1]?.name]).toEqual(['abc', 'new']);
		list.remove('a');
		expect(ids(list)).toBe('bc');
	});
});

import { afterEach, describe, expect, it, vi } from 'vitest';
import { Opened } from './opened.svelte';

const asked: [method: string, ifMatch: string | undefined][] = [];
function answers(...list: (number | 'never' | string)[]) {
	asked.length = 0;
	vi.stubGlobal('fetch', (_: string, init: { method: string; headers: Record<string, string>; signal: AbortSignal }) => {
		asked.push([init.method, init.headers['if-match']]);
		const next = list.shift();
		if (next === 'never') return new Promise((_, reject) => init.signal.addEventListener('abort', () => reject(init.signal.reason)));
		if (typeof next === 'number') return Promise.resolve(new Response(next === 204 ? null : '{"title":"no"}', { status: next }));
		return Promise.resolve(new Response(JSON.stringify({ name: next }), { headers: { etag: `"${next}"` } }));
	});
}
afterEach(() => vi.unstubAllGlobals());

const settled = () => new Promise((resolve) => setTimeout(resolve));

describe('one thing with its version', () => {
	it('is read, and stays when another reading fails', async () => {
		answers('a', 503);
		const opened = new Opened<{ name: string }>('/api/v1/x/1');
		opened.read();
		await settled();
		expect([opened.thing?.name, opened.etag, opened.problem]).toEqual(['a', '"a"', null]);
		opened.read();
		await settled();
		expect([opened.thing?.name, opened.problem?.title]).toEqual(['a', 'no']);
	});

	it('is what the later reading says', async () => {
		answers('never', 'b');
		const opened = new Opened<{ name: string }>('/api/v1/x/1');
		opened.read();
		opened.read();
		await settled();
		expect([opened.thing?.name, opened.problem]).toEqual(['b', null]);
	});

	it('is removed as it was read; one that is gone is removed', async () => {
		answers('a', 204, 404);
		const opened = new Opened<{ name: string }>('/api/v1/x/1');
		opened.read();
		await settled();
		await opened.remove();
		expect(asked.at(-1)).toEqual(['DELETE', '"a"']);
		await opened.remove();
	});

	it('is read anew where it was changed, and other refusals are said', async () => {
		answers('a', 412, 'b', 403);
		const opened = new Opened<{ name: string }>('/api/v1/x/1');
		opened.read();
		await settled();
		await expect(opened.remove()).rejects.toThrow('It was changed since you looked at it');
		await settled();
		expect([opened.thing?.name, opened.etag]).toEqual(['b', '"b"']);
		await expect(opened.remove()).rejects.toMatchObject({ problem: { status: 403 } });
	});
});

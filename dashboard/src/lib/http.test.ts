import { afterEach, describe, expect, it, vi } from 'vitest';
import { access, get, problemOf, RequestError, send, toProblem } from './http';

describe('problemOf', () => {
	it('takes title and detail of a problem document', () => {
		const body = '{"type":"/problems/x","title":"No such transaction","detail":"0xab is not known","status":404}';
		expect(problemOf(404, 'Not Found', body)).toEqual({
			type: '/problems/x',
			title: 'No such transaction',
			detail: '0xab is not known',
			status: 404
		});
	});

	it('makes one of the status line when the body is something else', () => {
		expect(problemOf(502, 'Bad Gateway', '<html>').title).toBe('502 Bad Gateway');
		expect(problemOf(500, '', 'null').title).toBe('500');
		expect(problemOf(500, '', '{"title":5}').title).toBe('500');
	});
});

describe('problemOf a change', () => {
	it('keeps what stands in the way and each mistake', () => {
		const mistake = { path: 'abi[0].type', problem: 'is missing', cure: 'write one' };
		const body = JSON.stringify({ title: 'Mistakes', id: '01J', errors: [mistake, null, 'x', {}] });
		expect(problemOf(422, '', body)).toEqual({ title: 'Mistakes', detail: undefined, status: 422, id: '01J', errors: [mistake] });
		expect(problemOf(422, '', '{"title":"x","errors":"none"}').errors).toBeUndefined();
	});
});

describe('send', () => {
	const seen: { method?: string; headers: Record<string, string>; body?: unknown }[] = [];
	const answers = (...list: Response[]) => {
		seen.length = 0;
		vi.stubGlobal('fetch', async (_: string, init: (typeof seen)[number]) => {
			seen.push(init);
			return list.shift();
		});
	};
	afterEach(() => {
		vi.unstubAllGlobals();
		Object.assign(access, { csrf: null, refused: () => {}, renew: async () => {} });
	});

	it('says the version, the intent and the session', async () => {
		access.csrf = 'c1';
		answers(new Response('{"version":2}', { headers: { etag: '"2"' } }));
		const { body, etag } = await send<{ version: number }>('PATCH', '/x', { body: { name: 'a' }, ifMatch: '"1"', idempotencyKey: 'k' });
		expect([body.version, etag]).toEqual([2, '"2"']);
		expect(seen[0]).toMatchObject({
			method: 'PATCH',
			body: '{"name":"a"}',
			headers: { 'content-type': 'application/json', 'if-match': '"1"', 'idempotency-key': 'k', 'x-headwater-csrf': 'c1' }
		});
	});

	it('takes an answer without a body', async () => {
		answers(new Response(null, { status: 204 }));
		expect((await send('DELETE', '/x')).body).toBeNull();
		expect(seen[0]?.headers).not.toHaveProperty('content-type');
	});

	it('reads the token anew where it is of another session, once', async () => {
		const old = () => new Response('{"title":"Forged","type":"/problems/csrf"}', { status: 403 });
		access.renew = async () => void (access.csrf = 'new');
		answers(old(), new Response('{}'));
		await send('POST', '/x', { text: '[]' });
		expect(seen.map((s) => s.headers['x-headwater-csrf'])).toEqual([undefined, 'new']);
		expect(seen.map((s) => s.body)).toEqual(['[]', '[]']);
		answers(old(), old());
		await expect(send('POST', '/x')).rejects.toThrow('Forged');
		answers(new Response('{"title":"May not","type":"/problems/forbidden"}', { status: 403 }));
		await expect(send('POST', '/x')).rejects.toThrow('May not');
		expect(seen.length).toBe(1);
	});

	it('tells that nobody is signed in', async () => {
		let told = 0;
		access.refused = () => void told++;
		answers(new Response('{"title":"Who?"}', { status: 401 }), new Response('{}'));
		await expect(get('/x')).rejects.toThrow('Who?');
		await get('/x');
		expect(told).toBe(1);
	});
});

describe('toProblem', () => {
	it('keeps a problem and words everything else', () => {
		const problem = { title: 'No answer' };
		expect(toProblem(new RequestError(problem))).toBe(problem);
		expect(toProblem(new TypeError('x is undefined')).detail).toBe('x is undefined');
	});
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ALL } from './filter';
import { FailureList } from './list.svelte';
import type { FailureGroup } from './shapes';

let asked: string[];
let groups: FailureGroup[] | number;
let hidden: boolean;
let list: FailureList;

const group = (cause: string, count: number): FailureGroup => ({ network: 'a', cause, count });

beforeEach(() => {
	[asked, groups, hidden] = [[], [group('slippage', 3), group('deadline', 1)], false];
	vi.useFakeTimers({ now: Date.parse('2026-11-29T02:00:00Z') });
	for (const name of ['addEventListener', 'removeEventListener']) vi.stubGlobal(name, () => {});
	vi.stubGlobal('document', { addEventListener: () => {}, removeEventListener: () => {}, get hidden() { return hidden; } });
	vi.stubGlobal('fetch', async (path: string, init: { signal: AbortSignal }) => {
		if (path.endsWith('/health')) return new Response(JSON.stringify({ networks: [{ network: 'a' }] }));
		asked.push(path);
		const answer = groups;
		await new Promise((resolve) => setTimeout(resolve, 50));
		init.signal.throwIfAborted();
		if (typeof answer === 'number') return new Response(JSON.stringify({ title: 'Away' }), { status: answer });
		return new Response(JSON.stringify({ items: answer, total: 2, failed: 4, window: '24h' }));
	});
	list = new FailureList();
	list.start(ALL);
});
afterEach(() => {
	list.stop();
	vi.useRealTimers();
	vi.unstubAllGlobals();
});

const causes = () => list.groups.map((g) => `${g.cause} ${g.count}`);
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe('the groups of failures', () => {
	it('are read again by themselves, but not while nobody looks', async () => {
		await pass(100);
		expect([list.table.kind, causes(), list.failed, list.networks]).toEqual(['ready', ['slippage 3', 'deadline 1'], 4, ['a']]);
		groups = [group('slippage', 5)];
		await pass(7_000);
		expect(causes()).toEqual(['slippage 5']);
		hidden = true;
		await pass(8_000);
		const before = asked.length;
		await pass(60_000);
		expect(asked.length).toBe(before);
		hidden = false;
		list.again();
		await pass(100);
		expect(asked.length).toBe(before + 1);
	});

	it('stay, as of when they were read, while the server does not answer', async () => {
		await pass(100);
		groups = 503;
		await pass(7_000);
		expect([list.problem?.title, list.table.kind, causes().length]).toEqual(['Away', 'ready', 2]);
		groups = [group('math', 1)];
		await pass(4_000);
		expect([list.problem, causes()]).toEqual([null, ['math 1']]);
	});

	it('of a question that is refused are none, and it is not asked again', async () => {
		await pass(100);
		groups = 404;
		list.narrow({ ...ALL, network: 'nowhere' });
		await pass(100);
		expect([list.table.kind, causes()]).toEqual(['error', []]);
		const before = asked.length;
		await pass(60_000);
		expect(asked.length).toBe(before);
	});

	it('are those of the filter that was chosen last, and keep their places while one is pointed at', async () => {
		list.narrow({ ...ALL, cause: 'slippage' });
		list.narrow({ ...ALL, cause: 'math', window: '1h' });
		await pass(100);
		expect(asked.at(-1)).toBe('/api/v1/failures?cause=math&window=1h&limit=60');
		list.held = true;
		groups = [group('new', 9), group('deadline', 4), group('slippage', 3)];
		await pass(7_000);
		expect(causes()).toEqual(['slippage 3', 'deadline 4', 'new 9']);
		list.held = false;
		await pass(7_000);
		expect(causes()).toEqual(['new 9', 'deadline 4', 'slippage 3']);
	});
});

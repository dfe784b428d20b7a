import { describe, expect, it } from 'vitest';
import type { Provider } from '../contract';
import { ProviderBook } from './book';

const provider = (name: string, score: number, more: Partial<Provider> = {}): Provider => ({
	network: 'mantle-mainnet',
	name,
	url: 'https://rpc.example',
	score,
	latency_ms: 208,
	success_rate: 1,
	height: 1,
	lag_blocks: 0,
	state: 'ok',
	since: null,
	in_use: false,
	last_error: null,
	last_seen_at: null,
	...more
});
const scores = (book: ProviderBook) => book.networks().flatMap((n) => n.providers.map((p) => [p.name, p.score]));

describe('ProviderBook', () => {
	it('holds what an answer lists, by network, and drops what the next one does not', () => {
		const book = new ProviderBook();
		book.answer([provider('a', 90), provider('b', 80), provider('x', 70, { network: 'base-mainnet' })], 0, 10);
		expect(book.networks().map((n) => [n.network, n.providers.length])).toEqual([
			['mantle-mainnet', 2],
			['base-mainnet', 1]
		]);
		book.answer([provider('b', 81)], 20, 30);
		expect(scores(book)).toEqual([['b', 81]]);
		expect(book.get('mantle-mainnet', 'b')?.score).toBe(81);
		expect(book.get('mantle-mainnet', 'a')).toBeNull();
	});

	it('does not let an answer overwrite or drop what a frame told while it was on its way', () => {
		const book = new ProviderBook();
		book.answer([provider('a', 90)], 0, 10);
		book.frame('apply', provider('a', 26), 25);
		book.frame('apply', provider('new', 99), 26);
		book.answer([provider('a', 90)], 20, 30);
		expect(scores(book)).toEqual([
			['a', 26],
			['new', 99]
		]);
		book.answer([provider('a', 95)], 40, 50);
		expect(scores(book)).toEqual([['a', 95]]);
	});

	it('takes what came last, also where another observer wrote it earlier', () => {
		const book = new ProviderBook();
		const at = (s: number) => ({ at: `2026-11-28T12:00:0${s}.000Z` });
		book.frame('apply', provider('a', 50, at(5)), 10);
		book.frame('apply', provider('a', 40, at(4)), 11);
		expect(scores(book)).toEqual([['a', 40]]);
		book.answer([provider('a', 30, at(3))], 20, 30);
		expect(scores(book)).toEqual([['a', 30]]);
	});

	it('forgets an endpoint that was taken out', () => {
		const book = new ProviderBook();
		book.frame('apply', provider('a', 50), 10);
		book.frame('revert', provider('a', 50), 11);
		expect(book.networks()).toEqual([]);
	});

	it('does not take back in what was taken out while an answer was on its way', () => {
		const book = new ProviderBook();
		book.frame('apply', provider('a', 50), 10);
		book.frame('revert', provider('a', 50), 25);
		book.answer([provider('a', 50), provider('b', 80)], 20, 30);
		expect(scores(book)).toEqual([['b', 80]]);
		book.frame('apply', provider('a', 60), 40);
		expect(scores(book)).toContainEqual(['a', 60]);
		book.frame('revert', provider('a', 60), 50);
		book.answer([provider('a', 70)], 60, 70);
		expect(scores(book)).toEqual([['a', 70]]);
	});
});

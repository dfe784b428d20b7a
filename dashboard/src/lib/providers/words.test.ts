import { describe, expect, it } from 'vitest';
import type { Provider } from '../contract';
import { arrange, capShare, lagWords, points, providerWords, silentFor, troubled, useWords, worstFirst } from './words';

function provider(name: string, more: Partial<Provider> = {}): Provider {
	return {
		network: 'mantle-mainnet',
		name,
		url: `https://${name}.example`,
		score: 99,
		latency_ms: 208,
		success_rate: 1,
		height: 100,
		lag_blocks: 0,
		state: 'ok',
		since: null,
		in_use: false,
		last_error: null,
		last_seen_at: null,
		...more
	};
}

describe('states', () => {
	it('has a word, a tone and a reason for each that is promised', () => {
		for (const state of ['slow', 'behind', 'throttled', 'failing', 'open', 'quarantined']) {
			expect(troubled(provider('a', { state })), state).toBe(true);
			expect(providerWords(state).hint, state).toMatch(/\.$/);
		}
		expect(troubled(provider('a'))).toBe(false);
		expect(troubled(provider('a', { state: 'unknown' }))).toBe(false);
	});

	it('shows a new one as it is', () => {
		expect(providerWords('on_leave')).toEqual({ tone: 'plain', label: 'on leave', hint: '' });
		expect(providerWords('constructor').tone).toBe('plain');
	});
});

describe('order', () => {
	const liar = provider('liar', { state: 'quarantined', score: 97 });
	const refusing = provider('refusing', { state: 'failing', score: 26 });
	const slow = provider('slow', { state: 'slow', score: 61 });
	const fresh = provider('fresh', { state: 'unknown', score: null });
	const good = provider('good', { score: 98.7 });
	const best = provider('best', { score: 99.4 });
	const names = (all: Provider[]) => all.map((p) => p.name);

	it('is worst first: state, then score, then name', () => {
		const all = [best, fresh, liar, slow, good, refusing];
		expect(names(all.sort(worstFirst))).toEqual(['refusing', 'liar', 'slow', 'fresh', 'good', 'best']);
		expect(names([provider('b'), provider('a')].sort(worstFirst))).toEqual(['a', 'b']);
	});

	it('stands still while it is held, and takes new ones behind', () => {
		const before = ['good', 'best'];
		expect(names(arrange([best, good, liar], before, true))).toEqual(['good', 'best', 'liar']);
		expect(names(arrange([best, { ...good, score: 99.9 }], before, true))).toEqual(['good', 'best']);
		expect(names(arrange([best, good, liar], before, false))).toEqual(['liar', 'good', 'best']);
	});
});

describe('words', () => {
	it('never says 100 of less', () => {
		expect([100, 99.97, 98.9, 0.4, 0, -1, null].map(points)).toEqual(['100', '99', '98', '0', '0', '0', '—']);
	});

	it('says since when an endpoint is in use', () => {
		const now = Date.parse('2026-11-28T12:00:00Z');
		expect(useWords(provider('a'), now)).toBeNull();
		expect(useWords(provider('a', { in_use: true }), now)).toBe('in use');
		expect(useWords(provider('a', { in_use: true, in_use_since: '2026-11-28T08:48:00Z' }), now)).toBe('in use for 3 h 12 m');
	});

	it('says how far behind', () => {
		expect([0, 1, 1_000, null].map(lagWords)).toEqual(['with the best', '1 block behind', '1,000 blocks behind', null]);
	});

	it('tells old states by the time between probes', () => {
		const now = Date.parse('2026-11-28T12:00:00Z');
		const heard = (at: string, probe?: number) => provider('a', { last_seen_at: at, probe_every_ms: probe });
		expect(silentFor(heard('2026-11-28T11:58:30Z'), now)).toBeNull();
		expect(silentFor(heard('2026-11-28T11:55:00Z'), now)).toBe(300_000);
		expect(silentFor(heard('2026-11-28T11:55:00Z', 120_000), now)).toBeNull();
		expect(silentFor(provider('a', { at: '2026-11-28T11:59:59Z', last_seen_at: '2026-11-28T11:00:00Z' }), now)).toBeNull();
		expect(silentFor(provider('a'), now)).toBeNull();
	});

	it('measures the day against the cap', () => {
		expect(capShare(provider('a', { calls_per_day: 400, per_day: 500 }))).toBe(0.8);
		expect(capShare(provider('a', { calls_per_day: 400, per_day: null }))).toBeNull();
	});
});

import { describe, expect, it } from 'vitest';
import { figures, groupOf, quotaWords, shareOf, stateOf } from './usage';

const quota = (name: string, used: number | null, limit: number | null) => ({ name, used, limit });

describe('quotas', () => {
	it('are open, good, tight or full', () => {
		expect(stateOf(quota('rules', 900, null))).toBe('open');
		expect(stateOf(quota('rules', 39, 50))).toBe('good');
		expect(stateOf(quota('rules', 40, 50))).toBe('tight');
		expect(stateOf(quota('rules', 50, 50))).toBe('full');
		// A limit that was lowered since.
		expect(stateOf(quota('rules', 60, 50))).toBe('full');
		expect(shareOf(quota('rules', 0, 0))).toBe(1);
	});

	it('are told exactly', () => {
		expect(figures(quota('requests_per_day', 12345, 100000))).toBe('12,345 of 100,000');
		expect(figures(quota('keys', 3, null))).toBe('3, no limit');
	});

	it('are told without what is not known', () => {
		const unknown = quota('deliveries_per_hour', null, 100);
		expect([figures(unknown), shareOf(unknown), stateOf(unknown)]).toEqual(['not known now, of 100', null, 'open']);
	});

	it('stand in their groups, what is unknown last', () => {
		const all = [quota('new_thing', 1, 2), quota('sockets', 1, 2), quota('rules', 1, 2), quota('requests_per_minute', 1, 2), quota('contracts', 1, 2)];
		expect(groupOf(all, 'things').map((q) => q.name)).toEqual(['contracts', 'rules']);
		expect(groupOf(all, 'traffic').map((q) => q.name)).toEqual(['requests_per_minute', 'sockets', 'new_thing']);
		expect(quotaWords('new_thing').words).toBe('New thing');
		expect(quotaWords('constructor').words).toBe('Constructor');
	});
});

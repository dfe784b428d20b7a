import { describe, expect, it } from 'vitest';
import { found, gone, noisy, reach, rows, type Noise } from './platform';

const organisation = (id: string) => ({ id, name: id.toUpperCase() });
const noise = (id: string, requests: number): Noise => ({
	organisation: organisation(id),
	requests_per_minute: requests,
	requests_per_day: 0,
	sockets: 0,
	alerts_24h: 0,
	deliveries_24h: 0
});

describe('organisations by their noise', () => {
	it('come noisiest first, the silent by name', () => {
		const all = rows(['c', 'a', 'd', 'b'].map(organisation), [noise('b', 10), noise('d', 40)], 'requests_per_minute');
		expect(all.map((row) => row.organisation.id)).toEqual(['d', 'b', 'a', 'c']);
		expect(all.map((row) => row.share)).toEqual([0.8, 0.2, null, null]);
		expect(all.map((row) => noisy(row, all))).toEqual([true, false, false, false]);
	});

	it('are noisy only beside others, and by what there is', () => {
		const alone = rows([organisation('a')], [noise('a', 10)], 'requests_per_minute');
		expect(noisy(alone[0]!, alone)).toBe(false);
		const silent = rows(['a', 'b'].map(organisation), [noise('a', 0), noise('b', 0)], 'requests_per_minute');
		expect(silent.map((row) => [row.share, noisy(row, silent)])).toEqual([[null, false], [null, false]]);
	});

	it('reach all networks, or those that are named', () => {
		expect([reach([]), reach(['a', 'b'])]).toEqual(['all networks', 'a, b']);
	});

	it('are gone where one of before is there no more', () => {
		const [a, b] = ['a', 'b'].map(organisation);
		expect([gone([a!, b!], [b!]), gone([a!], [b!, a!]), gone([], [a!])]).toEqual([true, false, false]);
	});

	it('are found by name and id', () => {
		expect(found([{ id: '01J', name: 'Acme' }, { id: '02K', name: 'Beta' }], ' acm ').map((o) => o.id)).toEqual(['01J']);
		expect(found([{ id: '01J', name: 'Acme' }, { id: '02K', name: 'Beta' }], '02k').map((o) => o.id)).toEqual(['02K']);
	});
});

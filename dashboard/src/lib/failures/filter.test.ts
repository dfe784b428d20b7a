import { describe, expect, it } from 'vitest';
import { ALL, arrangeGroups, cutOf, failureFilterOf, failureQueryOf, failureSearchOf, failuresNarrowed, failuresPath, groupKey, groupPath } from './filter';
import type { FailureGroup } from './shapes';

const PAIR = '0xb4e16d0168e52d35cacd2c6185b44281ec28c9dc';
const group = (cause: string, more: Partial<FailureGroup> = {}): FailureGroup => ({ network: 'a', cause, count: 1, ...more });

describe('filters of failures', () => {
	it('stand in the address and come back', () => {
		const filter = { network: 'a', contract: PAIR, cause: 'slippage', method: '0x022c0d9f', window: '7d' };
		expect(failureFilterOf(failureSearchOf(filter))).toEqual(filter);
		expect(failuresPath(ALL)).toBe('/failures');
		expect(failuresPath({ cause: 'deadline' })).toBe('/failures?cause=deadline');
		expect(failureFilterOf('?window=1y&limit=9&cause=%20')).toEqual(ALL);
	});

	it('ask the server by its own names, always for a window', () => {
		expect(failureQueryOf(ALL)).toEqual({ window: '24h' });
		expect(failureQueryOf({ ...ALL, cause: 'custom', window: '1h' })).toEqual({ cause: 'custom', window: '1h' });
		expect(failuresNarrowed(ALL)).toBe(0);
		expect(failuresNarrowed({ ...ALL, cause: 'custom', window: '1h' })).toBe(1);
	});

	it('lead from a group to its transactions', () => {
		expect(groupPath(group('slippage', { contract: PAIR, method: '0x022c0d9f' }), '1h')).toBe(
			`/txs?network=a&contract=${PAIR}&method=0x022c0d9f&status=failed&cause=slippage&span=1h`
		);
		expect(groupPath(group('gas_limit'), '24h')).toBe('/txs?network=a&status=failed&cause=gas_limit&span=24h');
	});

	it('say how far back was counted, where that is less than was asked for', () => {
		const to = '2026-11-29T10:00:00.000Z';
		expect(cutOf({ window: '1h', from: '2026-11-29T09:00:00.000Z', to })).toBeNull();
		expect(cutOf({ window: '24h', from: '2026-11-29T09:00:00.000Z', to })).toBe(Date.parse('2026-11-29T09:00:00Z'));
		expect(cutOf({ window: '24h' })).toBeNull();
		expect(cutOf({ window: '1y', from: to, to })).toBeNull();
	});

	it('leave cards in their places while one of them is pointed at', () => {
		const all = [group('a'), group('b'), group('c')];
		const before = ['c', 'a'].map((cause) => groupKey(group(cause)));
		expect(arrangeGroups(all, before, true).map((g) => g.cause)).toEqual(['c', 'a', 'b']);
		expect(arrangeGroups(all, before, false)).toBe(all);
		expect(groupKey(group('a', { error_selector: '0x1' }))).toBe(groupKey(group('a')));
		expect(groupKey(group('a', { method: '0x1' }))).not.toBe(groupKey(group('a')));
	});
});

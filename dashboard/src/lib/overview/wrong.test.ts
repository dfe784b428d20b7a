import { describe, expect, it } from 'vitest';
import type { Health, NetworkHealth, Provider } from '../contract';
import type { OverviewItem } from './shapes';
import { wrongNow, type Known } from './wrong';

const network = (more: Partial<NetworkHealth> = {}): NetworkHealth => ({ network: 'op', family: 'evm', state: 'live', tip_height: 9, processed_height: 9, lag_blocks: 0, processed_sequence: 1, last_block_at: null, ...more });
const health = (...networks: NetworkHealth[]): Health => ({ status: 'ok', networks });
const provider = (name: string, state: string, more: Partial<Provider> = {}) => ({ network: 'op', name, state, in_use: false, since: null, ...more }) as Provider;
const item = (failed: number, transactions: number): OverviewItem => ({ network: 'op', failed, transactions, failure_rate: failed / transactions });
const known = (more: Partial<Known>): Known => ({ health: health(network()), providers: [], recent: new Map(), day: new Map(), blind: [], ...more });

describe('what is wrong', () => {
	it('is nothing when all is well', () => {
		expect(wrongNow(known({ providers: [provider('a', 'ok'), provider('b', 'unknown')] }))).toEqual([]);
		expect(wrongNow(known({ health: null }))).toEqual([]);
	});

	it('says the worst first, with where to look', () => {
		const list = wrongNow(
			known({
				health: { ...health(network({ state: 'stalled', lag_blocks: 41 }), network({ network: 'eth', state: 'reorg_too_deep', error: 'fork at 7' })), problems: [{ stage: 'enrich', network: null, since: null, problem: 'enrich is silent', cure: 'Start it' }] }
			})
		);
		expect(list.map(({ tone, text }) => [tone, text])).toEqual([
			['bad', 'enrich is silent'],
			['bad', 'eth is reorg too deep: fork at 7'],
			['warn', 'op is stalled, 41 blocks behind']
		]);
		expect(list[0]!.hint).toBe('Start it.');
		expect(list[1]!.links[0]!.href).toBe('/?network=eth#diagnosis');
	});

	it('is not nothing where nothing can be seen', () => {
		const blind = [{ what: 'How many transactions fail', problem: { title: 'The store is not reachable' } }];
		expect(wrongNow(known({ blind })).map(({ text }) => text)).toEqual(['How many transactions fail cannot be told: The store is not reachable']);
		expect(wrongNow(known({ health: { status: 'degraded', networks: [] } }))[0]!.text).toBe('The server calls itself degraded');
	});

	it('is a lag that can be seen', () => {
		expect(wrongNow(known({ health: health(network({ lag_blocks: 5 })) }))).toEqual([]);
		expect(wrongNow(known({ health: health(network({ lag_blocks: 6 })) }))[0]!.text).toBe('op is 6 blocks behind its tip');
		// Catching up is no trouble.
		expect(wrongNow(known({ health: health(network({ state: 'syncing', lag_blocks: 6_000 })) }))).toEqual([]);
	});

	it('is a failure rate that is unusual for this network, and not one failure of few', () => {
		const of = (recent: OverviewItem, day: OverviewItem) => wrongNow(known({ recent: new Map([['op', recent]]), day: new Map([['op', day]]) }));
		expect(of(item(310, 1_000), item(500, 10_000))[0]!.text).toBe('31 % of op’s transactions failed in the last five minutes, 310 of 1,000');
		expect(of(item(9, 12), item(1, 10_000))).toEqual([]);
		expect(of(item(90, 1_000), item(500, 10_000))).toEqual([]);
		expect(of(item(20, 1_000), item(1, 10_000))).toEqual([]);
		expect(wrongNow(known({ recent: new Map([['op', item(310, 1_000)]]) }))).toEqual([]);
	});

	it('is an endpoint in trouble: all of them, the one in use, a liar, the others together', () => {
		const say = (...providers: Provider[]) => wrongNow(known({ providers })).map(({ tone, text }) => `${tone}: ${text}`);
		expect(say(provider('a', 'failing'))).toEqual(['bad: The only endpoint of op is failing']);
		expect(say(provider('a', 'failing'), provider('b', 'behind'))).toEqual(['bad: All 2 endpoints of op are in trouble']);
		expect(say(provider('a', 'slow', { in_use: true }), provider('b', 'quarantined'), provider('c', 'open'), provider('d', 'throttled'), provider('e', 'ok'))).toEqual([
			'warn: a, which is in use for op, is slow',
			'warn: b, an endpoint of op, is in quarantine',
			'warn: 2 of 5 endpoints of op are not well: c is breaker open, d is throttled'
		]);
	});
});

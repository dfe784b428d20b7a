import { describe, expect, it } from 'vitest';
import { addressMistake, exportOf, filterOf, follows, localOf, narrowed, narrowing, NONE, queryOf, searchOf, utc } from './filter';

const NOW = Date.parse('2026-11-29T02:00:00Z');
const ROUTER = '0x7a250d5630b4cf539739df2c5dacb4c659f2488d';

describe('filters of transactions', () => {
	it('stand in the address and come back', () => {
		const filter = { ...NONE, network: 'op-mainnet', contract: ROUTER, method: 'swap', status: 'failed', cause: 'out_of_gas', found_by: 'trace', span: '24h', sort: 'oldest' };
		expect(searchOf(filter)).toBe(`?network=op-mainnet&contract=${ROUTER}&method=swap&status=failed&cause=out_of_gas&found_by=trace&span=24h&sort=oldest`);
		expect(filterOf(searchOf(filter))).toEqual(filter);
		const between = { ...NONE, span: 'between', from: '2026-11-29T01:00:00.000Z', to: '2026-11-29T01:30:00.000Z' };
		expect(filterOf(searchOf(between))).toEqual(between);
		expect(searchOf(NONE)).toBe('');
		expect(searchOf({ address: ROUTER })).toBe(`?address=${ROUTER}`);
	});

	it('leave out what is not known, and take times without a span', () => {
		expect(filterOf('?status=bad&span=never&sort=newest&block=-1&limit=9')).toEqual(NONE);
		expect(filterOf('?from=2026-11-29T03:00:00%2B02:00')).toEqual({ ...NONE, span: 'between', from: '2026-11-29T01:00:00.000Z' });
		expect(filterOf('?to=yesterday')).toEqual(NONE);
	});

	it('ask the server by its own names', () => {
		expect(queryOf(NONE, NOW)).toEqual({});
		expect(queryOf({ ...NONE, address: ROUTER, span: '1h', to: '2020-01-01T00:00:00.000Z' }, NOW)).toEqual({ address: ROUTER, from: '2026-11-29T01:00:00.000Z' });
		expect(queryOf({ ...NONE, network: 'a', block: '7', sort: 'oldest' }, NOW)).toEqual({ network: 'a', block: '7', sort: 'oldest' });
		expect(exportOf({ ...NONE, status: 'failed' }, 'csv', NOW)).toBe('/api/v1/txs/export?format=csv&status=failed&limit=1000000');
	});

	it('narrow a subscription, where new rows belong to it', () => {
		expect(narrowing({ ...NONE, network: 'a', status: 'failed', found_by: 'call', method: '0xa9059cbb', span: '1h' })).toEqual({ status: 'failed', found_by: 'call', method: '0xa9059cbb' });
		expect(follows(NONE)).toBe(true);
		expect(follows({ ...NONE, span: '1h' })).toBe(true);
		expect(follows({ ...NONE, span: 'between', from: '2026-11-29T01:00:00Z' })).toBe(true);
		expect(follows({ ...NONE, span: 'between', to: '2026-11-29T01:00:00Z' })).toBe(false);
		expect(follows({ ...NONE, sort: 'oldest' })).toBe(false);
		expect(follows({ ...NONE, block: '7' })).toBe(false);
		expect(narrowed({ ...NONE, network: 'a', span: 'between', from: 'x', to: 'y', sort: 'oldest' })).toBe(2);
	});

	it('say what is wrong with an address', () => {
		expect(addressMistake(ROUTER)).toBeNull();
		expect(addressMistake('bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq')).toBeNull();
		expect(addressMistake('0x12')).toMatch(/40 digits/);
		expect(addressMistake('0xzz' + ROUTER.slice(4))).toMatch(/a to f/);
	});

	it('show times in the zone of the reader', () => {
		expect(utc(localOf('2026-11-29T01:00:05.000Z'))).toBe('2026-11-29T01:00:05.000Z');
		expect(localOf('')).toBe('');
		expect(utc('soon')).toBe('');
	});
});

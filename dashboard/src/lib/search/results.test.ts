import { describe, expect, it } from 'vitest';
import { hasHash, pathOf, questionOf, step, wordsOf } from './results';

const HASH = '0x' + 'a7'.repeat(32);
const ROUTER = '0x7a250d5630b4cf539739df2c5dacb4c659f2488d';

describe('search', () => {
	it('knows a hash, whatever stands around it', () => {
		expect(questionOf(`  ${HASH}\n`)).toBe(HASH);
		for (const text of [HASH, HASH.slice(2), `"${HASH}",`, `https://etherscan.io/tx/${HASH}#eventlog`]) expect(hasHash(text)).toBe(true);
		for (const text of [ROUTER, `${HASH}0`, 'Uniswap V2 Router', '19433902', '']) expect(hasHash(text)).toBe(false);
	});

	it('leads to pages of ours, and nowhere else', () => {
		expect(pathOf({ kind: 'transaction', network: 'a b', hash: HASH })).toBe(`/txs/a%20b/${HASH}`);
		expect(pathOf({ kind: 'block', network: 'a', height: 7, hash: HASH })).toBe('/blocks/a/7');
		expect(pathOf({ kind: 'contract', network: 'a', address: ROUTER })).toBe(`/txs?network=a&contract=${ROUTER}`);
		expect(pathOf({ kind: 'address', address: ROUTER })).toBe(`/txs?address=${ROUTER}`);
		expect(pathOf({ kind: 'network', network: 'a' })).toBe('/txs?network=a');
		expect(pathOf({ kind: 'contract', address: ROUTER, path: '/contracts#/7' })).toBe('/contracts#/7');
		for (const path of ['https://evil.example/', '//evil.example', '/\\evil.example', 'javascript:1', '/api/v1/txs']) {
			expect(pathOf({ kind: 'ledger', path })).toBeNull();
		}
	});

	it('says what each is', () => {
		expect(wordsOf({ kind: 'transaction', network: 'a', hash: HASH, status: 'failed', cause: 'gas_limit' }).about).toBe('failed: gas limit · a');
		expect(wordsOf({ kind: 'block', network: 'a', height: 1234567 })).toEqual({ main: '1,234,567', about: 'a', mono: false });
		expect(wordsOf({ kind: 'contract', network: 'a', address: ROUTER, name: 'Router' })).toMatchObject({ main: 'Router', about: '0x7a25…488d · a' });
		expect(wordsOf({ kind: 'address', network: 'a', address: ROUTER }).mono).toBe(true);
		expect(wordsOf({ kind: 'ledger' }).main).toBe('ledger');
	});

	it('goes through the lines by arrow keys, round and round', () => {
		expect([step(-1, 3, 'ArrowDown'), step(2, 3, 'ArrowDown'), step(-1, 3, 'ArrowUp'), step(1, 3, 'ArrowUp')]).toEqual([0, 0, 2, 0]);
		expect(step(1, 0, 'ArrowDown')).toBe(-1);
		expect(step(1, 3, 'Tab')).toBe(1);
	});
});

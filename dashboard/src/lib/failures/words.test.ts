import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { TransactionDetail } from '../contract';
import { approximateWords, briefly, CAUSE_GROUPS, causeWords, depthWords, failureOf, FOUND_BY, foundWords, isChoice, sentenceOf } from './words';

/** The classes as the table of causes has them. */
const table = readFileSync(new URL('../../../../decode/src/causes/cause.rs', import.meta.url), 'utf8');
const CLASSES = [...table.matchAll(/^ {4}[A-Z]\w+ "(\w+)" "/gm)].map(([, word]) => word);

describe('words about failures', () => {
	it('have every class, once, with what it means', () => {
		const all = CAUSE_GROUPS.flatMap((group) => group.causes);
		expect(CLASSES.length).toBeGreaterThan(20);
		expect([...all].sort()).toEqual([...CLASSES].sort());
		for (const cause of all) expect(causeWords(cause).hint).toMatch(/^[A-Z].*\.$/);
		expect(isChoice('slippage')).toBe(true);
		expect(isChoice('out_of_gas')).toBe(false);
	});

	it('show what they do not know as it is', () => {
		expect(causeWords('cosmic_ray')).toEqual({ label: 'cosmic ray', hint: '' });
		expect(causeWords('constructor').hint).toBe('');
		expect(causeWords(null).label).toBe('failed');
		expect(foundWords('guess_work')?.label).toBe('guess work');
		expect(foundWords(null)).toBeNull();
		for (const word of FOUND_BY) expect(foundWords(word)?.hint).toMatch(/\.$/);
	});

	it('say what is known, also by a server that knows only the cause', () => {
		const tx = { status: 'failed', cause: 'out_of_gas', reason: 'the whole gas limit was used' } as TransactionDetail;
		expect(failureOf(tx)).toEqual({ cause: 'out_of_gas', reason: 'the whole gas limit was used', found_by: null });
		expect(failureOf({ ...tx, status: 'success' })).toBeNull();
		const failure = { cause: 'slippage', reason: null, pending: false };
		expect(failureOf({ ...tx, failure })).toBe(failure);
		expect(sentenceOf(failure)).toMatch(/price moved/);
		expect(sentenceOf({ cause: 'balance', reason: 'too few tokens: 3 of 4' })).toBe('Too few tokens: 3 of 4');
		for (const reason of ['0xab refused', 'transfer(address) refused', 'iOS', 'Too late']) expect(sentenceOf({ cause: null, reason })).toBe(reason);
		expect(sentenceOf({ cause: null, reason: null, pending: true })).toMatch(/being looked into/);
		expect(sentenceOf({ cause: null, reason: null })).toMatch(/not known yet/);
		expect(briefly(`0x${'ab'.repeat(20)} refused 0x${'cd'.repeat(32)}`)).toBe(`0xabab…abab refused 0x${'cd'.repeat(32)}`);
	});

	it('say why a cause is approximate, by how it was found', () => {
		expect(new Set(['call', 'budget', 'receipt'].map(approximateWords)).size).toBe(3);
		expect(approximateWords(null)).toBe(approximateWords('receipt'));
	});

	it('say how deep', () => {
		expect([0, 1, 3, 9, null].map(depthWords)).toEqual(['in the call itself', 'one call deep', 'three calls deep', '9 calls deep', null]);
	});
});

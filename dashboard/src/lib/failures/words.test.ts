import { describe, expect, it } from 'vitest';
import type { TransactionDetail } from '../contract';
import { CAUSE_GROUPS, causeWords, depthWords, failureOf, FOUND_BY, foundWords, isChoice, sentenceOf } from './words';

/** The classes of the table of causes. */
const CLASSES =
	'slippage deadline allowance balance funds liquidity gas_limit access paused reentrancy math bounds assert signature state input not_found ' +
	'transfer_failed bad_code static_write oracle limits bridge wallet custom opaque unknown';

describe('words about failures', () => {
	it('have every class, once, with what it means', () => {
		const all = CAUSE_GROUPS.flatMap((group) => group.causes);
		expect([...all].sort()).toEqual(CLASSES.split(' ').sort());
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
		expect(sentenceOf({ cause: null, reason: null, pending: true })).toMatch(/being looked into/);
		expect(sentenceOf({ cause: null, reason: null })).toMatch(/Nothing more is known/);
	});

	it('say how deep', () => {
		expect([0, 1, 3, 9, null].map(depthWords)).toEqual(['in the call itself', 'one call deep', 'three calls deep', '9 calls deep', null]);
	});
});

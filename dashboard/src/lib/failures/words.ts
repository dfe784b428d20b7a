/**
 * What is said of failures: classes of causes, and how a cause was found. Pure. Unknown words have tolerant defaults: a server may
 * have classes that this page does not know.
 */

import type { TransactionDetail } from '../contract';
import { shorten } from '../format';
import type { Failure } from './shapes';

export interface CauseWords {
	label: string;
	/** What it means, in a sentence. */
	hint: string;
}

const CAUSES: Record<string, CauseWords> = {
	slippage: { label: 'slippage', hint: 'The price moved past the bound that the caller had set.' },
	deadline: { label: 'deadline', hint: 'It came too late: the time that the caller had set was over.' },
	liquidity: { label: 'liquidity', hint: 'The pool did not hold enough for it.' },
	oracle: { label: 'oracle', hint: 'A price of an oracle was too old, or was not believed.' },
	limits: { label: 'limits', hint: 'A cap would have been passed, or a loan would have become unsafe.' },
	allowance: { label: 'allowance', hint: 'The contract was not allowed to take as many of the owner’s tokens.' },
	balance: { label: 'balance', hint: 'There were not enough tokens.' },
	funds: { label: 'funds', hint: 'There was not enough of the chain’s own coin.' },
	transfer_failed: { label: 'transfer failed', hint: 'A transfer of tokens or coin inside of it failed.' },
	access: { label: 'access', hint: 'Whoever called may not do this.' },
	paused: { label: 'paused', hint: 'The contract had been stopped by those who run it.' },
	signature: { label: 'signature', hint: 'A signature, its signer or its number was not right.' },
	state: { label: 'state', hint: 'It was not the time for it: done already, or not begun.' },
	wallet: { label: 'wallet', hint: 'The wallet, or whoever pays for it, refused.' },
	bridge: { label: 'bridge', hint: 'A message of a bridge, or its proof, was not taken.' },
	input: { label: 'input', hint: 'An argument was none that it takes.' },
	bounds: { label: 'bounds', hint: 'An index or a length was outside of what there is.' },
	not_found: { label: 'not found', hint: 'A token, an order, a pool or a function does not exist.' },
	math: { label: 'arithmetic', hint: 'A number grew too large or fell below zero, or was divided by zero.' },
	gas_limit: { label: 'gas limit', hint: 'The gas limit was too low for what it had to do.' },
	reentrancy: { label: 'reentrancy', hint: 'A contract was entered again while it was still at work.' },
	assert: { label: 'assertion', hint: 'Something that the contract takes for certain was not so: most often a mistake in the contract.' },
	bad_code: { label: 'bad code', hint: 'What was called cannot be run, or there is no code.' },
	static_write: { label: 'static write', hint: 'Something was to be changed in a call that may only read.' },
	custom: { label: 'custom error', hint: 'The contract gave an error of its own, which no row of the table of causes knows.' },
	opaque: { label: 'no reason given', hint: 'The contract undid everything and gave no reason.' },
	unknown: { label: 'unknown', hint: 'No node could tell what happened in it.' },
	// The word of rows that were written before causes were looked for.
	out_of_gas: { label: 'out of gas', hint: 'The whole gas limit was used.' }
};

/** All classes, in an order for people to choose from. */
export const CAUSE_GROUPS: readonly { title: string; causes: readonly string[] }[] = [
	{ title: 'Prices and time', causes: ['slippage', 'deadline', 'liquidity', 'oracle', 'limits'] },
	{ title: 'Tokens and coins', causes: ['allowance', 'balance', 'funds', 'transfer_failed'] },
	{ title: 'Who and when', causes: ['access', 'paused', 'signature', 'state', 'wallet', 'bridge'] },
	{ title: 'What was given', causes: ['input', 'bounds', 'not_found', 'math'] },
	{ title: 'Gas and code', causes: ['gas_limit', 'reentrancy', 'assert', 'bad_code', 'static_write'] },
	{ title: 'Not told', causes: ['custom', 'opaque', 'unknown'] }
];

const CHOICES = new Set(CAUSE_GROUPS.flatMap((group) => group.causes));

/** Whether `CAUSE_GROUPS` has it. */
export function isChoice(cause: string): boolean {
	return CHOICES.has(cause);
}

export function causeWords(cause: string | null | undefined): CauseWords {
	if (!cause) return { label: 'failed', hint: '' };
	if (Object.hasOwn(CAUSES, cause)) return CAUSES[cause]!;
	return { label: cause.replaceAll('_', ' '), hint: '' };
}

export interface FoundWords {
	/** Behind `found by`. */
	label: string;
	/** For a list to choose from. */
	choice: string;
	/** What that is worth. */
	hint: string;
}

const FOUND: Record<string, FoundWords> = {
	trace: {
		label: 'a trace',
		choice: 'a trace',
		hint: 'A node ran this transaction again, step by step, as it ran in its block. This is what happened.'
	},
	call: {
		label: 'a call made again',
		choice: 'a call made again',
		hint: 'A node made the same call on the state before its block. What stood before it in the block is missing, so it may have failed otherwise.'
	},
	receipt: {
		label: 'its receipt alone',
		choice: 'the receipt alone',
		hint: 'Read from its gas and its receipt. No node told what happened inside.'
	},
	budget: {
		label: 'others like it',
		choice: 'others like it',
		hint: 'So many fail alike here that not each is looked into. It was counted with those of its group; some of them were looked into.'
	}
};

export const FOUND_BY = ['trace', 'call', 'receipt', 'budget'] as const;

export function foundWords(foundBy: string | null | undefined): FoundWords | null {
	if (!foundBy) return null;
	if (Object.hasOwn(FOUND, foundBy)) return FOUND[foundBy]!;
	const label = foundBy.replaceAll('_', ' ');
	return { label, choice: label, hint: '' };
}

/** Why a cause is called approximate. */
export function approximateWords(foundBy: string | null | undefined): string {
	if (foundBy === 'call') return 'Found on a state that may differ a little from the one it ran on: what stood before it in its block is missing.';
	if (foundBy === 'budget') return 'Taken from others like it, which were looked into.';
	return 'The most likely cause by what its receipt says: nobody has seen what happened inside.';
}

/** What is known of why it failed, also of a server that knows only cause and reason; null where it did not fail. */
export function failureOf(tx: TransactionDetail): Failure | null {
	if (tx.status !== 'failed') return null;
	return tx.failure ?? { cause: tx.cause ?? null, reason: tx.reason ?? null, found_by: tx.found_by ?? null };
}

/** The sentence, or what can be said without one. */
export function sentenceOf(failure: { cause: string | null; reason?: string | null; pending?: boolean | null }): string {
	if (failure.reason) return sentenceCase(failure.reason);
	const { hint } = causeWords(failure.cause);
	if (hint) return hint;
	return failure.pending
		? 'Why it failed is being looked into.'
		: 'Why it failed is not known yet. What it did was undone; the fee was paid.';
}

/** The sentence for where there is little room: addresses are cut. */
export function briefly(sentence: string): string {
	return sentence.replace(/0x[0-9a-f]{40}\b/gi, (address) => shorten(address));
}

/** With a capital, where it begins with a word and not with a name, a number or code. */
function sentenceCase(text: string): string {
	return /^[a-z]+[ ,;:’'-]/.test(text) ? text[0]!.toUpperCase() + text.slice(1) : text;
}

/** How deep the frame is that failed: `in the call itself`, `three calls deep`. */
export function depthWords(depth: number | null | undefined): string | null {
	if (depth == null || !Number.isFinite(depth)) return null;
	const numbers = ['', 'one call', 'two calls', 'three calls', 'four calls', 'five calls', 'six calls'];
	return depth <= 0 ? 'in the call itself' : `${numbers[depth] ?? `${depth} calls`} deep`;
}

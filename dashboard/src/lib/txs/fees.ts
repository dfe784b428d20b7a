/** What a fee is made of, and why it is not known. */

import { share } from '../amount';
import type { FeeParts, Transaction } from '../contract';

export interface FeePart {
	name: string;
	words: string;
	/** In the chain's smallest unit. */
	amount: string;
	/** Of the sum, for people; null where the sum is zero. */
	share: string | null;
	/** Of the sum, 0 to 1000, for a bar; never 0 for what is more than nothing. */
	thousandths: number;
}

const WORDS: Record<string, string> = {
	execution: 'Execution',
	l1: 'Data on L1',
	operator: 'Operator',
	blob: 'Blobs'
};

const REASONS: Record<string, string> = {
	token: 'It was paid in a token, and is in no sum of the chain’s own coin.',
	no_price: 'The receipt has no price of gas.',
	no_l1_fee: 'The receipt does not tell the fee for data on L1.',
	no_blob_price: 'The receipt does not tell the price of blobs.',
	not_in_receipt: 'Something that was paid is in no receipt of this kind on this chain.',
	retryable: 'It is a retryable ticket: who paid stands in another transaction.',
	unknown: 'The receipt does not tell what it takes.'
};

/** Each part that the chain has, in the server's order. What is no amount is left out. */
export function feeParts(parts: FeeParts | null | undefined): FeePart[] {
	const there = Object.entries(parts ?? {}).filter((p): p is [string, string] => typeof p[1] === 'string' && /^\d+$/.test(p[1]));
	const sum = there.reduce((all, [, amount]) => all + BigInt(amount), 0n);
	return there.map(([name, amount]) => ({
		name,
		words: Object.hasOwn(WORDS, name) ? WORDS[name]! : name.replaceAll('_', ' '),
		amount,
		share: share(amount, sum.toString()),
		thousandths: sum === 0n || amount === '0' ? 0 : Math.max(1, Number((BigInt(amount) * 1000n) / sum))
	}));
}

/** Whether the parts are the total, to the last unit; null where one of them is not known. */
export function addsUp(parts: FeePart[], total: string | null | undefined): boolean | null {
	if (parts.length === 0 || total == null || !/^\d+$/.test(total)) return null;
	return parts.reduce((all, part) => all + BigInt(part.amount), 0n) === BigInt(total);
}

/** Why there is no fee in the chain's own coin, in a sentence; null where there is one. */
export function whyNoFee(tx: Pick<Transaction, 'fee'> & { fee_reason?: string | null }): string | null {
	if (tx.fee != null) return null;
	if (!tx.fee_reason) return 'It is not known.';
	return Object.hasOwn(REASONS, tx.fee_reason) ? REASONS[tx.fee_reason]! : `It is not known: ${tx.fee_reason.replaceAll('_', ' ')}.`;
}

/** Short messages at the edge of the page. A reorg of many blocks is one message that grows, not many. */

import { count, plural } from './format';

export const STAYS_MS = 9_000;
export const SHOWN = 3;
/** Reverts of one network within this time are one reorg to a reader. */
const TOGETHER_MS = 3_000;

export interface Notice {
	id: number;
	at: number;
	text: string;
	network: string;
	kind: 'reorg' | 'gap' | 'refused';
	/** Of a reorg: the heights reverted, and the transactions taken back. */
	from?: number;
	to?: number;
	blocks?: number;
	transactions?: number;
}

let nextId = 1;

export function reverted(list: Notice[], network: string, height: number, transactions: number, now: number): Notice[] {
	const open = list.find((n) => n.kind === 'reorg' && n.network === network && now - n.at <= TOGETHER_MS);
	const from = Math.min(open?.from ?? height, height);
	const to = Math.max(open?.to ?? height, height);
	const blocks = (open?.blocks ?? 0) + 1;
	const taken = (open?.transactions ?? 0) + transactions;
	const back = `${plural(taken, 'transaction')} taken back`;
	const text =
		blocks === 1
			? `Block ${count(height)} of ${network} was reverted, ${back}`
			: `${blocks} blocks of ${network} were reverted (${count(from)} to ${count(to)}), ${back}`;
	const notice: Notice = { id: open?.id ?? nextId++, at: now, text, network, kind: 'reorg', from, to, blocks, transactions: taken };
	return add(list.filter((n) => n !== open), notice);
}

export function said(list: Notice[], kind: 'gap' | 'refused', network: string, text: string, now: number): Notice[] {
	return add(list.filter((n) => n.text !== text), { id: nextId++, at: now, text, network, kind });
}

export function expired(list: Notice[], now: number): Notice[] {
	return list.some((n) => now - n.at >= STAYS_MS) ? list.filter((n) => now - n.at < STAYS_MS) : list;
}

function add(list: Notice[], notice: Notice): Notice[] {
	return [...list, notice].slice(-SHOWN);
}

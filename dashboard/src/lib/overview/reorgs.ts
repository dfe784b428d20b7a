/** Reorgs that this page saw: reverts that come together are one. At most `KEPT` are remembered. Pure. */

export const KEPT = 200;
/** Reverts of one network within this time are one reorg to a reader. */
const TOGETHER_MS = 3_000;

export interface Reorg {
	network: string;
	/** When it was seen, by the server's clock. */
	seen: number;
	/** The block time of the lowest block that it took back: from here on windows changed. */
	at: number;
	from: number;
	to: number;
	blocks: number;
	transactions: number;
}

export interface Reverted {
	network: string;
	height: number;
	/** Of the block. */
	time: number | null;
	transactions: number;
}

/** Newest last. */
export function withRevert(list: readonly Reorg[], block: Reverted, now: number): Reorg[] {
	const at = block.time ?? now;
	const open = list.findLast((r) => r.network === block.network && now - r.seen <= TOGETHER_MS);
	if (!open) {
		const { network, height, transactions } = block;
		return [...list, { network, seen: now, at, from: height, to: height, blocks: 1, transactions }].slice(-KEPT);
	}
	const grown: Reorg = {
		...open,
		seen: now,
		at: Math.min(open.at, at),
		from: Math.min(open.from, block.height),
		to: Math.max(open.to, block.height),
		blocks: open.blocks + 1,
		transactions: open.transactions + block.transactions
	};
	return list.map((r) => (r === open ? grown : r));
}

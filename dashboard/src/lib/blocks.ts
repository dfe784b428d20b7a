/**
 * The last blocks of one network: what the rate and the sparkline are computed from.
 *
 * Guarantee: each canonical block counts once (keyed by hash, so replays and repeats change nothing), a reverted block no
 * longer counts, and memory is bounded by `KEPT`.
 */

import { instant } from './format';
import type { Block, Op } from './contract';

/** Blocks kept per network: a minute at four blocks a second, which the fastest chains here make. */
export const KEPT = 256;
/** The rate's window, in milliseconds. */
export const WINDOW_MS = 60_000;

export interface Seen {
	hash: string;
	height: number;
	transactions: number;
	failed: number;
	/** When the server saw it, milliseconds since the epoch by the server's clock. */
	at: number;
	/** The block's own time, by the chain's clock. */
	time: number | null;
	/** Of Bitcoin, median of the times of the last eleven blocks: windows are over up to here. */
	median?: number | null;
	/** Only its header is held. */
	header?: boolean;
}

export class BlockHistory {
	/** Oldest first, by height, then by when they were seen. */
	private blocks: Seen[] = [];

	/** `now` by the server's clock stands in where a block does not say when it was observed. */
	apply(block: Block, now: number): void {
		if (this.blocks.some((b) => b.hash === block.hash)) return;
		const seen: Seen = {
			hash: block.hash,
			height: block.height,
			transactions: block.transaction_count ?? 0,
			failed: block.failed_count ?? 0,
			at: Math.min(instant(block.observed_at) ?? now, now),
			time: instant(block.block_time),
			...(block.median_time ? { median: instant(block.median_time) } : {}),
			...(block.coverage === 'header' ? { header: true } : {})
		};
		let at = this.blocks.length;
		while (at > 0 && this.blocks[at - 1]!.height > seen.height) at--;
		this.blocks.splice(at, 0, seen);
		if (this.blocks.length > KEPT) this.blocks.splice(0, this.blocks.length - KEPT);
	}

	/** The block that is gone, or undefined when it was not held. */
	revert(hash: string): Seen | undefined {
		const at = this.blocks.findIndex((b) => b.hash === hash);
		return at < 0 ? undefined : this.blocks.splice(at, 1)[0];
	}

	change(op: Op, block: Block, now: number): void {
		if (op === 'apply') this.apply(block, now);
		else this.revert(block.hash);
	}

	/** The newest `n`, oldest first. */
	last(n: number): Seen[] {
		return this.blocks.slice(-n);
	}

	get newest(): Seen | undefined {
		return this.blocks[this.blocks.length - 1];
	}

	/**
	 * Transactions per second over the trailing minute. While less than a minute is known, over what is known: from the
	 * oldest block on, which then marks the start and does not count itself. Null when nothing can be said yet: two blocks are the least.
	 */
	rate(now: number): number | null {
		const from = now - WINDOW_MS;
		const inside = this.blocks.filter((b) => b.at > from);
		if (inside.length < this.blocks.length) return sum(inside) / (WINDOW_MS / 1000);
		let first: Seen | undefined;
		for (const b of inside) if (!first || b.at < first.at) first = b;
		if (!first || inside.length < 2 || now - first.at < 1000) return null;
		return sum(inside.filter((b) => b !== first)) / ((now - first.at) / 1000);
	}
}

function sum(blocks: Seen[]): number {
	return blocks.reduce((n, b) => n + b.transactions, 0);
}

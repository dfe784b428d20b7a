/**
 * The live table: which transactions are shown, newest first.
 *
 * Guarantees: at most `KEPT` rows (and what `extend` was given) and `KEPT` withheld ones, whatever arrives; a transaction is held once; `seen` counts every
 * one of them exactly (less those of reverted blocks), also where only a sample is shown; failed ones are preferred in the
 * sample, up to half of it. Rows of a reverted block are marked, and go when `sweep` finds them old enough. From the moment of
 * `pause` on the rows stand still, whatever comes from wherever; only what the reader asks for after it (another filter) moves
 * them. What came meanwhile is set in by `resume`.
 */

import { instant } from './format';
import type { DataFrame, Transaction, TxStatus } from './contract';
import type { LateCause } from './failures/shapes';

export const KEPT = 500;
/** How long a reverted row stays, struck through, in milliseconds. */
export const STRUCK_MS = 1_800;
/** Rows per second that a table can show to a reader; a burst (one big block) may bring `BURST` at once. */
export const SHOWN_PER_S = 25;
export const BURST = 400;
/** Answers that wait while the table is paused. */
const ANSWERS = 4;
/** Blocks whose counts can still be taken back, and causes that rows may still come for, over all networks. */
const COUNTED = 4_096;

export interface Row {
	key: string;
	tx: Transaction;
	/** When it came here, milliseconds; 0 for what was there before the page. */
	arrived: number;
	/** When its block was reverted, or null. */
	reverted: number | null;
}

export interface Filter {
	network: string | null;
	status: TxStatus | null;
}

export interface Counts {
	transactions: number;
	failed: number;
}

/** Without the events of blocks that were filled in on request: they are no news of the head. */
export function following(frames: DataFrame[]): DataFrame[] {
	const of = (f: DataFrame) => `${f.network} ${f.sequence}`;
	const filled = new Set(frames.filter((f) => f.type === 'block' && f.op === 'apply' && f.data.origin === 'backfill').map(of));
	return filled.size === 0 ? frames : frames.filter((f) => !filled.has(of(f)));
}

export class Feed {
	rows: Row[] = [];
	filter: Filter = { network: null, status: null };
	seen: Counts = { transactions: 0, failed: 0 };
	/** When rows were last left out of the sample; null: never. */
	sampledAt: number | null = null;

	/** `kept` bounds the rows at the beginning; `narrowed`: the server sends only what fits. */
	constructor(
		private kept = KEPT,
		private readonly narrowed = false
	) {}

	private paused = false;
	private held: Row[] = [];
	private heldCounts = new Map<string, number>();
	/** Answers that came while paused, and networks whose rows before the answer are to go. */
	private answers: Transaction[][] = [];
	private dropped = new Set<string>();
	/** Whether the reader asked for other rows after the pause began. */
	private asked = false;
	private counted = new Map<string, Counts>();
	private gone = new Map<string, true>();
	private causes = new Map<string, LateCause>();
	private tokens = BURST;
	private refilled = 0;

	get isPaused(): boolean {
		return this.paused;
	}

	/** Rows that came while paused, exactly. */
	get withheld(): number {
		let n = 0;
		for (const of of this.heldCounts.values()) n += of;
		return n;
	}

	/** One flush of complete block events, in order. */
	commit(frames: DataFrame[], now: number): void {
		const fresh: Row[] = [];
		for (const frame of frames) {
			const key = blockKey(frame.network, frame.type === 'block' ? frame.data.hash : frame.data.block_hash);
			if (frame.type === 'block') {
				if (frame.op === 'revert') {
					for (let i = fresh.length - 1; i >= 0; i--) if (rowBlock(fresh[i]!) === key) fresh.splice(i, 1);
					this.revert(key, now);
				} else this.gone.delete(key);
			} else if (frame.op === 'apply') {
				this.gone.delete(key);
				this.count(key, frame.data);
				if (this.fits(frame.data)) fresh.push(this.explained(row(frame.data, now)));
			}
		}
		this.admit(fresh, now);
	}

	private admit(fresh: Row[], now: number): void {
		const held = new Set(this.rows.filter((r) => r.reverted == null).map((r) => r.key));
		for (const r of this.held) held.add(r.key);
		fresh = fresh.filter((r) => !held.has(r.key) && held.add(r.key));
		if (fresh.length === 0) return;
		if (this.paused) {
			for (const r of fresh) bump(this.heldCounts, rowBlock(r), 1);
			// Nobody reads these as they come, so nothing is left out but the oldest.
			this.held = [...fresh.reverse(), ...this.held].slice(0, KEPT);
			return;
		}
		const shown = this.sample(fresh, now).reverse();
		const keys = new Set(shown.map((r) => r.key));
		this.rows = [...shown, ...this.rows.filter((r) => !keys.has(r.key))].slice(0, this.kept);
	}

	private fits(tx: Transaction): boolean {
		return this.narrowed || matches(this.filter, tx);
	}

	/** As many as the tokens allow, evenly spread; failed ones are preferred, up to half of them. The order stays. */
	private sample(fresh: Row[], now: number): Row[] {
		const elapsed = Math.max(0, now - this.refilled);
		this.tokens = Math.min(BURST, this.tokens + (elapsed / 1000) * SHOWN_PER_S);
		this.refilled = now;
		const room = Math.floor(this.tokens);
		if (fresh.length <= room) {
			this.tokens -= fresh.length;
			return fresh;
		}
		this.sampledAt = now;
		this.tokens -= room;
		const failed = fresh.filter((r) => r.tx.status === 'failed');
		const others = fresh.filter((r) => r.tx.status !== 'failed');
		const bad = Math.max(room - others.length, Math.min(failed.length, Math.ceil(room / 2)));
		const keep = new Set([...spread(failed, bad), ...spread(others, room - Math.min(bad, failed.length))]);
		return fresh.filter((r) => keep.has(r));
	}

	/** The cause of a failure, which comes after its transaction. Rows do not move by it. False: it is of no row that is held. */
	explain(late: LateCause): boolean {
		const key = `${late.network} ${late.block_hash} ${late.index}`;
		remember(this.causes, key, late, COUNTED);
		const shown = this.rows.some((r) => r.key === key);
		if (shown) this.rows = this.rows.map((r) => (r.key === key ? this.explained(r) : r));
		const held = this.held.some((r) => r.key === key);
		if (held) this.held = this.held.map((r) => (r.key === key ? this.explained(r) : r));
		return shown || held;
	}

	private explained(r: Row): Row {
		const late = this.causes.get(r.key);
		return late ? { ...r, tx: { ...r.tx, cause: late.cause, reason: late.reason ?? null, found_by: late.found_by ?? null } } : r;
	}

	private count(key: string, tx: Transaction): void {
		const block = this.counted.get(key) ?? { transactions: 0, failed: 0 };
		const failed = tx.status === 'failed' ? 1 : 0;
		block.transactions++;
		block.failed += failed;
		this.seen = { transactions: this.seen.transactions + 1, failed: this.seen.failed + failed };
		if (block.transactions === 1) remember(this.counted, key, block, COUNTED);
	}

	private revert(key: string, now: number): void {
		remember(this.gone, key, true, COUNTED);
		const counts = this.counted.get(key);
		if (counts) {
			this.seen = {
				transactions: this.seen.transactions - counts.transactions,
				failed: this.seen.failed - counts.failed
			};
			this.counted.delete(key);
		}
		this.held = this.held.filter((r) => rowBlock(r) !== key);
		this.heldCounts.delete(key);
		if (this.rows.some((r) => rowBlock(r) === key)) {
			this.rows = this.rows.map((r) => (rowBlock(r) === key && r.reverted == null ? { ...r, reverted: now } : r));
		}
	}

	/** Whether a block was reverted lately and not applied again: an answer that is on its way may still show it. */
	isGone(network: string, blockHash: string): boolean {
		return this.gone.has(blockKey(network, blockHash));
	}

	/** Takes struck rows away once they were shown long enough; while paused nothing moves. True when any went. */
	sweep(now: number): boolean {
		if (this.paused) return false;
		const left = this.rows.filter((r) => r.reverted == null || now - r.reverted < STRUCK_MS);
		if (left.length === this.rows.length) return false;
		this.rows = left;
		return true;
	}

	/** Rows of an answer of `/txs`, set among those held, by time. Reverted blocks and other filters' rows stay out. */
	merge(items: Transaction[]): void {
		if (this.paused && !this.asked && this.rows.length > 0) {
			// The newest answers only: each holds what the one before held, or newer ones.
			this.answers = [...this.answers, items].slice(-ANSWERS);
			return;
		}
		this.asked = false;
		const held = new Set([...this.rows, ...this.held].map((r) => r.key));
		const added = items
			.filter((tx) => this.fits(tx) && !this.isGone(tx.network, tx.block_hash))
			.map((tx) => row(tx, 0))
			.filter((r) => !held.has(r.key) && held.add(r.key));
		if (added.length > 0) this.rows = [...this.rows, ...added].sort(newestFirst).slice(0, this.kept);
	}

	/** Older rows behind those that are shown, also while paused: whoever asks for them is looking there. */
	extend(items: Transaction[]): void {
		const held = new Set([...this.rows, ...this.held].map((r) => r.key));
		const added = items.filter((tx) => !this.isGone(tx.network, tx.block_hash)).map((tx) => row(tx, 0));
		const fresh = added.filter((r) => !held.has(r.key) && held.add(r.key));
		this.rows = [...this.rows, ...fresh];
		this.kept = Math.max(this.kept, this.rows.length);
	}

	/** Another filter: rows that still match stay until the answer for it is merged. */
	setFilter(filter: Filter): void {
		this.filter = filter;
		this.rows = this.rows.filter((r) => matches(filter, r.tx));
		this.held = [];
		this.heldCounts.clear();
		this.answers = [];
		this.asked = true;
	}

	/** Forgets a network's rows, before they are loaded again. */
	drop(network: string): void {
		if (this.paused) this.dropped.add(network);
		else this.rows = this.rows.filter((r) => r.tx.network !== network);
		this.held = this.held.filter((r) => r.tx.network !== network);
		for (const key of this.heldCounts.keys()) if (key.startsWith(network + ' ')) this.heldCounts.delete(key);
	}

	pause(): void {
		this.paused = true;
		this.asked = false;
	}

	resume(): void {
		this.paused = false;
		this.rows = this.rows.filter((r) => !this.dropped.has(r.tx.network));
		if (this.held.length > 0) {
			const keys = new Set(this.held.map((r) => r.key));
			this.rows = [...this.held, ...this.rows.filter((r) => !keys.has(r.key))].slice(0, this.kept);
		}
		this.held = [];
		this.heldCounts.clear();
		this.dropped.clear();
		const answers = this.answers;
		this.answers = [];
		for (const items of answers) this.merge(items);
	}
}

export function matches(filter: Filter, tx: Transaction): boolean {
	return (
		(filter.network == null || filter.network === tx.network) && (filter.status == null || filter.status === tx.status)
	);
}

function row(tx: Transaction, arrived: number): Row {
	return { key: `${tx.network} ${tx.block_hash} ${tx.index}`, tx, arrived, reverted: null };
}

function blockKey(network: string, hash: string): string {
	return `${network} ${hash}`;
}

function rowBlock(r: Row): string {
	return blockKey(r.tx.network, r.tx.block_hash);
}

function newestFirst(a: Row, b: Row): number {
	return (
		(instant(b.tx.block_time) ?? 0) - (instant(a.tx.block_time) ?? 0) ||
		b.tx.sequence - a.tx.sequence ||
		b.tx.index - a.tx.index
	);
}

/** `n` of the rows, evenly spread. */
function spread(rows: Row[], n: number): Row[] {
	if (n >= rows.length) return rows;
	return Array.from({ length: n }, (_, i) => rows[Math.floor((i * rows.length) / n)]!);
}

function bump(map: Map<string, number>, key: string, by: number): void {
	map.set(key, (map.get(key) ?? 0) + by);
}

/** Sets, and forgets the oldest beyond `limit`. */
function remember<T>(map: Map<string, T>, key: string, value: T, limit: number): void {
	map.delete(key);
	map.set(key, value);
	if (map.size > limit) map.delete(map.keys().next().value!);
}

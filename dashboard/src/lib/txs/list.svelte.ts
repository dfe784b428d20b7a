/**
 * The transactions that fit a filter: the past by REST, page by page, and what comes by WebSocket, narrowed by the server.
 *
 * Guarantees: no hole and no repeat between the two (as in `live.svelte.ts`); rows stand still while paused, and how many came is
 * counted; at most `MOST` rows; of two filters the one that was chosen later holds; what is on the page stays when the connection
 * goes. What `follows` says no to is a list that stands still.
 */

import type { Connection } from '../backoff';
import { ServerClock } from '../clock';
import type { DataFrame, Health, Page, Problem, Transaction } from '../contract';
import type { LateCause } from '../failures/shapes';
import { families } from '../families.svelte';
import { Feed, following, type Row } from '../feed';
import { instant } from '../format';
import { get, toProblem } from '../http';
import type { Loading } from '../live.svelte';
import { Sequencer, type Delivery } from '../sequencer';
import { LiveSocket, socketAddress } from '../socket';
import { follows, narrowing, NONE, queryOf, type TxFilter } from './filter';

/** Rows of one page, those that come by themselves, and the most that are shown. */
const PAGE = 50;
const LIVE = 300;
export const MOST = 2_000;
/** Pages that are asked for at once, as long as they bring nothing. */
const AT_ONCE = 10;
const HEALTH_MS = 5_000;
const FLUSH_MS = 250;
/** As in `live.svelte.ts`: the store is ahead of the stream, and nothing comes. */
const STUCK_MS = 20_000;
const AGAIN_MS = 5_000;
/** Until what causes brought into a list that is narrowed by them is read; the store has them a moment later than the stream. */
const READ_MS = 1_500;

export class TxList {
	filter = $state.raw<TxFilter>(NONE);
	table = $state.raw<Loading>({ kind: 'loading' });
	rows = $state.raw<Row[]>([]);
	/** There are more behind them, and whether they are on their way. */
	more = $state.raw(false);
	loading = $state.raw(false);
	/** Why the next page did not come. */
	problem = $state.raw<Problem | null>(null);
	/** What came while paused. */
	withheld = $state.raw(0);
	/** What came since the filter was chosen. */
	came = $state.raw(0);
	sampling = $state.raw(false);
	/** Null where nothing comes by itself. */
	connection = $state.raw<Connection | null>(null);
	/** Why nothing comes though it should. */
	refused = $state.raw<string | null>(null);
	health = $state.raw<Health | null>(null);
	healthProblem = $state.raw<Problem | null>(null);
	/** The server's clock and ours, milliseconds; each second. */
	now = $state.raw(0);
	here = $state.raw(0);

	private feed = new Feed(LIVE, true);
	private paused = false;
	private sequencer = new Sequencer();
	private socket: LiveSocket | null = null;
	private pending: DataFrame[] = [];
	private due: ReturnType<typeof setTimeout> | undefined;
	private readonly clock = new ServerClock();
	private polling: ReturnType<typeof setTimeout> | undefined;
	private ticking: ReturnType<typeof setInterval> | undefined;
	private request = new AbortController();
	/** How the last page was asked for, what comes behind it, and the row it ended with. */
	private tail: { query: Record<string, string>; next: string | null; last: string | undefined } | null = null;
	private lastFrame = 0;
	private again: ReturnType<typeof setTimeout> | undefined;
	private reading: ReturnType<typeof setTimeout> | undefined;
	private stopped = false;

	start(filter: TxFilter): void {
		this.tick();
		this.ticking = setInterval(() => this.tick(), 1_000);
		addEventListener('online', this.reconnect);
		this.narrow(filter);
		void this.poll();
	}

	stop(): void {
		this.stopped = true;
		clearTimeout(this.polling);
		clearInterval(this.ticking);
		clearTimeout(this.due);
		clearTimeout(this.again);
		clearTimeout(this.reading);
		this.request.abort();
		this.socket?.stop();
		removeEventListener('online', this.reconnect);
	}

	/** Another filter: everything from the beginning. */
	narrow(filter: TxFilter): void {
		this.filter = filter;
		this.begin();
	}

	reconnect = (): void => {
		if (this.connection?.kind !== 'live') this.socket?.connect();
		if (this.table.kind === 'error') this.begin();
		void this.poll();
	};

	/** Reads all again: the present position first, so that the stream goes on where the past ends. */
	begin = (): void => {
		this.request.abort();
		this.request = new AbortController();
		clearTimeout(this.due);
		clearTimeout(this.again);
		clearTimeout(this.reading);
		this.due = this.again = this.reading = undefined;
		this.socket?.stop();
		this.socket = null;
		this.connection = follows(this.filter) ? { kind: 'connecting' } : null;
		this.feed = new Feed(LIVE, true);
		if (this.paused) this.feed.pause();
		this.sequencer = new Sequencer();
		this.pending = [];
		this.tail = null;
		this.refused = this.problem = null;
		this.more = false;
		this.loading = false;
		this.withheld = this.came = 0;
		// Rows stay, and are shown as of before, until others have come.
		this.table = { kind: 'loading' };
		void this.load(this.request.signal);
	};

	private async load(signal: AbortSignal): Promise<void> {
		try {
			if (follows(this.filter)) {
				const health = await this.ask(signal);
				signal.throwIfAborted();
				for (const n of this.followed(health)) this.sequencer.seed(n.network, n.processed_sequence ?? undefined);
			}
			const query = queryOf(this.filter, this.clock.now());
			await this.fill(query, null, 1, signal);
			this.table = { kind: 'ready' };
			this.end();
			if (follows(this.filter)) this.follow();
		} catch (error) {
			if (signal.aborted) return;
			this.rows = [];
			this.table = { kind: 'error', problem: toProblem(error) };
			this.connection = null;
		}
	}

	/** The next page. */
	further = async (): Promise<void> => {
		const { signal } = this.request;
		if (this.loading || !this.tail || this.rows.length >= MOST) return;
		this.loading = true;
		this.problem = null;
		try {
			const at = this.tail;
			const last = this.rows.at(-1)?.tx;
			const time = instant(last?.block_time);
			// New rows have pushed the last ones out: what comes behind the last one that is left is asked for by its time.
			const pushed = last != null && time != null && at.last !== this.rows.at(-1)?.key && follows(this.filter);
			const query = pushed ? { ...at.query, to: new Date(time + 1).toISOString() } : at.query;
			await this.fill(query, pushed ? null : at.next, this.feed.rows.length + 1, signal);
			this.end();
		} catch (error) {
			if (signal.aborted) return;
			this.problem = toProblem(error);
		}
		this.loading = false;
	};

	/**
	 * Pages until so many rows are there, or none are left. A page may hold nothing new and yet have a next one: the server looks a
	 * bounded piece at a time, and of a large block that was asked for by its time everything may stand here already.
	 */
	private async fill(query: Record<string, string>, cursor: string | null, rows: number, signal: AbortSignal): Promise<void> {
		for (let i = 0; i < AT_ONCE; i++) {
			const items = await this.page(query, cursor, signal);
			// What is above the position comes by the stream.
			this.feed.extend(items.filter((tx) => tx.sequence <= (this.sequencer.position(tx.network) ?? Infinity)));
			cursor = this.tail?.next ?? null;
			if (this.feed.rows.length >= rows || cursor == null) return;
		}
	}

	private async page(query: Record<string, string>, cursor: string | null, signal: AbortSignal): Promise<Transaction[]> {
		const asked = new URLSearchParams({ ...query, limit: String(PAGE), ...(cursor ? { cursor } : {}) });
		const { body } = await get<Page<Transaction>>(`/api/v1/txs?${asked}`, signal);
		// An answer that was there already when another filter was chosen.
		signal.throwIfAborted();
		this.tail = { query, next: body.next, last: undefined };
		families.learn(body.items);
		return body.items;
	}

	private end(): void {
		this.show();
		if (this.tail) this.tail.last = this.rows.at(-1)?.key;
	}

	setPaused(paused: boolean): void {
		if (paused === this.paused) return;
		this.paused = paused;
		if (paused) this.feed.pause();
		else this.feed.resume();
		this.show();
	}

	private followed(health: Health) {
		return health.networks.filter((n) => !this.filter.network || n.network === this.filter.network);
	}

	private follow(): void {
		const networks = this.followed(this.health ?? { status: '', networks: [] }).map((n) => n.network);
		this.lastFrame = Date.now();
		this.socket = new LiveSocket(
			socketAddress(),
			{
				connection: (state) => (this.connection = state),
				frame: (frame) => {
					this.lastFrame = Date.now();
					if (frame.type === 'cause') this.explained(frame.data);
					else this.deliver(this.sequencer.push(frame));
				},
				lost: () => this.sequencer.disconnected(),
				refused: (network, title, detail) => (this.refused = `${network ? `${network}: ` : ''}${detail ?? title}`)
			},
			() => networks.map((n) => [n, this.sequencer.position(n)] as const),
			undefined,
			narrowing(this.filter)
		);
		this.socket.connect();
	}

	private deliver(delivery: Delivery | null): void {
		if (!delivery) return;
		if (delivery.kind !== 'event') {
			// A hole, or another log: what is shown is read again, not more often than now and then.
			this.again ??= setTimeout(this.begin, AGAIN_MS);
			return;
		}
		for (const frame of delivery.frames) this.pending.push(frame);
		this.due ??= setTimeout(() => this.flush(), FLUSH_MS);
	}

	/** A cause has come. Where the list is narrowed by causes, its transaction did not fit before: it is read. */
	private explained(late: LateCause): void {
		const shown = this.feed.explain(late);
		if (shown) this.due ??= setTimeout(() => this.flush(), FLUSH_MS);
		else if (this.filter.cause || this.filter.found_by) this.reading ??= setTimeout(() => void this.read(), READ_MS);
	}

	private async read(): Promise<void> {
		this.reading = undefined;
		const { signal } = this.request;
		try {
			const query = new URLSearchParams({ ...queryOf(this.filter, this.clock.now()), limit: String(PAGE) });
			const { body } = await get<Page<Transaction>>(`/api/v1/txs?${query}`, signal);
			if (signal.aborted) return;
			this.feed.merge(body.items.filter((tx) => tx.sequence <= (this.sequencer.position(tx.network) ?? Infinity)));
			this.show();
		} catch {
			// It is read with the next cause.
		}
	}

	private flush(): void {
		this.due = undefined;
		const frames = following(this.pending);
		this.pending = [];
		this.feed.commit(frames, Date.now());
		this.show();
	}

	private async ask(signal?: AbortSignal): Promise<Health> {
		const sent = Date.now();
		const { body, serverTime } = await get<Health>('/api/v1/health', signal);
		this.clock.follow(serverTime, sent);
		this.health = body;
		families.learn(body.networks);
		this.healthProblem = null;
		this.now = this.clock.now();
		return body;
	}

	private async poll(): Promise<void> {
		clearTimeout(this.polling);
		try {
			this.watch(await this.ask());
		} catch (error) {
			this.healthProblem = toProblem(error);
		}
		clearTimeout(this.polling);
		if (!this.stopped) this.polling = setTimeout(() => void this.poll(), HEALTH_MS);
	}

	/** A connection that looks open and brings nothing is renewed; a network that is new is followed from now on. */
	private watch(health: Health): void {
		if (this.stopped || this.connection?.kind !== 'live' || this.refused) return void (this.lastFrame = Date.now());
		for (const { network, processed_sequence } of this.followed(health)) {
			if (this.sequencer.position(network) != null || processed_sequence == null) continue;
			this.sequencer.seed(network, processed_sequence);
			this.socket?.subscribe(network, processed_sequence);
		}
		const behind = this.followed(health).some((n) => (n.processed_sequence ?? 0) > (this.sequencer.position(n.network) ?? Infinity));
		if (!behind) this.lastFrame = Date.now();
		else if (Date.now() - this.lastFrame > STUCK_MS) this.socket?.renew();
	}

	private tick(): void {
		this.here = Date.now();
		this.now = this.clock.now();
		if (this.feed.sweep(this.here)) this.show();
		this.sampling = this.feed.sampledAt != null && this.here - this.feed.sampledAt < 5_000;
	}

	private show(): void {
		this.rows = this.feed.rows;
		this.withheld = this.feed.withheld;
		this.came = this.feed.seen.transactions;
		this.more = this.tail != null && (this.tail.next != null || (this.tail.last != null && this.rows.at(-1)?.key !== this.tail.last && follows(this.filter)));
	}
}

/**
 * Everything the page shows, as one reactive object: health by polling, blocks and transactions by WebSocket, the past by
 * REST.
 *
 * Guarantees: no hole and no repeat between the past and the live stream (reading begins at the `processed_sequence` of the
 * first health answer, and of REST answers only what is at or below a network's position is taken); the DOM changes at most
 * once per `FLUSH_MS`, whatever the rate; data stays on the page when the connection goes.
 */

import type { Connection } from './backoff';
import { BlockHistory, type Seen } from './blocks';
import { ServerClock } from './clock';
import type { Block, DataFrame, Health, NetworkHealth, Page, Problem, Transaction } from './contract';
import { families } from './families.svelte';
import { Feed, following, type Filter, type Row } from './feed';
import { instant } from './format';
import { get, toProblem } from './http';
import { expired, reverted, said, type Notice } from './notices';
import { withRevert, type Reorg } from './overview/reorgs';
import { Sequencer, type Delivery } from './sequencer';
import { LiveSocket, socketAddress } from './socket';

/** Ten requests a minute; blocks themselves come by WebSocket. */
const HEALTH_MS = 6_000;
const FLUSH_MS = 250;
/** Frames waiting for a flush before one is made at once (a hidden tab has no animation frames). */
const PENDING = 20_000;
const FIRST_ROWS = 200;
const SPARK_BLOCKS = 40;
/** The stream counts as stuck when the store is ahead of it for this long without a frame. */
const STUCK_MS = 15_000;
const RESYNC_MS = 5_000;
/** What failed to load is asked for again with every second health answer. */
const RETRY_POLLS = 2;
/** Up to so many networks, the last blocks of each are loaded; of more, the last blocks of all of them, by one request. */
const EACH = 6;
const FIRST_BLOCKS = 500;

export interface NetworkView {
	health: NetworkHealth;
	spark: Seen[];
	/** Transactions per second over the trailing minute. */
	rate: number | null;
	/** Time of the newest block, milliseconds. */
	lastBlock: number | null;
	/** Of Bitcoin, median of the times of the last eleven blocks, milliseconds: windows are over up to here. */
	median: number | null;
	/** Of its newest block only the header is held. */
	headersOnly: boolean;
	/** Grows with each live block. */
	pulse: number;
}

export type Loading = { kind: 'loading' } | { kind: 'ready' } | { kind: 'error'; problem: Problem };

export class Live {
	connection = $state.raw<Connection>({ kind: 'connecting' });
	/** Of the server as a whole; null until it has said. */
	health = $state.raw<Health | null>(null);
	healthProblem = $state.raw<Problem | null>(null);
	healthAt = $state.raw<number | null>(null);
	networks = $state.raw<NetworkView[]>([]);
	table = $state.raw<Loading>({ kind: 'loading' });
	rows = $state.raw<Row[]>([]);
	withheld = $state.raw(0);
	seen = $state.raw({ transactions: 0, failed: 0 });
	sampling = $state.raw(false);
	filter = $state.raw<Filter>({ network: null, status: null });
	notices = $state.raw<Notice[]>([]);
	/** Those that came since the page was opened, oldest first. */
	reorgs = $state.raw<Reorg[]>([]);
	/** The server's clock, milliseconds; ticks each second. */
	now = $state.raw(0);
	/** Our own clock, milliseconds; ticks with it. */
	here = $state.raw(0);
	/** Grows with each block of any network. */
	pulse = $state.raw(0);

	private feed = new Feed();
	private histories = new Map<string, BlockHistory>();
	private pulses = new Map<string, number>();
	private sequencer = new Sequencer();
	private socket: LiveSocket | null = null;
	private pending: DataFrame[] = [];
	private flushDue = false;
	private flushedAt = 0;
	private readonly clock = new ServerClock();
	private lastFrame = 0;
	private polling: ReturnType<typeof setTimeout> | undefined;
	private ticking: ReturnType<typeof setInterval> | undefined;
	private loads: AbortController | null = null;
	private resynced = new Map<string, number>();
	private resyncs = new Map<string, ReturnType<typeof setTimeout>>();
	private polls = 0;
	/** Networks whose last blocks could not be loaded. */
	private withoutPast = new Set<string>();
	private stopped = false;

	start(): void {
		this.tick();
		this.ticking = setInterval(() => this.tick(), 1_000);
		void this.poll();
		addEventListener('online', this.reconnect);
		addEventListener('offline', this.networkGone);
	}

	stop(): void {
		this.stopped = true;
		clearTimeout(this.polling);
		clearInterval(this.ticking);
		for (const timer of this.resyncs.values()) clearTimeout(timer);
		this.loads?.abort();
		this.socket?.stop();
		removeEventListener('online', this.reconnect);
		removeEventListener('offline', this.networkGone);
	}

	reconnect = (): void => {
		if (this.connection.kind !== 'live') this.socket?.connect();
		clearTimeout(this.polling);
		void this.poll();
	};

	private networkGone = (): void => this.socket?.renew();

	/** Health, every two seconds, and whatever follows from it. */
	private async poll(): Promise<void> {
		try {
			const sent = Date.now();
			const { body, serverTime } = await get<Health>('/api/v1/health');
			if (this.stopped) return;
			this.clock.follow(serverTime, sent);
			this.health = body;
			families.learn(body.networks);
			this.healthProblem = null;
			this.healthAt = Date.now();
			this.follow(body.networks);
			this.watchStream(body.networks);
		} catch (error) {
			if (this.stopped) return;
			this.healthProblem = toProblem(error);
			if (!this.socket) this.connection = { kind: 'offline', failures: 1, at: Date.now() + HEALTH_MS };
		}
		this.refreshNetworks();
		clearTimeout(this.polling);
		this.polling = setTimeout(() => void this.poll(), HEALTH_MS);
	}

	/** Networks that are new to us: their position, their last blocks, their subscription. */
	private follow(networks: NetworkHealth[]): void {
		const fresh = networks.filter((n) => !this.histories.has(n.network));
		for (const n of fresh) {
			this.histories.set(n.network, new BlockHistory());
			this.sequencer.seed(n.network, n.processed_sequence ?? undefined);
		}
		this.loadPast(fresh.map((n) => n.network));
		if (!this.socket) {
			this.socket = new LiveSocket(
				socketAddress(),
				{
					connection: (state) => (this.connection = state),
					frame: (frame) => {
						this.lastFrame = Date.now();
						if (frame.type === 'cause' && this.feed.explain(frame.data)) this.schedule();
						this.deliver(this.sequencer.push(frame));
					},
					lost: () => this.sequencer.disconnected(),
					refused: (network, title, detail) => this.refused(network, title, detail)
				},
				() => [...this.histories.keys()].map((n) => [n, this.sequencer.position(n)] as const)
			);
			this.socket.connect();
			void this.loadRows();
		} else if (fresh.length > 0 && this.connection.kind === 'live') {
			for (const n of fresh) this.socket.subscribe(n.network, this.sequencer.position(n.network));
		}
		this.polls++;
		if (this.polls % RETRY_POLLS !== 0) return;
		if (this.table.kind === 'error' && !this.loads) void this.loadRows(true);
		this.loadPast([...this.withoutPast]);
	}

	private loadPast(networks: readonly string[]): void {
		if (networks.length > EACH) void this.loadBlocks(null);
		else for (const network of networks) void this.loadBlocks(network);
	}

	/** A connection that looks open and brings nothing while the store goes on is renewed. */
	private watchStream(networks: NetworkHealth[]): void {
		if (this.connection.kind !== 'live') return void (this.lastFrame = Date.now());
		const behind = networks.some((n) => (n.processed_sequence ?? 0) > (this.sequencer.position(n.network) ?? Infinity));
		if (!behind) this.lastFrame = Date.now();
		else if (Date.now() - this.lastFrame > STUCK_MS) this.socket?.renew();
	}

	/** The table's past, for the filter chosen. `quietly`: what is on the page stays until the answer has come. */
	loadRows = async (quietly = false): Promise<void> => {
		this.loads?.abort();
		const loads = (this.loads = new AbortController());
		if (!quietly) this.table = { kind: 'loading' };
		const query = new URLSearchParams({ limit: String(FIRST_ROWS) });
		if (this.filter.network) query.set('network', this.filter.network);
		if (this.filter.status) query.set('status', this.filter.status);
		try {
			const { body } = await get<Page<Transaction>>(`/api/v1/txs?${query}`, loads.signal);
			families.learn(body.items);
			this.feed.merge(body.items.filter((tx) => this.known(tx)));
			this.table = { kind: 'ready' };
		} catch (error) {
			if (loads.signal.aborted) return;
			this.table = { kind: 'error', problem: toProblem(error) };
		}
		if (this.loads === loads) this.loads = null;
		this.show();
	};

	/** `null`: of all networks. */
	private async loadBlocks(network: string | null): Promise<void> {
		const of = network == null ? [...this.histories.keys()] : [network];
		try {
			const query = new URLSearchParams(network == null ? { limit: String(FIRST_BLOCKS) } : { network, limit: '60' });
			const { body } = await get<Page<Block>>(`/api/v1/blocks?${query}`);
			for (const block of body.items) {
				if (this.known(block) && !this.feed.isGone(block.network, block.hash)) this.histories.get(block.network)?.apply(block, this.clock.now());
			}
			for (const name of of) this.withoutPast.delete(name);
			this.refreshNetworks();
		} catch {
			// Only the sparkline's past: live blocks fill it, and it is asked for again.
			for (const name of of) this.withoutPast.add(name);
		}
	}

	/** At or below the position: not to come over the WebSocket. */
	private known(item: { network: string; sequence: number }): boolean {
		return item.sequence <= (this.sequencer.position(item.network) ?? Infinity);
	}

	setFilter(filter: Filter): void {
		this.filter = filter;
		this.feed.setFilter(filter);
		this.show();
		void this.loadRows();
	}

	setPaused(paused: boolean): void {
		if (paused === this.feed.isPaused) return;
		if (paused) this.feed.pause();
		else this.feed.resume();
		this.show();
	}

	private deliver(delivery: Delivery | null): void {
		if (!delivery) return;
		if (delivery.kind === 'event') {
			for (const frame of delivery.frames) this.pending.push(frame);
			if (this.pending.length >= PENDING) this.flush();
			else this.schedule();
		} else if (delivery.kind === 'gap') {
			const text = `The live stream of ${delivery.network} was overtaken; its rows were loaded again`;
			this.notices = said(this.notices, 'gap', delivery.network, text, Date.now());
			this.resync(delivery.network);
		} else {
			this.resync(delivery.network);
		}
	}

	private resync(network: string): void {
		this.flush();
		const now = Date.now();
		const due = (this.resynced.get(network) ?? 0) + RESYNC_MS;
		if (now < due) {
			clearTimeout(this.resyncs.get(network));
			this.resyncs.set(network, setTimeout(() => this.resync(network), due - now));
			return;
		}
		this.resynced.set(network, now);
		this.feed.drop(network);
		this.histories.set(network, new BlockHistory());
		void this.loadBlocks(network);
		void this.loadRows();
	}

	/** A refused resumption is tried once more from the present on. */
	private refused(network: string | null, title: string, detail?: string): void {
		const text = `${network ? `${network}: ` : ''}${detail ? `${title}. ${detail}` : title}`;
		this.notices = said(this.notices, 'refused', network ?? '', text, Date.now());
		if (network && this.sequencer.position(network) != null) {
			this.sequencer.seed(network, undefined);
			this.socket?.subscribe(network, undefined);
			this.resync(network);
		}
	}

	private schedule(): void {
		if (this.flushDue) return;
		this.flushDue = true;
		const wait = Math.max(0, this.flushedAt + FLUSH_MS - performance.now());
		setTimeout(() => (document.hidden ? this.flush() : requestAnimationFrame(() => this.flush())), wait);
	}

	private flush(): void {
		this.flushDue = false;
		this.flushedAt = performance.now();
		if (this.pending.length === 0) return this.show();
		const frames = following(this.pending);
		this.pending = [];
		const now = Date.now();
		this.feed.commit(frames, now);
		for (const { type, op, network, data } of frames) {
			if (type !== 'block') continue;
			const history = this.histories.get(network);
			if (op === 'revert') {
				const transactions = history?.revert(data.hash)?.transactions ?? data.transaction_count ?? 0;
				this.notices = reverted(this.notices, network, data.height, transactions, now);
				const block = { network, height: data.height, time: instant(data.block_time), transactions };
				this.reorgs = withRevert(this.reorgs, block, this.clock.now());
			} else {
				history?.apply(data, this.clock.now());
				this.pulses.set(network, (this.pulses.get(network) ?? 0) + 1);
				this.pulse++;
			}
		}
		this.refreshNetworks();
		this.show();
	}

	private tick(): void {
		this.here = Date.now();
		this.now = this.clock.now();
		this.notices = expired(this.notices, this.here);
		if (this.feed.sweep(this.here)) this.show();
		this.sampling = this.feed.sampledAt != null && this.here - this.feed.sampledAt < 5_000;
		this.refreshNetworks();
	}

	private show(): void {
		this.rows = this.feed.rows;
		this.withheld = this.feed.withheld;
		this.seen = this.feed.seen;
	}

	private refreshNetworks(): void {
		const now = this.clock.now();
		this.networks = (this.health?.networks ?? []).map((health) => {
			const history = this.histories.get(health.network);
			return {
				health,
				spark: history?.last(SPARK_BLOCKS) ?? [],
				rate: health.tx_per_second ?? history?.rate(now) ?? null,
				lastBlock: Math.max(history?.newest?.time ?? 0, instant(health.last_block_at) ?? 0) || null,
				median: history?.newest?.median ?? null,
				headersOnly: history?.newest?.header === true,
				pulse: this.pulses.get(health.network) ?? 0
			};
		});
	}
}

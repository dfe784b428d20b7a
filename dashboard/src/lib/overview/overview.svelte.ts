/**
 * Figures of the page `/` as one reactive object: windows of the network that is looked at, the last minutes of all networks, the
 * endpoints' states, and the diagnosis.
 *
 * Guarantees: requests come as `EVERY_MS` paces them whatever the number of networks (each is for all of them, or of the one that is looked at), and
 * none while the page is hidden; windows come by WebSocket and, without one, by asking; the DOM changes at most once per `FLUSH_MS`; what is on the page stays
 * when an answer does not come; an answer for what is no longer looked at is dropped.
 */

import { untrack } from 'svelte';
import type { Connection } from '../backoff';
import { ServerClock } from '../clock';
import type { Frame, Health, Page, Problem, Provider } from '../contract';
import { get, toProblem } from '../http';
import { ProviderBook } from '../providers/book';
import { LiveSocket, socketAddress } from '../socket';
import { LagBook } from './lag';
import { axisOf, DEFAULT, sameAxis, startOf, type Axis, type View } from './range';
import { METRICS, type CausesAnswer, type CausesPoint, type Completeness, type Diagnosis, type OverviewItem, type SeriesAnswer, type WindowData } from './shapes';
import { WindowBook } from './windows';

const FLUSH_MS = 250;
const TICK_MS = 1_000;
/** How often things are asked for again. Together, with `/health` every six seconds, about twenty requests a minute. */
const EVERY_MS = {
	recent: 30_000,
	day: 300_000,
	causes: 45_000,
	diagnosis: 45_000,
	providers: 60_000,
	completeness: 120_000,
	/** With windows by WebSocket: to be sure. Without: `SERIES_ASKED_MS`. */
	series: 300_000
};
const SERIES_ASKED_MS = 10_000;
/** Until what failed is tried again: twice as long after each further failure, up to the longest. */
const RETRY_MS = 10_000;
const LONGEST_MS = 60_000;
/** The diagnosis is asked for at once when an endpoint's state changes, no oftener than this. */
const AGAIN_MS = 15_000;

type Ask = keyof typeof EVERY_MS;

export class Overview {
	view = $state.raw<View>(DEFAULT);
	/** The network that is looked at; empty until one is known. */
	network = $state('');
	axis = $state.raw<Axis>(axisOf(DEFAULT, 0));
	/** Grows with each change of the windows that are looked at. */
	changed = $state(0);
	/** `series` has been answered for what is looked at. */
	loaded = $state(false);
	problem = $state.raw<Problem | null>(null);
	causes = $state.raw<CausesPoint[]>([]);
	causesProblem = $state.raw<Problem | null>(null);
	diagnosis = $state.raw<Diagnosis | null>(null);
	diagnosisProblem = $state.raw<Problem | null>(null);
	completeness = $state.raw<Completeness | null>(null);
	providers = $state.raw<Provider[]>([]);
	/** By network. */
	recent = $state.raw<ReadonlyMap<string, OverviewItem>>(new Map());
	day = $state.raw<ReadonlyMap<string, OverviewItem>>(new Map());
	/** Why the last minutes of all networks, or the endpoints, could not be read the last time. */
	recentProblem = $state.raw<Problem | null>(null);
	providersProblem = $state.raw<Problem | null>(null);
	/** The last minutes were read once. */
	known = $state(false);
	connection = $state.raw<Connection>({ kind: 'connecting' });
	/** The server's clock, milliseconds; ticks each second. */
	now = $state(0);

	book = new WindowBook();
	readonly lag = new LagBook();

	private readonly endpoints = new ProviderBook();
	private readonly clock = new ServerClock();
	private socket: LiveSocket | null = null;
	private contractSocket: LiveSocket | null = null;
	/** The server has the topic `windows`. */
	private pushed = false;
	private readonly due = new Map<Ask, number>();
	/** How often each failed since it last did not. */
	private readonly failures = new Map<Ask, number>();
	private ticking: ReturnType<typeof setInterval> | undefined;
	private flushing: ReturnType<typeof setTimeout> | undefined;
	private frames: WindowData[] = [];
	private gone = new AbortController();
	private looking = new AbortController();
	private providersChanged = false;
	/** Of the endpoints of the network that is looked at. */
	private states = '';

	start(view: View): void {
		this.view = view;
		this.tick();
		this.ticking = setInterval(() => this.tick(), TICK_MS);
		document.addEventListener('visibilitychange', this.tick);
	}

	stop(): void {
		this.gone.abort();
		this.looking.abort();
		clearInterval(this.ticking);
		clearTimeout(this.flushing);
		this.socket?.stop();
		this.contractSocket?.stop();
		document.removeEventListener('visibilitychange', this.tick);
	}

	/** Looks at something else. What is not told of it yet is loaded. */
	look(view: View): void {
		const { network, contract, axis } = untrack(() => ({ network: this.network, contract: this.view.contract, axis: this.axis }));
		this.view = view;
		if (view.network) this.network = view.network;
		const next = axisOf(view, this.clock.now());
		const other = this.network !== network || view.contract !== contract;
		if (!other && sameAxis(next, axis)) return;
		this.axis = next;
		this.renew(other, next.step !== axis.step);
		if (view.contract !== contract) this.subscribe();
	}

	retry = (): void => {
		this.due.clear();
		this.failures.clear();
		if (this.connection.kind !== 'live') this.socket?.connect();
		this.ask();
	};

	/** What `/health` told; the first network of it is looked at where the address names none. */
	heard(health: Health | null): void {
		if (!health) return;
		const now = this.clock.now();
		for (const n of health.networks) this.lag.seen(n.network, n.lag_blocks, now);
		const network = untrack(() => this.network);
		if (!network && health.networks.length > 0) {
			const wanted = this.view.network;
			this.network = wanted || worst(health);
			this.renew(true, true);
		}
		if (!this.socket) this.connect();
	}

	/** Nothing is held of what is looked at now. */
	private renew(other: boolean, otherStep: boolean): void {
		this.looking.abort();
		this.looking = new AbortController();
		if (other || otherStep) {
			this.book = new WindowBook();
			this.loaded = false;
			this.causes = [];
		}
		if (other) {
			this.diagnosis = null;
			this.completeness = null;
		}
		this.problem = this.causesProblem = this.diagnosisProblem = null;
		this.frames = [];
		this.changed++;
		for (const what of ['series', 'causes', 'diagnosis', 'completeness'] as const) this.due.delete(what);
		if (this.ticking) this.ask();
	}

	private connect(): void {
		this.socket = new LiveSocket(
			socketAddress(),
			{
				connection: (state) => {
					const was = this.connection.kind;
					this.connection = state;
					// What came while there was no connection is not told again.
					if (state.kind === 'live' && was !== 'live') {
						for (const what of ['series', ...this.failures.keys()] as const) this.due.delete(what);
						this.failures.clear();
					}
					if (state.kind !== 'live') this.pushed = false;
				},
				frame: (frame) => this.frame(frame),
				lost: () => {},
				refused: () => {}
			},
			() => [[null, undefined]],
			['windows', 'providers']
		);
		this.socket.connect();
		this.subscribe();
	}

	/** Windows of the contract that is looked at, beside those of networks. */
	private subscribe(): void {
		this.contractSocket?.stop();
		this.contractSocket = null;
		const { contract } = this.view;
		if (!contract || !this.socket) return;
		const network = this.network;
		this.contractSocket = new LiveSocket(
			socketAddress(),
			{ connection: () => {}, frame: (frame) => this.frame(frame), lost: () => {}, refused: () => {} },
			() => [[network, undefined]],
			['windows'],
			{ contract }
		);
		this.contractSocket.connect();
	}

	private frame(frame: Frame): void {
		if (frame.type === 'provider') {
			this.endpoints.frame(frame.op, frame.data, Date.now());
			this.providersChanged = true;
		} else if (frame.type === 'window') {
			if (!this.pushed && this.loaded) this.due.set('series', Date.now() + EVERY_MS.series);
			this.pushed = true;
			const { data, network } = frame;
			const contract = data.contract ?? '';
			if (network !== this.network || contract !== this.view.contract || data.window_seconds * 1_000 !== this.axis.step.ms) return;
			this.frames.push(data);
		} else return;
		this.flushing ??= setTimeout(() => this.flush(), FLUSH_MS);
	}

	private flush(): void {
		clearTimeout(this.flushing);
		this.flushing = undefined;
		const now = Date.now();
		let windows = false;
		for (const data of this.frames) windows = this.book.frame(data, now) || windows;
		this.frames = [];
		if (windows) this.changed++;
		if (this.providersChanged) {
			this.providersChanged = false;
			this.showProviders();
		}
	}

	private showProviders(): void {
		this.providers = this.endpoints.networks().flatMap((n) => n.providers);
		const states = this.providers.map((p) => (p.network === this.network ? `${p.name} ${p.state}` : '')).join();
		if (states === this.states) return;
		this.states = states;
		// What the diagnosis says of endpoints is no longer so.
		const due = this.due.get('diagnosis') ?? Infinity;
		if (due !== Infinity) this.due.set('diagnosis', Math.min(due, Math.max(Date.now(), due - EVERY_MS.diagnosis + AGAIN_MS)));
	}

	private tick = (): void => {
		this.now = this.clock.now();
		if (this.view.between == null) {
			const next = axisOf(this.view, this.now);
			if (!sameAxis(next, this.axis)) {
				// A new step begins: the picture moves on by one.
				const before = this.axis.from;
				const same = next.step === this.axis.step && next.length === this.axis.length;
				this.axis = next;
				if (same) this.book.before(startOf(next, -1));
				// Asleep meanwhile: what came then is not told again.
				if (next.from - before > 2 * next.step.ms) this.due.delete('series');
				this.changed++;
			}
		}
		this.ask();
	};

	/** Whatever is due. */
	private ask(): void {
		if (document.hidden) return;
		this.once('recent', this.gone.signal, async (signal) => {
			this.recent = await this.overview('5m', signal);
			this.recentProblem = null;
			this.known = true;
		}, (problem) => (this.recentProblem = problem));
		this.once('day', this.gone.signal, async (signal) => {
			this.day = await this.overview('24h', signal);
		});
		this.once('providers', this.gone.signal, async (signal) => {
			const sent = Date.now();
			const { body } = await get<Page<Provider>>('/api/v1/providers/health', signal);
			this.endpoints.answer(body.items, sent, Date.now());
			this.providersProblem = null;
			this.showProviders();
		}, (problem) => (this.providersProblem = problem));
		if (!this.network) return;
		const { signal } = this.looking;
		this.once('series', signal, () => this.loadSeries(signal), (problem) => (this.problem = problem));
		this.once('causes', signal, async () => {
			const { body } = await get<CausesAnswer>(`/api/v1/metrics/causes?${this.where(true)}`, signal);
			this.causes = body.items;
			this.causesProblem = null;
		}, (problem) => (this.causesProblem = problem));
		this.once('diagnosis', signal, async () => {
			const query = this.where(false);
			if (this.view.between) query.set('at', new Date(this.axis.to).toISOString());
			const { body } = await get<Diagnosis>(`/api/v1/diagnosis?${query}`, signal);
			this.diagnosis = body;
			this.diagnosisProblem = null;
		}, (problem) => (this.diagnosisProblem = problem));
		this.once('completeness', signal, async () => {
			const { body } = await get<Completeness>(`/api/v1/networks/${encodeURIComponent(this.network)}/completeness`, signal);
			this.completeness = body;
		});
	}

	private once(what: Ask, signal: AbortSignal, load: (signal: AbortSignal) => Promise<void>, said?: (problem: Problem) => void): void {
		const now = Date.now();
		if ((this.due.get(what) ?? 0) > now) return;
		this.due.set(what, Infinity);
		load(signal).then(
			() => {
				if (signal.aborted) return;
				this.failures.delete(what);
				this.due.set(what, now + (what === 'series' && !this.pushed ? SERIES_ASKED_MS : EVERY_MS[what]));
			},
			(error: unknown) => {
				if (signal.aborted) return;
				const failed = this.failures.get(what) ?? 0;
				this.failures.set(what, failed + 1);
				this.due.set(what, Date.now() + Math.min(LONGEST_MS, RETRY_MS * 2 ** failed));
				said?.(toProblem(error));
			}
		);
	}

	private async loadSeries(signal: AbortSignal): Promise<void> {
		const query = this.where(true);
		query.set('metric', METRICS.join());
		const sent = Date.now();
		const { body, serverTime } = await get<SeriesAnswer>(`/api/v1/metrics/series?${query}`, signal);
		this.clock.follow(serverTime, sent);
		this.book.answer(body, sent);
		this.problem = null;
		this.loaded = true;
		this.changed++;
	}

	private async overview(window: string, signal: AbortSignal): Promise<ReadonlyMap<string, OverviewItem>> {
		const sent = Date.now();
		const { body, serverTime } = await get<{ items: OverviewItem[] }>(`/api/v1/metrics/overview?window=${window}`, signal);
		this.clock.follow(serverTime, sent);
		// Of one that failed there is the reason, and no figure.
		const none = { transactions: null, failed: null, failure_rate: null };
		return new Map(body.items.map((item) => [item.network, { ...none, ...item }]));
	}

	/** What is looked at, for a request. */
	private where(steps: boolean): URLSearchParams {
		const query = new URLSearchParams({ network: this.network });
		if (this.view.contract) query.set('contract', this.view.contract);
		if (steps) {
			query.set('step', this.axis.step.name);
			query.set('from', new Date(this.axis.from).toISOString());
			query.set('to', new Date(this.axis.to).toISOString());
		}
		return query;
	}
}

/** The first that is in trouble, or the first. */
function worst(health: Health): string {
	const ill = health.networks.find((n) => !['live', 'syncing', 'starting'].includes(n.state));
	return (ill ?? health.networks[0]!).network;
}

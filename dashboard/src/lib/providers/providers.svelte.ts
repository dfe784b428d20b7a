/**
 * Everything the page of endpoints shows, as one reactive object: states by REST first and then by WebSocket, the last hour
 * of each card that is in sight by REST, once a minute.
 *
 * Guarantees: without a WebSocket the states are asked for instead, every `POLL_MS`; an endpoint that left the configuration
 * leaves the page as soon as the server tells, or with the next answer; the DOM changes at most once per `FLUSH_MS`; at most `AT_ONCE`
 * histories are on their way; what is on the page stays when the connection goes.
 */

import { SvelteMap } from 'svelte/reactivity';
import type { Connection } from '../backoff';
import { ServerClock } from '../clock';
import type { Page, Problem, Provider, ProviderDetail, ProviderMinute } from '../contract';
import { get, RequestError, toProblem } from '../http';
import { LiveSocket, socketAddress } from '../socket';
import { keyOf, ProviderBook } from './book';
import { HOUR_MS, MINUTE_MS, type Span } from './history';

const POLL_MS = 5_000;
const LIVE_POLL_MS = 30_000;
const FLUSH_MS = 250;
const AT_ONCE = 4;
const RETRY_MS = 10_000;

export interface Hour {
	minutes: ProviderMinute[] | null;
	/** Why the last attempt failed; what was there before stays. */
	problem: Problem | null;
}

export class Providers {
	connection = $state.raw<Connection>({ kind: 'connecting' });
	/** Null until the first answer. */
	networks = $state.raw<{ network: string; providers: Provider[] }[] | null>(null);
	problem = $state.raw<Problem | null>(null);
	/** When a state was last heard, by the server's clock. */
	heardAt = $state.raw<number | null>(null);
	/** The server's clock, milliseconds; ticks each second. */
	now = $state.raw(0);
	/** Our own clock; ticks with it. */
	here = $state.raw(0);
	/** Grows with each change. */
	pulse = $state.raw(0);
	/** Histories of the last hour, of cards that were in sight. */
	readonly hours = new SvelteMap<string, Hour>();

	private readonly book = new ProviderBook();
	private readonly clock = new ServerClock();
	private socket: LiveSocket | null = null;
	/** The server takes the topic. */
	private pushed = true;
	private polling: ReturnType<typeof setTimeout> | undefined;
	private ticking: ReturnType<typeof setInterval> | undefined;
	private flushing: ReturnType<typeof setTimeout> | undefined;
	private readonly gone = new AbortController();
	private readonly inSight = new Map<string, { network: string; name: string }>();
	/** When a history is to be asked for, by our clock; infinity while it is on its way. */
	private readonly due = new Map<string, number>();

	/** What is on the page is of this time (server's clock) and no longer kept up; null while it is. */
	get staleSince(): number | null {
		return this.problem && !(this.connection.kind === 'live' && this.pushed) ? this.heardAt : null;
	}

	start(): void {
		this.tick();
		this.ticking = setInterval(() => this.tick(), 1_000);
		this.socket = new LiveSocket(
			socketAddress(),
			{
				connection: (state) => this.connected(state),
				frame: (frame) => {
					if (frame.type !== 'provider') return;
					this.book.frame(frame.op, frame.data, Date.now());
					this.heardAt = this.clock.now();
					this.flushing ??= setTimeout(() => this.show(), FLUSH_MS);
				},
				lost: () => {},
				refused: () => {
					this.pushed = false;
					this.pollIn(POLL_MS);
				}
			},
			() => [[null, undefined]],
			['providers']
		);
		this.socket.connect();
		void this.poll();
		addEventListener('online', this.retry);
		addEventListener('offline', this.offline);
	}

	stop(): void {
		this.gone.abort();
		clearTimeout(this.polling);
		clearTimeout(this.flushing);
		clearInterval(this.ticking);
		this.socket?.stop();
		removeEventListener('online', this.retry);
		removeEventListener('offline', this.offline);
	}

	retry = (): void => {
		if (this.connection.kind !== 'live') this.socket?.connect();
		void this.poll();
	};

	private offline = (): void => this.socket?.renew();

	find(network: string, name: string): Provider | null {
		return this.networks?.find((n) => n.network === network)?.providers.find((p) => p.name === name) ?? null;
	}

	/** Keeps the last hour of an endpoint up to date until the answered function is called. */
	watch(network: string, name: string): () => void {
		const key = keyOf({ network, name });
		const wanted = { network, name };
		this.inSight.set(key, wanted);
		this.loadHours();
		return () => {
			if (this.inSight.get(key) === wanted) this.inSight.delete(key);
		};
	}

	/** The state and the minutes of one endpoint over a span; the problem of the store where there are no minutes for it. */
	async history(network: string, name: string, span: Pick<Span, 'ms'>, signal: AbortSignal): Promise<ProviderDetail> {
		const to = Math.floor(this.clock.now() / MINUTE_MS) * MINUTE_MS + MINUTE_MS;
		const query = new URLSearchParams({ from: new Date(to - span.ms).toISOString(), to: new Date(to).toISOString() });
		const path = `/api/v1/providers/${encodeURIComponent(network)}/${encodeURIComponent(name)}?${query}`;
		const { body } = await get<ProviderDetail>(path, signal);
		if (body.history_error) throw new RequestError({ title: 'The store gave no history', detail: body.history_error });
		return body;
	}

	private connected(state: Connection): void {
		const was = this.connection.kind;
		this.connection = state;
		if (state.kind === 'live') this.pushed = true;
		else if (was === 'live') this.pollIn(0);
	}

	private async poll(): Promise<void> {
		clearTimeout(this.polling);
		const sent = Date.now();
		try {
			const { body, serverTime } = await get<Page<Provider>>('/api/v1/providers/health', this.gone.signal);
			this.clock.follow(serverTime, sent);
			this.book.answer(body.items, sent, Date.now());
			this.heardAt = this.clock.now();
			this.problem = null;
			this.show();
		} catch (error) {
			if (this.gone.signal.aborted) return;
			this.problem = toProblem(error);
		}
		this.pollIn(this.problem || this.connection.kind !== 'live' || !this.pushed ? POLL_MS : LIVE_POLL_MS);
	}

	private pollIn(ms: number): void {
		clearTimeout(this.polling);
		this.polling = setTimeout(() => void this.poll(), ms);
	}

	private show(): void {
		clearTimeout(this.flushing);
		this.flushing = undefined;
		this.networks = this.book.networks();
		this.pulse++;
		this.now = this.clock.now();
	}

	private tick(): void {
		this.here = Date.now();
		this.now = this.clock.now();
		this.loadHours();
	}

	private loadHours(): void {
		let free = AT_ONCE;
		for (const due of this.due.values()) if (due === Infinity) free--;
		const now = Date.now();
		for (const [key, { network, name }] of this.inSight) {
			if (free <= 0) return;
			if ((this.due.get(key) ?? 0) > now) continue;
			free--;
			this.due.set(key, Infinity);
			void this.loadHour(key, network, name);
		}
	}

	private async loadHour(key: string, network: string, name: string): Promise<void> {
		let hour: Hour;
		try {
			const { history } = await this.history(network, name, { ms: HOUR_MS }, this.gone.signal);
			hour = { minutes: history ?? [], problem: null };
		} catch (error) {
			hour = { minutes: this.hours.get(key)?.minutes ?? null, problem: toProblem(error) };
		}
		if (this.gone.signal.aborted) return;
		this.hours.set(key, hour);
		this.due.set(key, Date.now() + (hour.problem ? RETRY_MS : MINUTE_MS));
		this.loadHours();
	}
}

/**
 * The WebSocket's life: connect, subscribe what is wanted, each network behind its position, and connect again after any end.
 *
 * Guarantee: at most one connection at a time, and a next attempt is always due until `stop`.
 */

import { afterClose, type Connection } from './backoff';
import type { Frame } from './contract';

export interface SocketEvents {
	connection(state: Connection): void;
	frame(frame: Frame): void;
	/** A connection ended; unfinished events are void. */
	lost(): void;
	/** A subscription was refused; `null`: that of all networks. */
	refused(network: string | null, title: string, detail?: string): void;
}

/** Milliseconds until a connection that does not open is given up. */
const OPEN_MS = 8_000;
const PING_MS = 20_000;

/** The WebSocket of the server that the page came from. */
export function socketAddress(): string {
	return `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/api/v1/ws`;
}

export class LiveSocket {
	private socket: WebSocket | null = null;
	private failures = 0;
	private opened: number | null = null;
	private timer: ReturnType<typeof setTimeout> | undefined;
	private ping: ReturnType<typeof setInterval> | undefined;
	private requests = new Map<number, string | null>();
	private nextId = 1;
	private stopped = false;

	constructor(
		private readonly url: string,
		private readonly events: SocketEvents,
		/** What to subscribe on every connection; the network `null` is all of them. */
		private readonly wanted: () => Iterable<readonly [network: string | null, after: number | undefined]>,
		private readonly topics: readonly string[] = ['blocks', 'transactions'],
		/** What transactions are narrowed by, as the API calls it. */
		private readonly narrowing: Readonly<Record<string, string>> = {}
	) {}

	/** Connects now, also when an attempt is waiting for its time. */
	connect(): void {
		if (this.stopped) return;
		clearTimeout(this.timer);
		this.detach();
		this.opened = null;
		this.events.connection({ kind: 'connecting' });
		const socket = new WebSocket(this.url);
		this.socket = socket;
		this.timer = setTimeout(() => this.ended(socket), OPEN_MS);
		socket.onopen = () => {
			clearTimeout(this.timer);
			this.opened = Date.now();
			this.requests.clear();
			this.events.connection({ kind: 'live' });
			for (const [network, sequence] of this.wanted()) this.subscribe(network, sequence);
			this.ping = setInterval(() => this.send({ op: 'ping' }), PING_MS);
		};
		socket.onmessage = (message) => this.received(message.data);
		socket.onclose = () => this.ended(socket);
	}

	/** Closes what is there and connects again by the rules of back-off. */
	renew(): void {
		if (this.socket) this.ended(this.socket);
	}

	subscribe(network: string | null, after: number | undefined): void {
		const id = this.nextId++;
		this.requests.set(id, network);
		const where = { ...(network == null ? {} : { network }), ...(after == null ? {} : { after }) };
		this.send({ op: 'subscribe', id, topics: this.topics, ...where, ...this.narrowing });
	}

	stop(): void {
		this.stopped = true;
		clearTimeout(this.timer);
		this.detach();
	}

	private send(message: object): void {
		if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
	}

	private received(data: unknown): void {
		let frame: Frame;
		try {
			frame = JSON.parse(String(data)) as Frame;
		} catch {
			return;
		}
		if (frame.type === 'error') {
			const { title, detail } = frame.problem;
			this.events.refused((frame.id != null && this.requests.get(frame.id)) || null, title, detail);
		} else {
			this.events.frame(frame);
		}
	}

	private ended(socket: WebSocket): void {
		if (socket !== this.socket || this.stopped) return;
		this.detach();
		const next = afterClose(this.failures, this.opened, Date.now(), navigator.onLine, Math.random());
		this.failures = next.failures;
		this.events.lost();
		this.events.connection(next);
		this.timer = setTimeout(() => this.connect(), Math.max(0, next.at - Date.now()));
	}

	private detach(): void {
		clearInterval(this.ping);
		clearTimeout(this.timer);
		const socket = this.socket;
		this.socket = null;
		if (!socket) return;
		socket.onopen = socket.onmessage = socket.onclose = null;
		socket.close();
	}
}

/**
 * Says that something about alerts is new: at once by the WebSocket, and every `POLL_MS` for whoever has none.
 *
 * Guarantee: nobody hears it more often than every `REST_MS` nor while it still reads what it heard before, and the last word is always heard.
 * However many listen, it is one connection.
 */

import type { Connection } from '../backoff';
import { LiveSocket, socketAddress } from '../socket';

const POLL_MS = 15_000;
const REST_MS = 500;
/** Frames that something may be new after: what came before a subscription began is read once it has. */
const SAYS: readonly string[] = ['subscribed', 'alert', 'gap'];

interface Listener {
	soon: () => void;
	connection: (state: Connection) => void;
}

const listeners = new Set<Listener>();
let socket: LiveSocket | null = null;
let state: Connection = { kind: 'connecting' };

function told(): void {
	for (const listener of listeners) listener.soon();
}

function connect(): void {
	socket = new LiveSocket(
		socketAddress(),
		{
			connection: (next) => {
				state = next;
				for (const listener of listeners) listener.connection(next);
			},
			frame: (frame) => {
				if (SAYS.includes(frame.type)) told();
			},
			lost: told,
			// Then it is asked for now and then.
			refused: () => {}
		},
		() => [[null, undefined]],
		['alerts']
	);
	socket.connect();
}

/** `heard` reads what is new. Answers what ends it. */
export function news(heard: () => Promise<void>, connection: (state: Connection) => void = () => {}): () => void {
	let timer: ReturnType<typeof setTimeout> | undefined;
	let reading = false;
	let missed = false;
	let over = false;
	const soon = () => {
		if (reading) missed = true;
		else if (!over) timer ??= setTimeout(read, REST_MS);
	};
	const read = async () => {
		timer = undefined;
		reading = true;
		await heard().catch(() => {});
		reading = false;
		if (!missed) return;
		missed = false;
		soon();
	};
	const listener = { soon, connection };
	listeners.add(listener);
	if (socket) connection(state);
	else connect();
	const polling = setInterval(() => {
		if (document.visibilityState === 'visible') soon();
	}, POLL_MS);
	return () => {
		over = true;
		clearTimeout(timer);
		clearInterval(polling);
		listeners.delete(listener);
		if (listeners.size > 0) return;
		socket?.stop();
		socket = null;
		state = { kind: 'connecting' };
	};
}

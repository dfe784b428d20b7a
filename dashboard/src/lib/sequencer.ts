/**
 * Frames of the WebSocket, grouped into whole block events.
 *
 * Guarantee: a block event is handed on exactly once and only when its `position` frame has come, also over any number of
 * lost connections, because what was incomplete is forgotten with the connection and `after` asks for it again. Counts made
 * from what is handed on are therefore exact. A position that goes back (a server with another log) is reported, not hidden.
 */

import type { DataFrame, Frame } from './contract';

/** Frames held of one unfinished event before they are handed on regardless: far above any real block. */
export const MAX_OPEN = 50_000;

export type Delivery =
	| { kind: 'event'; network: string; frames: DataFrame[] }
	| { kind: 'gap'; network: string; from: number; to: number }
	| { kind: 'restart'; network: string };

export class Sequencer {
	private positions = new Map<string, number>();
	private open = new Map<string, DataFrame[]>();

	/** The resume token of a network. */
	position(network: string): number | undefined {
		return this.positions.get(network);
	}

	/** Where a network's reading begins: everything up to here is known from elsewhere. */
	seed(network: string, sequence: number | undefined): void {
		if (sequence == null) this.positions.delete(network);
		else this.positions.set(network, sequence);
		this.open.delete(network);
	}

	/** The connection is gone: unfinished events will be sent again. */
	disconnected(): void {
		this.open.clear();
	}

	push(frame: Frame): Delivery | null {
		if (frame.type === 'block' || frame.type === 'transaction') {
			if (frame.sequence <= (this.positions.get(frame.network) ?? -1)) return null;
			const frames = this.open.get(frame.network) ?? [];
			if (frames.length === 0) this.open.set(frame.network, frames);
			frames.push(frame);
			return frames.length >= MAX_OPEN ? this.take(frame.network) : null;
		}
		if (frame.type === 'position') {
			const known = this.positions.get(frame.network);
			this.positions.set(frame.network, frame.sequence);
			if (known != null && frame.sequence < known) {
				this.open.delete(frame.network);
				return { kind: 'restart', network: frame.network };
			}
			return this.take(frame.network);
		}
		if (frame.type === 'gap') {
			this.open.delete(frame.network);
			this.positions.set(frame.network, Math.max(frame.to, this.positions.get(frame.network) ?? frame.to));
			return { kind: 'gap', network: frame.network, from: frame.from, to: frame.to };
		}
		return null;
	}

	private take(network: string): Delivery | null {
		const frames = this.open.get(network);
		this.open.delete(network);
		return frames?.length ? { kind: 'event', network, frames } : null;
	}
}

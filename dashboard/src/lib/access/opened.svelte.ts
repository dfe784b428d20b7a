/**
 * One thing that is kept in versions, as it was last read, to be looked at and removed.
 *
 * Guarantees: of two readings the later one holds; what was read stays when another reading fails; nothing is removed that is not as it was read.
 */

import type { Problem } from '../contract';
import { get, send, toProblem } from '../http';

export class Opened<T> {
	/** Null until it is read. */
	thing = $state.raw<T | null>(null);
	/** Its version, for `If-Match`. */
	etag = $state.raw<string | null>(null);
	problem = $state.raw<Problem | null>(null);

	private request: AbortController | null = null;

	/** `path` is where it is read: `/api/v1/contracts/ID`. */
	constructor(readonly path: string) {}

	/** Now, or once more. */
	read(): void {
		this.request?.abort();
		const request = (this.request = new AbortController());
		this.problem = null;
		get<T>(this.path, request.signal)
			.then(({ body, etag }) => this.keep(body, etag))
			.catch((error: unknown) => {
				if (!request.signal.aborted) this.problem = toProblem(error);
			});
	}

	/** What a change made of it. */
	keep(thing: T, etag: string | null): void {
		this.thing = thing;
		this.etag = etag;
	}

	/** @throws Error that says what to do, where it was changed since it was read: it is read anew then. */
	async remove(): Promise<void> {
		try {
			await send('DELETE', this.path, { ifMatch: this.etag });
		} catch (error) {
			const { status } = toProblem(error);
			if (status === 412) {
				this.read();
				throw new Error('It was changed since you looked at it. It is read anew: look at it, and remove it if you still want to.');
			}
			// Somebody else removed it: that is what was wanted.
			if (status !== 404) throw error;
		}
	}

	stop(): void {
		this.request?.abort();
	}
}

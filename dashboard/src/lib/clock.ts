/**
 * The server's clock, by the `Date` header of its answers, so that ages are right on a machine whose own clock is not.
 * Within a second and a half (the header counts whole seconds) our own is taken.
 */
export class ServerClock {
	private offset = 0;

	/** Milliseconds since the epoch. */
	now(): number {
		return Date.now() + this.offset;
	}

	/** `serverTime` is what an answer said whose request was sent at `sent` by our clock; null when it said nothing. */
	follow(serverTime: number | null, sent: number, received = Date.now()): void {
		if (serverTime == null) return;
		const measured = serverTime + 500 - (sent + received) / 2;
		this.offset = Math.abs(measured) < 1_500 ? 0 : measured;
	}
}

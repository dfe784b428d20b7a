/** One key for what somebody means to do once (`Idempotency-Key`). */

/** Random text. `crypto.randomUUID` is only there on TLS and on loopback. */
function random(): string {
	return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The same key as long as the same is asked for, so that a second try after a lost answer does nothing twice. */
export class Intent {
	private last: { body: string; key: string } | null = null;

	key(body: unknown): string {
		const text = JSON.stringify(body);
		if (this.last?.body !== text) this.last = { body: text, key: random() };
		return this.last.key;
	}

	/** It was done: the same again is meant again. */
	done(): void {
		this.last = null;
	}
}

/**
 * When to connect again. Guarantee: never a busy loop, never a stampede (full jitter over the upper half of the delay), and
 * never a wait above `MAX_MS`; a connection that held for `STEADY_MS` forgets the failures before it.
 */

export const FIRST_MS = 500;
export const MAX_MS = 15_000;
/** A connection that lives at least this long counts as good. */
export const STEADY_MS = 5_000;
/** From this many failures in a row on, the page says "offline". */
export const OFFLINE_AFTER = 4;

export type Connection =
	| { kind: 'connecting' }
	| { kind: 'live' }
	| { kind: 'reconnecting'; failures: number; at: number }
	| { kind: 'offline'; failures: number; at: number };

/** Delay before attempt `failures` + 1, in milliseconds; `random` in [0, 1). */
export function delay(failures: number, random: number): number {
	const full = Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(Math.max(failures, 1) - 1, 10));
	return Math.round(full / 2 + (full / 2) * random);
}

/** What follows a connection that ended at `now`. `opened`: when it came up, null when it never did. */
export function afterClose(
	failures: number,
	opened: number | null,
	now: number,
	online: boolean,
	random: number
): Extract<Connection, { at: number }> {
	const held = opened != null && now - opened >= STEADY_MS;
	const next = (held ? 0 : failures) + 1;
	const kind = !online || next >= OFFLINE_AFTER ? 'offline' : 'reconnecting';
	return { kind, failures: next, at: now + delay(next, random) };
}

/** Whole seconds left until `at`, for the countdown; 0 when due. */
export function secondsLeft(at: number, now: number): number {
	return Math.max(0, Math.ceil((at - now) / 1000));
}

/** What a key's row says, and who ends with it. */

import { instant } from '../format';
import { mayGive, whyNot } from './scopes';
import type { Key, Me } from './shapes';

/** Milliseconds before its end in which a key is told to end soon. */
const SOON_MS = 7 * 86_400_000;

export type KeyState = 'good' | 'soon' | 'expired' | 'revoked';

export function stateOf(key: Key, now: number): KeyState {
	if (key.revoked_at) return 'revoked';
	const end = instant(key.expires_at);
	if (end == null) return 'good';
	if (end <= now) return 'expired';
	return end - now <= SOON_MS ? 'soon' : 'good';
}

export function ended(key: Key, now: number): boolean {
	return ['expired', 'revoked'].includes(stateOf(key, now));
}

/** Those that work first, each by age. */
export function inOrder(keys: readonly Key[], now: number): Key[] {
	return [...keys].sort((a, b) => Number(ended(a, now)) - Number(ended(b, now)));
}

/** Who made it, in words. */
export function maker(key: Key, keys: readonly Key[]): string {
	const by = key.created_by;
	if (!by) return '—';
	return by.name ?? (by.kind === 'key' ? (keys.find((k) => k.id === by.id)?.name ?? by.id) : by.id);
}

/** Keys of the list that end with `id`: what it made, what those made, and so on; without those that ended already. */
export function dependents(id: string, keys: readonly Key[], now: number): Key[] {
	const found: Key[] = [];
	const reached = new Set([id]);
	// A key is younger than its maker, but a list need not come by age.
	for (let grew = true; grew; ) {
		grew = false;
		for (const key of keys) {
			if (reached.has(key.id) || key.created_by?.kind !== 'key' || !reached.has(key.created_by.id)) continue;
			reached.add(key.id);
			grew = true;
			if (!ended(key, now)) found.push(key);
		}
	}
	return found;
}

/** Why this key cannot be changed or given another secret; null where it can. Who takes it over must not gain by it. */
export function whyNotChange(me: Me | null, key: Key): string | null {
	const may = whyNot(me, 'keys', 'write');
	if (may || !me) return may;
	if (key.revoked_at) return 'It was revoked, and stays so.';
	const more = key.scopes.filter((scope) => !mayGive(me.scopes, scope));
	if (more.length > 0) return `It may more than you: ${more.join(', ')}.`;
	const beyond = key.networks.length === 0 || key.networks.some((n) => !me.networks.includes(n));
	return me.networks.length > 0 && beyond ? 'It reaches networks that you do not.' : null;
}

export const LIVES = [
	{ value: '24h', words: 'in a day' },
	{ value: '7d', words: 'in 7 days' },
	{ value: '30d', words: 'in 30 days' },
	{ value: '90d', words: 'in 90 days' },
	{ value: '365d', words: 'in a year' },
	{ value: '', words: 'when it is revoked' }
] as const;

const UNITS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `90d`, `12h`, `15m`; null when it is none of these. */
export function lasting(text: string): number | null {
	const [, n, unit = ''] = text.trim().match(/^(\d{1,7})([mhd])$/) ?? [];
	return n ? Number(n) * (UNITS[unit] ?? NaN) : null;
}

export const OVERLAPS = [
	{ value: '0s', words: 'not at all: it stops now' },
	{ value: '15m', words: 'for 15 minutes' },
	{ value: '1h', words: 'for an hour' },
	{ value: '24h', words: 'for a day' },
	{ value: '7d', words: 'for 7 days' }
] as const;

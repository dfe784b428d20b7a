/** All organisations of an installation, with what they cause: who is noisy, in figures that compare. */

import type { Organisation } from './people';

/** One of `GET /platform/usage`. */
export interface Noise {
	organisation: { id: string; name: string; state?: string | null };
	plan?: string | null;
	requests_per_minute: number;
	requests_per_day: number;
	sockets: number;
	/** Null, as the next: it is not known at the moment. */
	alerts_24h: number | null;
	deliveries_24h: number | null;
}

/** One of `GET /platform/tombstones`: what stays of an organisation that was deleted. */
export interface Tombstone {
	id: string;
	name: string;
	deleted_at: string;
	/** Entries that its audit had, and the hash of the last of them. */
	audit_entries: number;
	audit_hash: string;
	/** What was removed where. */
	proof: unknown;
}

/** What an operator does about an organisation. */
export type Deed = 'suspend' | 'resume' | 'plan' | 'networks';

/** Which networks an organisation reaches, in words; an empty list: all. */
export function reach(networks: readonly string[]): string {
	return networks.length === 0 ? 'all networks' : networks.join(', ');
}

export const FIGURES = [
	{ name: 'requests_per_minute', words: 'Requests a minute', short: 'req/min' },
	{ name: 'requests_per_day', words: 'Requests today', short: 'req today' },
	{ name: 'sockets', words: 'Live connections', short: 'sockets' },
	{ name: 'alerts_24h', words: 'Alerts in 24 h', short: 'alerts' },
	{ name: 'deliveries_24h', words: 'Deliveries in 24 h', short: 'deliveries' }
] as const;

export type Figure = (typeof FIGURES)[number]['name'];

export interface Row {
	organisation: Organisation;
	/** Null: nothing is told of it. */
	noise: Noise | null;
	/** Of the figure that is looked at, 0 to 1 of all organisations together; null without it. */
	share: number | null;
}

/** The share from which on one of several organisations is told to be noisy. */
const NOISY = 0.5;

/** Noisiest first by `figure`; what tells none comes last, by name. */
export function rows(organisations: readonly Organisation[], noises: readonly Noise[], figure: Figure): Row[] {
	const by = new Map(noises.map((noise) => [noise.organisation.id, noise]));
	const total = noises.reduce((sum, noise) => sum + (noise[figure] ?? 0), 0);
	const of = (organisation: Organisation): Row => {
		const noise = by.get(organisation.id) ?? null;
		const own = noise?.[figure];
		return { organisation, noise, share: own != null && total > 0 ? own / total : null };
	};
	const size = ({ noise }: Row) => noise?.[figure] ?? -1;
	return organisations.map(of).sort((a, b) => size(b) - size(a) || a.organisation.name.localeCompare(b.organisation.name));
}

/** Whether this one makes most of it, where there are others. */
export function noisy(row: Row, all: readonly Row[]): boolean {
	return all.length > 1 && row.share != null && row.share > NOISY;
}

/** Whether one that was there before is there no more. */
export function gone(before: readonly Organisation[], now: readonly Organisation[]): boolean {
	const there = new Set(now.map(({ id }) => id));
	return before.some(({ id }) => !there.has(id));
}

/** Those whose name or id holds `text`. */
export function found(organisations: readonly Organisation[], text: string): Organisation[] {
	const wanted = text.trim().toLowerCase();
	return wanted ? organisations.filter((o) => o.name.toLowerCase().includes(wanted) || o.id.toLowerCase().includes(wanted)) : [...organisations];
}

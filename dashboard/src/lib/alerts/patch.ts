/** What a change carries (JSON Merge Patch, RFC 7396): only what differs. */

import type { Versus } from '../components/access/Stale.svelte';

export type Body = Record<string, unknown>;

const isObject = (value: unknown): value is Body => value != null && typeof value === 'object' && !Array.isArray(value);
export const same = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/** The patch that makes `to` of `from`; empty where they are equal. Lists go whole. */
export function patchOf(from: Body, to: Body): Body {
	const patch: Body = {};
	for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
		const [was, is] = [from[key], to[key]];
		// What is taken out on purpose is said, also where its value was never seen (a secret).
		if (same(was, is) && !(is === null && !(key in from))) continue;
		if (isObject(was) && isObject(is)) patch[key] = patchOf(was, is);
		else patch[key] = is ?? null;
	}
	return patch;
}

/** What I wrote against what somebody else made of it meanwhile: only what differs. */
export function versus(mine: Body, theirs: Body): Versus[] {
	const keys = [...new Set([...Object.keys(mine), ...Object.keys(theirs)])];
	return keys
		.filter((key) => !same(mine[key], theirs[key]))
		.map((key) => ({ field: key.replaceAll('_', ' '), mine: words(mine[key]), theirs: words(theirs[key]) }));
}

function words(value: unknown): string {
	if (value == null) return '';
	if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value.join(', ');
	return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Mistakes of a 422, at the fields that they belong to. */

import type { Mistake, Problem } from '../contract';

/** The field that a path begins with: `abi` of `abi.3.inputs.0.type`, and of `line 4, column 7` of a text that is no JSON. */
export function fieldOf(path: string): string {
	return /^line \d+/.test(path) ? 'abi' : (path.match(/^[\w-]+/)?.[0] ?? '');
}

/** In one sentence: what is wrong and what to do. `field` says it already, and is left out of the path. */
export function sentence({ path, problem, cure }: Mistake, field = ''): string {
	const where = path === field ? '' : `${path} `;
	const text = `${where}${problem}`.trim();
	return `${text.charAt(0).toUpperCase()}${text.slice(1)}${cure ? `: ${cure}` : ''}.`.replace(/\.\.$/, '.');
}

export interface Sorted {
	/** By field. */
	at: Record<string, Mistake[]>;
	/** Of no field that is shown. */
	rest: Mistake[];
}

export function sorted(problem: Problem | null, fields: readonly string[]): Sorted {
	const found: Sorted = { at: {}, rest: [] };
	for (const mistake of problem?.errors ?? []) {
		const field = fieldOf(mistake.path);
		if (fields.includes(field)) (found.at[field] ??= []).push(mistake);
		else found.rest.push(mistake);
	}
	return found;
}

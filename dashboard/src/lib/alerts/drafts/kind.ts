/** What the pages of rules, monitors, channels and silences have in common. */

import type { Body } from '../patch';
import type { Thing } from '../shapes';

export interface Kind<T extends Thing, D> {
	/** Of the list: `/api/v1/rules`. */
	path: string;
	/** As scopes call it. */
	resource: string;
	one: string;
	/** As it is being written; null: a new one. */
	draft(thing: T | null): D;
	/** All of it as it goes to the server, whatever is not said left out. `now`: the clock, milliseconds. @throws SyntaxError where a text is no JSON. */
	body(draft: D, now: number): Body;
	/** What a copy begins with; left out: all of it. */
	copied?(draft: D): D;
	/** The fields that the form shows, as a 422 calls them. */
	paths(draft: D): string[];
}

/** Nothing, where nothing was written. */
export const filled = (text: string): string | null => text.trim() || null;

/** The number in a text; the text itself where there is none, so that the server says what is wrong with it. */
export function numeric(text: string): number | string | null {
	if (text.trim() === '') return null;
	const n = Number(text);
	return Number.isFinite(n) ? n : text.trim();
}

/** What somebody calls it, or else what it does. */
export const nameOf = (typed: string, suggested: string): string => typed.trim() || suggested.slice(0, 100).trim();

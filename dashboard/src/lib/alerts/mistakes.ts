/** Mistakes of a 422, each at the deepest field that is shown and that its path leads to. */

import type { Mistake, Problem } from '../contract';

export class Wrong {
	private at = new Map<string, Mistake[]>();
	/** Of no field that is shown. */
	readonly rest: Mistake[] = [];

	/** `paths` are those of the fields that are shown: `config.url`, `match_conditions.events.0.expression`. */
	constructor(problem: Problem | null, paths: readonly string[]) {
		const shown = [...paths].sort((a, b) => b.length - a.length);
		for (const mistake of problem?.errors ?? []) {
			const path = plain(mistake.path);
			const field = shown.find((one) => path === one || path.startsWith(`${one}.`));
			if (field == null) this.rest.push(mistake);
			else this.at.set(field, [...(this.at.get(field) ?? []), mistake]);
		}
	}

	of(path: string): Mistake[] {
		return this.at.get(path) ?? [];
	}

	/** The field that has the first of them. */
	get first(): string | null {
		return this.at.keys().next().value ?? null;
	}
}

/** `events[0].expression` and `events.0.expression` are one. */
function plain(path: string): string {
	return path.replaceAll(/\[(\d+)\]/g, '.$1');
}

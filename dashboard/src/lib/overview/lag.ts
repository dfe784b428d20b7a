/** How far behind its tip each network was, as `/health` told this page: the most of each minute, `KEPT` minutes long. Pure. */

import { MINUTE_MS, type Axis } from './range';

export const KEPT = 1_440;

export class LagBook {
	private minutes = new Map<string, Map<number, number>>();

	seen(network: string, lag: number | null | undefined, now: number): void {
		if (lag == null) return;
		let of = this.minutes.get(network);
		if (!of) this.minutes.set(network, (of = new Map()));
		const minute = Math.floor(now / MINUTE_MS) * MINUTE_MS;
		of.set(minute, Math.max(of.get(minute) ?? 0, lag));
		if (of.size > KEPT) of.delete(of.keys().next().value!);
	}

	/** The most of each step; null where this page saw nothing. */
	over(network: string, axis: Axis): (number | null)[] {
		const column = new Array<number | null>(axis.length).fill(null);
		for (const [minute, lag] of this.minutes.get(network) ?? []) {
			if (minute < axis.from || minute >= axis.to) continue;
			const i = Math.floor((minute - axis.from) / axis.step.ms);
			column[i] = Math.max(column[i] ?? 0, lag);
		}
		return column;
	}

	/** Since when it has been watched; null: it has not. */
	since(network: string): number | null {
		return this.minutes.get(network)?.keys().next().value ?? null;
	}
}

/** Geometry of the history's pictures, in a square of `WIDTH` × `HEIGHT`. Pure. */

export const WIDTH = 600;
export const HEIGHT = 100;

export interface Point {
	x: number;
	/** Null breaks the line. */
	y: number | null;
}

/** The least of 1, 2, 5 × 10ⁿ that is not below `most`; 1 for nothing. */
export function ceiling(most: number): number {
	if (!(most > 0)) return 1;
	const unit = 10 ** Math.floor(Math.log10(most));
	return [1, 2, 5, 10].map((n) => n * unit).find((n) => n >= most * (1 - 1e-9)) ?? 10 * unit;
}

/** Where a success axis begins: low enough for the worst, as high as shows a difference. */
export function floorOf(worst: number): number {
	return [0.99, 0.95, 0.9, 0.75, 0.5].find((low) => worst >= low) ?? 0;
}

/** A line through the points; a point alone is a short dash, so that it can be seen. */
export function line(points: readonly Point[], dash = 3): string {
	const runs = runsOf(points);
	return runs
		.map((run) =>
			run.length === 1
				? `M${at(run[0]!.x - dash)} ${at(run[0]!.y)}H${at(run[0]!.x + dash)}`
				: run.map((p, i) => `${i === 0 ? 'M' : 'L'}${at(p.x)} ${at(p.y)}`).join('')
		)
		.join('');
}

/** The area between two lines over the same points. */
export function band(upper: readonly Point[], lower: readonly Point[]): string {
	const low = new Map(lower.map((p) => [p.x, p.y]));
	return runsOf(upper)
		.filter((run) => run.length > 1)
		.map((run) => {
			const back = [...run].reverse().map((p) => `L${at(p.x)} ${at(low.get(p.x) ?? p.y)}`);
			return run.map((p, i) => `${i === 0 ? 'M' : 'L'}${at(p.x)} ${at(p.y)}`).join('') + back.join('') + 'Z';
		})
		.join('');
}

function runsOf(points: readonly Point[]): { x: number; y: number }[][] {
	const runs: { x: number; y: number }[][] = [];
	let open: { x: number; y: number }[] | null = null;
	for (const { x, y } of points) {
		if (y == null) open = null;
		else if (open) open.push({ x, y });
		else runs.push((open = [{ x, y }]));
	}
	return runs;
}

/**
 * One point for each slot from `from` to `to`, those that are missing as breaks. `value` is 0 at the foot and 1 at the top,
 * or null.
 */
export function points<T extends { at: number }>(
	slots: readonly T[],
	{ from, to, slot }: { from: number; to: number; slot: number },
	value: (slot: T) => number | null
): Point[] {
	const known = new Map(slots.map((s) => [s.at, s]));
	const out: Point[] = [];
	for (let t = from; t < to; t += slot) {
		const found = known.get(t);
		const v = found ? value(found) : null;
		const x = ((t + slot / 2 - from) / (to - from)) * WIDTH;
		out.push({ x, y: v == null ? null : HEIGHT * (1 - Math.min(1, Math.max(0, v))) });
	}
	return out;
}

function at(n: number): string {
	return n.toFixed(1).replace(/\.0$/, '');
}

/**
 * A chart by uPlot: steps over windows, in the page's colours, with what is incomplete hatched and reorgs marked.
 *
 * A window is [start, start + size), so every figure is a step from there to there and no line is drawn where nothing is known. Whatever
 * has to do with the pointer is in CSS pixels, what is drawn in device pixels, as uPlot has it.
 */

import uPlot from 'uplot';
import type { Axis } from './range';
import { ticks, tickWords } from './ticks';
import type { State } from './windows';

export interface Line {
	values: readonly (number | null)[];
	/** A custom property of the page's style: `--accent`. */
	color: string;
	/** `area`: filled down to the lower line or zero; `line`: not filled. */
	kind: 'area' | 'line' | 'band';
	/** Lower edge of a `band`. */
	lower?: readonly (number | null)[];
}

export interface Picture {
	axis: Axis;
	lines: readonly Line[];
	states: readonly State[];
	/** Times of reorgs, milliseconds. */
	reorgs: readonly number[];
	/** Steps whose figures were corrected. */
	corrected: readonly number[];
	/** The upper edge; null: what is drawn decides. */
	top: number | null;
	say: (value: number) => string;
}

export interface Hands {
	/** The step that is pointed at, or null. */
	point(step: number | null): void;
	/** This time was brushed over, milliseconds. Every chart that shares it says so. */
	brush(from: number, to: number): void;
	/** A double click. */
	back(): void;
}

/** Lines that a chart can have: uPlot wants to know at the beginning. */
export const LINES = 8;
const SYNC = 'overview';
const HATCH = 7;

export class Plot {
	private readonly u: uPlot;
	private marked = false;
	private readonly colors = new Map<string, string>();

	constructor(
		target: HTMLElement,
		private picture: Picture,
		private readonly hands: Hands,
		height: number
	) {
		const ink = () => this.color('--faint');
		const font = `11px ${getComputedStyle(document.body).fontFamily}`;
		const options: uPlot.Options = {
			width: Math.max(120, target.clientWidth),
			height,
			legend: { show: false },
			padding: [8, 2, 0, 0],
			cursor: {
				y: false,
				points: { show: false },
				drag: { x: true, y: false, setScale: false, dist: 5 },
				sync: { key: SYNC, setSeries: false, scales: ['x', null] },
				bind: { dblclick: () => () => (this.hands.back(), null) }
			},
			scales: {
				x: { time: true, range: () => [this.picture.axis.from / 1_000, this.picture.axis.to / 1_000] },
				y: { range: () => [0, this.top()] }
			},
			axes: [
				{
					stroke: ink,
					font,
					size: 24,
					gap: 4,
					space: 64,
					grid: { show: false },
					ticks: { stroke: () => this.color('--line-strong'), size: 4, width: 1 },
					splits: () => ticks(this.picture.axis, this.u ? this.u.width - 60 : target.clientWidth),
					values: (_, splits) => splits.map((at) => tickWords(at * 1_000, this.picture.axis))
				},
				{
					stroke: ink,
					font,
					size: 54,
					gap: 6,
					side: 3,
					splits: () => [0, this.top() / 2, this.top()],
					grid: { stroke: () => this.color('--line'), width: 1 },
					ticks: { show: false },
					values: (_, splits) => splits.map((value) => this.picture.say(value))
				}
			],
			series: [
				{},
				...Array.from({ length: LINES }, (_, i): uPlot.Series => ({
					scale: 'y',
					width: 1.5,
					points: { show: false },
					stroke: () => this.ink(i, 1),
					fill: () => this.fill(i),
					paths: (u) => this.path(u, i)
				}))
			],
			hooks: {
				drawClear: [(u) => this.ground(u)],
				draw: [(u) => this.marks(u)],
				setCursor: [(u) => this.pointed(u)],
				setSelect: [(u) => this.brushed(u)]
			}
		};
		this.u = new uPlot(options, this.data(), target);
		this.u.over.addEventListener('pointerdown', this.touched);
		this.u.over.addEventListener('pointermove', this.touched);
	}

	show(picture: Picture): void {
		this.picture = picture;
		this.u.setData(this.data());
	}

	/** Puts the line of the cursor into a step, without telling anybody. */
	point(step: number | null): void {
		if (step != null && this.stepAt(this.u.cursor.left ?? -1) === step) return;
		const { axis } = this.picture;
		const left = step == null ? -10 : this.u.valToPos((axis.from + (step + 0.5) * axis.step.ms) / 1_000, 'x');
		this.u.setCursor({ left, top: step == null ? -10 : 5 }, false);
	}

	/** Shows what is marked by the keyboard. */
	mark(steps: readonly [number, number] | null): void {
		const { axis } = this.picture;
		if (!steps) {
			// What the pointer brushes over meanwhile is not ours to take away.
			if (this.marked) this.u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
			this.marked = false;
			return;
		}
		this.marked = true;
		const at = (step: number) => this.u.valToPos((axis.from + step * axis.step.ms) / 1_000, 'x');
		const left = at(Math.min(...steps));
		this.u.setSelect({ left, top: 0, width: at(Math.max(...steps) + 1) - left, height: this.u.over.clientHeight }, false);
	}

	resize(width: number, height: number): void {
		if (width > 0 && (width !== this.u.width || height !== this.u.height)) this.u.setSize({ width, height });
	}

	/** Other colours: the theme changed. */
	recolor(): void {
		this.colors.clear();
		this.u.redraw(false);
	}

	destroy(): void {
		this.u.destroy();
	}

	private data(): uPlot.AlignedData {
		const { axis, lines } = this.picture;
		const xs = Array.from({ length: axis.length }, (_, i) => (axis.from + i * axis.step.ms) / 1_000);
		const none = new Array<number | null>(axis.length).fill(null);
		return [xs, ...Array.from({ length: LINES }, (_, i) => (lines[i] ? [...lines[i]!.values] : none))];
	}

	private top(): number {
		return this.picture.top ?? 1;
	}

	private color(name: string): string {
		let value = this.colors.get(name);
		if (value == null) this.colors.set(name, (value = getComputedStyle(document.documentElement).getPropertyValue(name).trim()));
		return value;
	}

	private ink(i: number, alpha: number): string {
		const line = this.picture.lines[i];
		return line ? withAlpha(this.color(line.color), alpha) : 'transparent';
	}

	private fill(i: number): string {
		const kind = this.picture.lines[i]?.kind;
		return kind === 'area' ? this.ink(i, 1) : kind === 'band' ? this.ink(i, 0.16) : 'transparent';
	}

	private path(u: uPlot, i: number): uPlot.Series.Paths | null {
		const line = this.picture.lines[i];
		if (!line) return null;
		const { axis } = this.picture;
		const x = (step: number) => Math.round(u.valToPos((axis.from + step * axis.step.ms) / 1_000, 'x', true));
		const y = (value: number) => u.valToPos(Math.min(value, this.top()), 'y', true);
		const stroke = new Path2D();
		const fill = new Path2D();
		const gap = line.kind === 'area' && x(1) - x(0) >= 6 ? 1 : 0;
		let before: number | null = null;
		for (let step = 0; step < axis.length; step++) {
			const value = line.values[step];
			if (value == null) {
				before = null;
				continue;
			}
			const [left, right, high] = [x(step), x(step + 1), y(value)];
			const low = line.kind === 'band' ? y(line.lower?.[step] ?? value) : y(0);
			if (line.kind === 'area') fill.rect(left, high, Math.max(1, right - left - gap), low - high);
			else if (line.kind === 'band') fill.rect(left, high, right - left, low - high);
			if (line.kind !== 'area') {
				if (before == null) stroke.moveTo(left, high);
				else stroke.lineTo(left, high);
				stroke.lineTo(right, high);
			}
			before = value;
		}
		return { stroke: line.kind === 'area' ? null : stroke, fill: line.kind === 'line' ? null : fill, flags: 0 };
	}

	/** Under everything: hatched where a window is not whole, dotted where nothing is known. */
	private ground(u: uPlot): void {
		const { axis, states } = this.picture;
		const { ctx } = u;
		const { top, height } = u.bbox;
		const x = (step: number) => u.valToPos((axis.from + step * axis.step.ms) / 1_000, 'x', true);
		for (const { from, to, state } of runs(states)) {
			if (state === 'complete' || state === 'rows') continue;
			const [left, width] = [x(from), x(to) - x(from)];
			ctx.save();
			ctx.beginPath();
			ctx.rect(left, top, width, height);
			ctx.clip();
			if (state !== 'open') {
				ctx.fillStyle = withAlpha(this.color(state === 'incomplete' ? '--warn' : '--faint'), state === 'none' ? 0.04 : 0.08);
				ctx.fillRect(left, top, width, height);
			}
			ctx.strokeStyle = withAlpha(this.color(state === 'incomplete' ? '--warn' : '--faint'), state === 'open' ? 0.35 : state === 'none' ? 0.2 : 0.4);
			ctx.lineWidth = uPlot.pxRatio;
			if (state === 'none') ctx.setLineDash([2 * uPlot.pxRatio, 4 * uPlot.pxRatio]);
			ctx.beginPath();
			const by = HATCH * uPlot.pxRatio;
			// By the picture's own grid, so that the hatches of neighbours meet.
			for (let at = Math.floor((left - height) / by) * by; at < left + width; at += by) {
				ctx.moveTo(at, top + height);
				ctx.lineTo(at + height, top);
			}
			ctx.stroke();
			ctx.restore();
		}
	}

	/** Over everything: the end of what is whole, and reorgs. */
	private marks(u: uPlot): void {
		const { axis, states, reorgs, corrected } = this.picture;
		const { ctx } = u;
		const { top, height } = u.bbox;
		const px = uPlot.pxRatio;
		const x = (at: number) => Math.round(u.valToPos(at / 1_000, 'x', true)) + 0.5;
		ctx.save();
		// What goes on or is not whole is shown through its hatches.
		for (const { from, to, state } of runs(states)) {
			if (state !== 'open' && state !== 'incomplete') continue;
			const left = x(axis.from + from * axis.step.ms);
			ctx.fillStyle = withAlpha(this.color('--surface'), 0.45);
			ctx.fillRect(left, top, x(axis.from + to * axis.step.ms) - left, height);
		}
		ctx.strokeStyle = this.color('--busy');
		ctx.fillStyle = this.color('--busy');
		ctx.lineWidth = px;
		ctx.setLineDash([3 * px, 3 * px]);
		for (const at of reorgs) {
			if (at < axis.from || at >= axis.to) continue;
			const left = x(at);
			ctx.beginPath();
			ctx.moveTo(left, top);
			ctx.lineTo(left, top + height);
			ctx.stroke();
			ctx.beginPath();
			ctx.moveTo(left - 4 * px, top);
			ctx.lineTo(left + 4 * px, top);
			ctx.lineTo(left, top + 6 * px);
			ctx.fill();
		}
		ctx.setLineDash([]);
		for (const step of corrected) {
			const left = x(axis.from + step * axis.step.ms);
			ctx.fillRect(left, top + height - 2 * px, Math.max(2 * px, x(axis.from + (step + 1) * axis.step.ms) - left), 2 * px);
		}
		ctx.restore();
	}

	private stepAt(left: number): number | null {
		if (left < 0) return null;
		const { axis } = this.picture;
		const step = Math.floor((this.u.posToVal(left, 'x') * 1_000 - axis.from) / axis.step.ms);
		return step >= 0 && step < axis.length ? step : null;
	}

	private pointed(u: uPlot): void {
		this.hands.point(this.stepAt(u.cursor.left ?? -1));
	}

	private brushed(u: uPlot): void {
		const { left, width } = u.select;
		if (width < 3) return;
		const [a, b] = [this.stepAt(Math.max(0, left)), this.stepAt(left + width - 1)];
		u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
		const { axis } = this.picture;
		if (a != null && b != null) this.hands.brush(axis.from + a * axis.step.ms, axis.from + (b + 1) * axis.step.ms);
	}

	/** A finger points as a mouse does; moving up and down still scrolls the page. */
	private touched = (event: PointerEvent): void => {
		if (event.pointerType === 'mouse') return;
		this.hands.point(this.stepAt(event.clientX - this.u.over.getBoundingClientRect().left));
	};
}

/** Neighbours of one state. */
function runs(states: readonly State[]): { from: number; to: number; state: State }[] {
	const found: { from: number; to: number; state: State }[] = [];
	states.forEach((state, i) => {
		const last = found.at(-1);
		if (last?.state === state) last.to = i + 1;
		else found.push({ from: i, to: i + 1, state });
	});
	return found;
}

function withAlpha(color: string, alpha: number): string {
	if (alpha >= 1 || !/^#[0-9a-f]{6}$/i.test(color)) return color;
	return color + Math.round(alpha * 255).toString(16).padStart(2, '0');
}

/** What a rule would have said of the recent past (`POST /rules/preview`), and how that is drawn. */

import { metricOf } from './metrics';

export interface RuleLook {
	at: string;
	/** Null: there is none. */
	value: number | null;
	threshold: number | null;
	transactions: number;
	/** Null: too much is missing to say so. */
	over: boolean | null;
	state: 'quiet' | 'pending' | 'firing';
	complete: boolean;
}

export interface RuleFiring {
	started_at: string;
	fired_at: string;
	/** Null: it still fires at the end. */
	resolved_at: string | null;
	value: number | null;
	threshold: number | null;
}

export interface RulePreview {
	network: string;
	contract: string | null;
	/** Of a rule about endpoints: of several the one for which it would have fired most. */
	endpoint?: string | null;
	metric: string;
	window: string;
	/** How far looks are apart. */
	every: string;
	from: string;
	to: string;
	fired: number;
	complete: boolean;
	points: RuleLook[];
	firings: RuleFiring[];
	incomplete: { from: string; to: string; reason: string }[];
}

/** How long a past is looked at for a rule's window, in words. */
const PAST: Record<string, string> = { '1m': '90 minutes', '5m': '6 hours', '1h': '3 days', '24h': '30 days' };

/** The same of what was tried: what has no window of its own is looked at as the usual one is. */
export const pastOf = ({ metric, window }: Pick<RulePreview, 'metric' | 'window'>): string => PAST[metricOf(metric)?.windowed ? window : '5m'] ?? window;

export interface Drawn {
	/** Paths, from 0 to 100 and to the height. */
	line: string;
	limit: string;
	/** When it fires, and of what something is missing. */
	firing: Part[];
	missing: Part[];
}

export interface Part {
	x: number;
	width: number;
}

/** A picture 100 wide. Zero is at its foot, and the highest of values and limits a bit below its top. */
export function drawn({ points, firings, from, to }: RulePreview, height: number): Drawn {
	const [begin, end] = [Date.parse(from), Date.parse(to)];
	const x = (at: string | number) => round(Math.min(1, Math.max(0, (Number(new Date(at)) - begin) / Math.max(1, end - begin))) * 100);
	const most = Math.max(0, ...points.flatMap(({ value, threshold }) => [value ?? 0, threshold ?? 0])) * 1.08 || 1;
	const y = (value: number) => round(height - Math.max(0, value / most) * height);
	const part = (a: number, b: number) => ({ x: a, width: round(Math.max(0.4, b - a)) });
	const step = points.length > 0 ? 100 / points.length : 0;
	return {
		line: path(points.map(({ at, value }) => [x(at), value == null ? null : y(value)])),
		limit: path(points.map(({ at, threshold }) => [x(at), threshold == null ? null : y(threshold)])),
		firing: firings.map(({ fired_at, resolved_at }) => part(x(fired_at), resolved_at ? x(resolved_at) : 100)),
		missing: joined(points.filter((point) => !point.complete).map(({ at }) => part(round(x(at) - step), x(at))))
	};
}

/** A line that is broken where there is nothing; what stands alone is a dash. */
function path(places: [number, number | null][]): string {
	let text = '';
	let down = false;
	places.forEach(([x, y], i) => {
		if (y == null) return void (down = false);
		text += `${down ? 'L' : 'M'}${x} ${y}`;
		if (!down && places[i + 1]?.[1] == null) text += `h0.5`;
		down = true;
	});
	return text;
}

/** Parts that follow one another are one. */
function joined(parts: Part[]): Part[] {
	const all: Part[] = [];
	for (const part of parts) {
		const last = all.at(-1);
		if (last && part.x - (last.x + last.width) < 0.1) last.width = round(part.x + part.width - last.x);
		else all.push({ ...part });
	}
	return all;
}

const round = (n: number) => Math.round(n * 100) / 100;

/** Why something is missing, each reason once. */
export function reasons({ incomplete }: Pick<RulePreview, 'incomplete'>): string[] {
	return [...new Set(incomplete.map(({ reason }) => reason))];
}

/** What a message would say (`POST /channels/preview`). */
export interface MessagePreview {
	of: 'alert' | 'match' | 'example';
	alert: string | null;
	title: string;
	text: string;
	missing: string[];
}

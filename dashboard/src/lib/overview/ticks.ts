/** Labels of the time axis: round times of the reader's zone. Pure. */

import type { Axis } from './range';

const MINUTES = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 2_880, 5_760, 7_200, 14_400];

/** Round times of the reader's zone, in seconds, as many as there is room for. */
export function ticks(axis: Axis, width: number, zoneMinutes = new Date(axis.from).getTimezoneOffset()): number[] {
	const room = Math.max(2, Math.floor(width / 76));
	const by = (MINUTES.find((minutes) => (axis.to - axis.from) / 60_000 / minutes <= room) ?? MINUTES.at(-1)!) * 60_000;
	const zone = zoneMinutes * 60_000;
	// One at the very end would be cut off.
	const last = axis.to - (axis.to - axis.from) * (24 / width);
	const found = [];
	for (let at = Math.ceil((axis.from - zone) / by) * by + zone; at < last; at += by) found.push(at / 1_000);
	return found;
}

/** `14:05`; a day where one begins, or where only days are shown. */
export function tickWords(at: number, axis: Axis): string {
	const time = new Date(at);
	const pad = (n: number) => String(n).padStart(2, '0');
	const midnight = time.getHours() === 0 && time.getMinutes() === 0;
	if (midnight && axis.to - axis.from > 6 * 3_600_000) return time.toLocaleDateString('en', { month: 'short', day: 'numeric' });
	return `${pad(time.getHours())}:${pad(time.getMinutes())}`;
}

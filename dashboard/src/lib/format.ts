/** Text for people: hashes, numbers, ages, times. Pure; the clock is passed in. */

import { group } from './amount';

/** `0x8d97…af14`: enough at both ends to recognise. Short ones stay whole. */
export function shorten(text: string, head = 6, tail = 4): string {
	return text.length <= head + tail + 1 ? text : `${text.slice(0, head)}…${text.slice(-tail)}`;
}

/** Text in which hashes and addresses are shortened. */
export function briefHashes(text: string): string {
	return text.replaceAll(/0x[0-9a-f]{40,}/gi, (hash) => shorten(hash));
}

/** A count or height; `—` when there is none. */
export function count(n: number | null | undefined): string {
	if (n == null || !Number.isFinite(n)) return '—';
	return (n < 0 ? '-' : '') + group(Math.trunc(Math.abs(n)).toString());
}

/** Transactions per second: one digit below 100, none above. */
export function rate(perSecond: number | null | undefined): string {
	if (perSecond == null || !Number.isFinite(perSecond)) return '—';
	return perSecond < 100 ? perSecond.toFixed(1) : group(Math.round(perSecond).toString());
}

/** A small number of something per something: a digit below 10 where it is not whole. */
export function few(n: number | null | undefined): string {
	if (n == null || !Number.isFinite(n)) return '—';
	return n < 9.95 && !Number.isInteger(n) ? n.toFixed(1).replace(/\.0$/, '') : count(Math.round(n));
}

/** A latency: whole milliseconds below a second, then seconds of three digits. */
export function millis(ms: number | null | undefined): string {
	if (ms == null || !Number.isFinite(ms)) return '—';
	if (ms < 999.5) return ms > 0 && ms < 9.95 ? `${ms.toFixed(1).replace(/\.0$/, '')} ms` : `${Math.round(ms)} ms`;
	const s = ms / 1000;
	return `${s < 9.995 ? s.toFixed(2) : s < 99.95 ? s.toFixed(1) : group(Math.round(s).toString())} s`;
}

/** A share of 0 to 1 in per cent, cut and not rounded, so that 100 % means all and 0 % none; `<0.1 %` for very few. */
export function percent(share: number | null | undefined): string {
	if (share == null || !Number.isFinite(share)) return '—';
	if (share >= 1) return '100 %';
	if (share <= 0) return '0 %';
	const tenths = Math.floor(share * 1000 + 1e-9);
	return tenths === 0 ? '<0.1 %' : `${tenths % 10 === 0 ? tenths / 10 : (tenths / 10).toFixed(1)} %`;
}

/** How long ago, in at most two units: `0.0 s` never, `now`, `7 s`, `3 m 05 s`, `2 h 11 m`, `4 d 3 h`. */
export function age(ms: number | null | undefined): string {
	if (ms == null || !Number.isFinite(ms)) return '—';
	const s = Math.floor(ms / 1000);
	if (s < 1) return 'now';
	if (s < 60) return `${s} s`;
	const m = Math.floor(s / 60);
	if (m < 60) return `${m} m ${pad(s % 60)} s`;
	const h = Math.floor(m / 60);
	if (h < 48) return `${h} h ${pad(m % 60)} m`;
	return `${group(Math.floor(h / 24).toString())} d ${h % 24} h`;
}

/** Wall clock, `HH:MM:SS` in the reader's zone; `—` when unreadable. */
export function clock(rfc3339: string | number | null | undefined): string {
	const at = new Date(rfc3339 ?? NaN);
	if (Number.isNaN(at.getTime())) return '—';
	return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

/** Day and wall clock, `2026-11-29 01:41:18` in the reader's zone; `—` when unreadable. */
export function stamp(rfc3339: string | number | null | undefined): string {
	const at = new Date(rfc3339 ?? NaN);
	if (Number.isNaN(at.getTime())) return '—';
	return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${clock(at.getTime())}`;
}

/** Milliseconds since the epoch, or null. */
export function instant(rfc3339: string | null | undefined): number | null {
	if (!rfc3339) return null;
	const at = Date.parse(rfc3339);
	return Number.isNaN(at) ? null : at;
}

/** `transfer` of `transfer(address,uint256)`; a bare selector stays. */
export function methodName(method: string | null | undefined): string | null {
	if (!method || method === '0x') return null;
	const paren = method.indexOf('(');
	return paren > 0 ? method.slice(0, paren) : method;
}

export function plural(n: number, one: string, many = one + 's'): string {
	return `${count(n)} ${n === 1 ? one : many}`;
}

function pad(n: number): string {
	return n.toString().padStart(2, '0');
}

/** Any JSON value in one line. */
export function text(value: unknown): string {
	if (value == null) return '—';
	return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Durations as the API writes them: `90s`, `5m`, `1h`, `2d`. */

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Milliseconds, or null where it is none. */
export function duration(text: string): number | null {
	const parts = [...text.trim().matchAll(/(\d+(?:\.\d+)?)\s*(ms|[smhdw])/g)];
	if (parts.length === 0 || parts.map((part) => part[0]).join('').replaceAll(/\s/g, '') !== text.replaceAll(/\s/g, '')) return null;
	return parts.reduce((sum, [, n, unit]) => sum + Number(n) * (UNITS[unit ?? ''] ?? 0), 0);
}

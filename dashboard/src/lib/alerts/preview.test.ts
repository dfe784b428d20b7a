import { expect, it } from 'vitest';
import { preview, since, SPANS } from './preview';

const span = SPANS['5m']!;
const now = Date.parse('2026-11-29T12:00:00Z');
const points = [1, 2, null, 8].map((value, i) => ({ at: new Date(now - (4 - i) * span.stepMs).toISOString(), value, complete: true }));

it('counts what was beyond a fixed limit', () => {
	const found = preview(points, span, { operator: '>', threshold: 2, baseline: null }, now);
	expect([found.now, found.limit, found.beyond, found.of]).toEqual([8, 2, 1, 3]);
	expect(found.points.map((p) => p.beyond)).toEqual([false, false, false, true]);
	expect(preview(points, span, { operator: '<=', threshold: 2, baseline: null }, now).beyond).toBe(2);
});

it('takes what is usual from the time that is named', () => {
	const baseline = { percent: 50, over: '15m' };
	expect(preview(points, span, { operator: '>', threshold: null, baseline }, now).limit).toBe(7.5);
	expect(preview(points, span, { operator: '<', threshold: null, baseline }, now).limit).toBe(2.5);
	expect(preview([], span, { operator: '>', threshold: null, baseline }, now)).toMatchObject({ limit: null, now: null, of: 0 });
});

it('asks for no more steps than one answer has', () => {
	expect((now - since(span, '30d', now)) / span.stepMs).toBeLessThanOrEqual(1_500);
	expect(since(span, null, now)).toBe(now - span.shownMs);
});

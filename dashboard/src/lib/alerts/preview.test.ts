import { expect, it } from 'vitest';
import { drawn, reasons, type RuleLook, type RulePreview } from './preview';

const at = (minute: number) => new Date(Date.UTC(2026, 10, 29, 12, minute)).toISOString();
const look = (minute: number, value: number | null, more: Partial<RuleLook> = {}): RuleLook => ({ at: at(minute), value, threshold: 5, transactions: 9, over: value == null ? null : value > 5, state: 'quiet', complete: true, ...more });

const past = (points: RuleLook[], firings: RulePreview['firings'] = []): RulePreview => ({
	network: 'demo', contract: null, metric: 'failed', window: '1m', every: '1m', from: at(0), to: at(4), fired: firings.length, complete: true, points, firings, incomplete: []
});

it('draws values and limits from the foot, and breaks where there is nothing', () => {
	const { line, limit } = drawn(past([look(1, 0), look(2, 10), look(3, null), look(4, 5)]), 108);
	expect(line).toBe('M25 108L50 8M100 58h0.5');
	expect(limit).toBe('M25 58L50 58L75 58L100 58');
	expect(drawn(past([]), 44)).toEqual({ line: '', limit: '', firing: [], missing: [] });
	expect(drawn(past([look(4, 0, { threshold: null })]), 44)).toMatchObject({ line: 'M100 44h0.5', limit: '' });
});

it('shows for how long it would have fired', () => {
	const fired = { started_at: at(1), value: 9, threshold: 5 };
	const { firing } = drawn(past([look(1, 9), look(4, 9)], [{ ...fired, fired_at: at(1), resolved_at: at(2) }, { ...fired, fired_at: at(3), resolved_at: null }]), 44);
	expect(firing).toEqual([{ x: 25, width: 25 }, { x: 75, width: 25 }]);
});

it('shows of what something is missing, one behind the other as one', () => {
	const some = { complete: false };
	const { missing } = drawn(past([look(1, null, some), look(2, null, some), look(3, 1), look(4, 1, some)]), 44);
	expect(missing).toEqual([{ x: 0, width: 50 }, { x: 75, width: 25 }]);
	const lack = (reason: string) => ({ from: at(0), to: at(1), reason });
	expect(reasons({ incomplete: [lack('a'), lack('b'), lack('a')] })).toEqual(['a', 'b']);
});

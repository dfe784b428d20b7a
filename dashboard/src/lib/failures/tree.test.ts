import { describe, expect, it } from 'vitest';
import type { CallFrame } from './shapes';
import { decimal, DEEPEST, MOST, pathOf, sizeOf, treeOf } from './tree';

const ROUTER = '0x7a250d5630b4cf539739df2c5dacb4c659f2488d';

describe('calls of a trace', () => {
	it('mark the way to the call that failed, by the word of the server', () => {
		const tree = treeOf({
			type: 'CALL',
			to: ROUTER,
			error: 'execution reverted',
			calls: [
				{ type: 'STATICCALL', to: '0xa', error: 'out of gas' },
				{ type: 'delegatecall', to: '0xb', error: 'execution reverted', calls: [{ to: '0xc', failed_here: true, method: '0x022c0d9f' }] },
				{ to: '0xd', error: 'execution reverted' }
			]
		})!;
		expect(pathOf(tree).map((call) => call.to)).toEqual([ROUTER, '0xb', '0xc']);
		expect(pathOf(tree).at(-1)).toMatchObject({ here: true, error: 'failed', selector: '0x022c0d9f', name: null });
		expect(tree.calls.map((call) => [call.type, call.onPath])).toEqual([['STATICCALL', false], ['DELEGATECALL', true], ['CALL', false]]);
	});

	it('without that word follow the last that failed; a caught failure is no way', () => {
		const caught: CallFrame = { error: 'execution reverted', calls: [{ to: '0xa', error: 'x', calls: [{ to: '0xb', error: 'y' }, { to: '0xc' }] }, { to: '0xd' }] };
		expect(pathOf(treeOf(caught)!).map((call) => call.to)).toEqual([null, '0xa', '0xb']);
		const fine = treeOf({ to: ROUTER, calls: [{ to: '0xa', error: 'caught' }] })!;
		expect(pathOf(fine)).toEqual([]);
		expect(treeOf(null)).toBeNull();
		expect(treeOf('broken' as unknown as CallFrame)).toBeNull();
	});

	it('are bounded, and what is left out is counted', () => {
		const wide = treeOf({ error: 'x', calls: Array.from({ length: 5_000 }, (_, i) => ({ to: `0x${i}`, ...(i === 4_321 ? { error: 'x', failed_here: true } : {}) })) })!;
		expect(sizeOf(wide)).toBe(MOST);
		expect(wide.omitted).toBe(5_001 - MOST);
		expect(pathOf(wide).at(-1)?.to).toBe('0x4321');
		let deep: CallFrame = { error: 'x' };
		for (let i = 0; i < 3_000; i++) deep = { error: 'x', calls: [deep] };
		const cut = treeOf(deep)!;
		expect(sizeOf(cut)).toBe(DEEPEST + 1);
		expect(pathOf(cut).at(-1)).toMatchObject({ here: true, omitted: 1 });
	});

	it('read amounts in every form, and names where they are', () => {
		expect(['0x10', '16', 16, '0x', '', null, 'ten', '-1'].map((raw) => decimal(raw))).toEqual(['16', '16', '16', null, null, null, null, null]);
		expect(treeOf({ value: '0xde0b6b3a7640000', gas: '0x5208', gas_used: 21_000, signature: 'swap(uint256 a)', left_out: 3, left_out_levels: 9 })).toMatchObject({
			value: '1000000000000000000',
			gas: 21_000,
			gasUsed: 21_000,
			name: 'swap',
			omitted: 3,
			skipped: 9
		});
		expect(treeOf({ value: '0x0' })?.value).toBeNull();
	});
});

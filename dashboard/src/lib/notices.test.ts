import { describe, expect, it } from 'vitest';
import { expired, reverted, said, SHOWN, STAYS_MS } from './notices';

describe('notices', () => {
	it('words one reverted block', () => {
		expect(reverted([], 'ethereum', 19433903, 172, 0)[0]!.text).toBe(
			'Block 19,433,903 of ethereum was reverted, 172 transactions taken back'
		);
	});

	it('makes one message of a reorg of many blocks', () => {
		let list = reverted([], 'other', 1, 1, 0);
		for (let height = 200; height > 136; height--) list = reverted(list, 'polygon', height, 2, 200 - height);
		expect(list.map((n) => n.text)).toEqual([
			'Block 1 of other was reverted, 1 transaction taken back',
			'64 blocks of polygon were reverted (137 to 200), 128 transactions taken back'
		]);
		expect(reverted(list, 'polygon', 300, 0, 60_000).length).toBe(3);
	});

	it('stays short, repeats nothing and expires', () => {
		let list = said([], 'refused', 'a', 'no', 0);
		list = said(list, 'refused', 'a', 'no', 5);
		expect(list.length).toBe(1);
		for (let i = 0; i < 9; i++) list = said(list, 'gap', 'a', `gap ${i}`, 10);
		expect(list.length).toBe(SHOWN);
		expect(expired(list, 10 + STAYS_MS - 1)).toBe(list);
		expect(expired(list, 10 + STAYS_MS)).toEqual([]);
	});
});

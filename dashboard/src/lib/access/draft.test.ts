import { describe, expect, it } from 'vitest';
import { created, dirty, draftOf, patched, versus } from './draft';
import type { Contract } from './shapes';

const contract: Contract = {
	id: '01J',
	network: 'mantle-mainnet',
	address: '0xab',
	name: 'Router',
	labels: ['dex'],
	source: 'tenant',
	version: 3,
	abi: [{ type: 'receive' }]
};

describe('a draft', () => {
	it('is created whole, with the array out of what a compiler wrote', () => {
		const draft = { ...draftOf(null), network: 'n', address: ' 0xAB ', name: 'R', text: '{"abi": [{"type": "fallback"}], "bytecode": "0x"}' };
		expect(created(draft)).toEqual({ network: 'n', address: '0xAB', name: 'R', labels: [], abi: [{ type: 'fallback' }] });
		expect(created({ ...draft, text: ' ' })).not.toHaveProperty('abi');
		expect(() => created({ ...draft, text: '[' })).toThrow(SyntaxError);
	});

	it('sends only what was changed', () => {
		const draft = draftOf(contract);
		expect(patched(draft, contract)).toEqual({});
		expect(patched({ ...draft, name: 'R2' }, contract)).toEqual({ name: 'R2' });
		expect(patched({ ...draft, labels: [] }, contract)).toEqual({ labels: [] });
		expect(patched({ ...draft, abi: 'none' }, contract)).toEqual({ abi: null });
		expect(patched({ ...draft, abi: 'new', text: '[]' }, contract)).toEqual({ abi: [] });
		expect(patched({ ...draftOf({ ...contract, abi: null }), abi: 'none' }, { ...contract, abi: null })).toEqual({});
	});

	it('knows whether something would be lost', () => {
		expect(dirty(draftOf(contract), contract)).toBe(false);
		expect(dirty({ ...draftOf(null), text: ' \n' }, null)).toBe(false);
		expect(dirty({ ...draftOf(null), network: 'x' }, null)).toBe(true);
		expect(dirty({ ...draftOf(contract), labels: ['dex', 'x'] }, contract)).toBe(true);
	});
});

describe('versus', () => {
	it('shows what differs of theirs and mine', () => {
		const theirs = { ...contract, name: 'Theirs', labels: ['dex'], abi: null, version: 4 };
		expect(versus({ ...draftOf(contract), labels: ['dex', 'mine'] }, contract, theirs)).toEqual([
			{ field: 'Name', mine: 'Router', theirs: 'Theirs' },
			{ field: 'Labels', mine: 'dex, mine', theirs: 'dex' },
			{ field: 'ABI', mine: '1 items, as before', theirs: 'none, changed' }
		]);
		expect(versus(draftOf(contract), contract, { ...contract, version: 4 })).toEqual([]);
	});
});

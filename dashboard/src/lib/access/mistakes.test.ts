import { describe, expect, it } from 'vitest';
import { fieldOf, sentence, sorted } from './mistakes';

describe('mistakes', () => {
	it('belong to fields', () => {
		expect(fieldOf('abi.3.inputs.0.type')).toBe('abi');
		expect(fieldOf('labels.0')).toBe('labels');
		expect(fieldOf('line 2, column 4')).toBe('abi');
		expect(fieldOf('Idempotency-Key')).toBe('Idempotency-Key');
		expect(fieldOf('')).toBe('');
	});

	it('are sorted, and none is lost', () => {
		const errors = ['name', 'abi.0', 'line 1, column 1', 'nonsense'].map((path) => ({ path, problem: 'is wrong' }));
		const { at, rest } = sorted({ title: 'x', errors }, ['name', 'abi', 'labels']);
		expect(at.name?.length).toBe(1);
		expect(at.abi?.map((m) => m.path)).toEqual(['abi.0', 'line 1, column 1']);
		expect(at.labels).toBeUndefined();
		expect(rest.map((m) => m.path)).toEqual(['nonsense']);
		expect(sorted(null, ['name'])).toEqual({ at: {}, rest: [] });
	});

	it('are said in a sentence', () => {
		const mistake = { path: 'address', problem: 'is not an address', cure: 'write 0x and 40 hex digits' };
		expect(sentence(mistake, 'address')).toBe('Is not an address: write 0x and 40 hex digits.');
		expect(sentence({ ...mistake, path: 'labels.2' }, 'labels')).toBe('Labels.2 is not an address: write 0x and 40 hex digits.');
		expect(sentence({ path: 'abi', problem: 'is gone.' }, 'abi')).toBe('Is gone.');
	});
});

import { describe, expect, it } from 'vitest';
import { difference } from './difference';

describe('difference', () => {
	it('shows what changed and counts what did not', () => {
		const before = { network: 'a', name: 'Router', labels: ['dex', 'old'], abi: null };
		const after = { network: 'a', name: 'Router 2', labels: ['dex', 'new'], abi: { sha256: 'ff', bytes: 12 } };
		expect(difference(before, after)).toEqual({
			changed: [
				{ field: 'name', before: 'Router', after: 'Router 2' },
				{ field: 'labels', before: 'dex, old', after: 'dex, new', added: ['new'], removed: ['old'] },
				{ field: 'abi.sha256', before: null, after: 'ff' },
				{ field: 'abi.bytes', before: null, after: '12' }
			],
			same: 1
		});
	});

	it('shows all of what came or went, and nothing of what was empty', () => {
		const made = difference(null, { prefix: 'abc', name: 'ci', networks: [], secret: { set: true }, expires_at: null });
		expect(made).toEqual({
			changed: [
				{ field: 'name', before: null, after: 'ci' },
				{ field: 'prefix', before: null, after: 'abc' },
				{ field: 'secret', before: null, after: 'set (not shown)' }
			],
			same: 0
		});
		expect(difference({ name: 'ci' }, null).changed).toEqual([{ field: 'name', before: 'ci', after: null }]);
	});

	it('takes whatever stands there', () => {
		expect(difference(null, null)).toEqual({ changed: [], same: 0 });
		expect(difference(1, 'x').changed).toEqual([{ field: 'value', before: '1', after: 'x' }]);
		expect(difference({ list: [{ a: 1 }] }, { list: [] }).changed).toEqual([{ field: 'list', before: '[{"a":1}]', after: null }]);
	});
});

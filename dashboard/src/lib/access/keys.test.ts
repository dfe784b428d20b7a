import { describe, expect, it } from 'vitest';
import { dependents, inOrder, lasting, LIVES, maker, stateOf, whyNotChange } from './keys';
import type { Key, Me } from './shapes';

const NOW = Date.parse('2026-11-29T00:00:00Z');
const key = (id: string, more: Partial<Key> = {}): Key => ({ id, prefix: 'p', name: `key ${id}`, scopes: ['chains:read'], networks: [], version: 1, ...more });
const made = (id: string, by: string, more: Partial<Key> = {}) => key(id, { created_by: { kind: 'key', id: by }, ...more });

describe('the state of a key', () => {
	it('is what it says, at its very end too', () => {
		expect(stateOf(key('1'), NOW)).toBe('good');
		expect(stateOf(key('1', { expires_at: '2026-11-29T00:00:00Z' }), NOW)).toBe('expired');
		expect(stateOf(key('1', { expires_at: '2026-12-06T00:00:00Z' }), NOW)).toBe('soon');
		expect(stateOf(key('1', { expires_at: '2026-12-07T00:00:00Z' }), NOW)).toBe('good');
		expect(stateOf(key('1', { expires_at: '2027-01-01T00:00:00Z', revoked_at: '2026-01-01T00:00:00Z' }), NOW)).toBe('revoked');
		expect(inOrder([key('1', { revoked_at: 'x' }), key('2')], NOW).map((k) => k.id)).toEqual(['2', '1']);
	});
});

describe('how long', () => {
	it('is read as the server reads it', () => {
		expect(['90d', ' 12h ', '15m', '0d'].map(lasting)).toEqual([7_776_000_000, 43_200_000, 900_000, 0]);
		for (const none of ['', '90', 'd', '-1d', '1.5h', '1w', '99999999d']) expect(lasting(none), none).toBeNull();
		for (const { value } of LIVES) expect(value === '' || lasting(value) != null, value).toBe(true);
	});
});

describe('who made a key', () => {
	it('is named', () => {
		const list = [key('1'), made('2', '1'), made('3', '9'), key('4', { created_by: { kind: 'operator', id: 'operator' } })];
		expect(list.map((k) => maker(k, list))).toEqual(['—', 'key 1', '9', 'operator']);
	});

	it('takes along what it made, in whatever order they come, even in a circle', () => {
		const list = [made('3', '2'), made('2', '1'), key('1'), made('4', '1', { revoked_at: 'x' }), made('5', '4'), key('6')];
		expect(dependents('1', list, NOW).map((k) => k.id).sort()).toEqual(['2', '3', '5']);
		expect(dependents('a', [made('a', 'b'), made('b', 'a')], NOW).map((k) => k.id)).toEqual(['b']);
	});
});

describe('whyNotChange', () => {
	const me: Me = { mode: 'keys', actor: { kind: 'key', id: '1' }, scopes: ['keys:write', 'chains:read'], networks: ['a'] };
	it('guards what may more', () => {
		expect(whyNotChange(me, key('2', { networks: ['a'] }))).toBeNull();
		expect(whyNotChange(me, key('2', { networks: ['a', 'b'] }))).toMatch(/networks/);
		expect(whyNotChange(me, key('2'))).toMatch(/networks/);
		expect(whyNotChange(me, key('2', { networks: ['a'], scopes: ['*:read'] }))).toBe('It may more than you: *:read.');
		expect(whyNotChange(me, key('2', { revoked_at: 'x' }))).toMatch(/revoked/);
		expect(whyNotChange({ ...me, scopes: ['keys:read'] }, key('2'))).toMatch(/keys:write/);
	});
});

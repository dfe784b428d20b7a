import { describe, expect, it } from 'vitest';
import { allows, mayGive, tidy, whyNot } from './scopes';
import type { Me } from './shapes';

describe('allows', () => {
	it('holds for what is said and nothing else', () => {
		expect(allows(['contracts:write'], 'contracts', 'write')).toBe(true);
		expect(allows(['contracts:write'], 'contracts', 'read')).toBe(false);
		expect(allows(['contracts:read'], 'keys', 'read')).toBe(false);
		expect(allows(['*:read'], 'keys', 'read')).toBe(true);
		expect(allows(['*:read'], 'keys', 'write')).toBe(false);
		expect(allows(['*:*'], 'keys', 'write')).toBe(true);
		expect(allows([], 'keys', 'read')).toBe(false);
	});
});

describe('mayGive', () => {
	it('never gives more than there is', () => {
		expect(mayGive(['contracts:read'], 'contracts:read')).toBe(true);
		expect(mayGive(['contracts:read'], 'contracts:write')).toBe(false);
		expect(mayGive(['*:read'], '*:read')).toBe(true);
		expect(mayGive(['*:read'], 'usage:read')).toBe(true);
		expect(mayGive(['*:read'], '*:*')).toBe(false);
		expect(mayGive(['chains:read', 'contracts:read'], '*:read')).toBe(false);
		expect(mayGive(['*:*'], '*:*')).toBe(true);
	});
});

describe('tidy', () => {
	it('leaves out what is held by another', () => {
		expect(tidy(['contracts:read', '*:*'])).toEqual(['*:*']);
		expect(tidy(['contracts:read', '*:read', 'contracts:write'])).toEqual(['*:read', 'contracts:write']);
		expect(tidy(['keys:read', 'keys:read'])).toEqual(['keys:read']);
	});
});

describe('whyNot', () => {
	const me: Me = { mode: 'keys', actor: { kind: 'key', id: '1' }, key: { id: '1', prefix: 'a', name: 'ci' }, scopes: ['*:read'], networks: [] };
	it('names the key and the scope', () => {
		expect(whyNot(me, 'contracts', 'read')).toBeNull();
		expect(whyNot(me, 'contracts', 'write')).toBe('The key “ci” lacks the scope contracts:write.');
		expect(whyNot(null, 'contracts', 'read')).toMatch(/not known yet/);
	});

	it('names the role of a person', () => {
		const user = { id: 'u', email: 'a@example.com' };
		const person: Me = { ...me, mode: 'accounts', key: null, user, role: 'viewer' };
		expect(whyNot(person, 'contracts', 'write')).toBe('As viewer of this organisation you may not: it takes the scope contracts:write.');
	});
});

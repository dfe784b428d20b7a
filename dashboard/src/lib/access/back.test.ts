import { describe, expect, it } from 'vitest';
import { backTo, isDoor, loginAt, providerAt, slipOf } from './back';

describe('the way back', () => {
	it('keeps path, query and hash', () => {
		const at = loginAt('/audit?action=key.create#/01J');
		expect(at).toBe('/login?back=%2Faudit%3Faction%3Dkey.create%23%2F01J');
		expect(backTo(new URL(at, 'http://x').searchParams.get('back'))).toBe('/audit?action=key.create#/01J');
		expect(loginAt('/')).toBe('/login');
	});

	it('leads nowhere else', () => {
		for (const elsewhere of ['//evil.example', '/\\evil.example', 'https://evil.example', '/\t/evil.example', '\\/evil', 'keys', '', null, '/a b', '/a\\b']) {
			expect(backTo(elsewhere), String(elsewhere)).toBe('/');
		}
	});

	it('does not lead to the login again', () => {
		expect(backTo('/login?back=/keys')).toBe('/');
		expect(loginAt('/login?back=%2Fkeys')).toBe('/login');
		expect(backTo('/sign-up#invitation=abcdefgh')).toBe('/');
		expect(isDoor('/sign-up')).toBe(true);
		expect(isDoor('/sign-upstairs')).toBe(false);
	});

	it('goes with a provider’s login, and no other', () => {
		expect(providerAt('our sso', '/keys?a=b')).toBe('/api/v1/auth/oidc/our%20sso?back=%2Fkeys%3Fa%3Db');
		expect(providerAt('x/../y', '//evil.example')).toBe('/api/v1/auth/oidc/x%2F..%2Fy?back=%2F');
	});
});

describe('what a link of a mail holds', () => {
	it('is told by its kind', () => {
		expect(slipOf('#invitation=hwi_0a1B-2c.3')).toEqual({ kind: 'invitation', text: 'hwi_0a1B-2c.3' });
		expect(slipOf('#reset=abcdefgh')).toEqual({ kind: 'reset', text: 'abcdefgh' });
		expect(slipOf(`#confirm=${'a'.repeat(4096)}`)).toEqual({ kind: 'confirm', text: 'a'.repeat(4096) });
	});

	it('is nothing else', () => {
		for (const hash of ['', '#', '#/abc', '#reset=', '#reset=short', '#other=abcdefgh', '#reset=abcdefgh&x=1', '#reset=<script>', `#verify=${'a'.repeat(301)}`, `#confirm=${'a'.repeat(4097)}`]) {
			expect(slipOf(hash), hash).toBeNull();
		}
	});
});

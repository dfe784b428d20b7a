import { describe, expect, it } from 'vitest';
import { backTo, loginAt } from './back';

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
	});
});

import { describe, expect, it } from 'vitest';
import { asksCode, known, providerProblem, refusedLogin } from './ways';

describe('ways in', () => {
	it('are as the server says, and keys where it says nothing', () => {
		expect(known({})).toEqual({ mode: 'keys', sign_up: 'closed', providers: [], reset: false });
		expect(known({ mode: 'accounts', sign_up: 'open', reset: true }).providers).toEqual([]);
	});

	it('ask for a code only where the password was right', () => {
		expect(asksCode({ title: '', status: 401, type: '/problems/code-required' })).toBe(true);
		expect(asksCode({ title: '', status: 401, type: '/problems/unauthenticated' })).toBe(false);
		expect(asksCode({ title: '', status: 429, type: '/problems/code-required' })).toBe(false);
	});

	it('say at the field what was refused, and the rest above', () => {
		expect(refusedLogin({ title: 'No', detail: 'not right', status: 401 }, 'password').errors).toEqual([{ path: 'password', problem: 'not right' }]);
		expect(refusedLogin({ title: 'Too fast', status: 429 }, 'password').errors).toBeUndefined();
	});

	it('show of a provider’s refusal only words that are known', () => {
		expect(providerProblem('')).toBeNull();
		expect(providerProblem('?problem=provider-answer')?.detail).toMatch(/too long/);
		expect(providerProblem('?problem=Call+0900')?.detail).toBe('Begin once more, or sign in otherwise.');
		expect(providerProblem('?problem=constructor')?.detail).toBe('Begin once more, or sign in otherwise.');
	});
});

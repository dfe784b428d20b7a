/** How one gets in: what the server offers, and how it says no. */

import type { Problem } from '../contract';
import { get } from '../http';
import type { Ways } from './shapes';

/** A server that does not tell: keys, as before there were people. */
const KEYS: Ways = { mode: 'keys', sign_up: 'closed', providers: [], reset: false };

/** @throws RequestError where the server is not reached. */
export async function ways(signal?: AbortSignal): Promise<Ways> {
	try {
		return known((await get<Partial<Ways>>('/api/v1/auth/ways', signal)).body);
	} catch (error) {
		const status = error instanceof Error && 'problem' in error ? (error.problem as Problem).status : undefined;
		if (status === 404) return KEYS;
		throw error;
	}
}

export function known(told: Partial<Ways>): Ways {
	return { ...KEYS, ...told, providers: told.providers ?? [] };
}

/** Whether the password was right and a code is wanted, or another one than was sent. */
export function asksCode(problem: Problem): boolean {
	return problem.status === 401 && /\bcode\b/.test(problem.type ?? '');
}

/** What was refused, at its field. One sentence for a wrong password and an unknown address: the server tells no difference. */
export function refusedLogin(problem: Problem, field: 'password' | 'code'): Problem {
	if (problem.status !== 401) return problem;
	return { ...problem, errors: [{ path: field, problem: problem.detail ?? problem.title }] };
}

/** What a provider's login ended with, as the server says it in the page's address (`?problem=WORD`); null without one. */
export function providerProblem(search: string): Problem | null {
	const word = new URLSearchParams(search).get('problem');
	if (!word) return null;
	const told: Record<string, string> = {
		'provider-away': 'The provider does not answer at the moment.',
		'provider-refused': 'You turned back there, or were not let in.',
		'provider-answer': 'Its answer did not belong to a login that was begun in this browser, or it took too long. Begin once more.',
		'email-missing': 'It told no address of yours that it has confirmed.',
		'email-taken': 'There is an account with that address. Sign in by its password, and join the two at Your account.',
		'sign-up': 'Nobody here has that account, and none is made by signing in. Ask for an invitation.',
		invitation: 'The invitation is not good any more, or was written to another address.',
		linked: 'It belongs to another account here already.',
		later: 'As many organisations were founded from your address as may be in a day. Try again tomorrow, or ask for an invitation.',
		account: 'That account is not let in: it was disabled, or is in no organisation that is.'
	};
	// What is not known is not shown: anybody can write an address.
	return { title: 'The login at the provider did not end well', detail: Object.hasOwn(told, word) ? told[word] : 'Begin once more, or sign in otherwise.' };
}

/** At least so many characters, as the server has it. */
export const PASSWORD_LEAST = 10;

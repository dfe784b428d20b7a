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
		denied: 'You were not let in there, or turned back.',
		expired: 'It took too long. Begin once more.',
		state: 'The answer did not belong to a login that was begun in this browser. Begin once more.',
		closed: 'Nobody here has that account, and new ones are not made by signing in. Ask for an invitation.',
		unreachable: 'The provider does not answer at the moment.'
	};
	// What is not known is not shown: anybody can write an address.
	return { title: 'The login at the provider did not end well', detail: Object.hasOwn(told, word) ? told[word] : 'Begin once more, or sign in otherwise.' };
}

/** At least so many characters, as the server has it. */
export const PASSWORD_LEAST = 12;

/** Requests to `/api/v1`: a deadline on each, and errors as the problem that the server (or the way to it) had. */

import type { Problem } from './contract';

/** Milliseconds before a request is given up. */
export const DEADLINE_MS = 8_000;

export class RequestError extends Error {
	constructor(readonly problem: Problem) {
		super(problem.detail ? `${problem.title}: ${problem.detail}` : problem.title);
	}
}

/** The server's clock minus ours, in milliseconds, as far as the last answer told. */
export interface Answer<T> {
	body: T;
	/** From the `Date` header, a second's precision; null without one. */
	serverTime: number | null;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<Answer<T>> {
	const deadline = AbortSignal.timeout(DEADLINE_MS);
	let response: Response;
	try {
		response = await fetch(path, {
			headers: { accept: 'application/json' },
			signal: signal ? AbortSignal.any([signal, deadline]) : deadline
		});
	} catch (cause) {
		if (signal?.aborted) throw cause;
		throw new RequestError(
			deadline.aborted
				? { title: 'No answer', detail: `The server did not answer within ${DEADLINE_MS / 1000} s.` }
				: { title: 'Not reachable', detail: 'The server could not be reached.' }
		);
	}
	const text = await response.text().catch(() => '');
	if (!response.ok) throw new RequestError(problemOf(response.status, response.statusText, text));
	try {
		const at = Date.parse(response.headers.get('date') ?? '');
		return { body: JSON.parse(text) as T, serverTime: Number.isNaN(at) ? null : at };
	} catch {
		throw new RequestError({ title: 'Unreadable answer', detail: `${path} did not answer with JSON.` });
	}
}

/** The problem in an error's body, or one made of the status line when it holds none (a proxy's page, say). */
export function problemOf(status: number, statusText: string, body: string): Problem {
	try {
		const parsed: unknown = JSON.parse(body);
		if (parsed && typeof parsed === 'object' && 'title' in parsed && typeof parsed.title === 'string') {
			const detail = 'detail' in parsed && typeof parsed.detail === 'string' ? parsed.detail : undefined;
			return { title: parsed.title, detail, status };
		}
	} catch {
		// Not JSON: the status line says it.
	}
	return { title: `${status} ${statusText}`.trim(), status };
}

export function toProblem(error: unknown): Problem {
	if (error instanceof RequestError) return error.problem;
	return { title: 'Something went wrong on this page', detail: error instanceof Error ? error.message : String(error) };
}

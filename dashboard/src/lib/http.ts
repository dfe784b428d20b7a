/** Requests to `/api/v1`: a deadline on each, and errors as the problem that the server (or the way to it) had. */

import type { Mistake, Problem } from './contract';

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
	/** For `If-Match`, where the thing can be changed. */
	etag: string | null;
}

/** What whoever knows who is here adds to requests, and hears of them. */
export interface Access {
	/** Goes with every change that a cookie vouches for. */
	csrf: string | null;
	/** A request was refused because nobody is signed in. */
	refused: () => void;
	/** Reads `csrf` anew; the change is then tried once more. */
	renew: () => Promise<void>;
}

export const access: Access = { csrf: null, refused: () => {}, renew: async () => {} };

export interface Sending {
	/** Sent as JSON. */
	body?: unknown;
	/** Sent as it is, and said to be JSON or what `type` says; instead of `body`. */
	text?: string;
	type?: string;
	ifMatch?: string | null;
	idempotencyKey?: string;
	signal?: AbortSignal;
	/** Milliseconds before it is given up, where that takes longer than others. */
	deadline?: number;
}

export function get<T>(path: string, signal?: AbortSignal): Promise<Answer<T>> {
	return request<T>('GET', path, {}, signal);
}

/** A request that may change something. An answer without a body is `null`. */
export async function send<T>(method: 'POST' | 'PATCH' | 'DELETE', path: string, sending: Sending = {}): Promise<Answer<T>> {
	const { body, text, type = 'application/json', ifMatch, idempotencyKey, signal, deadline } = sending;
	const content = text ?? (body === undefined ? undefined : JSON.stringify(body));
	const attempt = () => {
		const headers: Record<string, string> = {};
		if (content !== undefined) headers['content-type'] = type;
		if (ifMatch) headers['if-match'] = ifMatch;
		if (idempotencyKey) headers['idempotency-key'] = idempotencyKey;
		if (access.csrf) headers['x-headwater-csrf'] = access.csrf;
		return request<T>(method, path, { headers, body: content, deadline }, signal);
	};
	try {
		return await attempt();
	} catch (error) {
		if (!isCsrf(error)) throw error;
		// Somebody signed in anew in another tab: the cookie is of that session, and what we hold is of the one before.
		await access.renew();
		return attempt();
	}
}

function isCsrf(error: unknown): boolean {
	return error instanceof RequestError && error.problem.status === 403 && /\bcsrf\b/.test(error.problem.type ?? '');
}

interface Content {
	headers?: Record<string, string>;
	body?: string;
	deadline?: number;
}

async function request<T>(method: string, path: string, content: Content, signal?: AbortSignal): Promise<Answer<T>> {
	const limit = content.deadline ?? DEADLINE_MS;
	const deadline = AbortSignal.timeout(limit);
	let response: Response;
	try {
		response = await fetch(path, {
			method,
			headers: { accept: 'application/json', ...content.headers },
			body: content.body,
			signal: signal ? AbortSignal.any([signal, deadline]) : deadline
		});
	} catch (cause) {
		if (signal?.aborted) throw cause;
		throw new RequestError(
			deadline.aborted
				? { title: 'No answer', detail: `The server did not answer within ${limit / 1000} s.` }
				: { title: 'Not reachable', detail: 'The server could not be reached.' }
		);
	}
	const text = await response.text().catch(() => '');
	if (response.status === 401) access.refused();
	if (!response.ok) throw new RequestError(problemOf(response.status, response.statusText, text));
	try {
		const at = Date.parse(response.headers.get('date') ?? '');
		const body = (text === '' && method !== 'GET' ? null : JSON.parse(text)) as T;
		return { body, serverTime: Number.isNaN(at) ? null : at, etag: response.headers.get('etag') };
	} catch {
		throw new RequestError({ title: 'Unreadable answer', detail: `${path} did not answer with JSON.` });
	}
}

/** The problem in an error's body, or one made of the status line when it holds none (a proxy's page, say). */
export function problemOf(status: number, statusText: string, body: string): Problem {
	try {
		const parsed: unknown = JSON.parse(body);
		if (parsed && typeof parsed === 'object' && 'title' in parsed && typeof parsed.title === 'string') {
			const text = (name: string) => {
				const value = (parsed as Record<string, unknown>)[name];
				return typeof value === 'string' ? value : undefined;
			};
			const errors = 'errors' in parsed && Array.isArray(parsed.errors) ? parsed.errors.filter(isMistake) : undefined;
			const problem: Problem = { title: parsed.title, detail: text('detail'), status };
			for (const name of ['type', 'id'] as const) if (text(name)) problem[name] = text(name);
			if (errors?.length) problem.errors = errors;
			return problem;
		}
	} catch {
		// Not JSON: the status line says it.
	}
	return { title: `${status} ${statusText}`.trim(), status };
}

function isMistake(value: unknown): value is Mistake {
	return value != null && typeof value === 'object' && 'path' in value && 'problem' in value;
}

export function toProblem(error: unknown): Problem {
	if (error instanceof RequestError) return error.problem;
	return { title: 'Something went wrong on this page', detail: error instanceof Error ? error.message : String(error) };
}

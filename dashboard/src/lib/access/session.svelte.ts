/**
 * Who is here, and what they may.
 *
 * Guarantees: any request that is refused for want of a login leads to it, and from there back; what the page holds of whoever is here
 * is at most `CHECK_MS` old while it is looked at, so that a key that was narrowed or revoked is noticed on a page that asks for nothing.
 */

import { access, get, RequestError, send, toProblem } from '../http';
import type { Problem } from '../contract';
import { whyNot } from './scopes';
import type { Action, Me } from './shapes';

const CHECK_MS = 30_000;
const RETRY_MS = 5_000;

class Session {
	/** Null until it is known, and when nobody is signed in. */
	me = $state.raw<Me | null>(null);
	/** Nobody is signed in, and somebody has to be. */
	out = $state.raw(false);
	/** Why it is not known. */
	problem = $state.raw<Problem | null>(null);

	private lead: (() => void) | null = null;
	private timer: ReturnType<typeof setTimeout> | undefined;
	private asking: Promise<void> | null = null;

	/** `lead` goes to the login. Answers what ends it. */
	start(lead: () => void): () => void {
		this.lead = lead;
		access.refused = this.refused;
		access.renew = () => this.check();
		const seen = () => {
			if (document.visibilityState === 'visible') void this.check();
		};
		document.addEventListener('visibilitychange', seen);
		addEventListener('online', seen);
		void this.check();
		return () => {
			clearTimeout(this.timer);
			document.removeEventListener('visibilitychange', seen);
			removeEventListener('online', seen);
			access.refused = () => {};
		};
	}

	/** Asks who is here. */
	check(): Promise<void> {
		this.asking ??= this.ask().finally(() => (this.asking = null));
		return this.asking;
	}

	/** @throws RequestError with the server's words where the key is refused. */
	async login(key: string): Promise<void> {
		await send('POST', '/api/v1/auth/login', { body: { key } });
		// One that was under way is of the time before.
		await this.asking;
		await this.check();
	}

	async logout(): Promise<void> {
		try {
			// Whatever changes something is JSON, even where there is nothing to say.
			await send('POST', '/api/v1/auth/logout', { body: {} });
		} catch (error) {
			if (!(error instanceof RequestError && error.problem.status === 401)) throw error;
		}
		this.left();
	}

	/** Why this may not be done; null where it may. */
	whyNot(resource: string, action: Action): string | null {
		return whyNot(this.me, resource, action);
	}

	private async ask(): Promise<void> {
		clearTimeout(this.timer);
		try {
			this.entered((await get<Me>('/api/v1/auth/me')).body);
		} catch (error) {
			const problem = toProblem(error);
			if (problem.status !== 401) this.problem = problem;
		}
		const wait = this.problem ? RETRY_MS : CHECK_MS;
		this.timer = setTimeout(() => {
			// A page that nobody looks at asks when somebody does.
			if (document.visibilityState === 'visible' && this.me?.mode !== 'none' && !this.out) void this.check();
		}, wait);
	}

	private entered(me: Me): void {
		this.me = me;
		this.out = false;
		this.problem = null;
		access.csrf = me.csrf ?? null;
	}

	private refused = (): void => {
		this.left();
	};

	private left(): void {
		this.me = null;
		this.out = true;
		this.problem = null;
		access.csrf = null;
		this.lead?.();
	}
}

export const session = new Session();

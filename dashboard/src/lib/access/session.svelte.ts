/**
 * Who is here, and what they may.
 *
 * Guarantees: any request that is refused for want of a login leads to it, and from there back; what the page holds of whoever is here
 * is at most `CHECK_MS` old while it is looked at, so that a key that was narrowed or revoked is noticed on a page that asks for nothing;
 * where somebody signed in otherwise, or switched, in another tab, no change that was meant for the former organisation is sent to the other:
 * the page begins anew.
 */

import { access, get, RequestError, send, toProblem } from '../http';
import type { Problem } from '../contract';
import { isDoor } from './back';
import { whyNot } from './scopes';
import type { Action, Me } from './shapes';

/** What is sent to sign up: with an organisation of one's own, or into that of an invitation. */
export type SigningUp = { email: string; password: string } & ({ organisation: string } | { invitation: string });

const CHECK_MS = 30_000;
const RETRY_MS = 5_000;

const OTHERWISE: Problem = {
	title: 'Nothing was changed',
	detail: 'Somebody signed in otherwise in another tab, or switched the organisation there. This page is loaded anew.'
};

/** Two answers of one text are of the same person or key, in the same organisation. Null: of nobody. */
function sameness(me: Me | null): string | null {
	return me && JSON.stringify([me.mode, me.actor.kind, me.actor.id, me.current ?? null]);
}

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
		access.renew = async () => {
			const before = sameness(this.me);
			await this.check();
			if (before !== null && sameness(this.me) !== before) throw new RequestError(OTHERWISE);
		};
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

	/** @throws RequestError with the server's words where the key, or the person, is refused. */
	async login(proof: { key: string } | { email: string; password: string; code?: string; invitation?: string }): Promise<void> {
		await send('POST', '/api/v1/auth/login', { body: proof });
		await this.anew();
	}

	/**
	 * Whether whoever signed up is in; otherwise a letter is on its way, whose link leads to `confirm`.
	 * @throws RequestError where it is refused.
	 */
	async signUp(person: SigningUp): Promise<boolean> {
		const { body } = await send<object | null>('POST', '/api/v1/auth/sign-up', { body: person });
		if (body === null) return false;
		await this.anew();
		return true;
	}

	/** Makes the account of a letter's link. @throws RequestError where it is refused. */
	async confirm(token: string, password: string): Promise<void> {
		await send('POST', '/api/v1/auth/sign-up/confirm', { body: { token, password } });
		await this.anew();
	}

	/** Acts in another organisation from now on. What stands on the page is of the one before, so it is loaded anew at `to`. */
	async switchTo(organisation: string, to: string): Promise<void> {
		await send('POST', '/api/v1/auth/switch', { body: { organisation } });
		location.assign(to);
	}

	/** Takes an invitation for whoever is here, and goes into its organisation at `to`. */
	async accept(invitation: string, to: string): Promise<void> {
		const { body } = await send<{ id: string }>('POST', '/api/v1/auth/accept', { body: { invitation } });
		await this.switchTo(body.id, to);
	}

	/** `everywhere`: all other browsers of this person are signed out too. */
	async logout(everywhere = false): Promise<void> {
		try {
			// Whatever changes something is JSON, even where there is nothing to say.
			await send('POST', '/api/v1/auth/logout', { body: everywhere ? { everywhere } : {} });
		} catch (error) {
			if (!(error instanceof RequestError && error.problem.status === 401)) throw error;
		}
		this.left();
	}

	/** Why this may not be done; null where it may. */
	whyNot(resource: string, action: Action): string | null {
		return whyNot(this.me, resource, action);
	}

	/** Asks who is here after that has changed: an answer that is under way is of the time before. */
	private async anew(): Promise<void> {
		await this.asking;
		await this.check();
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
		const before = sameness(this.me);
		this.me = me;
		this.out = false;
		this.problem = null;
		access.csrf = me.csrf ?? null;
		// What stands here is of somebody else's, or of another organisation.
		if (before !== null && before !== sameness(me) && !isDoor(location.pathname)) location.reload();
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

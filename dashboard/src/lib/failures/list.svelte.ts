/**
 * The groups of `/failures`: read again every few seconds while somebody looks.
 *
 * Guarantees: one request at a time; of two filters the one that was chosen later holds; what is on the page stays when the server
 * does not answer, with since when it is old; cards keep their places while one of them is pointed at.
 */

import { ServerClock } from '../clock';
import type { Health, Problem } from '../contract';
import { get, toProblem } from '../http';
import type { Loading } from '../live.svelte';
import { ALL, arrangeGroups, cutOf, failureQueryOf, groupKey, type FailureFilter } from './filter';
import type { FailureGroup, Failures } from './shapes';

/** Milliseconds between two answers, and after one that failed. */
const AGAIN_MS = 6_000;
const RETRY_MS = 3_000;
/** The most that is asked for; those with the most failures come first. */
export const GROUPS = 60;

export class FailureList {
	table = $state.raw<Loading>({ kind: 'loading' });
	groups = $state.raw<FailureGroup[]>([]);
	total = $state.raw<number | null>(null);
	failed = $state.raw<number | null>(null);
	/** From when on it was counted, where that is less than was asked for, milliseconds. */
	cut = $state.raw<number | null>(null);
	/** What went wrong though something is shown, and when that was read, milliseconds by the server's clock. */
	problem = $state.raw<Problem | null>(null);
	asOf = $state.raw<number | null>(null);
	networks = $state.raw<string[]>([]);
	now = $state.raw(0);
	/** Whether the reader points at one of the cards. */
	held = false;

	private filter: FailureFilter = ALL;
	private readonly clock = new ServerClock();
	private request = new AbortController();
	private due: ReturnType<typeof setTimeout> | undefined;
	private ticking: ReturnType<typeof setInterval> | undefined;
	private stopped = false;

	start(filter: FailureFilter): void {
		this.ticking = setInterval(() => (this.now = this.clock.now()), 1_000);
		document.addEventListener('visibilitychange', this.seen);
		addEventListener('online', this.seen);
		void this.readNetworks();
		this.narrow(filter);
	}

	stop(): void {
		this.stopped = true;
		clearTimeout(this.due);
		clearInterval(this.ticking);
		this.request.abort();
		document.removeEventListener('visibilitychange', this.seen);
		removeEventListener('online', this.seen);
	}

	narrow(filter: FailureFilter): void {
		this.filter = filter;
		// Cards stay, and are shown as of before, until others have come.
		this.table = { kind: 'loading' };
		this.again();
	}

	/** Reads now. */
	again = (): void => {
		clearTimeout(this.due);
		this.request.abort();
		this.request = new AbortController();
		void this.read(this.request.signal);
	};

	private seen = (): void => {
		if (!document.hidden) this.again();
	};

	private async read(signal: AbortSignal): Promise<void> {
		const sent = Date.now();
		const query = new URLSearchParams({ ...failureQueryOf(this.filter), limit: String(GROUPS) });
		let wait = AGAIN_MS;
		try {
			const { body, serverTime } = await get<Failures>(`/api/v1/failures?${query}`, signal);
			if (signal.aborted) return;
			this.clock.follow(serverTime, sent);
			const fresh = this.table.kind === 'loading';
			this.groups = arrangeGroups(body.items, this.groups.map(groupKey), this.held && !fresh);
			this.total = body.total ?? null;
			this.failed = body.failed ?? null;
			this.cut = cutOf(body);
			this.asOf = this.now = this.clock.now();
			this.problem = null;
			this.table = { kind: 'ready' };
		} catch (error) {
			if (signal.aborted) return;
			const problem = toProblem(error);
			// What is wrong with the question stays wrong; what stands here is the answer to another one.
			const refused = problem.status != null && problem.status >= 400 && problem.status < 500 && problem.status !== 429;
			if (refused || this.table.kind !== 'ready') {
				this.groups = [];
				this.table = { kind: 'error', problem };
			} else {
				this.problem = problem;
			}
			if (refused) return;
			wait = RETRY_MS;
		}
		if (!this.stopped) this.due = setTimeout(() => (document.hidden ? undefined : this.again()), wait);
	}

	private async readNetworks(): Promise<void> {
		try {
			const { body } = await get<Health>('/api/v1/health');
			this.networks = body.networks.map((n) => n.network);
		} catch {
			// Without it there is nothing to choose from but all.
		}
	}
}

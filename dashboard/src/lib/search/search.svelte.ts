/**
 * The search behind the box of every page.
 *
 * Guarantees: of two questions the one that was asked later is answered; who pressed Enter or pasted is led to the only thing of that
 * name as soon as the answer is there, and to nothing else; a hash that is not there yet is asked for again for a while.
 */

import type { Problem } from '../contract';
import { get, toProblem } from '../http';
import { hasHash, LEAST, pathOf, questionOf, type Answer, type Found } from './results';

const TYPING_MS = 220;
/** A transaction that was sent just now is in a block soon. */
const AGAIN_MS = 2_500;
const AGAIN_TIMES = 24;

export class Search {
	/** What the answer is to; empty: nothing was asked. */
	asked = $state.raw('');
	items = $state.raw<Found[]>([]);
	/** What the server says besides. */
	note = $state.raw<string | null>(null);
	busy = $state.raw(false);
	problem = $state.raw<Problem | null>(null);
	/** Whether it is asked again by itself. */
	waiting = $state.raw(false);

	private due: ReturnType<typeof setTimeout> | undefined;
	private request: AbortController | null = null;
	private go = false;
	private times = 0;

	/** `open` leads to a page. */
	constructor(private readonly open: (path: string) => void) {}

	/** Somebody types: it is asked a moment later. */
	typed(text: string): void {
		const question = questionOf(text);
		if (question === this.asked && !this.problem) return;
		this.forget();
		if (question.length >= LEAST || /^\d+$/.test(question)) this.due = setTimeout(() => void this.ask(question), TYPING_MS);
	}

	/** Enter, or something was pasted: to the only one there is. */
	submit(text: string): void {
		const question = questionOf(text);
		if (question === '') return;
		this.times = 0;
		if (question === this.asked && !this.problem && !this.waiting) {
			this.go = true;
			if (!this.busy) this.lead();
			return;
		}
		this.forget();
		this.go = true;
		void this.ask(question);
	}

	/** Nothing was asked. */
	forget(): void {
		clearTimeout(this.due);
		this.request?.abort();
		this.request = null;
		this.asked = '';
		this.items = [];
		this.problem = this.note = null;
		this.busy = this.waiting = this.go = false;
	}

	private async ask(question: string): Promise<void> {
		this.request?.abort();
		const request = (this.request = new AbortController());
		this.asked = question;
		this.busy = true;
		try {
			const { body } = await get<Answer>(`/api/v1/search?${new URLSearchParams({ q: question })}`, request.signal);
			if (request.signal.aborted) return;
			this.items = body.items.filter((found) => pathOf(found) != null);
			this.note = body.note ?? null;
			this.problem = null;
		} catch (error) {
			if (request.signal.aborted) return;
			this.items = [];
			this.problem = toProblem(error);
		}
		this.busy = false;
		this.waiting = this.items.length === 0 && !this.problem && hasHash(question) && this.times < AGAIN_TIMES;
		if (this.waiting) {
			this.times++;
			this.due = setTimeout(() => void this.ask(question), AGAIN_MS);
		}
		if (this.go) this.lead();
	}

	private lead(): void {
		const [only, ...others] = this.items;
		if (!only) return;
		this.go = false;
		const path = others.length === 0 ? pathOf(only) : null;
		if (path) this.open(path);
	}
}

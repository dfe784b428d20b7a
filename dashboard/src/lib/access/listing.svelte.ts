/**
 * A list that comes in pages (`{items, next}`), as far as it was asked for.
 *
 * Guarantees: of two answers the one that was asked for later holds; what is on the page stays when an attempt fails; an item is there
 * once, whatever was added or removed between two pages.
 */

import type { Page, Problem } from '../contract';
import { get, toProblem } from '../http';

/** Rows of one page, and the most that are read again at once. */
const PAGE = 50;
const MOST = 500;

export class Listing<T extends { id: string }> {
	/** Null until the first answer. */
	items = $state.raw<T[] | null>(null);
	/** There are more. */
	more = $state.raw(false);
	loading = $state.raw(false);
	problem = $state.raw<Problem | null>(null);

	private next: string | null = null;
	private request: AbortController | null = null;

	/** `query` is what the list is narrowed by. */
	constructor(
		private readonly path: string,
		private query: Record<string, string> = {}
	) {}

	/** From the beginning, narrowed otherwise; nothing of the former list stays. */
	narrow(query: Record<string, string>): Promise<void> {
		this.query = query;
		this.items = null;
		this.more = false;
		return this.load(null, PAGE);
	}

	/** Again, as far as it is shown. */
	reload(): Promise<void> {
		return this.load(null, Math.min(Math.max(this.items?.length ?? 0, PAGE), MOST));
	}

	/** The next page. */
	further(): Promise<void> {
		return this.next ? this.load(this.next, PAGE) : Promise.resolve();
	}

	/** An answer about one of them. */
	put(item: T): void {
		const items = this.items ?? [];
		const there = items.some((i) => i.id === item.id);
		if (there) this.items = items.map((i) => (i.id === item.id ? item : i));
		// Lists of things go by age: at the end, where that is in sight.
		else this.items = this.more ? [item, ...items] : [...items, item];
	}

	remove(id: string): void {
		this.items = this.items?.filter((item) => item.id !== id) ?? null;
	}

	stop(): void {
		this.request?.abort();
	}

	private async load(cursor: string | null, limit: number): Promise<void> {
		this.request?.abort();
		const request = (this.request = new AbortController());
		this.loading = true;
		const query = new URLSearchParams({ ...this.query, limit: String(limit), ...(cursor ? { cursor } : {}) });
		try {
			const { body } = await get<Page<T>>(`${this.path}?${query}`, request.signal);
			const before = cursor ? (this.items ?? []) : [];
			const known = new Set(before.map((item) => item.id));
			this.items = [...before, ...body.items.filter((item) => !known.has(item.id))];
			this.next = body.next;
			this.more = body.next != null;
			this.problem = null;
		} catch (error) {
			if (request.signal.aborted) return;
			this.problem = toProblem(error);
		}
		if (this.request === request) this.loading = false;
	}
}

/**
 * What is known of every endpoint, from two sources: the answers of `/providers/health`, each the whole list, and the frames of
 * the topic `providers`, each one endpoint.
 *
 * Guarantee: the newest word holds, whichever way it came; an answer drops those that it no longer names, but never what a
 * frame told while the answer was on its way.
 */

import type { Op, Provider } from '../contract';
import { instant } from '../format';

interface Known {
	provider: Provider;
	/** When it was heard, by our clock. */
	heard: number;
}

export function keyOf(provider: Pick<Provider, 'network' | 'name'>): string {
	return `${provider.network}/${provider.name}`;
}

export class ProviderBook {
	private known = new Map<string, Known>();

	/** The whole list, as it was some time after `sent`. */
	answer(providers: readonly Provider[], sent: number, received: number): void {
		const next = new Map<string, Known>();
		for (const provider of providers) {
			const key = keyOf(provider);
			const held = this.known.get(key);
			const keeps = held && (newer(held.provider, provider) ?? held.heard > sent);
			next.set(key, keeps ? held : { provider, heard: received });
		}
		for (const [key, held] of this.known) if (held.heard > sent && !next.has(key)) next.set(key, held);
		this.known = next;
	}

	frame(op: Op, provider: Provider, received: number): void {
		const key = keyOf(provider);
		if (op === 'revert') return void this.known.delete(key);
		const held = this.known.get(key);
		if (held && newer(held.provider, provider)) return;
		this.known.set(key, { provider, heard: received });
	}

	get(network: string, name: string): Provider | null {
		return this.known.get(keyOf({ network, name }))?.provider ?? null;
	}

	/** By network, in the order in which networks came. */
	networks(): { network: string; providers: Provider[] }[] {
		const groups = new Map<string, Provider[]>();
		for (const { provider } of this.known.values()) {
			const group = groups.get(provider.network);
			if (group) group.push(provider);
			else groups.set(provider.network, [provider]);
		}
		return [...groups].map(([network, providers]) => ({ network, providers }));
	}
}

/** Whether `a` was written after `b`; null when one does not say when. */
function newer(a: Provider, b: Provider): boolean | null {
	const [left, right] = [instant(a.at), instant(b.at)];
	return left == null || right == null ? null : left > right;
}

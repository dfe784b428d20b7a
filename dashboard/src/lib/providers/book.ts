/**
 * What is known of every endpoint, from two sources: the answers of `/providers/health`, each the whole list, and the frames of
 * the topic `providers`, each one endpoint.
 *
 * Guarantee: what came last holds, except that an answer neither overwrites nor drops what a frame told while it was on its way, nor
 * brings back what a frame took out meanwhile; otherwise it drops those that it no longer names. (Times of writing are no order: they are of several observers, of which the
 * server chooses one for each endpoint.)
 */

import type { Op, Provider } from '../contract';

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
	/** When a frame took an endpoint out, by our clock; until an answer that was asked for later. */
	private gone = new Map<string, number>();

	/** The whole list, as it was some time after `sent`. */
	answer(providers: readonly Provider[], sent: number, received: number): void {
		const next = new Map<string, Known>();
		for (const provider of providers) {
			const key = keyOf(provider);
			if ((this.gone.get(key) ?? -Infinity) > sent) continue;
			const held = this.known.get(key);
			next.set(key, held && held.heard > sent ? held : { provider, heard: received });
		}
		for (const [key, held] of this.known) if (held.heard > sent && !next.has(key)) next.set(key, held);
		for (const [key, at] of this.gone) if (at <= sent) this.gone.delete(key);
		this.known = next;
	}

	frame(op: Op, provider: Provider, received: number): void {
		const key = keyOf(provider);
		if (op === 'revert') {
			this.known.delete(key);
			this.gone.set(key, received);
		} else {
			this.gone.delete(key);
			this.known.set(key, { provider, heard: received });
		}
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

/** Names of contracts by their address, for whoever may read them; without them addresses are shown as they are. */

import type { Contract } from '../access/shapes';
import type { Page } from '../contract';
import { get } from '../http';

/** The most that are read. */
const MOST = 1_000;

export interface Known {
	id: string;
	name: string;
	network: string;
	address: string;
}

class Names {
	all = $state.raw<Known[]>([]);

	private by = $derived(new Map(this.all.map((known) => [`${known.network} ${known.address}`, known])));

	/** Reads them; quietly nothing where that fails. */
	async load(signal?: AbortSignal): Promise<void> {
		try {
			const { body } = await get<Page<Contract>>(`/api/v1/contracts?limit=${MOST}`, signal);
			this.all = body.items.map(({ id, name, network, address }) => ({ id, name, network, address: address.toLowerCase() }));
		} catch {
			// They only make it nicer.
		}
	}

	of(network: string, address: string | null | undefined): Known | null {
		return (address && this.by.get(`${network} ${address.toLowerCase()}`)) || null;
	}

	/** What it is called; null where nobody named it. */
	naming = (network: string, address: string): string | null => this.of(network, address)?.name ?? null;
}

export const names = new Names();

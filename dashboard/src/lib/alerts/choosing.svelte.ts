/** What forms offer to choose from: networks, contracts, channels, rules, monitors. Read once for a form. */

import { reachable } from '$lib/access/networks';
import type { Contract } from '$lib/access/shapes';
import type { Channel, Thing } from '$lib/alerts/shapes';
import type { NetworkHealth, Page } from '$lib/contract';
import { get } from '$lib/http';

/** The most that is read of each. */
const MOST = 500;

export class Choosing {
	/** Null until they are known. */
	networks = $state.raw<NetworkHealth[] | null>(null);
	contracts = $state.raw<Contract[]>([]);
	channels = $state.raw<Channel[] | null>(null);
	rules = $state.raw<Thing[]>([]);
	monitors = $state.raw<Thing[]>([]);
	/** ABIs that were asked for, by their contracts' ids; null where none came yet. */
	private abis = new Map<string, unknown[] | null>();

	async load(what: readonly ('networks' | 'contracts' | 'channels' | 'rules' | 'monitors')[], signal: AbortSignal): Promise<void> {
		await Promise.all(
			what.map(async (kind) => {
				try {
					if (kind === 'networks') this.networks = await reachable(signal);
					else this[kind] = (await get<Page<never>>(`/api/v1/${kind}?limit=${MOST}`, signal)).body.items;
				} catch {
					// A form without it still takes what is typed.
					if (kind === 'channels') this.channels ??= [];
					if (kind === 'networks') this.networks ??= [];
				}
			})
		);
	}

	/** What a rule, a monitor or a channel is called; null where that is not known. */
	named = (field: string, id: string): string | null => {
		const things: Thing[] | null = field === 'rule' ? this.rules : field === 'monitor' ? this.monitors : field === 'channel' ? this.channels : [];
		return things?.find((thing) => thing.id === id)?.name ?? null;
	};

	contract(networks: readonly string[], address: string): Contract | null {
		const wanted = address.trim().toLowerCase();
		return this.contracts.find((c) => c.address.toLowerCase() === wanted && networks.includes(c.network)) ?? null;
	}

	/** Those that can be named where these networks are chosen: theirs, or all while none is. */
	offered(networks: readonly string[]): Contract[] {
		return this.contracts.filter((c) => networks.length === 0 || networks.includes(c.network));
	}

	/** What a new one goes to: with one channel, there is nothing to choose. */
	onlyChannel(): string[] {
		const channels = this.channels ?? [];
		return channels.length === 1 ? channels.map(({ id }) => id) : [];
	}

	/** The ABI of a contract of ours; it is asked for once. */
	async readAbi(contract: Contract): Promise<unknown[] | null> {
		if (contract.abi) return contract.abi;
		if (!this.abis.has(contract.id)) {
			this.abis.set(contract.id, null);
			try {
				const { body } = await get<Contract>(`/api/v1/contracts/${encodeURIComponent(contract.id)}`);
				this.abis.set(contract.id, body.abi ?? null);
			} catch {
				// Then nothing is completed.
			}
		}
		return this.abis.get(contract.id) ?? null;
	}
}

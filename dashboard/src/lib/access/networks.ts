/** Which networks somebody may name. */

import type { Health, NetworkHealth } from '../contract';
import { get } from '../http';
import { families } from '../families.svelte';
import { session } from './session.svelte';

/** Those that are followed and that whoever is here may reach, by name. */
export async function reachable(signal?: AbortSignal): Promise<NetworkHealth[]> {
	const { body } = await get<Health>('/api/v1/health', signal);
	families.learn(body.networks);
	const mine = session.me?.networks ?? [];
	return body.networks
		.filter((n) => mine.length === 0 || mine.includes(n.network))
		.sort((a, b) => a.network.localeCompare(b.network));
}

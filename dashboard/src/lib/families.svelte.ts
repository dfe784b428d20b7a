/**
 * Which family a network is of, as the server said it last. Amounts are told in the coin of their network, and only its family says how
 * many digits that has; until the server has said, the name decides.
 */

const BY_NAME: [RegExp, string][] = [
	[/^(bitcoin|btc|testnet4|signet)\b/, 'bitcoin'],
	[/^(stellar|xlm|pubnet)\b/, 'stellar']
];

class Families {
	private known = $state.raw<Readonly<Record<string, string>>>({});

	/** Of a network, whatever is known of it. */
	of(network: string): string {
		if (Object.hasOwn(this.known, network)) return this.known[network]!;
		return BY_NAME.find(([name]) => name.test(network.toLowerCase()))?.[1] ?? 'evm';
	}

	/** Of several; of all that are known where none is named. What is of different families is told as EVM. */
	shared(networks: readonly string[]): string {
		const all = new Set(networks.length > 0 ? networks.map((network) => this.of(network)) : Object.values(this.known));
		return all.size === 1 ? [...all][0]! : 'evm';
	}

	/** The server says so. What says no family says nothing. */
	learn(items: Iterable<{ network: string; family?: string | null }>): void {
		let next: Record<string, string> | null = null;
		for (const { network, family } of items) {
			if (!family || (next ?? this.known)[network] === family) continue;
			next ??= { ...this.known };
			next[network] = family;
		}
		if (next) this.known = next;
	}
}

export const families = new Families();

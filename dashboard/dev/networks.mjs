// Which networks the mock has, and by whose transactions. Development only.

const SOURCES = [['ethereum-mainnet', 6000], ['polygon-mainnet', 2000], ['op-mainnet', 2000]];
const MORE = ['base', 'arbitrum-one', 'mantle', 'linea', 'scroll', 'bsc', 'gnosis', 'celo', 'avalanche', 'unichain', 'blast', 'zksync', 'cronos', 'berachain', 'taiko', 'sonic', 'fraxtal'];

/** So many networks: the recorded ones, then others by their transactions. */
export function named(count) {
	return Array.from({ length: count }, (_, i) => {
		const [of, everyMs] = SOURCES[i % SOURCES.length];
		if (i < SOURCES.length) return [of, everyMs, of];
		const name = MORE[(i - SOURCES.length) % MORE.length];
		const round = Math.floor((i - SOURCES.length) / MORE.length);
		return [`${name}-${['mainnet', 'sepolia', 'hoodi', 'devnet'][round] ?? `net-${round}`}`, everyMs, of];
	});
}

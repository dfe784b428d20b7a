/** What the page knows of networks by name and family: the native unit, that of prices, and what a state means. Unknown ones have tolerant defaults. */

export interface Unit {
	/** Empty where the name does not tell. */
	symbol: string;
	/** 10^decimals of the smallest unit are one of `symbol`. */
	decimals: number;
}

const EVM_SYMBOLS: [RegExp, string][] = [
	[/^(ethereum|eth|sepolia|holesky|hoodi|base|op|optimism|arbitrum|arb|scroll|linea|zksync|blast|rise|unichain)\b/, 'ETH'],
	[/^polygon\b/, 'POL'],
	[/^mantle\b/, 'MNT'],
	[/^cronos\b/, 'CRO'],
	[/^(hyperliquid|hyperevm)\b/, 'HYPE'],
	[/^(bsc|bnb)\b/, 'BNB'],
	[/^avalanche\b/, 'AVAX'],
	[/^gnosis\b/, 'xDAI'],
	[/^celo\b/, 'CELO']
];

/** The native unit of a network, by its slug and family. */
export function unit(network: string, family = 'evm'): Unit {
	if (family === 'bitcoin') return { symbol: 'BTC', decimals: 8 };
	if (family === 'stellar') return { symbol: 'XLM', decimals: 7 };
	const slug = network.toLowerCase();
	return { symbol: EVM_SYMBOLS.find(([name]) => name.test(slug))?.[1] ?? '', decimals: 18 };
}

/** In what gas prices of a family are said, and fee rates where there is no gas. */
export function priceIn(family: string): Unit {
	if (family === 'bitcoin') return { decimals: 3, symbol: 'sat/vB' };
	if (family === 'stellar') return { decimals: 0, symbol: 'stroops' };
	return { decimals: 9, symbol: 'gwei' };
}

export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'plain';

export interface StateWords {
	tone: Tone;
	label: string;
	/** What it means and what to do; empty where there is nothing to do. */
	hint: string;
}

const STATES: Record<string, Omit<StateWords, 'label'>> = {
	live: { tone: 'good', hint: '' },
	starting: { tone: 'busy', hint: 'Opening the log and asking the node for its tip.' },
	syncing: { tone: 'busy', hint: 'Catching up with the tip of the chain.' },
	stalled: { tone: 'warn', hint: 'The node has reported no new block for longer than this chain takes for one.' },
	reorg_too_deep: {
		tone: 'bad',
		hint: 'The node tells another chain than the one held, too far back to be followed. Nothing was reverted. It goes on by itself when the node has the held chain again; if the node is right, headwater accept-reorg follows it.'
	},
	wrong_chain: { tone: 'bad', hint: 'The endpoint serves another chain id than the configuration names.' },
	no_receipts: { tone: 'bad', hint: 'The endpoint gives no receipts, and without them no status is known.' },
	log_replaced: { tone: 'bad', hint: 'The log holds other events than the store. Nothing is written over.' },
	overtaken: {
		tone: 'bad',
		hint: 'Retention removed records before they were read. Nothing was skipped; headwater accept-gap gives up exactly what is gone, and the network goes on.'
	},
	unreadable: { tone: 'bad', hint: 'A record cannot be read, perhaps since a newer version wrote it: run that version.' },
	refused: {
		tone: 'bad',
		hint: 'The store takes everything but a block of this network. It is tried again every few minutes; mend what the store says.'
	},
	upgrading: {
		tone: 'busy',
		hint: 'The rows of a former version are copied into the layout of this one; new blocks wait in the log meanwhile.'
	},
	diverged: {
		tone: 'bad',
		hint: 'Its sources disagree about the chain: what is shown follows the one that gives bodies. It is over by itself when they agree again; the page of endpoints says who says what.'
	},
	unconfirmed: {
		tone: 'warn',
		hint: 'Only one operator has shown the newest block yet. It is shown all the same, and is taken back if others show another.'
	},
	silent: { tone: 'bad', hint: '' },
	unconfigured: { tone: 'bad', hint: '' }
};

/** The words of a stage that is well. */
const WELL = ['running', 'live', 'syncing'];

/** What the state of one stage of a network means. */
export function stageWords(state: string): { tone: Tone; label: string } {
	if (WELL.includes(state)) return { tone: 'good', label: state };
	if (state === 'starting') return { tone: 'busy', label: 'not heard yet' };
	if (state === 'upgrading') return { tone: 'busy', label: state };
	return { tone: 'bad', label: state.replaceAll('_', ' ') };
}

export function stateWords(state: string): StateWords {
	const known = Object.hasOwn(STATES, state) ? STATES[state] : undefined;
	return known ? { ...known, label: state.replaceAll('_', ' ') } : { tone: 'plain', label: state, hint: '' };
}

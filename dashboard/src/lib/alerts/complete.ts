/**
 * What can stand at a place of an expression: names of arguments or of the transaction, comparisons, and what joins them. It reads no
 * grammar: the server says what is wrong (a 422 with its place).
 */

export interface Suggestion {
	text: string;
	/** Its type, or what it does. */
	about: string;
}

export interface Completion {
	/** What the suggestion takes the place of. */
	from: number;
	to: number;
	found: Suggestion[];
}

/** Of a transaction. */
export const FIELDS: readonly Suggestion[] = [
	{ text: 'value', about: 'amount, in the smallest unit' },
	{ text: 'from', about: 'address' },
	{ text: 'to', about: 'address' },
	{ text: 'method', about: 'what was called' },
	{ text: 'status', about: 'success or failed' },
	{ text: 'failure_cause', about: 'why it failed' },
	{ text: 'fee', about: 'amount' },
	{ text: 'gas_price', about: 'amount' },
	{ text: 'effective_gas_price', about: 'amount' },
	{ text: 'gas_used', about: 'number' },
	{ text: 'gas_limit', about: 'number' },
	{ text: 'max_fee_per_gas', about: 'amount' },
	{ text: 'max_priority_fee_per_gas', about: 'amount' },
	{ text: 'max_fee_per_blob_gas', about: 'amount' },
	{ text: 'nonce', about: 'number' },
	{ text: 'input', about: 'bytes' },
	{ text: 'hash', about: 'bytes' },
	{ text: 'type', about: 'number' },
	{ text: 'contract_address', about: 'what it created' },
	{ text: 'log_count', about: 'number' },
	{ text: 'transaction_index', about: 'number' },
	{ text: 'height', about: 'number' },
	{ text: 'network', about: 'text' }
];

/** Of a transaction of Bitcoin's. */
export const BITCOIN_FIELDS: readonly Suggestion[] = [
	{ text: 'value', about: 'what it pays, satoshi' },
	{ text: 'received', about: 'by the address, satoshi' },
	{ text: 'spent', about: 'by the address, satoshi' },
	{ text: 'fee_rate', about: 'satoshi for 1,000 vB' },
	{ text: 'fee', about: 'satoshi' },
	{ text: 'coinbase', about: 'yes or no' },
	{ text: 'rbf', about: 'whether it may be replaced' },
	{ text: 'segwit', about: 'yes or no' },
	{ text: 'vsize', about: 'virtual bytes' },
	{ text: 'weight', about: 'number' },
	{ text: 'input_value', about: 'what it spends, satoshi' },
	{ text: 'largest_output', about: 'satoshi' },
	{ text: 'largest_input', about: 'satoshi' },
	{ text: 'input_count', about: 'number' },
	{ text: 'output_count', about: 'number' },
	{ text: 'addresses', about: 'list' },
	{ text: 'input_addresses', about: 'list' },
	{ text: 'output_addresses', about: 'list' },
	{ text: 'input_types', about: 'list of scripts’ types' },
	{ text: 'output_types', about: 'list of scripts’ types' },
	{ text: 'inscriptions', about: 'list of media types' },
	{ text: 'inputs', about: 'list: value, type, address …' },
	{ text: 'outputs', about: 'list: value, type, address …' },
	{ text: 'pool', about: 'who made the block, of a coinbase' },
	{ text: 'txid', about: 'bytes' },
	{ text: 'wtxid', about: 'bytes' },
	{ text: 'lock_time', about: 'number' },
	{ text: 'version', about: 'number' },
	{ text: 'size', about: 'bytes, a number' },
	{ text: 'sigops', about: 'number' },
	{ text: 'transaction_index', about: 'number' },
	{ text: 'height', about: 'number' },
	{ text: 'network', about: 'text' }
];

const COMPARISONS: readonly Suggestion[] = [
	{ text: '==', about: 'equal to' },
	{ text: '!=', about: 'other than' },
	{ text: '>', about: 'more than' },
	{ text: '>=', about: 'at least' },
	{ text: '<', about: 'less than' },
	{ text: '<=', about: 'at most' },
	{ text: 'in', about: 'one of several' },
	{ text: 'contains', about: 'has it inside' },
	{ text: 'starts_with', about: 'begins with it' },
	{ text: 'ends_with', about: 'ends with it' }
];
const JOINTS: readonly Suggestion[] = [
	{ text: 'AND', about: 'both' },
	{ text: 'OR', about: 'one of them' }
];
const UNITS: readonly Suggestion[] = [
	{ text: 'ether', about: '× 10¹⁸' },
	{ text: 'gwei', about: '× 10⁹' },
	{ text: 'wei', about: '× 1' }
];
const COINS: readonly Suggestion[] = [
	{ text: 'btc', about: '× 10⁸' },
	{ text: 'sat', about: '× 1' }
];

const TOKEN = /"[^"]*"?|'[^']*'?|[A-Za-z_$][\w.[\]]*|0x[\da-fA-F]*|\d[\d._]*|[=!<>]=?|[()+\-*/%,]/g;

/** What fits at `at`. `names`: the arguments that can be asked for. */
export function complete(text: string, at: number, names: readonly Suggestion[]): Completion {
	const before = text.slice(0, at);
	if ((before.match(/"/g)?.length ?? 0) % 2 === 1 || (before.match(/'/g)?.length ?? 0) % 2 === 1) return { from: at, to: at, found: [] };
	const word = before.match(/[A-Za-z_][\w.]*$|[=!<>]=?$/)?.[0] ?? '';
	const from = at - word.length;
	const to = at + (text.slice(at).match(/^[\w.]*/)?.[0].length ?? 0);
	const tokens = before.slice(0, from).match(TOKEN) ?? [];
	const fitting = wantedAfter(tokens, names).filter((s) => s.text.toLowerCase().startsWith(word.toLowerCase()) && s.text !== word);
	return { from, to, found: fitting };
}

function wantedAfter(tokens: readonly string[], names: readonly Suggestion[]): readonly Suggestion[] {
	const last = tokens.at(-1) ?? '';
	const start = last === '' || /^(AND|OR|NOT|\()$/i.test(last);
	const not: Suggestion = { text: 'NOT', about: 'the opposite' };
	if (start) return [...names, ...(last.toUpperCase() === 'NOT' ? [] : [not])];
	const compared = tokens.slice(lastJoint(tokens) + 1).some(isComparison);
	if (isComparison(last) || /^[+\-*/%,]$/.test(last)) return names;
	if (!compared) return COMPARISONS;
	if (/^\d/.test(last)) return [...JOINTS, ...(names === BITCOIN_FIELDS ? COINS : UNITS)];
	return JOINTS;
}

const isComparison = (token: string): boolean => COMPARISONS.some(({ text }) => text === token);

function lastJoint(tokens: readonly string[]): number {
	return tokens.findLastIndex((token) => /^(AND|OR|NOT)$/i.test(token));
}

/** The text with the suggestion in it, and where the cursor stands then. */
export function taken(text: string, { from, to }: Completion, suggestion: Suggestion): { text: string; at: number } {
	const end = text.slice(to);
	const added = suggestion.text + (end.startsWith(' ') ? '' : ' ');
	return { text: text.slice(0, from) + added + end, at: from + suggestion.text.length + 1 };
}

interface Input {
	name?: string;
	type?: string;
}
interface Entry {
	type?: string;
	name?: string;
	inputs?: Input[];
}

/** `transfer(address,uint256)` of an ABI's entry; a tuple's parts are written out. */
function signature({ name = '', inputs = [] }: Entry): string {
	const type = (input: Input & { components?: Input[] }): string =>
		input.type?.startsWith('tuple') ? `(${(input.components ?? []).map(type).join(',')})${input.type.slice(5)}` : (input.type ?? '');
	return `${name}(${inputs.map(type).join(',')})`;
}

/** What ABIs name: signatures with their arguments. */
export function named(abis: readonly unknown[], what: 'event' | 'function'): Map<string, Suggestion[]> {
	const found = new Map<string, Suggestion[]>();
	for (const abi of abis) {
		if (!Array.isArray(abi)) continue;
		for (const entry of abi as Entry[]) {
			if (entry?.type !== what || typeof entry.name !== 'string') continue;
			const inputs = (entry.inputs ?? []).filter((input) => input.name);
			found.set(signature(entry), inputs.map((input) => ({ text: input.name ?? '', about: input.type ?? '' })));
		}
	}
	return found;
}

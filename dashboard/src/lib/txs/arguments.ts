/**
 * A decoded call or event as a tree: each argument with its name, type and value, tuples and arrays with what is in them.
 *
 * Guarantee: everything in the arguments is in the tree, also where it does not fit the signature (then without a type). Integers
 * are text and stay exact.
 */

export interface Parameter {
	/** Empty: it has none. */
	name: string;
	/** As Solidity writes it; of a tuple `tuple`, with the brackets of arrays behind it. */
	type: string;
	indexed: boolean;
	/** Of a tuple. */
	components: Parameter[] | null;
}

export interface Signature {
	name: string;
	parameters: Parameter[];
}

export interface Argument {
	name: string;
	/** Empty: not known. */
	type: string;
	indexed: boolean;
	/** Of a single value. */
	value: string | null;
	/** Of a tuple or an array. */
	items: Argument[] | null;
}

/** Deeper than any signature that decodes. */
const DEPTH = 40;

/** `transfer(address to, uint256 amount)`; null for what is no signature. */
export function signatureOf(text: string | null | undefined): Signature | null {
	const head = /^\s*(?:(?:function|event|error)\s+)?([A-Za-z_$][\w$]*)\s*\(/.exec(text ?? '');
	if (!head || text == null) return null;
	const at = { i: head[0].length };
	const parameters = list(text, at, 0);
	return parameters && { name: head[1]!, parameters };
}

/** What stands in brackets, behind the opening one; leaves `at` behind the closing one. */
function list(text: string, at: { i: number }, depth: number): Parameter[] | null {
	if (depth > DEPTH) return null;
	const found: Parameter[] = [];
	for (;;) {
		blanks(text, at);
		if (text[at.i] === ')') return at.i++, found;
		if (found.length > 0) {
			if (text[at.i] !== ',') return null;
			at.i++;
			blanks(text, at);
		}
		const parameter = one(text, at, depth);
		if (!parameter) return null;
		found.push(parameter);
	}
}

function one(text: string, at: { i: number }, depth: number): Parameter | null {
	let type = word(text, at);
	let components: Parameter[] | null = null;
	if (text[at.i] === '(' && (type === '' || type === 'tuple')) {
		at.i++;
		components = list(text, at, depth + 1);
		if (!components) return null;
		type = 'tuple';
	}
	if (!type) return null;
	const brackets = /^(\[\d*\])*/.exec(text.slice(at.i))![0];
	at.i += brackets.length;
	const parameter: Parameter = { name: '', type: type + brackets, indexed: false, components };
	for (;;) {
		blanks(text, at);
		const next = word(text, at);
		if (!next) return parameter;
		if (next === 'indexed') parameter.indexed = true;
		else if (!['memory', 'calldata', 'storage', 'payable'].includes(next)) parameter.name = next;
	}
}

function word(text: string, at: { i: number }): string {
	const found = /^[\w$]*/.exec(text.slice(at.i, at.i + 256))![0];
	at.i += found.length;
	return found;
}

function blanks(text: string, at: { i: number }): void {
	while (text[at.i] === ' ') at.i++;
}

/** `raw` is a JSON object by name (by position where there is none), or the same as text. */
export function argumentsOf(signature: string | null | undefined, raw: unknown): Argument[] {
	let given = raw;
	if (typeof given === 'string') {
		try {
			given = JSON.parse(given);
		} catch {
			return given === '' ? [] : [{ name: '', type: '', indexed: false, value: raw as string, items: null }];
		}
	}
	return members(signatureOf(signature)?.parameters ?? [], given);
}

/** The members of a tuple, or of a call. */
function members(parameters: Parameter[], given: unknown): Argument[] {
	if (given == null || typeof given !== 'object') return [];
	const of = given as Record<string, unknown>;
	const taken = new Set<string>();
	const known: Argument[] = [];
	parameters.forEach((parameter, i) => {
		const key = [parameter.name, String(i)].find((k) => k !== '' && Object.hasOwn(of, k) && !taken.has(k));
		if (key == null) return;
		taken.add(key);
		known.push(argument(parameter.name || String(i), parameter.type, parameter, of[key]));
	});
	const others = Object.entries(of).filter(([key]) => !taken.has(key));
	return [...known, ...others.map(([key, value]) => argument(key, '', null, value))];
}

function argument(name: string, type: string, parameter: Parameter | null, value: unknown): Argument {
	const base = { name, type, indexed: parameter?.indexed ?? false };
	if (Array.isArray(value)) {
		const of = type.replace(/\[\d*\]$/, '');
		const element = parameter && { ...parameter, indexed: false };
		return { ...base, value: null, items: value.map((item, i) => argument(String(i), of === type ? '' : of, element, item)) };
	}
	if (value != null && typeof value === 'object') return { ...base, value: null, items: members(parameter?.components ?? [], value) };
	return { ...base, value: value == null ? null : String(value), items: null };
}

/** The function's or event's own name, of its signature; null where it is none. */
export function calledName(signature: string | null | undefined): string | null {
	return signatureOf(signature)?.name ?? null;
}

/** `address[]` of `transfer(address[] to)`, in short for people: the types without the names. */
export function typesOf(signature: Signature): string {
	const type = (p: Parameter): string =>
		p.components ? `(${p.components.map(type).join(',')})${p.type.slice('tuple'.length)}` : p.type;
	return `${signature.name}(${signature.parameters.map(type).join(',')})`;
}

const MAX = (1n << 256n) - 1n;

/** What a value says besides its digits: `no limit` of the largest one, a time of a deadline; null: nothing. */
export function meaning(argument: Argument): string | null {
	const { type, value, name } = argument;
	if (value == null || !/^u?int\d*$/.test(type) || !/^\d+$/.test(value) || value.length > 80) return null;
	const amount = BigInt(value);
	if (amount === MAX) return 'the largest there is';
	// Seconds from 2015 to 2100, where the name speaks of a time.
	if (/deadline|expir|timestamp|valid(after|until|to|from)|time$/i.test(name) && amount > 1_420_000_000n && amount < 4_102_444_800n) {
		return new Date(Number(amount) * 1000).toISOString().replace('.000Z', 'Z');
	}
	return null;
}

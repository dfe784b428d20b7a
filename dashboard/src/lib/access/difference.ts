/** What changed between the two sides of an audit's entry, field by field. */

export interface Changed {
	/** `name`, `labels`, `abi.bytes`. */
	field: string;
	/** Null: there was none, or there is none any more. */
	before: string | null;
	after: string | null;
	/** Of a list of words: what came and what went; then `before` and `after` need not be read. */
	added?: string[];
	removed?: string[];
}

export interface Difference {
	changed: Changed[];
	/** Fields that are as they were. */
	same: number;
}

/** Names that are read first, whatever their order in the text. */
const FIRST = ['name', 'network', 'address', 'prefix', 'scopes', 'networks', 'labels', 'abi'];

export function difference(before: unknown, after: unknown): Difference {
	const [was, is] = [flat(before), flat(after)];
	const fields = [...new Set([...was.keys(), ...is.keys()])].sort((a, b) => rank(a) - rank(b));
	const changed: Changed[] = [];
	let same = 0;
	for (const field of fields) {
		const [a, b] = [was.get(field), is.get(field)];
		if (JSON.stringify(a) === JSON.stringify(b)) {
			same++;
			continue;
		}
		const entry: Changed = { field, before: words(a), after: words(b) };
		// Of a thing that came or went, what was empty says nothing.
		if (entry.before == null && entry.after == null) continue;
		if (isWords(a) && isWords(b)) {
			entry.added = b.filter((word) => !a.includes(word));
			entry.removed = a.filter((word) => !b.includes(word));
		}
		changed.push(entry);
	}
	return { changed, same };
}

function rank(field: string): number {
	const at = FIRST.findIndex((name) => field === name || field.startsWith(name + '.'));
	return at < 0 ? FIRST.length : at;
}

function isWords(value: unknown): value is string[] {
	return Array.isArray(value) && value.every((v) => typeof v === 'string');
}

/** Secrets are `{"set":true}` and stay whole; all other objects are their fields. */
function flat(value: unknown, at = '', into = new Map<string, unknown>()): Map<string, unknown> {
	if (value == null && at === '') return into;
	if (value && typeof value === 'object' && !Array.isArray(value) && !('set' in value)) {
		for (const [name, inner] of Object.entries(value)) flat(inner, at ? `${at}.${name}` : name, into);
	} else {
		into.set(at || 'value', value);
	}
	return into;
}

function words(value: unknown): string | null {
	if (value == null || value === '') return null;
	if (isWords(value)) return value.length > 0 ? value.join(', ') : null;
	if (typeof value === 'object' && 'set' in value) return value.set ? 'set (not shown)' : null;
	return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

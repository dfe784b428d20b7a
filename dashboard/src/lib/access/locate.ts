/**
 * Where a part of a JSON text stands. A checker of what was parsed knows paths (`abi.3.inputs.0.type`) and no places; whoever pasted
 * the text looks for a place.
 */

export interface Place {
	/** Offsets in the text, the end not included. */
	from: number;
	to: number;
	/** From 1. */
	line: number;
	column: number;
}

/** The steps of `abi.3.inputs.0.type`, also written `abi[3].inputs[0].type`. Null when it is none. */
export function steps(path: string): string[] | null {
	const parts = [...path.matchAll(/\.?([\w$-]+)|\[(\d+)\]/g)];
	if (parts.map((p) => p[0]).join('') !== path) return null;
	return parts.map(([, name, index]) => name ?? index ?? '');
}

/**
 * The place of what `path` (of an ABI: its first step is `abi`) names in `text`, which is an array or an object with `abi` in it; where
 * the last part is missing, that of what it is missing from. Also reads `line 4, column 7`. Null when there is none.
 */
export function locate(text: string, path: string): Place | null {
	const said = path.match(/^line (\d+), column (\d+)$/);
	if (said) return ofLine(text, Number(said[1]), Number(said[2]));
	const wanted = steps(path);
	if (!wanted || wanted[0] !== 'abi') return null;
	const abi = abiNode(text);
	if (!abi) return null;
	let at = abi;
	for (const step of wanted.slice(1)) {
		const next: Node | undefined = at.kind === 'array' ? at.items[Number(step)] : at.members.get(step);
		if (!next) break;
		at = next;
	}
	return placed(text, at.from, at.to);
}

/** The array, as it is written, in a text that is one or has one under `abi`. The text itself where it is no JSON. */
export function abiText(text: string): { text: string; from: number } {
	const node = abiNode(text);
	return node ? { text: text.slice(node.from, node.to), from: node.from } : { text, from: 0 };
}

function abiNode(text: string): Node | null {
	const whole = new Reader(text).document();
	return whole?.members.get('abi') ?? whole;
}

export function placed(text: string, from: number, to: number): Place {
	const before = text.slice(0, from);
	const line = before.split('\n').length;
	return { from, to, line, column: from - (before.lastIndexOf('\n') + 1) + 1 };
}

function ofLine(text: string, line: number, column: number): Place | null {
	const lines = text.split('\n');
	if (line < 1 || line > lines.length) return null;
	const start = lines.slice(0, line - 1).reduce((sum, l) => sum + l.length + 1, 0);
	const from = Math.min(start + Math.max(0, column - 1), text.length);
	return { from, to: Math.min(from + 1, text.length), line, column };
}

/** What is wrong with a text that is no JSON: where, and what was awaited there. Null when it is JSON (RFC 8259). */
export function syntaxError(text: string): { place: Place; awaited: string } | null {
	const reader = new Reader(text);
	if (reader.document()) return null;
	const from = Math.min(reader.at, text.length);
	return { place: placed(text, from, Math.min(from + 1, text.length)), awaited: reader.awaited };
}

interface Node {
	kind: 'object' | 'array' | 'other';
	from: number;
	to: number;
	members: Map<string, Node>;
	items: Node[];
}

const DEPTH = 200;
const STRING = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORD = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y;

/** Reads JSON and remembers where each part stands; stops at the first mistake. */
class Reader {
	at = 0;
	awaited = '';
	private depth = 0;

	constructor(private readonly text: string) {}

	document(): Node | null {
		const whole = this.value();
		if (!whole) return null;
		this.blank();
		return this.at === this.text.length ? whole : this.fail('nothing more');
	}

	value(): Node | null {
		this.blank();
		const node: Node = { kind: 'other', from: this.at, to: this.at, members: new Map(), items: [] };
		const first = this.text[this.at];
		if (++this.depth > DEPTH) return this.fail(`no more than ${DEPTH} levels`);
		if (first === '{' || first === '[') {
			node.kind = first === '{' ? 'object' : 'array';
			if (!this.inside(node, first === '{' ? '}' : ']')) return null;
		} else if (this.take(first === '"' ? STRING : WORD) == null) {
			return this.fail(first === '"' ? 'the end of this text, and no line break or lone backslash in it' : 'a value');
		}
		this.depth--;
		node.to = this.at;
		return node;
	}

	private inside(node: Node, end: string): boolean {
		this.at++;
		this.blank();
		if (this.text[this.at] === end) return this.skip();
		for (;;) {
			let name = '';
			if (node.kind === 'object') {
				this.blank();
				const quoted = this.take(STRING);
				if (quoted == null) return !!this.fail('a name in double quotes');
				name = JSON.parse(quoted) as string;
				this.blank();
				if (this.text[this.at] !== ':') return !!this.fail('a colon');
				this.at++;
			}
			const value = this.value();
			if (!value) return false;
			if (node.kind === 'object') node.members.set(name, value);
			else node.items.push(value);
			this.blank();
			if (this.text[this.at] === end) return this.skip();
			if (this.text[this.at] !== ',') return !!this.fail(`a comma or ${end}`);
			this.at++;
		}
	}

	private skip(): true {
		this.at++;
		return true;
	}

	private take(pattern: RegExp): string | null {
		pattern.lastIndex = this.at;
		const found = pattern.exec(this.text)?.[0];
		if (found === undefined) return null;
		this.at += found.length;
		return found;
	}

	private blank(): void {
		while (' \n\r\t'.includes(this.text[this.at] ?? 'x')) this.at++;
	}

	private fail(awaited: string): null {
		this.awaited = awaited;
		return null;
	}
}

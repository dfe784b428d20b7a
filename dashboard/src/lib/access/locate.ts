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
	const reader = new Reader(text);
	const whole = reader.value();
	if (!whole) return null;
	let at = whole.kind === 'object' && whole.members.has('abi') ? whole.members.get('abi')! : whole;
	for (const step of wanted.slice(1)) {
		const next: Node | undefined = at.kind === 'array' ? at.items[Number(step)] : at.members.get(step);
		if (!next) break;
		at = next;
	}
	return placed(text, at.from, at.to);
}

function placed(text: string, from: number, to: number): Place {
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

interface Node {
	kind: 'object' | 'array' | 'other';
	from: number;
	to: number;
	members: Map<string, Node>;
	items: Node[];
}

/** Of JSON that was parsed before: it finds places, and no mistakes. */
class Reader {
	private at = 0;
	private depth = 0;

	constructor(private readonly text: string) {}

	value(): Node | null {
		this.blank();
		const node: Node = { kind: 'other', from: this.at, to: this.at, members: new Map(), items: [] };
		const first = this.text[this.at];
		if (++this.depth > 200) return null;
		if (first === '{' || first === '[') {
			node.kind = first === '{' ? 'object' : 'array';
			if (!this.inside(node, first === '{' ? '}' : ']')) return null;
		} else if (first === '"') {
			if (this.string() == null) return null;
		} else {
			const word = /[^\s,\]}]+/y;
			word.lastIndex = this.at;
			const found = word.exec(this.text);
			if (!found) return null;
			this.at += found[0].length;
		}
		this.depth--;
		node.to = this.at;
		return node;
	}

	private inside(node: Node, end: string): boolean {
		this.at++;
		for (;;) {
			this.blank();
			if (this.at >= this.text.length) return false;
			if (this.text[this.at] === end) break;
			if (this.text[this.at] === ',') {
				this.at++;
				continue;
			}
			let name: string | null = null;
			if (node.kind === 'object') {
				name = this.string();
				this.blank();
				if (name == null || this.text[this.at++] !== ':') return false;
			}
			const value = this.value();
			if (!value) return false;
			if (name != null) node.members.set(name, value);
			else node.items.push(value);
		}
		this.at++;
		return true;
	}

	private string(): string | null {
		const quoted = /"(?:[^"\\]|\\.)*"/y;
		quoted.lastIndex = this.at;
		const found = quoted.exec(this.text);
		if (!found) return null;
		this.at += found[0].length;
		try {
			return JSON.parse(found[0]) as string;
		} catch {
			return null;
		}
	}

	private blank(): void {
		while (/\s/.test(this.text[this.at] ?? '')) this.at++;
	}
}

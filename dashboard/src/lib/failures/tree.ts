/**
 * The calls of a trace as a tree to be drawn.
 *
 * Guarantee: bounded, whatever the server sends (`MOST` calls, `DEEPEST` levels; what is left out is counted), and the way from the
 * root to the call that failed is marked: by the server's word, else by the last failed call of each level.
 */

import type { CallFrame } from './shapes';

export const MOST = 300;
export const DEEPEST = 48;

export interface CallNode {
	type: string;
	to: string | null;
	toName: string | null;
	/** Decimal, and more than nothing; else null. */
	value: string | null;
	gas: number | null;
	gasUsed: number | null;
	selector: string | null;
	name: string | null;
	/** The node's word; null: it did not fail. */
	error: string | null;
	/** The cause is in this one. */
	here: boolean;
	/** It is, or holds, the one that failed. */
	onPath: boolean;
	calls: CallNode[];
	/** Calls in it that are not drawn. */
	omitted: number;
	/** Levels between it and the one above that are not drawn. */
	skipped: number;
}

export function treeOf(root: CallFrame | null | undefined): CallNode | null {
	if (!root || typeof root !== 'object') return null;
	const room = { left: MOST - 1 };
	const tree = node(root, 0, room);
	if (!markHere(tree)) markLast(tree);
	return tree;
}

/** How many calls are drawn. */
export function sizeOf(tree: CallNode): number {
	return 1 + tree.calls.reduce((sum, call) => sum + sizeOf(call), 0);
}

/** The way from the root to the call that failed. */
export function pathOf(tree: CallNode): CallNode[] {
	const path = [];
	for (let at: CallNode | undefined = tree.onPath ? tree : undefined; at; at = at.calls.find((call) => call.onPath)) path.push(at);
	return path;
}

function node(frame: CallFrame, depth: number, room: { left: number }): CallNode {
	const given = Array.isArray(frame.calls) ? frame.calls : [];
	const drawn: CallNode[] = [];
	// Room for this level first, so that the way down cannot be eaten up by what is beside it.
	const fits = depth >= DEEPEST ? 0 : Math.min(given.length, room.left);
	room.left -= fits;
	for (const call of keep(given, fits)) drawn.push(node(call ?? {}, depth + 1, room));
	const value = decimal(frame.value);
	return {
		type: (frame.type || 'CALL').toUpperCase(),
		to: frame.to || null,
		toName: frame.to_name || null,
		value: value && value !== '0' ? value : null,
		gas: number(frame.gas),
		gasUsed: number(frame.gas_used),
		selector: frame.method && /^0x[0-9a-f]{8}$/i.test(frame.method) ? frame.method : null,
		name: frame.method_name || /^[\w$]+/.exec(frame.signature ?? '')?.[0] || (frame.method && !frame.method.startsWith('0x') ? frame.method : null),
		error: frame.error || (frame.failed_here ? 'failed' : null),
		here: frame.failed_here === true,
		onPath: false,
		calls: drawn,
		omitted: given.length - drawn.length + (number(frame.left_out) ?? 0),
		skipped: number(frame.left_out_levels) ?? 0
	};
}

/** So many of them, in their order; those that failed before the others. */
function keep(calls: CallFrame[], most: number): CallFrame[] {
	if (calls.length <= most) return calls;
	if (most <= 0) return [];
	const failed = calls.filter((call) => call?.error || call?.failed_here).slice(-most);
	const kept = new Set([...failed, ...calls.filter((call) => !failed.includes(call)).slice(0, most - failed.length)]);
	return calls.filter((call) => kept.has(call));
}

/** Marks the way to the call that says of itself that it failed; only one way is marked. */
function markHere(at: CallNode): boolean {
	at.onPath = at.here || at.calls.some(markHere);
	return at.onPath;
}

function markLast(root: CallNode): void {
	if (!root.error) return;
	let at: CallNode | undefined = root;
	for (let next: CallNode | undefined; at; at = next) {
		at.onPath = true;
		next = at.calls.findLast((call) => call.error);
		if (!next) at.here = true;
	}
}

/** Hexadecimal, decimal or a number → decimal text; null for what is none. */
export function decimal(raw: string | number | null | undefined): string | null {
	if (raw == null || raw === '' || raw === '0x') return null;
	const text = String(raw);
	return text.length <= 80 && /^(0x[0-9a-f]+|\d+)$/i.test(text) ? BigInt(text).toString() : null;
}

function number(raw: string | number | null | undefined): number | null {
	const text = decimal(raw);
	return text == null ? null : Number(text);
}

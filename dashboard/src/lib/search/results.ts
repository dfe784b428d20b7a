/** What the search finds: `GET /search?q=`, where it leads, and how it is said. Pure. */

import { causeWords } from '../failures/words';
import { count, shorten } from '../format';
import { blockPath, txPath, txsPath } from '../txs/paths';

export interface Found {
	/** `transaction`, `block`, `contract`, `address`, `network`. Unknown ones are shown as they are. */
	kind: string;
	network?: string | null;
	hash?: string | null;
	height?: number | null;
	address?: string | null;
	name?: string | null;
	/** Of a transaction. */
	status?: string | null;
	cause?: string | null;
	/** The page that the server names. */
	path?: string | null;
}

export interface Answer {
	items: Found[];
	/** What was not looked at, or what to write instead. */
	note?: string | null;
}

/** The least that is asked for while somebody types; Enter and what is pasted are asked for at once. */
export const LEAST = 3;

/** Whether there is a hash in it: what has one is found, or is not there yet. */
export function hasHash(text: string): boolean {
	return /(^|[^0-9a-z])(0x)?[0-9a-f]{64}([^0-9a-z]|$)/i.test(text);
}

/** As it is asked; the server finds hashes, addresses and heights in whatever stands around them. */
export function questionOf(text: string): string {
	return text.trim();
}

/** Its page here; null: none is known. */
export function pathOf(found: Found): string | null {
	const { kind, network, hash, height, address, path } = found;
	if (kind === 'transaction' && network && hash) return txPath(network, hash);
	if (kind === 'block' && network && (height != null || hash)) return blockPath(network, height ?? hash!);
	if (path && /^\/(?![/\\])/.test(path) && !path.startsWith('/api/')) return path;
	if (kind === 'contract' && address) return txsPath({ network: network ?? '', contract: address });
	if (kind === 'address' && address) return txsPath({ network: network ?? '', address });
	if (kind === 'network' && network) return txsPath({ network });
	return null;
}

/** What stands first in its line, and what beside it. */
export function wordsOf(found: Found): { main: string; about: string; mono: boolean } {
	const { kind, network, hash, height, address, name, status, cause } = found;
	if (kind === 'transaction') {
		const outcome = status === 'failed' && cause ? `failed: ${causeWords(cause).label}` : status;
		return { main: shorten(hash ?? '', 14, 8), about: words(outcome, network), mono: true };
	}
	if (kind === 'block') {
		if (height == null) return { main: shorten(hash ?? '', 14, 8), about: words(network), mono: true };
		return { main: count(height), about: words(hash && shorten(hash), network), mono: false };
	}
	if (name) return { main: name, about: words(address && shorten(address), network), mono: false };
	if (address) return { main: shorten(address, 14, 8), about: words(network), mono: true };
	return { main: network ?? hash ?? kind, about: '', mono: false };
}

function words(...parts: (string | null | undefined)[]): string {
	return parts.filter(Boolean).join(' · ');
}

/** The line that an arrow key leads to, of so many; -1 is the field itself. */
export function step(at: number, lines: number, key: string): number {
	if (lines === 0) return -1;
	if (key === 'ArrowDown') return at >= lines - 1 ? 0 : at + 1;
	if (key === 'ArrowUp') return at <= 0 ? lines - 1 : at - 1;
	return at;
}

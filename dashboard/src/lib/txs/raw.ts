/** Bytes as the chain has them, cut as the ABI cuts them: for reading raw data beside what it was decoded to. */

export interface RawData {
	/** The first four bytes of a call; null: none was asked for, or there are fewer. */
	selector: string | null;
	/** Words of 32 bytes, without `0x`; the last may be shorter. */
	words: string[];
	/** Of all. */
	bytes: number;
}

/** Of hex text with `0x`; anything else is one word as it is. */
export function rawOf(data: string | null | undefined, call = false): RawData {
	const text = data ?? '';
	if (!/^0x([0-9a-f]{2})*$/i.test(text)) return { selector: null, words: text ? [text] : [], bytes: 0 };
	const bytes = (text.length - 2) / 2;
	const head = call && bytes >= 4 ? 10 : 2;
	const words: string[] = [];
	for (let i = head; i < text.length; i += 64) words.push(text.slice(i, i + 64));
	return { selector: head === 10 ? text.slice(0, 10) : null, words, bytes };
}

/** Where a word stands, as people count in bytes: `0x20` of the second. */
export function offsetOf(index: number): string {
	return '0x' + (index * 32).toString(16).padStart(2, '0');
}

/**
 * A transaction as a picture: what flows in from the left, through a trunk, and out to the right, each as thick as its value.
 *
 * Guarantees: at most `most` bands a side, whatever the transaction: the largest have one each, in the transaction's order, and all others
 * one together; bands of a side fill the trunk exactly (the fee is one of the right); values are added as integers and only heights are
 * rounded; nothing is thinner than can be seen. Pure.
 */

import type { BitcoinTransaction } from './shapes';

/** Bands a side, and on a narrow screen. */
export const MOST = 24;
export const MOST_NARROW = 10;
/** Height of a band's row with its words, pixels, at least; where there are few they have more, so that thick ones look it. */
export const ROW = 25;
const FEW = [4, 46] as const;
const SOME = [9, 33] as const;
/** The thinnest band, pixels. */
const THIN = 1;
/** Height of the trunk, pixels, at least and at most; as the rows are, in between. */
const TRUNK = [72, 210] as const;

export interface Band {
	/** `in`, `out`, `fee`, `new` (coins that a coinbase makes), `others`, or `unknown`. */
	kind: 'in' | 'out' | 'fee' | 'new' | 'others' | 'unknown';
	/** Which input or output; null: none, or several. */
	index: number | null;
	/** How many it stands for. */
	times: number;
	/** Satoshi; null where that is not known. */
	value: bigint | null;
	/** Middle of its row, and how thick it is there. */
	y: number;
	thick: number;
	/** Upper edge where it meets the trunk. */
	at: number;
}

export interface Flow {
	left: Band[];
	right: Band[];
	height: number;
	/** Upper and lower edge of the trunk. */
	trunk: { top: number; bottom: number };
}

interface Piece {
	kind: Band['kind'];
	index: number | null;
	times: number;
	value: bigint | null;
}

const amount = (text: string | null | undefined): bigint | null => (text != null && /^\d+$/.test(text) ? BigInt(text) : null);
const sum = (pieces: readonly Piece[]): bigint => pieces.reduce((all, piece) => all + (piece.value ?? 0n), 0n);

/** Of what the API says of a transaction; `fee` is its fee, `most` the bands of a side. Inputs and outputs that the answer does not hold are among the others. */
export function flowOf(tx: BitcoinTransaction, fee: string | null | undefined, most = MOST): Flow {
	const paid = tx.is_coinbase ? null : amount(fee);
	const out = gathered(
		tx.outputs.map((output) => ({ kind: 'out' as const, index: output.index, times: 1, value: amount(output.value) })),
		tx.output_count,
		amount(tx.output_value),
		most
	);
	const right: Piece[] = paid != null && paid > 0n ? [...out, { kind: 'fee', index: null, times: 1, value: paid }] : out;
	const whole = tx.is_coinbase ? sum(right) : (amount(tx.input_value) ?? sum(right));
	const left: Piece[] = tx.is_coinbase
		? [{ kind: 'new', index: 0, times: 1, value: whole }]
		: gathered(
				tx.inputs.map((input) => ({ kind: 'in' as const, index: input.index, times: 1, value: amount(input.value) })),
				tx.input_count,
				whole,
				most
			);
	const rows = Math.max(left.length, right.length, 3);
	const height = rows * (rows <= FEW[0] ? FEW[1] : rows <= SOME[0] ? SOME[1] : ROW) + 8;
	const thickness = Math.min(TRUNK[1], Math.max(TRUNK[0], height * 0.42));
	const trunk = { top: (height - thickness) / 2, bottom: (height + thickness) / 2 };
	return { left: placed(left, height, trunk), right: placed(right, height, trunk), height, trunk };
}

/** The largest by themselves, all others together; those that are not among `pieces` too. */
function gathered(pieces: Piece[], count: number, whole: bigint | null, most: number): Piece[] {
	const missing = Math.max(0, count - pieces.length);
	if (pieces.length <= most && missing === 0) return pieces;
	const large = new Set([...pieces].sort(larger).slice(0, most - 1));
	const kept = pieces.filter((piece) => large.has(piece));
	const rest = pieces.filter((piece) => !large.has(piece));
	// What the answer does not hold has what is left of the whole.
	const held = sum(kept);
	const value = missing > 0 ? (whole != null && whole > held ? whole - held : null) : rest.some((piece) => piece.value == null) ? null : sum(rest);
	return [...kept, { kind: 'others', index: null, times: rest.length + missing, value }];
}

function larger(a: Piece, b: Piece): number {
	const [x, y] = [a.value ?? -1n, b.value ?? -1n];
	return x === y ? (a.index ?? 0) - (b.index ?? 0) : x > y ? -1 : 1;
}

/** Rows one below the other around the middle; in the trunk one on the other, without a gap. */
function placed(pieces: Piece[], height: number, trunk: Flow['trunk']): Band[] {
	const room = trunk.bottom - trunk.top;
	const whole = sum(pieces);
	const unknown = pieces.some((piece) => piece.value == null);
	const shares = pieces.map((piece) => {
		// Where one is not known, none is said to be larger than another.
		if (unknown || whole === 0n) return room / pieces.length;
		return (Number(((piece.value ?? 0n) * 1_000_000n) / whole) / 1_000_000) * room;
	});
	const thick = shares.map((share) => Math.max(THIN, share));
	const scale = room / thick.reduce((all, one) => all + one, 0);
	const step = (height - 8) / pieces.length;
	const first = (height - step * (pieces.length - 1)) / 2;
	let at = trunk.top;
	return pieces.map((piece, i) => {
		const share = thick[i]! * scale;
		// As thick outside as the row has room for: the trunk tells the proportions, the row tells who.
		const band = { ...piece, y: first + i * step, thick: Math.max(THIN, Math.min(share, step - 6)), at };
		at += share;
		return band;
	});
}

/** The outline of a band from its row at `x0` to the trunk at `x1`, as an SVG path. */
export function outline(band: Band, share: number, x0: number, x1: number): string {
	const [a, b] = [band.y - band.thick / 2, band.y + band.thick / 2];
	const [c, d] = [band.at, band.at + share];
	const middle = (x0 + x1) / 2;
	const n = (x: number) => Math.round(x * 100) / 100;
	return `M${n(x0)} ${n(a)}C${n(middle)} ${n(a)} ${n(middle)} ${n(c)} ${n(x1)} ${n(c)}V${n(d)}C${n(middle)} ${n(d)} ${n(middle)} ${n(b)} ${n(x0)} ${n(b)}Z`;
}

/** How thick each band is where it meets the trunk. */
export function sharesOf(bands: readonly Band[], trunk: Flow['trunk']): number[] {
	return bands.map((band, i) => (bands[i + 1]?.at ?? trunk.bottom) - band.at);
}

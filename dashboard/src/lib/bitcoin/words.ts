/** Bitcoin's figures in words. Pure; amounts stay exact. */

import { formatUnits, type Fitting } from '../amount';
import { priceIn, unit } from '../chain';
import { count, shorten, stamp } from '../format';
import type { BitcoinInput, BitcoinOutput, BitcoinTransaction } from './shapes';

/** Below it a lock time is a height, from it on it is seconds since 1970 (Core's `LOCKTIME_THRESHOLD`). */
const LOCK_TIMES = 500_000_000;
/** Weight units that a block may have (BIP-141). */
export const MOST_WEIGHT = 4_000_000;
const RATE = priceIn('bitcoin');
const COIN = unit('', 'bitcoin');

/** A rate of satoshi per 1,000 virtual bytes, as sat/vB. */
export function feeRate(rate: string | null | undefined): Fitting | null {
	const said = formatUnits(rate, RATE.decimals, 2);
	return said && { ...said, symbol: RATE.symbol };
}

/** Satoshi in the coin; `short` has at most `places` digits behind the point. */
export function inCoins(satoshi: string | null | undefined, places = COIN.decimals): Fitting | null {
	const said = formatUnits(satoshi, COIN.decimals, places);
	return said && { ...said, symbol: COIN.symbol };
}

const TYPES: Record<string, { label: string; hint: string }> = {
	pubkey: { label: 'P2PK', hint: 'to a public key' },
	pubkeyhash: { label: 'P2PKH', hint: 'to the hash of a public key' },
	scripthash: { label: 'P2SH', hint: 'to the hash of a script' },
	multisig: { label: 'multisig', hint: 'to several public keys, bare' },
	nulldata: { label: 'OP_RETURN', hint: 'data: nobody can spend it' },
	witness_v0_keyhash: { label: 'P2WPKH', hint: 'to the hash of a public key, SegWit' },
	witness_v0_scripthash: { label: 'P2WSH', hint: 'to the hash of a script, SegWit' },
	witness_v1_taproot: { label: 'P2TR', hint: 'Taproot' },
	anchor: { label: 'anchor', hint: 'anybody can spend it, to pay for what it hangs on' },
	witness_unknown: { label: 'witness', hint: 'a version of witness programs that has no meaning yet' },
	nonstandard: { label: 'other script', hint: 'none of the usual scripts' }
};

/** A short name of Core's word for a script, and what it means. Unknown ones are shown as they are. */
export function typeWords(type: string | null | undefined): { label: string; hint: string } {
	if (!type) return { label: '', hint: '' };
	return Object.hasOwn(TYPES, type) ? TYPES[type]! : { label: type.replaceAll('_', ' '), hint: '' };
}

/** Addresses, each once: a bare multisig may name a key twice. */
export function each(addresses: string[]): string[] {
	return [...new Set(addresses)];
}

/** Whose an input or output is: its address, several, or what it is instead. */
export function whose(of: Pick<BitcoinInput | BitcoinOutput, 'addresses' | 'type'>, head = 8, tail = 6): string {
	const [first, ...others] = each(of.addresses);
	if (first) return others.length > 0 ? `${shorten(first, head, tail)} +${others.length}` : shorten(first, head, tail);
	return typeWords(of.type).label || 'not known';
}

/** `not before height 840,000`, `not before 2026-01-01 00:00:00`; null where it is locked to nothing. */
export function lockWords(tx: Pick<BitcoinTransaction, 'lock_time' | 'inputs' | 'input_count'>): string | null {
	if (tx.lock_time === 0) return null;
	const said = tx.lock_time < LOCK_TIMES ? `not before height ${count(tx.lock_time)}` : `not before ${stamp(tx.lock_time * 1_000)}`;
	// Inputs that are final switch it off (Core's `IsFinalTx`): all of them, which an answer has up to a thousand.
	return tx.inputs.length > 0 && tx.inputs.length === tx.input_count && tx.inputs.every((input) => input.sequence === 0xffffffff) ? `${said}, switched off by its inputs` : said;
}

/** A sequence number that says something (BIP-68, BIP-125); null where it is final, and on a coinbase, which spends nothing. */
export function sequenceWords(sequence: number, { version, is_coinbase }: Pick<BitcoinTransaction, 'version' | 'is_coinbase'>): string | null {
	if (is_coinbase || sequence >= 0xfffffffe) return null;
	// Bit 31 switches the relative lock off.
	if (version < 2 || sequence >= 2 ** 31) return 'may be replaced';
	const value = sequence % 2 ** 16;
	if (value === 0) return 'may be replaced';
	const byTime = Math.floor(sequence / 2 ** 22) % 2 === 1;
	return byTime ? `${count(value * 512)} s after what it spends` : `${count(value)} blocks after what it spends`;
}

/** A version, as pages of Bitcoin write a block's. */
export function hex32(n: number): string {
	return `0x${(n >>> 0).toString(16).padStart(8, '0')}`;
}

/** `92.67 T`: difficulties have up to fifteen digits. */
export function difficultyWords(n: number): string {
	for (const [at, letter] of [[1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M']] as const) {
		if (n >= at) return `${(n / at).toFixed(2)} ${letter}`;
	}
	return n >= 1_000 ? count(n) : Number(n.toPrecision(6)).toString();
}

/** Text in a script of data pushes (`OP_RETURN`), where all of it can be read; else null. */
export function pushedText(script: string): string | null {
	if (!/^6a([0-9a-f]{2})+$/.test(script)) return null;
	const bytes = script.slice(2).match(/../g)!.map((byte) => parseInt(byte, 16));
	const parts: number[] = [];
	for (let at = 0; at < bytes.length; ) {
		const op = bytes[at++]!;
		let length = op;
		if (op === 0x4c) length = bytes[at++] ?? 0;
		else if (op === 0x4d) {
			length = (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0);
			at += 2;
		} else if (op === 0 || op > 0x4e) return null;
		if (at + length > bytes.length) return null;
		parts.push(...bytes.slice(at, at + length));
		at += length;
	}
	try {
		const text = new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(parts));
		// eslint-disable-next-line no-control-regex
		return text.length > 1 && !/[\u0000-\u0008\u000e-\u001f\u007f]/.test(text) ? text : null;
	} catch {
		return null;
	}
}

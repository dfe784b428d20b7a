/**
 * What the API says of Bitcoin beside what all families have. Amounts are decimal strings in satoshi, rates in satoshi per 1,000 virtual
 * bytes, scripts hex; hashes have no `0x`.
 */

/** Of `GET /txs/{network}/{txid}`. */
export interface BitcoinTransaction {
	/** Hash with witnesses. */
	wtxid: string;
	version: number;
	/** A height below 500,000,000, else seconds since 1970. */
	lock_time: number;
	size: number;
	weight: number;
	virtual_size: number;
	sigops: number | null;
	is_coinbase: boolean;
	segwit: boolean;
	/** An input says that it may be replaced (BIP-125). */
	replaceable: boolean;
	/** What it spends; null for a coinbase, and where that is not known. */
	input_value: string | null;
	output_value: string;
	fee_rate: string | null;
	/** Who made the block, of coinbases. */
	pool: string | null;
	/** How many there are; `inputs` and `outputs` may hold a part of them. */
	input_count: number;
	output_count: number;
	inputs: BitcoinInput[];
	outputs: BitcoinOutput[];
}

export interface BitcoinInput {
	index: number;
	/** The output that it spends; null of a coinbase. */
	spent_txid: string | null;
	spent_index: number | null;
	value: string | null;
	/** Core's word for the script. */
	type: string | null;
	addresses: string[];
	spent_height?: number | null;
	script: string;
	/** In Core's words; null where the answer has no room for it, and of a coinbase. */
	script_asm?: string | null;
	sequence: number;
	witness: string[];
	/** Media type of an inscription that it reveals. */
	envelope?: string | null;
}

export interface BitcoinOutput {
	index: number;
	value: string;
	type: string;
	addresses: string[];
	script: string;
	/** In Core's words; null where the answer has no room for it. */
	script_asm?: string | null;
	/** `unspent` is said only where the chain is held without a gap from its block on. */
	spent: 'spent' | 'unspent' | 'unknown';
	spent_by: { txid: string; index: number; height: number } | null;
}

/** Of `GET /blocks/{network}/{height or hash}`. */
export interface BitcoinBlock {
	version: number;
	merkle_root: string;
	/** Target in compact form. */
	bits: number;
	nonce: number;
	difficulty: number;
	/** Hex. */
	chain_work: string | null;
	size: number | null;
	stripped_size: number | null;
	weight: number | null;
	virtual_size: number | null;
	/** What its source says, also where only the header is held. */
	transaction_count: number | null;
	/** Script of the coinbase's input, hex, and what of it is text. */
	coinbase: string | null;
	coinbase_text: string | null;
	pool: string | null;
}

/** The shapes of `/api/v1` about failures. What a server does not say is absent or null; what it adds is passed over. */

import type { Transaction } from '../contract';

/** A call of a trace, as far as it was kept: those on the way to the one that failed, and what stands beside them. */
export interface CallFrame {
	/** `CALL`, `DELEGATECALL`, `STATICCALL`, `CREATE`, … */
	type?: string | null;
	from?: string | null;
	/** Missing where the creation of a contract failed. */
	to?: string | null;
	to_name?: string | null;
	/** Decimal or `0x…`, in the chain's smallest unit. */
	value?: string | number | null;
	gas?: string | number | null;
	gas_used?: string | number | null;
	/** The selector. */
	method?: string | null;
	/** What it means, where that is known. */
	method_name?: string | null;
	signature?: string | null;
	/** The node's word; there only when the call failed. */
	error?: string | null;
	/** The cause is in this one. */
	failed_here?: boolean | null;
	calls?: CallFrame[] | null;
	/** How many calls were left out beside those in it, and how many levels between it and the one above. */
	left_out?: number | null;
	left_out_levels?: number | null;
}

/** Why a transaction failed: `failure` of `GET /txs/{network}/{hash}`. */
export interface Failure {
	/** Class: `slippage`, `allowance`, …, `custom`, `opaque`, `unknown`. Unknown ones are shown as they are. */
	cause: string | null;
	/** The sentence for people. */
	reason: string | null;
	/** `receipt`, `trace`, `call`, `budget`. */
	found_by?: string | null;
	/** Found on a state that may differ a little from the one it ran on. */
	approximate?: boolean | null;
	/** Which row of the table of causes matched. */
	rule?: string | null;
	/** What it was counted with, of `budget`. */
	group?: string | null;
	/** The contract that was called, and the frame that failed. */
	entry?: string | null;
	entry_name?: string | null;
	frame?: { address?: string | null; name?: string | null; depth?: number | null } | null;
	/** The node's word for it. */
	error?: string | null;
	error_selector?: string | null;
	/** With names where they are known: `InsufficientOutput(uint256 amount, uint256 minimum)`. */
	error_signature?: string | null;
	error_arguments?: unknown;
	/** What the failing call returned, at most the first KiB. */
	output?: string | null;
	calls?: CallFrame | null;
	/** Names of contracts in `calls`, by address. */
	names?: Record<string, string> | null;
	/** Named on reading, by what was not known when the cause was found; and whose ABI that was. */
	late?: boolean | null;
	source?: string | null;
	/** The last word is still to come. */
	pending?: boolean | null;
}

/** What a frame `cause` of the topic `transactions` says: the cause of a failure that came before it. */
export interface LateCause {
	network: string;
	hash: string;
	block_hash: string;
	index: number;
	cause: string | null;
	reason?: string | null;
	found_by?: string | null;
}

/** A group of failures that are alike, of `GET /failures`. */
export interface FailureGroup {
	network: string;
	cause: string | null;
	method?: string | null;
	method_name?: string | null;
	contract?: string | null;
	contract_name?: string | null;
	error_selector?: string | null;
	error_signature?: string | null;
	/** The sentence of one of them. */
	reason?: string | null;
	count: number;
	/** Of all that failed in the window, 0 to 1. */
	share?: number | null;
	/** Failures per slot, oldest first. */
	trend?: number[] | null;
	/** The hash of one. */
	example?: string | null;
	last_at?: string | null;
}

/** `GET /failures`. */
export interface Failures {
	items: FailureGroup[];
	/** Groups, also those that are not among `items`; and all that failed. */
	total?: number | null;
	failed?: number | null;
	window?: string | null;
	/** How far back was counted, and until when. */
	from?: string | null;
	to?: string | null;
}

/** What an endpoint was when a block came: `GET /txs/{network}/{hash}/endpoints`. */
export interface EndpointThen {
	endpoint: string;
	/** `ok`, `slow`, `behind`, … */
	state: string | null;
	height?: number | null;
	lag_blocks?: number | null;
	/** Of the minutes around the block. */
	calls?: number | null;
	failures?: number | null;
	latency_ms?: number | null;
	/** The last failure. */
	error?: string | null;
	at?: string | null;
}

export interface Items<T> {
	items: T[];
}

export type Similar = Items<Transaction>;

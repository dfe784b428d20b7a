/**
 * The shapes of `/api/v1` that this page reads. Heights, counts and milliseconds are numbers; chain amounts are decimal
 * strings in the chain's smallest unit; times are RFC 3339. What a server adds is carried along and shown in the detail.
 */

import type { BitcoinBlock, BitcoinTransaction } from './bitcoin/shapes';
import type { EndpointThen, Failure, LateCause } from './failures/shapes';
import type { WindowData } from './overview/shapes';

export type TxStatus = 'success' | 'failed' | 'unknown';

export interface NetworkHealth {
	network: string;
	family: string;
	/** `live`, `syncing`, … Unknown ones are shown as they are. */
	state: string;
	tip_height: number | null;
	processed_height: number | null;
	lag_blocks: number | null;
	processed_sequence: number | null;
	last_block_at: string | null;
	/** Transactions per second over the trailing minute, where the server says so. */
	tx_per_second?: number | null;
	error?: string | null;
	/** How it is doing at each stage, in the order of the data; servers before 0.2 do not say. */
	stages?: NetworkStage[];
}

/** What a stage says of a network. */
export interface NetworkStage {
	/** `ingest`, `enrich` or `sink`. */
	stage: string;
	/** `running`, `live`, `silent`, … Unknown ones are shown as they are. */
	state: string;
	since?: string | null;
	error?: string | null;
}

/** Something that is wrong. */
export interface HealthProblem {
	stage: string;
	/** `null`: it is about all of them. */
	network: string | null;
	since: string | null;
	problem: string;
	cure: string;
}

export interface Health {
	status: string;
	networks: NetworkHealth[];
	problems?: HealthProblem[];
	/** What will be wrong some day. */
	warnings?: HealthProblem[];
	store_error?: string | null;
}

export interface Transaction {
	network: string;
	/** `evm`, `bitcoin`, …; servers of before do not say. */
	family?: string;
	hash: string;
	height: number;
	block_hash: string;
	index: number;
	from: string | null;
	/** `null`: the transaction creates a contract; always where there is not one sender and one receiver, as on Bitcoin. */
	to: string | null;
	/** Of Bitcoin: all outputs together. */
	value: string | null;
	status: TxStatus;
	cause?: string | null;
	reason?: string | null;
	/** How that was found: `receipt`, `trace`, `call`, `budget`. */
	found_by?: string | null;
	/** The selector; of older servers a signature. */
	method?: string | null;
	/** What was called, with names: `transfer(address to, uint256 amount)`; null where it is not known. */
	signature?: string | null;
	gas_used?: number | string | null;
	/** Of Bitcoin: satoshi per 1,000 virtual bytes. */
	gas_price?: string | null;
	fee?: string | null;
	block_time: string | null;
	sequence: number;
}

/** Something that was decoded. */
export interface Decoded {
	/** Decoded on reading, by what was not known when its block came, or by an ABI of the reader's own. */
	late?: boolean | null;
	/** Whose ABI that was: `yours`, `operator`, `sourcify`, `builtin`, …; null: decoded when its block came. */
	source?: string | null;
}

export interface TxCall extends Decoded {
	/** With names: `transfer(address to, uint256 amount)`. */
	signature?: string | null;
	/** An object by name, integers as decimal text. */
	arguments?: unknown;
	/** The contract's name. */
	contract?: string | null;
}

/** A call that another one carries, one level deep. */
export interface InnerCall extends TxCall {
	to?: string | null;
	value?: string | null;
	/** The selector. */
	method?: string | null;
	input?: string | null;
}

export interface TxEvent extends Decoded {
	log_index: number;
	address: string;
	contract?: string | null;
	event?: string | null;
	arguments?: unknown;
	topics?: string[] | null;
	data?: string | null;
}

/** A movement of a token. */
export interface Transfer {
	/** `erc20`, `erc721`, `erc1155`, `wrapped`. */
	standard: string;
	token: string;
	token_name?: string | null;
	from: string | null;
	to: string | null;
	/** Which one, where each is its own. */
	id?: string | null;
	/** In the token's smallest unit. */
	amount?: string | null;
	log_index?: number | null;
}

export interface FeeParts {
	execution?: string | null;
	l1?: string | null;
	operator?: string | null;
	blob?: string | null;
}

export interface TransactionDetail extends Transaction {
	call?: TxCall | null;
	inner_calls?: InnerCall[] | null;
	/** Readable text that was sent as input: no call. */
	text?: string | null;
	input?: string | null;
	events?: TxEvent[] | null;
	transfers?: Transfer[] | null;
	fee_parts?: FeeParts | null;
	/** Why `fee` is null. */
	fee_reason?: string | null;
	/** What it was paid in, where that is no coin of the chain. */
	fee_token?: string | null;
	fee_token_amount?: string | null;
	/** The limit. */
	gas?: number | string | null;
	nonce?: number | string | null;
	type?: number | string | null;
	max_fee_per_gas?: string | null;
	max_priority_fee_per_gas?: string | null;
	max_fee_per_blob_gas?: string | null;
	blob_versioned_hashes?: string[] | null;
	/** What the receiver is called. */
	to_name?: string | null;
	created_contract?: string | null;
	/** Why it failed, with evidence; null unless it did. */
	failure?: Failure | null;
	/** What the endpoints were when its block came. */
	endpoints?: EndpointThen[] | null;
	/** What only Bitcoin has. */
	bitcoin?: BitcoinTransaction | null;
	similar?: Transaction[] | null;
}

export interface Block {
	network: string;
	family: string;
	height: number;
	hash: string;
	parent_hash: string;
	block_time: string | null;
	/** Null: only the header is held, and its source does not say. */
	transaction_count: number | null;
	failed_count: number | null;
	/** `header`: nothing of its transactions is held, since no source of bodies is configured. */
	coverage?: string | null;
	/** Of Bitcoin: median of the time stamps of this block and the ten before it. Windows are over up to here. */
	median_time?: string | null;
	/** What only Bitcoin has; not in lists. */
	bitcoin?: BitcoinBlock | null;
	log_count?: number | null;
	gas_used?: number | null;
	gas_limit?: number | null;
	/** In wei. */
	base_fee?: string | null;
	/** Of those paid in the chain's own coin and known. */
	fee_total?: string | null;
	fee_parts?: FeeParts | null;
	/** Transactions whose fee is not in the sum. */
	fee_unknown?: number | null;
	fee_tokens?: { token: string; amount: string | null; transactions: number }[] | null;
	/** Transactions whose status is not known, and those that could not be read. */
	unknown_count?: number | null;
	unreadable_count?: number | null;
	miner?: string | null;
	/** In bytes. */
	size?: number | null;
	extra_data?: string | null;
	blob_gas_used?: number | null;
	token_transfer_count?: number | null;
	stored_at?: string | null;
	sequence: number;
	/** `backfill`: filled in on request, anywhere below the head. */
	origin?: string;
	observed_at?: string | null;
}

export interface Page<T> {
	items: T[];
	next: string | null;
}

/** RFC 9457. */
export interface Problem {
	title: string;
	detail?: string;
	status?: number;
	/** The path `/problems/NAME`, the same at every occurrence. */
	type?: string;
	/** What stands in the way, of a 409. */
	id?: string;
	/** What is wrong with a body, of a 422. */
	errors?: Mistake[];
}

/** A mistake in what was sent. */
export interface Mistake {
	/** `name`, `abi.3.inputs.0.type`; of a text that is no JSON `line 4, column 7`. */
	path: string;
	problem: string;
	cure?: string;
	/** Of a mistake inside an expression: the character that it begins at, from 0. */
	position?: number;
}

/** What a score is made of; each 0 to 1. The score is 100 × (½ latency + ½ success) × height. */
export interface ScoreParts {
	latency: number | null;
	success: number | null;
	/** 1 near the best height, falling to 0 the further behind. */
	height: number | null;
}

/** An endpoint of a network, as `/providers/health` and the topic `providers` have it. */
export interface Provider {
	network: string;
	name: string;
	/** Credentials masked. */
	url: string;
	/** 0 to 100; null before the first answer. */
	score: number | null;
	components?: ScoreParts | null;
	/** Median of the last ten minutes, of answers. */
	latency_ms: number | null;
	/** 95th percentile of the same. */
	latency_p95_ms?: number | null;
	/** 0 to 1. */
	success_rate: number | null;
	height: number | null;
	lag_blocks: number | null;
	/** `ok`, `slow`, `quarantined`, … Unknown ones are shown as they are. */
	state: string;
	/** Why, in a sentence; of a lie, what was said and what is right. */
	reason?: string | null;
	since: string | null;
	in_use: boolean;
	in_use_since?: string | null;
	last_error: string | null;
	last_error_at?: string | null;
	last_seen_at: string | null;
	/** When this was written. */
	at?: string | null;
	operator?: string | null;
	/** `http`, `electrum tcp`, `electrum tls`, `core rpc`, `core rest`. Unknown ones are shown as they are. */
	protocol?: string | null;
	/** What it says that it is: `ElectrumX 1.16.0`. */
	software?: string | null;
	/** Connections that are held open to it; null where the HTTP client sees to that. */
	sockets?: number | null;
	/** Requests that it has not answered yet. */
	in_flight?: number | null;
	/** None: all that it can do. */
	roles?: string[] | null;
	priority?: number | null;
	calls_per_block?: number | null;
	bytes_per_block?: number | null;
	calls_per_day?: number | null;
	bytes_per_day?: number | null;
	/** The cap on calls; null: there is none. */
	per_day?: number | null;
	/** Requests per second, configured or found out. */
	limit_per_second?: number | null;
	/** How often its state is written at least. */
	probe_every_ms?: number | null;
	/** For which it is in quarantine. */
	lie?: ProviderLie | null;
}

export interface ProviderLie {
	said: string;
	/** And who says so. */
	right: string;
	at?: string | null;
	/** Stage and instance. */
	found_by?: string | null;
}

/** What an endpoint did in one minute; a minute may have several of these (methods, observers). */
export interface ProviderMinute {
	/** The minute's start, or where within it counting began. */
	at: string;
	calls: number;
	failures: number;
	/** Of answers; null when there was none. */
	latency_p50_ms: number | null;
	latency_p95_ms: number | null;
	bytes?: number | null;
}

/** `GET /providers/{network}/{name}`. */
export interface ProviderDetail extends Provider {
	history: ProviderMinute[];
	/** Why there is none: the store does not answer. */
	history_error?: string | null;
}

export type Op = 'apply' | 'revert';

export type Frame =
	| { type: 'block'; network: string; sequence: number; op: Op; data: Block }
	| { type: 'transaction'; network: string; sequence: number; op: Op; data: Transaction }
	| { type: 'provider'; network: string; sequence: number; op: Op; data: Provider }
	| { type: 'window'; network: string; sequence: number; op: Op; data: WindowData }
	| { type: 'cause'; network: string; sequence: number; data: LateCause }
	| { type: 'alert'; [more: string]: unknown }
	| { type: 'position'; network: string; sequence: number }
	| { type: 'gap'; network: string; from: number; to: number; reason?: 'not_held' | 'pruned' }
	| { type: 'error'; id?: number | null; problem: Problem };

export type DataFrame = Extract<Frame, { type: 'block' | 'transaction' }>;

export interface SqlColumn {
	name: string;
	/** ClickHouse's type. */
	type: string;
	/** Meaning and unit; `Same as X, …` and `X as decimal text` name the column that this one repeats. */
	comment: string;
}

export interface SqlView {
	name: string;
	comment: string;
	columns: SqlColumn[];
}

export interface SqlTable {
	name: string;
	rows: number;
	bytes: number;
	partitions: number;
	oldest: string | null;
	newest: string | null;
}

/** What was removed of a network by `[store] keep` or `max_bytes`. */
export interface SqlRemoved {
	network: string;
	from_height: number;
	/** Rows are held from here on. */
	below: number;
	/** Time of the newest block that was removed. */
	until: string;
	reason: string;
}

export interface SqlLimits {
	seconds: number;
	memory_bytes: number;
	rows_read: number;
	rows_given: number;
	at_once: number;
	text_bytes: number;
	temporary_bytes: number;
}

export interface SqlQuery {
	title: string;
	/** Names stand in backquotes. */
	about: string;
	sql: string;
}

/** `GET /sql`. */
export interface Sql {
	url: string;
	database: string;
	user: string;
	views: SqlView[];
	tables: SqlTable[];
	removed?: SqlRemoved[];
	limits: SqlLimits;
	queries: SqlQuery[];
}

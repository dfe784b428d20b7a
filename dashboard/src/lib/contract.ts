/**
 * The shapes of `/api/v1` that this page reads. Heights, counts and milliseconds are numbers; chain amounts are decimal
 * strings in the chain's smallest unit; times are RFC 3339. What a server adds is carried along and shown in the detail.
 */

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
	store_error?: string | null;
}

export interface Transaction {
	network: string;
	hash: string;
	height: number;
	block_hash: string;
	index: number;
	from: string | null;
	/** `null`: the transaction creates a contract. */
	to: string | null;
	value: string | null;
	status: TxStatus;
	cause?: string | null;
	reason?: string | null;
	method?: string | null;
	gas_used?: number | string | null;
	gas_price?: string | null;
	fee?: string | null;
	block_time: string | null;
	sequence: number;
}

export interface TxEvent {
	log_index: number;
	address: string;
	event?: string | null;
	arguments?: unknown;
	topics?: string[] | null;
	data?: string | null;
}

export interface FeeParts {
	execution?: string | null;
	l1?: string | null;
	operator?: string | null;
	blob?: string | null;
}

export interface TransactionDetail extends Transaction {
	events?: TxEvent[] | null;
	fee_parts?: FeeParts | null;
}

export interface Block {
	network: string;
	family: string;
	height: number;
	hash: string;
	parent_hash: string;
	block_time: string | null;
	transaction_count: number;
	failed_count: number;
	sequence: number;
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
}

export type Op = 'apply' | 'revert';

export type Frame =
	| { type: 'block'; network: string; sequence: number; op: Op; data: Block }
	| { type: 'transaction'; network: string; sequence: number; op: Op; data: Transaction }
	| { type: 'position'; network: string; sequence: number }
	| { type: 'gap'; network: string; from: number; to: number }
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
	limits: SqlLimits;
	queries: SqlQuery[];
}

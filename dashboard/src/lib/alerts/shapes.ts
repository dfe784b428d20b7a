/** The shapes of `/rules`, `/monitors`, `/channels`, `/silences`, `/alerts` and `/deliveries`. Times are RFC 3339, durations text such as `5m`. */

export type Severity = 'critical' | 'warning' | 'info';

/** What people make here, as far as all four kinds have it. */
export interface Thing {
	/** Ours, opaque. */
	id: string;
	name: string;
	/** Counts edits. */
	version: number;
	created_at?: string | null;
	updated_at?: string | null;
}

export interface Baseline {
	/** So much above (or below) what is usual, in per cent. */
	percent: number;
	/** What is usual: over this time before. */
	over: string;
}

export interface Route {
	/** At least so bad; null: any. */
	severity?: Severity | null;
	/** Hours of the day in UTC, `22:00-06:00`; null: always. */
	hours?: string | null;
	channels: string[];
}

export interface Escalation {
	after: string;
	channels: string[];
}

interface Watching extends Thing {
	paused: boolean;
	severity: Severity;
	/** Names or ids of channels. */
	channels: string[];
	routes?: Route[];
	escalate?: Escalation | null;
	cooldown: string;
	group_by?: string[];
	/** Its networks that the organisation has no more: there it stands still. */
	stopped?: string[];
}

export interface Rule extends Watching {
	network?: string | null;
	networks?: string[] | null;
	/** Null: the network as a whole. */
	contract?: string | null;
	endpoint?: string | null;
	metric: string;
	operator: string;
	/** Rates are 0 to 1. */
	threshold?: number | null;
	baseline?: Baseline | null;
	window: string;
	for: string;
	min_count?: number;
	repeat_every?: string | null;
}

export interface Condition {
	signature: string;
	expression?: string | null;
}

export interface OnTransaction {
	status: string;
	expression?: string | null;
}

export interface Watched {
	address: string;
	abi?: unknown[] | null;
}

export interface Monitor extends Watching {
	networks: string[];
	addresses: Watched[];
	match_conditions: { functions?: Condition[]; events?: Condition[]; transactions?: OnTransaction[] };
	/** Null, `finalized`, or a number of blocks. */
	wait?: string | number | null;
	template?: { title?: string | null; body?: string | null } | null;
}

/** How a secret reads that is set. */
export interface Sealed {
	set: boolean;
}

export interface Channel extends Thing {
	type: string;
	config: Record<string, unknown>;
	min_severity: Severity;
	per_hour: number;
	send_resolved: boolean;
	/** `active`, `disabled`. */
	state?: string;
	disabled_reason?: string | null;
}

export interface Silence extends Thing {
	match: Record<string, string>;
	starts_at: string;
	ends_at: string;
	reason?: string | null;
	created_by?: unknown;
}

export interface AlertSource {
	kind: 'rule' | 'monitor';
	id: string;
	name: string;
	version?: number;
}

/** Something that happened to an alert. */
export interface AlertEvent {
	at: string;
	/** `pending fired amended acknowledged repeated resolved retracted included_again`; unknown ones are shown as they are. */
	kind: string;
	by?: string | null;
	note?: string | null;
	sequence?: number | null;
	height?: number | null;
}

/** What one condition of a monitor found at one place. */
export interface Match {
	network: string;
	transaction_hash: string;
	kind: string;
	position?: number | null;
	signature?: string | null;
	arguments?: Record<string, unknown> | null;
	/** Why the transaction failed, once that is found out. */
	cause?: string | null;
	/** The same in words; of lists only. */
	reason?: string | null;
	height: number;
	block_hash?: string | null;
	monitor_version?: number;
	state?: string;
	at?: string | null;
}

/** What of a monitor was not told on one network, of late. */
export interface LeftOut {
	network: string;
	/** Matches beyond those that a block may give. */
	matches: number;
	/** Transactions that none of the organisation's monitors was put to. */
	transactions: number;
	since: string;
	last_at: string;
}

/** Of a rule its figure, of a monitor its matches. */
export interface Evidence {
	metric?: string;
	value?: number | string | null;
	threshold?: number | string | null;
	/** What the value was compared with, where that is not a fixed threshold. */
	baseline?: number | string | null;
	window?: string;
	from?: string | null;
	to?: string | null;
	transactions?: number | null;
	failed?: number | null;
	causes?: { cause: string | null; count: number }[] | null;
	example?: { hash: string } | null;
	height?: number | null;
	block_hash?: string | null;
	sequence?: number | null;
	matches?: Match[];
	/** False: some of the window was not there. */
	complete?: boolean;
	/** Of endpoints and of sources on different branches: why, in words. */
	reason?: string | null;
	/** All of them, where only some are told. */
	count?: number | null;
	[more: string]: unknown;
}

export interface Alert {
	id: string;
	source: AlertSource;
	network: string;
	contract?: string | null;
	group?: Record<string, string> | null;
	/** `pending firing acknowledged resolved retracted`. */
	state: string;
	severity: Severity;
	started_at: string;
	fired_at?: string | null;
	ended_at?: string | null;
	/** The silence that holds its messages back, or whether one does. */
	silenced?: unknown;
	evidence?: Evidence | null;
	events?: AlertEvent[];
	links?: { dashboard?: string | null; acknowledge?: string | null } | null;
}

export interface Attempt {
	at: string;
	status?: number | null;
	latency_ms?: number | null;
	error?: string | null;
}

export interface Delivery {
	/** The message's (`webhook-id`). */
	id: string;
	alert?: string | null;
	channel: string;
	/** `alert.firing` … `channel.test`, `channel.summary`, `alerts.settled`. */
	type: string;
	/** `queued sent failed replaced`. */
	state: string;
	next_attempt_at?: string | null;
	created_at?: string | null;
	attempts?: Attempt[];
}

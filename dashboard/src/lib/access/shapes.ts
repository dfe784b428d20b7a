/** The shapes of `/auth/…`, `/contracts`, `/keys` and `/audit`. Times are RFC 3339, durations text such as `90d`. */

export type Action = 'read' | 'write';

/** Whoever did something. */
export interface Actor {
	/** `user`, `key`, `operator`, `system`. */
	kind: string;
	id: string;
	name?: string | null;
}

/** `GET /auth/me`. */
export interface Me {
	/** `none`: everybody may everything; `keys`, `accounts`. */
	mode: string;
	actor: Actor;
	/** The key that one acts with. */
	key?: { id: string; /** Null while the control store is away. */ prefix: string | null; name: string; expires_at?: string | null } | null;
	scopes: string[];
	/** Empty: all. */
	networks: string[];
	/** Goes back with every change. */
	csrf?: string | null;
	/** The person, where one is here; null with a key. */
	user?: User | null;
	/** Those that the person belongs to. */
	organisations?: Belonging[];
	/** Which of them one acts in: its id. */
	current?: string | null;
	/** The person's role there. */
	role?: Role | null;
	/** May look after all organisations of this installation. */
	platform?: boolean;
}

/** Least first. */
export type Role = 'viewer' | 'editor' | 'admin' | 'owner';

export interface User {
	id: string;
	email: string;
	name?: string | null;
	/** The address was shown to be the person's. */
	verified?: boolean;
	/** A code is asked for at the login. */
	totp?: boolean;
	/** There is one; who comes by a provider needs none. */
	password?: boolean;
}

/** An organisation of somebody's. */
export interface Belonging {
	id: string;
	name: string;
	role: Role;
	/** `active`, `importing`, `suspended`, `deleting`. */
	state?: string | null;
}

/** `GET /auth/ways`: how one gets in here, for whoever is not in yet. */
export interface Ways {
	mode: string;
	/** `open`, `invitation`, `closed`. */
	sign_up: string;
	/** Whom one may sign in with instead of a password. */
	providers: { id: string; name: string }[];
	/** A forgotten password can be set anew by mail. */
	reset: boolean;
}

/** Where somebody is signed in. */
export interface SessionRow {
	id: string;
	created_at: string;
	ends_at?: string | null;
	/** The one of this page. */
	current?: boolean;
	organisation?: { id: string; name?: string | null } | string | null;
}

/** `GET /auth/identities`: a provider that one comes in by. */
export interface IdentityRow {
	id: string;
	/** As `Ways` has it; null of one by which nobody comes in any more. */
	provider: string | null;
	name: string | null;
	issuer: string;
	/** What the provider calls the person. */
	subject: string;
	created_at: string;
}

export interface ContractFigures {
	transactions_24h: number | null;
	failed_24h: number | null;
}

/** Something that an ABI names. */
export interface Named {
	what: 'function' | 'event' | 'error';
	/** `transfer(address,uint256)`. */
	signature: string;
	/** A selector of 4 bytes, or a topic of 32. */
	id: string;
}

export interface Contract {
	id: string;
	network: string;
	address: string;
	name: string;
	labels: string[];
	/** `operator`: it stands in the configuration file, and is changed there. */
	source: string;
	version: number;
	has_abi?: boolean;
	created_at?: string | null;
	updated_at?: string | null;
	/** Null where they cannot be had at the moment. */
	figures?: ContractFigures | null;
	/** Of one, not of a list. */
	abi?: unknown[] | null;
	/** Empty without an ABI. */
	names?: Named[] | null;
}

export interface Key {
	id: string;
	/** The part of it that may be seen; `hw_` stands before it. */
	prefix: string;
	name: string;
	scopes: string[];
	/** Empty: all. */
	networks: string[];
	created_at?: string | null;
	created_by?: Actor | null;
	expires_at?: string | null;
	revoked_at?: string | null;
	/** To a minute. */
	last_used_at?: string | null;
	version: number;
}

/** A key with its secret, which is in no other answer. */
export interface FreshKey extends Key {
	/** Null where the same request had been answered before: the answer that had it got lost. */
	key: string | null;
}

export interface AuditEntry {
	id: string;
	/** Its number in the chain. */
	entry?: number;
	at: string;
	actor: Actor;
	/** The scopes that it had. */
	acting_as?: string | null;
	ip?: string | null;
	request_id?: string | null;
	/** `contract.create`. */
	action: string;
	resource: { kind: string; id: string; name?: string | null };
	before?: unknown;
	after?: unknown;
	/** `done`, `denied`, `failed`. */
	outcome: string;
	hash: string;
	/** Empty in the first. */
	previous: string;
}

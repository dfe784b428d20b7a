/** What the page `/sql` makes of `GET /api/v1/sql`: addresses, columns with their other names, search, instructions per tool. */

import type { Sql, SqlColumn, SqlView } from './contract';

/** Where a client finds the store. */
export interface Address {
	url: string;
	host: string;
	port: number;
	secure: boolean;
	/** The store listens to its own machine only, and this page was opened from another one. */
	local: boolean;
}

const EVERYWHERE = ['0.0.0.0', '[::]'];
const ITSELF = ['127.0.0.1', '[::1]', 'localhost'];

/**
 * The address for somebody who reached this page at `pageHost`. A store that listens on every interface is told as the host
 * that the page came from.
 */
export function addressOf(url: string, pageHost: string): Address {
	const at = new URL(url);
	if (EVERYWHERE.includes(at.hostname) && pageHost) at.hostname = pageHost;
	const secure = at.protocol === 'https:';
	return {
		url: at.origin + at.pathname.replace(/\/$/, ''),
		host: at.hostname.replace(/^\[|\]$/g, ''),
		port: Number(at.port) || (secure ? 443 : 80),
		secure,
		local: ITSELF.includes(at.hostname) && !ITSELF.includes(pageHost)
	};
}

/** A column with the columns that repeat it. */
export interface FoldedColumn extends SqlColumn {
	/** The same under other names. */
	also: string[];
	/** The same as decimal text. */
	text: string[];
}

/** Columns in order; those that repeat another stand with it. One that repeats an unknown column stays by itself. */
export function fold(columns: SqlColumn[]): FoldedColumn[] {
	const known = new Set(columns.map((c) => c.name));
	const found = new Map<string, FoldedColumn>();
	const repeats: { of: string; as: 'also' | 'text'; name: string }[] = [];
	for (const column of columns) {
		const alias = column.comment.match(/^Same as (\w+)/)?.[1];
		const text = column.comment.match(/^(\w+) as decimal text$/)?.[1];
		const of = alias ?? text;
		if (of && of !== column.name && known.has(of)) repeats.push({ of, as: alias ? 'also' : 'text', name: column.name });
		else found.set(column.name, { ...column, also: [], text: [] });
	}
	for (const { of, as, name } of repeats) found.get(of)?.[as].push(name);
	return [...found.values()];
}

export interface FoldedView extends Omit<SqlView, 'columns'> {
	columns: FoldedColumn[];
}

/** The views with the columns in which every word of the search occurs (name, other names, type, comment); all without one. */
export function search(views: SqlView[], words: string): FoldedView[] {
	const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
	const has = (text: string) => wanted.every((word) => text.toLowerCase().includes(word));
	return views
		.map((view) => {
			const columns = fold(view.columns);
			const hit = (c: FoldedColumn) => has([view.name, c.name, ...c.also, ...c.text, c.type, c.comment].join(' '));
			return { ...view, columns: columns.filter(hit) };
		})
		.filter((view) => view.columns.length > 0);
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `1.5 GiB`; at most three digits that say something. */
export function bytes(n: number | null | undefined): string {
	if (n == null || !Number.isFinite(n)) return '—';
	let unit = 0;
	let value = n;
	while (value >= 1023.5 && unit < UNITS.length - 1) {
		value /= 1024;
		unit++;
	}
	const digits = unit === 0 || value >= 99.95 ? 0 : 1;
	return `${value.toFixed(digits).replace(/\.0$/, '')} ${UNITS[unit]}`;
}

/** A text in pieces, those in backquotes marked as code. */
export function pieces(text: string): { text: string; code: boolean }[] {
	return text
		.split('`')
		.map((piece, i) => ({ text: piece, code: i % 2 === 1 }))
		.filter((piece) => piece.text !== '');
}

/** How one tool is told where to look. */
export interface Tool {
	id: string;
	name: string;
	/** One sentence before it. */
	hint: string;
	/** What to enter where, for tools with a form. */
	fields?: { label: string; value: string }[];
	/** What to type, for those without. */
	code?: string;
}

/** Where the password stands, for whoever runs the store. */
export const CREDENTIALS = 'store/credentials.toml';

/** The name of the environment variable that the instructions take the password from. */
export const PASSWORD = 'HEADWATER_PASSWORD';

/** Instructions for the tools that people have. None holds a password. */
export function tools(sql: Pick<Sql, 'database' | 'user'>, at: Address): Tool[] {
	const { database, user } = sql;
	const bracketed = at.host.includes(':') ? `[${at.host}]` : at.host;
	const count = 'SELECT network, count() AS blocks FROM blocks GROUP BY network';
	return [
		{
			id: 'curl',
			name: 'curl',
			hint: `The password stands as analyst_password in ${CREDENTIALS} below the data directory.`,
			code:
				`export ${PASSWORD}=$(sed -n 's/^analyst_password = "\\(.*\\)"/\\1/p' data/${CREDENTIALS})\n` +
				`curl -su "${user}:$${PASSWORD}" '${at.url}/?database=${database}' \\\n` +
				`    --data-binary '${count} FORMAT PrettyCompact'`
		},
		{
			id: 'grafana',
			name: 'Grafana',
			hint: 'Data source “ClickHouse” (grafana-clickhouse-datasource).',
			fields: [
				{ label: 'Server address', value: at.host },
				{ label: 'Server port', value: String(at.port) },
				{ label: 'Protocol', value: 'HTTP' },
				{ label: 'Secure connection', value: at.secure ? 'on' : 'off' },
				{ label: 'Username', value: user },
				{ label: 'Default database', value: database }
			]
		},
		{
			id: 'dbeaver',
			name: 'DBeaver',
			hint: 'Driver “ClickHouse”; DataGrip and Metabase take the same.',
			fields: [
				{ label: 'JDBC URL', value: `jdbc:clickhouse://${bracketed}:${at.port}/${database}${at.secure ? '?ssl=true' : ''}` },
				{ label: 'Host', value: at.host },
				{ label: 'Port', value: String(at.port) },
				{ label: 'Database', value: database },
				{ label: 'Username', value: user }
			]
		},
		{
			id: 'superset',
			name: 'Superset',
			hint: 'With clickhouse-connect installed; Superset asks for the password in the URI.',
			fields: [
				{
					label: 'SQLAlchemy URI',
					value: `clickhousedb://${user}:PASSWORD@${bracketed}:${at.port}/${database}${at.secure ? '?secure=true' : ''}`
				}
			]
		},
		{
			id: 'python',
			name: 'Python',
			hint: 'pip install clickhouse-connect',
			code:
				`import os, clickhouse_connect\n` +
				`client = clickhouse_connect.get_client(host="${at.host}", port=${at.port}, secure=${at.secure ? 'True' : 'False'},\n` +
				`    username="${user}", password=os.environ["${PASSWORD}"], database="${database}")\n` +
				`print(client.query("${count}").result_rows)`
		},
		{
			id: 'javascript',
			name: 'JavaScript',
			hint: 'npm install @clickhouse/client',
			code:
				`import { createClient } from '@clickhouse/client';\n` +
				`const client = createClient({ url: '${at.url}', database: '${database}',\n` +
				`    username: '${user}', password: process.env.${PASSWORD} });\n` +
				`const rows = await client.query({ query: '${count}', format: 'JSONEachRow' });\n` +
				`console.log(await rows.json());`
		},
		{
			id: 'parquet',
			name: 'Parquet',
			hint: 'For polars, DuckDB, pandas: amounts as text, since these have no 256 bits.',
			code:
				`curl -su "${user}:$${PASSWORD}" '${at.url}/?database=${database}' -o transactions.parquet \\\n` +
				`    --data-binary 'SELECT network, height, hash, status, value_text, fee_text FROM transactions LIMIT 100000 FORMAT Parquet'`
		}
	];
}

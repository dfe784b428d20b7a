// What `GET /api/v1/sql` answers, made of docs/sql.md, for the mock. Development only.

import { readFileSync } from 'node:fs';

const document = readFileSync(new URL('../../docs/sql.md', import.meta.url), 'utf8');

function views() {
	return [...document.matchAll(/^### `(\w+)`\n\n(.+)\.\n\n((?:\|.*\n?)+)/gm)].map(([, name, comment, table]) => {
		const main = [];
		const more = [];
		for (const [, column, also, type, meaning] of table.matchAll(/^\| `(\w+)` \| (.*?) \| `(.*?)` \| (.*?) \|$/gm)) {
			main.push({ name: column, type, comment: meaning });
			for (const [, other] of also.matchAll(/`(\w+)`/g)) {
				const text = other === `${column}_text`;
				more.push(
					text
						? { name: other, type: 'String', comment: `${column} as decimal text` }
						: { name: other, type, comment: `Same as ${column}, as others call it` }
				);
			}
		}
		return { name, comment, columns: [...main, ...more] };
	});
}

function queries() {
	const found = document.matchAll(/^### \d+\. (.+)\n\n((?:(?!```).*\n)*)```sql\n([\s\S]*?)\n```/gm);
	return [...found].map(([, title, about, sql]) => ({ title, about: about.trim().replaceAll('\n', ' '), sql }));
}

export function catalogue() {
	const now = new Date().toISOString();
	const then = new Date(Date.now() - 12 * 86_400_000).toISOString();
	const table = (name, rows, bytes, partitions, oldest = then, newest = now) => ({ name, rows, bytes, partitions, oldest, newest });
	return {
		url: 'http://127.0.0.1:8123',
		database: 'headwater',
		user: 'analyst',
		views: views(),
		tables: [
			table('block_event_rows', 1_204_331, 71_303_168, 1),
			table('block_rows', 1_203_907, 311_427_072, 4),
			table('evm_log_rows', 512_903_114, 61_203_283_968, 4),
			table('evm_transaction_rows', 201_377_420, 88_046_829_568, 4),
			table('sink_status_rows', 3, 4_096, 1, null, null)
		],
		limits: {
			seconds: 60,
			memory_bytes: 536_870_912,
			rows_read: 100_000_000,
			rows_given: 1_000_000,
			at_once: 4,
			text_bytes: 262_144,
			temporary_bytes: 1_073_741_824
		},
		queries: queries()
	};
}

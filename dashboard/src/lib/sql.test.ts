import { describe, expect, it } from 'vitest';
import { addressOf, bytes, fold, pieces, search, tools } from './sql';

const column = (name: string, comment: string, type = 'UInt64') => ({ name, type, comment });

const views = [
	{
		name: 'blocks',
		comment: 'A row is a block',
		columns: [
			column('network', 'Slug of the network', 'String'),
			column('number', 'Height of the block'),
			column('fee_total', 'Sum of the fees, wei', 'UInt256'),
			column('fee_total_text', 'fee_total as decimal text', 'String'),
			column('height', 'Same as number, as REST calls it'),
			column('block_number', 'Same as number, as other views call it')
		]
	},
	{ name: 'evm_logs', comment: 'A row is a log', columns: [column('address', 'Emitting contract', 'String')] }
];

describe('addressOf', () => {
	it('splits an address', () => {
		expect(addressOf('http://127.0.0.1:8123', '127.0.0.1')).toEqual({
			url: 'http://127.0.0.1:8123',
			host: '127.0.0.1',
			port: 8123,
			secure: false,
			local: false
		});
		expect(addressOf('https://store.example/ch/', 'hw.example')).toMatchObject({
			url: 'https://store.example/ch',
			port: 443,
			secure: true,
			local: false
		});
		expect(addressOf('http://[::1]:8123', 'localhost')).toMatchObject({ host: '::1', local: false });
	});

	it('names the page’s host for a store that listens everywhere, and says when it listens to itself only', () => {
		expect(addressOf('http://0.0.0.0:8123', 'hw.example')).toMatchObject({ host: 'hw.example', url: 'http://hw.example:8123' });
		expect(addressOf('http://127.0.0.1:8123', 'hw.example').local).toBe(true);
	});
});

describe('fold', () => {
	it('puts other names and texts with their column', () => {
		expect(fold(views[0]!.columns).map((c) => [c.name, c.also, c.text])).toEqual([
			['network', [], []],
			['number', ['height', 'block_number'], []],
			['fee_total', [], ['fee_total_text']]
		]);
	});

	it('keeps what repeats an unknown column', () => {
		expect(fold([column('a', 'Same as b')]).map((c) => c.name)).toEqual(['a']);
	});
});

describe('search', () => {
	const found = (words: string) => search(views, words).map((v) => [v.name, v.columns.map((c) => c.name)]);

	it('looks at names, other names, types and comments, every word', () => {
		expect(found('')).toEqual([
			['blocks', ['network', 'number', 'fee_total']],
			['evm_logs', ['address']]
		]);
		expect(found('HEIGHT')).toEqual([['blocks', ['number']]]);
		expect(found('fee_total_text')).toEqual([['blocks', ['fee_total']]]);
		expect(found('uint256 wei')).toEqual([['blocks', ['fee_total']]]);
		expect(found('logs contract')).toEqual([['evm_logs', ['address']]]);
		expect(found('nothing of the kind')).toEqual([]);
	});
});

describe('bytes', () => {
	it('chooses the unit', () => {
		expect([0, 1023, 1024, 1536, 102_400, 1_048_575, 536_870_912, 3 * 2 ** 40].map(bytes)).toEqual([
			'0 B',
			'1023 B',
			'1 KiB',
			'1.5 KiB',
			'100 KiB',
			'1 MiB',
			'512 MiB',
			'3 TiB'
		]);
		expect(bytes(null)).toBe('—');
	});
});

describe('pieces', () => {
	it('marks what stands in backquotes', () => {
		expect(pieces('a `b` c')).toEqual([
			{ text: 'a ', code: false },
			{ text: 'b', code: true },
			{ text: ' c', code: false }
		]);
		expect(pieces('')).toEqual([]);
	});
});

describe('tools', () => {
	const of = (url: string) => tools({ database: 'headwater', user: 'analyst' }, addressOf(url, 'hw.example'));

	it('tells each where to look', () => {
		const all = of('https://[2001:db8::1]:8443');
		expect(all.every((t) => t.code != null || t.fields != null)).toBe(true);
		const field = (id: string, label: string) => all.find((t) => t.id === id)?.fields?.find((f) => f.label === label)?.value;
		expect(field('grafana', 'Server address')).toBe('2001:db8::1');
		expect(field('grafana', 'Secure connection')).toBe('on');
		expect(field('dbeaver', 'JDBC URL')).toBe('jdbc:clickhouse://[2001:db8::1]:8443/headwater?ssl=true');
		expect(field('superset', 'SQLAlchemy URI')).toBe('clickhousedb://analyst:PASSWORD@[2001:db8::1]:8443/headwater?secure=true');
		expect(all.find((t) => t.id === 'curl')?.code).toContain(`-su "analyst:$HEADWATER_PASSWORD" 'https://[2001:db8::1]:8443/`);
	});
});

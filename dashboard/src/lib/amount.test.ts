import { describe, expect, it } from 'vitest';
import { formatFitting, formatUnits, group, share } from './amount';

describe('formatUnits', () => {
	it('keeps every digit of a wei amount', () => {
		// Sum of the fees of Ethereum block 19433902.
		expect(formatUnits('1025765428965578322', 18)).toEqual({
			short: '1.025765…',
			exact: '1.025765428965578322',
			cut: true
		});
	});

	it('is exact beyond what a double can hold', () => {
		const max = (2n ** 256n - 1n).toString();
		const shown = formatUnits(max, 18, 18)!;
		expect(shown.cut).toBe(false);
		expect(BigInt(shown.short.replace(/[,.]/g, ''))).toBe(2n ** 256n - 1n);
	});

	it('marks what is smaller than the last place instead of showing zero', () => {
		expect(formatUnits('1', 18)?.short).toBe('<0.000001');
		expect(formatUnits('-1', 18)?.short).toBe('>-0.000001');
		expect(formatUnits('0', 18)).toEqual({ short: '0', exact: '0', cut: false });
	});

	it('never rounds up', () => {
		expect(formatUnits('1999999999999999999', 18)?.short).toBe('1.999999…');
		expect(formatUnits('1999999999999999999', 18, 0)?.short).toBe('1…');
	});

	it('drops trailing zeros and groups thousands', () => {
		expect(formatUnits('1234500000000000000000', 18)?.short).toBe('1,234.5');
		expect(formatUnits('5001750000', 8)?.short).toBe('50.0175');
	});

	it('refuses what is no integer', () => {
		for (const bad of ['', '1.5', '0x10', '1e18', null, undefined]) expect(formatUnits(bad, 18)).toBeNull();
	});
});

describe('formatFitting', () => {
	const eth = { symbol: 'ETH', decimals: 18 };

	it('changes to gwei and wei where the coin would say nothing', () => {
		// A fee of an OP mainnet transaction.
		expect(formatFitting('96363463148', eth, 3)).toEqual({
			short: '96.363…',
			exact: '0.000000096363463148',
			cut: true,
			symbol: 'gwei'
		});
		expect(formatFitting('21000', eth)).toMatchObject({ short: '21,000', symbol: 'wei' });
		expect(formatFitting('1000000000000', eth, 6)).toMatchObject({ short: '0.000001', symbol: 'ETH' });
		expect(formatFitting('999999999999', eth)).toMatchObject({ symbol: 'gwei' });
	});

	it('leaves zero, other coins and unreadable amounts alone', () => {
		expect(formatFitting('0', eth)).toMatchObject({ short: '0', symbol: 'ETH' });
		expect(formatFitting('7', { symbol: 'XLM', decimals: 7 }, 8)).toMatchObject({ short: '0.0000007', symbol: 'XLM' });
		expect(formatFitting(null, eth)).toBeNull();
	});
});

describe('group', () => {
	it('sets thousands apart', () => {
		expect(['7', '999', '1000', '19433903'].map(group)).toEqual(['7', '999', '1,000', '19,433,903']);
	});
});

describe('share', () => {
	it('is a truncated per cent', () => {
		expect(share('67331674288', '3248618200809')).toBe('2.0 %');
		expect(share('1', '3')).toBe('33.3 %');
		expect(share('1', '1000000')).toBe('<0.1 %');
		expect(share('0', '0')).toBeNull();
		expect(share(null, '5')).toBeNull();
	});

	it('tells small amounts of bitcoin in satoshi', () => {
		const coin = { symbol: 'BTC', decimals: 8 };
		expect(formatFitting('1240', coin)).toMatchObject({ short: '1,240', symbol: 'sat', exact: '0.0000124' });
		expect(formatFitting('999999', coin)?.symbol).toBe('sat');
		expect(formatFitting('1000000', coin)).toMatchObject({ short: '0.01', symbol: 'BTC' });
		expect(formatFitting('0', coin)).toMatchObject({ short: '0', symbol: 'BTC' });
	});
});

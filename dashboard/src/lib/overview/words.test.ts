import { describe, expect, it } from 'vitest';
import { brief, ceiling, exact, measured, plain, usual } from './words';

describe('figures', () => {
	it('are exact where they are said', () => {
		expect(exact('gas_price_p50', '12000000001', 'op-mainnet', 'evm')).toBe('12.000000001 gwei');
		expect(exact('fee_total', '123456789012345678901', 'mantle-mainnet', 'evm')).toBe('123.456789012345678901 MNT');
		expect(exact('fee_total', '150', 'bitcoin', 'bitcoin')).toBe('0.0000015 BTC');
		expect(exact('gas_price_p95', '2500', 'bitcoin', 'bitcoin')).toBe('2.5 sat/vB');
		expect(exact('transactions', 1_204, 'x', 'evm')).toBe('1,204');
		expect(exact('failure_rate', 0.0321, 'x', 'evm')).toBe('3.2 %');
		expect(exact('block_interval_ms', 2_004.4, 'x', 'evm')).toBe('2.00 s');
		expect(exact('failed', null, 'x', 'evm')).toBe('—');
	});

	it('are short on axes', () => {
		expect([0, 0.05, 12.5, 1_234, 12_340, 2_500_000, 0.00012, 3e9].map(brief)).toEqual(['0', '0.05', '12.5', '1,234', '12.3 k', '2.5 M', '1e−4', '3 G']);
		expect([0, 0.31, 3, 7.1, 1_001].map(ceiling)).toEqual([1, 0.4, 3, 8, 1_500]);
		expect(plain('123456789', 9)).toBeCloseTo(0.123456789);
		expect(plain(null)).toBeNull();
	});

	it('are said with what is usual, the unit once', () => {
		expect(measured('84120000123', 'price', 'evm')).toBe('84.120000123 gwei');
		expect(measured(0.312, 'ratio', 'evm')).toBe('31.2 %');
		expect(usual('9000000000', '16000000000', 'price', 'evm')).toBe('9 – 16 gwei');
		expect(usual(0.018, 0.064, 'ratio', 'evm')).toBe('1.8 – 6.4 %');
		expect(usual(0, 2, 'blocks', 'evm')).toBe('0 – 2 blocks');
		expect(usual(0, 1, 'endpoints', 'evm')).toBe('0 – 1 endpoint');
		expect([measured(2, 'branches', 'bitcoin'), usual(1, 1, 'branches', 'bitcoin')]).toEqual(['2 branches', '1 branch']);
		expect(measured('84000', 'price', 'bitcoin')).toBe('84 sat/vB');
		expect(usual('4000', '8500', 'price', 'bitcoin')).toBe('4 – 8.5 sat/vB');
		expect(usual(80, 2_100, 'ms', 'evm')).toBe('80 ms – 2.10 s');
		expect(usual(null, 1, 'blocks', 'evm')).toBe('at most 1 block');
		expect(usual(null, null, 'blocks', 'evm')).toBeNull();
	});
});

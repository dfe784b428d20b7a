import { describe, expect, it } from 'vitest';
import { age, briefHashes, clock, count, few, instant, methodName, millis, percent, plural, rate, shorten, stamp } from './format';

it('shortens hashes inside of a text', () => {
	expect(briefHashes(`block 75 is 0x${'ab'.repeat(32)}; 0x1234 stays`)).toBe('block 75 is 0xabab…abab; 0x1234 stays');
});

describe('shorten', () => {
	it('keeps both ends', () => {
		expect(shorten('0x2e3dcd051a91d3a694f6b8de2ac4b5fe7acdba55f58bcf8471ff00d4a430074d')).toBe('0x2e3d…074d');
		expect(shorten('0x2e3d')).toBe('0x2e3d');
	});
});

describe('numbers', () => {
	it('shows absence as a dash, never as zero', () => {
		expect(count(null)).toBe('—');
		expect(rate(undefined)).toBe('—');
		expect(rate(NaN)).toBe('—');
		expect(age(null)).toBe('—');
		expect(clock('never')).toBe('—');
		expect(stamp(new Date(2026, 10, 9, 1, 41, 8).toISOString())).toBe('2026-11-09 01:41:08');
		expect(stamp(null)).toBe('—');
	});

	it('groups', () => {
		expect(count(19433903)).toBe('19,433,903');
		expect(count(-1500)).toBe('-1,500');
		expect(rate(14.26)).toBe('14.3');
		expect(rate(1234.4)).toBe('1,234');
		expect(plural(1, 'block')).toBe('1 block');
		expect(plural(64, 'block')).toBe('64 blocks');
	});
});

describe('measures', () => {
	it('shows latencies in the unit that people say', () => {
		expect([0, 0.42, 9.96, 208.4, 999.6, 1_240, 12_000, 120_000].map(millis)).toEqual([
			'0 ms',
			'0.4 ms',
			'10 ms',
			'208 ms',
			'1.00 s',
			'1.24 s',
			'12.0 s',
			'120 s'
		]);
		expect(millis(null)).toBe('—');
	});

	it('says 100 % only of all, and 0 % only of none', () => {
		expect([1, 0.9999, 0.57, 0.29, 0.0002, 0, NaN].map(percent)).toEqual([
			'100 %',
			'99.9 %',
			'57 %',
			'29 %',
			'<0.1 %',
			'0 %',
			'—'
		]);
	});

	it('keeps a digit of small numbers', () => {
		expect([2, 2.25, 2.04, 9.97, 1_234.6, null].map(few)).toEqual(['2', '2.3', '2', '10', '1,235', '—']);
	});
});

describe('age', () => {
	it('uses at most two units', () => {
		expect([200, 7_900, 185_000, 7_860_000, 360_000_000].map(age)).toEqual([
			'now',
			'7 s',
			'3 m 05 s',
			'2 h 11 m',
			'4 d 4 h'
		]);
	});
});

describe('instant', () => {
	it('reads milliseconds', () => {
		expect(instant('2024-03-14T04:25:35.250Z')).toBe(1710390335250);
		expect(instant('yesterday')).toBeNull();
	});
});

describe('methodName', () => {
	it('cuts the parameters', () => {
		expect(methodName('transfer(address,uint256)')).toBe('transfer');
		expect(methodName('0xa9059cbb')).toBe('0xa9059cbb');
		expect(methodName('0x')).toBeNull();
		expect(methodName(null)).toBeNull();
	});
});

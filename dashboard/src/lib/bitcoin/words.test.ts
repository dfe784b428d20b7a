import { describe, expect, it } from 'vitest';
import { difficultyWords, each, feeRate, hex32, lockWords, pushedText, sequenceWords, typeWords, whose } from './words';

describe('words of Bitcoin', () => {
	it('tells rates in satoshi per virtual byte, exactly', () => {
		expect(feeRate('12345')?.exact).toBe('12.345');
		expect(feeRate('1000')?.short).toBe('1');
		expect(feeRate('3')?.exact).toBe('0.003');
		expect(feeRate(null)).toBeNull();
	});

	it('knows scripts, and shows unknown ones as they are', () => {
		expect(typeWords('witness_v1_taproot').label).toBe('P2TR');
		expect(typeWords('witness_v9_later').label).toBe('witness v9 later');
		expect(typeWords(null).label).toBe('');
		expect(whose({ addresses: ['bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq'], type: 'witness_v0_keyhash' })).toBe('bc1qar0s…wf5mdq');
		expect(whose({ addresses: ['a'.repeat(40), 'b'.repeat(40), 'c'.repeat(40)], type: 'multisig' })).toMatch(/ \+2$/);
		// 1 K K 2 OP_CHECKMULTISIG names one key twice: lists have it once.
		expect(each(['K', 'K', 'L'])).toEqual(['K', 'L']);
		expect(whose({ addresses: ['a'.repeat(40), 'a'.repeat(40)], type: 'multisig' })).toBe('aaaaaaaa…aaaaaa');
		expect(whose({ addresses: [], type: 'nulldata' })).toBe('OP_RETURN');
		expect(whose({ addresses: [], type: null })).toBe('not known');
	});

	it('reads lock times and sequence numbers', () => {
		const input = (sequence: number) => ({ index: 0, spent_txid: null, spent_index: null, value: null, type: null, addresses: [], script: '', sequence, witness: [] });
		expect(lockWords({ lock_time: 0, inputs: [], input_count: 0 })).toBeNull();
		expect(lockWords({ lock_time: 840_000, inputs: [input(0xfffffffe)], input_count: 1 })).toBe('not before height 840,000');
		expect(lockWords({ lock_time: 840_000, inputs: [input(0xffffffff)], input_count: 1 })).toMatch(/switched off/);
		// Of inputs that are not there nothing is said.
		expect(lockWords({ lock_time: 840_000, inputs: [input(0xffffffff)], input_count: 1_500 })).toBe('not before height 840,000');
		expect(lockWords({ lock_time: 1_700_000_000, inputs: [input(0)], input_count: 1 })).toMatch(/^not before 2023-11-1/);
		const of = (version: number, is_coinbase = false) => ({ version, is_coinbase });
		expect(sequenceWords(0xffffffff, of(2))).toBeNull();
		expect(sequenceWords(0xfffffffe, of(2))).toBeNull();
		expect(sequenceWords(0xfffffffd, of(2))).toBe('may be replaced');
		expect(sequenceWords(144, of(2))).toBe('144 blocks after what it spends');
		expect(sequenceWords(2 ** 22 + 10, of(2))).toBe('5,120 s after what it spends');
		expect(sequenceWords(144, of(1))).toBe('may be replaced');
		expect(sequenceWords(0, of(1, true))).toBeNull();
		expect(sequenceWords(0xffff, of(2, true))).toBeNull();
	});

	it('writes versions and difficulties as pages of Bitcoin do', () => {
		expect(hex32(0x20000000)).toBe('0x20000000');
		expect(hex32(-2147483648)).toBe('0x80000000');
		expect([1, 0.00000001, 2864140.5, 92_671_576_265_161].map(difficultyWords)).toEqual(['1', '1e-8', '2.86 M', '92.67 T']);
	});

	it('reads text that was pushed, and nothing else', () => {
		const hex = (text: string) => Buffer.from(text).toString('hex');
		expect(pushedText(`6a0b${hex('hello world')}`)).toBe('hello world');
		expect(pushedText(`6a4c0b${hex('hello world')}`)).toBe('hello world');
		expect(pushedText('6a04deadbeef')).toBeNull();
		expect(pushedText('6a0b6869')).toBeNull();
		expect(pushedText('76a914')).toBeNull();
		expect(pushedText('6a')).toBeNull();
	});
});

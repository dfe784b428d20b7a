import { describe, expect, it } from 'vitest';
import { offsetOf, rawOf } from './raw';

describe('raw data', () => {
	it('is cut into a selector and words', () => {
		const word = 'ab'.repeat(32);
		expect(rawOf(`0xa9059cbb${word}01`, true)).toEqual({ selector: '0xa9059cbb', words: [word, '01'], bytes: 37 });
		expect(rawOf(`0x${word}`)).toEqual({ selector: null, words: [word], bytes: 32 });
		expect(rawOf('0x', true)).toEqual({ selector: null, words: [], bytes: 0 });
		expect(rawOf('0x1234', true)).toEqual({ selector: null, words: ['1234'], bytes: 2 });
		expect(rawOf(null)).toEqual({ selector: null, words: [], bytes: 0 });
		expect(rawOf('nothing of ours')).toEqual({ selector: null, words: ['nothing of ours'], bytes: 0 });
	});

	it('counts in bytes', () => {
		expect([0, 1, 16].map(offsetOf)).toEqual(['0x00', '0x20', '0x200']);
	});
});

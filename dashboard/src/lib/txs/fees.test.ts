import { describe, expect, it } from 'vitest';
import { addsUp, feeParts, whyNoFee } from './fees';

describe('parts of a fee', () => {
	it('are exact, and what the chain does not have is left out', () => {
		const parts = feeParts({ execution: '900000000000000000001', l1: '100000000000000000000', operator: null, blob: '0' });
		expect(parts.map((p) => [p.words, p.share, p.thousandths])).toEqual([
			['Execution', '90.0 %', 900],
			['Data on L1', '9.9 %', 99],
			['Blobs', '0.0 %', 0]
		]);
		expect(addsUp(parts, '1000000000000000000001')).toBe(true);
		expect(addsUp(parts, '1000000000000000000000')).toBe(false);
	});

	it('are seen in a bar however small, and of nothing there is no share', () => {
		expect(feeParts({ execution: '1', l1: '1000000000' })[0]).toMatchObject({ share: '<0.1 %', thousandths: 1 });
		expect(feeParts({ execution: '0' })[0]).toMatchObject({ share: null, thousandths: 0 });
		expect(feeParts(null)).toEqual([]);
		expect(addsUp([], '1')).toBeNull();
		expect(addsUp(feeParts({ execution: '1' }), null)).toBeNull();
	});

	it('of a server that knows more are named as it names them', () => {
		expect(feeParts({ execution: '1', data_gas: '1' } as never)[1]?.words).toBe('data gas');
	});
});

describe('a fee that is not known', () => {
	it('says why', () => {
		expect(whyNoFee({ fee: '1' })).toBeNull();
		expect(whyNoFee({ fee: null, fee_reason: 'token' })).toMatch(/token/);
		expect(whyNoFee({ fee: null, fee_reason: 'no_luck' })).toBe('It is not known: no luck.');
		expect(whyNoFee({ fee: null })).toBe('It is not known.');
		expect(whyNoFee({ fee: null, fee_reason: 'constructor' })).toBe('It is not known: constructor.');
	});
});

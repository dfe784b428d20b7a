import { describe, expect, it } from 'vitest';
import { stageWords, stateWords, unit } from './chain';

describe('unit', () => {
	it('knows the native coin by the slug and guesses nothing else', () => {
		expect(unit('ethereum-mainnet')).toEqual({ symbol: 'ETH', decimals: 18 });
		expect(unit('polygon')).toEqual({ symbol: 'POL', decimals: 18 });
		expect(unit('op-mainnet').symbol).toBe('ETH');
		expect(unit('operator-chain').symbol).toBe('');
		expect(unit('bitcoin-mainnet', 'bitcoin')).toEqual({ symbol: 'BTC', decimals: 8 });
		expect(unit('stellar-pubnet', 'stellar')).toEqual({ symbol: 'XLM', decimals: 7 });
	});
});

describe('stateWords', () => {
	it('names the cure for what stops a network', () => {
		expect(stateWords('reorg_too_deep')).toMatchObject({ tone: 'bad', label: 'reorg too deep' });
		expect(stateWords('reorg_too_deep').hint).toContain('by itself');
	});

	it('knows every state that the API names, and no command that there is not', () => {
		const states = [
			...['starting', 'syncing', 'live', 'stalled', 'wrong_chain', 'no_receipts', 'reorg_too_deep'],
			...['log_replaced', 'overtaken', 'unreadable', 'refused', 'unconfigured', 'silent']
		];
		for (const state of states) {
			expect(stateWords(state).tone, state).not.toBe('plain');
			expect(stateWords(state).hint, state).not.toMatch(/headwater (?!up|check|topics|dead-letters|accept-|backfill|reload)[a-z]/);
		}
	});

	it('shows an unknown state as it is', () => {
		expect(stateWords('half_asleep')).toEqual({ tone: 'plain', label: 'half_asleep', hint: '' });
		expect(stateWords('constructor').label).toBe('constructor');
	});
});

describe('stageWords', () => {
	it('shows a stage that is not well, whatever it says', () => {
		expect(stageWords('running').tone).toBe('good');
		expect(stageWords('starting').tone).toBe('busy');
		expect(stageWords('silent')).toEqual({ tone: 'bad', label: 'silent' });
		expect(stageWords('half_asleep')).toEqual({ tone: 'bad', label: 'half asleep' });
	});
});

import { describe, expect, it } from 'vitest';
import { BITCOIN_FIELDS, complete, FIELDS, named, taken } from './complete';
import { duration } from './duration';
import { figure, fromApi, METRICS, toApi } from './metrics';
import { Wrong } from './mistakes';
import { isOver, matched, ofDelivery, ofLeftOut, ofRoute, ofRule, ofSilence, phaseOf, sentence } from './words';
import type { Alert, Delivery } from './shapes';

const alert: Alert = {
	id: '1', source: { kind: 'rule', id: 'r', name: 'Vault fails' }, network: 'op-mainnet', contract: '0x983744b5eca7c5b8243a834c0dc6b4dd4c690000', state: 'firing', severity: 'critical',
	started_at: '2026-11-29T12:00:00Z', evidence: { metric: 'failure_rate', value: 0.124, threshold: 0.05, window: '5m' }
};

describe('words', () => {
	it('says what an alert says', () => {
		expect(sentence(alert, () => 'Vault')).toBe('Failure rate 12.4 % in 5m at Vault on op-mainnet, the limit is 5 %');
		expect(sentence({ ...alert, contract: null, evidence: { metric: 'no_block_seconds', value: 75, threshold: 60 } })).toBe('No block 75 s on op-mainnet, the limit is 60 s');
		expect(sentence({ ...alert, contract: null, group: { endpoint: 'ankr' }, evidence: { metric: 'provider_score', value: 31, threshold: 50 } })).toBe('Score of an endpoint 31 at ankr of op-mainnet, the limit is 50');
		const match = { network: 'n', transaction_hash: '0x', kind: 'event', signature: 'T(address)', height: 1 };
		expect(sentence({ ...alert, contract: null, source: { kind: 'monitor', id: 'm', name: 'm' }, evidence: { matches: [match, { ...match, signature: 'U()' }] } })).toBe('2 matches on op-mainnet: T(address) and 1 more');
	});

	it('says what a transaction of Bitcoin’s moved', () => {
		const of = (told: Record<string, string>) => matched({ network: 'bitcoin', transaction_hash: 'ab', kind: 'transaction', height: 1, arguments: told } as never);
		expect(of({ output_value: '300000000', received: '250000000', spent: '0', fee: '500', fee_rate: '2505' })).toBe('received 2.5 BTC, moved 3 BTC');
		expect(of({ output_value: '1', spent: '7' })).toBe('spent 0.00000007 BTC, moved 0.00000001 BTC');
		expect(of({})).toBe('a transaction');
	});

	it('says that sources are on different branches, and why', () => {
		const split = { ...alert, network: 'bitcoin', contract: null, evidence: { metric: 'diverged', value: 1, threshold: 0, reason: 'core shows another block than electrum' } };
		expect(sentence(split)).toBe('Sources on different branches on bitcoin: core shows another block than electrum');
		expect(figure(1, 'diverged') + figure(0, 'diverged')).toBe('yesno');
		const rule = { network: 'bitcoin', metric: 'diverged', operator: '>', threshold: 0, for: '1m' };
		expect(ofRule(rule as never)).toBe('Sources on different branches, for 1m, bitcoin');
	});

	it('knows what is over', () => {
		expect(['pending', 'firing', 'acknowledged', 'resolved', 'retracted'].map((state) => isOver({ state }))).toEqual([false, false, false, true, true]);
	});

	it('says how a message went', () => {
		const attempt = (error: string | null) => ({ at: '', status: error ? null : 204, error });
		const of = (state: string, ...attempts: Delivery['attempts'] & object) => ofDelivery({ id: '', channel: '', type: '', state, attempts });
		expect(of('sent', attempt('away'), attempt(null))).toBe('arrived at the 2nd attempt');
		expect(of('failed', attempt('away'))).toBe('given up after 1 attempt: away');
		expect(of('queued')).toBe('waits to be sent');
	});

	it('tells a silence by its time and by names', () => {
		const silence = { starts_at: '2026-11-29T12:00:00Z', ends_at: '2026-11-29T13:00:00Z' };
		expect([-1, 0, 3_600_000].map((ms) => phaseOf(silence, Date.parse(silence.starts_at) + ms))).toEqual(['coming', 'active', 'over']);
		expect(ofSilence({ match: { rule: '01', network: 'a' } } as never, (field) => (field === 'rule' ? 'Vault' : null))).toBe('rule Vault, network a');
	});
});

it('says what was left out, and whom others are told of', () => {
	const at = '2026-11-29T12:00:00Z';
	expect(ofLeftOut({ network: 'a', matches: 1, transactions: 0, since: at, last_at: at })).toMatch(/^Left out on a since .*: 1 match beyond those that one block may give; the last time at /);
	expect(ofLeftOut({ network: 'a', matches: 0, transactions: 7, since: at, last_at: at })).toContain('what was in 7 transactions, since conditions cost too much;');
	expect(ofRoute({ severity: 'warning', hours: '22:00-06:00', channels: [] })).toBe('Those that are warning or worse, 22:00-06:00 UTC');
	expect(ofRoute({ severity: null, hours: null, channels: [] })).toBe('All');
});

describe('figures', () => {
	it('come back as they were typed', () => {
		for (const { unit } of METRICS) for (const text of ['7', '0.1', '12.5', '33.3', '0.07']) expect(fromApi(toApi(text, unit), unit)).toBe(text);
	});

	it('are written by their unit', () => {
		expect([figure(0.124, 'failure_rate'), figure(41_300_000_000, 'gas_price_avg'), figure('12', 'failed'), figure(3.14159, 'tps'), figure(null, 'failed')]).toEqual(['12.4 %', '41.3 gwei', '12', '3.142/s', '—']);
	});
});

it('reads durations', () => {
	expect(['90s', '5m', '1h30m', '0s', '2d', '', 'soon', '5'].map(duration)).toEqual([90_000, 300_000, 5_400_000, 0, 172_800_000, null, null, null]);
});

describe('mistakes', () => {
	it('stand at the deepest field that is shown', () => {
		const errors = [{ path: 'match_conditions.events[0].expression', problem: 'x' }, { path: 'match_conditions', problem: 'y' }, { path: 'config.url', problem: 'z' }];
		const wrong = new Wrong({ title: '', errors }, ['match_conditions', 'match_conditions.events.0.expression']);
		expect(wrong.of('match_conditions.events.0.expression').map((m) => m.problem)).toEqual(['x']);
		expect(wrong.of('match_conditions').map((m) => m.problem)).toEqual(['y']);
		expect(wrong.rest.map((m) => m.problem)).toEqual(['z']);
	});
});

describe('completion', () => {
	const names = [{ text: 'to', about: 'address' }, { text: 'value', about: 'uint256' }];
	const at = (text: string) => complete(text, text.length, names).found.map((s) => s.text);

	it('offers what can stand there', () => {
		expect(at('')).toEqual(['to', 'value', 'NOT']);
		expect(at('va')).toEqual(['value']);
		expect(at('value ')).toContain('>=');
		expect(at('value >')).toEqual(['>=']);
		expect(at('value > ')).toEqual(['to', 'value']);
		expect(at('value > 10 ')).toEqual(['AND', 'OR', 'ether', 'gwei', 'wei']);
		expect(at('value > 10 AND ')).toEqual(['to', 'value', 'NOT']);
		expect(at('value > 10 AND to ')).toContain('==');
	});

	it('offers what Bitcoin has on its networks', () => {
		const there = (text: string) => complete(text, text.length, BITCOIN_FIELDS).found.map((s) => s.text);
		expect(there('fe')).toEqual(['fee_rate', 'fee']);
		expect(there('value >= 10 ')).toEqual(['AND', 'OR', 'btc', 'sat']);
	});

	it('says nothing inside a text', () => {
		expect(at("to == 'va")).toEqual([]);
	});

	it('takes the place of the word', () => {
		const completion = complete('va', 2, names);
		expect(taken('va', completion, names[1]!)).toEqual({ text: 'value ', at: 6 });
		expect(complete('gas', 3, FIELDS).found.map((s) => s.text)).toEqual(['gas_price', 'gas_used', 'gas_limit']);
	});

	it('knows what an ABI names', () => {
		const abi = [{ type: 'event', name: 'T', inputs: [{ name: 'a', type: 'tuple[]', components: [{ type: 'address' }, { type: 'uint8' }] }, { name: '', type: 'bool' }] }];
		expect([...named([abi, null], 'event')]).toEqual([['T((address,uint8)[],bool)', [{ text: 'a', about: 'tuple[]' }]]]);
	});
});

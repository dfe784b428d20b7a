import { describe, expect, it } from 'vitest';
import { deed, filterOf, queryOf, searchOf } from './audit';

describe('the audit in words', () => {
	const entry = (action: string, outcome = 'done') => ({ action, outcome, resource: { kind: action.split('.')[0] ?? '', id: '1' } });
	it('says what was done, and what was only tried', () => {
		expect(deed(entry('contract.create'))).toBe('added the contract');
		expect(deed(entry('key.revoke', 'denied'))).toBe('tried to revoke the key');
		expect(deed(entry('silence.create'))).toBe('added the silence');
		expect(deed(entry('channel.test'))).toBe('sent a test to the channel');
		expect(deed(entry('channel.replay', 'failed'))).toBe('tried to send again what went to the channel');
		expect(deed(entry('alert.acknowledge'))).toBe('acknowledged the alert');
		expect(deed(entry('member.invite'))).toBe('member.invite on the member');
		expect(deed(entry('x.constructor', 'failed'))).toBe('tried x.constructor on the x');
	});
});

describe('its filters', () => {
	it('stand in the address and come back', () => {
		const filter = { actor: '01J', action: 'key.create', resource: '', span: 'between', from: '2026-11-29T01:00', to: '' };
		expect(searchOf(filter)).toBe('?actor=01J&action=key.create&span=between&from=2026-11-29T01%3A00');
		expect(filterOf(searchOf(filter))).toEqual(filter);
		expect(searchOf(filterOf(''))).toBe('');
		expect(filterOf('?span=never&limit=9').span).toBe('');
	});

	it('ask the server for times of its own', () => {
		const now = Date.parse('2026-11-29T02:00:00Z');
		const none = filterOf('');
		expect(queryOf(none, now)).toEqual({});
		expect(queryOf({ ...none, resource: 'key', span: '1h', from: '2020-01-01T00:00' }, now)).toEqual({ resource: 'key', from: '2026-11-29T01:00:00.000Z' });
		const between = { ...none, span: 'between', from: '2026-11-29T01:00', to: 'x' };
		expect(queryOf(between, now)).toEqual({ from: new Date('2026-11-29T01:00').toISOString() });
	});
});

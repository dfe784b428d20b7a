import { describe, expect, it } from 'vitest';
import { ACTIONS, actorName, deed, filterOf, queryOf, searchOf } from './audit';

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

describe('people in the audit', () => {
	const entry = (action: string, kind = action.split('.')[0] ?? '', outcome = 'done') => ({ action, outcome, resource: { kind, id: '1' } });

	it('are called by their name, else by what is known of them', () => {
		expect(actorName({ kind: 'user', id: '01J', name: 'ada@example.com' })).toBe('ada@example.com');
		expect(actorName({ kind: 'user', id: '01J', name: null })).toBe('01J');
		expect(actorName({ kind: 'system', id: '' })).toBe('system');
	});

	it('say what they did with each other and with themselves', () => {
		const said = ([action, kind, outcome]: [string, string?, string?]) => deed(entry(action, kind, outcome));
		expect(said(['invitation.create'])).toBe('added the invitation');
		expect(said(['member.join'])).toBe('joined as the member');
		expect(said(['member.change', 'member', 'denied'])).toBe('tried to change the member');
		expect(said(['organisation.entitle'])).toBe('changed the networks of the organisation');
		expect(said(['organisation.plan', 'organisation', 'failed'])).toBe('tried to give another plan to the organisation');
		expect(said(['user.sign_up'])).toBe('signed up as the user');
		expect(said(['user.factor_set'])).toBe('turned the second step on for the user');
		expect(said(['user.reset'])).toBe('set, by a mail’s link, another password of the user');
		expect(said(['user.operator', 'user', 'denied'])).toBe('tried to change whether the user is an operator');
	});

	it('have words for all that is offered as a filter', () => {
		for (const action of ACTIONS) {
			for (const outcome of ['done', 'denied']) expect(deed(entry(action, undefined, outcome)), action).not.toContain(action);
		}
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

import { describe, expect, it } from 'vitest';
import { givable, inOrder, invitationAt, isSelf, whyNotRemove, whyNotRole, type Member } from './people';
import { slipOf } from './back';
import type { Me, Role } from './shapes';

const SCOPES: Record<Role, string[]> = { owner: ['*:*'], admin: ['*:*'], editor: ['*:read', 'rules:write'], viewer: ['rules:read'] };
const me = (role: Role): Me => ({
	mode: 'accounts',
	actor: { kind: 'user', id: role },
	user: { id: role, email: `${role}@example.com` },
	role,
	scopes: SCOPES[role],
	networks: []
});
const member = (role: Role, id: string = role, state = 'member'): Member => ({ id, email: `${id}@example.com`, role, state, version: 1 });

describe('members', () => {
	const all = [member('viewer'), member('owner'), member('editor', 'new', 'invited'), member('admin'), member('owner', 'other')];

	it('come by role, the invited last', () => {
		expect(inOrder(all).map((m) => m.id)).toEqual(['other', 'owner', 'admin', 'viewer', 'new']);
	});

	it('are changed by admins, owners by owners', () => {
		const viewer = all[0] as Member;
		const other = all[4] as Member;
		expect(whyNotRole(me('owner'), other, all)).toBeNull();
		expect(whyNotRole(me('admin'), viewer, all)).toBeNull();
		expect(whyNotRole(me('admin'), other, all)).toBe('Only an owner changes owners.');
		expect(whyNotRemove(me('admin'), other, all)).toBe('Only an owner changes owners.');
		expect(whyNotRole(me('editor'), viewer, all)).toMatch(/members:write/);
		expect(whyNotRole({ ...me('admin'), platform: true }, other, all)).toBeNull();
	});

	it('leave an owner at all times', () => {
		const left = all.filter((m) => m.id !== 'other');
		expect(whyNotRole(me('owner'), left[1] as Member, left)).toMatch(/owner at all times/);
		expect(whyNotRemove(me('owner'), left[1] as Member, left)).toMatch(/owner at all times/);
		// One who is only invited is no owner yet.
		const asked = [...left, member('owner', 'asked', 'invited')];
		expect(whyNotRemove(me('owner'), left[1] as Member, asked)).toMatch(/owner at all times/);
		expect(whyNotRemove(me('owner'), asked.at(-1) as Member, asked)).toBeNull();
	});

	it('may leave by themselves, whatever their role', () => {
		expect(isSelf(me('viewer'), all[0] as Member)).toBe(true);
		expect(whyNotRemove(me('viewer'), all[0] as Member, all)).toBeNull();
		expect(whyNotRemove(me('viewer'), all[3] as Member, all)).toMatch(/members:write/);
	});

	it('are given no role above one’s own', () => {
		expect(givable(me('owner'))).toEqual(['viewer', 'editor', 'admin', 'owner']);
		expect(givable(me('admin'))).toEqual(['viewer', 'editor', 'admin']);
		expect(givable(me('viewer'))).toEqual([]);
	});
});

it('an invitation’s link is one that the page reads', () => {
	expect(slipOf(new URL(invitationAt('http://x', 'hwi_abcdefgh')).hash)).toEqual({ kind: 'invitation', text: 'hwi_abcdefgh' });
});

/** Organisations, their members and what roles may, in words; and who may change whom, as the server will say. */

import { whyNot } from './scopes';
import type { Me, Role } from './shapes';

/** `GET /members`: somebody who belongs to the organisation, or was asked to. */
export interface Member {
	id: string;
	email: string;
	name?: string | null;
	role: Role;
	/** `member`, `invited`. */
	state: string;
	created_at?: string | null;
	/** Of an invitation. */
	expires_at?: string | null;
	version: number;
}

/** The answer to `POST /members`. */
export interface Invited extends Member {
	/** The invitation's text, once, for whoever hands it on. */
	invitation?: string | null;
	/** A mail has it. */
	sent?: boolean;
}

/** `GET /organisations`. */
export interface Organisation {
	id: string;
	name: string;
	role?: Role | null;
	/** `active`, `importing`, `suspended`, `deleting`. */
	state?: string | null;
	plan?: string | null;
	created_at?: string | null;
	members?: number | null;
	suspended_reason?: string | null;
	/** Those that it reaches, empty: all. Of `GET /platform/organisations/{id}`. */
	networks?: string[] | null;
	version?: number;
}

/** Least first; each may what those before it may. */
export const ROLES: readonly { name: Role; about: string }[] = [
	{ name: 'viewer', about: 'looks at everything but keys, members and the audit' },
	{ name: 'editor', about: 'makes contracts, rules, monitors, channels and silences' },
	{ name: 'admin', about: 'also keys, members, the audit and the settings' },
	{ name: 'owner', about: 'also other owners, and the end of the organisation' }
];

export function rank(role: Role | null | undefined): number {
	return ROLES.findIndex((r) => r.name === role);
}

export function isOwner(me: Me | null): boolean {
	return me?.mode === 'none' || me?.role === 'owner' || me?.platform === true;
}

/** Whether whoever is here is this member. */
export function isSelf(me: Me | null, member: Pick<Member, 'id' | 'email'>): boolean {
	return me?.user != null && (me.user.id === member.id || me.user.email === member.email);
}

/** Roles that whoever is here may give: an admin makes no owner. */
export function givable(me: Me | null): Role[] {
	if (whyNot(me, 'members', 'write')) return [];
	return ROLES.map((r) => r.name).filter((role) => role !== 'owner' || isOwner(me));
}

/** The only owner of those members, who must not go. */
function lastOwner(member: Member, members: readonly Member[]): boolean {
	return member.role === 'owner' && member.state === 'member' && members.filter((m) => m.role === 'owner' && m.state === 'member').length === 1;
}

/** Why this one's role cannot be changed; null where it can. */
export function whyNotRole(me: Me | null, member: Member, members: readonly Member[]): string | null {
	const may = whyNot(me, 'members', 'write');
	if (may) return may;
	if (member.state === 'invited') return 'It holds once the invitation is taken. Take it back, and invite anew.';
	if (member.role === 'owner' && !isOwner(me)) return 'Only an owner changes owners.';
	return lastOwner(member, members) ? 'An organisation has an owner at all times: make somebody else one first.' : null;
}

/** Why this one cannot be taken out; null where it can. Everybody may leave. */
export function whyNotRemove(me: Me | null, member: Member, members: readonly Member[]): string | null {
	const self = isSelf(me, member);
	const may = self ? null : whyNot(me, 'members', 'write');
	if (may) return may;
	if (member.role === 'owner' && !self && !isOwner(me)) return 'Only an owner changes owners.';
	return lastOwner(member, members) ? 'An organisation has an owner at all times: make somebody else one first.' : null;
}

/** Owners first, then by role and address; who is only invited comes last. */
export function inOrder(members: readonly Member[]): Member[] {
	const invited = (m: Member) => Number(m.state === 'invited');
	return [...members].sort((a, b) => invited(a) - invited(b) || rank(b.role) - rank(a.role) || a.email.localeCompare(b.email));
}

/** Where an invitation is taken, for whoever sends it on. */
export function invitationAt(origin: string, text: string): string {
	return `${origin}/sign-up#invitation=${text}`;
}

// People, organisations, quotas and whoever looks after all of them, for the mock (`--auth accounts|keys`). What it says is as the API says it;
// what it checks is only what the pages rely on. Development only.
//
// ada@example.com (owner of Acme, viewer of Beta, an operator of the platform), grace@example.com (editor of Acme, with a second step whose code
// is always 123456), all with the password "correct horse battery". A provider "Example SSO" that lets nobody in.

import { randomBytes } from 'node:crypto';

const PASSWORD = 'correct horse battery';
const CODE = '123456';
const DAY = 86_400_000;
const iso = (ms) => new Date(ms).toISOString();
const SCOPES = {
	owner: ['*:*'],
	admin: ['*:*'],
	editor: ['chains:read', 'usage:read', 'organisation:read', ...['contracts', 'rules', 'monitors', 'channels', 'silences', 'alerts', 'deliveries', 'backtests'].flatMap((r) => [`${r}:read`, `${r}:write`])],
	viewer: ['chains', 'contracts', 'rules', 'monitors', 'channels', 'silences', 'alerts', 'deliveries', 'backtests', 'usage', 'organisation'].map((r) => `${r}:read`)
};
const problem = (status, word, title, more = {}) => [status, { type: `/problems/${word}`, title, status, ...more }];
const invalid = (path, text, cure) => problem(422, 'invalid', 'Not of the form', { errors: [{ path, problem: text, cure }] });
const forbidden = (detail) => problem(403, 'forbidden', 'Not allowed', { detail });

export function accounts(auth, signUp) {
	let last = 0;
	const ulid = () => `01JTENANT${String(++last).padStart(17, '0')}`;
	const users = new Map();
	const organisations = new Map();
	const sessions = new Map();
	const invitations = new Map();
	/** Accounts that are to be, by what their link holds. */
	const letters = new Map();

	const person = (email, more = {}) => {
		const user = { id: ulid(), email, name: email, verified: true, totp: false, password: PASSWORD, platform: false, identities: [{ id: `i${last}`, provider: 'sso', name: 'Example SSO', issuer: 'https://sso.example.com', subject: email, created_at: iso(Date.now() - 9 * DAY) }], ...more };
		users.set(email, user);
		return user;
	};
	const found = (name, more = {}) => {
		const organisation = { id: ulid(), name, state: 'active', plan: 'default', suspended_reason: null, created_at: iso(Date.now() - 40 * DAY), version: 1, networks: [], members: new Map(), noise: [0, 0, 0, 0, 0], ...more };
		organisations.set(organisation.id, organisation);
		return organisation;
	};
	const tombstones = [{ id: ulid(), name: 'Delta, gone', deleted_at: iso(Date.now() - 3 * DAY), audit_entries: 128, audit_hash: 'c0ffee'.repeat(10) + 'beef', proof: { asked_at: iso(Date.now() - 3 * DAY), removed: { control: { rows: 41 }, store: { alert_rows: 12 } } } }];
	const ada = person('ada@example.com', { platform: true });
	const grace = person('grace@example.com', { totp: true });
	const acme = found('Acme Settlement', { plan: 'team', noise: [212, 48_211, 9, 31, 118] });
	const beta = found('Beta Research', { noise: [3, 900, 1, 2, 2] });
	found('Gamma, with a rather long name that has to be broken over lines', { state: 'suspended', suspended_reason: 'the bill was not paid', noise: [0, 12, 0, 0, 0] });
	const belong = (organisation, user, role) => organisation.members.set(user.id, { id: user.id, email: user.email, name: user.name, role, state: 'member', created_at: iso(Date.now() - 9 * DAY), expires_at: null, version: 1 });
	belong(acme, ada, 'owner');
	belong(acme, grace, 'editor');
	belong(beta, ada, 'viewer');

	const csrf = () => randomBytes(9).toString('base64url');
	function begin(user, organisation) {
		const id = randomBytes(12).toString('hex');
		sessions.set(id, { id, user, organisation: organisation ?? [...organisations.values()].find((o) => o.members.has(user.id)), csrf: csrf(), created_at: iso(Date.now()) });
		return [200, { access_token: 'eyJ', token_type: 'Bearer', expires_in: 600, refresh_token: 'hwr_x' }, { 'set-cookie': `hw_session=${id}; HttpOnly; Path=/; SameSite=Lax` }];
	}

	const me = (s) => ({
		mode: 'accounts',
		actor: { kind: 'user', id: s.user.id, name: s.user.email },
		key: null,
		user: { id: s.user.id, email: s.user.email, name: s.user.name, verified: s.user.verified, totp: s.user.totp, password: true },
		organisations: [...organisations.values()].filter((o) => o.members.has(s.user.id)).map((o) => ({ id: o.id, name: o.name, role: o.members.get(s.user.id).role, state: o.state })),
		current: s.organisation.id,
		role: roleOf(s),
		platform: s.user.platform,
		scopes: SCOPES[roleOf(s)],
		networks: s.organisation.networks,
		csrf: s.csrf
	});
	const roleOf = (s) => s.organisation.members.get(s.user.id)?.role ?? 'viewer';

	/** Without a session. */
	function outside(method, path, body) {
		if (path === '/auth/ways') return [200, { mode: auth, sign_up: auth === 'accounts' ? signUp : 'closed', providers: auth === 'accounts' ? [{ id: 'sso', name: 'Example SSO' }] : [], reset: auth === 'accounts' }];
		if (method !== 'POST') return null;
		if (path === '/auth/login') {
			const user = users.get(body.email?.toLowerCase());
			if (!user || user.password !== body.password) return problem(401, 'unauthenticated', 'Not let in', { detail: 'The address or the password is not right.' });
			if (user.totp && body.code !== CODE) return problem(401, 'code-required', 'A code is wanted', { detail: body.code ? 'That code is not right.' : 'A code is wanted.' });
			return begin(user, body.invitation && join(user, body.invitation));
		}
		if (path === '/auth/sign-up') {
			if (signUp === 'closed' || (signUp === 'invitation' && !body.invitation)) return problem(403, 'sign-up-closed', 'No sign-up here');
			if (body.password.length < 10) return invalid('password', 'is too short', 'write 10 characters or more');
			// Mails are sent to whoever has such an address, as a server with a mail server does for all.
			if (body.email.endsWith('@mailed.example.com')) return letters.set(`confirm-token-${letters.size + 1}`, body), [202, null];
			if (users.has(body.email)) return problem(409, 'email-taken', 'There is an account of this address', { detail: 'Sign in with it.' });
			if (body.invitation && invitations.get(body.invitation)?.email !== body.email) return problem(404, 'no-invitation', 'No such invitation', { detail: 'It is over, or was written to another address.' });
			return signedUp(body, false);
		}
		if (path === '/auth/sign-up/confirm') {
			const waiting = letters.get(body.token);
			if (!waiting) return invalid('token', 'is over', 'ask for another link');
			if (waiting.password !== body.password) return invalid('password', 'is not the one that was chosen', 'write the password that you chose');
			letters.delete(body.token);
			return signedUp(waiting, true);
		}
		if (path === '/auth/oidc/sso/begin') return body.invitation ? [200, { url: '/login?problem=provider-away' }] : invalid('invitation', 'is missing', 'write it');
		if (path === '/auth/reset') return [202, null];
		if (path === '/auth/reset/confirm') return body.token === 'reset-token-1' ? [204, null] : invalid('token', 'is over', 'ask for another link');
		return null;
	}

	function signedUp(body, verified) {
		const user = person(body.email, { password: body.password, verified });
		const organisation = body.invitation ? join(user, body.invitation) : found(body.organisation);
		if (!body.invitation) belong(organisation, user, 'owner');
		return begin(user, organisation);
	}

	function join(user, text) {
		const invitation = invitations.get(text);
		if (invitation?.email !== user.email) return undefined;
		invitations.delete(text);
		invitation.organisation.members.delete(invitation.id);
		belong(invitation.organisation, user, invitation.role);
		return invitation.organisation;
	}

	function members(s, method, path, body, ifMatch) {
		const all = s.organisation.members;
		if (!['owner', 'admin'].includes(roleOf(s)) && !(method === 'DELETE' && path.endsWith(s.user.id))) return forbidden('It takes members:read or members:write.');
		if (path === '/members' && method === 'GET') return [200, { items: [...all.values()], next: null }];
		if (path === '/members') {
			if (!/^\S+@\S+\.\S+$/.test(body.email)) return invalid('email', 'is no address', 'write NAME@HOST');
			const made = { id: ulid(), email: body.email, name: '', role: body.role, state: 'invited', created_at: iso(Date.now()), expires_at: iso(Date.now() + 7 * DAY), version: 1 };
			const text = `hwi_${randomBytes(12).toString('hex')}`;
			all.set(made.id, made);
			invitations.set(text, { ...made, organisation: s.organisation });
			return [201, { ...made, invitation: text, sent: false }];
		}
		const member = all.get(decodeURIComponent(path.slice('/members/'.length)));
		if (!member) return problem(404, 'not-found', 'Not found');
		const owners = [...all.values()].filter((m) => m.role === 'owner' && m.state === 'member');
		if (member.role === 'owner' && owners.length === 1) return problem(409, 'last-owner', 'The last owner', { detail: 'An organisation has one at all times.' });
		if (method === 'DELETE') return all.delete(member.id), [204, null];
		if (ifMatch !== `"${member.version}"`) return problem(412, 'stale', 'Changed meanwhile');
		Object.assign(member, { role: body.role, version: member.version + 1 });
		return [200, member];
	}

	const shown = ({ members: all, noise, networks, ...organisation }, role) => ({ ...organisation, role });
	const listed = (organisation) => ({ ...shown(organisation, null), slug: organisation.name.toLowerCase().split(' ')[0], suspended_at: null, members: organisation.members.size });

	function life(s, method, path, body, ifMatch) {
		if (path === '/organisations' && method === 'POST') {
			const made = found(body.name);
			belong(made, s.user, 'owner');
			return [201, shown(made, 'owner')];
		}
		if (path === '/organisations/import') {
			if (!body.document.includes('headwater.organisation')) return invalid('document', 'is no export', 'send the file that an export wrote');
			const made = found(body.name);
			belong(made, s.user, 'owner');
			return [201, { organisation: made.id, contracts: 1, channels: 1, rules: 0, monitors: 0, silences: 0, without_secrets: ['ops'] }];
		}
		const [, id, what, file] = path.match(/^\/organisations\/([^/]+)(?:\/([^/]+))?(?:\/[^/]+)?(\/file)?$/) ?? [];
		const organisation = organisations.get(id);
		if (!organisation) return problem(404, 'not-found', 'Not found');
		if (what === 'suspend' || what === 'resume') {
			Object.assign(organisation, what === 'suspend' ? { state: 'suspended', suspended_reason: body.reason } : { state: 'active', suspended_reason: null });
			return [200, listed(organisation)];
		}
		if (organisation !== s.organisation) return problem(404, 'not-found', 'Not found');
		const url = `/api/v1/organisations/${id}/exports/1/file`;
		if (file) return [200, { kind: 'headwater.organisation', name: organisation.name }];
		if (what === 'export') return [202, { id: '1', state: 'done', url, rows: null, bytes: null, problem: null }];
		if (method === 'DELETE') return roleOf(s) === 'owner' ? (organisations.delete(id), [202, { id, state: 'deleting' }]) : forbidden('Only an owner.');
		if (method === 'PATCH') {
			if (ifMatch !== `"${organisation.version}"`) return problem(412, 'stale', 'Changed meanwhile');
			if (!body.name) return invalid('name', 'is empty', 'write 1 to 100 characters');
			Object.assign(organisation, { name: body.name, version: organisation.version + 1 });
		}
		return [200, shown(organisation, roleOf(s)), { etag: `"${organisation.version}"` }];
	}

	function account(s, method, path, body) {
		if (path === '/auth/sessions') return [200, { items: [...sessions.values()].filter((o) => o.user === s.user).map((o) => ({ id: o.id, created_at: o.created_at, rotated_at: o.created_at, ends_at: iso(Date.now() + 30 * DAY), current: o === s, organisation: o.organisation.id })), next: null }];
		if (path.startsWith('/auth/sessions/')) return sessions.delete(path.slice('/auth/sessions/'.length)), [204, null];
		if (path === '/auth/logout') {
			for (const other of [...sessions.values()]) if (other === s || (body?.everywhere && other.user === s.user)) sessions.delete(other.id);
			return [204, null];
		}
		if (path === '/auth/switch') {
			sessions.delete(s.id);
			return begin(s.user, organisations.get(body.organisation));
		}
		if (path === '/auth/accept') {
			const joined = join(s.user, body.invitation);
			return joined ? [200, shown(joined, joined.members.get(s.user.id).role)] : problem(404, 'no-invitation', 'No such invitation', { detail: 'It is over, or was written to another address.' });
		}
		if (path === '/auth/password') {
			if (body.password !== s.user.password) return invalid('password', 'is not the present one', 'write the one that you signed in with');
			if (body.new.length < 10) return invalid('new', 'is too short', 'write 10 characters or more');
			s.user.password = body.new;
			return [204, null];
		}
		if (path === '/auth/verify/send') return [202, null];
		if (path === '/auth/verify') return body.token === 'verify-token-1' ? ((s.user.verified = true), [204, null]) : invalid('token', 'is over', 'ask for another link');
		if (path === '/auth/identities') return [200, { items: s.user.identities, next: null }];
		if (path.startsWith('/auth/identities/')) {
			const id = path.slice('/auth/identities/'.length);
			if (!s.user.identities.some((one) => one.id === id)) return problem(404, 'not-found', 'Not found');
			if (body?.password !== s.user.password) return invalid('password', 'is not the present one', 'write the one that you signed in with');
			s.user.identities = s.user.identities.filter((one) => one.id !== id);
			return [204, null];
		}
		if (path === '/auth/totp' && method === 'POST') return body.password === s.user.password ? [200, { secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP', uri: 'otpauth://totp/Headwater:ada?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP', enrolment: 'e1' }] : invalid('password', 'is not right', 'write your password');
		if (path === '/auth/totp/confirm') return body.enrolment === 'e1' && body.code === CODE ? ((s.user.totp = true), [200, { recovery_codes: Array.from({ length: 8 }, (_, i) => `r${i}ab-cd${i}f-gh${i}k`) }]) : invalid('code', 'is not right', 'write the one that is shown now');
		if (path === '/auth/totp') return body.code === CODE ? ((s.user.totp = false), [204, null]) : invalid('code', 'is not right', 'write the one that is shown now');
		return null;
	}

	function usage(s) {
		const resets_at = iso(Date.now() + 5 * 3_600_000);
		const quota = (name, used, limit, resets = null) => ({ name, used, limit, resets_at: resets });
		return [200, {
			plan: s.organisation.plan,
			quotas: [quota('contracts', 37, 50), quota('rules', 12, 50), quota('monitors', 41, 50), quota('unindexed_monitors', 2, 2), quota('channels', 4, 20), quota('keys', 3, 20), quota('members', s.organisation.members.size, 25), quota('requests_per_minute', 212, 600, iso(Date.now() + 31_000)), quota('requests_per_day', 48_211, 500_000, resets_at), quota('sockets', 9, 20), quota('backtest_rows', 1_200_000, null, resets_at), quota('deliveries_per_hour', 118, 1_000, iso(Date.now() + 900_000))]
		}];
	}

	/** Null: it is no matter of people's. */
	return function answer({ method, path, query, body, ifMatch, cookie, token }) {
		// The server refuses what it does not know.
		const isList = ['/members', '/organisations', '/platform/organisations'].includes(path);
		const unknown = (path.startsWith('/auth/') && !path.startsWith('/auth/oidc/')) || ['/usage', '/platform/usage'].includes(path) || isList ? [...query.keys()].find((key) => !isList || !['limit', 'cursor'].includes(key)) : null;
		if (unknown) return problem(400, 'unknown-parameter', 'Unknown parameter', { detail: unknown });
		const told = outside(method, path, body);
		if (told) return told;
		const session = sessions.get(/hw_session=(\w+)/.exec(cookie ?? '')?.[1]);
		if (!session) return path === '/health' ? null : problem(401, 'unauthenticated', 'Nobody is signed in');
		if (method !== 'GET' && token !== session.csrf) return problem(403, 'csrf', 'Not from this page');
		if (path === '/auth/me') return [200, me(session)];
		if (path.startsWith('/auth/')) return account(session, method, path, body);
		if (path.startsWith('/members')) return members(session, method, path, body, ifMatch);
		if (path.startsWith('/organisations')) return life(session, method, path, body, ifMatch);
		if (path === '/usage') return usage(session);
		if (path.startsWith('/platform/')) {
			if (!session.user.platform) return forbidden('For operators of the platform.');
			const all = [...organisations.values()];
			if (path === '/platform/organisations') return [200, { items: all.map(listed), next: null }];
			if (path === '/platform/usage') return [200, { items: all.map((o) => ({ organisation: { id: o.id, name: o.name, state: o.state }, plan: o.plan, ...Object.fromEntries(['requests_per_minute', 'requests_per_day', 'sockets', 'alerts_24h', 'deliveries_24h'].map((name, i) => [name, o.noise[i]])) })), next: null }];
			if (path === '/platform/tombstones') return [200, { items: tombstones, next: null }];
			const one = organisations.get(path.split('/').at(-1));
			if (!one) return problem(404, 'not-found', 'Not found');
			if (method === 'PATCH') Object.assign(one, { plan: body.plan ?? one.plan, networks: body.networks ?? one.networks });
			return [200, { ...listed(one), members: null, networks: one.networks }];
		}
		return null;
	};
}

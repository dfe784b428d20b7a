/** The way to the login and back. */

const LOGIN = '/login';
/** Pages for whoever is not in yet: nobody is led away from them, nor back to them. */
const DOORS = [LOGIN, '/sign-up'];

/** Whether `path` is a page for whoever is not in yet. */
export function isDoor(path: string): boolean {
	return DOORS.some((door) => path === door || path.startsWith(`${door}/`));
}

/** Whether an address is a path of this server: a backslash, a control character, or a second slash makes a host of it for a browser. */
export function isLocal(address: string): boolean {
	return /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(address);
}

/** Where to sign in, for somebody who was at `from` (path, query and hash). */
export function loginAt(from: string): string {
	const here = backTo(from);
	return here === '/' ? LOGIN : `${LOGIN}?${new URLSearchParams({ back: here })}`;
}

/**
 * Where to go after it: a path of this page and nothing else, whatever stands in the address, so that a link to the login
 * leads nowhere else.
 */
export function backTo(back: string | null): string {
	if (!back || !isLocal(back)) return '/';
	const path = back.replace(/[?#].*/, '');
	return isDoor(path) ? '/' : back;
}

/** What a link of a mail holds: `#invitation=…`, `#reset=…`, `#verify=…`, `#confirm=…`. It stands behind the `#`, which no server is told and no log keeps. */
export type Slip = { kind: 'invitation' | 'reset' | 'verify' | 'confirm'; text: string };

/** Null where the address holds none. A text is letters, digits, `_`, `-` and `.`; anything else is not one of ours. */
export function slipOf(hash: string): Slip | null {
	// That of a sign-up holds all that is to be, sealed.
	const [, kind, text] = hash.match(/^#(invitation|reset|verify)=([\w.-]{8,300})$/) ?? hash.match(/^#(confirm)=([\w-]{8,4096})$/) ?? [];
	return kind && text ? { kind: kind as Slip['kind'], text } : null;
}

/** Where a provider's login begins, which leads to `back` in the end. */
export function providerAt(id: string, back: string): string {
	return `/api/v1/auth/oidc/${encodeURIComponent(id)}?${new URLSearchParams({ back: backTo(back) })}`;
}

/** The way to the login and back. */

const LOGIN = '/login';

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
	// A backslash, a control character, or a second slash makes a host of it for a browser.
	if (!back || !/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(back)) return '/';
	const path = back.replace(/[?#].*/, '');
	return path === LOGIN || path.startsWith(LOGIN + '/') ? '/' : back;
}

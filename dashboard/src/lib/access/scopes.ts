/** What a list of scopes allows: `RESOURCE:ACTION`, `*:read`, `*:*`. To write is not to read. */

import type { Action, Me } from './shapes';

export const RESOURCES = [
	{ name: 'chains', about: 'blocks, transactions, figures, endpoints' },
	{ name: 'contracts', about: 'names, labels, ABIs' },
	{ name: 'rules', about: 'alerts on figures' },
	{ name: 'monitors', about: 'alerts on transactions' },
	{ name: 'channels', about: 'where alerts go' },
	{ name: 'silences', about: 'when they are held back' },
	{ name: 'alerts', about: 'what has happened' },
	{ name: 'deliveries', about: 'what was sent' },
	{ name: 'backtests', about: 'rules tried on the past' },
	{ name: 'keys', about: 'this page' },
	{ name: 'members', about: 'people' },
	{ name: 'usage', about: 'quotas' },
	{ name: 'audit', about: 'who changed what' },
	{ name: 'organisation', about: 'its name, its end' }
] as const;

export const ACTIONS: readonly Action[] = ['read', 'write'];

export function allows(scopes: readonly string[], resource: string, action: Action): boolean {
	return scopes.some((scope) => scope === '*:*' || scope === `${resource}:${action}` || (scope === '*:read' && action === 'read'));
}

/** Whether whoever has `scopes` may give `scope` to a key: all that it allows, in later versions too. */
export function mayGive(scopes: readonly string[], scope: string): boolean {
	if (scope === '*:*') return scopes.includes('*:*');
	if (scope === '*:read') return scopes.includes('*:*') || scopes.includes('*:read');
	const [resource = '', action] = scope.split(':');
	return allows(scopes, resource, action as Action);
}

/** Without those that another one holds already. */
export function tidy(scopes: readonly string[]): string[] {
	if (scopes.includes('*:*')) return ['*:*'];
	const reads = scopes.includes('*:read');
	return [...new Set(scopes)].filter((scope) => scope === '*:read' || !reads || !scope.endsWith(':read'));
}

/** Why this may not be done, in a sentence; null where it may. */
export function whyNot(me: Me | null, resource: string, action: Action): string | null {
	if (!me) return 'It is not known yet what you may do.';
	if (allows(me.scopes, resource, action)) return null;
	if (me.user && me.role) return `As ${me.role} of this organisation you may not: it takes the scope ${resource}:${action}.`;
	const who = me.key ? `The key “${me.key.name}”` : 'Whoever is signed in';
	return `${who} lacks the scope ${resource}:${action}.`;
}

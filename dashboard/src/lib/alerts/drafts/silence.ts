/** A silence as it is being written. */

import { duration } from '../duration';
import type { Silence } from '../shapes';
import { ofSilence } from '../words';
import { filled, nameOf, type Kind } from './kind';

/** What it can be narrowed by; all that are given must fit. */
export const MATCHED = ['rule', 'monitor', 'channel', 'network', 'contract', 'severity'] as const;

export const LENGTHS = ['1h', '4h', '1d', '1w'] as const;

export interface SilenceDraft {
	name: string;
	match: Record<string, string>;
	/** As `datetime-local` has it; empty: now. */
	starts: string;
	/** One of `LENGTHS`, from the start on, or `until`. */
	length: string;
	ends: string;
	reason: string;
}

/** A time as `datetime-local` has it, in the reader's zone. */
export function local(time: string | number | null | undefined): string {
	const at = new Date(time ?? NaN);
	if (Number.isNaN(at.getTime())) return '';
	return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** As the API has it: whole seconds. */
function rfc3339(time: string | number): string | null {
	const at = new Date(time);
	return Number.isNaN(at.getTime()) ? null : at.toISOString().replace(/\.\d+Z$/, 'Z');
}

export const SILENCE: Kind<Silence, SilenceDraft> & { named: ((field: string, id: string) => string | null) | undefined } = {
	/** For the name that is given where none is typed. */
	named: undefined,
	path: '/api/v1/silences',
	resource: 'silences',
	one: 'silence',
	draft(silence) {
		return {
			name: silence?.name ?? '',
			match: Object.fromEntries(MATCHED.map((field) => [field, silence?.match?.[field] ?? ''])),
			starts: local(silence?.starts_at),
			length: silence ? 'until' : '1h',
			ends: local(silence?.ends_at),
			reason: silence?.reason ?? ''
		};
	},
	body(draft, now) {
		const match = Object.fromEntries(Object.entries(draft.match).filter(([, value]) => value.trim()).map(([field, value]) => [field, value.trim()]));
		const from = draft.starts ? Date.parse(draft.starts) : now;
		const ends = draft.length === 'until' ? draft.ends : from + (duration(draft.length) ?? 0);
		const ends_at = ends === '' ? null : rfc3339(ends);
		const what = ofSilence({ match } as unknown as Silence, SILENCE.named);
		return {
			// Names are each of their own: the time makes it one.
			name: nameOf(draft.name, `${what.slice(0, 70)} until ${ends_at ?? 'further notice'}`),
			match,
			...(draft.starts ? { starts_at: rfc3339(draft.starts) } : {}),
			ends_at,
			reason: filled(draft.reason)
		};
	},
	// It begins when it is made.
	copied: (draft) => ({ ...draft, starts: '', length: '1h', ends: '' }),
	paths: () => ['name', 'starts_at', 'ends_at', 'reason', 'match', ...MATCHED.map((field) => `match.${field}`)]
};

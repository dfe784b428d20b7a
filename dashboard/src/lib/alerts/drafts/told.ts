/** Whom an alert is told beside its channels, as it is being written: by routes, and where nobody acknowledges it. */

import type { Body } from '../patch';
import type { Escalation, Route, Severity } from '../shapes';
import { filled } from './kind';

export interface RouteDraft {
	/** At least so bad; empty: any. */
	severity: Severity | '';
	/** Hours of the day in UTC, `22:00-06:00`; empty: always. */
	hours: string;
	channels: string[];
}

export interface ToldDraft {
	routes: RouteDraft[];
	/** Empty, and nobody beside it: nobody is told. */
	escalateAfter: string;
	escalateTo: string[];
}

export const NOBODY: ToldDraft = { routes: [], escalateAfter: '', escalateTo: [] };

export function toldOf(thing: { routes?: Route[]; escalate?: Escalation | null } | null): ToldDraft {
	return {
		routes: (thing?.routes ?? []).map(({ severity, hours, channels }) => ({ severity: severity ?? '', hours: hours ?? '', channels: [...channels] })),
		escalateAfter: thing?.escalate?.after ?? '',
		escalateTo: [...(thing?.escalate?.channels ?? [])]
	};
}

/** As it goes to the server. */
export function toldBody({ routes, escalateAfter, escalateTo }: ToldDraft): Body {
	return {
		routes: routes.map(({ severity, hours, channels }) => ({ severity: severity || null, hours: filled(hours), channels: [...channels] })),
		escalate: escalateAfter.trim() || escalateTo.length > 0 ? { after: escalateAfter.trim(), channels: [...escalateTo] } : null
	};
}

/** The fields that the form shows of it. */
export const toldPaths = ({ routes }: ToldDraft): string[] => [
	'routes', 'escalate', 'escalate.channels',
	...routes.flatMap((_, i) => ['', '.severity', '.hours', '.channels'].map((field) => `routes.${i}${field}`))
];

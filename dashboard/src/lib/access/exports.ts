/** Exports of an organisation: asked for, made, fetched. */

import { get, send } from '../http';

export interface Export {
	id: string;
	/** `queued`, `running`, `done`, `failed`. */
	state: string;
	/** Where the file is. */
	url?: string | null;
	rows?: number | null;
	bytes?: number | null;
	problem?: string | null;
	requested_at?: string | null;
}

/** Milliseconds between two looks. */
const LOOK_MS = 1_000;

/** Whether no look at it tells anything new. */
export function ended(one: Export): boolean {
	return one.state === 'done' || one.state === 'failed';
}

/** Asks for one and waits until it is there; `tell` hears how it goes. @throws RequestError, or an abort's. */
export async function exported(organisation: string, tell: (one: Export) => void, signal: AbortSignal): Promise<void> {
	const path = `/api/v1/organisations/${encodeURIComponent(organisation)}`;
	let { body: one } = await send<Export>('POST', `${path}/export`, { body: {}, signal });
	tell(one);
	while (!ended(one)) {
		await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
		if (signal.aborted) return;
		one = (await get<Export>(`${path}/exports/${encodeURIComponent(one.id)}`, signal)).body;
		tell(one);
	}
}

/** The answer to `POST /organisations/import`. */
export interface Imported {
	organisation: string;
	/** Channels that wait for their secrets. */
	without_secrets?: string[];
}

/** Of a file what defines things: what has happened since, from the line of the kind `history` on, is not taken over and need not be sent. */
export function definitionsOf(file: string): string {
	const lines = file.split('\n');
	const history = lines.findIndex((line) => kindOf(line) === 'history');
	return history < 0 ? file : lines.slice(0, history + 1).join('\n') + '\n';
}

/** What the organisation of the file was called; empty where it does not say. */
export function nameOf(file: string): string {
	try {
		const { kind, name } = JSON.parse(file.split('\n', 1)[0] ?? '') as { kind?: unknown; name?: unknown };
		return kind === 'headwater.organisation' && typeof name === 'string' ? name : '';
	} catch {
		return '';
	}
}

function kindOf(line: string): unknown {
	// Only few lines are short enough to be it.
	if (line.length > 1_000 || !line.includes('history')) return null;
	try {
		return (JSON.parse(line) as { kind?: unknown }).kind;
	} catch {
		return null;
	}
}

/** Where a file may be fetched: on this server, whatever the answer says. */
export function fileAt(url: string | null | undefined): string | null {
	return url && /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(url) ? url : null;
}

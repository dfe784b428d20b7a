/** Exports of an organisation: asked for, and where the file is, which the server makes while it is fetched. */

import { send } from '../http';
import { isLocal } from './back';

export interface Export {
	/** Where the file is. */
	url?: string | null;
	/** Why it cannot be fetched. */
	problem?: string | null;
}

/** Asks for one. @throws RequestError, or an abort's. */
export async function exported(organisation: string, signal: AbortSignal): Promise<Export> {
	return (await send<Export>('POST', `/api/v1/organisations/${encodeURIComponent(organisation)}/export`, { body: {}, signal })).body;
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
	return url && isLocal(url) ? url : null;
}

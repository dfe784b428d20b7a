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

/** Where a file may be fetched: on this server, whatever the answer says. */
export function fileAt(url: string | null | undefined): string | null {
	return url && /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(url) ? url : null;
}

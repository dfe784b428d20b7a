/** A contract as it is being written, and what of it goes to the server. */

import type { Versus } from '../components/access/Stale.svelte';
import type { Contract } from './shapes';

export interface Draft {
	network: string;
	address: string;
	name: string;
	labels: string[];
	/** `keep` what there is, `none`, or what stands in `text`. */
	abi: 'keep' | 'none' | 'new';
	text: string;
}

export function draftOf(contract: Contract | null): Draft {
	return {
		network: contract?.network ?? '',
		address: contract?.address ?? '',
		name: contract?.name ?? '',
		labels: contract ? [...contract.labels] : [],
		abi: contract && hasAbi(contract) ? 'keep' : 'new',
		text: ''
	};
}

export function hasAbi(contract: Contract): boolean {
	return contract.has_abi ?? contract.abi != null;
}

/** The array in a text that is one, or that has one under `abi` as a compiler writes it. @throws SyntaxError where it is no JSON. */
export function abiOf(text: string): unknown {
	const value: unknown = JSON.parse(text);
	return value && typeof value === 'object' && !Array.isArray(value) && 'abi' in value ? value.abi : value;
}

/** Body of the `POST`. @throws SyntaxError where the ABI is no JSON. */
export function created(draft: Draft): Record<string, unknown> {
	const { network, address, name, labels } = draft;
	const abi = draft.abi === 'new' && draft.text.trim() ? { abi: abiOf(draft.text) } : {};
	return { network, address: address.trim(), name, labels, ...abi };
}

/** Body of the `PATCH`: only what differs from `from`. @throws SyntaxError where the ABI is no JSON. */
export function patched(draft: Draft, from: Contract): Record<string, unknown> {
	const body: Record<string, unknown> = {};
	if (draft.name !== from.name) body.name = draft.name;
	if (draft.labels.join('\n') !== from.labels.join('\n')) body.labels = draft.labels;
	if (draft.abi === 'none' && hasAbi(from)) body.abi = null;
	if (draft.abi === 'new' && draft.text.trim()) body.abi = abiOf(draft.text);
	return body;
}

/** Whether anything would be lost if it went away. */
export function dirty(draft: Draft, from: Contract | null): boolean {
	const clean = draftOf(from);
	return JSON.stringify({ ...draft, text: draft.text.trim() }) !== JSON.stringify(clean);
}

/** What I wrote of what I changed, against what somebody else made of it meanwhile. `was` is what I began with. */
export function versus(draft: Draft, was: Contract, theirs: Contract): Versus[] {
	const rows: Versus[] = [];
	if (draft.name !== theirs.name) rows.push({ field: 'Name', mine: draft.name, theirs: theirs.name });
	const [mine, other] = [draft.labels.join(', '), theirs.labels.join(', ')];
	if (mine !== other) rows.push({ field: 'Labels', mine, theirs: other });
	const touched = draft.abi === 'none' || (draft.abi === 'new' && draft.text.trim() !== '');
	const changed = JSON.stringify(was.abi ?? null) !== JSON.stringify(theirs.abi ?? null);
	if (touched || changed) {
		const size = (abi: unknown) => (Array.isArray(abi) ? `${abi.length} items` : 'none');
		const kept = touched ? (draft.abi === 'none' ? 'none' : 'the new one below') : `${size(was.abi)}, as before`;
		rows.push({ field: 'ABI', mine: kept, theirs: changed ? `${size(theirs.abi)}, changed` : size(theirs.abi) });
	}
	return rows;
}

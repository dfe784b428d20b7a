/** Where things have their pages. */

import { searchOf, type TxFilter } from './filter';

export function txPath(network: string, hash: string): string {
	return `/txs/${encodeURIComponent(network)}/${encodeURIComponent(hash)}`;
}

/** Where the API has a transaction. */
export function txApi(network: string, hash: string): string {
	return `/api/v1${txPath(network, hash)}`;
}

/** Of a height or a hash. */
export function blockPath(network: string, block: number | string): string {
	return `/blocks/${encodeURIComponent(network)}/${encodeURIComponent(block)}`;
}

export function txsPath(filter: Partial<TxFilter>): string {
	return `/txs${searchOf(filter)}`;
}

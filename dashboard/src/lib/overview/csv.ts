/**
 * What is shown, as a file: a line for each step, oldest first, figures as the server told them (amounts in the chain's smallest unit, every
 * digit), then the failures of each cause. RFC 4180. Pure.
 */

import { startOf, type Axis } from './range';
import { METRICS } from './shapes';
import type { Stack } from './stack';
import { stateOf, type WindowBook } from './windows';

export interface Shown {
	network: string;
	contract: string;
	axis: Axis;
	book: WindowBook;
	stack: Stack;
	/** Blocks behind, the most of each step; null where this page saw none. */
	lag: readonly (number | null)[];
	now: number;
}

export function csvOf(shown: Shown): string {
	const { axis, book, stack } = shown;
	const causes = stack.causes.map(({ cause }) => `failed_${cause.replaceAll(' ', '_')}`);
	const head = ['from', 'to', 'network', 'contract', 'state', 'source', 'reason', ...METRICS, 'lag_blocks', ...causes];
	const lines = [head];
	for (let i = 0; i < axis.length; i++) {
		const start = startOf(axis, i);
		const window = book.at(start);
		lines.push([
			new Date(start).toISOString(),
			new Date(start + axis.step.ms).toISOString(),
			shown.network,
			shown.contract,
			stateOf(window, start, axis.step.ms, shown.now),
			window?.source ?? '',
			window?.reason ?? '',
			...METRICS.map((metric) => cell(window?.values[metric])),
			cell(shown.lag[i]),
			...stack.causes.map(({ counts }) => (window ? String(counts[i]) : ''))
		]);
	}
	return lines.map((line) => line.map(quoted).join(',')).join('\r\n') + '\r\n';
}

/** `headwater-op-mainnet-20261129T1300Z-1m.csv` */
export function fileName(shown: Pick<Shown, 'network' | 'axis'>): string {
	const from = new Date(shown.axis.from).toISOString().slice(0, 16).replace(/[-:]/g, '');
	return `headwater-${shown.network}-${from}Z-${shown.axis.step.name}.csv`;
}

function cell(value: unknown): string {
	return value == null ? '' : String(value);
}

function quoted(text: string): string {
	return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

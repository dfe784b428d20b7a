import { describe, expect, it } from 'vitest';
import { csvOf, fileName } from './csv';
import { axisOf, DEFAULT, startOf } from './range';
import { METRICS } from './shapes';
import { stackOf } from './stack';
import { column, WindowBook } from './windows';

describe('the file', () => {
	const from = Date.parse('2026-11-29T13:00:00Z');
	const axis = axisOf({ ...DEFAULT, between: { from, to: from + 600_000 } }, from);
	const book = new WindowBook();
	const at = (i: number) => new Date(startOf(axis, i)).toISOString();
	const window = { contract: null, window_seconds: 60, sequence: 1 };
	book.frame({ ...window, window_start: at(0), transactions: 12, failed: 2, failure_rate: 1 / 6, fee_total: '123456789012345678901234', gas_price_p50: null, complete: true }, 1);
	book.frame({ ...window, window_start: at(1), transactions: 3, failed: 0, complete: false, reason: 'blocks 7, 8 are missing: "no endpoint"' }, 1);
	const items = [{ at: at(0), causes: { transfer_failed: 1 } }];
	const stack = stackOf(items, axis, column(book, axis, 'failed'), column(book, axis, 'transactions'));
	const shown = { network: 'op-mainnet', contract: '', axis, book, stack, lag: [null, 4], now: from + 7_200_000 };
	const lines = csvOf(shown).split('\r\n');

	it('has a line for each step, with every digit', () => {
		expect(lines).toHaveLength(axis.length + 2);
		expect(lines[0]).toBe(`from,to,network,contract,state,source,reason,${METRICS.join()},lag_blocks,failed_transfer_failed,failed_not_known_yet`);
		expect(lines[1]).toBe(`${at(0)},${at(1)},op-mainnet,,complete,windows,,12,2,${1 / 6},,,123456789012345678901234,,,1,1`);
	});

	it('quotes what needs it, and is empty where nothing is known', () => {
		expect(lines[2]).toContain('"blocks 7, 8 are missing: ""no endpoint"""');
		expect(lines[2]).toMatch(/^[^,]+,[^,]+,op-mainnet,,incomplete,.*,4,0,0$/);
		expect(lines[3]).toBe(`${at(2)},${at(3)},op-mainnet,,none,,${','.repeat(METRICS.length)},,,`);
		expect(lines.at(-1)).toBe('');
	});

	it('has a name that says what it is of', () => {
		expect(fileName(shown)).toBe('headwater-op-mainnet-20261129T1300Z-1m.csv');
	});
});

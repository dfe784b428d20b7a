/** The figures that a rule can watch: what they are called, how they are written, and what one would begin with. */

import { priceIn } from '../chain';
import { count, percent } from '../format';

/** `state`: 1 while it is so, else 0. */
export type Unit = 'share' | 'count' | 'score' | 'rate' | 'price' | 'amount' | 'seconds' | 'blocks' | 'state';

export interface Metric {
	/** As the API calls it. */
	name: string;
	label: string;
	/** What it is a figure of. `chain`: of a network or contract over the window; `endpoint`: of endpoints; `service`: of Headwater itself. */
	of: 'chain' | 'endpoint' | 'service';
	unit: Unit;
	about: string;
	/** What a new rule begins with. */
	operator: string;
	threshold: number;
	/** It begins by comparing with what is usual. */
	usual?: boolean;
	/** It is counted over a window. */
	windowed?: boolean;
	/** There is one for a contract, too. */
	contract?: boolean;
}

const chain = (name: string, label: string, unit: Unit, threshold: number, about: string, more: Partial<Metric> = {}): Metric => ({
	name, label, of: 'chain', unit, operator: '>', threshold, about, windowed: true, ...more
});
const other = (of: 'endpoint' | 'service', name: string, label: string, unit: Unit, threshold: number, about: string, more: Partial<Metric> = {}): Metric => ({
	name, label, of, unit, operator: '>', threshold, about, ...more
});

export const METRICS: readonly Metric[] = [
	chain('failure_rate', 'Failure rate', 'share', 0.05, 'the share of transactions that failed', { contract: true }),
	chain('failed', 'Failed transactions', 'count', 10, 'how many failed', { contract: true }),
	chain('transactions', 'Transactions', 'count', 1_000, 'how many there were', { contract: true }),
	chain('tps', 'Transactions a second', 'rate', 100, 'how many there were in a second', { contract: true }),
	chain('gas_price_avg', 'Gas price', 'price', 100_000_000_000, 'what gas cost on average', { usual: true, contract: true }),
	chain('fee_total', 'Fees', 'amount', 1e18, 'what was paid in fees, in the smallest unit', { usual: true, contract: true }),
	chain('base_fee', 'Base fee', 'price', 100_000_000_000, 'the base fee of blocks on average', { usual: true }),
	chain('fullness', 'Fullness of blocks', 'share', 0.95, 'the share of their room that was used: gas, or weight on Bitcoin'),
	other('endpoint', 'provider_score', 'Score of an endpoint', 'score', 50, 'what Headwater makes of an endpoint, 0 to 100', { operator: '<' }),
	other('endpoint', 'provider_lag_blocks', 'Lag of an endpoint', 'blocks', 5, 'blocks that an endpoint is behind'),
	other('endpoint', 'provider_error_rate', 'Errors of an endpoint', 'share', 0.1, 'the share of requests of the last ten minutes that an endpoint failed'),
	other('endpoint', 'endpoints_disagree', 'Endpoints that disagree', 'count', 0, 'endpoints that say other than the rest'),
	other('endpoint', 'reconnects', 'Reconnects', 'count', 10, 'how often connections were lost and made again', { windowed: true }),
	other('service', 'diverged', 'Sources on different branches', 'state', 0, '1 while nodes and servers of a network show different branches of its chain: Bitcoin Core one, Electrum servers another'),
	other('service', 'no_block_seconds', 'No block', 'seconds', 60, 'seconds since the last block'),
	other('service', 'lag_blocks', 'Lag', 'blocks', 10, 'blocks between the chain’s tip and what was processed'),
	other('service', 'stage_lag', 'Lag of the stages', 'seconds', 60, 'seconds that the stages are behind'),
	other('service', 'incomplete_blocks', 'Incomplete blocks', 'count', 0, 'blocks of which something is missing', { windowed: true })
];

export const OF: Record<Metric['of'], string> = { chain: 'Network or contract', endpoint: 'Endpoints', service: 'Headwater' };

export const OPERATORS: Record<string, string> = { '>': 'over', '>=': 'at least', '<': 'under', '<=': 'at most', '==': 'equal to', '!=': 'other than' };

export function metricOf(name: string): Metric | null {
	return METRICS.find((metric) => metric.name === name) ?? null;
}

/** What stands behind a figure in the form: its unit there, and what one of it is in the API's. Prices are their family's. */
export function entered(unit: Unit | undefined, family = 'evm'): { sign: string; factor: number } {
	if (unit === 'share') return { sign: '%', factor: 0.01 };
	if (unit === 'price') {
		const { symbol, decimals } = priceIn(family);
		return { sign: symbol, factor: 10 ** decimals };
	}
	return { sign: { seconds: 's', blocks: 'blocks', rate: '/s' }[unit as string] ?? '', factor: 1 };
}

/** As many digits as a double holds for sure: what one typed comes back as it was typed. */
const exactly = (n: number) => Number(n.toPrecision(15));

export function toApi(text: string, unit: Unit | undefined, family = 'evm'): number | null {
	const n = Number(text.trim().replace(',', '.'));
	return text.trim() === '' || !Number.isFinite(n) ? null : exactly(n * entered(unit, family).factor);
}

export function fromApi(value: number | null | undefined, unit: Unit | undefined, family = 'evm'): string {
	return value == null ? '' : String(exactly(value / entered(unit, family).factor));
}

/** A figure for people; of a network of this family. */
export function figure(value: number | string | null | undefined, metric: string | undefined, family = 'evm'): string {
	if (value == null || value === '') return '—';
	const n = Number(value);
	const unit = metricOf(metric ?? '')?.unit;
	if (!Number.isFinite(n)) return String(value);
	if (unit === 'share') return percent(n);
	if (unit === 'state') return n === 0 ? 'no' : 'yes';
	if (unit === 'price') {
		const { sign, factor } = entered(unit, family);
		return `${short(n / factor)} ${sign}`;
	}
	const sign = entered(unit).sign;
	return `${Number.isInteger(n) ? count(n) : short(n)}${sign === '/s' ? '/s' : sign ? ` ${sign}` : ''}`;
}

/** Four digits at most, none of them invented. */
function short(n: number): string {
	if (Math.abs(n) >= 1_000) return count(Math.round(n));
	return String(Number(n.toPrecision(4)));
}

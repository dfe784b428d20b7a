/**
 * Chain amounts as text. Guarantee: no digit is ever rounded or invented. Everything is integer arithmetic on the decimal
 * string that the API sends; what is left out for want of space is marked, and `exact` always holds the whole number.
 */

export interface Amount {
	/** Grouped, cut to the digits that fit. */
	short: string;
	/** Every digit, grouped. */
	exact: string;
	/** `short` leaves digits out. */
	cut: boolean;
}

const DIGITS = /^-?\d+$/;

/** `amount` in units of 10^`decimals`; null for what is no integer. At most `places` digits behind the point in `short`. */
export function formatUnits(amount: string | null | undefined, decimals: number, places = 6): Amount | null {
	if (amount == null || !DIGITS.test(amount)) return null;
	const whole = BigInt(amount);
	const negative = whole < 0n;
	const digits = (negative ? -whole : whole).toString().padStart(decimals + 1, '0');
	const split = digits.length - decimals;
	const integer = digits.slice(0, split);
	const fraction = digits.slice(split).replace(/0+$/, '');
	const sign = negative ? '-' : '';
	const exact = sign + group(integer) + (fraction ? '.' + fraction : '');
	if (fraction.length <= places) return { short: exact, exact, cut: false };
	const kept = fraction.slice(0, places);
	if (integer === '0' && /^0*$/.test(kept)) {
		const least = places === 0 ? '1' : '0.' + '0'.repeat(places - 1) + '1';
		return { short: `${negative ? '>-' : '<'}${least}`, exact, cut: true };
	}
	return { short: `${sign}${group(integer)}${places === 0 ? '' : '.' + kept}…`, exact, cut: true };
}

/** An amount in the unit that says something about its size. */
export interface Fitting extends Amount {
	symbol: string;
}

/**
 * In the coin itself, or, where that would say little of its size, in gwei or wei (coins of 18 decimals) or in satoshi (bitcoin).
 * `exact` stays in the coin's unit.
 */
export function formatFitting(
	amount: string | null | undefined,
	coin: { symbol: string; decimals: number },
	places = 5
): Fitting | null {
	const inCoin = formatUnits(amount, coin.decimals, places);
	if (!inCoin || amount == null) return null;
	const size = amount.replace('-', '').length;
	if (coin.decimals === 18 && inCoin.exact !== '0' && size <= 12) {
		const [decimals, symbol] = size > 5 ? [9, 'gwei'] : [0, 'wei'];
		return { ...formatUnits(amount, decimals, places)!, exact: inCoin.exact, symbol };
	}
	if (coin.symbol === 'BTC' && inCoin.exact !== '0' && size <= 6) return { ...formatUnits(amount, 0, 0)!, exact: inCoin.exact, symbol: 'sat' };
	return { ...inCoin, symbol: coin.symbol };
}

/** Thousands apart, as in 19,433,903. Takes digits only. */
export function group(digits: string): string {
	return digits.replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Parts of a whole in per cent with one digit, by integers; null when the whole is zero or unreadable. */
export function share(part: string | null | undefined, whole: string | null | undefined): string | null {
	if (part == null || whole == null || !DIGITS.test(part) || !DIGITS.test(whole)) return null;
	const total = BigInt(whole);
	if (total <= 0n) return null;
	const thousandths = (BigInt(part) * 1000n) / total;
	if (thousandths === 0n && BigInt(part) > 0n) return '<0.1 %';
	return `${thousandths / 10n}.${thousandths % 10n} %`;
}

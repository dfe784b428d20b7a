// Filters of transactions, for the mock. Development only.

/** Whether a transaction fits a list's or a subscription's filters. */
export function fits(t, of) {
	const has = (address) => [t.to, ...t.detail.events.map((e) => e.address)].includes(address.toLowerCase());
	const called = t.signature?.split('(')[0];
	const at = Date.parse(t.block_time);
	return (
		(!of.network || t.network === of.network) &&
		(!of.status || t.status === of.status) &&
		(!of.cause || t.cause === of.cause) &&
		(!of.found_by || t.found_by === of.found_by) &&
		(!of.method || t.method === of.method || called === of.method) &&
		(!of.contract || has(of.contract)) &&
		(!of.address || t.from === of.address.toLowerCase() || has(of.address)) &&
		(!of.block || t.height === Number(of.block)) &&
		(!of.from || at >= Date.parse(of.from)) &&
		(!of.to || at < Date.parse(of.to))
	);
}

/** Some columns of transactions as a file. */
export function asCsv(transactions) {
	const columns = ['network', 'hash', 'height', 'status', 'method'];
	return [columns, ...transactions.map((tx) => columns.map((column) => tx[column] ?? ''))].join('\n') + '\n';
}

/** What alerts are narrowed by: in the address, and for the API. */

export interface AlertFilter {
	state: string;
	severity: string;
	network: string;
	rule: string;
	monitor: string;
	contract: string;
}

const FIELDS = ['state', 'severity', 'network', 'rule', 'monitor', 'contract'] as const;

export function filterOf(query: URLSearchParams): AlertFilter {
	return Object.fromEntries(FIELDS.map((field) => [field, query.get(field) ?? ''])) as unknown as AlertFilter;
}

/** Only what narrows. */
export function asked(filter: AlertFilter): Record<string, string> {
	return Object.fromEntries(FIELDS.filter((field) => filter[field]).map((field) => [field, filter[field]]));
}

export function searchOf(filter: Partial<AlertFilter>): string {
	const query = new URLSearchParams(asked({ ...filterOf(new URLSearchParams()), ...filter })).toString();
	return query ? `?${query}` : '';
}

export function alertPath(id: string): string {
	return `/alerts/${encodeURIComponent(id)}`;
}

/** Where a rule or a monitor has its page. */
export function sourcePath(source: { kind: string; id: string }): string {
	return `/${source.kind}s#/${encodeURIComponent(source.id)}`;
}

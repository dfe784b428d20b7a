/** A rule as it is being written. */

import { families } from '../../families.svelte';
import { names } from '../../txs/names.svelte';
import { entered, fromApi, metricOf, toApi } from '../metrics';
import type { Baseline, Rule, Severity } from '../shapes';
import { networksOf, ofRule } from '../words';
import { filled, nameOf, numeric, type Kind } from './kind';
import { toldBody, toldOf, toldPaths, type ToldDraft } from './told';

export interface RuleDraft extends ToldDraft {
	name: string;
	paused: boolean;
	severity: Severity;
	networks: string[];
	/** It came with `network`, and goes with it as long as it is one. */
	single: boolean;
	contract: string;
	endpoint: string;
	metric: string;
	operator: string;
	against: 'threshold' | 'baseline';
	/** In the unit of the form (`entered`), of prices by this family. */
	threshold: string;
	priced: string;
	percent: string;
	over: string;
	window: string;
	for: string;
	minCount: string;
	cooldown: string;
	repeat: string;
	channels: string[];
	/** As it came: the form does not show it. */
	kept: Pick<Rule, 'group_by'>;
}

export const WINDOWS = ['1m', '5m', '1h', '24h'] as const;

const FIRST = 'failure_rate';

function draft(rule: Rule | null): RuleDraft {
	const metric = metricOf(rule?.metric ?? FIRST);
	const networks = rule ? networksOf(rule) : [];
	const priced = families.shared(networks);
	return {
		name: rule?.name ?? '',
		paused: rule?.paused ?? false,
		severity: rule?.severity ?? 'warning',
		networks,
		single: rule?.network != null && !rule.networks?.length,
		contract: rule?.contract ?? '',
		endpoint: rule?.endpoint ?? '',
		metric: rule?.metric ?? FIRST,
		operator: rule?.operator ?? '>',
		against: rule?.baseline ? 'baseline' : 'threshold',
		threshold: fromApi(rule ? rule.threshold : metric?.threshold, metric?.unit, priced),
		priced,
		percent: String(rule?.baseline?.percent ?? 50),
		over: rule?.baseline?.over ?? '24h',
		window: rule?.window ?? '5m',
		for: rule?.for ?? '0s',
		minCount: String(rule?.min_count ?? 0),
		cooldown: rule?.cooldown ?? '0s',
		repeat: rule?.repeat_every ?? '',
		channels: [...(rule?.channels ?? [])],
		...toldOf(rule),
		kept: rule ? { group_by: rule.group_by ?? [] } : {}
	};
}

/** Another figure: what one would begin with for it. */
export function choose(draft: RuleDraft, metric: string): void {
	const found = metricOf(metric);
	draft.metric = metric;
	draft.operator = found?.operator ?? '>';
	draft.priced = families.shared(draft.networks);
	draft.threshold = fromApi(found?.threshold, found?.unit, draft.priced);
	draft.against = found?.usual ? 'baseline' : 'threshold';
	if (!found?.contract) draft.contract = '';
	if (found?.of !== 'endpoint') draft.endpoint = '';
}

/** What the rule is called where nobody gives it a name. */
export function suggested(draft: RuleDraft): string {
	return ofRule(measured(draft) as unknown as Rule, names.naming);
}

/** What is measured where, and against what. */
function measured(draft: RuleDraft): Record<string, unknown> {
	const metric = metricOf(draft.metric);
	const over: Baseline = { percent: Number(draft.percent), over: draft.over };
	const places = draft.single && draft.networks.length === 1 ? { network: draft.networks[0] } : { networks: [...draft.networks] };
	return {
		...places,
		contract: filled(draft.contract),
		endpoint: filled(draft.endpoint),
		metric: draft.metric,
		operator: draft.operator,
		...(draft.against === 'baseline' ? { baseline: over } : { threshold: toApi(draft.threshold, metric?.unit, draft.priced) ?? filled(draft.threshold) }),
		window: draft.window,
		for: draft.for.trim() || '0s'
	};
}

export const RULE: Kind<Rule, RuleDraft> = {
	path: '/api/v1/rules',
	resource: 'rules',
	one: 'rule',
	draft,
	body(draft) {
		return {
			name: nameOf(draft.name, suggested(draft)),
			paused: draft.paused,
			severity: draft.severity,
			...measured(draft),
			min_count: numeric(draft.minCount) ?? 0,
			cooldown: draft.cooldown.trim() || '0s',
			repeat_every: filled(draft.repeat),
			channels: [...draft.channels],
			...toldBody(draft),
			...draft.kept
		};
	},
	paths: (draft) => [
		'name', 'severity', 'network', 'networks', 'contract', 'endpoint', 'metric', 'operator', 'threshold', 'baseline', 'window', 'for', 'min_count',
		'cooldown', 'repeat_every', 'channels', ...toldPaths(draft)
	]
};

/** The same threshold in the unit of the networks' family, where that is another one now. */
export function reprice(draft: RuleDraft): void {
	const family = families.shared(draft.networks);
	if (family === draft.priced) return;
	const unit = metricOf(draft.metric)?.unit;
	const value = toApi(draft.threshold, unit, draft.priced);
	if (value != null) draft.threshold = fromApi(value, unit, family);
	draft.priced = family;
}

/** The sign behind the threshold. */
export const signOf = (draft: Pick<RuleDraft, 'metric' | 'priced'>): string => entered(metricOf(draft.metric)?.unit, draft.priced).sign;

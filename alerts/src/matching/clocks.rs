//! Rules over endpoints, stages and the clock: what samples and statuses say of networks, looked at once a second.
//!
//! Guarantee (rule 30): figures come from stored clocks (when a block was first seen, a sample's time, what stages said of themselves), and
//! nothing is said of a network whose events this group has not read to their end: that it is late itself is no silence of a chain. An
//! endpoint of which nobody has said anything for a while has no figures. What is counted over a window is told once all samples of that
//! window were read, or those that were are enough: after a restart only the last ones are read back.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use conditions::{Figure, Metric, Number, figures::shown};
use runtime::log::{
    Log, LogError, PollLimits, Polled, Reader, Record, TopicPartition, followed::Fold, last, pass_over,
};
use schemas::{
    Codec, Network, TimeMs,
    records::{
        AlertMatch, EndpointState, NetworkState, ProviderSample, ProviderState, SUBSCRIBED_AGAIN, Seen, StageStatus,
        stage_status::stage,
    },
    topics,
};
use serde_json::{Value, json};

use super::rules::{Look, Rules, Told, Watch, millis};

/// Records of each partition of `providers.samples` that are read back: they are repeated with every probe.
const BACK: u64 = 5_000;
/// How much one look reads.
const POLL: PollLimits = PollLimits { records: 5_000, bytes: 4 << 20, wait: Duration::from_millis(1) };
/// Polls of one look.
const POLLS: usize = 8;
/// A minute, of which samples give the sum.
const MINUTE_MS: i64 = 60_000;
/// How long after its end a minute's sum is written at the latest.
const SENT_LATE_MS: i64 = 10_000;
/// How long subscriptions are remembered: the longest window, and until their minute's sum is told.
const SUBSCRIPTIONS_MS: i64 = 24 * 3_600 * 1_000 + MINUTE_MS + SENT_LATE_MS;
/// Subscriptions of one endpoint that are remembered.
const SUBSCRIPTIONS: usize = 10_000;

/// What stages said last of networks, out of `stage.status`.
#[derive(Debug, Clone, Default)]
pub struct Statuses(BTreeMap<(Network, String), Arc<StageStatus>>);

impl Fold for Statuses {
    fn take(&mut self, codec: &Codec, record: &Record) {
        let Some(value) = &record.value else { return };
        match codec.decode::<StageStatus>(value) {
            Ok(status) => {
                if let Some(network) = status.network.clone() {
                    self.0.insert((network, status.stage.clone()), Arc::new(status));
                }
            }
            Err(error) => pass_over(record, &error),
        }
    }
}

impl Statuses {
    /// Networks that live on a partition, as stages say.
    pub fn living_on(&self, partition: u32) -> impl Iterator<Item = &Network> {
        self.0.values().filter(move |status| status.partition == Some(partition)).filter_map(|s| s.network.as_ref())
    }

    fn of(&self, network: &Network, stage: &str) -> Option<&StageStatus> {
        self.0.get(&(network.clone(), stage.to_owned())).map(|status| &**status)
    }

    /// What ingest says of a network, while it is not silent for too long.
    fn heard(&self, network: &Network, now: TimeMs) -> Option<&StageStatus> {
        let is_heard = |status: &&StageStatus| now.0.saturating_sub(status.at.0) <= millis(status.patience());
        self.of(network, stage::INGEST).filter(is_heard)
    }

    /// The same of one whose sources are on different branches.
    fn apart(&self, network: &Network, now: TimeMs) -> Option<&StageStatus> {
        self.heard(network, now).filter(|status| status.state == NetworkState::Diverged.as_str())
    }
}

/// An endpoint as its observers hold it.
#[derive(Debug, Default)]
struct Endpoint {
    states: HashMap<String, (TimeMs, EndpointState)>,
    /// When somebody subscribed again, and how often within that time's minute.
    subscribed: VecDeque<(TimeMs, u64)>,
}

impl Endpoint {
    /// Whether all of its observers have said that it is no more.
    fn is_gone(&self) -> bool {
        !self.states.is_empty() && self.states.values().all(|(_, state)| state.is_gone())
    }

    /// What whoever takes blocks from it says, else whoever spoke last.
    fn state(&self, now: TimeMs) -> Option<(TimeMs, &EndpointState)> {
        let is_known = |at: TimeMs, state: &EndpointState| {
            !state.is_gone() && now.0.saturating_sub(at.0) <= millis(state.patience())
        };
        let follows = |observer: &str| observer.split('/').next() == Some(stage::INGEST);
        let known = self.states.iter().filter(|(_, (at, state))| is_known(*at, state));
        known.max_by_key(|(observer, (at, _))| (follows(observer), *at)).map(|(_, (at, state))| (*at, state))
    }
}

/// See the module.
#[derive(Default)]
pub struct Clocks {
    reader: Option<(Vec<u32>, Box<dyn Reader>)>,
    /// With the partition of each network.
    endpoints: BTreeMap<Network, (u32, BTreeMap<String, Endpoint>)>,
    /// By partition: all samples were read that were written from this time on, milliseconds since 1970.
    known_from: BTreeMap<u32, i64>,
    told: HashMap<Network, Told>,
}

/// What is known of a network from its events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heard {
    /// When its newest block was first seen.
    pub observed_at: Option<TimeMs>,
    /// Its sequence and height.
    pub tip: Option<(u64, u64)>,
}

impl Clocks {
    /// Reads on what was said of the endpoints of these partitions' networks.
    ///
    /// # Errors
    /// What the log says: the next look reads back again.
    pub async fn read(&mut self, log: &dyn Log, codec: &Codec, held: &[u32]) -> Result<(), LogError> {
        if self.reader.as_ref().is_none_or(|(of, _)| of != held) {
            let at = |partition: u32| TopicPartition { topic: topics::PROVIDERS_SAMPLES.name, partition };
            // What was read of partitions that stay is known still.
            let former = self.reader.take();
            let of = former.iter().flat_map(|(of, _)| of).copied();
            let stay: Vec<u32> = of.filter(|of| held.contains(of)).collect();
            let reached = |of: &u32| former.as_ref().map(|(_, reader)| (at(*of), reader.reached(at(*of))));
            let kept: Vec<(TopicPartition, u64)> = stay.iter().filter_map(reached).collect();
            drop(former);
            self.endpoints.retain(|_, of| stay.contains(&of.0));
            self.known_from.retain(|of, _| stay.contains(of));
            let new: Vec<TopicPartition> = held.iter().filter(|of| !stay.contains(of)).map(|of| at(*of)).collect();
            let (mut from, _) = if new.is_empty() { Default::default() } else { last(log, &new, BACK).await? };
            let whole = from.iter().filter(|(_, from)| *from == 0).map(|(at, _)| (at.partition, i64::MIN));
            self.known_from.extend(whole);
            from.extend(kept);
            self.reader = Some((held.to_vec(), log.reader(&from).await?));
        }
        let Some((_, reader)) = &mut self.reader else { return Ok(()) };
        for _ in 0..POLLS {
            let polled = reader.poll(POLL).await;
            match polled {
                Ok(Polled::Records(records)) if records.is_empty() => break,
                Ok(Polled::Records(records)) => {
                    for record in &records {
                        self.known_from.entry(record.from.partition).or_insert(record.timestamp.0);
                        let Some(value) = &record.value else { continue };
                        match codec.decode::<ProviderSample>(value) {
                            Ok(sample) => take(&mut self.endpoints, record.from.partition, sample),
                            Err(error) => pass_over(record, &error),
                        }
                    }
                }
                Ok(Polled::OutOfRange { at, oldest, .. }) => {
                    self.known_from.remove(&at.partition);
                    reader.seek(at, oldest).await?;
                }
                Ok(Polled::Assigned(_) | Polled::Revoked(_)) => {}
                Err(error) => {
                    self.reader = None;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// What rules say of a network now.
    pub fn look(
        &mut self,
        (network, heard, incomplete): (&Network, Heard, &VecDeque<TimeMs>),
        statuses: &Statuses,
        rules: &Rules,
        now: TimeMs,
    ) -> Vec<AlertMatch> {
        let Some(watches) = rules.clocks.get(network) else { return Vec::new() };
        let told = self.told.entry(network.clone()).or_default();
        told.follow(rules);
        let (partition, endpoints) = self.endpoints.get(network).map(|(of, endpoints)| (of, endpoints)).unzip();
        let known_from = partition.and_then(|of| self.known_from.get(of)).copied().unwrap_or(i64::MAX);
        let mut said = Vec::new();
        for watch in watches {
            let rule = &watch.of.what;
            let window_ms = millis(rule.window);
            let mut say = |endpoint: Option<&str>, at: TimeMs, value: Option<Number>, more: Value| {
                let judged = rule.judge(&Figure::told(value), None);
                let look = Look { network, endpoint, block: None, at, observed_at: at };
                let values = (value.as_ref(), judged.threshold.as_ref());
                let evidence = || evidence(watch, at, values, (endpoint, heard), more);
                said.extend(told.say(watch, look, judged.over, evidence));
            };
            match rule.metric {
                Metric::ProviderScore | Metric::ProviderLagBlocks | Metric::ProviderErrorRate | Metric::Reconnects => {
                    let is_meant = |name: &str| rule.endpoint.as_deref().is_none_or(|meant| meant == name);
                    for (name, endpoint) in endpoints.into_iter().flatten().filter(|(name, _)| is_meant(name)) {
                        let Some((at, state)) = endpoint.state(now) else {
                            // Who was taken out of the configuration is over nothing any more; of who is silent nothing is known.
                            if endpoint.is_gone() {
                                say(
                                    Some(name),
                                    now,
                                    None,
                                    json!({"reason": "it is not in the configuration any more"}),
                                );
                            }
                            continue;
                        };
                        let value = match rule.metric {
                            Metric::ProviderScore => state.score.map(|score| Number::from(u64::from(score))),
                            Metric::ProviderLagBlocks => state.lag_blocks.map(Number::from),
                            Metric::ProviderErrorRate => state.success_rate.and_then(|rate| {
                                Number::ratio(u64::from(1_000_000 - rate.ppm().min(1_000_000)), 1_000_000)
                            }),
                            _ => {
                                let count = Number::from(endpoint.subscriptions(now, window_ms));
                                let from = now.0.saturating_sub(window_ms).saturating_sub(SENT_LATE_MS);
                                let is_enough =
                                    || rule.operator.is_upward() && rule.judge(&Figure::told(Some(count)), None).over;
                                (known_from <= from || is_enough()).then_some(count)
                            }
                        };
                        // A count changes with the clock, anything else when its observer speaks.
                        let at = if rule.metric == Metric::Reconnects { now } else { at };
                        if value.is_some() {
                            say(Some(name), at, value, json!({"state": state.state.as_str(), "reason": state.reason}));
                        }
                    }
                }
                Metric::EndpointsDisagree => {
                    let states = endpoints.into_iter().flatten().filter_map(|(n, e)| Some((n, e.state(now)?.1)));
                    let lies = |state: &EndpointState| state.lie.is_some() || state.state == ProviderState::Quarantined;
                    let all: Vec<(&String, bool)> = states.map(|(name, state)| (name, lies(state))).collect();
                    let apart = statuses.apart(network, now);
                    if !all.is_empty() || apart.is_some() {
                        let names: Vec<&String> = all.iter().filter(|(_, lies)| *lies).map(|(name, _)| *name).collect();
                        let mut more = json!({"endpoints": names});
                        // While they are of different minds one of them contradicts the others, though nobody may know which.
                        let count = u64::try_from(names.len()).unwrap_or(u64::MAX).max(u64::from(apart.is_some()));
                        if let Some(why) = apart.and_then(|status| status.detail.as_deref()) {
                            more["reason"] = why.into();
                        }
                        say(None, now, Some(Number::from(count)), more);
                    }
                }
                Metric::Diverged if statuses.heard(network, now).is_some() => {
                    let apart = statuses.apart(network, now);
                    let reason = apart.and_then(|status| status.detail.as_deref());
                    say(None, now, Some(Number::from(u64::from(apart.is_some()))), json!({"reason": reason}));
                }
                Metric::NoBlockSeconds => {
                    let said = || statuses.of(network, stage::INGEST).and_then(|status| status.block_time);
                    let seconds = heard.observed_at.or_else(said).map(|at| now.0.saturating_sub(at.0).max(0) / 1_000);
                    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
                    if seconds.is_some() {
                        say(None, now, seconds.map(Number::from), json!({}));
                    }
                }
                Metric::LagBlocks => {
                    let ingest = statuses.of(network, stage::INGEST);
                    let lag = ingest.and_then(|status| Some(status.tip_height?.saturating_sub(status.height?)));
                    if lag.is_some() {
                        let height = ingest.and_then(|status| status.tip_height);
                        say(None, now, lag.map(Number::from), json!({"endpoint_height": height}));
                    }
                }
                Metric::StageLag => {
                    let published = statuses.of(network, stage::INGEST).and_then(|status| status.block_time);
                    let behind = |stage: &'static str| {
                        let at = statuses.of(network, stage)?.block_time?;
                        Some((u64::try_from(published?.0.saturating_sub(at.0).max(0)).ok()? / 1_000, stage))
                    };
                    let most = [stage::ENRICH, stage::AGGREGATE, stage::SINK].into_iter().filter_map(behind).max();
                    if let Some((seconds, stage)) = most {
                        say(None, now, Some(Number::from(seconds)), json!({"stage": stage}));
                    }
                }
                Metric::IncompleteBlocks => {
                    let from = now.0.saturating_sub(window_ms);
                    let count = incomplete.iter().filter(|at| at.0 > from).count();
                    say(None, now, u64::try_from(count).ok().map(Number::from), json!({}));
                }
                _ => {}
            }
        }
        said
    }
}

impl Endpoint {
    /// How often somebody subscribed again in the window: in minutes whose sum, as late as it may be told, is told in it.
    fn subscriptions(&self, now: TimeMs, window_ms: i64) -> u64 {
        let from = now.0.saturating_sub(window_ms);
        self.subscribed.iter().filter(|(at, _)| told_by(*at) > from).map(|(_, count)| count).sum()
    }
}

/// When the sum of the minute of a time is told at the latest.
fn told_by(at: TimeMs) -> i64 {
    at.0.div_euclid(MINUTE_MS).saturating_add(1).saturating_mul(MINUTE_MS).saturating_add(SENT_LATE_MS)
}

fn take(endpoints: &mut BTreeMap<Network, (u32, BTreeMap<String, Endpoint>)>, partition: u32, sample: ProviderSample) {
    let ProviderSample { network, endpoint, at, observer, seen } = sample;
    let (_, endpoints) = endpoints.entry(network).or_insert_with(|| (partition, BTreeMap::new()));
    let endpoint = endpoints.entry(endpoint).or_default();
    match seen {
        Seen::State(state) => {
            if endpoint.states.get(&observer).is_none_or(|(former, _)| *former <= at) {
                endpoint.states.insert(observer, (at, *state));
            }
        }
        Seen::Minute(minute) if minute.method == SUBSCRIBED_AGAIN => {
            endpoint.subscribed.push_back((at, minute.calls));
            let oldest = at.0.saturating_sub(SUBSCRIPTIONS_MS);
            while endpoint.subscribed.len() > SUBSCRIPTIONS
                || endpoint.subscribed.front().is_some_and(|(first, _)| first.0 < oldest)
            {
                endpoint.subscribed.pop_front();
            }
        }
        Seen::Minute(_) | Seen::Call(_) => {}
    }
}

fn evidence(
    watch: &Watch,
    at: TimeMs,
    (value, threshold): (Option<&Number>, Option<&Number>),
    (endpoint, heard): (Option<&str>, Heard),
    more: Value,
) -> Value {
    let rule = &watch.of.what;
    let has_window = matches!(rule.metric, Metric::Reconnects | Metric::IncompleteBlocks);
    let from = has_window.then(|| TimeMs(at.0.saturating_sub(millis(rule.window))).rfc3339());
    let mut evidence = json!({
        "metric": rule.metric.as_str(),
        "value": value.map(shown),
        "threshold": threshold.map(shown),
        "window": has_window.then(|| conditions::span::text(rule.window)),
        "from": from,
        "to": at.rfc3339(),
        "endpoint": endpoint,
        "sequence": heard.tip.map(|tip| tip.0),
        "height": heard.tip.map(|tip| tip.1),
    });
    if let (Value::Object(fields), Value::Object(more)) = (&mut evidence, more) {
        fields.extend(more);
    }
    evidence
}

#[cfg(test)]
mod tests;

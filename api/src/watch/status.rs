//! `stage.status`, read into memory: what every stage last said of itself and of each network, and when it was heard (rule 27).
//!
//! Silence is measured from when a word was heard, by this machine's monotonic clock, so that clocks that disagree make nobody
//! silent; only for what was already there when the API started the speaker's own clock counts.
//!
//! The topics of former versions are read where they are, so that an API that is upgraded first still shows what the stages say.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use runtime::log::{Log, LogError, LogErrorKind, NewRecord, PollLimits, Polled, Record, TopicPartition, Transaction};
use schemas::{
    Network, TimeMs,
    codec::Codec,
    limits::STATUSES,
    records::{EnrichState, EnrichStatus, NetworkStatus, StageStatus},
    topics,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::health::{Heard, Progress};

/// How much one poll brings.
const POLL: PollLimits = PollLimits { records: 1_000, bytes: 1 << 20, wait: Duration::from_secs(1) };
/// Pause before a log that did not answer is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// Who has said nothing for so long is taken off the list.
const LONG_DEAD: Duration = Duration::from_secs(24 * 3_600);
/// How often the long dead are looked for.
const SWEEP: Duration = Duration::from_secs(600);

/// What was heard.
#[derive(Default)]
pub struct Statuses(Mutex<State>);

#[derive(Default)]
struct State {
    said: BTreeMap<String, Heard>,
    progress: HashMap<Network, Progress>,
    watchers: HashMap<Network, NetworkStatus>,
    halts: HashMap<Network, EnrichStatus>,
    last: Option<Instant>,
}

/// All of it at one moment.
#[derive(Default, Clone)]
pub struct Snapshot {
    /// What was said last, under each key of the topic.
    pub said: BTreeMap<String, Heard>,
    /// How networks get on.
    pub progress: HashMap<Network, Progress>,
    /// What watchers of a former version said.
    pub watchers: HashMap<Network, NetworkStatus>,
    /// What enrich of a former version halted.
    pub halts: HashMap<Network, EnrichStatus>,
    /// When anything was heard of anybody.
    pub last: Option<Instant>,
}

impl Statuses {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a stage ever spoke of a network.
    pub fn knows(&self, network: &Network) -> bool {
        let state = self.state();
        state.progress.contains_key(network) || state.watchers.contains_key(network)
    }

    /// What a stage said last of a network; `None` where it has been silent for too long since.
    pub fn of(&self, stage: &str, network: &Network) -> Option<StageStatus> {
        let (now, state) = (Instant::now(), self.state());
        let heard = state.said.get(&StageStatus::key_of(stage, "", Some(network)));
        heard.filter(|heard| !heard.is_silent(now)).map(|heard| heard.status.clone())
    }

    /// As it is now.
    pub fn snapshot(&self) -> Snapshot {
        let State { said, progress, watchers, halts, last } = &*self.state();
        Snapshot {
            said: said.clone(),
            progress: progress.clone(),
            watchers: watchers.clone(),
            halts: halts.clone(),
            last: *last,
        }
    }

    /// Takes a record in. `old`: it was there before we were.
    fn take(&self, codec: &Codec, record: &Record, old: bool) {
        let now = Instant::now();
        let topic = record.from.topic;
        let Some(value) = &record.value else {
            if topic == topics::STAGE_STATUS.name
                && let Some(key) = record.key.as_deref()
            {
                let mut state = self.state();
                state.last = Some(now);
                state.said.remove(&*String::from_utf8_lossy(key));
            }
            return;
        };
        let taken = if topic == topics::INGEST_STATUS.name {
            codec.decode::<NetworkStatus>(value).map(|s| drop(self.state().watchers.insert(s.network.clone(), s)))
        } else if topic == topics::ENRICH_STATUS.name {
            codec.decode::<EnrichStatus>(value).map(|s| drop(self.state().halts.insert(s.network.clone(), s)))
        } else {
            codec.decode::<StageStatus>(value).map(|status| {
                let age = Duration::from_millis(TimeMs::now().0.saturating_sub(status.at.0).max(0) as u64);
                let at = if old { now.checked_sub(age).unwrap_or(now) } else { now };
                let mut state = self.state();
                state.last = Some(now);
                let key = StageStatus::key_of(&status.stage, &status.instance, status.network.as_ref());
                if state.said.len() >= STATUSES && !state.said.contains_key(&key) {
                    tracing::warn!(key, "more processes and networks speak than are remembered: this one is not");
                    return;
                }
                if let Some(network) = &status.network {
                    state.progress.entry(network.clone()).or_default().take(&status, at);
                }
                state.said.insert(key, Heard { status, at });
            })
        };
        if let Err(error) = taken {
            // Another program's, or of a version that this one does not know (rule 13).
            tracing::warn!(%error, topic, "a record was passed by");
        }
    }

    /// Follows the topics until the service stops. `instance` names this process to the log.
    pub async fn follow(
        self: Arc<Self>,
        instance: String,
        log: Arc<dyn Log>,
        codec: Arc<Codec>,
        shutdown: CancellationToken,
    ) -> Result<(), LogError> {
        loop {
            let outcome = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                outcome = self.read(&instance, &*log, &codec) => outcome,
            };
            match outcome {
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "what the stages say cannot be read; trying again");
                }
                outcome => return outcome,
            }
            tokio::select! { () = shutdown.cancelled() => return Ok(()), () = tokio::time::sleep(PAUSE) => {} }
        }
    }

    async fn read(&self, instance: &str, log: &dyn Log, codec: &Codec) -> Result<(), LogError> {
        let mut all = Vec::new();
        for topic in [topics::STAGE_STATUS, topics::INGEST_STATUS, topics::ENRICH_STATUS] {
            let partitions = match log.partitions(topic.name).await {
                Ok(partitions) => partitions,
                // Only a cluster that a former version made has them.
                Err(e)
                    if topics::FORMER.contains(&topic)
                        && matches!(e.kind, LogErrorKind::NoTopic | LogErrorKind::Denied) =>
                {
                    0
                }
                Err(e) => return Err(e),
            };
            all.extend((0..partitions).map(|partition| TopicPartition { topic: topic.name, partition }));
        }
        let (places, ends) = runtime::log::last(log, &all, u64::MAX).await?;
        let mut reader = log.reader(&places).await?;
        let mut swept = Instant::now();
        loop {
            match reader.poll(POLL).await {
                Ok(Polled::Records(records)) => {
                    for record in &records {
                        self.take(codec, record, ends.get(&record.from).is_some_and(|end| record.offset < *end));
                    }
                }
                Ok(Polled::OutOfRange { at, oldest, .. }) => reader.seek(at, oldest).await?,
                Ok(Polled::Assigned(_) | Polled::Revoked(_)) => {}
                Err(error) if error.is_transient() && error.kind != LogErrorKind::NoTopic => {
                    tracing::warn!(%error, "the log does not answer; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
            if swept.elapsed() > SWEEP {
                swept = Instant::now();
                if let Err(error) = self.sweep(instance, log).await {
                    tracing::debug!(%error, "processes that are long dead could not be taken off the list");
                }
            }
        }
    }

    /// Takes off the list who went without a word and has not come back.
    async fn sweep(&self, instance: &str, log: &dyn Log) -> Result<(), LogError> {
        let dead = long_dead(&self.state().said, LONG_DEAD);
        if dead.is_empty() {
            return Ok(());
        }
        let to = TopicPartition { topic: topics::STAGE_STATUS.name, partition: 0 };
        let gone = |key: String| NewRecord { to, key: Some(key.into()), value: None, headers: Vec::new() };
        let records = dead.into_iter().map(gone).collect();
        let mut producer = log.producer(&format!("status.api.sweep.{instance}")).await?;
        producer.commit(Transaction { records, offsets: None }).await
    }
}

/// Keys of processes that are long dead, and of networks that nobody has spoken for as long and no process of the stage has in its
/// configuration: they were given up, and nothing is wrong.
fn long_dead(said: &BTreeMap<String, Heard>, after: Duration) -> Vec<String> {
    let silent = |heard: &Heard| heard.at.elapsed() > after;
    let configured = |stage: &str, network: &Network| {
        let mut living = said.values().filter(|h| h.status.network.is_none() && !silent(h) && h.status.stage == stage);
        living.any(|h| h.status.networks.iter().any(|n| n.slug == network.as_str()))
    };
    let dead = said.iter().filter(|(_, heard)| {
        silent(heard) && heard.status.network.as_ref().is_none_or(|n| !configured(&heard.status.stage, n))
    });
    dead.map(|(key, _)| key.clone()).collect()
}

impl Snapshot {
    /// Why enrich of a former version halted a network.
    pub fn former_halt(&self, network: &Network) -> Option<&EnrichStatus> {
        self.halts.get(network).filter(|status| status.state != EnrichState::Running)
    }
}

#[cfg(test)]
mod tests {
    use schemas::records::stage_status::ConfiguredNetwork;

    use super::*;
    use crate::health::testing::said;

    #[test]
    fn what_somebody_said_who_is_silent_by_now_is_not_told() {
        let (statuses, eth): (_, Network) = (Statuses::default(), "eth".parse().expect("a slug"));
        let status = said("ingest", Some("eth"));
        let ago = |ago: Duration| Instant::now().checked_sub(ago).expect("a moment after the machine's start");
        let hear = |at: Instant| {
            let heard = Heard { status: status.clone(), at };
            statuses.state().said.insert(StageStatus::key_of("ingest", "", Some(&eth)), heard);
        };
        hear(ago(Duration::ZERO));
        assert!(statuses.of("ingest", &eth).is_some() && statuses.of("enrich", &eth).is_none());
        hear(ago(status.patience() + Duration::from_secs(1)));
        assert!(statuses.of("ingest", &eth).is_none());
    }

    #[tokio::test]
    async fn who_is_long_dead_goes_and_so_does_a_network_that_was_given_up() {
        const SILENT: Duration = Duration::from_secs(2);
        let mut all = BTreeMap::new();
        let mut hear = |key: &str, status: StageStatus| {
            all.insert(key.to_owned(), Heard { status, at: Instant::now() });
        };
        hear("gone", said("sink", None));
        hear("given up", said("sink", Some("old")));
        hear("without a hand", said("sink", Some("eth")));
        hear("of another stage", said("enrich", Some("eth")));
        tokio::time::sleep(2 * SILENT).await;
        let configured = vec![ConfiguredNetwork { slug: "eth".into(), chain_id: None }];
        hear("alive", StageStatus { networks: configured, ..said("sink", None) });
        hear("spoken for", said("sink", Some("new")));
        assert_eq!(long_dead(&all, SILENT), ["given up", "gone", "of another stage"]);
    }
}

//! What is read beside the group's own topics: what is usual, causes that come late, what endpoints, stages and the clock say.
//!
//! Guarantee: none of it has a position, and not knowing it stops nobody: it is read back after a start, and again after an error. Only what
//! is usual is known to its end before an event of a partition is looked at, once a rule compares with it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use runtime::log::{
    Log, LogError, TopicPartition,
    followed::{Followed, Snapshot},
};
use schemas::{
    Codec, Network, TimeMs,
    records::{AlertMatch, EnrichedCause},
    topics,
};
use tokio::time::timeout;

use super::{
    baselines::Baselines,
    causes::Causes,
    clocks::{Clocks, Statuses},
    part::Part,
    rules::Rules,
};

/// How long one look waits for the log.
const PATIENCE: Duration = Duration::from_secs(5);
/// A partition is read to its end where no more offsets are left: ends of transactions have some.
const LEVEL: u64 = 4;
/// … or where what was read last was written no longer ago than this.
const LATE_MS: i64 = 5_000;

/// See the module.
pub struct Beside {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    baselines: Option<Followed<Baselines>>,
    statuses: Option<Followed<Statuses>>,
    clocks: Clocks,
    causes: Causes,
}

impl Beside {
    /// Of a log.
    pub fn new(log: Arc<dyn Log>, codec: Arc<Codec>) -> Self {
        let (clocks, causes) = (Clocks::default(), Causes::default());
        Self { log, codec, baselines: None, statuses: None, clocks, causes }
    }

    /// These partitions are no longer ours.
    pub fn release(&mut self, partitions: &[u32]) {
        // Causes that were ahead of their transactions went with the partitions: they are read back.
        self.causes = Causes::default();
        if let Some(followed) = &self.baselines {
            followed.release(partitions);
        }
    }

    /// Follows what is usual of the partitions that are held, once a rule asks for it.
    ///
    /// # Errors
    /// What the log says.
    pub async fn follow_baselines(&mut self, rules: &Rules, parts: &BTreeMap<u32, Part>) -> Result<(), LogError> {
        if !rules.has_baselines() {
            self.baselines = None;
            return Ok(());
        }
        let (log, codec) = (&self.log, &self.codec);
        let follow = || Followed::new(log.clone(), codec.clone(), topics::METRICS_WINDOWS.name);
        let followed = self.baselines.get_or_insert_with(follow);
        let new: Vec<u32> = parts.keys().copied().filter(|partition| followed.of(*partition).is_none()).collect();
        if new.is_empty() { Ok(()) } else { followed.hold(&new).await }
    }

    /// What is usual of a partition's networks.
    pub fn usual(&self, partition: u32) -> Option<Snapshot<Baselines>> {
        self.baselines.as_ref()?.of(partition)
    }

    /// Causes that were found since the last look, and the partition of each.
    pub async fn late_causes(&mut self, parts: &BTreeMap<u32, Part>) -> Vec<(u32, EnrichedCause)> {
        let held: Vec<u32> = parts.keys().copied().collect();
        match timeout(PATIENCE, self.causes.read(&*self.log, &self.codec, &held)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(%error, "causes that were found late are not in what alerts say");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    /// What rules over endpoints, stages and the clock say by now.
    pub async fn look_at_clocks(&mut self, rules: &Rules, parts: &BTreeMap<u32, Part>) -> Vec<AlertMatch> {
        let mut said = Vec::new();
        if rules.clocks.is_empty() || parts.is_empty() {
            return said;
        }
        let (log, codec) = (&self.log, &self.codec);
        let follow = || Followed::new(log.clone(), codec.clone(), topics::STAGE_STATUS.name);
        let statuses = self.statuses.get_or_insert_with(follow);
        let held: Vec<u32> = parts.keys().copied().collect();
        let at = |partition: &u32| TopicPartition { topic: topics::ENRICHED_BLOCKS.name, partition: *partition };
        let of: Vec<TopicPartition> = held.iter().map(at).collect();
        let clocks = &mut self.clocks;
        let asked = async {
            if statuses.of(0).is_none() {
                statuses.hold(&[0]).await?;
            }
            clocks.read(&**log, codec, &held).await?;
            log.ends(&of).await
        };
        let ends = match timeout(PATIENCE, asked).await {
            Ok(Ok(ends)) => ends,
            Ok(Err(error)) => {
                tracing::warn!(%error, "rules about endpoints, stages and clocks are not looked at");
                return said;
            }
            Err(_) => return said,
        };
        let Some(snapshot) = statuses.of(0) else { return said };
        let now = TimeMs::now();
        for ((number, part), ends) in parts.iter().zip(ends) {
            if ends.high.saturating_sub(part.read) > LEVEL && part.written_at.0 < now.0.saturating_sub(LATE_MS) {
                continue;
            }
            let networks: BTreeSet<&Network> = part.heard.keys().chain(snapshot.fold.living_on(*number)).collect();
            for network in networks {
                let none = VecDeque::new();
                let heard = part.heard.get(network).copied().unwrap_or_default();
                let of = (network, heard, part.incomplete.get(network).unwrap_or(&none));
                said.extend(clocks.look(of, &snapshot.fold, rules, now));
            }
        }
        said
    }
}

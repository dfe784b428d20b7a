//! One partition in this group's hands: its networks, what each gave, and how far it was read.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use runtime::log::{
    Log, LogError, Record, TopicPartition,
    compacted::{Found, judge, key},
    fold,
    membership::decided,
};
use schemas::{
    Codec, Envelope, Network, TimeMs,
    limits::alerts::INCOMPLETE_OF_NETWORK,
    records::{AlertRing, EnrichedBlock},
    topics,
};

use tokio::time::Instant;

use super::{
    clocks::Heard,
    failures::Failures,
    figures::Figures,
    history::{self, Reading},
    late::Late,
    ring::{Place, Ring},
};
use crate::metrics;

/// A partition.
pub struct Part {
    /// What its networks gave.
    pub rings: BTreeMap<Network, Ring>,
    /// Windows of those networks that rules are about.
    pub figures: BTreeMap<Network, Figures>,
    /// When it was begun to read windows of a network back.
    pub read_back: BTreeMap<Network, Instant>,
    /// Windows that are being read back.
    pub reading: BTreeMap<Network, Reading>,
    /// The last event of each network that was worked up.
    pub places: BTreeMap<Network, Place>,
    /// Failures of those networks that rules about failures are about.
    pub failures: BTreeMap<Network, Failures>,
    /// Failures that monitors wait for the causes of.
    pub late: BTreeMap<Network, Late>,
    /// Since when the reorg of a network goes on that is not over.
    pub reorgs: BTreeMap<Network, Instant>,
    /// Which rules each network's ring knows of.
    pub followed: BTreeMap<Network, u64>,
    /// What is known of each network from its events.
    pub heard: BTreeMap<Network, Heard>,
    /// When blocks were seen of which something could not be read.
    pub incomplete: BTreeMap<Network, VecDeque<TimeMs>>,
    /// One past the last record of `enriched.blocks` that was worked up.
    pub read: u64,
    /// When that one was written.
    pub written_at: TimeMs,
}

impl Part {
    fn new(read: u64) -> Self {
        Self {
            rings: BTreeMap::new(),
            figures: BTreeMap::new(),
            read_back: BTreeMap::new(),
            reading: BTreeMap::new(),
            places: BTreeMap::new(),
            failures: BTreeMap::new(),
            late: BTreeMap::new(),
            reorgs: BTreeMap::new(),
            followed: BTreeMap::new(),
            heard: BTreeMap::new(),
            incomplete: BTreeMap::new(),
            read,
            written_at: TimeMs(0),
        }
    }

    /// As `alerts.ring` has it: what a former holder of the partition had under way there is waited for.
    ///
    /// # Errors
    /// What the log says.
    pub async fn restore(log: &dyn Log, codec: &Codec, partition: u32, read: u64) -> Result<Self, LogError> {
        let at = TopicPartition { topic: topics::ALERTS_RING.name, partition };
        decided(log, at).await?;
        let mut newest: BTreeMap<String, AlertRing> = BTreeMap::new();
        fold(log, at, |record: Record| {
            let Some(key) = key(&record).map(str::to_owned) else { return Ok(()) };
            match judge::<AlertRing>(codec, &record) {
                Found::Ours(found) => drop(newest.insert(key, found)),
                Found::Removed => drop(newest.remove(&key)),
                Found::Foreign => {}
                Found::Unreadable(why) => {
                    newest.remove(&key);
                    tracing::error!(key, why, "what an event gave cannot be read: a reorg would not take it back");
                }
            }
            Ok::<(), LogError>(())
        })
        .await?;
        let mut part = Self::new(read);
        for record in newest.into_values() {
            let ring = part.ring(&record.network);
            if let Err(error) = ring.restore(&record) {
                metrics::unwritten(&record.network);
                let (network, sequence) = (&record.network, record.sequence);
                tracing::error!(%network, sequence, %error, "what an event gave cannot be read: a reorg would not take it back");
            }
        }
        let now = TimeMs::now();
        part.rings.values_mut().for_each(|ring| ring.wait_anew(now));
        Ok(part)
    }

    /// Whether the windows of a network may be read back by now.
    pub fn may_read_back(&self, network: &Network) -> bool {
        self.read_back.get(network).is_none_or(|at| at.elapsed() >= history::EVERY)
    }

    /// Whether a network's reorg goes on with this event, and not for longer than anybody waits for its end.
    pub fn reorg_goes_on(&mut self, network: &Network, envelope: &Envelope, settle: Duration) -> bool {
        if envelope.reorg_remaining == 0 {
            self.reorgs.remove(network);
            return false;
        }
        self.reorgs.entry(network.clone()).or_insert_with(Instant::now).elapsed() < settle
    }

    /// The ring of a network.
    pub fn ring(&mut self, network: &Network) -> &mut Ring {
        self.rings.entry(network.clone()).or_insert_with(|| Ring::new(network.clone()))
    }

    /// Takes in what clocks are held against.
    pub fn hear(&mut self, network: &Network, block: &EnrichedBlock) {
        let envelope = &block.envelope;
        let heard = self.heard.entry(network.clone()).or_default();
        heard.observed_at = heard.observed_at.max(Some(envelope.observed_at));
        heard.tip = Some((envelope.sequence, envelope.height));
        if block.summary.as_ref().is_some_and(|summary| summary.unreadable > 0) {
            let incomplete = self.incomplete.entry(network.clone()).or_default();
            incomplete.push_back(envelope.observed_at);
            if incomplete.len() > INCOMPLETE_OF_NETWORK {
                incomplete.pop_front();
            }
        }
    }
}

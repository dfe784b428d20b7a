//! Networks that the group's position lies ahead of: what the store lacks of them lies further back in the log.
//!
//! Guarantee: such a network is read again by itself, from the oldest record on, beside the group and one network at a time; the
//! group's position is never put back, and no other network waits or is read twice. Until the two readings meet, the network's events
//! from the group are passed over, and its partition's position stays before the first of them, so that whoever takes over finds
//! the same. Where the network's records break off meanwhile, it halts when the readings meet, with all that lies before written.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use runtime::log::{
    Log, LogError, Offsets, TopicPartition,
    events::{self, Halt, NetworkReader},
};
use schemas::Network;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{
    group::{LOG_PAUSE, READ, TOPICS},
    metrics,
};

/// A network, its partition, and the sequence that its store wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub network: Network,
    pub partition: u32,
    pub from: u64,
}

/// The networks that are behind, in the order in which that was found.
#[derive(Debug, Default)]
pub(super) struct Behind {
    wanted: Vec<Wanted>,
    /// The last sequence of each that was passed over.
    passed: HashMap<Network, u64>,
    /// Why the group brings no more of them: it says so once.
    broken: HashMap<Network, Halt>,
    /// Positions of their partitions that are not committed yet.
    held_back: BTreeMap<TopicPartition, u64>,
}

impl Behind {
    /// Adds a network, whose event of this sequence the group brought too early.
    pub fn add(&mut self, wanted: Wanted, sequence: u64) {
        self.pass_over(&wanted.network, sequence);
        if !self.has(&wanted.network) {
            self.wanted.push(wanted);
        }
    }

    /// A network that is behind is wanted from another sequence on.
    pub fn from(&mut self, network: &Network, from: u64) {
        self.wanted.iter_mut().filter(|w| w.network == *network).for_each(|w| w.from = from);
    }

    /// An event of a network that is behind is passed over.
    pub fn pass_over(&mut self, network: &Network, sequence: u64) {
        let passed = self.passed.entry(network.clone()).or_default();
        *passed = sequence.max(*passed);
    }

    /// The last sequence that was passed over of a network that is behind; 0: none.
    pub fn passed(&self, network: &Network) -> u64 {
        self.passed.get(network).copied().unwrap_or(0)
    }

    /// The group's records of a network that is behind break off.
    pub fn breaks_off(&mut self, network: &Network, why: Halt) {
        self.broken.insert(network.clone(), why);
    }

    /// Whether a network is behind no more once its events below `next` are written: the two readings have met.
    pub fn meets(&self, network: &Network, next: u64) -> bool {
        self.has(network) && self.passed.get(network).is_none_or(|passed| *passed < next)
    }

    /// Whether a network is behind.
    pub fn has(&self, network: &Network) -> bool {
        self.wanted.iter().any(|w| w.network == *network)
    }

    /// Who is read next.
    pub fn first(&self) -> Option<&Wanted> {
        self.wanted.first()
    }

    /// A network is behind no more. Returns positions that may be committed now, and why the group brings nothing more of it.
    pub fn done(&mut self, network: &Network) -> (BTreeMap<TopicPartition, u64>, Option<Halt>) {
        self.wanted.retain(|w| w.network != *network);
        self.passed.remove(network);
        let broken = self.broken.remove(network);
        let waited_for = |at: &TopicPartition, wanted: &[Wanted]| wanted.iter().any(|w| w.partition == at.partition);
        let (still, free) =
            std::mem::take(&mut self.held_back).into_iter().partition(|(at, _)| waited_for(at, &self.wanted));
        self.held_back = still;
        (free, broken)
    }

    /// Takes a position that was reached in a partition. Returns it when it may be committed.
    pub fn reached(&mut self, partition: u32, next: Offsets) -> Offsets {
        if self.wanted.iter().any(|w| w.partition == partition) {
            self.held_back.extend(next);
            return Offsets::new();
        }
        next
    }

    /// Forgets partitions.
    pub fn forget(&mut self, partitions: &[u32]) {
        self.wanted.retain(|w| !partitions.contains(&w.partition));
        let has = |network: &Network| self.wanted.iter().any(|w| w.network == *network);
        self.passed.retain(|network, _| has(network));
        self.broken.retain(|network, _| has(network));
        self.held_back.retain(|at, _| !partitions.contains(&at.partition));
    }
}

/// What the second reading brings.
pub(super) enum Found {
    /// Events of the network; those before the one that is wanted come without their children.
    Events(Vec<events::Event>),
    /// What is wanted is not in the log.
    Halted(Halt),
    /// The log failed for good.
    Failed(LogError),
}

/// A network that is being read again. Dropping it ends the reading.
pub(super) struct SecondReading {
    pub wanted: Wanted,
    found: mpsc::Receiver<Found>,
    _task: AbortOnDropHandle<()>,
}

impl SecondReading {
    /// Begins.
    pub fn begin(log: Arc<dyn Log>, wanted: Wanted) -> Self {
        tracing::warn!(
            network = %wanted.network, partition = wanted.partition, sequence = wanted.from,
            "the store lacks events before the group's position: reading the network again from the oldest record"
        );
        metrics::read_again(wanted.network.as_str());
        let (out, found) = mpsc::channel(1);
        let task = tokio::spawn(read(log, wanted.clone(), out));
        Self { wanted, found, _task: AbortOnDropHandle::new(task) }
    }

    /// What comes next; waits for ever once all was told.
    pub async fn next(&mut self) -> Found {
        match self.found.recv().await {
            Some(found) => found,
            None => std::future::pending().await,
        }
    }
}

/// Reads until nobody listens; from the beginning again when the log was away.
async fn read(log: Arc<dyn Log>, wanted: Wanted, out: mpsc::Sender<Found>) {
    loop {
        match read_once(&*log, &wanted, &out).await {
            Ok(()) => return,
            Err(e) if e.is_transient() => {
                tracing::warn!(network = %wanted.network, error = %e, "the log is away, beginning again");
                tokio::time::sleep(LOG_PAUSE).await;
            }
            Err(e) => {
                let _ = out.send(Found::Failed(e)).await;
                return;
            }
        }
    }
}

async fn read_once(log: &dyn Log, wanted: &Wanted, out: &mpsc::Sender<Found>) -> Result<(), LogError> {
    let Wanted { network, partition, from } = wanted;
    let mut reader = NetworkReader::open(log, (TOPICS[0], TOPICS[1]), *partition, network, *from).await?;
    loop {
        let found = match reader.next(READ.0, READ.1, Duration::from_secs(1)).await? {
            events::Batch::Events(events) if events.is_empty() => continue,
            events::Batch::Events(events) => Found::Events(events),
            events::Batch::Halted { why, .. } => Found::Halted(why),
            events::Batch::Assigned(_) | events::Batch::Revoked(_) => continue,
        };
        let last = matches!(found, Found::Halted(_));
        if out.send(found).await.is_err() || last {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: u32) -> TopicPartition {
        TopicPartition { topic: TOPICS[0], partition }
    }

    fn wanted(network: &str, partition: u32) -> Wanted {
        Wanted { network: network.parse().expect("a slug"), partition, from: 3 }
    }

    #[test]
    fn a_partitions_position_waits_for_all_its_networks_and_no_other_does() {
        let mut behind = Behind::default();
        behind.add(wanted("a", 1), 5);
        behind.add(wanted("b", 1), 9);
        behind.add(wanted("a", 1), 5);
        assert!(behind.reached(1, vec![(at(1), 7)]).is_empty());
        assert_eq!(behind.reached(2, vec![(at(2), 5)]), [(at(2), 5)]);
        assert!(behind.reached(1, vec![(at(1), 8)]).is_empty());
        assert_eq!(behind.first(), Some(&wanted("a", 1)));
        behind.pass_over(&wanted("a", 1).network, 6);
        assert!(!behind.meets(&wanted("a", 1).network, 6) && behind.meets(&wanted("a", 1).network, 7));
        assert_eq!(behind.done(&wanted("a", 1).network), (BTreeMap::new(), None));
        let gap = Halt::Gap { expected: 10, found: 12 };
        behind.breaks_off(&wanted("b", 1).network, gap);
        assert_eq!(behind.done(&wanted("b", 1).network), (BTreeMap::from([(at(1), 8)]), Some(gap)), "told once");
        assert_eq!(behind.done(&wanted("b", 1).network), (BTreeMap::new(), None));
        assert_eq!(behind.reached(1, vec![(at(1), 9)]), [(at(1), 9)]);
    }

    #[test]
    fn what_is_revoked_is_forgotten() {
        let mut behind = Behind::default();
        behind.add(wanted("a", 1), 5);
        behind.add(wanted("b", 2), 9);
        behind.reached(1, vec![(at(1), 7)]);
        behind.breaks_off(&wanted("a", 1).network, Halt::Gap { expected: 6, found: 8 });
        behind.forget(&[1]);
        assert_eq!(behind.first(), Some(&wanted("b", 2)));
        assert_eq!(behind.done(&wanted("b", 2).network), (BTreeMap::new(), None));
        assert_eq!(behind.done(&wanted("a", 1).network), (BTreeMap::new(), None));
    }
}

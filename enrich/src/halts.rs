//! Networks that stand still here, and how that is told (rule 13: a halt is remembered only when the commit that tells of it has
//! succeeded).
//!
//! Guarantee: a network is dropped only while this member holds its partition and its dead letter is in the log; what a membership
//! knew ends with it, since events that were not committed come again. That a network stands still, or goes on, is in the log with the
//! positions behind the event that it follows from: in the same transaction ([`Halts::tell`]), so that whoever takes the partition over
//! knows it ([`crate::place`]) however this process ends. It stands on the board before that: said too early it does no harm, since the
//! event then comes again; said too late it would be a hole. Shown by `tests/pipeline.rs`, with a beat that says nothing.

use std::collections::{BTreeMap, HashMap};

use runtime::{
    beat::Board,
    log::events::{Event, Halt},
};
use schemas::{
    BlockHash, Network, Op, Origin,
    records::{EnrichState, RawBlock, StageStatus},
};

use crate::metrics;

/// What is known of the networks of the partitions that are held.
pub(crate) struct Halts {
    board: Board,
    halted: HashMap<Network, (u32, EnrichState)>,
    /// Those that halted since the last commit, and their partitions.
    untold: BTreeMap<Network, u32>,
    /// Where the output of networks ended when this group had no position.
    done: HashMap<Network, (u32, Done)>,
    /// Networks before which records are gone, each with the sequence that it stands before.
    overtaken: HashMap<Network, (u32, u64)>,
    /// Networks that go on over a gap, in partitions that are read again below the group's position: the request by which they do.
    catching_up: HashMap<Network, (u32, String)>,
}

/// The event that a network's output ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    /// Its sequence.
    pub sequence: u64,
    /// What it did.
    pub op: Op,
    /// To which block.
    pub block_hash: BlockHash,
}

/// A network that halts when what tells of it is committed.
pub(crate) struct Halting {
    /// Its partition.
    pub partition: u32,
    /// The network.
    pub network: Network,
    /// What it will be in.
    pub state: EnrichState,
    /// Why.
    pub why: String,
    /// The sequence that could not be passed on.
    pub sequence: u64,
}

impl Halts {
    /// None yet.
    pub fn new(board: Board) -> Self {
        let (halted, done, overtaken, catching_up) = Default::default();
        Self { board, halted, untold: BTreeMap::new(), done, overtaken, catching_up }
    }

    /// Whether a network's events are dropped.
    pub fn contains(&self, network: &Network) -> bool {
        self.halted.contains_key(network)
    }

    /// A network is halted, since what comes next of it does not fit; `next`: the sequence that it stands before, where it is known.
    /// Its position stays until the next commit.
    pub fn halt(&mut self, partition: u32, network: &Network, state: EnrichState, why: &str, next: Option<u64>) {
        self.say(partition, network, state, why, next);
        self.halted(partition, network, state, why);
        self.untold.insert(network.clone(), partition);
        if let Some(next) = next.filter(|_| state == EnrichState::Overtaken) {
            self.overtaken.insert(network.clone(), (partition, next));
        }
    }

    /// Networks before which records are gone: partition, network, and the sequence that it stands before.
    pub fn overtaken(&self) -> impl Iterator<Item = (u32, &Network, u64)> {
        self.overtaken.iter().map(|(network, (partition, next))| (*partition, network, *next))
    }

    /// A network goes on over a gap by this request, in a partition that is read again below the group's position: until that is
    /// reached it stays what it was in the log, so that whoever takes over reads again too.
    pub fn catches_up(&mut self, partition: u32, network: Network, id: String) {
        self.catching_up.insert(network, (partition, id));
    }

    fn say(&self, partition: u32, network: &Network, state: EnrichState, why: &str, next: Option<u64>) {
        self.board.network(partition, network, |row| {
            state.as_str().clone_into(&mut row.state);
            row.detail = Some(words(network, state, why));
            row.sequence = next.map(|n| n.saturating_sub(1)).or(row.sequence);
        });
    }

    fn halted(&mut self, partition: u32, network: &Network, state: EnrichState, why: &str) {
        let detail = words(network, state, why);
        tracing::error!(%network, partition, state = state.as_str(), "the network is halted: {detail}");
        metrics::halted(network.as_str(), state.as_str(), true);
        self.catching_up.remove(network);
        self.halted.insert(network.clone(), (partition, state));
    }

    /// What has to be in the log with the positions behind these events: which of their networks go on and which halt, and which
    /// halted since the last commit. `caught_up`: partitions that are read no longer below the group's position from here on.
    pub fn tell<'e>(
        &mut self,
        instance: &str,
        passed_on: impl Iterator<Item = &'e Event>,
        halting: &[Halting],
        caught_up: &[u32],
    ) -> Vec<StageStatus> {
        let mut changed = self.untold.clone();
        let level = |(network, (partition, _)): (&Network, &(u32, String))| {
            caught_up.contains(partition).then(|| (network.clone(), *partition))
        };
        let level: Vec<(Network, u32)> = self.catching_up.iter().filter_map(level).collect();
        for (network, partition) in level {
            self.catching_up.remove(&network);
            self.goes_on(partition, &network);
            changed.insert(network, partition);
        }
        for event in passed_on {
            let (network, partition) = (&event.meta.network, event.partition);
            if let Some((_, id)) = self.catching_up.get(network) {
                self.say_catching_up(partition, network, id, event.meta.sequence);
                changed.insert(network.clone(), partition);
            } else if self.board.row(network).is_some_and(|row| !row.state.is_empty()) {
                self.goes_on(partition, network);
                changed.insert(network.clone(), partition);
            }
        }
        for Halting { partition, network, state, why, sequence } in halting {
            self.say(*partition, network, *state, why, Some(*sequence));
            changed.insert(network.clone(), *partition);
        }
        changed.keys().filter_map(|network| self.board.status(instance, network)).collect()
    }

    fn say_catching_up(&self, partition: u32, network: &Network, id: &str, sequence: u64) {
        self.board.network(partition, network, |row| {
            EnrichState::Overtaken.as_str().clone_into(&mut row.state);
            row.detail = Some(format!(
                "enrich goes on behind what was given up (request {id}), and reads the network again: it is at sequence {sequence}"
            ));
            row.sequence = Some(sequence);
        });
    }

    fn goes_on(&self, partition: u32, network: &Network) {
        tracing::info!(%network, partition, "the network goes on");
        self.board.network(partition, network, |row| {
            metrics::halted(network.as_str(), known_word(&row.state), false);
            row.state.clear();
            row.detail = None;
        });
    }

    /// The commit that tells of these, and of those before, has succeeded.
    pub fn committed(&mut self, halting: Vec<Halting>) {
        self.untold.clear();
        for Halting { partition, network, state, why, .. } in halting {
            self.halted(partition, &network, state, &why);
        }
    }

    /// An event of a network was passed on.
    pub fn passed_on(&mut self, event: &Event, block: &Passed) {
        let (network, partition) = (&event.meta.network, event.partition);
        let live = block.origin == Origin::Live;
        metrics::processed(network.as_str(), live.then_some(block.height), event.meta.sequence);
        self.board.network(partition, network, |row| {
            row.sequence = Some(event.meta.sequence);
            match event.meta.op {
                // A block that is filled in is nobody's tip.
                _ if !live => {}
                Op::Apply => (row.height, row.block_time) = (Some(block.height), Some(block.time)),
                Op::Revert => (row.height, row.block_time) = (block.height.checked_sub(1), None),
                Op::Finality => {}
            }
        });
    }

    /// What was said of a network before this process had its partition stands until its next event comes.
    pub fn remember(
        &self,
        partition: u32,
        network: &Network,
        state: &str,
        detail: Option<String>,
        sequence: Option<u64>,
    ) {
        self.board.network(partition, network, |row| {
            state.clone_into(&mut row.state);
            (row.detail, row.sequence) = (detail, sequence);
        });
    }

    /// The output of a network ends there, though the group has no position.
    pub fn resume(&mut self, partition: u32, network: Network, done: Done) {
        self.done.insert(network, (partition, done));
    }

    /// Whether an event is in the output already: `Ok(true)` when it is the one that the output ends with, an error in words when
    /// another one stands there under its sequence.
    pub fn is_done(&mut self, event: &Event, block: &RawBlock) -> Result<bool, String> {
        let Some((_, done)) = self.done.get(&event.meta.network) else { return Ok(false) };
        let (sequence, e) = (event.meta.sequence, &block.envelope);
        if sequence > done.sequence {
            self.done.remove(&event.meta.network);
            return Ok(false);
        }
        if sequence < done.sequence || e.op == Op::Finality || (e.op == done.op && e.block_hash == done.block_hash) {
            return Ok(true);
        }
        Err(format!(
            "the group has no position, and under sequence {sequence} the output has {} {}, the log {} {}",
            done.op, done.block_hash, e.op, e.block_hash
        ))
    }

    /// These partitions are no longer ours: whoever has them now reads for himself.
    pub fn forget(&mut self, partitions: &[u32]) {
        self.halted.retain(|network, (partition, state)| {
            let keeps = !partitions.contains(partition);
            if !keeps {
                metrics::halted(network.as_str(), state.as_str(), false);
            }
            keeps
        });
        self.untold.retain(|_, partition| !partitions.contains(partition));
        self.done.retain(|_, (partition, _)| !partitions.contains(partition));
        self.overtaken.retain(|_, (partition, _)| !partitions.contains(partition));
        self.catching_up.retain(|_, (partition, _)| !partitions.contains(partition));
    }
}

impl Drop for Halts {
    fn drop(&mut self) {
        for (network, (_, state)) in &self.halted {
            metrics::halted(network.as_str(), state.as_str(), false);
        }
    }
}

/// A block that was passed on.
pub(crate) struct Passed {
    /// Its height.
    pub height: u64,
    /// Its time stamp.
    pub time: schemas::TimeMs,
    /// Whether it came as the head, or is filled in.
    pub origin: Origin,
}

/// A state's word for a label, which must be of a closed set.
fn known_word(word: &str) -> &'static str {
    EnrichState::parse(word).map_or("other", EnrichState::as_str)
}

/// The state that a broken order means.
pub(crate) const fn state_of(why: &Halt) -> EnrichState {
    match why {
        Halt::Overtaken { .. } | Halt::Gap { .. } => EnrichState::Overtaken,
        Halt::Again { .. } => EnrichState::LogReplaced,
        Halt::FewerChildren { .. } | Halt::MoreChildren { .. } | Halt::BadHeaders { .. } => EnrichState::Unreadable,
    }
}

/// The sequence that a network stands before when its order is broken so.
pub(crate) const fn next_of(why: &Halt) -> Option<u64> {
    match why {
        Halt::Overtaken { expected, .. } => *expected,
        Halt::Gap { expected, .. } | Halt::Again { expected, .. } => Some(*expected),
        Halt::FewerChildren { sequence, .. } => Some(*sequence),
        Halt::MoreChildren { .. } | Halt::BadHeaders { .. } => None,
    }
}

fn words(network: &Network, state: EnrichState, why: &str) -> String {
    format!("enrich has stopped this network: {why}. {}", advice(network, state))
}

fn advice(network: &Network, state: EnrichState) -> String {
    let words = match state {
        EnrichState::Running => "",
        EnrichState::Overtaken => {
            return format!(
                "Nothing was skipped, other networks go on. `headwater accept-gap --config FILE --network {network}` gives up exactly \
                 what is gone, and says what that is; the network then goes on by itself. Keep the topics' retention longer than a \
                 stage may stand still"
            );
        }
        EnrichState::LogReplaced => {
            "Nothing was written twice. Bring back the checkpoints that belong to this log, or follow it under another slug"
        }
        EnrichState::Unreadable => {
            "`headwater dead-letters list` has the record, if one came. Run a version that reads it; other networks go on"
        }
    };
    words.to_owned()
}

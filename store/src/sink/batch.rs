//! What is written at once: whole block events, in order, cut into runs of applies and runs of reverts.

use std::collections::{HashMap, HashSet};

use schemas::{
    Network, Op,
    records::{EnrichedBlock, EnrichedTransaction, Payload},
};

/// A block event as the sink works with it.
#[derive(Debug, Clone)]
pub struct Event {
    /// The header record.
    pub block: EnrichedBlock,
    /// Transactions by position; empty on reverts.
    pub transactions: Vec<EnrichedTransaction>,
}

impl Event {
    /// Its network.
    pub fn network(&self) -> &Network {
        &self.block.envelope.network
    }

    /// Rows that it becomes, over all tables.
    pub fn rows(&self) -> usize {
        let logs = |t: &EnrichedTransaction| match &t.payload {
            Payload::Evm(t) => 1 + t.0.logs.len(),
            Payload::Bitcoin(t) => 1 + t.inputs.len() + t.outputs.len(),
            Payload::Revert | Payload::Unreadable { .. } => 0,
        };
        2 + self.transactions.iter().map(logs).sum::<usize>()
    }
}

/// Events that one pass over the tables writes: of each network only applies or only reverts.
#[derive(Debug, Default)]
pub(super) struct Phase<'a> {
    /// Rows are inserted for these.
    pub applies: Vec<&'a Event>,
    /// Deletion rows are inserted for these.
    pub reverts: Vec<&'a Event>,
}

impl<'a> Phase<'a> {
    /// All its events, of each network in order.
    pub fn events(&self) -> Vec<&'a Event> {
        self.reverts.iter().chain(&self.applies).copied().collect()
    }
}

/// Phases in order: before a revert is applied, everything before it of its network is on disk (rule 16). A height that is
/// applied a second time without a revert between (back-fill, again) begins a new phase too, so that the first one's rows
/// are there to be deleted. Networks do not wait for each other's reorgs.
pub(super) fn phases<'a>(events: &[&'a Event]) -> Vec<Phase<'a>> {
    struct At {
        phase: usize,
        op: Op,
        heights: HashSet<u64>,
    }
    let mut phases: Vec<Phase<'a>> = Vec::new();
    let mut networks: HashMap<&Network, At> = HashMap::new();
    for &event in events {
        let e = &event.block.envelope;
        let at = networks.entry(&e.network).or_insert_with(|| At { phase: 0, op: e.op, heights: HashSet::new() });
        if at.op != e.op || at.heights.contains(&e.height) {
            *at = At { phase: at.phase + 1, op: e.op, heights: HashSet::new() };
        }
        at.heights.insert(e.height);
        if phases.len() <= at.phase {
            phases.push(Phase::default());
        }
        match e.op {
            Op::Revert => phases[at.phase].reverts.push(event),
            Op::Apply | Op::Finality => phases[at.phase].applies.push(event),
        }
    }
    phases
}

//! What is written at once: whole block events, in order, cut into runs of applies and runs of reverts.

use std::collections::HashSet;

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
            Payload::Transaction(t) => 1 + t.0.logs.len(),
            Payload::Revert | Payload::Unreadable { .. } => 0,
        };
        2 + self.transactions.iter().map(logs).sum::<usize>()
    }
}

/// A run of events that one pass over the tables writes.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Kind {
    /// Rows are inserted.
    Applies,
    /// Deletion rows are inserted.
    Reverts,
}

/// Runs of equal operation, in order: before a revert is applied, everything before it is on disk (rule 16). A height that
/// is applied a second time without a revert between (back-fill, again) begins a new run too, so that the first one's rows are
/// there to be deleted.
pub(super) fn runs(events: &[Event]) -> Vec<(Kind, &[Event])> {
    let mut runs = Vec::new();
    let mut start = 0;
    let mut heights: HashSet<(&Network, u64)> = HashSet::new();
    for (i, event) in events.iter().enumerate() {
        let e = &event.block.envelope;
        let differs = e.op != events[start].block.envelope.op;
        if differs || heights.contains(&(&e.network, e.height)) {
            runs.push(&events[start..i]);
            start = i;
            heights.clear();
        }
        heights.insert((&e.network, e.height));
    }
    if start < events.len() {
        runs.push(&events[start..]);
    }
    let kind = |run: &[Event]| match run[0].block.envelope.op {
        Op::Revert => Kind::Reverts,
        Op::Apply | Op::Finality => Kind::Applies,
    };
    runs.into_iter().map(|run| (kind(run), run)).collect()
}

//! Why a transaction failed, with evidence, late (rule 14).
//!
//! Input: `raw.transactions`, of which only what the header `status` calls failed, and reverts, are read; `dead.letters`, of which what
//! failed and the stream does not have; `contract.facts` for the names of errors; nodes, at a block's hash. Output: `enriched.causes`.
//!
//! Guarantee: every failed transaction of an applied block gets exactly one record, with the best evidence that could be had in time and
//! within the budget: a trace, a call at the parent's state, what others of its group failed of, or the receipt alone. The newest come
//! first and none is passed over. The group's position never passes one that has no record; records and positions are one transaction
//! under the group's generation; whoever takes a partition over reads what was decided behind the position. Nothing of another block is
//! ever evidence: nodes are asked by the block's hash, and one that is reverted while it waits is told by its receipt. The stream waits
//! for none of it, and what waits has limits.
//!
//! In the order of the data: [`item`] (one that waits), [`part`] (a partition), [`groups`] (who is looked at), [`queue`] and [`seeker`]
//! (who asks), [`evidence`] (what nodes say), [`abis`] (names), [`record`] (what is written), [`before`] (what was), [`letters`] (what the
//! stream does not have), [`stage`] (the wiring).

mod abis;
mod before;
pub mod evidence;
mod groups;
mod item;
mod letters;
mod part;
mod queue;
mod record;
mod seeker;
mod stage;

use std::{sync::Arc, time::Duration};

pub use decode::causes::Table;
pub use stage::GROUP;
pub(super) use stage::run;

/// How causes of failures are found.
#[derive(Debug, Clone)]
pub struct Failures {
    /// Whether nodes are asked for evidence; without, each is told by its receipt at once.
    pub traces: bool,
    /// Rows by which they are classed.
    pub table: Arc<Table>,
    /// How long one may wait for evidence.
    pub give_up_after: Duration,
}

impl Default for Failures {
    fn default() -> Self {
        Self { traces: false, table: Arc::new(Table::builtin().clone()), give_up_after: Duration::from_secs(600) }
    }
}

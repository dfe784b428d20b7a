//! "Is it us, the chain or the provider?": figures of the last minutes beside what is usual, and one sentence. [`judge`] is pure.
//!
//! Guarantee: `contract`, `chain` or `provider` is said only where a figure lies beyond its own last day by more than chance explains
//! ([`usual`]), or an endpoint says itself that it is not well; every comparison that was not possible is named. Who cannot see the chain
//! is told that first, and who sees two of them; then what fails at the contract alone; then what is the matter with the chain; then single
//! endpoints, which others stand in for. A chain is compared by what it has ([`Chain`]).

mod bitcoin;
mod chain;
mod endpoints;
mod gather;
mod judge;
#[cfg(test)]
mod tests;
mod usual;
mod words;

use schemas::TimeMs;
use store::query::Figures;

pub use chain::Chain;
pub use gather::of;
pub use judge::judge;

/// How an endpoint was.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointThen {
    /// Its name.
    pub name: String,
    /// The word of its state; `ok`: well.
    pub state: String,
    /// Why, in a sentence.
    pub reason: Option<String>,
    /// Median latency, milliseconds.
    pub latency_ms: Option<u64>,
    /// Blocks behind the best one.
    pub lag_blocks: Option<u64>,
    /// Whether whole blocks are to be had from it: an Electrum server gives headers alone.
    pub bodies: bool,
}

/// The contract that most failures of a time called.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// What it is called, or its address.
    pub name: String,
    /// Failures that called it.
    pub failed: u64,
    /// All failures that were counted.
    pub of: u64,
}

/// What is judged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Case {
    /// What the contract is called, or its address; `None`: it is about all of the network.
    pub contract: Option<String>,
    /// By what the chain is judged.
    pub chain: Chain,
    /// The time that it is about.
    pub at: TimeMs,
    /// The network in the time that is judged.
    pub now: Figures,
    /// The network in windows of the day before ([`Chain::step`]), whole ones.
    pub usual: Vec<Figures>,
    /// The contract likewise.
    pub contract_now: Option<Figures>,
    /// The contract likewise.
    pub contract_usual: Vec<Figures>,
    /// The newest block and its time, where it may lie before the time that is judged.
    pub head: Option<(u64, TimeMs)>,
    /// Why its sources are on different branches of the chain, where they are.
    pub apart: Option<String>,
    /// The endpoints at that time.
    pub endpoints: Vec<EndpointThen>,
    /// The contract that most of the network's failures called.
    pub worst: Option<Worst>,
    /// What could not be had, in words.
    pub missing: Vec<String>,
}

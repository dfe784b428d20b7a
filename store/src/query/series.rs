//! Figures over time, step by step.

use schemas::{Network, TimeMs};

use super::{Metric, Source, Step, Value};
use crate::{Store, StoreError, StoreErrorKind};

/// Which figures, of whom, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesFilter {
    /// The network.
    pub network: Network,
    /// A contract of it: `0x` and 40 lower-case hex digits on EVM. `None`: the whole network.
    pub contract: Option<String>,
    /// Whether windows of the contract may tell of it: that one exists tells that somebody watches it. Else it is read from rows alone.
    pub contract_windows: bool,
    /// Which figures; each is answered once, in this order.
    pub metrics: Vec<Metric>,
    /// In these steps.
    pub step: Step,
    /// From the step on that this time lies in.
    pub from: TimeMs,
    /// To this time: a step that begins at it or later is not in it.
    pub to: TimeMs,
}

/// Figures over time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SeriesAnswer {
    /// As they were asked for.
    pub series: Vec<Series>,
    /// The last event of the network that is in them; 0 before the first.
    pub sequence: u64,
}

/// A figure over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Which.
    pub metric: Metric,
    /// Every step, the oldest first.
    pub points: Vec<Point>,
}

/// A figure of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Where the step begins.
    pub at: TimeMs,
    /// The figure; `None` where it is not known, or has no meaning (a rate of nothing).
    pub value: Option<Value>,
    /// Whether everything of the step is in it.
    pub complete: bool,
    /// Where it comes from.
    pub source: Source,
    /// What is missing, in words, where it is not complete.
    pub reason: Option<String>,
}

impl Store {
    /// Figures of a network or a contract over time: each step from its window; where there is none from rows, if the ledger is full there.
    ///
    /// # Errors
    /// The time is empty or has too many steps, or the store is away.
    pub async fn series(&self, filter: &SeriesFilter) -> Result<SeriesAnswer, StoreError> {
        let _ = filter;
        Err(StoreError::new(StoreErrorKind::Internal, "reading windows", "no table of windows is made yet"))
    }
}

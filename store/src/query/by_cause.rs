//! Failed transactions over time, by why they failed.

use schemas::{Network, TimeMs};

use super::Step;
use crate::{Store, StoreError, StoreErrorKind};

/// Of whom, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CausesFilter {
    /// The network.
    pub network: Network,
    /// What touched this contract (rule 20): `0x` and 40 lower-case hex digits on EVM. `None`: all.
    pub contract: Option<String>,
    /// In these steps.
    pub step: Step,
    /// From the step on that this time lies in.
    pub from: TimeMs,
    /// To this time: a step that begins at it or later is not in it.
    pub to: TimeMs,
}

/// Failed transactions of a time, by step and cause.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CausesOverTime {
    /// The oldest step first; of a step the most frequent first. Steps without failures have none.
    pub counts: Vec<CauseCount>,
    /// From when on they were counted: later than was asked where the time did not suffice for more.
    pub from: TimeMs,
    /// The last event of the network that is in it; 0 before the first.
    pub sequence: u64,
}

/// Failed transactions of a step with one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CauseCount {
    /// Where the step begins.
    pub at: TimeMs,
    /// Why, one word; `None` where nothing is known.
    pub cause: Option<String>,
    /// How many.
    pub count: u64,
}

impl Store {
    /// Failed transactions of a network or a contract over time, by cause.
    ///
    /// # Errors
    /// The time is empty or has too many steps, or the store is away.
    pub async fn failures_by_cause(&self, filter: &CausesFilter) -> Result<CausesOverTime, StoreError> {
        let _ = filter;
        Err(StoreError::new(StoreErrorKind::Internal, "counting failures by cause", "no table of windows is made yet"))
    }
}

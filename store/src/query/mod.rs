//! Typed questions to the store, one file per thing. All on [`Store`](crate::Store).
//!
//! Guarantee: every value from outside is a bound parameter, never a piece of SQL text; every question has a deadline here and
//! a limit on time at the store; lists read canonical rows only and end where the filter's bounds end.
//!
//! Lists are sorted by (block time, network, height, position). A question about newest rows that `FINAL` had to answer
//! over everything would read everything, so lists look through [`windows`] of heights or times that grow until the page
//! is full. A page may be short and still have a cursor: then the time budget ran out, and the next page goes on there.
//! No question of the API reads more as the tables grow: `tests/large` has a bound on the rows that each may read.

pub mod alerts;
pub mod bitcoin;
pub mod block_fees;
pub mod blocks;
pub mod by_cause;
mod by_rows;
pub mod catalogue;
pub mod completeness;
pub mod contracts;
pub mod diagnosis;
mod endpoint_steps;
mod endpoints;
pub mod events;
pub mod examples;
pub mod failures;
pub mod figures;
pub(crate) mod heads;
pub mod health;
pub mod held;
pub mod metric;
pub mod overview;
pub mod providers;
pub mod pruned;
pub mod remembered;
pub mod search;
pub mod series;
mod steps;
mod told;
pub mod totals;
pub mod transaction;
pub mod transactions;
mod upgrade;
mod windows;
pub(crate) mod wire;

pub use alerts::{
    AlertFilter, AlertRow, AlertStep, Attempt, Delivery, DeliveryFilter, LOOKED_BACK_MS, LeftOut, MatchFilter,
    MatchRow, TenantCounts, WholeAlert, WholeDelivery, Whose, Why,
};
pub use bitcoin::{
    BitcoinBlock, BitcoinDetail, BitcoinInput, BitcoinOutput, BitcoinParts, BitcoinTransactionDetail, SpentBy,
};
pub use block_fees::{BlockFees, FeeSums, TokenFees};
pub use blocks::{Block, BlockCursor, BlockFilter};
pub use by_cause::{CauseCount, CausesFilter, CausesOverTime};
pub use by_rows::ContractPast;
pub use catalogue::{TableSize, View, ViewColumn};
pub use completeness::{BlockCount, Bucket, RecentCompleteness, Run};
pub use contracts::ContractFigures;
pub use diagnosis::{Diagnosis, DiagnosisFilter, Usual};
pub use endpoint_steps::{EndpointStep, SeenStep};
pub use endpoints::EndpointAt;
pub use events::{BlockEvent, GapReason, ReplayEvent, ReplayPage, Rows};
pub use examples::{Example, examples};
pub use failures::{FailureGroup, Failures, FailuresFilter};
pub use figures::Figures;
pub use health::{ProcessedBlock, StoredNetwork, StoredPosition};
pub use held::{Completeness, CompletenessRange, Coverage};
pub use metric::{Metric, Source, Step, Unit, UnknownWord, Value};
pub use overview::{Overview, OverviewFilter};
pub use providers::ProviderMinute;
pub use pruned::Pruned;
pub use remembered::Remembered;
pub use search::{FoundHash, FoundHeight};
pub use series::{Point, Series, SeriesAnswer, SeriesFilter};
pub use steps::StepFigures;
pub use totals::NetworkTotals;
pub use transaction::{Failure, Log, TransactionDetail};
pub use transactions::{Transaction, TransactionCursor, TransactionFilter};

/// Order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Newest first.
    #[default]
    Newest,
    /// Oldest first.
    Oldest,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T, C> {
    /// Its items, in order; may be fewer than asked for.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end of the list.
    pub next: Option<C>,
}

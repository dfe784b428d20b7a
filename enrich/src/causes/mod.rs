//! Causes: what only a second look tells, late, beside the stream (rule 14).
//!
//! [`facts`]: which code stands behind a contract at which height, names and ABIs; writes `contract.facts`. [`failures`]: why a
//! transaction failed; writes `enriched.causes`. Each has a consumer group and a position of its own, and they share the nodes' budget.
//!
//! Guarantee: nothing waits for this stage, and nothing in the log is kept for it: where retention is faster it goes on behind what is
//! gone, and says so.

mod budget;
pub mod config;
pub mod facts;
pub mod failures;
mod metrics;
mod pace;

pub use budget::{Budget, Budgets};
pub use config::{AllNodes, Calls, Config, Nodes};
pub use facts::{GROUP, run, sources};
pub use metrics::describe as describe_metrics;

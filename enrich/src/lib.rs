//! Enrich: what a block event says, worked out from the event alone.
//!
//! Input: `raw.blocks`, `raw.transactions`, `control.config` for what is watched, `contract.facts` for what is known of contracts.
//! Output: `enriched.blocks`, `enriched.transactions`, `enriched.events`; what cannot be read goes to `dead.letters`, and a network that
//! is halted is named in `stage.status`. Beside it, late: [`causes`].
//!
//! Guarantee: a pure function of each block event, of the contracts that are watched, and of the facts that are known when it is worked
//! up ([`enrich_event`], rules 14 and 34), in sequence order, exactly once: output, dead letters and positions are one transaction of
//! the log (rule 10). What
//! cannot be decoded is passed on as a placeholder and counted (rule 13); reverts and finality pass through; no input panics and none
//! stops the stream. A network whose *header* record cannot be read, or whose order is broken, halts by name; no other network is held
//! up.

pub mod causes;
mod config;
mod error;
mod facts;
mod halts;
mod metrics;
mod output;
mod pipeline;
mod place;
mod shortcut;
pub mod steps;
mod watched;

pub use config::Config;
pub use error::Error;
pub use facts::GatheredFacts;
pub use metrics::describe as describe_metrics;
pub use pipeline::run;
pub use steps::{enrich_event, enrich_event_with};

//! Aggregate: what the blocks of a minute, five minutes, an hour and a day did, of networks and of watched contracts.
//!
//! Input: `enriched.blocks`. Output: `metrics.windows`. Records that cannot be read make windows incomplete; the sink has
//! them among the dead letters.
//!
//! Guarantee: windows are exact under every reorg, back-fill and restart ([`windows`]), and each is published once for what it says: windows
//! and position are one transaction of the log (rule 10; [`member`](self) says how the position and what was published belong together).
//! Nothing waits for this stage: what retention removed makes windows incomplete, with the reason, and halts nobody.

mod config;
mod error;
mod former;
mod member;
mod metrics;
mod output;
mod part;
mod pipeline;
pub mod windows;

pub use config::Config;
pub use error::Error;
pub use metrics::describe as describe_metrics;
pub use output::as_written;
pub use pipeline::{GROUP, run};

//! Alerts: what a tenant's rules and monitors find on the chains, what becomes of it, and who is told.
//!
//! ```text
//! enriched.blocks, enriched.transactions, providers.samples, metrics.windows ─▶ matching ─▶ alerts.ring, alerts.matches
//! alerts.matches, alerts.commands                                            ─▶ state    ─▶ alerts.state, alerts.events, alerts.outbox
//! alerts.outbox                                                              ─▶ deliver  ─▶ the world, alerts.deliveries, alerts.outbox
//! control.tenants ─▶ definitions ─▶ all three
//! ```
//!
//! Guarantee (rules 29, 30): three groups that meet at topics only. What the first two write and how far they have read is one transaction
//! of the log (rule 10), so that a match and a transition come once, whatever is killed; deliveries go out at least once, each message under
//! one id. Definitions are known to their end before the first record is worked up (rule 34). Nothing on the chain's way waits for this
//! stage.

mod config;
pub mod definitions;
pub mod deliver;
mod error;
pub mod life;
mod matching;
mod metrics;
pub mod past;
mod pipeline;
mod state;

pub use config::Config;
pub use error::Error;
pub use metrics::describe as describe_metrics;
pub use pipeline::{Context, run};

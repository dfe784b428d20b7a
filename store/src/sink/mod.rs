//! The sink: `enriched.blocks` and `enriched.transactions` → the store's tables.
//!
//! Guarantee: every block event is in the store once whatever is killed when, what a revert undoes is gone from the views,
//! and offsets move only when everything before them is on disk (rule 16, kept in [`write`]). An event is never written over
//! another one and nothing is jumped over: a network whose log does not fit the store halts, the others go on (rules 11
//! and 12, kept in [`guard`]). What the store lacks of one network is read again for it alone (kept in [`behind`]), and what the store
//! refuses of one network stops that one only (kept in [`apart`]). While the store is away the sink waits with at most two batches in
//! memory, reads no further and stays a member of its group ([`member`]); nothing is committed past a dead letter that is not written
//! ([`graveyard`]). What is not to be kept is removed beside it, whole partitions at a time ([`keep`]). A store of a former layout is upgraded first ([`upgrade`]). How whole the rows are is counted beside the writing, never in its way ([`audit`], rule 18).
//!
//! Beside it, `enriched.causes` → the rows of failed transactions, once they are there ([`causes`], [`fold`]): block events never wait for it.
//!
//! Beside it, `metrics.windows` → rows of windows, which wait for no block's row and let none wait ([`windows`]).
//!
//! Beside it, what becomes of alerts → the tables of tenants, which nothing of the chains waits for ([`alerts`]).
//!
//! Beside it, `providers.samples` → rows of endpoints, which block events never wait for ([`samples`]).

pub mod alerts;
mod apart;
mod aside;
mod audit;
pub mod batch;
mod beat;
mod behind;
pub mod causes;
mod config;
mod decode;
mod delete;
mod error;
mod family;
mod floors;
pub mod fold;
mod graveyard;
mod group;
mod guard;
mod insert;
mod keep;
mod member;
pub mod mend;
mod metrics;
mod patience;
pub mod pipeline;
mod position;
mod reader;
mod recent;
pub mod samples;
mod spans;
pub(crate) mod stale;
mod status;
mod upgrade;
pub mod windows;
mod write;
mod written;

pub use config::SinkConfig;
pub use error::Error;
pub use insert::SETTINGS as INSERT_SETTINGS;
pub use keep::{Keep, KeepTimes, Keeping};
pub use metrics::describe as describe_metrics;
pub use pipeline::run;
pub use spans::week_of_heights;
pub use status::{NetworkStatus, SinkStatus, State};

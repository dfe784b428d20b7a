//! Everything ClickHouse: numbered DDL, the sink stage, typed queries, the embedded engine.
//!
//! * [`ddl`]: tables and views, applied in order at start.
//! * [`sink`]: the stage that writes the tables from the log.
//! * [`query`]: typed questions, all on [`Store`].
//! * [`engine`]: the embedded engine and its HTTP front.

pub mod client;
pub mod ddl;
pub mod engine;
pub mod error;
pub mod forget;
mod metrics;
pub mod query;
mod rows;
pub mod sink;
mod ulid;

pub use client::{Store, StoreConfig};
pub use error::{StoreError, StoreErrorKind};

//! Everything ClickHouse: numbered DDL, the sink stage, typed queries, the embedded engine.
//!
//! * [`ddl`]: tables and views, applied in order at start.
//! * [`query`]: typed questions, all on [`Store`].
//! * [`engine`]: the embedded engine and its HTTP front.

pub mod client;
pub mod engine;
pub mod error;
pub mod query;

pub use client::{Store, StoreConfig};
pub use error::{StoreError, StoreErrorKind};

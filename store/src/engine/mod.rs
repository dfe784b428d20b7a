//! The embedded metrics store: ClickHouse's own engine (`libchdb`) in a child process, served on ClickHouse's HTTP
//! interface on loopback.
//!
//! Guarantee: whatever a query or a fault in the library does, it does it to the child. The parent ([`supervise`]) starts
//! the child, learns its URL, starts it again with a growing delay when it falls, and the child ([`serve`]) never outlives
//! its parent, `kill -9` of the parent included. An insert that was answered with 200 is on disk (the engine is told to
//! `fsync` data, directories and merges). One process owns a data directory; a second one is refused and told who it is.
//!
//! ```text
//!   headwater up ── supervise(ChildCommand) ──▶ headwater store ── serve(Config) ──▶ libchdb
//!        ▲   "ready http://127.0.0.1:PORT" on the child's standard output   │
//!        └──────────────────────── HTTP, clickhouse crate ──────────────────┘
//! ```

mod config;
mod credentials;
mod describe;
mod directory;
mod error;
#[allow(unsafe_code)] // the C interface of the engine, and nothing else
mod ffi;
mod http;
mod library;
mod process;
mod room;
mod sandbox;
mod serve;
mod sql;
mod supervise;
mod tenants;
mod tidy;
#[allow(unsafe_code)] // a function of the C library's, for the engine to call
mod unseen;
mod watch;
mod watched;

pub use config::{Config, Limits, Walls};
pub use credentials::{ANALYST, API, Configured, Credentials};
pub use directory::check_format;
pub use error::Error;
pub use library::{LIBRARY_VERSION, locate};
pub use process::Parent;
pub use serve::serve;
pub(crate) use sql::quoted_name;
pub use supervise::{ChildCommand, RestartPolicy, StoreState, Supervisor, supervise};
pub(crate) use tenants::database as tenants_database;
pub use watched::tells_contracts;

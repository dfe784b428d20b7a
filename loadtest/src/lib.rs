//! Simulated chain nodes that replay real recorded blocks, and the measurements made with them.
//!
//! Guarantee: a simulated node speaks a real node's protocol, serves real recorded content under valid hashes, and is never
//! the bottleneck of what it feeds.

mod arrivals;
pub mod backfill;
pub mod bench;
pub mod bitcoin;
mod chains;
pub mod chaos;
pub mod chaos_alerts;
pub mod cli;
pub mod cluster;
mod compare;
pub mod completeness;
mod defined;
pub mod failure;
pub mod matching;
pub mod merging;
mod monitors;
pub mod node;
mod receiver;
pub mod tenants;
pub mod wide;
pub mod windows;
pub mod workers;

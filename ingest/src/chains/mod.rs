//! One watcher per chain family.

pub mod evm;
mod fetcher;

//! One watcher per chain family.

pub mod evm;
mod fetcher;

pub use fetcher::Places;

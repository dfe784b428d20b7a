//! Following chains: one watcher for all families (rule 26), and a folder per family with what is its own.
//!
//! * [`family`]: what a family adds to following a chain.
//! * `watcher`: forks, catching up; with `heads`, `fetcher` (blocks in order, in parallel), `publish` (events to units), `finality`,
//!   `confirm` (what other operators say), `trouble` and `refusal` (what becomes a state).
//! * `accept`: a reorg that is too deep and that an operator accepts.
//! * `backfill`: heights that operators ask for, beside the stream; with `filler` (fetches and checks them).
//! * `endpoints`: the fleet of a network, and its successors; `oversized`: what the log does not take.
//! * [`evm`], [`bitcoin`]: the families.

mod accept;
mod backfill;
pub mod bitcoin;
mod confirm;
mod endpoints;
pub mod evm;
pub mod family;
mod fetcher;
mod filler;
mod finality;
mod heads;
mod oversized;
mod publish;
mod refusal;
mod trouble;
mod watcher;

pub use family::{Family, Traits};
pub use fetcher::{FillPlaces, Places};
pub use watcher::{Seat, Watcher};

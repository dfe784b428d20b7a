//! Chain nodes: simulated ones, and a real one for tests.

pub mod anvil;
pub mod bitcoin;
pub mod bitcoind;
mod clock;
mod delivery;
mod dice;
mod door;
mod error;
pub mod evm;
mod fetched;
pub mod fixed;
mod latency;
mod origin;
mod recording;
mod socket;
mod tasks;
mod when;

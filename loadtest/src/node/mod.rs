//! Simulated chain nodes.

pub mod evm;

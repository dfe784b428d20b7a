//! Chain nodes: simulated ones, and a real one for tests.

pub mod anvil;
pub mod evm;
pub mod fixed;

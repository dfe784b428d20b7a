//! Back-fill against simulated nodes: what is asked is written into the log as the command writes it, and what comes of it is read
//! from the log alone: each height once, sequences without a gap, `held` and progress as they should be.

#[path = "../common/mod.rs"]
mod common;
mod world;

mod asked;
mod kills;
mod nodes;

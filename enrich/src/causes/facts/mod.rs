//! Facts about contracts: which code stands behind a proxy at which height, names, and ABIs.
//!
//! Input: `raw.transactions`, `control.config` (the operator's contracts), nodes at a block's hash, contract sources where configured.
//! Output: `contract.facts`.
//!
//! Guarantee: one process writes a partition's facts, whoever has it by the group's assignment; another's transaction is fenced by its
//! generation. Whoever takes it over reads all facts first. Facts and positions are one transaction. What logs say follows the stream
//! exactly, reverts included; what nodes say is of one block's hash; what contract sources say fits the code.
//!
//! In the order of the data: [`evidence`] (logs), [`part`] and [`ledger`] (what is known), [`waiting`], [`finder`] and [`proxy`]
//! (nodes), [`sources`] (names and ABIs), [`operators`] (`control.config`), [`topic`] (`contract.facts`),
//! [`stage`] (the wiring).

mod evidence;
mod finder;
mod ledger;
mod operators;
mod part;
mod proxy;
pub mod sources;
mod stage;
mod topic;
mod waiting;

use super::{budget, config, metrics, pace, rejoin};

pub use stage::GROUP;
pub(super) use stage::run;

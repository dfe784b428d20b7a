//! Questions about figures: whose they are, and answers that are given again while nothing is new.
//!
//! Guarantee: that a contract has windows is told only to who has the contract, and of those that begin after he added it; to anybody else,
//! and before that, its figures are added up from rows, which tell what the chain tells everybody (rule 15). However many ask the same, the store is asked about it at most once a second, and once
//! while the network has no newer block, for a minute at most.

mod answers;
pub mod csv;
mod times;
mod whose;

pub use answers::{Answers, Kept, json, not_written};
pub use times::{Span, Trailing};
pub use whose::{ALL, Whose, lost, windows_from};

//! What only Bitcoin has: a block's header, and a transaction with its inputs, its outputs, and who spends them.
//!
//! Guarantee: as of all questions ([`super`]); what one answer holds of a transaction is bounded, however many inputs and outputs it has.
//! A spender that is told stands in the chain. That an output has none is no proof that it is unspent: whoever says so asks
//! [`Completeness::full_from`](super::Completeness::full_from) first (rule 31).

mod block;
mod transaction;

pub use block::BitcoinBlock;
pub use transaction::{BitcoinDetail, BitcoinInput, BitcoinOutput, BitcoinParts, BitcoinTransactionDetail, SpentBy};

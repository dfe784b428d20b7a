//! Bitcoin's rows: a transaction, its inputs, its outputs.

mod input;
mod output;
mod transaction;

pub use input::BitcoinInputColumns;
pub use output::BitcoinOutputColumns;
pub use transaction::BitcoinTransactionColumns;

/// How many there are. A block bounds both inputs and outputs far below what the column holds.
fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

//! Bitcoin's rows: a transaction, its inputs, its outputs.

mod input;
mod output;
mod transaction;

pub use input::BitcoinInputColumns;
pub use output::BitcoinOutputColumns;
pub use transaction::BitcoinTransactionColumns;

use super::native::Values;

/// Bits of a row's `present`: one for each column that may be null; what is null is stored as zero.
#[derive(Default)]
struct Present(u8);

impl Present {
    /// Adds a row to a column: the value and its bit, or neither.
    fn push<'v, C: Values>(&mut self, bit: u8, column: &mut C, value: Option<C::Value<'v>>) {
        match value {
            Some(value) => {
                self.0 |= 1 << bit;
                column.push(value);
            }
            None => column.push_empty(),
        }
    }
}

/// How many there are. A block bounds both inputs and outputs far below what the column holds.
fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

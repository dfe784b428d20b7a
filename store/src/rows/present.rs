//! Which columns of a row are null: what is null is stored as zero, and its bit in `present` is not set, which the views look at.

use std::ops::{BitOrAssign, Shl};

use super::native::Values;

/// The bits of one row, in a column's own type. Which bit is which column's is the table's.
#[derive(Default)]
pub(super) struct Present<N>(pub N);

impl<N: From<u8> + Shl<u8, Output = N> + BitOrAssign> Present<N> {
    /// Sets a bit.
    pub fn set(&mut self, bit: impl Into<u8>) {
        let bit: u8 = bit.into();
        self.0 |= N::from(1_u8) << bit;
    }

    /// Adds a row to a column: the value and its bit, or neither.
    pub fn push<'v, C: Values>(&mut self, bit: impl Into<u8>, column: &mut C, value: Option<C::Value<'v>>) {
        match value {
            Some(value) => {
                self.set(bit);
                column.push(value);
            }
            None => column.push_empty(),
        }
    }
}

//! Sketches: what many values looked like, in at most [`SKETCH_BYTES`], merged without going back to the values.
//!
//! * [`Bins`]: how prices are distributed, for quantiles.
//! * [`Distinct`]: about how many different addresses there were.
//!
//! Guarantee: a sketch is a function of the *multiset* of values alone. Whatever the order in which they were added, and however parts
//! were merged, [`Bins::encode`] and [`Distinct::encode`] give the same bytes (rule 15; why it holds stands in each file, and
//! `tests/sketches.rs` tries it). Only those bytes are taken back by `decode`: what no sketch is written as is refused, and nothing that is
//! read takes more room than a sketch of ours.

mod bins;
mod bytes;
mod distinct;

pub use bins::Bins;
pub use distinct::Distinct;

use crate::limits::windows::SKETCH_BYTES;

/// Why bytes are no sketch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotASketch {
    /// They end inside it.
    #[error("the sketch ends inside a number")]
    Truncated,
    /// A number that is longer than it has to be, or beyond 64 bits.
    #[error("the sketch has a number that is not written in its shortest form")]
    Number,
    /// More bytes than a sketch has.
    #[error("the sketch has {0} bytes, a sketch has {SKETCH_BYTES} at most")]
    Long(usize),
    /// A bin, a register or a count that there is not.
    #[error("the sketch has a {0} that no sketch has")]
    Range(&'static str),
    /// What would have been written otherwise.
    #[error("the sketch is not in the form in which its values are written")]
    Form,
}

//! The door, with a control store of each test's own.

mod keyed;
mod keys;

pub use keyed::{Keyed, settings};

//! What the tests share.

#![allow(dead_code, unused_imports)] // each test binary uses its part

pub mod bench;
pub mod causes;
pub mod log;
mod recorded;

pub use recorded::{Recorded, amount, json, number, recorded, roots};

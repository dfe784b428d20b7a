//! The door, with a control store of each test's own.

mod attacks;
mod cost;
mod keyed;
mod keys;
mod life;
mod matrix;
mod networks;
mod quotas;
mod rates;
mod sessions;
mod tls;

pub use keyed::{Keyed, settings};

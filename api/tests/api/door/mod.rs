//! The door, with a control store of each test's own.

mod accounts;
mod attacks;
mod cost;
mod keyed;
mod keys;
mod letters;
mod life;
mod linked;
mod matrix;
mod networks;
mod organisations;
mod provider;
mod quotas;
mod rates;
mod sessions;
mod sign_up;
mod tls;
mod tokens;

pub use accounts::{Accounts, JSON, LoggedIn};
pub use keyed::{Keyed, settings};

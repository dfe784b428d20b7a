//! `headwater dead-letters`: what could not be processed, with its reason and its original bytes (rule 13).

mod causes;
mod facts;
mod letter;
mod list;
mod original;
mod read;
mod replay;

pub use list::{list, show};
pub use replay::{Replay, replay};

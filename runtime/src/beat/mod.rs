//! What a stage of this process says of itself in `stage.status` (rule 27).
//!
//! Guarantee: a stage that lives is heard every [`EVERY`](schemas::records::stage_status::EVERY), whatever it is doing: the beat has a
//! thread, a runtime and a producer of its own, and takes what it says from a [`Board`] that is never locked over a call. It does
//! not wait for work, for the group, or for a store; only the log itself can keep it from being heard, and then it says so as
//! soon as it can, and to `/readyz` at once ([`Board::unheard`]).
//!
//! * [`Board`]: what is to be said; the stage writes on it, the beat reads it. [`Doing`]: where several groups of a process do.
//! * [`Beat`]: says it again and again, and takes the process's own record away when it stops in an orderly way.
//! * `roster`: which networks live on the partitions that are held (`control.config`), so that a network without a single event
//!   is spoken for too, and one that the configuration lacks is named.
//! * `unread`: how near retention has come to what is still to be read.

mod board;
mod doing;
mod pulse;
mod roster;
#[cfg(test)]
mod tests;
pub(crate) mod unread;

pub use board::{Board, Row, Unnamed};
pub use doing::Doing;
pub use pulse::Beat;
pub use unread::WARN_PERCENT;

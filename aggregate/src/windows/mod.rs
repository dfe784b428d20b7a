//! The algebra of windows: pure, without clock or I/O.
//!
//! ```text
//! events of a network, in order ─▶ Network ─┬▶ live ─▶ Line: chain of blocks ─▶ minutes ─▶ 5 minutes, hours, days
//!                                           └▶ fill ─▶ Line
//! ```
//!
//! Guarantee (rule 15): a window is the merge of the partials of the canonical blocks whose time falls in [start, start + size), whatever
//! came in between. Nothing is ever subtracted: a minute that lost a block to a reorg is merged anew from the blocks that are kept, and
//! longer windows are merged from minutes.
//!
//! * *Equal at equal sequence.* All windows that [`Network::drain`] gives have the sequence of the last event, and are what a recomputation
//!   over the blocks that are canonical then gives. Shown by `tests/histories.rs`, over random histories, for each window that is given.
//! * *Complete* is a window that began after the first block that is held, through which the chain is linked by hashes, and whose end the
//!   chain's [`Clock`] has passed. With whatever breaks the chain (records that are gone, a reorg below what is kept) all that it makes
//!   uncertain is given once more as incomplete, with the reason; so is what was given before a restart, where events were lost that
//!   nobody had read ([`Network::doubt`]).
//! * *Memory does not depend on history*: blocks that can still be reverted ([`REORG_LIMIT_BLOCKS`](schemas::limits::REORG_LIMIT_BLOCKS),
//!   or down to the final height) keep their partials, until the last of their minute cannot be reverted; then the minute goes into three
//!   accumulators of its contracts (five minutes, hour, day), which go when no block can fall into them any more: once the median time of
//!   the last eleven blocks that cannot be reverted has passed their end. A block that comes even later than that (no chain's rules allow
//!   it) makes incomplete windows of what was dropped, and says so.
//! * *A restart anywhere gives the same*: who reads the events again from [`Network::rewind`] on, and drops what is due of those that were
//!   worked up before ([`Network::skip`]), continues exactly.
//! * *Back-fill* is a line of its own: a window that lies whole in one linked run of filled blocks is given once, when it is complete; every
//!   other stays with the store's rows.

mod chain;
mod line;
mod minutes;
mod network;

use schemas::limits::windows::SECONDS;

pub use chain::Clock;
use conditions::change;
pub use conditions::{Applied, Change, Part, Parts, Place, Reverted};
pub use line::Open;
pub use network::Network;

/// Milliseconds of a minute: what all windows are made of.
pub(crate) const MINUTE: i64 = 60_000;
/// Milliseconds of the windows, the shortest first. Each is a multiple of those before it, and all begin at multiples of their own size
/// since 1970, so that each lies whole in every longer one.
pub(crate) const SIZES: [i64; 4] = [MINUTE, 5 * MINUTE, 60 * MINUTE, DAY];
const _: () = {
    let mut at = 0;
    while at < SIZES.len() {
        assert!(SIZES[at] == SECONDS[at] as i64 * 1_000);
        at += 1;
    }
};
/// Milliseconds of the longest.
pub(crate) const DAY: i64 = 24 * 60 * MINUTE;

/// Before all times, and as far from the least number that nothing overflows.
pub(crate) const NEVER: i64 = i64::MIN / 4;

/// Where the window of a size begins that a time falls in; both in milliseconds.
pub(crate) const fn start(time: i64, size: i64) -> i64 {
    time.div_euclid(size) * size
}

//! Rows as the sink inserts them, one file per table. They borrow from the decoded records, so that a batch is held once and
//! a second try writes the same bytes.

mod audit;
mod block;
mod block_event;
mod evm_log;
mod evm_transaction;
mod hex;

pub use audit::AuditRow;
pub use block::BlockRow;
pub use block_event::BlockEventRow;
pub use evm_log::EvmLogRow;
pub use evm_transaction::EvmTransactionRow;

/// Version of the rows of an event (rule 16): a row at `2 × sequence`, its deletion at `2 × sequence + 1`.
///
/// With the event's sequence as version of both, the store would decide a tie by what was inserted last. An insert that was cut
/// off (its sender killed, or its answer lost) may reach the disk *after* the deletion that a later event made: row (v 5),
/// deletion (v 5), row again (v 5) shows the reverted row for ever, also after merges. With versions of their own a deletion
/// wins over every copy of its row, whenever it arrives, and loses against every later event.
pub const fn row_version(sequence: u64) -> u64 {
    sequence * 2
}

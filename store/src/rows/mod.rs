//! Rows as the sink inserts them, one file per table: columns that are filled from the decoded records, so that a second try
//! writes the same bytes.

mod alert;
mod audit;
mod bitcoin;
mod block;
mod block_event;
mod evm_log;
mod evm_transaction;
mod evm_transaction_extra;
pub mod native;
mod present;
mod provider;
mod sink_status;
mod window;

use alloy_primitives::B256;
use schemas::BlockHash;

pub use alert::{
    AlertColumns, AlertDeliveryColumns, AlertEventColumns, AlertLeftOutColumns, AlertMatchColumns, LeftOutSaid, Said,
};
pub use audit::AuditColumns;
pub use bitcoin::{BitcoinInputColumns, BitcoinOutputColumns, BitcoinTransactionColumns};
pub use block::BlockColumns;
pub use block_event::BlockEventColumns;
pub use evm_log::EvmLogColumns;
pub use evm_transaction::EvmTransactionColumns;
pub use provider::{EndpointColumns, ProviderMinuteColumns, ProviderSampleColumns};
pub use sink_status::{SinkStatusColumns, StatusRow};
pub use window::WindowColumns;

/// Versions of the rows of an event lie from `sequence × REVISIONS` on (rule 16): the row as the event made it, then its revisions,
/// last its deletion.
///
/// With the event's sequence as version of both, the store would decide a tie by what was inserted last. An insert that was cut
/// off (its sender killed, or its answer lost) may reach the disk *after* the deletion that a later event made: row (v 5),
/// deletion (v 5), row again (v 5) shows the reverted row for ever, also after merges. With versions of their own a deletion
/// wins over every copy and revision of its row, whenever it arrives, and loses against every later event.
pub const REVISIONS: u64 = 256;

/// What a deletion row's version lies above its row's.
pub const DELETION: u64 = REVISIONS - 1;

/// Version of the row of an event as the event made it.
pub const fn row_version(sequence: u64) -> u64 {
    sequence * REVISIONS
}

/// The bytes of a block's hash: 64 hex digits by its type.
fn block_hash(hash: &BlockHash) -> [u8; 32] {
    hash.as_str().parse::<B256>().unwrap_or_default().0
}

#[cfg(test)]
mod tests {
    use super::{native::Columns, *};
    use crate::ddl::{MIGRATIONS, Migration, tenants};

    /// Checks names and types against the table's last `CREATE TABLE` and what was added to it since; the engine would convert what
    /// differs, at a price.
    fn as_the_table_has_them<C: Columns>() {
        let create = format!("CREATE TABLE IF NOT EXISTS {}\n", C::TABLE);
        let alter = format!("ALTER TABLE {}\n", C::TABLE);
        let has = |list: &&[Migration]| list.iter().any(|m| m.sql.contains(&create));
        let list = [MIGRATIONS, tenants::MIGRATIONS].into_iter().find(has).expect("the table");
        let made = list.iter().rev().find(|m| m.sql.contains(&create)).expect("the table");
        let added = list.iter().filter(|m| m.number > made.number && m.sql.contains(&alter));
        let lines = made.sql.lines().chain(added.flat_map(|m| m.sql.lines())).map(str::trim_start);
        let mut left = lines.map(|line| line.strip_prefix("ADD COLUMN IF NOT EXISTS ").unwrap_or(line));
        for (name, kind) in C::kinds() {
            // In the table's order, too: a column that is not filled has a default.
            let found = left.by_ref().find(|line| line.split_whitespace().next() == Some(name));
            let line = found.unwrap_or_else(|| panic!("{}.{name} is not there, or not in this place", C::TABLE));
            let of_table = line.strip_prefix(name).unwrap_or(line).trim_start();
            let of_table = of_table.split(" DEFAULT ").next().unwrap_or(of_table);
            let of_table = of_table.split(" COMMENT ").next().unwrap_or(of_table).trim_end_matches(',').trim();
            assert_eq!(of_table, kind, "{}.{name}", C::TABLE);
        }
    }

    #[test]
    fn columns_are_the_tables_own() {
        as_the_table_has_them::<AuditColumns>();
        as_the_table_has_them::<BitcoinTransactionColumns>();
        as_the_table_has_them::<BitcoinInputColumns>();
        as_the_table_has_them::<BitcoinOutputColumns>();
        as_the_table_has_them::<BlockColumns>();
        as_the_table_has_them::<BlockEventColumns>();
        as_the_table_has_them::<EvmLogColumns>();
        as_the_table_has_them::<EvmTransactionColumns>();
        as_the_table_has_them::<SinkStatusColumns>();
        as_the_table_has_them::<ProviderSampleColumns>();
        as_the_table_has_them::<ProviderMinuteColumns>();
        as_the_table_has_them::<EndpointColumns>();
        as_the_table_has_them::<WindowColumns>();
        as_the_table_has_them::<AlertEventColumns>();
        as_the_table_has_them::<AlertColumns>();
        as_the_table_has_them::<AlertDeliveryColumns>();
        as_the_table_has_them::<AlertMatchColumns>();
        as_the_table_has_them::<AlertLeftOutColumns>();
    }
}

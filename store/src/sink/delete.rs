//! Deletion rows (rule 16): said once, for every table whose rows are keyed (network, height, …).

use schemas::Network;

use super::insert::SETTINGS;
use crate::{Store, StoreError, client::deadline, rows};

/// A table of rows, and what follows network and height in its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    pub(super) name: &'static str,
    key: &'static str,
}

/// `block_rows`.
pub(super) const BLOCKS: Table = Table { name: "block_rows", key: "" };
/// `evm_transaction_rows`.
pub(super) const TRANSACTIONS: Table = Table { name: "evm_transaction_rows", key: "transaction_index, " };
/// `evm_log_rows`.
pub(super) const LOGS: Table = Table { name: "evm_log_rows", key: "transaction_index, log_index, " };
/// `bitcoin_transaction_rows`.
pub(super) const BITCOIN_TRANSACTIONS: Table = Table { name: "bitcoin_transaction_rows", key: "transaction_index, " };
/// `bitcoin_input_rows`.
pub(super) const BITCOIN_INPUTS: Table = Table { name: "bitcoin_input_rows", key: "transaction_index, input_index, " };
/// `bitcoin_output_rows`.
pub(super) const BITCOIN_OUTPUTS: Table =
    Table { name: "bitcoin_output_rows", key: "transaction_index, output_index, " };

impl Table {
    /// Inserts a deletion row for every key that these events hold at these heights. The time stays, which lists look
    /// for rows by, and so does the partition.
    fn deletion(self, which: Rows) -> String {
        let Self { name, key } = self;
        let of = match which {
            Rows::All => "",
            Rows::Left => "FINAL ",
        };
        let (revisions, deletion) = (rows::REVISIONS, rows::DELETION);
        format!(
            "INSERT INTO {name} (network, height, {key}version, is_deleted, block_time, span)
SELECT network, height, {key}intDiv(version, {revisions}) * {revisions} + {deletion}, 1, block_time, span FROM {name} {of}
WHERE network = {{network:String}} AND height IN {{heights:Array(UInt64)}} AND sequence IN {{sequences:Array(UInt64)}}
    AND is_deleted = 0"
        )
    }
}

/// Of which rows deletion rows are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// All, deleted ones too: a deletion row too many is harmless, one too few is not.
    All,
    /// Those that are not deleted.
    Left,
}

/// A height of a network and the event whose rows stand there.
pub(super) type Held = (u64, u64);

/// Deletes what events hold in a table. Without `FINAL`: a deletion row too many is harmless, one too few is not.
pub(super) async fn delete_from(
    store: &Store,
    table: Table,
    network: &Network,
    held: &[Held],
) -> Result<(), StoreError> {
    delete(store, table, Rows::All, network, held).await
}

/// Deletes what somebody inserted after [`delete_from`]: where nobody did, it writes nothing.
pub(super) async fn delete_left(
    store: &Store,
    table: Table,
    network: &Network,
    held: &[Held],
) -> Result<(), StoreError> {
    delete(store, table, Rows::Left, network, held).await
}

async fn delete(store: &Store, table: Table, rows: Rows, network: &Network, held: &[Held]) -> Result<(), StoreError> {
    let (heights, sequences): (Vec<u64>, Vec<u64>) = held.iter().copied().unzip();
    let statement = store
        .client()
        .query(&table.deletion(rows))
        .param("network", network.as_str())
        .param("heights", &heights)
        .param("sequences", &sequences);
    let statement = SETTINGS.iter().fold(statement, |statement, (name, value)| statement.with_setting(*name, *value));
    deadline("inserting deletion rows", store.config().write_deadline, statement.execute()).await
}

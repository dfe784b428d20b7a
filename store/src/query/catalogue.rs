//! What there is to query: the views with their columns, and how large the tables behind them are.

use clickhouse::Row;
use futures::{StreamExt, TryStreamExt, stream};
use schemas::TimeMs;
use serde::Deserialize;

use super::{
    Sort,
    windows::{Windows, look},
};
use crate::{Store, StoreError};

/// A view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// What a row is.
    pub comment: String,
    /// Its columns, in order.
    pub columns: Vec<ViewColumn>,
}

/// A column of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewColumn {
    /// Its name.
    pub name: String,
    /// ClickHouse's type.
    pub kind: String,
    /// Meaning and unit. `Same as X, …` and `X as decimal text` say which column X it repeats.
    pub comment: String,
}

/// How large a table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSize {
    /// Its name.
    pub name: String,
    /// Rows, with those that merges will drop.
    pub rows: u64,
    /// Bytes on disk, compressed.
    pub bytes: u64,
    /// Partitions that hold rows.
    pub partitions: u64,
    /// Block time of the first row in the order of the key, the earliest of all networks; `None` for tables without blocks.
    pub oldest: Option<TimeMs>,
    /// Block time of the last row likewise, the latest of all networks.
    pub newest: Option<TimeMs>,
}

/// Views in the order in which one meets them; others follow by name.
const FIRST: [&str; 17] = [
    "blocks",
    "block_events",
    "transactions",
    "evm_transactions",
    "evm_logs",
    "token_transfers",
    "causes",
    "bitcoin_blocks",
    "bitcoin_transactions",
    "bitcoin_inputs",
    "bitcoin_outputs",
    "windows",
    "completeness",
    "contract_blocks",
    "endpoints",
    "provider_minutes",
    "provider_samples",
];

/// Tables with a block time, and what follows the network in their key.
const TIMED: [(&str, &str); 7] = [
    ("block_rows", "height"),
    ("block_event_rows", "sequence"),
    ("evm_transaction_rows", "height"),
    ("evm_log_rows", "height"),
    ("bitcoin_transaction_rows", "height"),
    ("bitcoin_input_rows", "height"),
    ("bitcoin_output_rows", "height"),
];

/// Look-ups at the same time.
const AT_ONCE: usize = 4;
/// Heights, or sequences, at a table's end among which its first or last row is looked for at first.
const FIRST_WIDTH: u64 = 64;

#[derive(Row, Deserialize)]
struct ColumnRow {
    view: String,
    about: String,
    name: String,
    kind: String,
    comment: String,
}

#[derive(Row, Deserialize)]
struct SizeRow {
    name: String,
    rows: u64,
    bytes: u64,
    partitions: u64,
}

#[derive(Row, Deserialize)]
struct At {
    block_time: TimeMs,
}

impl Store {
    /// The views, the best known first.
    pub async fn views(&self) -> Result<Vec<View>, StoreError> {
        let sql = "SELECT c.table AS view, t.comment AS about, c.name AS name, c.type AS kind, c.comment AS comment \
            FROM system.columns AS c INNER JOIN system.tables AS t ON c.database = t.database AND c.table = t.name \
            WHERE c.database = {database:String} AND t.database = {database:String} AND t.engine = 'View' \
            ORDER BY view, c.position";
        let call = self.read(sql).param("database", self.database()).fetch_all::<ColumnRow>();
        let mut views: Vec<View> = Vec::new();
        for row in self.within("reading the views", call).await? {
            let column = ViewColumn { name: row.name, kind: row.kind, comment: row.comment };
            match views.last_mut() {
                Some(view) if view.name == row.view => view.columns.push(column),
                _ => views.push(View { name: row.view, comment: row.about, columns: vec![column] }),
            }
        }
        views.sort_by_key(|view| FIRST.iter().position(|name| *name == view.name).unwrap_or(FIRST.len()));
        Ok(views)
    }

    /// The tables that hold rows of chains, by name.
    pub async fn table_sizes(&self) -> Result<Vec<TableSize>, StoreError> {
        let sql = "SELECT t.name AS name, p.n AS rows, p.size AS bytes, p.different AS partitions \
            FROM system.tables AS t LEFT JOIN \
            (SELECT table, sum(rows) AS n, sum(bytes_on_disk) AS size, uniqExact(partition) AS different \
                FROM system.parts WHERE database = {database:String} AND active GROUP BY table) AS p ON t.name = p.table \
            WHERE t.database = {database:String} AND endsWith(t.name, '_rows') ORDER BY name";
        let call = self.read(sql).param("database", self.database()).fetch_all::<SizeRow>();
        let sizes = self.within("reading the sizes of tables", call).await?;
        let networks = &self.network_names().await?;
        stream::iter(sizes)
            .map(|size| async move {
                let (mut oldest, mut newest) = (None::<TimeMs>, None::<TimeMs>);
                if let Some((table, key)) = TIMED.iter().find(|(table, _)| *table == size.name) {
                    for network in networks {
                        let (first, last) = self.edges(table, key, network).await?;
                        oldest = [oldest, first].into_iter().flatten().min();
                        newest = newest.max(last);
                    }
                }
                let SizeRow { name, rows, bytes, partitions } = size;
                Ok(TableSize { name, rows, bytes, partitions, oldest, newest })
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Block times of a network's first and last row in the order of the key: look-ups near the ends, however long the table is and
    /// however many parts it has.
    async fn edges(
        &self,
        table: &str,
        key: &str,
        network: &str,
    ) -> Result<(Option<TimeMs>, Option<TimeMs>), StoreError> {
        let bounds = match key {
            "height" => self.height_bounds(network).await?,
            _ => Some((0, self.processed_sequence(network).await?)),
        };
        let Some((low, high)) = bounds else { return Ok((None, None)) };
        let first = self.edge(table, key, network, Windows::new(low, high, FIRST_WIDTH, Sort::Oldest), "ASC");
        let last = self.edge(table, key, network, Windows::new(low, high, FIRST_WIDTH, Sort::Newest), "DESC");
        futures::future::try_join(first, last).await
    }

    async fn edge(
        &self,
        table: &str,
        key: &str,
        network: &str,
        windows: Windows,
        direction: &str,
    ) -> Result<Option<TimeMs>, StoreError> {
        let sql = format!(
            "SELECT block_time FROM {table} WHERE network = {{network:String}} \
             AND {key} BETWEEN {{from:UInt64}} AND {{to:UInt64}} ORDER BY network {direction}, {key} {direction} LIMIT 1"
        );
        let looked = look(windows, 1, self.list_time(), |(from, to), _| {
            let query = self.read_window(&sql).param("network", network).param("from", from).param("to", to);
            self.within("reading a table's first and last row", query.fetch_all::<At>())
        });
        Ok(looked.await?.items.first().map(|at| at.block_time))
    }
}

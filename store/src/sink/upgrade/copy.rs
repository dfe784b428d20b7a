//! The statements that copy rows of former layouts.
//!
//! Guarantee: each may be run any number of times, and late. What it inserts has the key that it had and a version that rises as the
//! former one did (`2 × sequence`, deletions one more, become `256 × sequence`, deletions 255 more; later ones stay), so that of each key the same row
//! wins as before, against whatever was or will be inserted. Of every key the row that stood is copied, and every deletion row.
//!
//! Former layouts never change any more, so their columns stand here and nowhere else.

use std::{sync::LazyLock, time::Duration};

use clickhouse::{Row, query::Query};
use serde::Deserialize;

use super::{
    super::insert::SETTINGS,
    plan::{Look, Range},
};
use crate::{Store, StoreError, client::deadline};

/// A former layout: its tables, as the migrations call them now, and how a row of it becomes one of today's.
pub(super) struct Former {
    /// Those that are copied by heights: transactions, logs, blocks.
    pub by_height: [&'static str; 3],
    /// Counts of completeness, where they have to be copied too.
    pub audits: Option<&'static str>,
    /// Events: they tell what is held.
    pub events: &'static str,
    mappings: fn() -> [&'static Mapping; 3],
    /// Whether hashes and addresses are bytes, as today; else they are text.
    bytes: bool,
}

/// Up to version 23: text in the place of bytes, and columns that may be null.
pub(super) static TEXT: Former = Former {
    by_height: ["former_evm_transaction_rows", "former_evm_log_rows", "former_block_rows"],
    audits: Some("former_audit_rows"),
    events: "former_block_event_rows",
    mappings: || [&TRANSACTIONS_MAPPING, &LOGS_MAPPING, &BLOCKS_MAPPING],
    bytes: false,
};

/// Up to version 44: today's columns, in partitions of a million heights of all networks together.
pub(super) static COARSE: Former = Former {
    by_height: ["coarse_evm_transaction_rows", "coarse_evm_log_rows", "coarse_block_rows"],
    audits: None,
    events: "coarse_block_event_rows",
    mappings: || [&COARSE_TRANSACTIONS, &COARSE_LOGS, &COARSE_BLOCKS],
    bytes: true,
};

impl Former {
    /// All its tables, in the order in which they are dropped.
    pub fn all(&self) -> Vec<&'static str> {
        self.by_height.into_iter().chain(self.audits).chain([self.events]).collect()
    }

    /// The table of blocks.
    pub fn blocks(&self) -> &'static str {
        self.by_height[2]
    }
}

/// Memory of one of these statements, bytes.
const MEMORY: u64 = 448 << 20;
/// Bytes of rows that become one part.
const PART_BYTES: u64 = 64 << 20;
/// Rows that are worked on at once: some have a hundred kB of call data.
const BLOCK_ROWS: u64 = 4_096;

/// Heights of a partition, which former layouts do not have.
const SPAN: &str = "toUInt32({span:UInt32}) AS span";
const VERSION: &str = "intDiv(version, 2) * 256 + if(is_deleted = 1, 255, 0)";

/// What is copied from where to where: the former table, the table, and for each of its columns what it is made from; without any, the
/// former table's columns are copied as they are, and what was added since stays empty.
struct Mapping {
    from: &'static str,
    to: &'static str,
    columns: Vec<(&'static str, String)>,
}

impl Mapping {
    /// Names of the columns, and what they are made from.
    async fn names_and_values(&self, store: &Store) -> Result<(Vec<String>, Vec<String>), StoreError> {
        if !self.columns.is_empty() {
            return Ok(self.columns.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).unzip());
        }
        let sql = "SELECT name FROM system.columns WHERE database = {database:String} AND table = {table:String} AND default_kind IN ('', 'DEFAULT') \
                   ORDER BY position";
        let query = store.read(sql).param("database", store.database()).param("table", self.from);
        let names = store.within("reading columns of the former layout", query.fetch_all::<String>()).await?;
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        Ok((names.clone(), names))
    }

    /// Rows of a range of heights.
    async fn insert(&self, store: &Store) -> Result<String, StoreError> {
        let (from, to) = (self.from, self.to);
        let (names, values) = self.names_and_values(store).await?;
        let (names, values) = (format!("({}, span)", names.join(", ")), format!("{}, {SPAN}", values.join(", ")));
        // `FINAL` shows what stands; deletions are never seen by it.
        Ok(format!(
            "INSERT INTO {to} {names} SELECT {values} FROM {from} FINAL \
             WHERE network = {{network:String}} AND height BETWEEN {{from:UInt64}} AND {{to:UInt64}} \
             UNION ALL SELECT {values} FROM {from} \
             WHERE network = {{network:String}} AND height BETWEEN {{from:UInt64}} AND {{to:UInt64}} AND is_deleted = 1"
        ))
    }
}

fn same(names: &[&'static str]) -> Vec<(&'static str, String)> {
    names.iter().map(|name| (*name, (*name).to_owned())).collect()
}

/// Hex text with `0x` as bytes; null is no bytes, which a column of fixed length fills with zeros.
fn bytes(text: &str) -> String {
    format!("ifNull(unhex(substring({text}, 3)), '')")
}

fn or(value: &str, null: &str) -> String {
    format!("ifNull({value}, {null})")
}

/// Columns that were null where their bit of `present` is clear now, by bit; all but the last are columns of both layouts.
const PRESENT: [&str; 25] = [
    "to_address",
    "fee",
    "method",
    "gas_price",
    "max_fee_per_gas",
    "max_priority_fee_per_gas",
    "chain_id",
    "receipt_status",
    "receipt_effective_gas_price",
    "receipt_blob_gas_used",
    "receipt_l1_fee",
    "receipt_l1_gas_used",
    "receipt_l1_gas_price",
    "receipt_l1_base_fee_scalar",
    "receipt_l1_blob_base_fee",
    "receipt_l1_blob_base_fee_scalar",
    "receipt_operator_fee_scalar",
    "receipt_operator_fee_constant",
    "operator_fee",
    "receipt_da_footprint_gas_scalar",
    "receipt_token_ratio",
    "receipt_gas_used_for_l1",
    "receipt_l1_block_number",
    "fee_token",
    "fee_token_amount",
];
/// Whether `l1_fee` is what the receipt says: the bit after those.
const L1_FEE_OF_THE_RECEIPT: &str = "ifNull(l1_fee = receipt_l1_fee, 0)";

fn present() -> String {
    let mut bits: Vec<String> =
        PRESENT.iter().enumerate().map(|(bit, column)| format!("isNotNull({column}) * {}", 1u32 << bit)).collect();
    bits.push(format!("{L1_FEE_OF_THE_RECEIPT} * {}", 1u32 << PRESENT.len()));
    format!("toUInt32({})", bits.join(" + "))
}

/// What few transactions have, as a JSON object; none of it needs an escape.
fn extra() -> String {
    let text = |name: &str| format!("ifNull(concat('\"{name}\":\"', toString({name}), '\"'), '')");
    let number = |name: &str| format!("ifNull(concat('\"{name}\":', toString({name})), '')");
    let sum = "execution_fee + ifNull(l1_fee, 0) + ifNull(operator_fee, 0) + ifNull(blob_fee, 0)";
    let parts = [
        text("max_fee_per_blob_gas"),
        "if(empty(blob_versioned_hashes), '', concat('\"blob_versioned_hashes\":[\"', arrayStringConcat(blob_versioned_hashes, '\",\"'), '\"]'))"
            .to_owned(),
        number("authorization_count"),
        text("source_hash"),
        text("mint"),
        text("receipt_root"),
        text("receipt_contract_address"),
        text("receipt_blob_gas_price"),
        number("receipt_deposit_nonce"),
        number("receipt_deposit_receipt_version"),
        format!("if(ifNull({sum} = fee, 1), '', {})", text("execution_fee")),
        format!("if({L1_FEE_OF_THE_RECEIPT}, '', {})", text("l1_fee")),
        text("blob_fee"),
    ];
    let set = format!("arrayFilter(x -> x != '', [{}])", parts.join(", "));
    format!("if(empty({set}), '', concat('{{', arrayStringConcat({set}, ','), '}}'))")
}

static TRANSACTIONS_MAPPING: LazyLock<Mapping> = LazyLock::new(|| {
    let mut columns = same(&["network", "height", "transaction_index", "is_deleted", "block_time", "value", "status"]);
    columns.extend(same(&["log_count", "nonce", "gas", "transaction_type"]));
    columns.extend(same(&["receipt_gas_used", "receipt_cumulative_gas_used"]));
    columns.push(("version", VERSION.to_owned()));
    for name in ["block_hash", "hash", "from_address", "to_address", "method", "input", "fee_token"] {
        columns.push((name, bytes(name)));
    }
    columns.push(("contracts", "arrayMap(c -> unhex(substring(c, 3)), contracts)".to_owned()));
    for name in ["failure_cause", "failure_reason", "receipt_l1_fee_scalar", "fee_reason"] {
        columns.push((name, or(name, "''")));
    }
    let taken: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let numbers: Vec<_> =
        PRESENT.iter().filter(|name| !taken.contains(name)).map(|name| (*name, or(name, "0"))).collect();
    columns.extend(numbers);
    columns.push(("extra", extra()));
    columns.push(("present", present()));
    Mapping { from: TEXT.by_height[0], to: "evm_transaction_rows", columns }
});

static LOGS_MAPPING: LazyLock<Mapping> = LazyLock::new(|| {
    let mut columns = same(&["network", "height", "transaction_index", "log_index", "is_deleted", "block_time"]);
    columns.push(("version", VERSION.to_owned()));
    for name in ["block_hash", "transaction_hash", "address", "data"] {
        columns.push((name, bytes(name)));
    }
    columns.push(("topics", "arrayMap(t -> unhex(substring(t, 3)), topics)".to_owned()));
    for name in ["event", "arguments"] {
        columns.push((name, or(name, "''")));
    }
    Mapping { from: TEXT.by_height[1], to: "evm_log_rows", columns }
});

static BLOCKS_MAPPING: LazyLock<Mapping> = LazyLock::new(|| {
    let mut columns = same(&["network", "height", "is_deleted", "family", "origin", "hash", "parent_hash"]);
    columns.extend(same(&["block_time", "observed_at", "stored_at", "transaction_count", "log_count", "failed_count"]));
    columns.extend(same(&["unknown_count", "unreadable_count", "token_transfer_count", "created_count", "gas_limit"]));
    columns.extend(same(&["gas_used", "receipt_gas_used", "fee_total", "fee_unknown_count", "gas_price_sum"]));
    columns.extend(same(&["gas_price_count", "gas_price_min", "gas_price_max", "value_total", "base_fee_per_gas"]));
    columns.extend(same(&["miner", "difficulty", "total_difficulty", "size", "nonce", "extra_data", "sha3_uncles"]));
    columns.extend(same(&["state_root", "transactions_root", "receipts_root", "withdrawals_root", "withdrawal_count"]));
    columns.extend(same(&["blob_gas_used", "excess_blob_gas", "l1_block_number"]));
    columns.push(("version", VERSION.to_owned()));
    Mapping { from: TEXT.by_height[2], to: "block_rows", columns }
});

const fn same_columns(from: &'static str, to: &'static str) -> Mapping {
    Mapping { from, to, columns: Vec::new() }
}

static COARSE_TRANSACTIONS: Mapping = same_columns(COARSE.by_height[0], "evm_transaction_rows");
static COARSE_LOGS: Mapping = same_columns(COARSE.by_height[1], "evm_log_rows");
static COARSE_BLOCKS: Mapping = same_columns(COARSE.by_height[2], "block_rows");

/// Copies a range: what the blocks hold first, then the blocks, as the sink writes them (rule 16).
pub(super) async fn range(
    store: &Store,
    former: &Former,
    (network, span): (&str, u32),
    range: &Range,
) -> Result<(), StoreError> {
    let [transactions, logs, blocks] = (former.mappings)();
    let of = (network, span);
    futures::future::try_join(insert(store, transactions, of, range), insert(store, logs, of, range)).await?;
    insert(store, blocks, of, range).await
}

async fn insert(
    store: &Store,
    mapping: &Mapping,
    (network, span): (&str, u32),
    range: &Range,
) -> Result<(), StoreError> {
    let statement = heavy(store, store.client().query(&mapping.insert(store).await?)).param("network", network);
    let statement = statement.param("span", span).param("from", range.from).param("to", range.to);
    run(store, "copying rows of the former layout", statement).await
}

/// What stands in a range: how many rows, and a digest over keys, sequences and hashes.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub(super) struct Standing {
    pub blocks: u64,
    blocks_digest: u64,
    /// What the blocks' headers count.
    pub transactions_counted: u64,
    pub logs_counted: u64,
    pub transactions: u64,
    transactions_digest: u64,
    pub logs: u64,
    logs_digest: u64,
}

/// What stands in a range of the former tables, and of today's.
pub(super) async fn standing(
    store: &Store,
    former: &Former,
    network: &str,
    range: &Range,
) -> Result<(Standing, Standing), StoreError> {
    let one = |blocks: &str, transactions: &str, logs: &str, hex: fn(&str) -> String| {
        let (hash, address) = (hex("hash"), hex("address"));
        let of = "FINAL WHERE network = {network:String} AND height BETWEEN {from:UInt64} AND {to:UInt64}";
        let sql = format!(
            "SELECT b.n AS blocks, b.d AS blocks_digest, b.t AS transactions_counted, b.l AS logs_counted, \
                t.n AS transactions, t.d AS transactions_digest, l.n AS logs, l.d AS logs_digest \
             FROM (SELECT count() AS n, groupBitXor(cityHash64(height, sequence, hash)) AS d, \
                    sum(toUInt64(transaction_count)) AS t, sum(toUInt64(log_count)) AS l FROM {blocks} {of}) AS b \
             CROSS JOIN (SELECT count() AS n, groupBitXor(cityHash64(height, transaction_index, sequence, {hash})) AS d \
                    FROM {transactions} {of}) AS t \
             CROSS JOIN (SELECT count() AS n, groupBitXor(cityHash64(height, transaction_index, log_index, sequence, {address})) AS d \
                    FROM {logs} {of}) AS l"
        );
        async move {
            let query = heavy(store, store.client().query(&sql)).param("network", network);
            let query = query.param("from", range.from).param("to", range.to).fetch_one::<Standing>();
            deadline("comparing what was copied", store.config().write_deadline, query).await
        }
    };
    let text: fn(&str) -> String = |name| format!("concat('0x', lower(hex({name})))");
    let [transactions, logs, blocks] = former.by_height;
    let before = one(blocks, transactions, logs, if former.bytes { text } else { str::to_owned });
    let today = one("block_rows", "evm_transaction_rows", "evm_log_rows", text);
    futures::future::try_join(before, today).await
}

/// Rows of the pieces of some heights: number of the piece, rows.
pub(super) async fn count(
    store: &Store,
    former: &Former,
    network: &str,
    look: &Look,
) -> Result<Vec<(u64, u64)>, StoreError> {
    let of = "WHERE network = {network:String} AND height BETWEEN {from:UInt64} AND {to:UInt64}";
    let all: Vec<String> = former.by_height.iter().map(|table| format!("SELECT height FROM {table} {of}")).collect();
    let sql = format!(
        "SELECT toUInt64(intDiv({{to:UInt64}} - height, {{step:UInt64}})) AS piece, count() AS n FROM ({}) GROUP BY piece ORDER BY piece",
        all.join(" UNION ALL ")
    );
    let query = heavy(store, store.client().query(&sql)).param("network", network).param("from", look.from);
    let query = query.param("to", look.to).param("step", look.step).fetch_all::<(u64, u64)>();
    deadline("counting rows of the former layout", store.config().write_deadline, query).await
}

/// The highest height at or below another one that has rows of the former layout.
pub(super) async fn top(
    store: &Store,
    former: &Former,
    network: &str,
    at_most: u64,
) -> Result<Option<u64>, StoreError> {
    edge(store, former, network, at_most, ("DESC", u64::max)).await
}

/// The lowest height that has rows of the former layout.
pub(super) async fn bottom(store: &Store, former: &Former, network: &str) -> Result<Option<u64>, StoreError> {
    edge(store, former, network, u64::MAX, ("ASC", u64::min)).await
}

async fn edge(
    store: &Store,
    former: &Former,
    network: &str,
    at_most: u64,
    (order, better): (&str, fn(u64, u64) -> u64),
) -> Result<Option<u64>, StoreError> {
    let mut found = None;
    for table in former.by_height {
        let sql = format!(
            "SELECT height FROM {table} WHERE network = {{network:String}} AND height <= {{at_most:UInt64}} \
             ORDER BY network {order}, height {order} LIMIT 1"
        );
        let query = store.read(&sql).param("network", network).param("at_most", at_most).fetch_optional::<u64>();
        if let Some(height) = store.within("looking for rows of the former layout", query).await? {
            found = Some(found.map_or(height, |other| better(other, height)));
        }
    }
    Ok(found)
}

/// Networks of a table, by name.
pub(super) async fn networks(store: &Store, table: &str) -> Result<Vec<String>, StoreError> {
    // Each is looked up by the key, so that no table is read whole.
    let sql = format!(
        "SELECT toString(network) FROM {table} WHERE network > {{after:String}} ORDER BY {table}.network LIMIT 1"
    );
    let mut found: Vec<String> = Vec::new();
    loop {
        let after = found.last().map_or("", String::as_str);
        let next = store.read(&sql).param("after", after).fetch_optional::<String>();
        match store.within("reading networks of the former layout", next).await? {
            Some(network) => found.push(network),
            None => return Ok(found),
        }
    }
}

/// Rows of all tables of a network, and what the headers of its blocks count.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub(super) struct Held {
    pub rows: u64,
    pub blocks: u64,
    pub transactions: u64,
    pub logs: u64,
}

pub(super) async fn held(store: &Store, former: &Former, network: &str) -> Result<Held, StoreError> {
    let blocks = former.blocks();
    let counts: Vec<String> = former
        .by_height
        .iter()
        .map(|table| format!("(SELECT count() FROM {table} WHERE network = {{network:String}})"))
        .collect();
    let sql = format!(
        "SELECT assumeNotNull({}) AS rows, count() AS blocks, sum(toUInt64(transaction_count)) AS transactions, \
         sum(toUInt64(log_count)) AS logs FROM {blocks} FINAL WHERE network = {{network:String}}",
        counts.join(" + ")
    );
    let query = heavy(store, store.client().query(&sql)).param("network", network).fetch_one::<Held>();
    deadline("counting rows of the former layout", store.config().write_deadline, query).await
}

/// Usual time between a network's blocks, milliseconds, as the former layout's lowest and highest have it.
pub(super) async fn block_time_ms(store: &Store, former: &Former, network: &str) -> Result<Option<u64>, StoreError> {
    let edge = |order: &str| {
        let blocks = former.blocks();
        let sql = format!(
            "SELECT height, toUnixTimestamp64Milli(block_time) FROM {blocks} WHERE network = {{network:String}} \
             ORDER BY network {order}, height {order} LIMIT 1"
        );
        let query = store.read(&sql).param("network", network).fetch_optional::<(u64, i64)>();
        store.within("reading the times of blocks", query)
    };
    let (low, high) = futures::future::try_join(edge("ASC"), edge("DESC")).await?;
    Ok(low.zip(high).and_then(|((low, began), (high, ended))| {
        let time = u64::try_from(ended - began).ok()?.checked_div(high.saturating_sub(low))?;
        (time > 0).then_some(time)
    }))
}

/// Tables of the former layout that are there.
pub(super) async fn tables(store: &Store, former: &Former) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT name FROM system.tables WHERE database = {database:String} AND name IN {names:Array(String)}";
    let query = store.read(sql).param("database", store.database()).param("names", former.all());
    store.within("looking for tables of the former layout", query.fetch_all::<String>()).await
}

/// Whether any of these tables has a row.
pub(super) async fn any_row(store: &Store, tables: &[String]) -> Result<bool, StoreError> {
    for table in tables {
        let query = store.read(&format!("SELECT count() FROM {table}")).fetch_one::<u64>();
        if store.within("counting rows of the former layout", query).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Sequences that are copied by one statement.
const SEQUENCES: u64 = 250_000;

/// Copies the events of a network, lowest first, so that those that are there have no hole.
pub(super) async fn events(store: &Store, former: &Former, network: &str) -> Result<(), StoreError> {
    let columns = "network, sequence, op, origin, height, block_hash, block_time, tx_count, log_count, reverts_sequence, observed_at, \
                   stored_at";
    let from = former.events;
    let sql = format!(
        "SELECT sequence FROM {from} WHERE network = {{network:String}} ORDER BY network DESC, sequence DESC LIMIT 1"
    );
    let last = store.read(&sql).param("network", network).fetch_optional::<u64>();
    let Some(last) = store.within("reading the last event of the former layout", last).await? else { return Ok(()) };
    let sql = format!(
        "INSERT INTO block_event_rows ({columns}) SELECT {columns} FROM {from} FINAL \
         WHERE network = {{network:String}} AND sequence BETWEEN {{from:UInt64}} AND {{to:UInt64}} ORDER BY sequence"
    );
    let mut from = 0;
    while from <= last {
        let to = from.saturating_add(SEQUENCES - 1);
        let statement = heavy(store, store.client().query(&sql)).param("network", network);
        run(store, "copying events of the former layout", statement.param("from", from).param("to", to)).await?;
        from = match to.checked_add(1) {
            Some(next) => next,
            None => break,
        };
    }
    Ok(())
}

/// Copies the counts of completeness, which hold again once all rows are there: newer than any count of meanwhile.
pub(super) async fn audits(store: &Store, from: &str) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO audit_rows (network, from_height, version, stale, runs, first_parent, last_hash, audited_at) \
               SELECT network, from_height, greatest(version + 1, toUInt64(toUnixTimestamp64Micro(now64(6)))), stale, runs, \
               first_parent, last_hash, audited_at FROM {from} FINAL"
    );
    run(store, "copying counts of the former layout", heavy(store, store.client().query(&sql))).await
}

/// Drops a table of the former layout, whatever its size.
pub(super) async fn drop_table(store: &Store, table: &str) -> Result<(), StoreError> {
    let statement = store.client().query(&format!("DROP TABLE IF EXISTS {table} SYNC"));
    run(store, "dropping a table of the former layout", statement.with_setting("max_table_size_to_drop", "0")).await
}

/// Forgets where the copy stood.
pub(super) async fn forget(store: &Store) -> Result<(), StoreError> {
    run(store, "ending the upgrade", store.client().query("TRUNCATE TABLE IF EXISTS upgrade_rows")).await
}

/// Drops a partition of the former tables, unless one of these networks has rows there.
pub(super) async fn drop_partition(
    store: &Store,
    former: &Former,
    partition: u64,
    unless: &[&str],
) -> Result<(), StoreError> {
    for table in former.by_height {
        let sql = format!(
            "SELECT count() FROM (SELECT 1 FROM {table} WHERE network IN {{networks:Array(String)}} \
             AND intDiv(height, 1000000) = {{partition:UInt64}} LIMIT 1)"
        );
        let query = store.read(&sql).param("networks", unless).param("partition", partition).fetch_one::<u64>();
        if store.within("looking for rows of the former layout", query).await? > 0 {
            return Ok(());
        }
    }
    for table in former.by_height {
        let statement = store.client().query(&format!("ALTER TABLE {table} DROP PARTITION {partition}"));
        let statement = statement.with_setting("max_partition_size_to_drop", "0");
        run(store, "dropping rows of the former layout", statement).await?;
    }
    Ok(())
}

/// Bounds of a statement in time, memory and threads: one reads, one writes, and readers have the rest of the machine.
fn heavy(store: &Store, query: Query) -> Query {
    let query = SETTINGS.iter().fold(query, |query, (name, value)| query.with_setting(*name, *value));
    let seconds = store.config().write_deadline.max(Duration::from_secs(1)).as_secs();
    query
        .with_setting("max_execution_time", seconds.to_string())
        .with_setting("max_memory_usage", MEMORY.to_string())
        .with_setting("max_threads", "1")
        .with_setting("max_insert_threads", "1")
        .with_setting("max_block_size", BLOCK_ROWS.to_string())
        .with_setting("min_insert_block_size_bytes", PART_BYTES.to_string())
        .with_setting("do_not_merge_across_partitions_select_final", "1")
        // What lay in one partition of all networks may go to many of one.
        .with_setting("max_partitions_per_insert_block", "0")
}

async fn run(store: &Store, doing: &'static str, statement: Query) -> Result<(), StoreError> {
    deadline(doing, store.config().write_deadline, statement.execute()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_column_is_named_twice() {
        for mapping in [&*TRANSACTIONS_MAPPING, &*LOGS_MAPPING, &*BLOCKS_MAPPING] {
            let mut names: Vec<&str> = mapping.columns.iter().map(|(name, _)| *name).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{}", mapping.to);
        }
    }
}

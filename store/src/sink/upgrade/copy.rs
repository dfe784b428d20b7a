//! The statements that copy rows of the former layout.
//!
//! Guarantee: each may be run any number of times, and late. What it inserts has the key that it had and a version that rises as the
//! former one did (`2 × sequence`, deletions one more, become `256 × sequence`, deletions 255 more), so that of each key the same row
//! wins as before, against whatever was or will be inserted. Of every key the row that stood is copied, and every deletion row.
//!
//! The former layout never changes any more, so its columns stand here and nowhere else.

use std::{sync::LazyLock, time::Duration};

use clickhouse::{Row, query::Query};
use serde::Deserialize;

use super::{
    super::insert::SETTINGS,
    plan::{Look, Range},
};
use crate::{Store, StoreError, client::deadline};

/// Tables of the former layout, as the migrations call them now. The last one tells what is held.
pub(super) const FORMER: [&str; 5] = [TRANSACTIONS, LOGS, BLOCKS, AUDITS, EVENTS];
const TRANSACTIONS: &str = "former_evm_transaction_rows";
const LOGS: &str = "former_evm_log_rows";
const BLOCKS: &str = "former_block_rows";
/// Counts of completeness.
pub(super) const AUDITS: &str = "former_audit_rows";
/// Events.
pub(super) const EVENTS: &str = "former_block_event_rows";
/// Those that are copied by heights.
pub(super) const BY_HEIGHT: [&str; 3] = [TRANSACTIONS, LOGS, BLOCKS];

/// Memory of one of these statements, bytes.
const MEMORY: u64 = 448 << 20;
/// Bytes of rows that become one part.
const PART_BYTES: u64 = 64 << 20;
/// Rows that are worked on at once: some have a hundred kB of call data.
const BLOCK_ROWS: u64 = 4_096;

const VERSION: &str = "intDiv(version, 2) * 256 + if(is_deleted = 1, 255, 0)";

/// What is copied from where to where: the former table, the table, and for each of its columns what it is made from.
struct Mapping {
    from: &'static str,
    to: &'static str,
    columns: Vec<(&'static str, String)>,
}

impl Mapping {
    /// Rows of a range of heights.
    fn insert(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let values: Vec<&str> = self.columns.iter().map(|(_, value)| value.as_str()).collect();
        let (from, to, names, values) = (self.from, self.to, names.join(", "), values.join(", "));
        // `FINAL` shows what stands; deletions are never seen by it.
        format!(
            "INSERT INTO {to} ({names}) SELECT {values} FROM {from} FINAL \
             WHERE network = {{network:String}} AND height BETWEEN {{from:UInt64}} AND {{to:UInt64}} \
             UNION ALL SELECT {values} FROM {from} \
             WHERE network = {{network:String}} AND height BETWEEN {{from:UInt64}} AND {{to:UInt64}} AND is_deleted = 1"
        )
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
    Mapping { from: TRANSACTIONS, to: "evm_transaction_rows", columns }
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
    Mapping { from: LOGS, to: "evm_log_rows", columns }
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
    Mapping { from: BLOCKS, to: "block_rows", columns }
});

/// Copies a range: what the blocks hold first, then the blocks, as the sink writes them (rule 16).
pub(super) async fn range(store: &Store, network: &str, range: &Range) -> Result<(), StoreError> {
    let transactions = insert(store, &TRANSACTIONS_MAPPING, network, range);
    futures::future::try_join(transactions, insert(store, &LOGS_MAPPING, network, range)).await?;
    insert(store, &BLOCKS_MAPPING, network, range).await
}

async fn insert(store: &Store, mapping: &Mapping, network: &str, range: &Range) -> Result<(), StoreError> {
    let statement = heavy(store, store.client().query(&mapping.insert())).param("network", network);
    let statement = statement.param("from", range.from).param("to", range.to);
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
pub(super) async fn standing(store: &Store, network: &str, range: &Range) -> Result<(Standing, Standing), StoreError> {
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
    let former = one(BLOCKS, TRANSACTIONS, LOGS, str::to_owned);
    let today =
        one("block_rows", "evm_transaction_rows", "evm_log_rows", |name| format!("concat('0x', lower(hex({name})))"));
    futures::future::try_join(former, today).await
}

/// Rows of the pieces of some heights: number of the piece, rows.
pub(super) async fn count(store: &Store, network: &str, look: &Look) -> Result<Vec<(u64, u64)>, StoreError> {
    let of = "WHERE network = {network:String} AND height BETWEEN {from:UInt64} AND {to:UInt64}";
    let all: Vec<String> = BY_HEIGHT.iter().map(|table| format!("SELECT height FROM {table} {of}")).collect();
    let sql = format!(
        "SELECT toUInt64(intDiv({{to:UInt64}} - height, {{step:UInt64}})) AS piece, count() AS n FROM ({}) GROUP BY piece ORDER BY piece",
        all.join(" UNION ALL ")
    );
    let query = heavy(store, store.client().query(&sql)).param("network", network).param("from", look.from);
    let query = query.param("to", look.to).param("step", look.step).fetch_all::<(u64, u64)>();
    deadline("counting rows of the former layout", store.config().write_deadline, query).await
}

/// The highest height at or below another one that has rows of the former layout.
pub(super) async fn top(store: &Store, network: &str, at_most: u64) -> Result<Option<u64>, StoreError> {
    edge(store, network, at_most, "DESC", u64::max).await
}

/// The lowest height that has rows of the former layout.
pub(super) async fn bottom(store: &Store, network: &str) -> Result<Option<u64>, StoreError> {
    edge(store, network, u64::MAX, "ASC", u64::min).await
}

async fn edge(
    store: &Store,
    network: &str,
    at_most: u64,
    order: &str,
    better: fn(u64, u64) -> u64,
) -> Result<Option<u64>, StoreError> {
    let mut found = None;
    for table in BY_HEIGHT {
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

pub(super) async fn held(store: &Store, network: &str) -> Result<Held, StoreError> {
    let counts: Vec<String> = BY_HEIGHT
        .iter()
        .map(|table| format!("(SELECT count() FROM {table} WHERE network = {{network:String}})"))
        .collect();
    let sql = format!(
        "SELECT assumeNotNull({}) AS rows, count() AS blocks, sum(toUInt64(transaction_count)) AS transactions, \
         sum(toUInt64(log_count)) AS logs FROM {BLOCKS} FINAL WHERE network = {{network:String}}",
        counts.join(" + ")
    );
    let query = heavy(store, store.client().query(&sql)).param("network", network).fetch_one::<Held>();
    deadline("counting rows of the former layout", store.config().write_deadline, query).await
}

/// Tables of the former layout that are there.
pub(super) async fn tables(store: &Store) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT name FROM system.tables WHERE database = {database:String} AND name IN {names:Array(String)}";
    let query = store.read(sql).param("database", store.database()).param("names", FORMER.as_slice());
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
pub(super) async fn events(store: &Store, network: &str) -> Result<(), StoreError> {
    let columns = "network, sequence, op, origin, height, block_hash, block_time, tx_count, log_count, reverts_sequence, observed_at, \
                   stored_at";
    let sql = "SELECT sequence FROM former_block_event_rows WHERE network = {network:String} ORDER BY network DESC, sequence DESC LIMIT 1";
    let last = store.read(sql).param("network", network).fetch_optional::<u64>();
    let Some(last) = store.within("reading the last event of the former layout", last).await? else { return Ok(()) };
    let sql = format!(
        "INSERT INTO block_event_rows ({columns}) SELECT {columns} FROM former_block_event_rows FINAL \
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
pub(super) async fn audits(store: &Store) -> Result<(), StoreError> {
    let sql = "INSERT INTO audit_rows (network, from_height, version, stale, runs, first_parent, last_hash, audited_at) \
               SELECT network, from_height, greatest(version + 1, toUInt64(toUnixTimestamp64Micro(now64(6)))), stale, runs, \
               first_parent, last_hash, audited_at FROM former_audit_rows FINAL";
    run(store, "copying counts of the former layout", heavy(store, store.client().query(sql))).await
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
pub(super) async fn drop_partition(store: &Store, partition: u64, unless: &[&str]) -> Result<(), StoreError> {
    for table in BY_HEIGHT {
        let sql = format!(
            "SELECT count() FROM (SELECT 1 FROM {table} WHERE network IN {{networks:Array(String)}} \
             AND intDiv(height, 1000000) = {{partition:UInt64}} LIMIT 1)"
        );
        let query = store.read(&sql).param("networks", unless).param("partition", partition).fetch_one::<u64>();
        if store.within("looking for rows of the former layout", query).await? > 0 {
            return Ok(());
        }
    }
    for table in BY_HEIGHT {
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

//! Rows of one network, made by the engine itself from numbers, some blocks at a time: one statement for all of them would need more
//! memory than the engine has.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::store::Sql;
use crate::failure::Failure;

/// The network.
pub const NETWORK: &str = "large";
/// Its first height: in the middle of a bucket of counts.
pub const FIRST_HEIGHT: u64 = 20_000_444;
/// Heights of a partition: a week of blocks every 12 s.
const SPAN: u64 = 50_176;
/// Heights of a bucket of counts, and how far below the tip one must end to be counted, as the sink has it.
const BUCKET: u64 = schemas::limits::AUDIT_BUCKET_HEIGHTS;
const OPEN: u64 = schemas::limits::AUDIT_OPEN_BLOCKS;
/// Blocks of one statement.
const STEP: u64 = 5_000;
/// Newest blocks that have as many logs as Ethereum's; below are fewer, which nobody reads.
const FULL: u64 = 5_000;

/// What there is.
#[derive(Clone, Copy)]
pub struct Chain {
    pub blocks: u64,
    pub per_block: u64,
    /// Milliseconds since 1970 of the newest block.
    pub tip_ms: u64,
}

impl Chain {
    /// Logs of a block: 2.8 a transaction in the newest, one for five transactions below.
    fn logs(self, block: u64) -> u64 {
        if block + FULL >= self.blocks { self.per_block * 14 / 5 } else { self.per_block / 5 }.max(1)
    }

    fn time(self) -> String {
        format!("fromUnixTimestamp64Milli(toInt64({} + (toInt64(b) - {}) * 12000), 'UTC')", self.tip_ms, self.blocks)
    }

    /// First heights of buckets that the sink would have counted: from the first on, below this one.
    fn counted_below(self) -> u64 {
        let tip = FIRST_HEIGHT + self.blocks - 1;
        (tip.saturating_sub(OPEN) / BUCKET) * BUCKET
    }
}

/// 32 bytes that nothing compresses.
fn bytes(of: &str, kind: &str) -> String {
    format!(
        "toFixedString(reinterpretAsString(sipHash128({of}, '{kind}')) || reinterpretAsString(sipHash128({of}, '{kind}2')), 32)"
    )
}

fn address(of: &str) -> String {
    format!(
        "toFixedString(substring(reinterpretAsString(sipHash128(toUInt64({of}))) || reinterpretAsString(sipHash128(toUInt64({of}), 1)), 1, 20), 20)"
    )
}

/// A block's hash as text.
fn hash(of: &str) -> String {
    format!("concat('0x', lower(hex({})))", bytes(of, "b"))
}

/// How the engine is to make parts: of a bounded size, in one thread.
const SETTINGS: [(&str, &str); 6] = [
    ("max_threads", "1"),
    ("max_insert_threads", "1"),
    ("max_block_size", "65536"),
    ("max_insert_block_size", "250000"),
    ("min_insert_block_size_rows", "250000"),
    ("min_insert_block_size_bytes", "0"),
];

/// Makes what is missing of the chain: a run that was cut off is gone on with, at whole statements.
pub async fn fill(sql: &Sql, chain: Chain) -> Result<Duration, Failure> {
    let began = std::time::Instant::now();
    let held: u64 = sql
        .number(&format!("SELECT toUInt64(max(sequence)) FROM block_event_rows WHERE network = '{NETWORK}'"))
        .await?;
    if held == 0 {
        sql.run(&format!("INSERT INTO partition_rows VALUES ('{NETWORK}', now64(6), {SPAN})"), &[]).await?;
        sql.run(&format!("INSERT INTO sink_status_rows VALUES ('{NETWORK}', 'evm', 'running', '', now64(3))"), &[])
            .await?;
    }
    let bar = ProgressBar::new(chain.blocks)
        .with_style(ProgressStyle::with_template("{wide_bar} block {pos} of {len}, {eta} left")?);
    let mut from = held;
    while from < chain.blocks {
        // Blocks of one statement have as many logs each.
        let edge = chain.blocks.saturating_sub(FULL);
        let to = (from + STEP).min(if from < edge { edge } else { chain.blocks });
        blocks(sql, chain, from, to).await?;
        from = to;
        bar.set_position(from);
    }
    bar.finish_and_clear();
    count(sql, chain).await?;
    Ok(began.elapsed())
}

/// Blocks `from..to` with all of theirs, as the sink writes them: what a block holds, the block, its event.
pub async fn blocks(sql: &Sql, chain: Chain, from: u64, to: u64) -> Result<(), Failure> {
    let (per, logs, time) = (chain.per_block, chain.logs(from), chain.time());
    let blocks = to - from;
    let of_block = bytes("b", "b");
    let statement = format!(
        "INSERT INTO evm_log_rows (network, height, transaction_index, log_index, version, block_hash, block_time, transaction_hash, \
         address, topics, span) WITH number + {} AS n, intDiv(n, {logs}) AS b, n % {logs} AS i, intDiv(i * {per}, {logs}) AS ti \
         SELECT '{NETWORK}', {FIRST_HEIGHT} + b, ti, i, 256 * (b + 1), {of_block}, {time}, {}, {}, [unhex('ddf252ad')], {SPAN} \
         FROM numbers({})",
        from * logs,
        bytes(&format!("b * {per} + ti"), "t"),
        address("2000000000 + cityHash64(n + 2) % 997"),
        blocks * logs
    );
    sql.run(&statement, &SETTINGS).await?;
    let statement = format!(
        "INSERT INTO evm_transaction_rows (network, height, transaction_index, version, block_hash, block_time, hash, from_address, \
         to_address, value, status, fee, log_count, contracts, nonce, gas, receipt_status, receipt_gas_used, present, span) \
         WITH number + {} AS n, intDiv(n, {per}) AS b SELECT '{NETWORK}', {FIRST_HEIGHT} + b, n % {per}, 256 * (b + 1), {of_block}, \
         {time}, {}, {}, {} AS to, toUInt256(n), if(n % 50 = 0, 'failed', 'success'), toUInt256(21000), {}, [to], n, 21000, \
         n % 50 != 0, 21000, 131, {SPAN} FROM numbers({})",
        from * per,
        bytes("n", "t"),
        address("cityHash64(n) % 200000"),
        address("1000000000 + cityHash64(n + 1) % 50000"),
        logs / per,
        blocks * per
    );
    sql.run(&statement, &SETTINGS).await?;
    let marks = format!(
        "INSERT INTO audit_rows (network, from_height, version, stale, audited_at) SELECT DISTINCT '{NETWORK}', \
         intDiv({FIRST_HEIGHT} + {from} + number, {BUCKET}) * {BUCKET} AS f, 1, 1, now64(3) FROM numbers({blocks}) \
         WHERE f NOT IN (SELECT from_height FROM audit_rows WHERE network = '{NETWORK}')"
    );
    sql.run(&marks, &[]).await?;
    let statement = format!(
        "INSERT INTO block_rows (network, height, version, origin, hash, parent_hash, block_time, transaction_count, log_count, span) \
         WITH number + {from} AS b SELECT '{NETWORK}', {FIRST_HEIGHT} + b, 256 * (b + 1), 'live', {}, {}, {time}, {per}, {logs}, {SPAN} \
         FROM numbers({blocks})",
        hash("b"),
        hash("b - 1")
    );
    sql.run(&statement, &SETTINGS).await?;
    let statement = format!(
        "INSERT INTO block_event_rows (network, sequence, op, origin, height, block_hash, block_time, tx_count, log_count) \
         WITH number + {from} AS b SELECT '{NETWORK}', b + 1, 'apply', 'live', {FIRST_HEIGHT} + b, {}, {time}, {per}, {logs} \
         FROM numbers({blocks})",
        hash("b")
    );
    sql.run(&statement, &SETTINGS).await
}

/// Counts of all buckets that are settled, as the sink's auditor would have made them in its own time.
async fn count(sql: &Sql, chain: Chain) -> Result<(), Failure> {
    let (per, end) = (chain.per_block, chain.counted_below());
    let edge = FIRST_HEIGHT + chain.blocks.saturating_sub(FULL);
    let (few, many) = (chain.logs(0), chain.logs(chain.blocks));
    let first = FIRST_HEIGHT / BUCKET * BUCKET;
    let statement = format!(
        "INSERT INTO audit_rows (network, from_height, version, runs, first_parent, last_hash, audited_at) \
         WITH {first} + number * {BUCKET} AS f, greatest(f, {FIRST_HEIGHT}) AS low, f + {BUCKET} - 1 AS high, high - low + 1 AS n, \
         greatest(0, least(toInt64(n), toInt64(high) + 1 - toInt64({edge}))) AS full, \
         toUInt64(full * {many} + (n - full) * {few}) AS logs, low - {FIRST_HEIGHT} AS bl, high - {FIRST_HEIGHT} AS bh \
         SELECT '{NETWORK}', f, 2, [(low, high, n, n * {per}, n * {per}, logs, logs, 1)], {}, {}, now64(3) \
         FROM numbers({}) WHERE f < {end}",
        hash("(bl - 1)"),
        hash("bh"),
        (end.saturating_sub(first)) / BUCKET
    );
    sql.run(&statement, &[]).await
}

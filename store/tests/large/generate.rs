//! A store of many rows, made by the engine itself from numbers: two networks, the second half of the first one not merged.

use std::time::Instant;

use alloy_primitives::U256;
use schemas::sketch::{Bins, Distinct};
use store::{Store, sink};

use crate::harness::Running;

/// Blocks below the generated ones, so that they lie in several partitions.
pub const FIRST_HEIGHT: u64 = 980_000;
/// Heights of a partition, of which there are many.
pub const SPAN: u32 = 50_176;
/// Transactions, and logs, of a block.
pub const PER_BLOCK: u64 = 200;
/// Senders of network `a`; contracts are a quarter as many.
pub const SENDERS: u64 = 200_000;

/// A generated network.
#[derive(Clone, Copy)]
pub struct Network {
    pub name: &'static str,
    pub blocks: u64,
}

/// The hash of a transaction by its number in its network, and of a block.
pub fn transaction_hash(network: &str, number: u64) -> String {
    format!("0x{number:048x}{:016x}", digest(network, "transaction"))
}

pub fn block_hash(network: &str, block: u64) -> String {
    format!("0x{block:048x}{:016x}", digest(network, "block"))
}

/// The same in SQL.
fn hash_of(network: &str, kind: &str, number: &str) -> String {
    format!("concat('0x', leftPad(lower(hex({number})), 48, '0'), '{:016x}')", digest(network, kind))
}

fn digest(network: &str, kind: &str) -> u64 {
    network
        .bytes()
        .chain(kind.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// An address that many transactions of `a` were sent by.
pub fn sender(number: u64) -> String {
    format!("0x{number:040x}")
}

/// Functions that a block's transactions call, one after the other.
const FUNCTIONS: u64 = 16;

/// The selector of one of them.
pub fn method(number: u64) -> String {
    format!("0xa9059c{number:02x}")
}

/// The selector of a function that one transaction of each network calls.
pub fn rare_method() -> String {
    "0xdeadbeef".to_owned()
}

fn address(number: &str) -> String {
    bytes(&format!("concat('0x', leftPad(lower(hex({number})), 40, '0'))"))
}

/// The bytes of a text of hex digits in SQL.
fn bytes(text: &str) -> String {
    format!("unhex(substring({text}, 3))")
}

const TABLES: [&str; 4] = ["evm_log_rows", "evm_transaction_rows", "block_rows", "block_event_rows"];

/// Why one failed transaction in ten thousand failed.
pub const RARE_CAUSE: &str = "static_write";

/// Makes both networks. `b` overlaps `a` in heights and times.
pub async fn fill(engine: &Running, store: &Store, a: Network, b: Network) {
    store.migrate().await.expect("a schema");
    let began = Instant::now();
    insert(engine, a, 0, a.blocks / 2, 500_000);
    for table in TABLES {
        run(engine, &format!("SYSTEM STOP MERGES {table}"), "");
    }
    insert(engine, b, 0, b.blocks, 50_000);
    insert(engine, a, a.blocks / 2, a.blocks, 25_000);
    minutes(engine, a.name);
    for (network, _) in [(a.name, 0), (b.name, 0)] {
        run(engine, &format!("INSERT INTO partition_rows VALUES ('{network}', now64(6), {SPAN})"), "");
        // As the sink marks each bucket when its first block is written.
        let marks = format!(
            "INSERT INTO audit_rows (network, from_height, version, stale, audited_at) SELECT DISTINCT '{network}', \
             intDiv(height, 1024) * 1024, 0, 1, now64(3) FROM block_rows WHERE network = '{network}'"
        );
        run(engine, &marks, "");
        run(engine, &format!("INSERT INTO sink_status_rows VALUES ('{network}', 'evm', 'running', '', now64(3))"), "");
    }
    eprintln!("{} transactions in {:.1?}", (a.blocks + b.blocks) * PER_BLOCK, began.elapsed());
}

/// Endpoints of a network, and methods that each was asked, of which there is a sum every minute …
pub const ENDPOINTS: u64 = 40;
pub const METHODS: u64 = 3;
/// … for so many minutes until now: a month.
pub const MINUTES: u64 = 30 * 24 * 60;

fn minutes(engine: &Running, network: &str) {
    let rows = MINUTES * ENDPOINTS * METHODS;
    let sql = format!(
        "INSERT INTO provider_minute_rows WITH intDiv(number, {each}) AS minute SELECT '{network}', concat('e', toString(number % \
         {ENDPOINTS})), toDateTime64(toStartOfMinute(now()), 3, 'UTC') - toIntervalMinute({MINUTES} - minute), 'ingest/one', \
         concat('m', toString(intDiv(number, {ENDPOINTS}) % {METHODS})), 60, 1, 100, 200, 50000 FROM numbers({rows})",
        each = ENDPOINTS * METHODS
    );
    run(engine, &sql, "");
}

/// Blocks `from..to`, in parts of so many rows, as the sink inserts them.
fn insert(engine: &Running, network: Network, from: u64, to: u64, rows: u64) {
    let name = network.name;
    let settings: String = sink::INSERT_SETTINGS.iter().map(|(name, value)| format!("&{name}={value}")).collect();
    let settings = format!(
        "max_block_size={rows}&max_insert_block_size={rows}&min_insert_block_size_rows={rows}&min_insert_block_size_bytes=0\
         &max_threads=2&max_insert_threads=2{settings}"
    );
    let (height, time) =
        (format!("{FIRST_HEIGHT} + b"), "fromUnixTimestamp64Milli(toInt64(1700000000000 + height * 12000), 'UTC')");
    let children = format!(
        "WITH number + {} AS n, intDiv(n, {PER_BLOCK}) AS b SELECT '{name}', {height} AS height, n % {PER_BLOCK}",
        from * PER_BLOCK
    );
    let hash = bytes(&hash_of(name, "transaction", "n"));
    let contract = address(&format!("toUInt64(1000000000 + cityHash64(n + 1) % {})", SENDERS / 4));
    let emitter = address("toUInt64(2000000000 + cityHash64(n + 2) % 997)");
    let numbers = format!("FROM numbers({})", (to - from) * PER_BLOCK);
    let block = hash_of(name, "block", "b");
    let of_block = bytes(&block);
    for statement in [
        format!(
            "INSERT INTO evm_log_rows (network, height, transaction_index, log_index, version, block_hash, block_time, \
             transaction_hash, address, topics, span) {children}, n % {PER_BLOCK}, 256 * (b + 1), {of_block}, {time}, {hash}, \
             {emitter}, [unhex('ddf252ad')], {SPAN} {numbers}"
        ),
        format!(
            "INSERT INTO evm_transaction_rows (network, height, transaction_index, version, block_hash, block_time, hash, \
             from_address, to_address, value, status, fee, method, log_count, contracts, gas, receipt_status, receipt_gas_used, present, span, \
             failure_cause, found_by, error_selector, evidence) \
             {children}, 256 * (b + 1), {of_block}, {time}, {hash}, {}, {contract} AS to, toUInt256(n), \
             if(n % 50 = 0, 'failed', 'success'), toUInt256(21000), \
             if(n = 4321, unhex('deadbeef'), concat(unhex('a9059c'), char(n % {FUNCTIONS}))), 1, [to, {emitter}], 21000, n % 50 != 0, 21000, \
             bitOr(bitOr(1, 2), bitOr(4, 128)), {SPAN}, if(n % 50 = 0, if(n % 500000 = 0, '{RARE_CAUSE}', 'slippage'), ''), \
             if(n % 50 = 0, 'trace', ''), if(n % 100 = 0, unhex('08c379a0'), ''), \
             if(n % 50 = 0, '{{\"error_signature\":\"Error(string)\",\"found_at\":1700000000000}}', '') {numbers}",
            address(&format!("cityHash64(n) % {SENDERS}"))
        ),
        format!(
            "INSERT INTO block_rows (network, height, version, origin, hash, parent_hash, block_time, transaction_count, log_count, span, \
             contract_addresses, contract_transactions, contract_failed, contract_unknown, contract_logs, contract_gas_used) \
             WITH number + {from} AS b SELECT '{name}', {height} AS height, 256 * (b + 1), 'live', {block}, {}, {time}, {PER_BLOCK}, \
             {PER_BLOCK}, {SPAN}, [unhex(repeat('cc', 20)), unhex(repeat('dd', 20))], [2, 1], [1, 0], [0, 0], [1, 1], [7, 7] FROM numbers({})",
            hash_of(name, "block", "b - 1"),
            to - from
        ),
        format!(
            "INSERT INTO block_event_rows (network, sequence, op, origin, height, block_hash, block_time, tx_count, log_count) \
             WITH number + {from} AS b SELECT '{name}', b + 1, 'apply', 'live', {height} AS height, {block}, {time}, {PER_BLOCK}, \
             {PER_BLOCK} FROM numbers({})",
            to - from
        ),
    ] {
        run(engine, &statement, &settings);
    }
}

/// Networks that have windows (`a` and others), and watched contracts of each.
pub const WINDOW_NETWORKS: u64 = 50;
pub const CONTRACTS: u64 = 200;
/// Transactions of a minute of a network, as many as `a` has, and of one of a contract.
pub const A_MINUTE: (u64, u64) = (5 * PER_BLOCK, 10);

/// A network that has windows, and a contract of it.
pub fn window_network(number: u64) -> String {
    if number == 0 { "a".to_owned() } else { format!("w{number}") }
}

pub fn contract(number: u64) -> String {
    format!("0x{:040x}", 7_000_000_000 + number)
}

/// A week of windows until a time, milliseconds since 1970: of each network all, of each contract one minute in 64, five minutes in 12, one
/// hour in four, and every day.
pub fn windows(engine: &Running, end: u64) {
    let began = Instant::now();
    let base = end / 86_400_000 * 86_400_000 - 7 * 86_400_000;
    let hex = |bytes: Vec<u8>| format!("unhex('{}')", bytes.iter().map(|b| format!("{b:02x}")).collect::<String>());
    let sketches = |prices: u64, senders: u64| {
        let (mut bins, mut set) = (Bins::default(), Distinct::default());
        (0..prices).for_each(|n| bins.add(U256::from(1_000_000_000 + n * n * 1_000_000)));
        (0..senders).for_each(|n| set.add(&n.to_be_bytes()));
        (hex(bins.encode()), hex(set.encode()))
    };
    let settings: String = sink::INSERT_SETTINGS.iter().map(|(name, value)| format!("&{name}={value}")).collect();
    let settings = format!(
        "max_block_size=65536&max_insert_block_size=65536&min_insert_block_size_rows=65536&max_threads=1&max_insert_threads=1{settings}"
    );
    for (seconds, every) in [(60_u64, 64_u64), (300, 12), (3_600, 4), (86_400, 1)] {
        let slots = (end - base).div_ceil(seconds * 1_000);
        let name = "if(i = 0, 'a', concat('w', toString(i)))";
        for (whose, contracts, each, (prices, senders)) in [
            ("''", 1, 1, sketches(500, 600)),
            (
                "concat('0x', leftPad(lower(hex(toUInt64(7000000000 + c))), 40, '0'))",
                CONTRACTS,
                every,
                sketches(10, 10),
            ),
        ] {
            let transactions = if contracts == 1 { A_MINUTE.0 } else { A_MINUTE.1 } * seconds / 60;
            let statement = format!(
                "INSERT INTO window_rows (network, contract, window_seconds, window_start, sequence, height, complete, reason, watched_from, \
                 blocks, transactions, failed, gas_used, gas_limit, fee_total, value_total, gas_price_sum, gas_price_count, gas_price_p50, \
                 gas_price_p95, senders, first_height, first_time, last_height, last_time, price_sketch, sender_sketch) \
                 WITH intDiv(number, {slots}) AS pair, intDiv(pair, {contracts}) AS i, pair % {contracts} AS c, \
                     {base} + (number % {slots}) * {seconds} * 1000 AS at, fromUnixTimestamp64Milli(toInt64(at), 'UTC') AS start \
                 SELECT {name}, {whose}, {seconds}, start, 1 + intDiv(at, 12000), 1, at + {seconds} * 1000 <= {end}, \
                     if(at + {seconds} * 1000 <= {end}, '', 'it is still open'), fromUnixTimestamp64Milli(toInt64({base}), 'UTC'), {seconds} / 12, \
                     {transactions}, {transactions} / 50, {transactions} * 21000, 30000000, {transactions}, {transactions}, \
                     toUInt256({transactions}) * 1000000000, {transactions}, toUInt256(1000000000), toUInt256(2000000000), 500, \
                     intDiv(at, 12000), start, intDiv(at, 12000) + {seconds} / 12 - 1, start + {seconds} - 12, {prices}, {senders} \
                 FROM numbers({}) WHERE cityHash64(number) % {each} = 0",
                slots * contracts * WINDOW_NETWORKS
            );
            run(engine, &statement, &settings);
        }
    }
    eprintln!("{} windows in {:.1?}", run(engine, "SELECT count() FROM window_rows", ""), began.elapsed());
    let size = "SELECT formatReadableSize(sum(bytes_on_disk)), count() FROM system.parts WHERE table = 'window_rows' AND active";
    eprintln!("    size and parts: {}", run(engine, size, ""));
}

/// Runs a statement of the stages'.
pub fn run(engine: &Running, sql: &str, settings: &str) -> String {
    let reply = engine.as_stages(&format!("/?{settings}"), sql.as_bytes());
    assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
    reply.text().trim().to_owned()
}

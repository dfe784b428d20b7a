//! Look-ups through the views use the indexes of the tables behind them: the plan says so, index by index, for what REST asks and for
//! what analysts ask. That REST's own statements read no more than a bound is shown by `tests/large`.

use crate::{
    harness::Running,
    setup::{execute, rows, store_in},
};

/// Rows of each table, in parts of which each look-up needs one.
const ROWS: u64 = 400_000;

/// A value that occurs once, as text.
fn word(digits: usize) -> String {
    format!("0x{}{:04x}", "0".repeat(digits - 4), 777)
}

/// The statement's plan uses this index, and it leaves few of the granules.
async fn assert_used(engine: &Running, store: &store::Store, sql: &str, index: &str) {
    let plan = rows::<String>(engine, store, &format!("EXPLAIN indexes = 1 {sql}")).await.join("\n");
    // Of a view over several tables, those that are empty have none to leave.
    let granules = plan.split(&format!("Name: {index}")).skip(1).find_map(|of_index| {
        let of_it = of_index.split("Name: ").next()?;
        of_it.lines().find_map(|line| line.split_once("Granules: ")).map(|(_, granules)| granules.trim())
    });
    let granules = granules.unwrap_or_else(|| panic!("{sql}: {index} is not used:\n{plan}"));
    let (left, of) = granules.split_once('/').expect("a fraction");
    let (left, of): (u64, u64) = (left.parse().expect("a number"), of.parse().expect("a number"));
    assert!(of >= 20 && left * 10 <= of, "{sql}: {index} leaves {granules}:\n{plan}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_look_up_uses_its_index() {
    let engine = Running::start().await;
    let store = store_in(&engine, "headwater");
    store.migrate().await.expect("tables");
    let fixed = |bytes: u64| format!("reverse(toFixedString(reinterpretAsString(number), {bytes}))");
    let time = "toDateTime64(1700000000 + number, 3, 'UTC')";
    let rest = format!("FROM numbers({ROWS}) SETTINGS materialize_skip_indexes_on_insert = 1");
    for insert in [
        format!(
            "INSERT INTO evm_transaction_rows (network, height, version, block_time, hash, from_address, contracts, method, present, span, failure_cause) \
             SELECT 'a', number, 256 * number, {time}, {}, {}, [{}, toFixedString('x', 20)], {}, 4, 302080, if(number = 777, 'oracle', if(number % 3 = 0, 'slippage', '')) {rest}",
            fixed(32),
            fixed(20),
            fixed(20),
            fixed(4)
        ),
        format!(
            "INSERT INTO evm_log_rows (network, height, version, block_time, address, topics, transaction_hash, span) \
             SELECT 'a', number, 256 * number, {time}, {}, [{}, toFixedString('x', 32)], {}, 302080 {rest}",
            fixed(20),
            fixed(32),
            fixed(32)
        ),
        format!(
            "INSERT INTO block_rows (network, height, version, block_time, hash, span) \
             SELECT 'a', number, 256 * number, {time}, concat('0x', lower(leftPad(hex(number), 64, '0'))), 302080 {rest}"
        ),
    ] {
        execute(&engine, &store, &insert).await;
    }
    let (hash, address, selector) = (word(64), word(40), word(8));
    let transactions =
        "network, block_number, hash, from_address, to_address, value, status, failure_cause, method, fee, contracts";
    for view in ["transactions", "evm_transactions"] {
        // As REST asks, as analysts ask, and with what their tools put around it.
        for what in [transactions, "*", "count()"] {
            for (filter, index) in [
                (format!("network = 'a' AND hash = '{hash}'"), "by_hash"),
                (format!("hash = '{hash}'"), "by_hash"),
                (format!("hash IN ('{hash}', '{}')", word(64).replace("0x00", "0xff")), "by_hash"),
                (format!("from_address = '{address}'"), "by_from"),
                (format!("`from` = '{address}'"), "by_from"),
                (format!("has(contracts, '{address}')"), "by_contract"),
                (
                    format!("network = 'a' AND block_number BETWEEN 0 AND 999999 AND has(contracts, '{address}')"),
                    "by_contract",
                ),
                (
                    format!("network = 'a' AND (from_address = '{address}' OR has(contracts, '{address}'))"),
                    "<Combined skip indexes>",
                ),
                (format!("method = '{selector}'"), "by_method"),
                (format!("network = 'a' AND method IN ['{selector}', '0xffffffff']"), "by_method"),
                ("failure_cause = 'oracle'".into(), "by_cause"),
                ("cause = 'oracle'".into(), "by_cause"),
                ("network = 'a' AND failure_cause IN ['oracle', 'bridge']".into(), "by_cause"),
                ("block_timestamp = toDateTime64(1700000777, 3, 'UTC')".into(), "by_time"),
                ("sequence = 777".into(), "by_sequence"),
                ("sequence > 399990".into(), "by_sequence"),
                ("sequence IN (777, 778)".into(), "by_sequence"),
            ] {
                assert_used(&engine, &store, &format!("SELECT {what} FROM {view} WHERE {filter}"), index).await;
            }
        }
        let found = format!(
            "SELECT count() FROM {view} WHERE hash = '{hash}' AND `from` = '{address}' AND has(contracts, '{address}')"
        );
        assert_eq!(rows::<u64>(&engine, &store, &found).await, [1], "{view}");
        let outer = format!(
            "SELECT hash FROM (SELECT * FROM {view}) AS q WHERE q.hash = '{hash}' ORDER BY q.block_number LIMIT 1"
        );
        assert_used(&engine, &store, &outer, "by_hash").await;
    }
    for (filter, index) in [
        (format!("address = '{address}'"), "by_address"),
        (format!("has(topics, '{hash}')"), "by_topic"),
        (format!("transaction_hash = '{hash}'"), "by_transaction"),
        (format!("network = 'a' AND transaction_hash IN ('{hash}')"), "by_transaction"),
        ("block_time = toDateTime64(1700000777, 3, 'UTC')".into(), "by_time"),
        ("sequence = 777".into(), "by_sequence"),
    ] {
        for what in ["log_index, address, topics, data, event, arguments", "*", "count()"] {
            assert_used(&engine, &store, &format!("SELECT {what} FROM evm_logs WHERE {filter}"), index).await;
        }
        let found = format!("SELECT count() FROM evm_logs WHERE {filter}");
        assert_eq!(rows::<u64>(&engine, &store, &found).await, [1], "{filter}");
    }
    for (filter, index) in [
        (format!("network = 'a' AND hash = '{hash}'"), "by_hash"),
        ("timestamp = toDateTime64(1700000777, 3, 'UTC')".into(), "by_time"),
        ("sequence = 777".into(), "by_sequence"),
    ] {
        assert_used(&engine, &store, &format!("SELECT * FROM blocks WHERE {filter}"), index).await;
    }
    // What the sink asks of the tables themselves.
    for (table, filter) in [("evm_transaction_rows", "sequence > 399990"), ("evm_log_rows", "sequence > 399990")] {
        let sql =
            format!("SELECT sequence, block_hash FROM {table} WHERE network = 'a' AND {filter} AND is_deleted = 0");
        assert_used(&engine, &store, &sql, "by_sequence").await;
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_look_up_of_bitcoin_uses_its_index() {
    let engine = Running::start().await;
    let store = store_in(&engine, "headwater");
    store.migrate().await.expect("tables");
    let hash = "reverse(toFixedString(reinterpretAsString(number), 32))";
    let place = "'b', number, 256 * number, toDateTime64(1700000000 + number, 3, 'UTC')";
    let address = "[concat('bc1qTest', toString(number)), 'bc1qall']";
    let rest = format!("302080 FROM numbers({ROWS}) SETTINGS materialize_skip_indexes_on_insert = 1");
    for insert in [
        format!(
            "INSERT INTO bitcoin_transaction_rows (network, height, version, block_time, hash, wtxid, addresses, span) \
             SELECT {place}, {hash}, {hash}, {address}, {rest}"
        ),
        format!(
            "INSERT INTO bitcoin_input_rows (network, height, version, block_time, transaction_hash, spent_txid, addresses, span) \
             SELECT {place}, {hash}, {hash}, {address}, {rest}"
        ),
        format!(
            "INSERT INTO bitcoin_output_rows (network, height, version, block_time, transaction_hash, addresses, span) \
             SELECT {place}, {hash}, {address}, {rest}"
        ),
        format!(
            "INSERT INTO block_rows (network, family, height, version, block_time, hash, span) \
             SELECT 'b', 'bitcoin', number, 256 * number, toDateTime64(1700000000 + number, 3, 'UTC'), lower(hex({hash})), {rest}"
        ),
    ] {
        execute(&engine, &store, &insert).await;
    }
    let txid = word(64).replace("0x", "");
    let of_any = [
        ("block_timestamp = toDateTime64(1700000777, 3, 'UTC')".to_owned(), "by_time"),
        ("block_time = toDateTime64(1700000777, 3, 'UTC')".to_owned(), "by_time"),
        ("sequence = 777".to_owned(), "by_sequence"),
    ];
    let of_parts = [
        (format!("transaction_hash = '{txid}'"), "by_transaction"),
        ("has(addresses, 'bc1qTest777')".to_owned(), "by_address"),
    ];
    let of_transactions = [
        (format!("hash = '{txid}'"), "by_hash"),
        (format!("network = 'b' AND txid = '{txid}'"), "by_hash"),
        (format!("transaction_hash IN ('{txid}', 'ff')"), "by_hash"),
        (format!("wtxid = '{txid}'"), "by_wtxid"),
        ("has(addresses, 'bc1qTest777')".to_owned(), "by_address"),
    ];
    let of_spent = [
        (format!("network = 'b' AND spent_transaction_hash = '{txid}' AND spent_output_index = 0"), "by_spent"),
        (format!("block_number >= 5 AND spent_transaction_hash = '{txid}'"), "by_spent"),
    ];
    let of_blocks = [(format!("hash = '{txid}'"), "by_hash"), (format!("block_hash = '{txid}'"), "by_hash")];
    let of_all_families = [("has(contracts, 'bc1qTest777')".to_owned(), "by_address")];
    for (view, filters) in [
        ("bitcoin_transactions", &of_transactions[..]),
        ("bitcoin_transactions", &of_any[..]),
        ("bitcoin_inputs", &of_spent[..]),
        ("bitcoin_inputs", &of_parts[..]),
        ("bitcoin_inputs", &of_any[..]),
        ("bitcoin_outputs", &of_parts[..]),
        ("bitcoin_outputs", &of_any[..]),
        ("bitcoin_blocks", &of_blocks[..]),
        ("bitcoin_blocks", &of_any[..]),
        ("transactions", &of_all_families[..]),
    ] {
        for (filter, index) in filters {
            for what in ["*", "count()"] {
                assert_used(&engine, &store, &format!("SELECT {what} FROM {view} WHERE {filter}"), index).await;
            }
            let found = format!("SELECT count() FROM {view} WHERE {filter}");
            assert_eq!(rows::<u64>(&engine, &store, &found).await, [1], "{view}: {filter}");
        }
    }
    let found = format!("SELECT count() FROM transactions WHERE network = 'b' AND hash = '{txid}'");
    assert_eq!(rows::<u64>(&engine, &store, &found).await, [1]);
    engine.stop().await;
}

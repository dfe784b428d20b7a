//! The views' columns: every amount as text too, the names of REST beside those of the ETL datasets, a comment on each; and
//! that a filter by any of its names reads no more than the rows around what it finds.

use serde_json::Value;
use store::{Store, ddl::MIGRATIONS};

use crate::{
    harness::{Reply, Running},
    setup::{execute, rows, store_in},
};

/// What is promised, by view. More may follow, these stay.
const PROMISED: &[(&str, &str)] = &[
    (
        "blocks",
        "network family number hash parent_hash timestamp transaction_count failed_count gas_limit gas_used sequence \
         observed_at stored_at height block_number block_time block_timestamp block_hash tx_count base_fee fee_total_text facts_position \
         coverage median_time weight pool",
    ),
    (
        "block_events",
        "network sequence op origin height block_hash tx_count log_count reverts_sequence observed_at stored_at number \
         block_number timestamp block_time block_timestamp hash transaction_count",
    ),
    (
        "transactions",
        "network family block_number block_hash block_timestamp transaction_index hash from_address to_address value status \
         fee failure_cause method sequence gas_used gas_price value_text fee_text height block_time index from to cause reason \
         call found_by error_selector",
    ),
    (
        "evm_transactions",
        "network block_number block_hash block_timestamp transaction_index hash from_address to_address value nonce gas \
         gas_price input transaction_type max_fee_per_gas max_priority_fee_per_gas receipt_gas_used \
         receipt_cumulative_gas_used receipt_effective_gas_price receipt_status receipt_contract_address fee l1_fee \
         operator_fee blob_fee fee_reason fee_token fee_token_amount fee_token_amount_text method failure_cause failure_reason sequence value_text fee_text l1_fee_text \
         receipt_effective_gas_price_text height block_time index from to gas_used cause reason call call_arguments inner_calls \
         found_by error_selector error_signature error_arguments frame_address",
    ),
    (
        "evm_logs",
        "network log_index transaction_hash transaction_index address data topics block_number block_timestamp block_hash \
         event arguments sequence height block_time",
    ),
    (
        "token_transfers",
        "token_address from_address to_address value transaction_hash log_index block_timestamp block_number block_hash \
         network sequence standard token_id value_text token_id_text height block_time token from to",
    ),
    (
        "causes",
        "network block_hash transaction_index revision cause reason found_by frame_address error_selector output block_number \
         block_timestamp transaction_hash approximate rule to_address method error_signature error_arguments calls sequence height block_time",
    ),
    (
        "bitcoin_blocks",
        "hash size stripped_size weight number version merkle_root timestamp nonce bits coinbase_param transaction_count network \
         sequence parent_hash chain coverage median_time chain_work coinbase_value pool fee_total height block_number block_time \
         block_timestamp block_hash",
    ),
    (
        "bitcoin_transactions",
        "hash size virtual_size version lock_time block_number block_hash block_timestamp is_coinbase index input_count output_count \
         input_value output_value fee network sequence wtxid weight fee_rate sigops segwit replaceable pool addresses height \
         block_time transaction_index transaction_hash txid",
    ),
    (
        "bitcoin_inputs",
        "transaction_hash block_hash block_number block_timestamp index spent_transaction_hash spent_output_index script_hex \
         input_sequence type addresses value network sequence transaction_index spent_script_hex spent_block_number witness envelope \
         height block_time input_index",
    ),
    (
        "bitcoin_outputs",
        "transaction_hash block_hash block_number block_timestamp index script_hex type addresses value network sequence \
         transaction_index is_coinbase height block_time output_index",
    ),
    (
        "windows",
        "network contract window_start window_seconds transactions failed gas_used fee_total gas_price_avg gas_price_p50 gas_price_p95 \
         senders complete sequence unknown unreadable logs token_transfers gas_limit fullness base_fee_avg base_fee_min base_fee_max \
         fee_unknown value_total gas_price_min gas_price_max block_interval_ms blocks reason fee_total_text gas_price_p95_text",
    ),
    (
        "completeness",
        "network from_number to_number blocks transactions_expected transactions_stored complete coverage from_height to_height",
    ),
    (
        "contract_blocks",
        "network contract block_number block_hash block_timestamp transactions failed unknown logs gas_used sequence height \
         block_time address",
    ),
    (
        "endpoints",
        "network name url score latency_part success_part height_part latency_ms success_rate height lag_blocks state reason \
         since in_use last_error last_seen_at protocol software sockets in_flight",
    ),
    ("provider_minutes", "network endpoint at method calls failures latency_p50_ms latency_p95_ms bytes observer"),
    ("provider_samples", "network endpoint at method latency_ms success height error observer"),
];

/// The reference for analysts.
const DOCUMENT: &str = include_str!("../../../docs/sql.md");

/// Blocks of the filled tables; ten transactions and logs in each.
const BLOCKS: u64 = 100_000;
/// Largest number of rows of a few granules: what a question about one block may read.
const FEW: u64 = 5 * 8_192;

async fn prepared(engine: &Running) -> Store {
    let store = store_in(engine, "headwater");
    store.migrate().await.expect("tables");
    store
}

/// The rows of a view's table in the document: column, other names, type, meaning.
fn documented(view: &str) -> Vec<[&str; 4]> {
    let heading = format!("### `{view}`\n");
    let section = DOCUMENT.split_once(&heading).unwrap_or_else(|| panic!("{view} is not in docs/sql.md")).1;
    let section = section.split("\n### ").next().unwrap_or(section);
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, also, kind, meaning] = cells[..] else { panic!("{line}") };
        [name.trim_matches('`'), also, kind.trim_matches('`'), meaning]
    })
    .collect()
}

/// Rows in four parts, heights rising, as a sink would have left them.
async fn filled(engine: &Running, store: &Store) {
    let time = |height: &str| format!("toDateTime64(1700000000 + 12 * {height}, 3, 'UTC')");
    for part in 0..4 {
        let of = |per_block: u64| {
            let size = BLOCKS / 4 * per_block;
            format!("numbers({}, {size})", part * size)
        };
        for table in ["block_rows", "block_event_rows"] {
            let (hash, order, value) = match table {
                "block_rows" => ("hash", "span, version", "302080, 256 * number"),
                _ => ("block_hash", "sequence", "number"),
            };
            let sql = format!(
                "INSERT INTO {table} (network, height, block_time, {hash}, {order}) \
                 SELECT 'a', number, {}, hex(number), {value} FROM {}",
                time("number"),
                of(1)
            );
            execute(engine, store, &sql).await;
        }
        for (table, more, values) in [
            (
                "evm_transaction_rows",
                ", value, fee, present",
                ", toUInt256(number), toUInt256(number), if(number % 3 = 0, 0, 2)",
            ),
            ("evm_log_rows", ", log_index", ", number % 10"),
        ] {
            let sql = format!(
                "INSERT INTO {table} (network, height, transaction_index, version, span, block_time{more}) \
                 SELECT 'a', intDiv(number, 10) AS h, number % 10, 256 * h, 302080, {}{values} FROM {}",
                time("h"),
                of(10)
            );
            execute(engine, store, &sql).await;
        }
    }
}

/// Rows that a statement read, as the store's summary says.
fn read_rows(reply: &Reply) -> u64 {
    let summary: Value = serde_json::from_str(reply.header("x-clickhouse-summary").expect("a summary")).expect("JSON");
    summary["read_rows"].as_str().and_then(|n| n.parse().ok()).expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_column_has_a_comment_every_amount_a_text_and_every_thing_both_names() {
    let engine = Running::start().await;
    let store = prepared(&engine).await;
    let columns = |view: &str, what: &str, wanted: &str| {
        format!("SELECT {what} FROM system.columns WHERE database = 'headwater' AND table = '{view}' AND {wanted}")
    };
    for (view, promised) in PROMISED {
        let there = rows::<String>(&engine, &store, &columns(view, "name", "1")).await;
        for name in promised.split_whitespace() {
            assert!(there.iter().any(|n| n == name), "{view}.{name} is missing in {there:?}");
        }
        assert_eq!(rows::<String>(&engine, &store, &columns(view, "name", "comment = ''")).await, [""; 0], "{view}");
        let of_view = format!(
            "SELECT comment FROM system.tables WHERE database = 'headwater' AND name = '{view}' AND comment != ''"
        );
        assert_eq!(rows::<String>(&engine, &store, &of_view).await.len(), 1, "{view} has no comment");
        // An alias is its column: its comment names it, its type is the same.
        let aliases = columns(view, "name, splitByRegexp('[ ,]+', comment)[3], type", "comment LIKE 'Same as %'");
        for (alias, of, kind) in rows::<(String, String, String)>(&engine, &store, &aliases).await {
            let same = columns(view, "type", &format!("name = '{of}'"));
            assert_eq!(rows::<String>(&engine, &store, &same).await, [kind], "{view}.{alias} is not as {of}");
        }
        // The document has each column once: in a row of its own, or as another name of one.
        let mut expected: Vec<(String, String, String, Vec<String>)> = Vec::new();
        let all = columns(view, "name, type, comment", "1 ORDER BY position");
        for (name, kind, comment) in rows::<(String, String, String)>(&engine, &store, &all).await {
            let same = comment.strip_prefix("Same as ").and_then(|rest| rest.split(',').next());
            match same.or(comment.strip_suffix(" as decimal text")) {
                Some(of) => {
                    let column = expected.iter_mut().find(|c| c.0 == of).unwrap_or_else(|| panic!("{view}.{of}"));
                    column.3.push(format!("`{name}`"));
                }
                None => expected.push((name, kind, comment, Vec::new())),
            }
        }
        let expected: Vec<[String; 4]> =
            expected.into_iter().map(|(n, k, c, also)| [n, also.join(", "), k, c]).collect();
        assert_eq!(documented(view), expected, "docs/sql.md, {view}");
        let wide = columns(view, "name, type", "type LIKE '%Int256%' AND comment NOT LIKE 'Same as %'");
        for (name, kind) in rows::<(String, String)>(&engine, &store, &wide).await {
            let twin = columns(view, "type", &format!("name = '{name}_text'"));
            let wanted = if kind.starts_with("Nullable") { "Nullable(String)" } else { "String" };
            assert_eq!(rows::<String>(&engine, &store, &twin).await, [wanted], "{view}.{name} has no text");
        }
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_by_any_name_reads_only_what_is_near_and_texts_are_exact() {
    let engine = Running::start().await;
    let store = prepared(&engine).await;
    filled(&engine, &store).await;

    let (height, time) = ("77777", "toDateTime64(1700000000 + 12 * 77777, 3, 'UTC')");
    // As Grafana's macro for a range of times writes it.
    let range = "BETWEEN toDateTime(1700933324) AND toDateTime(1700933324)";
    let heights = ["height", "block_number"];
    let times = ["block_time", "block_timestamp"];
    for (view, rows_per_block) in
        [("blocks", 1), ("block_events", 1), ("transactions", 10), ("evm_transactions", 10), ("evm_logs", 10)]
    {
        let of_block = view.starts_with("block");
        let mut filters = Vec::new();
        for name in heights.iter().copied().chain(of_block.then_some("number")) {
            filters.push(format!("network = 'a' AND {name} = {height}"));
            filters.push(format!("{name} BETWEEN {height} AND {height}"));
        }
        for name in times.iter().copied().chain(of_block.then_some("timestamp")) {
            filters.push(format!("{name} = {time}"));
            filters.push(format!("{name} {range}"));
        }
        if of_block {
            filters.push("hash = hex(77777)".into());
            filters.push("block_hash = hex(77777)".into());
        }
        for filter in filters {
            let sql =
                format!("SELECT count() AS n, max(sequence) AS s FROM {view} WHERE {filter} FORMAT JSONCompactStrings");
            let reply = engine.as_analyst("/", sql.as_bytes());
            assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
            let answer: Value = serde_json::from_slice(&reply.body).expect("JSON");
            let found: Vec<&str> =
                answer["data"][0].as_array().expect("a row").iter().filter_map(Value::as_str).collect();
            assert_eq!(found, [rows_per_block.to_string().as_str(), height], "{sql}");
            // Hashes of block events have no index: gaplessness is asked by sequence.
            if view != "block_events" || !filter.contains("hash") {
                assert!(read_rows(&reply) <= FEW, "{sql} read {} rows", read_rows(&reply));
            }
        }
        // The plan says the same: an index is used, and nothing that was not asked for is computed.
        let name = if of_block { "number" } else { "height" };
        let sql = format!("EXPLAIN indexes = 1, actions = 1 SELECT network FROM {view} WHERE {name} = {height}");
        let plan = rows::<String>(&engine, &store, &sql).await.join("\n");
        assert!(plan.contains("(height in [77777, 77777])") || plan.contains("Name: by_height"), "{plan}");
        assert!(!plan.contains("toString") && !plan.contains("block_time"), "{plan}");
    }

    // The number of a transaction is its value here; its fee is unknown in every third.
    let sql = "SELECT count() FROM transactions WHERE value_text = '777770' AND `index` = 0 AND fee_text = toString(fee) \
               AND height = 77777 AND `from` = from_address AND `to` IS NULL";
    assert_eq!(rows::<u64>(&engine, &store, sql).await, [1]);
    let sql = "SELECT countIf(value_text != toString(value)), countIf(fee_text IS NULL), countIf(fee IS NULL) FROM transactions";
    let unknown = (BLOCKS * 10).div_ceil(3);
    assert_eq!(rows::<(u64, u64, u64)>(&engine, &store, sql).await, [(0, unknown, unknown)]);
    let most = "INSERT INTO evm_transaction_rows (network, height, value, span) SELECT 'b', 1, toUInt256(0) - 1, 1024";
    execute(&engine, &store, most).await;
    let sql = "SELECT value_text FROM evm_transactions WHERE network = 'b'";
    let text = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    assert_eq!(rows::<String>(&engine, &store, sql).await, [text]);
    engine.stop().await;
}

/// Rows of a database of the first version are where the sink copies them from, and found by the columns that came later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_databases_get_the_new_columns_over_their_rows() {
    let engine = Running::start().await;
    let store = store_in(&engine, "headwater");
    execute(&engine, &store_in(&engine, "default"), "CREATE DATABASE IF NOT EXISTS headwater").await;
    for migration in MIGRATIONS.iter().filter(|m| m.number <= 11) {
        execute(&engine, &store, migration.sql).await;
    }
    let time = "toDateTime64(1700000000, 3, 'UTC')";
    for sql in [
        format!("INSERT INTO evm_log_rows (network, height, block_time) SELECT 'a', 5, {time}"),
        format!("INSERT INTO block_event_rows (network, height, sequence, block_time) SELECT 'a', 5, 1, {time}"),
    ] {
        execute(&engine, &store, &sql).await;
    }
    store.migrate().await.expect("to this version");
    for sql in [
        format!("INSERT INTO evm_log_rows (network, height, block_time, span) SELECT 'a', 6, {time}, 1024"),
        format!("INSERT INTO block_event_rows (network, height, sequence, block_time) SELECT 'a', 6, 2, {time}"),
    ] {
        execute(&engine, &store, &sql).await;
    }
    for (view, heights) in [("evm_logs", vec![6]), ("block_events", vec![6])] {
        let sql = format!("SELECT height FROM {view} WHERE block_timestamp = {time} ORDER BY height");
        assert_eq!(rows::<u64>(&engine, &store, &sql).await, heights, "{view}");
    }
    // The sink copies them from here, the events last.
    for former in ["former_evm_log_rows", "former_block_event_rows"] {
        let sql = format!("SELECT height FROM {former} WHERE block_time = {time}");
        assert_eq!(rows::<u64>(&engine, &store, &sql).await, [5], "{former}");
    }
    engine.stop().await;
}

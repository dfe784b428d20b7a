//! Bitcoin beside them: two million transactions, each with an input and an output, half of them in parts that no merge has touched.

use store::{
    Store,
    query::{BitcoinParts, TransactionFilter},
};

use crate::{
    generate::{SPAN, run},
    questions::{Asked, GRANULE, PARTS},
};

const NETWORK: &str = "btc";
const FIRST_HEIGHT: u64 = 800_000;
const BLOCKS: u64 = 1_000;
const PER_BLOCK: u64 = 2_000;
/// Each transaction spends the output of the one so many before it.
const SPENDS: u64 = 10_000;
const ADDRESSES: u64 = 100_000;

/// Of a transaction by its number, and of a block.
fn hash(kind: char, number: u64) -> String {
    format!("{}{number:048x}{}", "0".repeat(8), if kind == 't' { "0000000a" } else { "0000000b" })
}

/// The bytes of the same in SQL.
fn bytes(kind: char, number: &str) -> String {
    let end = if kind == 't' { "0000000a" } else { "0000000b" };
    format!("unhex(concat('00000000', leftPad(lower(hex({number})), 48, '0'), '{end}'))")
}

/// Makes it.
fn fill(asked: &Asked<'_>) {
    let engine = asked.engine;
    let half = BLOCKS / 2 * PER_BLOCK;
    for (from, rows) in [(0, 500_000), (half, 25_000)] {
        let settings = format!(
            "max_block_size={rows}&max_insert_block_size={rows}&min_insert_block_size_rows={rows}&min_insert_block_size_bytes=0\
             &max_threads=1&max_insert_threads=1&materialize_skip_indexes_on_insert=1&max_partitions_per_insert_block=0"
        );
        if from > 0 {
            for table in ["bitcoin_transaction_rows", "bitcoin_input_rows", "bitcoin_output_rows"] {
                run(engine, &format!("SYSTEM STOP MERGES {table}"), "");
            }
        }
        let place = format!(
            "WITH number + {from} AS n, intDiv(n, {PER_BLOCK}) AS b, {FIRST_HEIGHT} + b AS height \
             SELECT '{NETWORK}', height, n % {PER_BLOCK}"
        );
        let rest = format!(
            "256 * (b + 1), {}, fromUnixTimestamp64Milli(toInt64(1700000000000 + b * 600000), 'UTC'), {SPAN}",
            bytes('b', "b")
        );
        let (address, numbers) =
            (format!("[concat('bc1qLarge', toString(n % {ADDRESSES}))]"), format!("FROM numbers({half})"));
        let spent = bytes('t', &format!("toUInt64(if(n >= {SPENDS}, n - {SPENDS}, 0))"));
        for statement in [
            format!(
                "INSERT INTO bitcoin_input_rows (network, height, transaction_index, input_index, version, block_hash, block_time, span, \
                 transaction_hash, spent_txid, value, kind, addresses, present) {place}, 0, {rest}, {}, {spent}, n, 'pubkeyhash', {address}, 1 {numbers}",
                bytes('t', "n")
            ),
            format!(
                "INSERT INTO bitcoin_output_rows (network, height, transaction_index, output_index, version, block_hash, block_time, span, \
                 transaction_hash, value, kind, addresses) {place}, 0, {rest}, {}, n, 'pubkeyhash', {address} {numbers}",
                bytes('t', "n")
            ),
            format!(
                "INSERT INTO bitcoin_transaction_rows (network, height, transaction_index, version, block_hash, block_time, span, hash, wtxid, \
                 input_count, output_count, output_value, fee, addresses, present) {place}, {rest}, {}, {}, 1, 1, n, 1, {address}, 4 {numbers}",
                bytes('t', "n"),
                bytes('t', "n")
            ),
        ] {
            run(engine, &statement, &settings);
        }
    }
    let blocks = format!(
        "INSERT INTO block_rows (network, family, height, version, origin, hash, parent_hash, block_time, transaction_count, span) \
         WITH number AS b SELECT '{NETWORK}', 'bitcoin', {FIRST_HEIGHT} + b, 256 * (b + 1), 'live', lower(hex({})), lower(hex({})), \
         fromUnixTimestamp64Milli(toInt64(1700000000000 + b * 600000), 'UTC'), {PER_BLOCK}, {SPAN} FROM numbers({BLOCKS})",
        bytes('b', "b"),
        bytes('b', "b - 1")
    );
    run(engine, &blocks, "");
    let events = format!(
        "INSERT INTO block_event_rows (network, sequence, op, origin, height, tx_count) SELECT '{NETWORK}', number + 1, 'apply', 'live', \
         {FIRST_HEIGHT} + number, {PER_BLOCK} FROM numbers({BLOCKS})"
    );
    run(engine, &events, "");
    let status = format!("INSERT INTO sink_status_rows VALUES ('{NETWORK}', 'bitcoin', 'running', '', now64(3))");
    run(engine, &status, "");
}

pub async fn all(asked: &mut Asked<'_>, api: &Store) {
    fill(asked);
    let network: schemas::Network = NETWORK.parse().expect("a slug");
    let edges = GRANULE * PARTS;
    let parts = BitcoinParts { limit: 1_000, ..BitcoinParts::default() };
    for number in [777, BLOCKS * PER_BLOCK - SPENDS - 1, BLOCKS * PER_BLOCK - 1] {
        let txid = hash('t', number);
        let found = api.bitcoin_transaction(&network, &txid, &parts);
        let found = asked.ask("bitcoin_transaction", number.to_string(), 6 * edges, found).await;
        assert_eq!((found.len(), found[0].inputs.len(), found[0].outputs.len()), (1, 1, 1), "{number}");
        let by = found[0].outputs[0].spent_by.as_ref().map(|by| by.txid.clone());
        assert_eq!(by, (number + SPENDS < BLOCKS * PER_BLOCK).then(|| hash('t', number + SPENDS)));
        let spenders = api.bitcoin_spenders(&network, &txid, FIRST_HEIGHT, (0, 1_000));
        let spenders = asked.ask("bitcoin_spenders", number.to_string(), 2 * edges, spenders).await;
        assert_eq!(spenders.len(), usize::from(by.is_some()));
    }
    let txid = hash('t', u64::MAX);
    let none = api.bitcoin_transaction(&network, &txid, &parts);
    assert!(asked.ask("bitcoin_transaction", "that is not there", 2 * edges, none).await.is_empty());
    let block = BLOCKS / 3;
    let header = api.bitcoin_block(&network, FIRST_HEIGHT + block, block + 1);
    assert!(asked.ask("bitcoin_block", "", edges, header).await.is_some());
    let networks = [network.clone()];
    for (about, digits, kind) in [("a transaction", hash('t', 5), "transaction"), ("a block", hash('b', 5), "block")] {
        let found = asked.ask("found_hash", about, 4 * edges, api.found_hash(&digits, &networks)).await;
        assert!(found.len() == 1 && found[0].kind == kind, "{found:?}");
    }
    let filter = TransactionFilter {
        network: Some(network.clone()),
        address: Some("bc1qLarge77".into()),
        limit: 50,
        ..TransactionFilter::default()
    };
    let page = asked.ask("transactions", "by a Bitcoin address", 3_000_000, api.transactions(&filter)).await;
    assert_eq!(page.items.len() as u64, BLOCKS * PER_BLOCK / ADDRESSES);
    let newest = TransactionFilter { address: None, ..filter };
    let page = asked.ask("transactions", "of Bitcoin, the newest", 20 * edges, api.transactions(&newest)).await;
    assert_eq!(page.items.len(), 50);
    let replay = api.replay(&network, BLOCKS - 3, BLOCKS, Some(10_000));
    let page = asked.ask("replay", "of Bitcoin", 20 * edges, replay).await;
    assert!(page.done && page.events.len() == 3, "{page:?}");
}

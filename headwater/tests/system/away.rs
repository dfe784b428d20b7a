//! The store away, from the start, while a chain catches up over an embedded log that holds a part of it: the log waits for
//! the sink and says so, nothing is overtaken, and when the store comes everything is worked off and level again.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::common::{binary, number, text};
use loadtest::{
    cluster::{Cluster, Endpoint, Settings},
    node::evm::{Clock, Config, Dataset, Simulator, spawn},
};
use serde_json::Value;

/// Blocks of the chain: half as many again as the log may hold, of about 145 KB each in both stages' topics.
const BLOCKS: u64 = 2_600;
/// The least that `[log] max_bytes` may be.
const MAX_BYTES: u64 = schemas::limits::LOG_BYTES_LEAST;
/// How long each part may take, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(600);

/// Waits until a condition gives something.
async fn until<T>(cluster: &mut Cluster, what: &str, condition: impl AsyncFn(&Cluster) -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition(cluster).await {
            return found;
        }
        cluster.all_run().unwrap_or_else(|e| panic!("while waiting for {what}: {e}"));
        assert!(Instant::now() < end, "{what} did not come in {PATIENCE:?}:\n{}", cluster.last_words());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn network(cluster: &Cluster) -> Option<Value> {
    let health = cluster.outside.get("/health").await.ok()?;
    health["networks"].as_array()?.first().cloned()
}

/// What `/health` says while the log waits for the sink.
async fn words(cluster: &Cluster) -> Option<String> {
    let network = network(cluster).await?;
    let stages = network["stages"].as_array()?;
    let errors = stages.iter().filter_map(|stage| stage["error"].as_str());
    errors.chain(network["error"].as_str()).find(|e| e.contains("waiting for sink, which has")).map(str::to_owned)
}

/// Bytes that a folder takes on disk.
fn used(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => used(&e.path()),
            Ok(m) => m.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

/// The hash of its head.
fn tip(node: &Simulator) -> String {
    let head = node.head();
    node.canonical(head..=head).pop().expect("a head").hash.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "two minutes: `make test-long`, and `make away` for as long as wanted; chaos takes the store away for a while"]
async fn a_store_that_is_away_for_long_costs_no_event() {
    let data = Dataset::embedded("ethereum").expect("embedded data");
    let node = spawn(Config { clock: Clock::Manual, history: BLOCKS, ..Config::new(data) }).await.expect("simulator");
    let log = format!("max_bytes = {MAX_BYTES}\nmin_free_bytes = 1048576\n");
    let networks = vec![("eth".to_owned(), Endpoint::from(&node))];
    let mut cluster = Cluster::start(Settings { binary: binary().into(), networks, log }).await.expect("a store");
    cluster.kill("store").expect("the store goes away");
    let config = cluster.config().to_string_lossy().into_owned();
    cluster.spawn("up", &["up", "--config", &config]).expect("up");

    let said = until(&mut cluster, "word of whom the log waits for", words).await;
    assert!(said.contains("the store is away") && said.contains("max_bytes"), "{said}");
    // It stays so, and the chain goes on.
    node.advance(50).expect("more blocks");
    tokio::time::sleep(Duration::from_secs(10)).await;
    let dir = cluster.config().parent().expect("a folder").join("data/log");
    let taken = used(&dir);
    assert!(taken < MAX_BYTES + (64 << 20), "the log takes {} MiB", taken >> 20);
    assert!(until(&mut cluster, "the same word", words).await.contains("the store is away"));

    cluster.store().expect("the store comes back");
    cluster.until_visible("eth", &tip(&node), PATIENCE).await.unwrap_or_else(|e| panic!("{e}"));
    node.advance(5).expect("more blocks");
    cluster.until_visible("eth", &tip(&node), PATIENCE).await.unwrap_or_else(|e| panic!("{e}"));
    // Level again: no group is behind, nothing is wrong.
    until(&mut cluster, "groups that have read everything", async |c| {
        let status = c.run(&["status", "--format", "json"]).await.ok()?;
        let health: Value = serde_json::from_slice(&status.stdout).ok()?;
        let level = health["lags"].as_array()?.iter().all(|lag| lag["lag"] == 0);
        let well = health["networks"].as_array()?.iter().all(|n| n["state"] != "overtaken" && n["error"].is_null());
        (level && well).then_some(())
    })
    .await;
    assert!(!cluster.said("up").contains("overtaken"), "nothing was overtaken");

    // Every block and the number of its transactions, as the node has them.
    let chain = node.canonical(1..=node.head());
    let rows = cluster
        .outside
        .query("SELECT number, hash, parent_hash, transaction_count FROM blocks ORDER BY number")
        .await
        .expect("blocks");
    assert_eq!(rows.len(), chain.len());
    for (row, block) in rows.iter().zip(&chain) {
        assert_eq!((number(row, "number"), text(row, "hash")), (block.height, block.hash.to_string()));
        assert_eq!(text(row, "parent_hash"), block.parent_hash.to_string());
        assert_eq!(number(row, "transaction_count"), block.facts.tx_count, "block {}", block.height);
    }
    let rows = cluster
        .outside
        .query(
            "SELECT block_number, any(block_hash) AS hash, uniqExact(block_hash) AS hashes, count() AS n, \
             uniqExact(transaction_index) AS indexes FROM transactions GROUP BY block_number ORDER BY block_number",
        )
        .await
        .expect("transactions");
    let full: Vec<_> = chain.iter().filter(|b| b.facts.tx_count > 0).collect();
    assert_eq!(rows.len(), full.len(), "blocks with transactions");
    for (row, block) in rows.iter().zip(full) {
        assert_eq!((number(row, "block_number"), text(row, "hash")), (block.height, block.hash.to_string()));
        let counts = ["hashes", "n", "indexes"].map(|column| number(row, column));
        assert_eq!(counts, [1, block.facts.tx_count, block.facts.tx_count], "block {}", block.height);
    }
    let events = "SELECT count() AS n, uniqExact(sequence) AS distinct, min(sequence) AS first, max(sequence) AS last FROM block_events";
    let row = cluster.outside.query(events).await.expect("events").remove(0);
    let last = number(&row, "last");
    assert_eq!((number(&row, "first"), number(&row, "n"), number(&row, "distinct")), (1, last, last), "gapless");
}

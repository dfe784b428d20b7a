//! Windows of the real binary under `kill -9` and reorgs: at the end they are what the transactions of their time are, in SQL and on the
//! topic, of networks and of a watched contract.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use loadtest::{
    node::evm::{Clock, Config, Dataset, Origin, Simulator, spawn},
    windows,
};
use schemas::limits::windows::SECONDS;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::common::{
    Headwater, Net, PATIENCE, binary,
    cluster::{Cluster, servers},
    expected, number, of_many, seeded, tail, text,
};

/// Of an OP-stack chain: every block's first transaction goes there.
const L1_BLOCK: &str = "0x4200000000000000000000000000000000000015";

/// A chain whose blocks are a second apart by their own time.
async fn node(data: &str, origin: Origin) -> Arc<Simulator> {
    let data = Dataset::embedded(data).expect("embedded data");
    Arc::new(spawn(Config { clock: Clock::Manual, history: 20, origin, ..Config::new(data) }).await.expect("simulator"))
}

/// So far before midnight that the chain comes past it.
fn before_midnight() -> Origin {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis() as u64;
    let day = 86_400_000;
    Origin::At(now / day * day - 150_000)
}

fn live(node: Arc<Simulator>, seed: u64) -> JoinHandle<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    tokio::spawn(async move {
        loop {
            let depth = 1 + random.u64(..12);
            if random.u64(..8) == 0 && node.head() > depth + 20 {
                node.fork_and_advance(depth, random.u64(..3)).expect("fork");
            } else {
                node.advance(1).expect("advance");
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    })
}

/// Waits until windows are those of the tip, and compares.
pub async fn assert_same(headwater: &Headwater, slug: &str, contract: &str) -> u64 {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let mut differ = Vec::new();
        for seconds in SECONDS {
            let rows = headwater.query(&windows::differences(slug, contract, seconds)).await.expect("both");
            differ.extend(rows.iter().map(|row| text(row, "line")));
        }
        if differ.is_empty() {
            break;
        }
        assert!(std::time::Instant::now() < end, "{slug} {contract}: {differ:#?}\n{}", tail(&headwater.said()));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    number(&headwater.query(&windows::complete(slug, contract)).await.expect("windows")[0], "n")
}

type Figures = BTreeMap<(String, u64, String), (u64, u64, bool)>;

/// What the topic's newest records say, by key.
fn of_topic(lines: &str) -> Figures {
    let mut newest = Figures::new();
    for line in lines.lines() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let value = &record["value"];
        let key = (text(value, "contract"), number(value, "window_seconds"), text(value, "window_start"));
        newest.insert(key, (number(value, "sequence"), number(value, "transactions"), value["complete"] == true));
    }
    newest
}

/// The topic and the view's rows say the same, once what is open was written for the last time.
async fn assert_topic_and_rows_agree(headwater: &Headwater, told: impl Fn() -> String, slug: &str) {
    let sql = format!(
        "SELECT contract, window_seconds, toString(toUnixTimestamp64Milli(window_start)) AS start, sequence, transactions, complete \
         FROM windows WHERE network = '{slug}'"
    );
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let topic = of_topic(&told());
        let rows = headwater.query(&sql).await.expect("windows");
        let of_row = |row: &Value| {
            let key = (text(row, "contract"), number(row, "window_seconds"), text(row, "start"));
            (key, (number(row, "sequence"), number(row, "transactions"), number(row, "complete") == 1))
        };
        let rows: Figures = rows.iter().map(of_row).collect();
        if rows == topic {
            return assert!(!rows.is_empty(), "{slug} has windows");
        }
        let differ: Vec<_> = topic.iter().filter(|(key, figures)| rows.get(*key) != Some(*figures)).take(5).collect();
        assert!(std::time::Instant::now() < end, "{slug}: {} and {} windows; {differ:?}", topic.len(), rows.len());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Quantiles and senders of minutes, within what is promised of them.
async fn assert_sketches(headwater: &Headwater, slug: &str) {
    let sql = format!(
        "SELECT toString((w.at, w.p50, t.low, t.high, w.senders, t.senders)) AS line FROM
            (SELECT window_start AS at, toFloat64(gas_price_p50) AS p50, senders FROM windows
             WHERE network = '{slug}' AND contract = '' AND window_seconds = 60 AND complete AND transactions > 0) AS w
         JOIN
            (SELECT toDateTime64(toStartOfMinute(block_timestamp), 3, 'UTC') AS at, quantileExactLowIf(0.5)(price, price > 0) AS low,
                    quantileExactHighIf(0.5)(price, price > 0) AS high, uniqExact(from_address) AS senders
             FROM (SELECT *, toFloat64(ifNull(receipt_effective_gas_price, gas_price)) AS price FROM evm_transactions
                   WHERE network = '{slug}') GROUP BY at) AS t USING (at)
         WHERE w.p50 NOT BETWEEN t.low * 0.984 AND t.high * 1.016 OR abs(w.senders - t.senders) > t.senders * 0.12 + 1"
    );
    let differ = headwater.query(&sql).await.expect("both");
    assert!(differ.is_empty(), "{slug}: {differ:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_are_what_transactions_are_whatever_was_killed_and_reverted() {
    let mut random = seeded("windows");
    let (ethereum, optimism) = (node("ethereum", before_midnight()).await, node("optimism", Origin::Now).await);
    let mut headwater = Headwater::new(&[Net::of("eth", &ethereum), Net::of("op", &optimism)]);
    let config = std::fs::read_to_string(&headwater.config).expect("the configuration");
    let contract = format!("[[contract]]\nnetwork = \"op\"\naddress = \"{L1_BLOCK}\"\nname = \"L1 block\"\n");
    std::fs::write(&headwater.config, config + &contract).expect("written");

    let chains = [live(ethereum.clone(), random.u64(..)), live(optimism.clone(), random.u64(..))];
    for kill in 0..of_many(6, 15) {
        headwater.start();
        let life = if random.u64(..3) == 0 { 3_000 + random.u64(..3_000) } else { 500 + random.u64(..2_500) };
        tokio::time::sleep(Duration::from_millis(life)).await;
        assert!(headwater.ended().is_none(), "ended by itself in life {kill}:\n{}", headwater.said());
        headwater.kill();
    }
    headwater.start();
    // So far that midnight, five minutes after it, and the time from which the contract is watched lie behind.
    while ethereum.head() < 500 || optimism.head() < 500 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    chains.iter().for_each(JoinHandle::abort);
    for (slug, node) in [("eth", &*ethereum), ("op", &*optimism)] {
        let head = node.canonical(node.head()..=node.head()).remove(0);
        headwater.until_visible(slug, &head.hash.to_string()).await;
        expected::assert_canonical(&headwater, slug, node).await;
        let complete = assert_same(&headwater, slug, "").await;
        assert!(complete > 5, "{slug}: {complete} complete windows show too little");
        assert_sketches(&headwater, slug).await;
        let told = || {
            let args = ["tail", "metrics.windows", "--network", slug, "--config"];
            let told = Command::new(binary()).args(args).arg(&headwater.config).output().expect("tail");
            String::from_utf8_lossy(&told.stdout).into_owned()
        };
        assert_topic_and_rows_agree(&headwater, told, slug).await;
    }
    let complete = assert_same(&headwater, "op", L1_BLOCK).await;
    assert!(complete > 1, "{complete} complete windows of the contract show too little");
    let hours = "SELECT count() AS n FROM windows WHERE network = 'eth' AND window_seconds IN (3600, 86400) AND transactions > 0";
    assert_eq!(number(&headwater.query(hours).await.expect("windows")[0], "n"), 4, "past midnight");

    let health = headwater.get("/health").await.expect("health");
    let stages = health["stages"].as_array().expect("stages");
    assert!(stages.iter().any(|s| s["stage"] == "aggregate" && s["state"] == "running"), "{health}");
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_kafka_too_with_two_of_each() {
    let Some(servers) = servers("over_kafka_too_with_two_of_each") else { return };
    let node = node("ethereum", before_midnight()).await;
    let mut cluster = Cluster::new(&[Net::of("eth", &node)], &servers).await;
    assert_eq!(cluster.run(&["topics", "apply"]).0, Some(0));
    assert_eq!(cluster.run(&["schemas", "push"]).0, Some(0));
    let stages = ["ingest-1", "enrich-1", "aggregate-1", "aggregate-2", "sink-1", "api-1"];
    stages.iter().for_each(|name| cluster.stage(name));
    cluster.until_visible("eth", &node).await;
    for round in 0..6 {
        let name = if round % 2 == 0 { "aggregate-1" } else { "aggregate-2" };
        node.advance(60).expect("advance");
        tokio::time::sleep(Duration::from_millis(700)).await;
        cluster.kill(name);
        node.fork_and_advance(7, 20).expect("fork");
        cluster.until_visible("eth", &node).await;
        cluster.stage(name);
    }
    cluster.until_visible("eth", &node).await;
    let complete = assert_same(&cluster.headwater, "eth", "").await;
    assert!(complete > 5, "{complete} complete windows show too little\n{}", cluster.tails());
    assert_sketches(&cluster.headwater, "eth").await;
    let told = || {
        let (code, lines, said) = cluster.run(&["tail", "metrics.windows", "--network", "eth"]);
        assert_eq!(code, Some(0), "{said}");
        lines
    };
    assert_topic_and_rows_agree(&cluster.headwater, told, "eth").await;
}

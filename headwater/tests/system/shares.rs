//! Whoever reads, and however much at once, blocks become visible (rule 28): 64 REST clients that ask for what is rare or large, 16
//! WebSocket clients that resume from the beginning and hardly read, and four analysts at the limit of what a statement may cost.
//!
//! Meanwhile the store's process stays within its memory. The short form runs with the other tests and allows for a machine that is
//! busy with them; the full form, a minute long, wants each block within two seconds: `cargo test --release --workspace --test system -- shares --ignored --nocapture`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::common::{Headwater, Net};
use loadtest::{
    bench::memory,
    node::evm::{Clock, Config, Dataset, Simulator, spawn},
};
use schemas::limits::store::{MEMORY, MEMORY_BEYOND};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

const LISTS: usize = 64;
const SOCKETS: usize = 16;
const ANALYSTS: usize = 4;
/// Blocks that are there before anybody reads.
const PAST: u64 = 400;
/// Lists that cost: what matches nothing, what is sorted over everything, what is counted over everything.
const PATHS: [&str; 4] = [
    "/txs?status=unknown&limit=1000",
    "/txs?network=chain&cause=nothing_like_this&sort=oldest",
    "/txs?network=chain&address=0x00000000000000000000000000000000deadbeef&limit=1000",
    "/networks/chain/completeness",
];
/// A statement that wants all the memory that an analyst may have, and time.
const HEAVY: &str = "SELECT count() FROM (SELECT a.hash AS x, b.hash AS y, c.number AS z FROM transactions AS a CROSS JOIN \
                     (SELECT hash FROM transactions LIMIT 2000) AS b CROSS JOIN numbers(100) AS c \
                     ORDER BY sipHash64(x, y, z) LIMIT 1000000)";

async fn node() -> Arc<Simulator> {
    let data = Dataset::embedded("ethereum").expect("embedded data");
    Arc::new(spawn(Config { clock: Clock::Manual, ..Config::new(data) }).await.expect("simulator"))
}

/// Sequence of the last event that the sink has made visible, from its own metrics: no statement is needed for it.
async fn visible(client: &reqwest::Client, admin: &str) -> u64 {
    let metrics = async { client.get(format!("{admin}/metrics")).send().await?.text().await };
    let metrics = metrics.await.unwrap_or_default();
    let line = metrics.lines().find_map(|l| l.strip_prefix("headwater_sink_processed_sequence{")?.rsplit(' ').next());
    line.and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0) as u64
}

/// Asks for one list after the other.
async fn list(api: String, n: usize, answers: Arc<AtomicU64>) {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().expect("a client");
    for turn in n.. {
        let url = format!("{api}/api/v1{}", PATHS[turn % PATHS.len()]);
        let answered = async { client.get(url).send().await?.bytes().await };
        match answered.await {
            Ok(_) => answers.fetch_add(1, Relaxed),
            Err(_) => 0,
        };
    }
}

/// Resumes from the beginning, and reads a few kilobytes a second.
async fn slow_socket(at: String) {
    let mut tcp = TcpStream::connect(&at).await.expect("connects");
    let handshake = format!(
        "GET /api/v1/ws HTTP/1.1\r\nHost: {at}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    tcp.write_all(handshake.as_bytes()).await.expect("sends");
    let operation = r#"{"op":"subscribe","id":1,"topics":["blocks","transactions"],"network":"chain","after":0}"#;
    // A text frame whose mask is zero (RFC 6455, section 5.2).
    let mut frame = vec![0x81, 0x80 | u8::try_from(operation.len()).expect("short"), 0, 0, 0, 0];
    frame.extend_from_slice(operation.as_bytes());
    tcp.write_all(&frame).await.expect("sends");
    let mut buffer = vec![0; 4 << 10];
    while tcp.read(&mut buffer).await.is_ok_and(|read| read > 0) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn analyst(sql: String, password: String, statements: Arc<AtomicU64>) {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(120)).build().expect("a client");
    loop {
        let url = format!("{sql}/?database=headwater");
        let asking = client.post(url).basic_auth("analyst", Some(&password)).body(HEAVY).send();
        if asking.await.is_ok() {
            statements.fetch_add(1, Relaxed);
        }
    }
}

/// The longest time that a block took from the node to its row while everybody read.
async fn under_load(blocks: u64, every: Duration, patience: Duration) -> Duration {
    let node = node().await;
    let mut headwater = Headwater::new(&[Net::of("chain", &node)]);
    headwater.start();
    node.advance(PAST).expect("advance");
    let last = node.canonical(node.head()..=node.head())[0].hash.to_string();
    headwater.until_visible("chain", &last).await;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().expect("a client");
    let admin = headwater.admin.clone();
    let start = visible(&client, &admin).await;
    assert!(start >= PAST, "{start}");

    let (answers, statements) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let mut readers = JoinSet::new();
    for n in 0..LISTS {
        readers.spawn(list(headwater.api.clone(), n, Arc::clone(&answers)));
    }
    for _ in 0..SOCKETS {
        readers.spawn(slow_socket(headwater.api.trim_start_matches("http://").to_owned()));
    }
    let password = headwater.analyst_password().expect("a password");
    for _ in 0..ANALYSTS {
        readers.spawn(analyst(headwater.sql.clone(), password.clone(), Arc::clone(&statements)));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;

    let mut longest = Duration::ZERO;
    for block in 1..=blocks {
        let published = Instant::now();
        node.advance(1).expect("advance");
        while visible(&client, &admin).await < start + block {
            assert!(
                published.elapsed() < patience,
                "block {block} is not visible:\n{}",
                crate::common::tail(&headwater.said())
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        longest = longest.max(published.elapsed());
        tokio::time::sleep(every.saturating_sub(published.elapsed())).await;
    }
    let (answers, statements) = (answers.load(Relaxed), statements.load(Relaxed));
    let peak = memory(headwater.pid()).children;
    eprintln!(
        "longest {longest:?}; {answers} answers of REST, {statements} statements of analysts meanwhile; the store held {} of {} MiB",
        peak >> 20,
        MEMORY >> 20
    );
    assert!(answers > 0, "somebody was answered");
    // What the engine does not count may pass its limit by so much before statements are ended.
    assert!(peak < MEMORY + MEMORY_BEYOND, "the store held {} MiB", peak >> 20);
    assert!(!headwater.said().contains("the store is down"), "{}", crate::common::tail(&headwater.said()));
    assert!(headwater.ended().is_none(), "it lives");
    readers.shutdown().await;
    headwater.until("an answer when they are gone", async |h| h.get("/blocks?limit=1").await.ok()).await;
    assert_eq!(headwater.stop(), Some(0));
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_do_not_keep_blocks_from_becoming_visible() {
    under_load(15, Duration::from_millis(500), Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute, and wants the machine for itself"]
async fn no_block_waits_two_seconds_for_readers() {
    let longest = under_load(60, Duration::from_secs(1), Duration::from_secs(30)).await;
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

//! Exports: the same rows in each form, in bounded memory, with an end only when they are whole, and places for others.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::{
    chain::{Chain, recorded},
    world::{Api, World},
};

/// A download that is read as the test likes.
struct Download {
    stream: TcpStream,
    status: u16,
    head: String,
    /// What was read behind the head.
    read: Vec<u8>,
}

impl Download {
    async fn begin(at: SocketAddr, target: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        // So that who does not read is soon waited for.
        socket.set_recv_buffer_size(16 << 10).expect("a buffer");
        let mut stream = socket.connect(at).await.expect("connects");
        let head = format!("GET {target} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("sends");
        let mut read = Vec::new();
        let end = loop {
            if let Some(end) = read.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            let mut piece = vec![0; 4 << 10];
            let n = timeout(stream.read(&mut piece)).await.expect("reads");
            assert!(n > 0, "no head: {}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&piece[..n]);
        };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Self { stream, status, head, read: read.split_off(end + 4) }
    }

    /// Reads to the end, each piece of the body into `take`. Whether the body had an end.
    async fn rest(mut self, mut take: impl FnMut(&[u8])) -> bool {
        let mut left = 0;
        let mut held = std::mem::take(&mut self.read);
        loop {
            loop {
                if left > 0 {
                    let n = left.min(held.len());
                    take(&held[..n]);
                    held.drain(..n);
                    left -= n;
                    if left > 0 {
                        break;
                    }
                }
                let rest = if held.starts_with(b"\r\n") { &held[2..] } else { &held[..] };
                let before = held.len() - rest.len();
                let Some(line) = rest.windows(2).position(|w| w == b"\r\n") else { break };
                let size = std::str::from_utf8(&rest[..line]).expect("a size");
                left = usize::from_str_radix(size, 16).expect("a size");
                held.drain(..before + line + 2);
                if left == 0 {
                    return true;
                }
            }
            let mut piece = vec![0; 64 << 10];
            match timeout(self.stream.read(&mut piece)).await {
                Ok(0) | Err(_) => return false,
                Ok(n) => held.extend_from_slice(&piece[..n]),
            }
        }
    }
}

async fn timeout<T>(reading: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), reading).await.expect("in time")
}

/// So many transactions of a network, 200 in a block, as the sink would have written them.
async fn filled(world: &World, rows: u64) {
    const HASH: &str = "unhex(leftPad(lower(hex(n)), 64, '0'))";
    let blocks = rows / 200;
    world.store.migrate().await.expect("tables");
    for sql in [
        "INSERT INTO partition_rows VALUES ('ethereum', now64(6), 50176)".to_owned(),
        "INSERT INTO sink_status_rows VALUES ('ethereum', 'evm', 'running', '', now64(3))".to_owned(),
        format!(
            "INSERT INTO evm_transaction_rows (network, height, transaction_index, version, block_hash, block_time, hash, from_address, \
             to_address, value, status, fee, method, failure_reason, call, gas, receipt_status, receipt_gas_used, present, span) \
             WITH number AS n, 1000 + intDiv(n, 200) AS h SELECT 'ethereum', h, n % 200, 256 * (h - 999), {HASH}, \
             fromUnixTimestamp64Milli(toInt64(1700000000000 + h * 12000), 'UTC'), {HASH}, unhex(repeat('aa', 20)), unhex(repeat('bb', 20)), \
             toUInt256(n), if(n % 50 = 0, 'failed', 'success'), toUInt256(21000), unhex('a9059cbb'), if(n % 50 = 0, '=cmd|x, \"y\"', ''), \
             'transfer(address to, uint256 amount)', 21000, n % 50 != 0, 21000, 1 + 2 + 4 + 128, 50176 FROM numbers({rows})"
        ),
        format!(
            "INSERT INTO block_rows (network, height, version, origin, hash, parent_hash, block_time, transaction_count, span) \
             WITH number AS n, 1000 + n AS h SELECT 'ethereum', h, 256 * (n + 1), 'live', concat('0x', leftPad(lower(hex(n)), 64, '0')), \
             concat('0x', leftPad(lower(hex(n)), 64, '0')), fromUnixTimestamp64Milli(toInt64(1700000000000 + h * 12000), 'UTC'), 200, 50176 \
             FROM numbers({blocks})"
        ),
    ] {
        world.sql(&sql).await;
    }
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the process' status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is().await {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn lines(api: &Api, query: &str) -> Vec<Value> {
    let answer = api.get(&format!("/api/v1/txs/export?format=ndjson&{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_what_lists_say_in_each_form() {
    let world = World::start(&["ethereum", "optimism"]).await;
    let mut chain = Chain::new("ethereum", recorded("ethereum"));
    for n in 0..8 {
        chain.apply();
        if n == 5 {
            chain.revert();
        }
    }
    world.publish_and_wait(&chain.events).await;
    let api = world.api().await;
    let height = chain.canonical[2].0.envelope.height;
    let hash = &chain.canonical[2].0.envelope.block_hash;
    for query in [
        "sort=oldest".to_owned(),
        "network=ethereum".to_owned(),
        "network=ethereum&status=failed".to_owned(),
        "method=transfer&sort=oldest".to_owned(),
        format!("network=ethereum&block={height}"),
    ] {
        let list = api.get(&format!("/api/v1/txs?limit=1000&{query}")).await.json();
        let wanted = list["items"].as_array().expect("items");
        assert!(!wanted.is_empty(), "{query}");
        let answer = api.get(&format!("/api/v1/txs/export?format=json&{query}")).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.json().as_array().expect("an array"), wanted, "{query}");
        assert_eq!(&lines(&api, &query).await, wanted, "{query}");
        let csv = api.get(&format!("/api/v1/txs/export?{query}")).await;
        assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
        assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"transactions.csv\""));
        assert_eq!(csv.header("cache-control"), Some("no-store"));
        let mut reader = csv::Reader::from_reader(&csv.body[..]);
        let hash_at = reader.headers().expect("a header").iter().position(|c| c == "hash").expect("hashes");
        let hashes: Vec<String> = reader.records().map(|row| row.expect("a row")[hash_at].to_owned()).collect();
        assert_eq!(hashes, wanted.iter().map(|i| i["hash"].as_str().expect("hash")).collect::<Vec<_>>(), "{query}");
    }
    assert_eq!(lines(&api, "limit=7").await.len(), 7);
    assert_eq!(
        lines(&api, &format!("network=ethereum&block={hash}")).await,
        lines(&api, &format!("network=ethereum&block={height}")).await
    );
    assert_eq!(lines(&api, "network=optimism").await, [Value::Null; 0]);
    assert_eq!(api.get("/api/v1/txs/export?format=json&network=optimism").await.json(), serde_json::json!([]));
    for (query, status, parameter) in [
        ("format=xml", 400, Some("format")),
        ("limit=1000001", 400, Some("limit")),
        ("cursor=00", 400, Some("cursor")),
        ("block=7", 400, Some("block")),
        ("method=noSuchFunctionAtAll", 400, Some("method")),
        ("network=nowhere", 404, None),
        ("network=ethereum&block=0x0000000000000000000000000000000000000000000000000000000000000000", 404, None),
    ] {
        let answer = api.get(&format!("/api/v1/txs/export?{query}")).await;
        assert_eq!((answer.status, answer.json()["parameter"].as_str()), (status, parameter), "{query}");
    }
    api.stop().await;
}

/// With `HEADWATER_TEST_LONG` a million rows, and resident memory is looked at: other tests of the process would disturb that.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_export_holds_a_part_of_it_and_ends_when_its_client_goes() {
    let long = std::env::var_os("HEADWATER_TEST_LONG").is_some();
    let rows: u64 = if long { 1_000_000 } else { 60_000 };
    let world = World::without_sink(&["ethereum"]).await;
    filled(&world, rows).await;
    let api = world.api().await;
    let before = resident();
    let mut report = String::new();
    for query in ["format=csv&network=ethereum", "format=ndjson", "format=csv&status=failed&sort=oldest"] {
        let began = Instant::now();
        let download = Download::begin(api.at, &format!("/api/v1/txs/export?{query}&limit=1000000")).await;
        assert_eq!(download.status, 200, "{}", download.head);
        let (mut ends, mut bytes, mut most) = (0u64, 0u64, 0);
        let whole = download.rest(|piece| {
            ends += piece.iter().filter(|b| **b == b'\n').count() as u64;
            bytes += piece.len() as u64;
            most = resident().max(most);
        });
        assert!(whole.await, "{query} has an end");
        let wanted = if query.contains("failed") { rows / 50 } else { rows };
        assert_eq!(ends, wanted + u64::from(query.contains("csv")), "{query}");
        let grown = most.saturating_sub(before) >> 20;
        let _ = writeln!(
            report,
            "{query}: {ends} lines, {} MiB in {:.1?}, memory grew by {grown} MiB",
            bytes >> 20,
            began.elapsed()
        );
        assert!(!long || grown < 96, "{report}");
    }
    eprint!("{report}");

    // A client that reads nothing has the export wait; one more of its own may run, a third may not.
    let all = "/api/v1/txs/export?network=ethereum&limit=1000000";
    let slow = Download::begin(api.at, all).await;
    let other = Download::begin(api.at, all).await;
    let third = api.get(all).await;
    assert_eq!((third.status, third.json()["type"].as_str()), (429, Some("/problems/too-many-exports")));
    assert!(third.has("retry-after"));
    // Lists go on meanwhile.
    assert_eq!(api.get("/api/v1/txs?network=ethereum&limit=10").await.status, 200);
    drop(other);
    until("the place of a client that went is free", async || {
        api.get("/api/v1/txs/export?limit=1").await.status == 200
    })
    .await;

    // What goes wrong in the middle is seen: there is no end.
    world.sql("RENAME TABLE evm_transaction_rows TO elsewhere").await;
    let mut bytes = 0;
    assert!(!slow.rest(|piece| bytes += piece.len()).await, "cut off after {bytes} bytes");
    assert!(bytes > 0);
    assert_eq!(api.get(all).await.status, 503, "and before the first row it is an answer like any other");
    world.sql("RENAME TABLE elsewhere TO evm_transaction_rows").await;

    // A stop does not wait for who does not read.
    let slow = Download::begin(api.at, all).await;
    let began = Instant::now();
    api.stop().await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(!slow.rest(|_| {}).await);
}

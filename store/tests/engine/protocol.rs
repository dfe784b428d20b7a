//! The interface as `curl`, Python, JavaScript and Grafana use it.

use crate::harness::{Running, encoded, exchange, resident};
use std::io::{Read, Write};

#[tokio::test(flavor = "multi_thread")]
async fn users_hosts_and_paths() {
    let store = Running::start().await;
    let key = store.credentials.stages.expose().to_owned();
    assert_eq!(exchange(&store.url, "GET", "/ping", &[], b"").text(), "Ok.\n");
    assert_eq!(exchange(&store.url, "GET", "/", &[], b"").text(), "Ok.\n");
    assert_eq!(exchange(&store.url, "GET", "/play", &[], b"").status, 404);

    let anonymous = exchange(&store.url, "GET", "/?query=SELECT+1", &[], b"");
    assert_eq!((anonymous.status, anonymous.header("x-clickhouse-exception-code")), (401, Some("516")));
    assert!(anonymous.header("www-authenticate").is_some_and(|v| v.starts_with("Basic")));
    let wrong = store.post(("headwater", "wrong"), "/?query=SELECT+1", &[], b"");
    assert_eq!((wrong.status, wrong.header("x-clickhouse-exception-code")), (403, Some("516")));
    let by_url = exchange(&store.url, "GET", &format!("/?user=headwater&password={key}&query=SELECT+1"), &[], b"");
    assert_eq!((by_url.status, by_url.text().as_str()), (200, "1\n"));

    for host in ["evil.example", "evil.example:8123", "127.0.0.1.nip.io"] {
        let foreign = store.post(("headwater", &key), "/?query=SELECT+1", &[("Host", host)], b"");
        assert_eq!(foreign.status, 421, "{host}");
        assert_eq!(exchange(&store.url, "GET", "/ping", &[("Host", host)], b"").status, 421, "{host}");
    }
    for host in ["localhost", "127.0.0.1:1", "[::1]"] {
        assert_eq!(store.post(("headwater", &key), "/?query=SELECT+1", &[("Host", host)], b"").status, 200, "{host}");
    }
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_settings_and_formats() {
    let store = Running::start().await;
    let ask = |target: &str, body: &[u8]| store.as_stages(target, body);
    assert_eq!(ask("/", b"SELECT 1 AS a FORMAT JSONEachRow").text(), "{\"a\":1}\n");
    assert_eq!(ask("/?default_format=CSVWithNames", b"SELECT 1 AS a").text(), "\"a\"\n1\n");
    assert_eq!(ask("/?query=SELECT", b"1 + 1").text(), "2\n");
    assert_eq!(ask("/?param_x=a%27b", b"SELECT {x:String}").text(), "a\\'b\n");
    assert_eq!(ask("/?max_threads=1", b"SELECT getSetting('max_threads')").text(), "1\n");
    assert_eq!(
        ask("/", b"SELECT getSetting('use_skip_indexes_if_final_exact_mode'), currentDatabase()").text(),
        "true\theadwater\n"
    );
    assert_eq!(ask("/?no_such_setting=1", b"SELECT 1").header("x-clickhouse-exception-code"), Some("115"));
    assert_eq!(ask("/", b"SELECT 1; SELECT 2").header("x-clickhouse-exception-code"), Some("62"));
    assert_eq!(ask("/", b"CREATE TABLE one_too_many (a UInt8) ENGINE = Memory; SELECT 1").status, 400);
    assert_eq!(ask("/", b"").header("x-clickhouse-exception-code"), Some("62"));
    let json: serde_json::Value =
        serde_json::from_slice(&ask("/", b"SELECT number FROM numbers(100000) FORMAT JSON").body).expect("json");
    assert_eq!((json["rows"].as_u64(), json["data"].as_array().map(Vec::len)), (Some(100_000), Some(100_000)));
    let lines = ask("/", b"SELECT number FROM numbers(150000) FORMAT TSVWithNames").text();
    assert_eq!((lines.lines().count(), lines.matches("number").count()), (150_001, 1));
    let preflight = ask("/", b"SELECT displayName(), version(), revision(), timezone()").text();
    assert_eq!(preflight.trim_end().split('\t').nth(2), Some("0"), "{preflight}");

    // GET changes nothing.
    let key = store.credentials.stages.expose().to_owned();
    let target = format!("/?query={}", encoded("CREATE TABLE made_by_get (a UInt8) ENGINE = Memory"));
    let refused =
        exchange(&store.url, "GET", &target, &[("X-ClickHouse-User", "headwater"), ("X-ClickHouse-Key", &key)], b"");
    assert_eq!((refused.status, refused.header("x-clickhouse-exception-code")), (403, Some("164")));
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inserts_in_every_shape() {
    let store = Running::start().await;
    let ask = |target: &str, body: &[u8]| store.as_stages(target, body);
    assert_eq!(ask("/", b"CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a").status, 200);
    let insert = |query: &str, body: &[u8]| {
        let reply = ask(&format!("/?query={}", encoded(query)), body);
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        reply
    };
    insert("INSERT INTO t FORMAT CSV", b"1,one\n");
    insert("INSERT INTO t VALUES", b"(2, 'two')");
    insert("", b"INSERT INTO t (a, s) VALUES (3, 'three'), (1 + 3, concat('fo', 'ur'))");
    insert("", b"INSERT INTO t FORMAT RowBinary\n\x05\0\0\0\0\0\0\0\x04five");
    insert("INSERT INTO t SELECT 6, 'six'", b"");
    let reply = insert("INSERT INTO t FORMAT JSONEachRow", b"{\"a\":7,\"s\":\"seven\"}");
    assert!(reply.header("x-clickhouse-summary").is_some_and(|s| s.contains("\"written_rows\":\"1\"")), "{reply:?}");
    assert_eq!(
        ask("/", b"SELECT arrayStringConcat(groupArray(s), ' ') FROM (SELECT * FROM t ORDER BY a)").text(),
        "one two three four five six seven\n"
    );

    let torn = ask(&format!("/?query={}", encoded("INSERT INTO t FORMAT RowBinary")), b"\x08\0\0");
    assert_eq!(torn.header("x-clickhouse-exception-code"), Some("33"), "{}", torn.text());
    let unknown = ask(&format!("/?query={}", encoded("INSERT INTO nowhere FORMAT CSV")), b"1\n");
    assert_eq!((unknown.status, unknown.header("x-clickhouse-exception-code")), (404, Some("60")));
    assert_eq!(ask("/", b"SELECT count() FROM t").text(), "7\n");
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_answers_are_compressed_both_ways() {
    let store = Running::start().await;
    let key = store.credentials.stages.expose().to_owned();
    let user = ("headwater", key.as_str());
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("gzip");
        encoder.finish().expect("gzip")
    };
    let sql = b"SELECT repeat('abc', 1000) FROM numbers(1000)";
    let plain = store.post(user, "/", &[], sql).body;
    let answer = store.post(user, "/", &[("Content-Encoding", "gzip"), ("Accept-Encoding", "gzip")], &gzip(sql));
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(&answer.body[..]).read_to_end(&mut unpacked).expect("gzip");
    assert!(unpacked == plain && answer.body.len() * 10 < plain.len());
    let answer = store.post(user, "/", &[("Accept-Encoding", "lz4, zstd")], sql);
    assert_eq!(answer.header("content-encoding"), Some("lz4"));
    let mut unpacked = Vec::new();
    lz4_flex::frame::FrameDecoder::new(&answer.body[..]).read_to_end(&mut unpacked).expect("lz4");
    assert!(unpacked == plain);
    assert_eq!(store.post(user, "/", &[("Content-Encoding", "zstd")], sql).status, 501);
    assert_eq!(store.post(user, "/", &[("Content-Encoding", "gzip")], b"not gzip").status, 400);
    assert_eq!(store.post(user, "/?decompress=1", &[], b"not a block of ClickHouse's, and long enough").status, 400);
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_result_is_streamed_in_bounded_memory() {
    let store = Running::start().await;
    let pid = store.pid();
    assert_eq!(store.as_stages("/", b"SELECT number, repeat('x', 100) FROM numbers(10000)").status, 200); // warm
    let (before, _) = resident(pid);
    let address = store.url.socket_addrs(|| None).expect("address")[0];
    let mut stream = std::net::TcpStream::connect(address).expect("connect");
    let sql = "SELECT number, repeat('x', 100) FROM numbers(5000000) FORMAT RowBinary";
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nX-ClickHouse-User: headwater\r\nX-ClickHouse-Key: {}\r\nContent-Length: {}\r\n\r\n{sql}",
        store.credentials.stages.expose(),
        sql.len()
    );
    stream.write_all(head.as_bytes()).expect("request");
    let (mut total, mut buffer) = (0u64, vec![0u8; 1 << 20]);
    loop {
        match stream.read(&mut buffer).expect("read") {
            0 => break,
            n => total += n as u64,
        }
    }
    assert!(total >= 5_000_000 * 109, "{total} bytes came");
    let (_, peak) = resident(pid);
    assert!(peak - before < 300 << 20, "545 MB went through {} MB of memory", (peak - before) >> 20);
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_whose_client_is_gone_is_ended() {
    let store = Running::start().await;
    let address = store.url.socket_addrs(|| None).expect("address")[0];
    let sql = "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)";
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nX-ClickHouse-User: headwater\r\nX-ClickHouse-Key: {}\r\nContent-Length: {}\r\n\r\n{sql}",
        store.credentials.stages.expose(),
        sql.len()
    );
    let mut stream = std::net::TcpStream::connect(address).expect("connect");
    stream.write_all(head.as_bytes()).expect("request");
    let running = || {
        store
            .as_stages(
                "/",
                b"SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%processes%'",
            )
            .text()
    };
    let wait_for = |wanted: &str| {
        (0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            running() == wanted
        })
    };
    assert!(wait_for("1\n"), "it runs");
    drop(stream);
    assert!(wait_for("0\n"), "it is ended");
    store.stop().await;
}

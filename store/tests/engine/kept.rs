//! Connections to the engine are kept between statements of stages and API, and nothing of one is there for the next.

use std::time::{Duration, Instant};

use crate::harness::{Reply, Running, encoded};
use schemas::limits::store as limits;

/// What a session says of itself: whatever else a statement changes in it shows here.
const SESSION: &str = "SELECT currentDatabase(), timezone(), arrayStringConcat(currentRoles(), ','), \
    (SELECT count() FROM system.tables WHERE is_temporary), \
    (SELECT arrayStringConcat(groupArray(name || '=' || value), ' ') FROM (SELECT name, value FROM system.settings \
     WHERE changed AND name != 'log_comment' ORDER BY name)) FORMAT TSV";

/// The connection on which it runs: its mark, which carries a random id.
const WHICH: &[u8] = b"SELECT getSetting('log_comment')";

fn ok(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text()
}

async fn prepared() -> Running {
    let store = Running::start().await;
    for sql in ["CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a", "CREATE DATABASE other"] {
        ok(&store.as_stages("/", sql.as_bytes()));
    }
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_is_as_a_new_one() {
    let store = prepared().await;
    let session = ok(&store.as_stages("/", SESSION.as_bytes()));
    let api = ok(&store.as_api("/", SESSION.as_bytes()));
    assert!(
        session.starts_with("headwater\t")
            && session.contains("\tapi,stages\t0\t")
            && api.contains("\tapi\t0\t")
            && api.contains("readonly=1"),
        "{session}{api}"
    );
    let (first, again) = (ok(&store.as_stages("/", WHICH)), ok(&store.as_stages("/", WHICH)));
    assert_eq!(first, again, "it is kept");
    assert_eq!(ok(&store.as_api("/", WHICH)), ok(&store.as_api("/", WHICH)), "the API's is kept");
    assert_ne!(first, ok(&store.as_api("/", WHICH)), "it is nobody else's");

    let insert = format!("/?query={}", encoded("INSERT INTO t SETTINGS max_insert_threads = 3 FORMAT TSV"));
    let with_param = ("/?param_x=3&param_y=4", "SELECT {x:UInt8} + {y:UInt8}");
    for (target, sql) in [
        ("/", "SET max_threads = 7"),
        ("/", "SET param_x = 3"),
        ("/", "USE other"),
        ("/", "SET ROLE NONE"),
        ("/", "CREATE TEMPORARY TABLE mine (a UInt8)"),
        ("/", "CREATE TEMPORARY TABLE t (a UInt8)"),
        ("/", "SELECT 1 SETTINGS max_threads = 5, session_timezone = 'Asia/Tokyo'"),
        ("/", "SELECT now() SETTINGS session_timezone = 'Asia/Tokyo' FORMAT JSON"),
        ("/", "WITH 1 AS a SELECT a SETTINGS max_block_size = 3"),
        ("/", "INSERT INTO t SELECT 1 SETTINGS max_threads = 5"),
        ("/", "INSERT INTO t SETTINGS max_threads = 5 VALUES (1)"),
        (insert.as_str(), "1\n2\n"),
        with_param,
        ("/?max_threads=3&session_timezone=Asia/Tokyo", "SELECT timezone()"),
        ("/?database=other", "SELECT currentDatabase()"),
        ("/?database=other&max_block_size=3", "SELECT number FROM numbers(100) FORMAT RowBinary"),
        ("/?default_format=JSON&output_format_json_quote_64bit_integers=1", "SELECT 1"),
        // What fails, at once or half-way.
        ("/", "SELECT nonsense"),
        ("/", "SELECT"),
        ("/", "SELECT 1; SET max_threads = 9"),
        ("/", "INSERT INTO nowhere SELECT 1"),
        ("/", "INSERT INTO t SELECT 1; SET max_threads = 9"),
        ("/", "INSERT INTO t; SET max_threads = 9; INSERT INTO t FORMAT TSV\n1\n"),
        ("/", "INSERT INTO t FORMAT TSV\nx\n"),
        ("/", "SELECT throwIf(number = 200000) FROM numbers(300000) FORMAT TSV"),
        ("/?max_rows_to_read=10", "SELECT count() FROM numbers(100)"),
        ("/?nonsense=1", "SELECT 1"),
    ] {
        store.as_stages(target, sql.as_bytes());
        assert_eq!(ok(&store.as_stages("/", SESSION.as_bytes())), session, "after {target} {sql}");
        assert_eq!(ok(&store.as_stages("/", b"SELECT 1 FORMAT TSV")), "1\n", "after {target} {sql}");
        if !sql.contains("INSERT") {
            store.as_api(target, sql.as_bytes());
            assert_eq!(ok(&store.as_api("/", SESSION.as_bytes())), api, "the API after {target} {sql}");
        }
    }
    assert_eq!(store.as_stages("/", b"SELECT {x:UInt8}").header("x-clickhouse-exception-code"), Some("456"));
    assert_eq!(ok(&store.as_stages("/", b"SELECT count() FROM t")), "4\n", "what was inserted, once");
    // GET is for reading, on whatever connection.
    let get = |sql: &str| {
        let headers = [("X-ClickHouse-User", "headwater"), ("X-ClickHouse-Key", store.credentials.stages.expose())];
        crate::harness::exchange(&store.url, "GET", &format!("/?query={}", encoded(sql)), &headers, b"")
    };
    for _ in 0..2 {
        assert!(ok(&get(SESSION)).contains("readonly=2"));
        assert_eq!(get("INSERT INTO t SELECT 1").header("x-clickhouse-exception-code"), Some("164"));
    }
    // What others change is seen: a view that is made anew, a table with one column more.
    for (change, sql, answer) in [
        ("CREATE VIEW v AS SELECT 1 AS x", "SELECT * FROM v", "1\n"),
        ("CREATE OR REPLACE VIEW v AS SELECT 2 AS x, 3 AS y", "SELECT * FROM v", "2\t3\n"),
        ("ALTER TABLE t ADD COLUMN b UInt8 DEFAULT 5", "SELECT max(b) FROM t", "5\n"),
    ] {
        ok(&store.as_stages("/", change.as_bytes()));
        assert_eq!(
            (ok(&store.as_stages("/", sql.as_bytes())), ok(&store.as_api("/", sql.as_bytes()))),
            (answer.into(), answer.into())
        );
    }
    store.stop().await;
}

/// One that failed or was told to end is not used again, and no more than so many wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_in_doubt_is_closed() {
    let store = prepared().await;
    // Settings of its own, so that nobody else uses it.
    let own = |n: usize| format!("/?max_block_size={}", 60_000 + n);
    let which = |n: usize| ok(&store.as_stages(&own(n), WHICH));
    for (n, sql) in [
        "SELECT throwIf(1)",
        "SELECT throwIf(number = 200000) FROM numbers(300000) FORMAT TSV",
        "INSERT INTO t FORMAT TSV\nx\n",
        "SELECT 1 FROM nowhere",
    ]
    .into_iter()
    .enumerate()
    {
        let before = which(n);
        assert_eq!(before, which(n), "it is kept");
        store.as_stages(&own(n), sql.as_bytes());
        assert_ne!(before, which(n), "after {sql}");
    }
    // Ended from outside, while it runs on the connection that was kept.
    let long =
        b"SELECT count() FROM numbers(300000) AS a, numbers(300000) AS b WHERE sipHash64(a.number, b.number) = 1";
    let before = which(9);
    std::thread::scope(|scope| {
        let statement = scope.spawn(|| store.as_stages(&own(9), long));
        let runs = format!(
            "SELECT count() FROM system.processes WHERE Settings['log_comment'] = '{}' AND query LIKE '%sipHash64%'",
            before.trim()
        );
        let began = Instant::now();
        while ok(&store.as_stages("/", runs.as_bytes())) != "1\n" {
            assert!(began.elapsed() < Duration::from_secs(20), "it does not run on the connection that was kept");
            std::thread::sleep(Duration::from_millis(20));
        }
        ok(&store.as_stages("/", b"KILL QUERY WHERE query LIKE '%sipHash64(a%' AND query NOT LIKE '%LIKE%' ASYNC"));
        assert_ne!(statement.join().expect("an answer").status, 200);
    });
    assert_ne!(before, which(9), "after its statement was ended");
    // By its own clock.
    let before = which(10);
    assert_eq!(before, which(10));
    // No more than so many wait: the first of more is closed.
    let first = which(20);
    for n in 21..=21 + limits::STAGES_KEPT {
        which(n);
    }
    assert_ne!(first, which(20), "more are kept than may be");
    store.stop().await;
}

/// A client that goes away ends its statement and no other, and the connection with it.
#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_ends_no_statement_but_its_own() {
    use std::io::Write;
    let store = prepared().await;
    let address = store.url.socket_addrs(|| None).expect("address")[0];
    let leave = |sql: &str| {
        let mut stream = std::net::TcpStream::connect(address).expect("connect");
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {address}\r\nX-ClickHouse-User: headwater\r\nX-ClickHouse-Key: {}\r\nContent-Length: {}\r\n\r\n{sql}",
            store.credentials.stages.expose(),
            sql.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
    };
    let began = Instant::now();
    let mut rounds = 0;
    // Short statements whose clients leave at any moment, among others that must all be answered.
    while began.elapsed() < Duration::from_secs(4) {
        for sql in ["SELECT 1", "SELECT count() FROM numbers(1000000)", "INSERT INTO t SELECT 1"] {
            leave(sql);
            assert_eq!(ok(&store.as_stages("/", b"SELECT count() FROM numbers(2000000)")), "2000000\n");
        }
        rounds += 1;
    }
    assert!(rounds > 5, "{rounds}");
    store.stop().await;
}

/// The engine's count of its own exceptions: a statement that succeeds makes none.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_succeeds_throws_nothing() {
    let store = prepared().await;
    let thrown = || {
        let sql = b"SELECT sum(value), arrayStringConcat(groupArray(name || ': ' || last_error_message), ', ') FROM system.errors FORMAT TSV";
        let text = ok(&store.as_stages("/", sql));
        let (count, what) = text.split_once('\t').expect("two columns");
        (count.parse::<u64>().expect("a number"), what.to_owned())
    };
    let insert = format!("/?query={}", encoded("INSERT INTO t FORMAT TSV"));
    let round = || {
        ok(&store.as_stages("/", b"SELECT 1"));
        ok(&store.as_stages("/", b"SELECT a FROM t WHERE a = 3"));
        ok(&store.as_api("/", b"SELECT a FROM t WHERE a = 3"));
        ok(&store.as_stages(&insert, b"1\n2\n"));
    };
    round();
    let before = thrown();
    for _ in 0..10 {
        round();
    }
    let after = thrown();
    assert!(after.0 < before.0 + 10, "40 statements threw {} times: {}", after.0 - before.0, after.1);
    store.stop().await;
}

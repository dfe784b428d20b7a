//! Sink, API and analysts have shares of their own (rule 28).

use std::{
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use crate::{
    harness::{PROGRAM, Running, exchange},
    room::Room,
};
use schemas::limits::store as limits;
use store::engine::{ChildCommand, RestartPolicy};

/// Few rows to read, many to make: it is the clock that ends it.
const PAIRS: &str =
    "SELECT count() FROM numbers(300000) AS a, numbers(300000) AS b WHERE sipHash64(a.number, b.number) = 1";

fn code(reply: &crate::harness::Reply) -> &str {
    reply.header("x-clickhouse-exception-code").unwrap_or_default()
}

async fn prepared() -> Running {
    let store = Running::start().await;
    for sql in [
        "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a",
        "INSERT INTO t SELECT number FROM numbers(1000)",
        "CREATE VIEW v AS SELECT a AS b FROM t",
        "CREATE DATABASE other",
        "CREATE TABLE other.secret (a UInt8) ENGINE = Memory",
    ] {
        let reply = store.as_stages("/", sql.as_bytes());
        assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
    }
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_reads_within_its_limits_and_changes_nothing() {
    let store = prepared().await;
    assert_eq!(store.as_api("/?max_execution_time=15", b"SELECT count() FROM v").text(), "1000\n");
    assert_eq!(store.as_api("/?param_n=3", b"SELECT a FROM t WHERE a = {n:UInt64}").text(), "3\n");
    let parts = "SELECT sum(rows) FROM system.parts WHERE database = 'headwater' AND active";
    assert_eq!(store.as_api("/", parts.as_bytes()).text(), "1000\n");
    let columns = "SELECT count() FROM system.columns WHERE database = 'headwater' AND table = 'v'";
    assert_eq!(store.as_api("/", columns.as_bytes()).text(), "1\n");
    for (sql, wanted) in [
        ("INSERT INTO t VALUES (1)", "497"),
        ("INSERT INTO t SELECT 1", "497"),
        ("CREATE TABLE mine (a UInt8) ENGINE = Memory", "497"),
        ("DROP TABLE t", "497"),
        ("ALTER TABLE t DELETE WHERE 1", "497"),
        ("OPTIMIZE TABLE t", "497"),
        ("SYSTEM STOP MERGES t", "497"),
        ("SET max_memory_usage = 0", "164"),
        ("SELECT * FROM other.secret", "497"),
        ("SELECT 1 SETTINGS max_memory_usage = 0", "164"),
        ("SELECT 1 SETTINGS max_threads = 64", "164"),
    ] {
        let reply = store.as_api("/", sql.as_bytes());
        assert_eq!(code(&reply), wanted, "{sql}: {} {}", reply.status, reply.text());
    }
    let value = |parameters: &str, name: &str| {
        store.as_api(&format!("/?{parameters}"), format!("SELECT toString(getSetting('{name}'))").as_bytes()).text()
    };
    assert_eq!(value("max_memory_usage=0", "max_memory_usage"), format!("{}\n", limits::API_MEMORY));
    assert_eq!(value("max_execution_time=600", "max_execution_time"), format!("{}\n", limits::API_TIME.as_secs()));
    assert_eq!(value("max_threads=64", "max_threads"), format!("{}\n", limits::API_THREADS));
    assert_eq!(value("", "readonly"), "1\n");
    let large = store.as_api("/", b"SELECT length(groupArray(toString(number))) FROM numbers(20000000)");
    assert_eq!(code(&large), "241", "{}", large.text());
    // Nothing goes to the disk in the place of memory.
    let grouped = "SELECT count() FROM (SELECT number, count() FROM numbers(20000000) GROUP BY number)";
    let grouped = store.as_api("/?max_bytes_before_external_group_by=1000000", grouped.as_bytes());
    assert_eq!(code(&grouped), "241", "{}", grouped.text());
    assert_eq!(store.as_stages("/", b"SELECT count() FROM t").text(), "1000\n", "nothing has changed");
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_much_is_read_the_sink_writes() {
    let store = prepared().await;
    let answered = AtomicUsize::new(0);
    let over = AtomicUsize::new(0);
    let began = Instant::now();
    let (api, analyst) = (store.credentials.api.clone(), store.credentials.analyst.clone());
    std::thread::scope(|scope| {
        let ask = |user: &'static str, password: &str| {
            let headers = [("X-ClickHouse-User", user), ("X-ClickHouse-Key", password)];
            let reply = exchange(&store.url, "POST", "/?max_execution_time=20", &headers, PAIRS.as_bytes());
            answered.fetch_add(1, Ordering::SeqCst);
            over.fetch_add(usize::from(code(&reply) == "202"), Ordering::SeqCst);
        };
        for (user, password, many) in [("api", &api, 64), ("analyst", &analyst, 16)] {
            for _ in 0..many {
                scope.spawn(move || ask(user, password.expose()));
            }
        }
        // All turns of readers are taken, and their queues are long.
        let counted =
            "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(a%' AND query NOT LIKE '%LIKE%'";
        let all = format!("{}\n", limits::API_CONCURRENCY + limits::ANALYST_CONCURRENCY);
        while store.as_stages("/", counted.as_bytes()).text() != all {
            assert!(began.elapsed() < Duration::from_secs(15), "the readers' turns are not all taken");
            std::thread::sleep(Duration::from_millis(50));
        }
        for i in 0..20 {
            let reply = store.as_stages("/", format!("INSERT INTO t SELECT {i}").as_bytes());
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
        assert_eq!(store.as_stages("/", b"SELECT count() FROM t").text(), "1020\n");
        // What was said above is still so: the inserts did not wait for the readers.
        assert_eq!(store.as_stages("/", counted.as_bytes()).text(), all);
        // Nor can connections of readers keep the sink's away.
        let held: Vec<TcpStream> = (0..limits::API_CONNECTIONS).filter_map(|_| connected(&store)).collect();
        assert!(!held.is_empty());
        assert_eq!(store.as_stages("/", b"SELECT 1").text(), "1\n");
        store.as_stages("/", b"KILL QUERY WHERE query LIKE '%sipHash64(a%' AND query NOT LIKE '%LIKE%' ASYNC");
    });
    assert_eq!(answered.load(Ordering::SeqCst), 80);
    store.stop().await;
}

/// A connection that has said that it is the API, and stays.
fn connected(store: &Running) -> Option<TcpStream> {
    use std::io::{Read, Write};
    let address = store.url.socket_addrs(|| None).expect("address")[0];
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
    // Wrong in its parameters, so that it takes no turn: who asks is known by then.
    let head = format!(
        "GET /?query=SELECT+1&query_id={} HTTP/1.1\r\nHost: {address}\r\nX-ClickHouse-User: api\r\nX-ClickHouse-Key: {}\r\n\r\n",
        "x".repeat(limits::QUERY_ID_BYTES + 1),
        store.credentials.api.expose()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut byte = [0u8; 1];
    stream.read_exact(&mut byte).ok()?;
    Some(stream)
}

/// What spills keeps away from the room that others need.
#[tokio::test(flavor = "multi_thread")]
async fn analysts_temporary_files_leave_the_reserve_free() {
    const SPILLING: &str =
        "SELECT count() FROM (SELECT cityHash64(number) AS h, count() FROM numbers(6000000) GROUP BY h)";
    let ask = |store: &Running| store.as_analyst("/?max_bytes_before_external_group_by=20000000", SPILLING.as_bytes());
    let room = Running::start().await;
    let spilt = ask(&room);
    assert_eq!(spilt.text(), "6000000\n", "there is room");
    let folder = room.stop().await;
    let stat = rustix::fs::statvfs(folder.path()).expect("the disk");
    let free = stat.f_bavail * stat.f_frsize;
    // The reserve is all that is free: no byte is left for what is temporary.
    let store = Running::start_told("HEADWATER_TEST_RESERVE", &free.to_string()).await;
    let refused = ask(&store);
    assert!(matches!(code(&refused), "243" | "396"), "{} {}", refused.status, refused.text());
    assert_eq!(store.as_analyst("/", b"SELECT sum(number) FROM numbers(1000000)").text(), "499999500000\n");
    let stages = store.as_stages("/?max_bytes_before_external_group_by=20000000", SPILLING.as_bytes());
    assert_eq!(stages.text(), "6000000\n", "{}", stages.text());
    store.stop().await;
}

/// Statements that hold temporary files end when others fill the disk, and the room comes back.
#[tokio::test(flavor = "multi_thread")]
async fn temporary_files_go_when_the_disk_fills() {
    let room = Room::new(2_048);
    if !room.own {
        return;
    }
    let folder = room.folder();
    let command = ChildCommand::new(PROGRAM, [folder.path()]);
    let store = Running::start_in(folder, command, RestartPolicy::default()).await;
    // What is grouped lies on the disk until the last of it is joined, which takes long.
    let held = "SELECT sum(sipHash64(a.h, b.number)) FROM (SELECT cityHash64(number) AS h, count() AS c FROM numbers(6000000) GROUP BY h) AS a, \
                numbers(1000) AS b";
    let temporary = store.dir.path().join("store/engine/tmp");
    let bytes = || {
        let files = std::fs::read_dir(&temporary).expect("folder").flatten().filter_map(|file| file.metadata().ok());
        files.map(|file| file.len()).sum::<u64>()
    };
    let ended = std::thread::scope(|scope| {
        let statement = scope.spawn(|| {
            store.as_analyst("/?max_bytes_before_external_group_by=20000000&max_execution_time=60", held.as_bytes())
        });
        let began = Instant::now();
        // All of it is there once it grows no more: what ends the statement then is the look at the disk, and no piece of its own.
        let (mut last, mut since) = (0, Instant::now());
        while last < 20 << 20 || since.elapsed() < Duration::from_secs(2) {
            assert!(
                began.elapsed() < Duration::from_secs(50) && !statement.is_finished(),
                "nothing temporary is there"
            );
            std::thread::sleep(Duration::from_millis(50));
            let now = bytes();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        room.fill_but(300);
        statement.join().expect("an answer")
    });
    assert_eq!(code(&ended), "394", "{} {}", ended.status, ended.text());
    let began = Instant::now();
    while bytes() > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "temporary files stay");
        std::thread::sleep(Duration::from_millis(50));
    }
    let refused = store.as_analyst("/?max_bytes_before_external_group_by=20000000", held.as_bytes());
    assert!(matches!(code(&refused), "243" | "396"), "{} {}", refused.status, refused.text());
    for sql in
        ["CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a", "INSERT INTO t SELECT number FROM numbers(1000)"]
    {
        assert_eq!(store.as_stages("/", sql.as_bytes()).status, 200, "{sql}");
    }
    store.stop().await;
}

/// The users of a ClickHouse server, as the documents have them made, may what those of the embedded engine may.
#[tokio::test(flavor = "multi_thread")]
async fn the_users_of_a_server_are_described_with_the_limits_of_the_embedded_ones() {
    let document = include_str!("../../../docs/clients.md");
    let (_, section) = document.split_once("## A ClickHouse server of your own").expect("the section");
    let (_, rest) = section.split_once("```sql\n").expect("statements");
    let (text, _) = rest.split_once("```").expect("their end");
    let statements: Vec<&str> = text.split(';').map(str::trim).filter(|sql| !sql.is_empty()).collect();
    assert_eq!(statements.len(), 12, "{statements:#?}");
    let store = Running::start().await;
    for sql in &statements {
        // A line's end would end a parameter's text.
        let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let target = format!("/?param_sql={}", crate::harness::encoded(&line));
        let parsed = store.as_stages(&target, b"SELECT formatQuerySingleLine({sql:String})");
        assert_eq!(parsed.status, 200, "{sql}: {}", parsed.text());
    }
    store.stop().await;
    let of = |name: &str| {
        let profile = format!("CREATE SETTINGS PROFILE {name} ");
        *statements.iter().find(|sql| sql.starts_with(&profile)).expect("a profile")
    };
    let (api, analyst) = (of("headwater_api"), of("headwater_analyst"));
    for (profile, setting, value) in [
        (api, "max_execution_time", limits::API_TIME.as_secs()),
        (api, "max_memory_usage", limits::API_MEMORY),
        (api, "max_memory_usage_for_user", limits::API_MEMORY * limits::API_CONCURRENCY as u64),
        (api, "max_threads", limits::API_THREADS),
        (analyst, "max_execution_time", limits::ANALYST_TIME.as_secs()),
        (analyst, "max_memory_usage", limits::ANALYST_MEMORY),
        (analyst, "max_memory_usage_for_user", limits::ANALYST_MEMORY * limits::ANALYST_CONCURRENCY as u64),
        (analyst, "max_rows_to_read", limits::ANALYST_ROWS),
        (analyst, "max_result_rows", limits::ANALYST_RESULT_ROWS),
        (analyst, "max_threads", limits::ANALYST_THREADS),
        (analyst, "max_temporary_data_on_disk_size_for_query", limits::ANALYST_TEMPORARY_BYTES),
        (analyst, "max_concurrent_queries_for_user", limits::ANALYST_CONCURRENCY as u64),
    ] {
        assert!(
            profile.contains(&format!("{setting} = {value} MIN 1 MAX {value}")),
            "{setting} = {value} in {profile}"
        );
    }
}

//! Starting, falling, stopping: of the store's process and of its parent.

use crate::harness::{PROGRAM, Running, alive, encoded, exchange};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use store::engine::{ChildCommand, RestartPolicy, StoreState, supervise};
use tokio_util::sync::CancellationToken;

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("kill");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_store_comes_back_with_every_acknowledged_batch() {
    let policy = RestartPolicy { first_delay: Duration::from_millis(50), ..RestartPolicy::default() };
    let store = Running::start_with(policy).await;
    let table = b"CREATE TABLE t (batch UInt64, n UInt64, s String) ENGINE = MergeTree ORDER BY (batch, n)";
    assert_eq!(store.as_stages("/", table).status, 200);
    let mut acknowledged = 0u64;
    for round in 0..2 {
        let pid = store.pid();
        let key = store.credentials.stages.expose().to_owned();
        let StoreState::Ready(url) = store.until(|s| matches!(s, StoreState::Ready(_))).await else { unreachable!() };
        let (sender, batches) = std::sync::mpsc::sync_channel(1000);
        let writer = std::thread::spawn(move || {
            for batch in round * 1000.. {
                let rows: String = (0..500).map(|n| format!("{batch}\t{n}\t{}\n", "x".repeat(200))).collect();
                let target = format!("/?query={}", encoded("INSERT INTO t FORMAT TSV"));
                let headers = [("X-ClickHouse-User", "headwater"), ("X-ClickHouse-Key", key.as_str())];
                // Panics (in `exchange`) when the store is gone, which ends this thread.
                if exchange(&url, "POST", &target, &headers, rows.as_bytes()).status != 200
                    || sender.send(batch).is_err()
                {
                    return;
                }
            }
        });
        let seen: Vec<u64> = batches.iter().take(20).collect();
        kill(pid);
        acknowledged += (seen.len() + batches.iter().count()) as u64;
        assert!(writer.join().is_err(), "the writer lost its store");
        // The state between may be too short to be seen: the next process tells by its lock.
        wait_until("another process", || store.holder().is_some_and(|holder| holder != pid));
        let StoreState::Ready(url) = store.until(|s| matches!(s, StoreState::Ready(_))).await else { unreachable!() };
        let headers = [("X-ClickHouse-User", "headwater"), ("X-ClickHouse-Key", store.credentials.stages.expose())];
        let sql = "SELECT countIf(c = 500) FROM (SELECT batch, uniqExact(n) AS c FROM t GROUP BY batch)";
        let whole: u64 = exchange(&url, "POST", "/", &headers, sql.as_bytes()).text().trim().parse().expect("a count");
        assert!(whole >= acknowledged, "{acknowledged} batches were acknowledged, {whole} are there");
    }
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_ends_with_its_parent() {
    // The parent is a process of its own: this test's program, running the ignored test below.
    let dir = tempfile::tempdir().expect("temp dir");
    let mut parent = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "lifecycle::parent_of_a_store", "--nocapture"])
        .env("STORE_TEST_DIR", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("parent");
    let mut lines = BufReader::new(parent.stdout.take().expect("stdout")).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line.contains("parent ready"))), "the store got ready");
    let lock = std::fs::read_to_string(dir.path().join("store/LOCK")).expect("lock");
    let child: i32 = lock.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("pid");
    assert!(alive(child));
    parent.kill().expect("kill -9");
    parent.wait().expect("gone");
    wait_until("the store ends with its parent", || !alive(child));
}

#[tokio::test]
#[ignore = "the parent process of the test above"]
async fn parent_of_a_store() {
    let Some(dir) = std::env::var_os("STORE_TEST_DIR") else { return };
    let cancel = CancellationToken::new();
    let supervisor = supervise(ChildCommand::new(PROGRAM, [dir]), RestartPolicy::default(), cancel);
    supervisor.ready().await.expect("ready");
    eprintln!("up");
    writeln_ready();
    std::future::pending::<()>().await;
}

#[allow(clippy::print_stdout)] // read by the test that started this process
fn writeln_ready() {
    println!("parent ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused_and_told_who_is_first() {
    let store = Running::start().await;
    let second = Command::new(PROGRAM).arg(store.dir.path()).output().expect("second");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success());
    assert!(said.contains(&format!("process {}", store.pid())) && said.contains("store-engine"), "{said}");
    assert_eq!(store.as_stages("/?query=SELECT+1", b"").text(), "1\n", "the first goes on");
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_it_from_opening_is_said_with_what_to_do() {
    let store = Running::start().await;
    let port = store.url.port().expect("port");
    let other = tempfile::tempdir().expect("temp dir");
    let down = |command: ChildCommand| async move {
        let cancel = CancellationToken::new();
        let supervisor = supervise(command, RestartPolicy::default(), cancel.clone());
        let text = supervisor.ready().await.expect_err("does not open").to_string();
        cancel.cancel();
        supervisor.stopped().await;
        text
    };
    let taken =
        down(ChildCommand::new(PROGRAM, [other.path().as_os_str(), format!("127.0.0.1:{port}").as_ref()])).await;
    assert!(taken.contains(&format!("127.0.0.1:{port}")) && taken.contains("[store] listen"), "{taken}");
    let mut command = ChildCommand::new(PROGRAM, [other.path()]);
    command.environment.push(("HEADWATER_CHDB_LIB".into(), "/nowhere/libchdb.so".into()));
    let missing = down(command).await;
    assert!(missing.contains("/nowhere/libchdb.so") && missing.contains("fetch-chdb"), "{missing}");
    let mut command = ChildCommand::new(PROGRAM, [other.path()]);
    command.environment.push(("HEADWATER_CHDB_LIB".into(), PROGRAM.into()));
    let unusable = down(command).await;
    assert!(unusable.contains("cannot be loaded"), "{unusable}");
    let absent = down(ChildCommand::new("/nowhere/headwater", ["store"])).await;
    assert!(absent.contains("cannot start /nowhere/headwater"), "{absent}");
    let dir = store.stop().await;
    std::fs::write(dir.path().join("store/FORMAT"), "99\n").expect("format");
    let newer = down(ChildCommand::new(PROGRAM, [dir.path()])).await;
    assert!(newer.contains("format 99") && newer.contains("newer release"), "{newer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_clean_and_data_stay() {
    let store = Running::start().await;
    assert_eq!(store.as_stages("/", b"CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").status, 200);
    assert_eq!(store.as_stages("/", b"INSERT INTO t SELECT number FROM numbers(100)").status, 200);
    let (pid, password) = (store.pid(), store.credentials.stages.clone());
    let dir = store.stop().await;
    assert!(!alive(pid));
    let cancel = CancellationToken::new();
    let supervisor = supervise(ChildCommand::new(PROGRAM, [dir.path()]), RestartPolicy::default(), cancel.clone());
    let url = supervisor.ready().await.expect("again");
    let headers = [("X-ClickHouse-User", "headwater"), ("X-ClickHouse-Key", password.expose())];
    assert_eq!(exchange(&url, "POST", "/", &headers, b"SELECT count() FROM t").text(), "100\n");
    cancel.cancel();
    supervisor.stopped().await;
}

/// Geometry of the engine's takes memory that it does not count, and hears no clock. Analysts cannot call it; this is what
/// stands behind.
#[tokio::test(flavor = "multi_thread")]
async fn memory_that_the_engine_does_not_count_ends_the_process_and_the_store_comes_back() {
    let store = Running::start_told("HEADWATER_TEST_MEMORY", &(600u64 << 20).to_string()).await;
    assert_eq!(store.as_stages("/", b"CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").status, 200);
    assert_eq!(store.as_stages("/", b"INSERT INTO t SELECT number FROM numbers(100)").status, 200);
    let first = store.pid();
    let limits = std::fs::read_to_string(format!("/proc/{first}/limits")).expect("limits");
    let data = limits.lines().find(|line| line.starts_with("Max data size")).expect("a line");
    let most = (600u64 << 20) + schemas::limits::store::MEMORY_ADDRESSES;
    assert!(data.contains(&most.to_string()), "the kernel's own bound: {data}");
    let points = |x: u32, y: u32| format!("arrayMap(i -> (cos(i * {x}), sin(i * {y})), range(4000))");
    let sql = format!("SELECT length(polygonsUnionCartesian([[{}]], [[{}]]))", points(7, 3), points(5, 11));
    let (url, password) = (store.url.clone(), store.credentials.stages.clone());
    std::thread::spawn(move || {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {0}\r\nX-ClickHouse-User: headwater\r\nX-ClickHouse-Key: {1}\r\nContent-Length: {2}\r\n\r\n{sql}",
            url.authority(),
            password.expose(),
            sql.len()
        );
        let address = url.socket_addrs(|| None).expect("address")[0];
        let mut stream = std::net::TcpStream::connect(address).expect("connect");
        std::io::Write::write_all(&mut stream, head.as_bytes()).expect("request");
        let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new()); // the process ends meanwhile
    });
    let down = store.until(|state| matches!(state, StoreState::Down { .. })).await;
    let StoreState::Down { error, .. } = down else { unreachable!("waited for") };
    assert!(error.contains("far beyond its limit of 600 MiB"), "{error}");
    let again = store.until(|state| matches!(state, StoreState::Ready(_))).await;
    let StoreState::Ready(url) = again else { unreachable!("waited for") };
    let headers = [("X-ClickHouse-User", "headwater"), ("X-ClickHouse-Key", store.credentials.stages.expose())];
    assert_eq!(exchange(&url, "POST", "/", &headers, b"SELECT count() FROM t").text(), "100\n");
    assert_ne!(store.pid(), first);
    store.stop().await;
}

/// Whatever lies in the engine's folder and is not the engine's is moved aside, and the store starts.
#[tokio::test(flavor = "multi_thread")]
async fn junk_in_the_folder_keeps_no_store_from_starting() {
    let store = Running::start().await;
    assert_eq!(store.as_stages("/", b"CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").status, 200);
    assert_eq!(store.as_stages("/", b"INSERT INTO t SELECT number FROM numbers(100)").status, 200);
    let engine = store.dir.path().join("store/engine");
    let junk = [
        ("metadata/evil.sql", ""),
        ("metadata/worse.sql", "SELECT 1"),
        ("metadata/database.sql", "ATTACH DATABASE database ENGINE = NoSuchEngine"),
        ("metadata/headwater/evil.sql", ""),
        ("metadata/headwater/table.sql", "ATTACH TABLE _ (a UInt8) ENGINE = NoSuchEngine"),
        ("metadata/readme.txt", "x"),
        ("store/evil.sql", ""),
        ("evil.db", "x"),
    ];
    for (file, text) in junk {
        std::fs::write(engine.join(file), text).expect("junk");
    }
    let policy = RestartPolicy { first_delay: Duration::from_millis(50), ..RestartPolicy::default() };
    let dir = store.stop().await;
    let cancel = CancellationToken::new();
    let supervisor = supervise(ChildCommand::new(PROGRAM, [dir.path()]), policy, cancel.clone());
    let credentials = store::engine::Credentials::load_or_create(dir.path(), Default::default()).expect("passwords");
    let mut state = supervisor.state();
    let ready =
        tokio::time::timeout(Duration::from_secs(60), state.wait_for(|s| matches!(s, StoreState::Ready(_)))).await;
    let StoreState::Ready(url) = ready.expect("in time").expect("supervised").clone() else {
        unreachable!("waited for")
    };
    let headers = [("X-ClickHouse-User", "headwater"), ("X-ClickHouse-Key", credentials.stages.expose())];
    assert_eq!(exchange(&url, "POST", "/", &headers, b"SELECT count() FROM t").text(), "100\n");
    for (file, _) in junk {
        assert!(!engine.join(file).exists(), "{file} was moved aside");
    }
    cancel.cancel();
    supervisor.stopped().await;
}

/// A client that asks and does not read takes nothing along: its statement ends when it is told to, its turn is free, its
/// connection is closed, and the process stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_ends_no_store() {
    let store = Running::start().await;
    let pid = store.pid();
    let address = store.url.socket_addrs(|| None).expect("address")[0];
    let sql = "SELECT number, repeat('x', 1000) FROM numbers(900000)";
    let silent: Vec<_> = (0..4)
        .map(|n| {
            let head = format!(
                "POST /?query_id=silent{n} HTTP/1.1\r\nHost: {address}\r\nX-ClickHouse-User: analyst\r\nX-ClickHouse-Key: {}\r\n\
                 Content-Length: {}\r\n\r\n{sql}",
                store.credentials.analyst.expose(),
                sql.len()
            );
            let mut stream = std::net::TcpStream::connect(address).expect("connect");
            std::io::Write::write_all(&mut stream, head.as_bytes()).expect("request");
            stream
        })
        .collect();
    let count = b"SELECT count() FROM system.processes WHERE startsWith(query, 'SELECT number, repeat')";
    wait_until("all four run", || store.as_stages("/", count).text() == "4\n");
    // One that waits for its turn is found too, and never gets it.
    let (url, password) = (store.url.clone(), store.credentials.analyst.clone());
    let waiting = std::thread::spawn(move || {
        let headers = [("X-ClickHouse-User", "analyst"), ("X-ClickHouse-Key", password.expose())];
        exchange(&url, "POST", "/?query_id=waiting", &headers, b"SELECT 1")
    });
    let kill = |ids: &str| store.as_analyst("/", format!("KILL QUERY WHERE query_id IN ({ids})").as_bytes()).text();
    wait_until("the fifth is found", || kill("'waiting'").contains("waiting"));
    assert_eq!(waiting.join().expect("answered").header("x-clickhouse-exception-code"), Some("394"));
    assert_eq!(kill("'silent0', 'silent1', 'silent2', 'silent3'").lines().count(), 4);
    let freed = Instant::now();
    assert_eq!(store.as_analyst("/", b"SELECT 1").text(), "1\n");
    assert!(freed.elapsed() < Duration::from_secs(8), "the turns are free: {:?}", freed.elapsed());
    // Longer than a statement may take to end.
    std::thread::sleep(Duration::from_secs(11));
    assert_eq!(store.pid(), pid, "the process is the same");
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
        let mut buffer = vec![0u8; 1 << 20];
        // What was on its way comes, then the end, by the store.
        while !matches!(std::io::Read::read(&mut stream, &mut buffer), Ok(0) | Err(_)) {}
    }
    store.stop().await;
}

/// A body that begins like a KILL gets no turn of theirs for something else.
#[tokio::test(flavor = "multi_thread")]
async fn turns_for_ending_statements_are_for_nothing_else() {
    let store = Running::start().await;
    for (target, body) in [
        (format!("/?query={}", encoded("SELECT 1 FROM numbers(3) AS")), "KILL "),
        (format!("/?query={}", encoded("KILL ")), "SELECT 1"),
        ("/".to_owned(), "KILL SELECT 1"),
    ] {
        let reply = store.as_analyst(&target, body.as_bytes());
        assert!(reply.status >= 400 || reply.text() == "1\n1\n1\n", "{target}: {}", reply.text());
    }
    assert!(store.as_analyst("/", b"KILL QUERY WHERE query_id = 'none'").status == 200);
    store.stop().await;
}

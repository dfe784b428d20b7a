//! Each wall around analysts, with all the others switched off: what it stops, it stops by itself.

use crate::harness::{Running, exchange};
use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};

/// Few rows to read, many to make: it is the clock that ends it.
const PAIRS: &str =
    "SELECT count() FROM numbers(300000) AS a, numbers(300000) AS b WHERE sipHash64(a.number, b.number) = 1";

async fn behind(walls: &str) -> Running {
    let store = Running::start_behind(walls).await;
    for sql in [
        "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a",
        "INSERT INTO t SELECT number FROM numbers(10)",
        "CREATE DATABASE other",
        "CREATE TABLE other.secret (a String) ENGINE = Memory",
        "INSERT INTO other.secret VALUES ('canary')",
    ] {
        let reply = store.as_stages("/", sql.as_bytes());
        assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
    }
    store
}

fn refused(store: &Running, statements: &[&str], codes: &[&str]) {
    for sql in statements {
        let reply = store.as_analyst("/", sql.as_bytes());
        let code = reply.header("x-clickhouse-exception-code").unwrap_or_default();
        assert!(codes.contains(&code), "{sql}: {} {}", reply.status, reply.text());
        assert!(!reply.text().contains("canary"), "{sql}");
    }
    assert_eq!(store.as_analyst("/", b"SELECT count() FROM t").text(), "10\n", "what is allowed goes on");
    assert_eq!(store.as_stages("/", b"SELECT count() FROM other.secret").text(), "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_judge_alone() {
    let store = behind("judge").await;
    let statements = [
        "SELECT * FROM other.secret",
        "SELECT file('/etc/hostname')",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:9/', 'CSV', 'a String')",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t SELECT 1",
        "DROP TABLE t",
        "CREATE TABLE u (a UInt8) ENGINE = Memory",
        "SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0)",
        "SET max_memory_usage = 0",
        "SYSTEM SHUTDOWN",
        "SELECT * FROM system.users",
        "SHOW TABLES WHERE (SELECT count() FROM other.secret) > 0",
    ];
    refused(&store, &statements, &["497", "164"]);
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grants_alone() {
    let store = behind("grants").await;
    let statements = [
        "SELECT * FROM other.secret",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:9/', 'CSV', 'a String')",
        "SELECT * FROM remote('127.0.0.1', system.one)",
        "SELECT * FROM executable('id', 'TSV', 'a String')",
        "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
        "INSERT INTO t SELECT 1",
        "DROP TABLE t",
        "TRUNCATE TABLE t",
        "ALTER TABLE t DELETE WHERE 1",
        "OPTIMIZE TABLE t",
        "CREATE TABLE u (a UInt8) ENGINE = Memory",
        "CREATE DATABASE d",
        "SYSTEM FLUSH LOGS",
        "SELECT * FROM system.users",
        "GRANT ALL ON *.* TO default",
        "BACKUP TABLE t TO File('b')",
    ];
    refused(&store, &statements, &["497"]);
    // The engine's own tables have no grants: their rows are hidden.
    let (url, password) = (store.url.clone(), store.credentials.stages.clone());
    let other = std::thread::spawn(move || {
        let headers = [("X-ClickHouse-User", "headwater"), ("X-ClickHouse-Key", password.expose())];
        exchange(&url, "POST", "/?max_execution_time=120", &headers, format!("{PAIRS} AND 'canary' != ''").as_bytes())
    });
    let canary = "SELECT count() FROM system.processes WHERE query LIKE '%canary%' AND query NOT LIKE '%LIKE%'";
    let began = std::time::Instant::now();
    while store.as_stages("/", canary.as_bytes()).text() != "1\n" {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "it does not run");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(store.as_analyst("/", canary.as_bytes()).text(), "0\n");
    let failing = store
        .as_analyst("/", b"SELECT toUInt8(query) FROM system.processes WHERE NOT startsWith(query, 'SELECT toUInt8')");
    assert!(!failing.text().contains("canary"), "{}", failing.text());
    for table in
        ["errors", "server_settings", "disks", "metrics", "events", "storage_policies", "user_processes", "stack_trace"]
    {
        let reply = store.as_analyst("/", format!("SELECT count() FROM system.{table}").as_bytes());
        assert!(reply.status >= 400 || reply.text() == "0\n", "{table}: {}", reply.text());
    }
    store.as_stages("/", b"KILL QUERY WHERE query LIKE '%canary%' AND query NOT LIKE '%LIKE%' SYNC");
    other.join().expect("ended");
    // Every kind of change, on every kind of thing.
    let changes = [
        "INSERT INTO § SELECT 1",
        "DROP TABLE §",
        "TRUNCATE TABLE §",
        "DETACH TABLE §",
        "OPTIMIZE TABLE §",
        "CHECK TABLE §",
        "RENAME TABLE § TO headwater.renamed",
        "EXCHANGE TABLES § AND headwater.t",
        "CREATE TABLE headwater.copy AS §",
        "CREATE VIEW headwater.mine AS SELECT * FROM §",
        "CREATE MATERIALIZED VIEW headwater.mine ENGINE = Memory AS SELECT * FROM §",
        "CREATE ROW POLICY mine ON § USING 1 TO ALL",
        "ALTER TABLE § ADD COLUMN z UInt8",
        "ALTER TABLE § DROP COLUMN a",
        "ALTER TABLE § MODIFY COLUMN a UInt8",
        "ALTER TABLE § RENAME COLUMN a TO z",
        "ALTER TABLE § COMMENT COLUMN a 'x'",
        "ALTER TABLE § DELETE WHERE 1",
        "ALTER TABLE § UPDATE a = 1 WHERE 1",
        "ALTER TABLE § FREEZE",
        "ALTER TABLE § DROP PARTITION tuple()",
        "ALTER TABLE § DETACH PARTITION tuple()",
        "ALTER TABLE § FETCH PARTITION tuple() FROM '/x'",
        "ALTER TABLE § MODIFY SETTING merge_with_ttl_timeout = 1",
        "ALTER TABLE § ADD INDEX i a TYPE minmax",
        "ALTER TABLE § ADD CONSTRAINT c CHECK a > 0",
        "ALTER TABLE § MODIFY COMMENT 'x'",
        "DELETE FROM § WHERE 1",
        "GRANT SELECT ON § TO default",
        "REVOKE SELECT ON § FROM default",
        "BACKUP TABLE § TO File('b')",
        "SYSTEM STOP MERGES §",
        "SYSTEM START MERGES §",
        "SYSTEM STOP FETCHES §",
        "SYSTEM SYNC REPLICA §",
        "SYSTEM FLUSH DISTRIBUTED §",
        "SYSTEM STOP TTL MERGES §",
        "SYSTEM STOP MOVES §",
    ];
    let things = ["headwater.t", "t", "other.secret", "`other`.`secret`", "headwater_system.processes", "system.one"];
    let mut tried = 0;
    for (change, thing) in changes.iter().flat_map(|change| things.iter().map(move |thing| (change, thing))) {
        let sql = change.replace('§', thing);
        let reply = store.as_analyst("/", sql.as_bytes());
        // Some have no meaning for the thing's engine, which is found out before the right is asked for.
        let code = reply.header("x-clickhouse-exception-code").unwrap_or_default();
        assert!(reply.status >= 400, "{sql}: {}", reply.text());
        tried += usize::from(code == "497");
    }
    assert!(tried >= 200, "only {tried} were refused for want of the right");
    refused(&store, &["SELECT * FROM other.secret"], &["497"]);
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_alone() {
    let store = behind("limits").await;
    let statements = [
        "SET max_memory_usage = 0",
        "SET readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "INSERT INTO t SELECT 1",
        "DROP TABLE t",
        "CREATE TABLE u (a UInt8) ENGINE = Memory",
        "ALTER TABLE t DELETE WHERE 1",
        "SYSTEM FLUSH LOGS",
    ];
    refused(&store, &statements, &["164", "392"]);
    // Every setting that has another value near the one in force.
    let settings = store
        .as_analyst("/", b"SELECT name, value FROM system.settings WHERE match(value, '^[0-9]{1,9}$') FORMAT TSVRaw")
        .text();
    let mut tried = 0;
    for (name, value) in settings.lines().filter_map(|line| line.split_once('\t')) {
        let other = match value {
            "0" => "1".to_owned(),
            "1" => "0".to_owned(),
            number => (number.parse::<u64>().expect("a number") + 1).to_string(),
        };
        let sql = format!("SELECT 1 SETTINGS {name} = {other}");
        let reply = store.as_analyst("/", sql.as_bytes());
        let code = reply.header("x-clickhouse-exception-code").unwrap_or_default();
        assert!(matches!(code, "164" | "392" | "452" | "36" | "115"), "{sql}: {} {}", reply.status, reply.text());
        tried += usize::from(code == "164");
    }
    assert!(tried >= 200, "only {tried}");
    let spent = [
        ("max_rows_to_read=100", "SELECT count() FROM numbers(1000) WHERE number > 5", "158"),
        ("max_execution_time=1", PAIRS, "159"),
        ("max_memory_usage=50000000", "SELECT length(groupArray(toString(number))) FROM numbers(20000000)", "241"),
        ("", "SELECT count() FROM numbers(200000000) WHERE sipHash64(number) = 1", "158"),
        ("", "SELECT number FROM numbers(2000000)", "396"),
    ];
    for (parameters, sql, code) in spent {
        let reply = store.as_analyst(&format!("/?{parameters}"), sql.as_bytes());
        let text = reply.text();
        let found = reply
            .header("x-clickhouse-exception-code")
            .map_or_else(|| text.contains(&format!("Code: {code}.")), |c| c == code);
        assert!(found, "{sql}: {} {}", reply.status, &text[text.len().saturating_sub(300)..]);
    }
    store.stop().await;
}

/// Whether it was the kernel that refused a file (EACCES), and nothing before it.
fn by_the_kernel(text: &str) -> bool {
    text.contains("Code: 76.") && text.contains("errno: 13")
}

#[tokio::test(flavor = "multi_thread")]
async fn landlock_alone() {
    let enforced = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .and_then(Ruleset::create)
        .is_ok();
    if !enforced {
        assert!(std::env::var_os("CI").is_none(), "this kernel has no Landlock");
        eprintln!("SKIPPED landlock_alone: this kernel has no Landlock");
        return;
    }
    let store = behind("landlock").await;
    let credentials = store.dir.path().join("store/credentials.toml").display().to_string();
    for path in ["/etc/passwd", "/proc/self/environ", &credentials, "/proc/1/cmdline", "/root/.bashrc", "/var/log"] {
        let reply = store.as_stages("/", format!("SELECT length(file('{path}'))").as_bytes());
        assert!(reply.status >= 400 && by_the_kernel(&reply.text()), "{path}: {}", reply.text());
    }
    let mut tried = 0;
    for folder in ["/etc", "/usr/share/doc", "/usr/bin", "/var/lib/dpkg/info", "/proc/self/task"] {
        let files = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_file());
        for path in files.take(120) {
            let real = path.canonicalize().unwrap_or_default();
            let open = ["/usr/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/timezone"];
            if open.iter().any(|open| real.starts_with(open)) {
                continue; // what the engine reads of the system
            }
            let reply = store.as_stages("/", format!("SELECT length(file('{}'))", path.display()).as_bytes());
            assert!(reply.status >= 400 && by_the_kernel(&reply.text()), "{}: {}", path.display(), reply.text());
            tried += 1;
        }
    }
    assert!(tried >= 100, "only {tried} files are here to try");
    let outside = store.dir.path().join("written.csv");
    let write = format!("SELECT 1 INTO OUTFILE '{}'", outside.display());
    store.as_stages("/", write.as_bytes());
    assert!(!outside.exists());
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seccomp_alone() {
    let store = behind("seccomp").await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    listener.set_nonblocking(true).expect("non-blocking");
    let port = listener.local_addr().expect("address").port();
    for sql in [
        format!("SELECT * FROM url('http://127.0.0.1:{port}/', 'CSV', 'a String') SETTINGS http_max_tries = 1"),
        format!("SELECT * FROM remote('127.0.0.1:{port}', system.one)"),
        format!("SELECT * FROM mysql('127.0.0.1:{port}', 'd', 't', 'u', 'p')"),
        "SELECT * FROM executable('id', 'TSV', 'a String')".to_owned(),
    ] {
        let reply = store.as_stages("/?max_execution_time=10", sql.as_bytes());
        assert!(reply.status >= 400, "{sql}: {}", reply.text());
    }
    let mut slowest = (std::time::Duration::ZERO, String::new());
    for place in ["127.0.0.1", "localhost", "[::1]", "0.0.0.0"] {
        for call in [
            "url('http://§/', 'CSV', 'a String')",
            "urlCluster('default', 'http://§/', 'CSV', 'a String')",
            "remote('§', system.one)",
            "remoteSecure('§', system.one)",
            "mysql('§', 'd', 't', 'u', 'p')",
            "postgresql('§', 'd', 't', 'u', 'p')",
            "redis('§', 'k', 'k String, v String')",
        ] {
            let from = call.replace('§', &format!("{place}:{port}"));
            for around in [
                "SELECT * FROM §",
                "SELECT count() FROM §",
                "SELECT 1 IN (SELECT * FROM §)",
                "WITH x AS (SELECT * FROM §) SELECT count() FROM x",
                "SELECT (SELECT count() FROM §)",
                "SELECT * FROM t JOIN § AS r ON 1 = 1",
                "DESCRIBE TABLE §",
                "INSERT INTO t SELECT 1 FROM §",
            ] {
                let sql = around.replace('§', &from);
                let began = std::time::Instant::now();
                let reply =
                    store.as_stages("/?http_max_tries=1&connect_timeout=1&max_execution_time=5", sql.as_bytes());
                slowest = slowest.max((began.elapsed(), sql.clone()));
                // DESCRIBE of a table whose columns are given asks nobody.
                assert!(reply.status >= 400 || around.starts_with("DESCRIBE"), "{sql}: {}", reply.text());
            }
        }
    }
    eprintln!("the slowest: {slowest:?}");
    assert!(listener.accept().is_err(), "nothing knocked");
    assert_eq!(store.as_stages("/", b"SELECT count() FROM t").text(), "10\n");
    store.stop().await;
}

/// On a kernel without Landlock, which a filter of system calls plays here, the engine could read what its user can: there are no
/// analysts then, unless somebody says so.
#[tokio::test(flavor = "multi_thread")]
async fn without_landlock_there_is_no_analyst_unless_told_to() {
    for (told, status, code) in [(false, 403, Some("516")), (true, 200, None)] {
        let dir = tempfile::tempdir().expect("temp dir");
        let mut child = without_landlock(dir.path(), told);
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().expect("stdout")), &mut line)
            .expect("a line");
        let url = line.trim().strip_prefix("ready ").expect("ready").parse().expect("a URL");
        let credentials =
            store::engine::Credentials::load_or_create(dir.path(), Default::default()).expect("passwords");
        let ask = |user: &str, password: &str| {
            let headers = [("X-ClickHouse-User", user), ("X-ClickHouse-Key", password)];
            exchange(&url, "POST", "/", &headers, b"SELECT 1")
        };
        assert_eq!(ask("headwater", credentials.stages.expose()).status, 200);
        let analyst = ask("analyst", credentials.analyst.expose());
        assert_eq!(
            (analyst.status, analyst.header("x-clickhouse-exception-code")),
            (status, code),
            "{}",
            analyst.text()
        );
        assert!(told || analyst.text().contains("analyst_without_landlock"), "{}", analyst.text());
        child.kill().expect("end");
        child.wait().expect("ended");
    }
}

/// A store that inherits a filter in which Landlock's first call is not implemented.
fn without_landlock(dir: &std::path::Path, told: bool) -> std::process::Child {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    let dir = dir.to_path_buf();
    let spawn = move || {
        let rules = [(libc::SYS_landlock_create_ruleset, Vec::new())].into_iter().collect();
        let arch = std::env::consts::ARCH.try_into().expect("an architecture");
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32), arch);
        let program: BpfProgram = filter.expect("a filter").try_into().expect("a program");
        seccompiler::apply_filter(&program).expect("the filter of this thread and its children");
        let mut command = std::process::Command::new(crate::harness::PROGRAM);
        command.arg(dir).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
        if told {
            command.env("HEADWATER_TEST_WITHOUT_LANDLOCK", "1");
        }
        command.spawn().expect("a store")
    };
    std::thread::spawn(spawn).join().expect("spawned")
}

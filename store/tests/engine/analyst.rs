//! What an analyst may do, and everything tried that one may not.

use crate::harness::{Running, encoded};
use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};

const FINE: &[&str] = &[
    "SELECT count() FROM v",
    "SELECT a, s FROM headwater.t ORDER BY a LIMIT 2",
    "WITH x AS (SELECT sum(a) AS total FROM t) SELECT total FROM x",
    "SELECT t.a FROM t JOIN v ON t.a = v.b WHERE t.a IN (SELECT b FROM v)",
    "SELECT row_number() OVER (ORDER BY a), formatDateTime(now(), '%F') FROM t FORMAT JSON",
    "SELECT number FROM numbers(10)",
    "SELECT name FROM system.tables",
    "SELECT name, type FROM system.columns WHERE table = 't'",
    "SELECT name FROM system.settings LIMIT 1",
    "SHOW TABLES",
    "DESCRIBE TABLE t",
    "EXISTS TABLE t",
    "SHOW CREATE TABLE v",
    "SELECT version(), currentDatabase(), currentUser()",
    "SELECT 'Function file (children 1)'",
    "SELECT {n:UInt8}",
];

const REFUSED: &[&str] = &[
    // files, servers, the process
    "SELECT file('/etc/passwd')",
    "SELECT FILE('/etc/passwd')",
    "SELECT `file`('/etc/passwd')",
    "SELECT ifNull(file('../credentials.toml'), '')",
    "SELECT arrayMap(x -> file(x), ['/etc/passwd'])",
    "SELECT s APPLY file FROM t",
    "SELECT * APPLY(x -> file(x)) FROM t",
    "SELECT a FROM t ORDER BY file('/etc/passwd')",
    "SELECT a FROM t UNION ALL SELECT file('/etc/passwd')",
    "WITH (SELECT file('/etc/passwd')) AS x SELECT x",
    "DESCRIBE (SELECT file('/etc/passwd'))",
    "DESCRIBE TABLE file('/etc/passwd')",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
    "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV', 'a String')",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM sqlite('/tmp/x.db', 't')",
    "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM eval('SELECT 1')",
    "SELECT * FROM merge('system', 'processes')",
    "SELECT * FROM (EXPLAIN SELECT 1)",
    "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT 1))",
    "SELECT getServerSetting('path')",
    "SELECT hostName()",
    "SELECT showCertificate()",
    "SELECT aiGenerate('x', 'y')",
    "SELECT catboostEvaluate('/x', 1)",
    "SELECT addressToLine(1)",
    "SELECT sleepEachRow(1) FROM numbers(100)",
    // the engine's own tables
    "SELECT * FROM system.processes",
    "SELECT * FROM `system`.`processes`",
    "SELECT * FROM system . processes",
    "SELECT 1 IN system.processes",
    "SELECT 1 IN (SELECT 1 FROM system.clusters)",
    "SELECT * FROM t JOIN system.server_settings AS s ON 1 = 1",
    "SELECT * FROM system.query_log",
    "SELECT * FROM system.disks",
    "SELECT * FROM {d:Identifier}.{t:Identifier}",
    "SHOW PROCESSLIST",
    "SHOW CLUSTERS",
    "SHOW GRANTS",
    "SHOW USERS",
    "SHOW CREATE TABLE system.processes",
    "DESCRIBE TABLE system.processes",
    "SELECT * FROM other.secret",
    "SHOW TABLES FROM other",
    "SHOW CREATE TABLE other.secret",
    // what changes something
    "INSERT INTO t VALUES (9, 'x')",
    "INSERT INTO t SELECT 9, 'x'",
    "INSERT INTO FUNCTION file('/tmp/x', 'CSV', 'a UInt8') SELECT 1",
    "CREATE TABLE mine (a UInt8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE mine (a UInt8)",
    "CREATE FUNCTION f AS (x) -> file(x)",
    "CREATE VIEW mine AS SELECT 1",
    "DROP TABLE t",
    "TRUNCATE TABLE t",
    "ALTER TABLE t DELETE WHERE 1",
    "OPTIMIZE TABLE t FINAL",
    "RENAME TABLE t TO u",
    "DELETE FROM t WHERE 1",
    "KILL QUERY WHERE 1",
    "SYSTEM SHUTDOWN",
    "SYSTEM FLUSH LOGS",
    "BACKUP TABLE t TO File('/tmp/b')",
    "ATTACH TABLE t",
    "DETACH TABLE t",
    "GRANT ALL ON *.* TO default",
    "SET readonly = 0",
    "SET max_memory_usage = 0",
    "SET ROLE stages",
    "SET ROLE DEFAULT",
    "USE system",
    "SELECT 1 INTO OUTFILE '/tmp/outfile'",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE t",
    // settings and plans
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS max_execution_time = 100000",
    "SELECT * FROM (SELECT 1 SETTINGS max_memory_usage = 0)",
    "SELECT 1 FORMAT Template SETTINGS format_template_row = '/etc/passwd'",
    "SELECT 1 SETTINGS format_template_resultset = '/etc/passwd', output_format_schema = '/tmp/x'",
    "SELECT a FROM v SETTINGS use_skip_indexes_if_final_exact_mode = 0",
    "EXPLAIN SELECT 1",
    "EXPLAIN AST SELECT file('/etc/passwd')",
    "EXPLAIN PIPELINE SELECT 1",
    "CHECK TABLE t",
];

const REFUSED_PARAMETERS: &[&str] = &[
    "readonly=0",
    "max_execution_time=100000",
    "max_execution_time=0",
    "max_memory_usage=0",
    "max_rows_to_read=0",
    "format_template_row=/etc/passwd",
    "format_schema=/etc/passwd",
    "output_format_schema=/tmp/x",
    "use_skip_indexes_if_final_exact_mode=0",
    "allow_ddl=1",
    "async_insert=1",
    "database=system",
    "database=other",
    "role=stages",
    "user_files_path=/",
    "additional_table_filters=%7B%7D",
    "log_queries=1",
];

async fn prepared() -> Running {
    let store = Running::start().await;
    for sql in [
        "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a",
        "INSERT INTO t SELECT number, toString(number) FROM numbers(1000)",
        "CREATE VIEW v AS SELECT a AS b FROM t FINAL",
        "CREATE DATABASE other",
        "CREATE TABLE other.secret (a UInt8) ENGINE = Memory",
    ] {
        let sql = sql.replace("t FINAL", "t");
        let reply = store.as_stages("/", sql.as_bytes());
        assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
    }
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_pass_and_everything_else_is_refused() {
    let store = prepared().await;
    for sql in FINE {
        let reply = store.as_analyst("/?param_n=1", sql.as_bytes());
        assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
        assert!(!reply.body.is_empty(), "{sql}");
    }
    let mut passed = Vec::new();
    for sql in REFUSED {
        let reply = store.as_analyst("/?param_d=system&param_t=processes", sql.as_bytes());
        if reply.status < 400 || reply.text().contains("root:") {
            passed.push(format!("{sql}: {} {}", reply.status, reply.text()));
        }
    }
    assert!(passed.is_empty(), "these passed:\n{}", passed.join("\n"));
    for parameter in REFUSED_PARAMETERS {
        let reply = store.as_analyst(&format!("/?{parameter}"), b"SELECT 1");
        assert!((400..500).contains(&reply.status), "{parameter}: {} {}", reply.status, reply.text());
    }
    assert_eq!(store.as_stages("/", b"SELECT count() FROM t").text(), "1000\n", "nothing has changed");
    assert!(!std::path::Path::new("/tmp/outfile").exists());
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysts_statement_has_its_limits() {
    let store = prepared().await;
    let ask = |parameters: &str, sql: &str| store.as_analyst(&format!("/?{parameters}&query={}", encoded(sql)), b"");
    // Few rows to read, many to make: it is the clock that ends it.
    let pairs =
        "SELECT count() FROM numbers(300000) AS a, numbers(300000) AS b WHERE sipHash64(a.number, b.number) = 1";
    let slow = ask("max_execution_time=1", pairs);
    assert_eq!((slow.status, slow.header("x-clickhouse-exception-code")), (408, Some("159")), "{}", slow.text());
    let large = ask("max_memory_usage=50000000", "SELECT length(groupArray(toString(number))) FROM numbers(20000000)");
    assert_eq!(large.header("x-clickhouse-exception-code"), Some("241"), "{} {}", large.status, large.text());
    let many = ask("max_rows_to_read=100", "SELECT sum(a) FROM t");
    assert_eq!(many.header("x-clickhouse-exception-code"), Some("158"), "{} {}", many.status, many.text());
    // The stages go on.
    assert_eq!(store.as_stages("/", b"SELECT count() FROM t").text(), "1000\n");
    store.stop().await;
}

/// Should the guard ever let something pass: the process itself has no way to the files.
#[tokio::test(flavor = "multi_thread")]
async fn even_the_stages_reach_no_file_outside_the_store() {
    let store = Running::start().await;
    let credentials = store.dir.path().join("store/credentials.toml");
    let landlock = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .and_then(Ruleset::create)
        .is_ok();
    for path in ["/etc/passwd", "/proc/self/environ", &credentials.display().to_string()] {
        let reply = store.as_stages("/", format!("SELECT file('{path}')").as_bytes());
        // Without Landlock the kernel cannot say no; then only analysts are kept out.
        assert!(reply.status >= 400 || !landlock, "{path}: {}", reply.text());
    }
    let reply = store
        .as_stages("/", b"SELECT * FROM url('http://127.0.0.1:9/', 'CSV', 'a String') SETTINGS http_max_tries = 1");
    assert!(reply.status >= 400, "{}", reply.text());
    store.stop().await;
}

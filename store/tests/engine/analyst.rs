//! What an analyst may do, and everything tried that one may not.

use crate::harness::{Running, encoded};

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
    "SELECT count() FROM t;;",
    "SELECT * APPLY(toString) FROM t LIMIT 1",
    "WITH (x -> x + 1) AS inc SELECT inc(a) FROM t LIMIT 1",
    "SELECT CASE a WHEN 1 THEN 'one' ELSE 'more' END, a::String, a IN (1, 2) FROM t LIMIT 1",
    "SELECT sumIf(a, a > 3), quantiles(0.5, 0.9)(a), uniqExact(s) FROM t WHERE a BETWEEN 1 AND 9 AND NOT (a = 5)",
    "SELECT a FROM t LIMIT 2 SETTINGS max_threads = 1, max_execution_time = 100000 FORMAT CSV",
    "EXPLAIN SELECT a FROM t",
    "EXPLAIN indexes = 1 SELECT a FROM t WHERE a = 1",
    "EXPLAIN ESTIMATE SELECT a FROM t",
    "EXPLAIN PIPELINE SELECT a FROM t",
    "SHOW PROCESSLIST",
    "SHOW GRANTS",
    "SHOW DATABASES FORMAT JSON",
    "SHOW TABLES NOT LIKE 'x' FORMAT JSON",
    "SHOW FULL TABLES",
    "SHOW TABLES WHERE engine = 'View'",
    "SHOW COLUMNS FROM t",
    "SHOW INDEXES FROM t",
    "SHOW FUNCTIONS LIKE 'toString'",
    "SHOW SETTINGS LIKE 'max_threads'",
    "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE table = 't'",
    "SELECT query FROM system.processes",
    "SELECT table_name FROM information_schema.tables",
    "SELECT * FROM information_schema.key_column_usage",
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
    "SELECT FQDN()",
    "SELECT displayName()",
    "SELECT polygonsUnionCartesian([[(0., 0.)]], [[(0., 0.)]])",
    "SHOW TABLES WHERE throwIf(1, 'LEAK ' || hostName())",
    "SHOW TABLES LIMIT (SELECT throwIf(1, 'LEAK ' || hostName()))",
    "SHOW COLUMNS FROM t WHERE throwIf(1, 'LEAK ' || hostName())",
    "SHOW INDEXES FROM t WHERE throwIf(1, 'LEAK ' || hostName())",
    "SHOW TABLES WHERE (SELECT count() FROM sqlite('x.sql', 't'))",
    "SELECT 1 FORMAT Protobuf",
    "SELECT CAST(unhex('00'), 'AggregateFunction(sum, UInt8)')",
    "KILL QUERY WHERE query_id = hostName()",
    "EXPLAIN INSERT INTO t SELECT 1, 'x'",
    "SELECT showCertificate()",
    "SELECT aiGenerate('x', 'y')",
    "SELECT catboostEvaluate('/x', 1)",
    "SELECT addressToLine(1)",
    "SELECT sleepEachRow(1) FROM numbers(100)",
    // the engine's own tables
    "SELECT * FROM {d:Identifier}.{t:Identifier}",
    "SELECT 1 IN system.errors",
    "SELECT 1 IN (SELECT 1 FROM system.disks)",
    "SELECT * FROM t JOIN system.server_settings AS s ON 1 = 1",
    "SELECT * FROM system.query_log",
    "SELECT * FROM system.disks",
    "SHOW USERS",
    "SELECT * FROM other.secret",
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
    "SELECT * FROM (SELECT 1 SETTINGS max_memory_usage = 0)",
    "SELECT 1 FORMAT Template SETTINGS format_template_row = '/etc/passwd'",
    "SELECT 1 SETTINGS format_template_resultset = '/etc/passwd', output_format_schema = '/tmp/x'",
    "SELECT a FROM v SETTINGS use_skip_indexes_if_final_exact_mode = 0",
    "EXPLAIN AST SELECT file('/etc/passwd')",
    "CHECK TABLE t",
];

/// Those of [`REFUSED`] that something else than the right (497) refuses: the grammar (62), the engine that has no such format
/// (73), a setting (164).
const OTHERWISE: &[(&str, &str)] = &[
    ("SELECT s APPLY file FROM t", "62"),
    ("SELECT 1; SELECT 2", "62"),
    ("SELECT 1; DROP TABLE t", "62"),
    ("SELECT 1 FORMAT Protobuf", "73"),
    ("SELECT 1 FORMAT Template SETTINGS format_template_row = '/etc/passwd'", "73"),
    ("SELECT 1 SETTINGS readonly = 0", "164"),
    ("SELECT * FROM (SELECT 1 SETTINGS max_memory_usage = 0)", "164"),
    ("SELECT 1 SETTINGS format_template_resultset = '/etc/passwd', output_format_schema = '/tmp/x'", "164"),
    ("SELECT a FROM v SETTINGS use_skip_indexes_if_final_exact_mode = 0", "164"),
];

const REFUSED_PARAMETERS: &[(&str, &str)] = &[
    ("readonly=0", "164"),
    ("format_template_row=/etc/passwd", "164"),
    ("format_schema=/etc/passwd", "164"),
    ("output_format_schema=/tmp/x", "164"),
    ("use_skip_indexes_if_final_exact_mode=0", "164"),
    ("allow_ddl=1", "164"),
    ("database=system", "497"),
    ("database=other", "497"),
    ("role=stages", "497"),
    ("user_files_path=/", "115"),
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
        let reply = store.as_analyst("/?param_d=system&param_t=errors", sql.as_bytes());
        let code = reply.header("x-clickhouse-exception-code").unwrap_or_default();
        let wanted = OTHERWISE.iter().find(|(other, _)| other == sql).map_or("497", |(_, code)| code);
        if code != wanted || reply.text().contains("root:") {
            passed.push(format!("{sql}: {wanted} expected, {} {}", reply.status, reply.text()));
        }
    }
    assert!(passed.is_empty(), "these passed, or were refused for another reason:\n{}", passed.join("\n"));
    for (parameter, wanted) in REFUSED_PARAMETERS {
        let reply = store.as_analyst(&format!("/?{parameter}"), b"SELECT 1");
        let code = reply.header("x-clickhouse-exception-code");
        assert_eq!(code, Some(*wanted), "{parameter}: {} {}", reply.status, reply.text());
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
    // A condition that would be multiplied out, and brackets that are not closed, take no time.
    let either = (0..16).map(|n| format!("(x.a = y.a OR x.a = {n} OR y.a = {n})")).collect::<Vec<_>>().join(" AND ");
    let began = std::time::Instant::now();
    let joined = store.as_analyst("/", format!("SELECT count() FROM t AS x JOIN t AS y ON {either}").as_bytes());
    let took = began.elapsed();
    let brackets = store.as_analyst("/", format!("SELECT {}", "[(".repeat(20_000)).as_bytes());
    assert!(
        began.elapsed() < std::time::Duration::from_secs(10),
        "{took:?} of {:?}: {}",
        began.elapsed(),
        joined.text()
    );
    assert_eq!(brackets.header("x-clickhouse-exception-code"), Some("306"), "{}", brackets.text());
    let large = ask("max_memory_usage=50000000", "SELECT length(groupArray(toString(number))) FROM numbers(20000000)");
    assert_eq!(large.header("x-clickhouse-exception-code"), Some("241"), "{} {}", large.status, large.text());
    let many = ask("max_rows_to_read=100", "SELECT sum(a) FROM t");
    assert_eq!(many.header("x-clickhouse-exception-code"), Some("158"), "{} {}", many.status, many.text());
    // The stages go on.
    assert_eq!(store.as_stages("/", b"SELECT count() FROM t").text(), "1000\n");
    store.stop().await;
}

/// What BI tools send to list what there is: the format says how, and changes nothing of what is listed.
#[tokio::test(flavor = "multi_thread")]
async fn lists_of_tables_and_databases_come_in_every_format() {
    let store = prepared().await;
    let ask = |sql: &str| {
        let reply = store.as_analyst("/", sql.as_bytes());
        assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
        reply
    };
    let names = |json: &str| -> Vec<String> {
        let value: serde_json::Value = serde_json::from_str(json).expect("json");
        let rows = value["data"].as_array().expect("rows").iter();
        rows.map(|row| row["name"].as_str().expect("a name").to_owned()).collect()
    };
    for list in ["SHOW TABLES", "SHOW TABLES FROM headwater", "SHOW DATABASES"] {
        let plain = ask(list).text();
        let plain: Vec<&str> = plain.lines().collect();
        assert!(!plain.is_empty() && !plain.contains(&"other"), "{list}: {plain:?}");
        assert_eq!(names(&ask(&format!("{list} FORMAT JSON")).text()), plain, "{list}");
        // A block: columns, rows, the column's name and type, then each name after its length.
        let native = ask(&format!("{list} FORMAT Native")).body;
        let mut wanted = vec![1, plain.len() as u8, 4];
        wanted.extend(b"name");
        wanted.push(6);
        wanted.extend(b"String");
        for name in &plain {
            wanted.push(name.len() as u8);
            wanted.extend(name.as_bytes());
        }
        assert_eq!(native, wanted, "{list}: {}", String::from_utf8_lossy(&native));
    }
    store.stop().await;
}

/// What tools send along with every statement, and what it must not do.
#[tokio::test(flavor = "multi_thread")]
async fn settings_are_lowered_ignored_or_refused() {
    let store = prepared().await;
    let value = |parameters: &str, name: &str| {
        store.as_analyst(&format!("/?{parameters}"), format!("SELECT getSetting('{name}')").as_bytes()).text()
    };
    assert_eq!(value("max_execution_time=0", "max_execution_time"), "60\n");
    assert_eq!(value("max_execution_time=5", "max_execution_time"), "5\n");
    assert_eq!(value("max_memory_usage=99999999999", "max_memory_usage"), "536870912\n");
    assert_eq!(value("max_rows_to_read=0", "max_rows_to_read"), "100000000\n");
    assert_eq!(value("max_result_rows=0", "max_result_rows"), "1000000\n");
    for ignored in [
        "async_insert=1",
        "wait_for_async_insert=1",
        "receive_timeout=7",
        "input_format_parallel_parsing=0",
        "log_queries=1",
    ] {
        assert_eq!(store.as_analyst(&format!("/?{ignored}"), b"SELECT 1").text(), "1\n", "{ignored}");
    }
    for table in ["headwater.v", "v"] {
        let filtered = format!("SELECT count() FROM v SETTINGS additional_table_filters = {{'{table}' : ' b = 3 '}}");
        assert_eq!(store.as_analyst("/", filtered.as_bytes()).text(), "1\n", "{table}");
    }
    let hidden =
        "SELECT count() FROM v SETTINGS additional_table_filters = {'headwater.v' : ' b = length(hostName()) '}";
    assert_eq!(store.as_analyst("/", hidden.as_bytes()).header("x-clickhouse-exception-code"), Some("497"));
    // However it is spelled, a filter is one on our tables, and what is judged is what is set.
    let secret = "CREATE FUNCTION secret_of_the_stages AS x -> x + 1";
    assert_eq!(store.as_stages("/", secret.as_bytes()).status, 200);
    for (table, condition) in [
        ("system\\x2eprocesses", "toUInt8(query)"),
        ("system\\x2edatabases", "toUInt8(concat(name, data_path))"),
        ("headwater.t", "\\'\\x27 != toString(toUInt8(file(\\x27/proc/self/maps\\x27))) AND \\x27x\\x27 != \\x27\\'"),
        ("__table1", "toUInt8(toString(tuple(*)))"),
        ("__table2", "toUInt8(concat(name, data_path)) = 0"),
        ("__table3", "toUInt8(data_path) = 0"),
        ("headwater.__table3", "toUInt8(data_path) = 0"),
        ("nothing", "1"),
        ("headwater.t", "dummy IN (SELECT * FROM format(\\'TSV\\', \\'a UInt8\\', \\'1\\'))"),
        ("headwater.t", "1 = 1) OR (length(hostName()) > 0"),
        ("headwater.t", "a IN (SELECT 1 FROM system.processes)"),
    ] {
        let value = format!("{{'{table}':'{condition}'}}");
        for (target, sql) in [
            (
                format!("/?additional_table_filters={}", encoded(&value)),
                "SELECT count() FROM t, system.processes".to_owned(),
            ),
            (
                "/".to_owned(),
                format!("SELECT count() FROM t, system.databases SETTINGS additional_table_filters = {value}"),
            ),
            (
                "/".to_owned(),
                format!(
                    "SELECT count() FROM t, system.databases SETTINGS additional_table_filters = '{}'",
                    value.replace('\\', "\\\\").replace('\'', "\\'")
                ),
            ),
        ] {
            let reply = store.as_analyst(&target, sql.as_bytes());
            let code = reply.header("x-clickhouse-exception-code").unwrap_or_default();
            assert!(matches!(code, "497" | "62" | "36"), "{target} {sql}: {} {}", reply.status, reply.text());
        }
    }
    assert!(!store.as_analyst("/", b"SHOW FUNCTIONS").text().contains("secret_of_the_stages"));
    // The judge is not asked under a client's settings.
    assert_eq!(store.as_analyst("/?offset=1", b"SELECT number FROM numbers(3)").text(), "1\n2\n");
    assert_eq!(value("max_execution_time=0.0000001", "max_execution_time"), "60\n");
    // Names that would be printed as values are refused, not misread.
    for sql in ["SELECT `true` FROM (SELECT 7 AS `true`)", "SELECT number AS `not`, `not` + 1 FROM numbers(2)"] {
        assert_eq!(store.as_analyst("/", sql.as_bytes()).header("x-clickhouse-exception-code"), Some("48"), "{sql}");
    }
    let sets = "SELECT a % 2 AS m, grouping(m), count() FROM t GROUP BY GROUPING SETS ((m), ()) ORDER BY ALL";
    assert_eq!(store.as_analyst("/", sets.as_bytes()).text().lines().count(), 3);
    let wide = store.as_analyst("/", b"SELECT a, toUInt256(a) AS w FROM t WHERE a = 7 FORMAT JSONEachRow").text();
    assert_eq!(wide, "{\"a\":\"7\",\"w\":\"7\"}\n");
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_statements_are_seen_and_ended_and_no_others() {
    let store = prepared().await;
    let long = "SELECT count() FROM numbers(300000) AS a, numbers(300000) AS b WHERE sipHash64(a.number, b.number) = 1";
    let (url, credentials) = (store.url.clone(), store.credentials.clone());
    let ask = move |user: &'static str, id: &'static str| {
        let password = if user == "analyst" { credentials.analyst.clone() } else { credentials.stages.clone() };
        let url = url.clone();
        tokio::task::spawn_blocking(move || {
            let headers = [("X-ClickHouse-User", user), ("X-ClickHouse-Key", password.expose())];
            let secret = if user == "analyst" { "" } else { " AND 'secret' != ''" };
            let long = format!("{long}{secret}");
            crate::harness::exchange(
                &url,
                "POST",
                &format!("/?query_id={id}&max_execution_time=30"),
                &headers,
                long.as_bytes(),
            )
        })
    };
    let (mine, others) = (ask("analyst", "mine"), ask("headwater", "others"));
    let seen = || {
        store
            .as_analyst(
                "/",
                b"SELECT query_id FROM system.processes WHERE query LIKE '%sipHash64(a%' AND query NOT LIKE '%LIKE%'",
            )
            .text()
    };
    let wait = |wanted: &str| {
        (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            seen() == wanted
        })
    };
    assert!(wait("mine\n"), "{}", seen());
    // A condition that fails on others' rows would tell of them.
    for probe in [
        "SELECT 1 FROM system.processes WHERE if(query LIKE '%analyst%', 1, toUInt8(query)) = 1",
        "SELECT 1 FROM system.processes WHERE toUInt8OrZero(query) = 0 AND if(user = 'analyst', 1, toUInt8(query)) = 1",
        "SELECT count() FROM system.processes PREWHERE if(query_id = 'x', toUInt8(query), 1)",
        "SELECT 1 FROM system.processes SETTINGS additional_table_filters = {'system.processes' : 'toUInt8(query) = 1'}",
        "SELECT 1 FROM system.processes SETTINGS additional_table_filters = {'headwater_system.processes' : 'toUInt8(query) = 1'}",
        "SELECT * FROM system.processes ORDER BY if(startsWith(query, 'SELECT'), 1, toUInt8(query))",
    ] {
        let said = store.as_analyst("/", probe.as_bytes()).text();
        assert!(!said.contains("secret"), "{probe}: {said}");
    }
    let shown = "SELECT DISTINCT user, initial_user FROM system.processes SETTINGS prefer_column_name_to_alias = 1";
    assert_eq!(store.as_analyst("/", shown.as_bytes()).text(), "analyst\tanalyst\n");
    let kill = |id: &str| store.as_analyst("/", format!("KILL QUERY WHERE query_id = '{id}'").as_bytes()).text();
    assert_eq!(kill("others"), "", "another user's statement");
    assert!(kill("mine").contains("mine"));
    let ended = mine.await.expect("ended");
    assert_eq!(ended.header("x-clickhouse-exception-code"), Some("394"), "{}", ended.text());
    assert!(!others.is_finished());
    let count = "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(a%' AND query NOT LIKE '%LIKE%'";
    assert_eq!(store.as_stages("/", count.as_bytes()).text(), "1\n");
    store.as_stages("/", b"KILL QUERY WHERE query LIKE '%sipHash64(a%' AND query NOT LIKE '%LIKE%' ASYNC");
    others.await.expect("ended");
    store.stop().await;
}

//! What an analyst reads, as tools and people write it. It passes; without this list a judge that refuses everything would
//! pass the other tests.

use super::{PASSES, Report, attempt};
use crate::watched::Watched;

const STATEMENTS: &[&str] = &[
    "SELECT 1",
    "SELECT 1;",
    "SELECT 1;;",
    " \n\t SELECT 1 -- done",
    "/* a */ SELECT /* b */ 1",
    "(SELECT 1)",
    "((SELECT 1)) UNION ALL (SELECT 2)",
    "SELECT 'file(''x''); DROP TABLE t'",
    "SELECT \"a\" FROM t LIMIT 1",
    "SELECT `t`.`a` AS `file` FROM `headwater`.`t` LIMIT 1",
    "SELECT $$hostName()$$",
    "SELECT count() FROM t",
    "SELECT * FROM t LIMIT 1",
    "SELECT * FROM v LIMIT 1",
    "SELECT * EXCEPT (s) FROM t LIMIT 1",
    "SELECT COLUMNS('^a') FROM t LIMIT 1",
    "FROM t SELECT a LIMIT 1",
    "SELECT DISTINCT a % 3 AS r FROM t ORDER BY r",
    "SELECT a % 3 AS r, count(), sum(a), avg(a), min(s), max(s), uniq(s), quantile(0.9)(a) FROM t GROUP BY r ORDER BY r",
    "SELECT a % 3 AS r, count() FROM t GROUP BY r WITH TOTALS ORDER BY r",
    "SELECT a % 3 AS r, a % 2 AS q, count() FROM t GROUP BY GROUPING SETS ((r), (q))",
    "SELECT a % 3 AS r, count() FROM t GROUP BY ROLLUP(r)",
    "SELECT a % 3 AS r, count() AS c FROM t GROUP BY ALL HAVING c > 1",
    "SELECT a, sum(a) OVER (PARTITION BY a % 3 ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t LIMIT 3",
    "SELECT a, row_number() OVER w FROM t WINDOW w AS (ORDER BY a) LIMIT 3",
    "SELECT a FROM t QUALIFY row_number() OVER (ORDER BY a) = 1",
    "SELECT x.a FROM t AS x INNER JOIN v AS y ON x.a = y.b WHERE y.c != '' LIMIT 1",
    "SELECT a FROM t LEFT JOIN (SELECT b AS a FROM v) AS y USING (a) LIMIT 1",
    "SELECT a FROM t WHERE a IN (SELECT b FROM v) AND s LIKE '1%' AND a BETWEEN 1 AND 9",
    "WITH x AS (SELECT a FROM t WHERE a < 3) SELECT sum(a) FROM x",
    "WITH 3 AS n, x -> x + n AS f SELECT f(a) FROM t LIMIT 1",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r",
    "SELECT a FROM t ORDER BY a DESC NULLS LAST LIMIT 2 OFFSET 1",
    "SELECT a % 3 AS r, a FROM t ORDER BY r, a LIMIT 1 BY r",
    "SELECT a FROM t ORDER BY a OFFSET 1 ROW FETCH FIRST 2 ROWS WITH TIES",
    "SELECT number AS n FROM numbers(5) ORDER BY n WITH FILL FROM 0 TO 10 STEP 1",
    "SELECT x FROM t ARRAY JOIN [1, 2] AS x LIMIT 2",
    "SELECT CASE WHEN a > 1 THEN 'x' ELSE 'y' END, if(a > 1, 1, 2), multiIf(a = 1, 1, 2) FROM t LIMIT 1",
    "SELECT CAST(a AS String), a::Float64, toUInt256(a), toDecimal128(a, 3) FROM t LIMIT 1",
    "SELECT toStartOfInterval(now(), INTERVAL 5 MINUTE), toStartOfHour(now()), now64(3), today(), formatDateTime(now(), '%F')",
    "SELECT arrayMap(x -> x + 1, [1, 2]), arrayFilter(x -> x > 1, [1, 2]), arraySum([1]), length([1]), has([1], 1)",
    "SELECT JSONExtractString('{\"a\":\"b\"}', 'a'), hex('a'), unhex('61'), lower('A'), substring('abc', 1, 2), concat('a', 'b')",
    "SELECT a FROM t INTERSECT SELECT b FROM v LIMIT 1",
    "SELECT number FROM numbers(3)",
    "SELECT * FROM generate_series(1, 3)",
    "SELECT * FROM values('a UInt8, b String', (1, 'x'), (2, 'y'))",
    "SELECT dummy FROM system.one",
    "SELECT version(), currentDatabase(), currentUser(), timezone()",
    "SELECT a FROM t SAMPLE 1 / 2 LIMIT 1",
    "SELECT a FROM t FINAL LIMIT 1 SETTINGS max_threads = 1",
    // settings with the bounds that parameters have
    "SELECT 1 SETTINGS max_execution_time = 30",
    "SELECT 1 SETTINGS max_execution_time = 30, max_threads = 1",
    "SELECT 1 FORMAT JSON SETTINGS max_threads = 1",
    "SELECT 1 SETTINGS output_format_json_quote_64bit_integers = 0 FORMAT JSON",
    "SELECT 1 SETTINGS session_timezone = 'Europe/Berlin'",
    "SELECT 1 SETTINGS join_use_nulls = 1",
    "SELECT 1 SETTINGS async_insert = 0",
    // formats
    "SELECT 1 AS x FORMAT TabSeparatedWithNamesAndTypes",
    "SELECT 1 AS x FORMAT CSVWithNames",
    "SELECT 1 AS x FORMAT JSONCompact",
    "SELECT 1 AS x FORMAT JSONEachRow",
    "SELECT 1 AS x FORMAT Native",
    "SELECT 1 AS x FORMAT RowBinaryWithNamesAndTypes",
    "SELECT 1 AS x FORMAT Parquet",
    "SELECT 1 AS x FORMAT Arrow",
    "SELECT 1 AS x FORMAT ArrowStream",
    "SELECT 1 AS x FORMAT PrettyCompact",
    "SELECT 1 AS x FORMAT Vertical",
    "SELECT 1 AS x FORMAT Markdown",
    "SELECT 1 AS x FORMAT XML",
    // what there is
    "SHOW TABLES",
    "SHOW FULL TABLES",
    "SHOW TABLES FROM headwater LIKE 't%'",
    "SHOW TABLES ILIKE 'T%' LIMIT 1",
    "SHOW TABLES NOT LIKE 'x'",
    "SHOW TABLES WHERE name = 't'",
    "SHOW TABLES FORMAT JSON",
    "SHOW DATABASES",
    "SHOW DATABASES LIKE 'head%' FORMAT TSV",
    "SHOW COLUMNS FROM t",
    "SHOW FULL COLUMNS FROM t LIKE 'a'",
    "SHOW COLUMNS FROM t FROM headwater",
    "SHOW INDEXES FROM t",
    "SHOW CREATE TABLE v",
    "SHOW CREATE TABLE headwater.t FORMAT TSVRaw",
    "SHOW FUNCTIONS LIKE 'toString'",
    "SHOW SETTINGS LIKE 'max_threads'",
    "SHOW PROCESSLIST",
    "DESCRIBE TABLE t",
    "DESCRIBE TABLE headwater.v FORMAT JSON",
    "DESC t",
    "DESCRIBE (SELECT a, s FROM t)",
    "EXISTS TABLE t",
    "EXISTS VIEW v",
    "EXISTS DATABASE headwater",
    "EXPLAIN SELECT 1",
    "EXPLAIN PLAN SELECT a FROM t WHERE a = 1",
    "EXPLAIN ESTIMATE SELECT a FROM t WHERE a = 1",
    "EXPLAIN indexes = 1 SELECT a FROM t WHERE a = 1",
    "EXPLAIN PLAN indexes = 1 SELECT a FROM t WHERE s = '1'",
    "SELECT name, engine FROM system.tables WHERE database = 'headwater'",
    "SELECT name, type FROM system.columns WHERE table = 't'",
    "SELECT name FROM system.databases",
    "SELECT name, value FROM system.settings WHERE name = 'readonly'",
    "SELECT name FROM system.functions LIMIT 3",
    "SELECT name FROM system.formats LIMIT 3",
    "SELECT query_id FROM system.processes",
    "SELECT table, sum(rows) FROM system.parts WHERE active GROUP BY table",
    "SELECT table_name FROM information_schema.tables",
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 't'",
    "SELECT schema_name FROM INFORMATION_SCHEMA.SCHEMATA",
    "KILL QUERY WHERE query_id = 'nobodys'",
];

/// With these parameters, `SELECT 1` passes: they say nothing about reading, or are the analyst's to choose.
const PARAMETERS: &[&str] = &[
    "async_insert=0",
    "wait_for_async_insert=1",
    "max_insert_block_size=1000",
    "input_format_null_as_default=1",
    "http_receive_timeout=30",
    "http_send_timeout=30",
    "connect_timeout=10",
    "receive_timeout=300",
    "send_timeout=300",
    "select_sequential_consistency=0",
    "readonly=1",
    "max_execution_time=30",
    "max_threads=2",
    "max_result_rows=1000",
    "output_format_json_quote_64bit_integers=1",
    "session_id=x&session_timeout=60",
    "default_format=JSONEachRow",
    "database=headwater",
    "query_id=mine",
    "log_comment=mine",
    "wait_end_of_query=1",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_reads_passes() {
    let watched = Watched::start().await;
    let pid = watched.store.pid();
    let mut report = Report::default();
    for sql in STATEMENTS {
        attempt(&watched, &mut report, "harmless", &[PASSES], "/", sql);
    }
    for parameters in PARAMETERS {
        attempt(&watched, &mut report, "harmless parameters", &[PASSES], &format!("/?{parameters}"), "SELECT 1");
    }
    for (parameters, sql) in [
        ("param_n=1", "SELECT {n:UInt8}"),
        ("param_t=t", "SELECT count() FROM {t:Identifier}"),
        ("param_d=headwater&param_t=t", "SELECT count() FROM {d:Identifier}.{t:Identifier}"),
        ("param_a=['x','y']", "SELECT has({a:Array(String)}, 'x')"),
    ] {
        attempt(&watched, &mut report, "harmless names", &[PASSES], &format!("/?{parameters}"), sql);
    }
    report.end(&watched, pid);
    watched.stop().await;
}

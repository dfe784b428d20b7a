//! Statements nested deeply or chained for long: refused or answered soon, by a process that lives on.

use super::Report;
use crate::watched::Watched;
use std::time::{Duration, Instant};

/// Too deep (167, 306), too large (168, 36, 307), not parsed (62), not on a list (497), or the engine's limits of time and
/// memory (159, 241, 718), of types (50, 129), of columns (161) and of settings (164, 452); data that cannot be read (117), a
/// column that is not there (47); and those that are no more than long.
const CODES: &[u32] =
    &[0, 36, 47, 50, 62, 117, 129, 158, 159, 161, 162, 164, 167, 168, 241, 306, 307, 396, 427, 452, 497, 718];

/// From sending to the answer, with tests beside it.
const SOON: Duration = Duration::from_secs(20);

fn nested(head: &str, open: &str, middle: &str, close: &str, tail: &str, times: usize) -> String {
    format!("{head}{}{middle}{}{tail}", open.repeat(times), close.repeat(times))
}

fn statements() -> Vec<(&'static str, String)> {
    let select = |open: &str, middle: &str, close: &str, times| nested("SELECT ", open, middle, close, "", times);
    let joins: String = (0..3000).map(|i| format!(" JOIN numbers(1) a{i} ON 1=1")).collect();
    let doubled: Vec<String> = (0..40)
        .map(|i| match i {
            0 => "a0 AS (SELECT 1 AS x)".to_owned(),
            i => format!("a{i} AS (SELECT * FROM a{0} UNION ALL SELECT * FROM a{0})", i - 1),
        })
        .collect();
    let copies: Vec<String> = (1..40).map(|i| format!("concat(x{0}, x{0}) AS x{i}", i - 1)).collect();
    vec![
        ("parentheses", select("(", "1", ")", 60_000)),
        ("brackets", select("[", "1", "]", 60_000)),
        ("NOT", select("NOT ", "1", "", 50_000)),
        ("minus", select("- ", "1", "", 100_000)),
        ("sum", select("1+", "1", "", 100_000)),
        ("OR", nested("SELECT 1 WHERE ", "1=1 OR ", "1=1", "", "", 30_000)),
        ("subqueries", nested("SELECT * FROM ", "(SELECT * FROM ", "numbers(1)", ")", "", 10_000)),
        ("scalar subqueries", select("(SELECT ", "1", ")", 10_000)),
        ("IN subqueries", select("1 IN (SELECT ", "1", ")", 10_000)),
        ("CASE", select("CASE WHEN 1 THEN ", "1", " END", 8_000)),
        ("UNION", nested("", "SELECT 1 UNION ALL ", "SELECT 1", "", "", 12_000)),
        ("lambda", select("arrayMap(x->", "1", ",[1])", 5_000)),
        ("functions", select("toString(", "1", ")", 20_000)),
        ("type", nested("SELECT CAST([] AS ", "Array(", "UInt8", ")", ")", 20_000)),
        ("type in a text", nested("SELECT CAST('x', '", "Array(", "UInt8", ")", "')", 30_000)),
        ("type of values", nested("SELECT * FROM values('a ", "Tuple(", "UInt8", ")", "', 1)", 30_000)),
        ("JSON", nested("SELECT JSONExtractRaw('", "[", "", "", "', 1)", 200_000)),
        ("JSON type", nested("SELECT CAST('", "{\"a\":", "1", "}", "' AS JSON)", 40_000)),
        ("casts", nested("SELECT 1", "::UInt8", "", "", "", 30_000)),
        ("points", nested("SELECT a", ".a", "", "", "", 100_000)),
        ("indices", nested("SELECT [1]", "[1]", "", "", "", 60_000)),
        ("regular expression", nested("SELECT match('a', '", "(", "a", ")", "')", 80_000)),
        ("LIKE", nested("SELECT 'a' LIKE '", "%a", "", "", "'", 100_000)),
        ("intervals", nested("SELECT now()", " + INTERVAL 1 DAY", "", "", "", 12_000)),
        ("joins", format!("SELECT 1 FROM numbers(1) a{joins}")),
        ("doubled tables", format!("WITH {} SELECT count() FROM a39", doubled.join(","))),
        ("doubled aliases", format!("WITH 'x' AS x0, {} SELECT length(x39)", copies.join(", "))),
        ("formatQuery", nested("SELECT formatQuery('SELECT ", "(", "1", ")", "')", 60_000)),
        ("readWKT", nested("SELECT readWKT('", "GEOMETRYCOLLECTION(", "", "", "')", 8_000)),
        ("HTML", nested("SELECT extractTextFromHTML('", "<a>", "", "", "')", 60_000)),
        ("comments", nested("SELECT 1 ", "/*", "", "*/", "", 60_000)),
        ("columns", select("1,", "1", "", 100_000)),
        ("settings", nested("SELECT 1 SETTINGS ", "max_threads=1,", "max_threads=1", "", "", 15_000)),
        ("statements", nested("SELECT 1", ";", "", "", "", 200_000)),
        ("long word", nested("SELECT ", "a", "", "", "", 250_000)),
        ("longer than allowed", nested("SELECT '", "a", "", "", "'", 300_000)),
        ("EXPLAIN", nested("", "EXPLAIN ", "SELECT 1", "", "", 20_000)),
        ("SHOW", nested("SHOW TABLES WHERE ", "(", "1", ")", "", 60_000)),
        ("WITH", nested("", "WITH x AS (", "SELECT 1", ") SELECT 1", "", 8_000)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_statements_end_soon_and_hurt_nobody() {
    let watched = Watched::start().await;
    let pid = watched.store.pid();
    let mut report = Report::default();
    for (name, sql) in statements() {
        let started = Instant::now();
        match watched.analyst.ask("/?max_execution_time=5", sql.as_bytes(), SOON) {
            Ok(answer) => report.judge(&watched, "nesting", CODES, sql.as_bytes(), &answer),
            Err(silence) => report.wrong(format!("{name}: {silence:?} after {:?}", started.elapsed())),
        }
        if watched.store.holder() != Some(pid) {
            report.wrong(format!("{name}: the store's process has ended"));
            break;
        }
    }
    report.end(&watched, pid);
    watched.stop().await;
}

//! Statements that may not listen to the clock or to the limit of memory: they end soon after their deadline, and the
//! process is the same afterwards.

use super::Report;
use crate::watched::Watched;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const STATEMENTS: &[&str] = &[
    "SELECT count() FROM numbers(300000) a, numbers(300000) b WHERE sipHash64(a.number, b.number) = 1",
    "SELECT sum(number) FROM numbers(1000000000000000000)",
    "SELECT number FROM numbers(100000000000) WHERE sipHash64(number) = 1",
    "SELECT count() FROM system.numbers WHERE sipHash64(number) = 1",
    "SELECT count() FROM zeros(100000000000) WHERE sipHash64(rand()) = 1",
    "SELECT max(prime) FROM primes(100000000)",
    "SELECT count() FROM generate_series(0, 100000000000)",
    "SELECT editDistance(repeat('a', 60000), repeat('b', 60000))",
    "SELECT damerauLevenshteinDistance(repeat('a', 60000), repeat('b', 60000))",
    "SELECT editDistanceUTF8(repeat('ä', 60000), repeat('ö', 60000))",
    "SELECT jaroWinklerSimilarity(repeat('ab', 500000), repeat('ba', 500000))",
    "SELECT arraySum(arrayMap(x -> arraySum(arrayMap(y -> sipHash64(x, y), range(3000))), range(3000)))",
    "SELECT count() FROM numbers(100000) WHERE arraySum(arrayMap(x -> sipHash64(x, number), range(1000))) = 1",
    "SELECT count() FROM numbers(1000) WHERE match(repeat('a', 100000), concat('(a|aa)+', 'b', toString(number)))",
    "SELECT length(replaceRegexpAll(repeat('a', 50000000), '(a)', '\\\\1b'))",
    "SELECT length(repeat(repeat('a', 1000000), 1000))",
    "SELECT length(range(500000000))",
    "SELECT length(arrayWithConstant(1000000000, 1))",
    "SELECT count() FROM numbers(1000000) WHERE SHA512(repeat('a', 10000)) = 'x'",
    "SELECT count() FROM numbers(100000000) WHERE pow(toFloat64(number), 1.1) = 3",
    "SELECT length(h3kRing(644325529233966508, 5000))",
    "SELECT length(geohashesInBox(-180, -90, 180, 90, 12))",
    "SELECT length(arrayShuffle(range(50000000)))",
    "SELECT arrayReduceInRanges('sum', arrayMap(x -> (1, 30000), range(30000)), range(30000))",
    "SELECT arraySort(x -> sipHash64(x), range(30000000))[1]",
    "SELECT arrayFold((acc, x) -> sipHash64(acc, x), range(3000000), toUInt64(0))",
    "SELECT length(arrayDistinct(arrayMap(x -> toString(x), range(5000000))))",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
    "WITH repeat('x', 1000000) AS a, concat(a,a,a,a,a,a,a,a) AS b, concat(b,b,b,b,b,b,b,b) AS c SELECT length(concat(c,c,c,c,c,c,c,c))",
    "SELECT uniqExact(number) FROM numbers(1000000000)",
    "SELECT quantileExact(number) FROM numbers(1000000000)",
    "SELECT length(groupArray(number)) FROM numbers(1000000000)",
    "SELECT number FROM numbers(1000000000) ORDER BY sipHash64(number) LIMIT 1 OFFSET 900000000",
    "SELECT length(randomPrintableASCII(500000000))",
    "SELECT polygonAreaCartesian([[arrayMap(i -> (cos(i), sin(i)), range(1000000))]])",
    "SELECT length(ngrams(randomPrintableASCII(20000000), 3))",
    "SELECT length(sparseGrams(repeat('ab', 3000000)))",
    "SELECT sequenceMatch('(?1).*(?2).*(?1).*(?2).*(?3)')(toDateTime(number), number % 2 = 0, number % 2 = 1, number = -1) FROM numbers(100000)",
    "SELECT count() FROM (SELECT number, sum(number) OVER (ORDER BY number ROWS BETWEEN 100000 PRECEDING AND CURRENT ROW) FROM numbers(300000))",
    "SELECT stochasticLinearRegression(0.01)(number, number, number) FROM numbers(100000000)",
    "SELECT count(), uniq(x.s) FROM t x CROSS JOIN t y CROSS JOIN t z",
    "SELECT number FROM numbers(10) ORDER BY number WITH FILL FROM 0 TO 1000000000000 STEP 1",
    "SHOW TABLES WHERE (SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1) = 1",
    "EXPLAIN SELECT (SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1)",
    "DESCRIBE (SELECT (SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1))",
];

/// A limit of time (159, 160, 469), rows (158, 396), memory (241, 173), sizes (128, 131, 69, 36, 190), steps (306, 160), a
/// function that is not there for analysts (497), or an answer in time. 47, 43, 46, 456, 48: what the engine lacks of them.
const CODES: &[u32] = &[0, 36, 43, 48, 69, 128, 131, 158, 159, 160, 173, 190, 241, 306, 396, 469, 497];

/// Of each statement.
const SECONDS: u64 = 2;
/// How much later it may be answered, on a machine with other tests beside.
const LATE: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn statements_end_at_their_deadline() {
    let watched = Watched::start().await;
    let pid = watched.store.pid();
    let report = Mutex::new(Report::default());
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(sql) = STATEMENTS.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let started = Instant::now();
                    let target = format!("/?max_execution_time={SECONDS}");
                    let answer = watched.analyst.ask(&target, sql.as_bytes(), Duration::from_secs(90));
                    let took = started.elapsed();
                    let mut report = report.lock().expect("no panic before");
                    match answer {
                        Ok(answer) => report.judge(&watched, "slow", CODES, sql.as_bytes(), &answer),
                        Err(silence) => report.wrong(format!("{silence:?} after {took:?}: {sql}")),
                    }
                    if took > Duration::from_secs(SECONDS) + LATE {
                        report.wrong(format!("ended after {took:?}: {sql}"));
                    }
                }
            });
        }
    });
    report.into_inner().expect("no panic before").end(&watched, pid);
    watched.stop().await;
}

//! What the official Rust client does, works: inserts and reads, compressed and plain, wide types, empty results, errors.

use crate::harness::Running;
use alloy_primitives::U256;
use clickhouse::types::UInt256;
use clickhouse::{Compression, Row};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
struct Record {
    id: u64,
    value: UInt256,
    topics: Vec<String>,
    /// `DateTime64(3)`: milliseconds.
    at: i64,
    note: Option<String>,
}

const TABLE: &str = "CREATE TABLE records (id UInt64, value UInt256, topics Array(String), at DateTime64(3, 'UTC'), \
                     note Nullable(String)) ENGINE = MergeTree ORDER BY id";

fn value(id: u64) -> U256 {
    U256::from(id) * U256::from(10).pow(U256::from(50)) + U256::from(7)
}

fn records(count: u64) -> Vec<Record> {
    (0..count)
        .map(|id| Record {
            id,
            value: UInt256::from_le_bytes(value(id).to_le_bytes()),
            topics: (0..id % 4).map(|n| format!("0x{n:064x}")).collect(),
            at: 1_700_000_000_000 + i64::try_from(id).expect("small"),
            note: (id % 3 == 0).then(|| format!("note {id}")),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_back_as_they_went_compressed_and_plain() {
    let store = Running::start().await;
    for compression in [Compression::Lz4, Compression::None] {
        let client = store.client().with_compression(compression);
        client.query("DROP TABLE IF EXISTS records").execute().await.expect("drop");
        client.query(TABLE).execute().await.expect("create");
        let rows = records(7_000);
        let mut insert = client.insert::<Record>("records").await.expect("insert");
        for row in &rows {
            insert.write(row).await.expect("row");
        }
        insert.end().await.expect("end");
        let back = client.query("SELECT ?fields FROM records ORDER BY id").fetch_all::<Record>().await.expect("rows");
        assert!(back == rows, "{compression:?}");
        let sum: String = client.query("SELECT toString(sum(value)) FROM records").fetch_one().await.expect("sum");
        let expected = rows.iter().fold(U256::ZERO, |sum, row| sum + value(row.id));
        assert_eq!(sum, expected.to_string(), "exact over the client's types");
    }
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_empty_and_failing_results_are_what_they_are() {
    let store = Running::start().await;
    for compression in [Compression::Lz4, Compression::None] {
        let client = store.client().with_compression(compression);
        // More than one chunk of the engine, with the names and types that validation wants, once.
        let numbers = client.query("SELECT number FROM numbers(200000)").fetch_all::<u64>().await.expect("long");
        assert_eq!((numbers.len(), numbers[199_999]), (200_000, 199_999));
        let none =
            client.query("SELECT number FROM numbers(10) WHERE number > 10").fetch_all::<u64>().await.expect("empty");
        assert!(none.is_empty());
        let bound = client
            .query("SELECT {a:UInt64} + length({b:String})")
            .param("a", 40)
            .param("b", "x'")
            .fetch_one::<u64>()
            .await
            .expect("parameters");
        assert_eq!(bound, 42);
        let early = client.query("SELECT * FROM nowhere").fetch_all::<u64>().await.expect_err("unknown table");
        assert!(early.to_string().contains("UNKNOWN_TABLE"), "{early}");
        let late = client
            .query("SELECT number + throwIf(number = 150000, 'half-way') FROM numbers(200000) SETTINGS max_block_size = 65409")
            .fetch_all::<u64>()
            .await
            .expect_err("fails in the middle of the stream");
        assert!(late.to_string().contains("half-way"), "{late}");
    }
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_that_is_not_ended_leaves_nothing() {
    let store = Running::start().await;
    let client = store.client();
    client.query(TABLE).execute().await.expect("create");
    let mut insert = client.insert::<Record>("records").await.expect("insert");
    for row in records(3_000) {
        insert.write(&row).await.expect("row");
    }
    drop(insert); // breaks the body off
    let bad = client.insert::<Record>("nowhere").await;
    assert!(bad.is_err() || bad.expect("handle").end().await.is_err(), "an unknown table is an error");
    let mut whole = client.insert::<Record>("records").await.expect("insert");
    for row in records(10) {
        whole.write(&row).await.expect("row");
    }
    whole.end().await.expect("end");
    let count: u64 = client.query("SELECT count() FROM records").fetch_one().await.expect("count");
    assert_eq!(count, 10);
    store.stop().await;
}

/// The official Rust client as an analyst: typed rows, parameters, and a clear refusal.
#[tokio::test(flavor = "multi_thread")]
async fn an_analyst_reads_with_the_official_client() {
    let store = Running::start().await;
    store.client().query(TABLE).execute().await.expect("create");
    let mut insert = store.client().insert::<Record>("records").await.expect("insert");
    for row in &records(500) {
        insert.write(row).await.expect("row");
    }
    insert.end().await.expect("end");
    let analyst = store.client().with_user("analyst").with_password(store.credentials.analyst.expose());
    for compression in [Compression::Lz4, Compression::None] {
        let client = analyst.clone().with_compression(compression);
        let rows =
            client.query("SELECT ?fields FROM records WHERE id < ? ORDER BY id").bind(100).fetch_all::<Record>().await;
        assert!(rows.expect("rows") == records(100), "{compression:?}");
        let named = client.query("SELECT count() FROM records WHERE id >= {n:UInt64}").param("n", 400);
        assert_eq!(named.fetch_one::<u64>().await.expect("count"), 100);
        let limited =
            client.query("SELECT id FROM records").with_setting("max_threads", "1").with_setting("limit", "3");
        assert_eq!(limited.fetch_all::<u64>().await.expect("rows").len(), 3);
        let refused = client.query("DROP TABLE records").execute().await.expect_err("refused").to_string();
        assert!(refused.contains("497"), "{refused}");
    }
    store.stop().await;
}

//! Samples of endpoints: from the topic into their tables, each once whatever is killed and read again; what the views make of them;
//! and that they go when they are old.

use std::time::Duration;

use bytes::Bytes;
use clickhouse::Row;
use runtime::log::{Log, NewRecord, TopicPartition};
use schemas::{
    Network, TimeMs,
    codec::{Codec, Record},
    records::{
        CallSample, EndpointState, Lie, Link, MinuteSample, Outcome, ProviderSample, ProviderState, SUBSCRIBED_AGAIN,
        Seen, Share, Usage,
    },
    topics,
};
use serde::Deserialize;
use store::sink::samples;

use crate::{
    harness::Running,
    setup::{RunningSink, TestLog, execute, partition_of, rows, store_in, until},
};

const MINUTE: i64 = 60_000;

fn sample(network: &str, endpoint: &str, at: i64, seen: Seen) -> ProviderSample {
    ProviderSample {
        network: network.parse().expect("a slug"),
        endpoint: endpoint.into(),
        at: TimeMs(at),
        observer: "ingest/one".into(),
        seen,
    }
}

fn call(outcome: Outcome, error: Option<&str>) -> Seen {
    Seen::Call(CallSample {
        method: "eth_blockNumber".into(),
        probe: true,
        latency_ms: 208,
        outcome,
        height: Some(77),
        error: error.map(str::to_owned),
        bytes: 45,
    })
}

fn minute(calls: u64) -> Seen {
    Seen::Minute(MinuteSample {
        method: "eth_getLogs".into(),
        calls,
        failures: 1,
        latency_p50_ms: Some(120),
        latency_p95_ms: None,
        bytes: 4_096,
    })
}

fn state(state: ProviderState, since: i64) -> EndpointState {
    EndpointState {
        url: "https://rpc.example/***".into(),
        operator: "example".into(),
        state,
        reason: None,
        since: TimeMs(since),
        every_ms: 30_000,
        score: Some(99),
        latency_part: Some(Share::of(0.978)),
        success_part: Some(Share::ALL),
        height_part: Some(Share::ALL),
        latency_ms: Some(208),
        latency_p95_ms: Some(300),
        success_rate: Some(Share::ALL),
        height: Some(77),
        lag_blocks: Some(0),
        in_use: true,
        in_use_since: Some(TimeMs(since)),
        last_error: None,
        last_error_at: None,
        last_seen_at: Some(TimeMs(since)),
        priority: 1,
        roles: String::new(),
        limit_per_1000_s: None,
        usage: Usage { hour_calls: 30, hour_bytes: 600, hour_blocks: 20, day_calls: 40, day_bytes: 700, per_day: None },
        lie: None,
        link: None,
    }
}

fn records(samples: &[ProviderSample]) -> Vec<NewRecord> {
    let codec = Codec::builtin();
    let record = |sample: &ProviderSample| NewRecord {
        to: TopicPartition { topic: topics::PROVIDERS_SAMPLES.name, partition: partition_of(&sample.network) },
        key: Some(sample.key().into()),
        value: Some(codec.encode(sample).expect("encodes")),
        headers: Vec::new(),
    };
    samples.iter().map(record).collect()
}

async fn until_read(log: &TestLog) {
    until("the sink to have read all samples", || async {
        let lag = log.log.lag(samples::GROUP, &samples::TOPICS).await.expect("lag");
        lag.iter().all(|l| l.ends.high == 0 || l.position.is_some_and(|p| p >= l.ends.high))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_has_its_row_once_whatever_is_killed_and_read_again() {
    let engine = Running::start().await;
    let store = store_in(&engine, "samples");
    let log = TestLog::open().await;
    let now = TimeMs::now().0;
    let start = now - 50 * MINUTE;
    let mut all = Vec::new();
    for n in 0..300_i64 {
        let network = if n % 2 == 0 { "eth" } else { "mantle" };
        all.push(sample(network, "a", start + n * 1_000, call(Outcome::Ok, None)));
        all.push(sample(network, "b", start + n * 1_000, call(Outcome::Wrong, Some("said 1, right is 2"))));
        if n % 30 == 0 {
            all.push(sample(network, "a", start + n / 30 * MINUTE, minute(n as u64)));
        }
        all.push(sample(network, "a", start + n * 1_000, Seen::State(Box::new(state(ProviderState::Ok, start + n)))));
    }
    // Its minute's sum counts it, and nothing else.
    let again = MinuteSample {
        method: SUBSCRIBED_AGAIN.into(),
        calls: 7,
        failures: 0,
        latency_p50_ms: Some(9_000),
        latency_p95_ms: None,
        bytes: 0,
    };
    all.push(sample("eth", "a", start + 8 * MINUTE, Seen::Minute(again)));
    // What the tables would drop at once, what lies ahead of every clock, and what is no sample of ours.
    all.push(sample("eth", "old", now - 25 * 60 * MINUTE, call(Outcome::Ok, None)));
    all.push(sample("eth", "ahead", i64::MAX, call(Outcome::Ok, None)));
    let mut written = records(&all);
    written.insert(3, NewRecord { value: Some(Bytes::from_static(b"no record of ours")), ..written[3].clone() });
    for part in written.chunks(200) {
        let sink = RunningSink::start(&store, &log);
        log.write(part.to_vec()).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        sink.kill().await;
    }
    let sink = RunningSink::start(&store, &log);
    until_read(&log).await;
    // All of it a second time, as a group that lost its position reads it.
    log.write(written).await;
    until_read(&log).await;
    for (of, wanted) in [
        ("count() FROM provider_samples", 600),
        ("countIf(NOT success) FROM provider_samples", 300),
        ("count() FROM provider_minutes", 11),
        ("sum(calls) FROM provider_minutes", (0..10).map(|n| n * 30).sum::<u64>() + 7),
        ("count() FROM endpoints", 2),
        ("count() FROM endpoint_rows FINAL", 2),
    ] {
        assert_eq!(rows::<u64>(&engine, &store, &format!("SELECT {of}")).await, [wanted], "{of}");
    }

    let error = "SELECT DISTINCT error, outcome, success FROM provider_samples WHERE endpoint = 'b'";
    let error = rows::<(Option<String>, String, u8)>(&engine, &store, error).await;
    assert_eq!(error, [(Some("said 1, right is 2".into()), "wrong".into(), 0)]);
    let network: Network = "eth".parse().expect("a slug");
    let span = (TimeMs(start + 2 * MINUTE), TimeMs(start + 6 * MINUTE));
    let minutes = store.provider_minutes(&network, "a", span, 100).await.expect("minutes");
    let told: Vec<(i64, u64, Option<u64>)> = minutes.iter().map(|m| (m.at.0, m.calls, m.latency_p95_ms)).collect();
    assert_eq!(told, [2, 3, 4, 5].map(|n| (start + n * MINUTE, 30 * n as u64, None)), "oldest first, the end left out");
    let span = (TimeMs(start + 8 * MINUTE), TimeMs(start + 9 * MINUTE));
    let then = store.endpoints_at(&network, span, 10).await.expect("endpoints");
    let then: Vec<_> = then.iter().map(|e| (e.endpoint.as_str(), e.calls, e.latency_ms)).collect();
    assert_eq!(then, [("a", 240, Some(120))], "of requests");
    let newest = store.provider_minutes(&network, "a", (TimeMs(0), TimeMs(now)), 1).await.expect("minutes");
    assert_eq!(newest.iter().map(|m| m.at.0).collect::<Vec<_>>(), [start + 9 * MINUTE]);
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[derive(Debug, PartialEq, Row, Deserialize)]
struct Endpoint {
    name: String,
    state: String,
    reason: Option<String>,
    score: Option<u32>,
    success_rate: Option<f64>,
    in_use: u8,
    calls_per_block: Option<f64>,
    observer: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_word_of_who_is_heard_counts_a_lie_first() {
    let engine = Running::start().await;
    let store = store_in(&engine, "endpoints");
    let log = TestLog::open().await;
    let now = TimeMs::now().0;
    let of = |endpoint: &str, observer: &str, age: i64, state: EndpointState| ProviderSample {
        observer: observer.into(),
        ..sample("eth", endpoint, now - age, Seen::State(Box::new(state)))
    };
    let ok = || state(ProviderState::Ok, now - MINUTE);
    let link = || Link {
        protocol: "electrum tls".into(),
        software: Some("ElectrumX 1.20.0".into()),
        sockets: Some(2),
        in_flight: Some(0),
    };
    let idle = || EndpointState { in_use: false, in_use_since: None, ..ok() };
    let lies = EndpointState {
        reason: Some("said 0x1, right is 0x2".into()),
        lie: Some(Lie { at: TimeMs(now), found_by: "causes/x".into(), said: "0x1".into(), right: "0x2".into() }),
        usage: Usage::default(),
        ..state(ProviderState::Quarantined, now - MINUTE)
    };
    log.write(records(&[
        // The newer word came first, as after a rebalance.
        of("twice", "ingest/one", 1_000, EndpointState { link: Some(link()), ..ok() }),
        of("twice", "ingest/one", 20_000, EndpointState { score: Some(1), ..ok() }),
        of("lies", "ingest/one", 1_000, ok()),
        of("lies", "causes/x", 20_000, EndpointState { in_use: false, ..lies.clone() }),
        of("used", "causes/x", 500, idle()),
        of("used", "ingest/one", 20_000, ok()),
        // Whoever held it in quarantine is gone; nobody holds it so any more.
        of("forgotten", "causes/x", 120_000, lies.clone()),
        of("forgotten", "ingest/one", 500, ok()),
        of("unheard", "ingest/one", 120_000, ok()),
        of("long gone", "ingest/one", 25 * 60 * MINUTE, ok()),
        // Taken out by its last observer, whatever came late; by one of two; and taken in again.
        of("taken out", "ingest/one", 500, ok().gone(TimeMs(now - 500))),
        of("taken out", "ingest/one", 20_000, ok()),
        of("taken out", "causes/x", 20_000, lies.clone().gone(TimeMs(now - 20_000))),
        of("taken out by one", "ingest/one", 500, ok().gone(TimeMs(now - 500))),
        of("taken out by one", "ingest/two", 20_000, ok()),
        of("taken in again", "ingest/one", 20_000, ok().gone(TimeMs(now - 20_000))),
        of("taken in again", "ingest/one", 500, ok()),
    ]))
    .await;
    let sink = RunningSink::start(&store, &log);
    until_read(&log).await;
    let sql = "SELECT name, state, reason, score, success_rate, in_use, calls_per_block, observer FROM endpoints ORDER BY name";
    let found = rows::<Endpoint>(&engine, &store, sql).await;
    let endpoint = |name: &str, observer: &str| Endpoint {
        name: name.into(),
        state: "ok".into(),
        reason: None,
        score: Some(99),
        success_rate: Some(1.0),
        in_use: 1,
        calls_per_block: Some(1.5),
        observer: observer.into(),
    };
    let unheard = found.iter().find(|e| e.name == "unheard").expect("it is shown");
    assert!(unheard.reason.as_ref().is_some_and(|r| r.contains("ingest/one since 20")), "{unheard:?}");
    let expected = [
        endpoint("forgotten", "ingest/one"),
        Endpoint {
            state: "quarantined".into(),
            reason: Some("said 0x1, right is 0x2".into()),
            in_use: 0,
            calls_per_block: None,
            ..endpoint("lies", "causes/x")
        },
        endpoint("taken in again", "ingest/one"),
        endpoint("taken out by one", "ingest/two"),
        endpoint("twice", "ingest/one"),
        Endpoint {
            state: "unknown".into(),
            reason: unheard.reason.clone(),
            score: None,
            success_rate: None,
            in_use: 0,
            ..endpoint("unheard", "ingest/one")
        },
        endpoint("used", "ingest/one"),
    ];
    assert_eq!(found, expected);
    let way = "SELECT CAST(protocol, 'Nullable(String)'), software, sockets, in_flight FROM endpoints WHERE name IN ('twice', 'unheard') ORDER BY name";
    let way = rows::<(Option<String>, Option<String>, Option<u32>, Option<u32>)>(&engine, &store, way).await;
    let told = (Some("electrum tls".to_owned()), Some("ElectrumX 1.20.0".to_owned()), Some(2), Some(0));
    assert_eq!(way, [told, (None, None, None, None)]);
    let since = "SELECT toInt64(toUnixTimestamp64Milli(since)) FROM endpoints WHERE name = 'unheard'";
    assert_eq!(rows::<i64>(&engine, &store, since).await, [now - 120_000 + 90_000], "since it fell silent");
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

/// The tables let whole partitions go by themselves, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_samples_go_by_themselves_and_new_ones_stay() {
    let engine = Running::start().await;
    let store = store_in(&engine, "aged");
    store.migrate().await.expect("tables");
    let insert = |table: &str, ages: &str| {
        format!(
            "INSERT INTO {table} (network, endpoint, at) SELECT 'eth', 'a', now64(3, 'UTC') - {ages} FROM numbers(10)"
        )
    };
    for (table, old, kept) in [
        ("provider_sample_rows", "INTERVAL 26 HOUR", "INTERVAL 20 HOUR"),
        ("provider_minute_rows", "INTERVAL 100 DAY", "INTERVAL 80 DAY"),
    ] {
        for ages in [old, kept] {
            let ages = format!("{ages} - toIntervalSecond(number)");
            execute(&engine, &store, &insert(table, &ages)).await;
        }
        let sql = format!("SELECT count() FROM {table}");
        until(&format!("old rows of {table} to go"), || async { rows::<u64>(&engine, &store, &sql).await == [10] })
            .await;
        let oldest = format!("SELECT toUInt8(min(at) > now64(3, 'UTC') - INTERVAL 81 DAY) FROM {table}");
        assert_eq!(rows::<u8>(&engine, &store, &oldest).await, [1]);
    }
    engine.stop().await;
}

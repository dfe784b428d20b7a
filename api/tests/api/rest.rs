//! REST over recorded blocks: what is promised, what filters filter, what cursors walk, what mistakes are told.

use std::collections::BTreeSet;

use api::items::{BlockItem, TransactionItem};
use schemas::{
    Status, TimeMs,
    records::{EnrichState, EnrichStatus, EnrichedTransaction, NetworkState, NetworkStatus, Payload, StageStatus},
    topics,
};
use serde_json::{Value, json};

use crate::{
    chain::{Chain, recorded},
    world::{Api, World},
};

/// A world with all recorded Ethereum blocks, a few of optimism, and a reorg in each.
async fn populated() -> (World, Api, Chain, Chain) {
    let world = World::start(&["ethereum", "optimism"]).await;
    let mut ethereum = Chain::new("ethereum", recorded("ethereum"));
    let mut optimism = Chain::new("optimism", recorded("optimism")).since(1_700_000_006);
    for n in 0..16 {
        ethereum.apply();
        if n == 9 {
            ethereum.revert();
            ethereum.revert();
        }
    }
    for _ in 0..4 {
        optimism.apply();
    }
    optimism.revert();
    world.publish_and_wait(&ethereum.events).await;
    world.publish_and_wait(&optimism.events).await;
    let api = world.api().await;
    (world, api, ethereum, optimism)
}

fn items(answer: &Value) -> Vec<Value> {
    answer["items"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

async fn list(api: &Api, target: &str) -> Vec<Value> {
    let answer = api.get(target).await;
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    items(&answer.json())
}

/// All pages of a list.
async fn walk(api: &Api, target: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let next = cursor.map_or(String::new(), |c| format!("&cursor={c}"));
        let page = api.get(&format!("{target}{next}")).await;
        assert_eq!(page.status, 200, "{target}: {}", page.text());
        let page = page.json();
        all.extend(items(&page));
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return all,
        }
    }
}

fn expected_transactions(chains: &[&Chain]) -> Vec<(EnrichedTransaction, Value)> {
    let all = chains.iter().flat_map(|c| c.transactions());
    all.map(|t| {
        let item = TransactionItem::from_record(&t).expect("readable");
        let item = serde_json::to_value(item).expect("JSON");
        (t, item)
    })
    .collect()
}

fn hashes(items: &[Value]) -> BTreeSet<String> {
    items.iter().map(|i| format!("{} {}", i["network"], i["hash"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_and_transactions_are_those_of_the_canonical_chain() {
    let (_world, api, ethereum, optimism) = populated().await;
    for chain in [&ethereum, &optimism] {
        let network = &chain.network;
        let stored = list(&api, &format!("/api/v1/blocks?network={network}&limit=1000&sort=oldest")).await;
        assert_eq!(stored.len(), chain.canonical.len());
        for (mut stored, (block, transactions)) in stored.into_iter().zip(&chain.canonical) {
            assert!(stored["stored_at"].is_string());
            stored["stored_at"] = Value::Null;
            let item = BlockItem::from_record(block).expect("applied");
            assert_eq!(stored, serde_json::to_value(&item).expect("JSON"));
            // Recomputed from the receipts, not taken from the summary.
            let receipts = transactions.iter().filter_map(|t| match &t.payload {
                Payload::Evm(p) => Some(&p.0),
                _ => None,
            });
            let failed = receipts.clone().filter(|t| t.receipt_status == Some(0)).count();
            let gas: u64 = receipts.clone().map(|t| t.receipt_gas_used).sum();
            assert_eq!(stored["failed_count"], json!(failed));
            assert_eq!(stored["gas_used"], json!(gas), "{network} {}", item.height);
            assert_eq!(stored["transaction_count"], json!(receipts.count()));
            let by_height = api.get(&format!("/api/v1/blocks/{network}/{}", item.height)).await.json();
            let by_hash = api.get(&format!("/api/v1/blocks/{network}/{}", item.hash)).await.json();
            assert_eq!(by_height, by_hash);
            assert_eq!(by_height["hash"], json!(item.hash));
            let sum =
                |part: &str| by_height["fee_parts"][part].as_str().map_or(0, |sum| sum.parse::<u128>().expect("a sum"));
            let parts: u128 = ["execution", "l1", "operator", "blob"].into_iter().map(sum).sum();
            assert_eq!(by_height["fee_total"], json!(parts.to_string()), "the parts are the whole");
            let unknown = transactions.iter().filter(|t| matches!(&t.payload, Payload::Evm(p) if p.1.fee.is_none()));
            assert_eq!(by_height["fee_unknown"], json!(unknown.count()));
        }
        let expected = expected_transactions(&[chain]);
        let stored = walk(&api, &format!("/api/v1/txs?network={network}&limit=500&sort=oldest")).await;
        let expected_items: Vec<Value> = expected.into_iter().map(|(_, v)| v).collect();
        assert_eq!(stored, expected_items);
    }
    // What a reorg removed is gone.
    let canonical = hashes(&walk(&api, "/api/v1/txs?limit=1000").await);
    let gone = ethereum.events.iter().flat_map(|(_, t)| t).filter_map(TransactionItem::from_record);
    let gone: Vec<_> = gone.filter(|t| !canonical.contains(&format!("{:?} {:?}", t.network, t.hash))).collect();
    assert!(!gone.is_empty());
    for tx in gone.iter().step_by(40) {
        assert_eq!(api.get(&format!("/api/v1/txs/ethereum/{}", tx.hash)).await.status, 404);
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_again_is_told_when_nothing_is_new() {
    let (world, api, mut ethereum, _) = populated().await;
    for target in ["/api/v1/blocks?network=ethereum&limit=5", "/api/v1/txs?network=ethereum&limit=5"] {
        let first = api.get(target).await;
        let tag = first.header("etag").expect("a tag").to_owned();
        assert!(tag.starts_with("W/\"") && first.header("cache-control") == Some("no-cache"), "{tag}");
        for same in [tag.as_str(), tag.trim_start_matches("W/"), "\"other\", *"] {
            let again = api.get_with(target, &[("If-None-Match", same)]).await;
            assert_eq!(
                (again.status, again.body.len(), again.header("etag")),
                (304, 0, Some(tag.as_str())),
                "{target}"
            );
        }
        let other = api.get_with(target, &[("If-None-Match", "W/\"0\"")]).await;
        assert_eq!((other.status, other.body), (200, first.body), "{target}");
    }
    let target = "/api/v1/blocks?network=ethereum&limit=5";
    let tag = api.get(target).await.header("etag").expect("a tag").to_owned();
    let event = ethereum.apply();
    world.publish_and_wait(&[event]).await;
    assert_eq!(api.get_with(target, &[("If-None-Match", &tag)]).await.status, 200, "a new block is news");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_filters() {
    let (_world, api, ethereum, optimism) = populated().await;
    let all = expected_transactions(&[&ethereum, &optimism]);
    let tx = |t: &EnrichedTransaction| match &t.payload {
        Payload::Evm(p) => p.clone(),
        other => panic!("{other:?}"),
    };
    let lower = |a: alloy_primitives::Address| const_hex::encode_prefixed(a);
    // A contract that is called and one that only logs; a sender; all taken from the data.
    let with_logs = all.iter().map(|(t, _)| tx(t)).find(|t| t.0.logs.iter().any(|l| Some(l.address) != t.0.to_address));
    let with_logs = with_logs.expect("an inner call with a log");
    let logging = with_logs.0.logs.iter().find(|l| Some(l.address) != with_logs.0.to_address).expect("it").address;
    let sender = with_logs.0.from_address;
    let middle = TimeMs::from_secs(1_700_000_000 + 12 * 5);
    let touches = |t: &EnrichedTransaction, a| {
        let (t, _) = *tx(t);
        t.to_address == Some(a) || t.receipt_contract_address == Some(a) || t.logs.iter().any(|l| l.address == a)
    };
    let cause = all.iter().find_map(|(t, _)| tx(t).1.failure_cause.clone()).expect("a failure with a cause");
    type Wanted<'a> = Box<dyn Fn(&EnrichedTransaction) -> bool + 'a>;
    let cases: Vec<(String, Wanted<'_>)> = vec![
        ("network=optimism".into(), Box::new(|t| t.envelope.network.as_str() == "optimism")),
        (format!("contract={}", lower(logging)), Box::new(|t| touches(t, logging))),
        (
            format!("address={}", lower(sender).to_uppercase().replacen("0X", "0x", 1)),
            Box::new(|t| touches(t, sender) || tx(t).0.from_address == sender),
        ),
        ("status=failed".into(), Box::new(|t| tx(t).1.status == Status::Failed)),
        ("status=unknown".into(), Box::new(|t| tx(t).1.status == Status::Unknown)),
        (format!("cause={cause}"), Box::new(|t| tx(t).1.failure_cause.as_ref() == Some(&cause))),
        (
            "method=0xA9059CBB".into(),
            Box::new(|t| tx(t).1.method.map(const_hex::encode_prefixed).as_deref() == Some("0xa9059cbb")),
        ),
        (
            "network=ethereum&method=transfer(address,uint256)&status=success".into(),
            Box::new(|t| {
                t.envelope.network.as_str() == "ethereum"
                    && tx(t).1.method.map(const_hex::encode_prefixed).as_deref() == Some("0xa9059cbb")
                    && tx(t).1.status == Status::Success
            }),
        ),
        (
            "network=ethereum&block=1003".into(),
            Box::new(|t| t.envelope.network.as_str() == "ethereum" && t.envelope.height == 1_003),
        ),
        (
            format!("network=ethereum&block={}", ethereum.canonical[4].0.envelope.block_hash),
            Box::new(|t| t.envelope.block_hash == ethereum.canonical[4].0.envelope.block_hash),
        ),
        (format!("from={}", middle.rfc3339()), Box::new(|t| t.envelope.block_time >= middle)),
        (format!("to={}", middle.rfc3339()), Box::new(|t| t.envelope.block_time < middle)),
        (
            format!("network=ethereum&status=success&from={}", middle.rfc3339()),
            Box::new(|t| {
                t.envelope.network.as_str() == "ethereum"
                    && tx(t).1.status == Status::Success
                    && t.envelope.block_time >= middle
            }),
        ),
    ];
    for (query, wanted) in cases {
        let expected: Vec<Value> = all.iter().filter(|(t, _)| wanted(t)).map(|(_, v)| v.clone()).collect();
        let found = walk(&api, &format!("/api/v1/txs?limit=1000&{query}")).await;
        assert!(!expected.is_empty() && expected.len() < all.len(), "{query} must tell some from others");
        assert_eq!(found.len(), expected.len(), "{query}");
        assert_eq!(hashes(&found), hashes(&expected), "{query}");
    }
    // Order.
    let newest = walk(&api, "/api/v1/txs?limit=1000").await;
    let mut oldest = walk(&api, "/api/v1/txs?limit=1000&sort=oldest").await;
    oldest.reverse();
    assert_eq!(newest, oldest);
    let times: Vec<&str> = newest.iter().filter_map(|i| i["block_time"].as_str()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b) && times.len() == all.len());
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_walk_everything_once_while_blocks_arrive() {
    let (world, api, mut ethereum, optimism) = populated().await;
    for target in ["/api/v1/txs?limit=97", "/api/v1/txs?limit=97&network=ethereum", "/api/v1/blocks?limit=3"] {
        let before: BTreeSet<String> = hashes(&walk(&api, target).await);
        let mut seen: Vec<Value> = Vec::new();
        let mut cursor = String::new();
        let mut pages = 0;
        loop {
            let page = api.get(&format!("{target}{cursor}")).await.json();
            seen.extend(items(&page));
            pages += 1;
            if pages % 3 == 1 {
                ethereum.apply();
                world.publish_and_wait(&ethereum.events[ethereum.events.len() - 1..]).await;
            }
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert!(pages > 3, "{target}: {pages} pages");
        let once = hashes(&seen);
        assert_eq!(once.len(), seen.len(), "{target}: something came twice");
        assert!(once.is_superset(&before), "{target}: {} were missed", before.difference(&once).count());
    }
    drop(optimism);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_has_its_events_and_the_parts_of_its_fee() {
    let (_world, api, ethereum, optimism) = populated().await;
    let mut with_l1 = 0;
    let mut decoded = 0;
    let mut looked = 0;
    let all = expected_transactions(&[&ethereum, &optimism]);
    let ours = all.iter().filter(|(t, _)| t.envelope.network.as_str() == "optimism").chain(all.iter().step_by(23));
    for (record, item) in ours.take(120) {
        let Payload::Evm(payload) = &record.payload else { panic!("{record:?}") };
        let (tx, found) = &**payload;
        let target = format!("/api/v1/txs/{}/{}", record.envelope.network, item["hash"].as_str().expect("hash"));
        let detail = api.get(&target).await.json();
        for (field, value) in item.as_object().expect("object") {
            assert_eq!(&detail[field], value, "{target} {field}");
        }
        let events = detail["events"].as_array().expect("events");
        assert_eq!(events.len(), tx.logs.len(), "{target}");
        for ((event, log), known) in events.iter().zip(&tx.logs).zip(&found.events) {
            assert_eq!(event["log_index"], json!(log.log_index));
            assert_eq!(event["address"], json!(const_hex::encode_prefixed(log.address)));
            let topics: Vec<String> = log.topics.iter().map(const_hex::encode_prefixed).collect();
            assert_eq!(
                (&event["topics"], &event["data"]),
                (&json!(topics), &json!(const_hex::encode_prefixed(&log.data)))
            );
            // What is decoded on reading says so.
            match known {
                Some(known) => {
                    let arguments: Value = serde_json::from_str(&known.arguments).expect("JSON");
                    assert_eq!((&event["event"], &event["arguments"]), (&json!(known.event), &arguments));
                    assert_eq!((&event["late"], &event["source"]), (&json!(false), &Value::Null));
                    decoded += 1;
                }
                None => assert_eq!(event["late"].as_bool(), Some(event["event"].is_string()), "{event}"),
            }
        }
        let text = |p: Option<alloy_primitives::U256>| json!(p.map(|p| p.to_string()));
        match &found.fee {
            Some(fee) => {
                let parts = &detail["fee_parts"];
                assert_eq!(parts["execution"], json!(fee.execution.to_string()), "{target}");
                assert_eq!(
                    (&parts["l1"], &parts["operator"], &parts["blob"]),
                    (&text(fee.l1), &text(fee.operator), &text(fee.blob))
                );
                with_l1 += usize::from(fee.l1.is_some());
            }
            None => assert_eq!(detail["fee_parts"], Value::Null),
        }
        looked += 1;
    }
    assert!(looked > 50 && decoded > 20 && with_l1 > 0, "{looked} {decoded} {with_l1}");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_name_the_parameter_and_say_what_to_write() {
    let (_world, api, ethereum, _) = populated().await;
    let cursor = api.get("/api/v1/txs?limit=1").await.json()["next"].as_str().expect("more").to_owned();
    let hash = ethereum.canonical[0].0.envelope.block_hash.to_string();
    let long = "9".repeat(5_000);
    let cases = [
        ("/api/v1/txs?limt=3".to_owned(), 400, "unknown-parameter", Some("limt")),
        ("/api/v1/txs?limit=1001".to_owned(), 400, "invalid-parameter", Some("limit")),
        ("/api/v1/txs?limit=ten".to_owned(), 400, "invalid-parameter", Some("limit")),
        ("/api/v1/txs?limit=1&limit=2".to_owned(), 400, "invalid-parameter", Some("limit")),
        ("/api/v1/txs?status=".to_owned(), 400, "invalid-parameter", Some("status")),
        ("/api/v1/txs?status=Failed".to_owned(), 400, "invalid-parameter", Some("status")),
        ("/api/v1/txs?address=0xzz".to_owned(), 400, "invalid-parameter", Some("address")),
        ("/api/v1/txs?contract=%27%20OR%201=1".to_owned(), 400, "invalid-parameter", Some("contract")),
        ("/api/v1/txs?cause=Out%20of%20gas".to_owned(), 400, "invalid-parameter", Some("cause")),
        ("/api/v1/txs?method=0x12".to_owned(), 400, "invalid-parameter", Some("method")),
        ("/api/v1/txs?method=noSuchFunctionAtAll".to_owned(), 400, "invalid-parameter", Some("method")),
        ("/api/v1/txs?method=f(nothing)".to_owned(), 400, "invalid-parameter", Some("method")),
        ("/api/v1/txs?block=1000".to_owned(), 400, "invalid-parameter", Some("block")),
        ("/api/v1/txs?network=ethereum&block=latest".to_owned(), 400, "invalid-parameter", Some("block")),
        (format!("/api/v1/txs?network=ethereum&block=0x{}", "0".repeat(64)), 404, "block-not-found", None),
        ("/api/v1/txs?from=yesterday".to_owned(), 400, "invalid-parameter", Some("from")),
        (
            "/api/v1/txs?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z".to_owned(),
            400,
            "invalid-parameter",
            Some("to"),
        ),
        ("/api/v1/txs?sort=random".to_owned(), 400, "invalid-parameter", Some("sort")),
        ("/api/v1/txs?network=No%20Slug".to_owned(), 400, "invalid-parameter", Some("network")),
        ("/api/v1/txs?network=nowhere".to_owned(), 404, "network-not-found", None),
        ("/api/v1/txs?cursor=abc".to_owned(), 400, "invalid-cursor", Some("cursor")),
        (format!("/api/v1/txs?cursor={cursor}&status=failed"), 400, "invalid-cursor", Some("cursor")),
        (format!("/api/v1/blocks?cursor={cursor}"), 400, "invalid-cursor", Some("cursor")),
        ("/api/v1/blocks?sort=up".to_owned(), 400, "invalid-parameter", Some("sort")),
        ("/api/v1/blocks/ethereum/0x12".to_owned(), 400, "invalid-parameter", Some("block")),
        ("/api/v1/blocks/ethereum/18446744073709551616".to_owned(), 400, "invalid-parameter", Some("block")),
        ("/api/v1/blocks/ethereum/18446744073709551615".to_owned(), 404, "block-not-found", None),
        ("/api/v1/blocks/nowhere/1".to_owned(), 404, "network-not-found", None),
        (format!("/api/v1/txs/ethereum/{hash}"), 404, "transaction-not-found", None),
        ("/api/v1/txs/ethereum/0x12".to_owned(), 400, "invalid-parameter", Some("hash")),
        ("/api/v1/txs/NOWHERE/0x12".to_owned(), 400, "invalid-parameter", Some("network")),
        ("/api/v1/health?verbose=1".to_owned(), 400, "unknown-parameter", Some("verbose")),
        ("/api/v1/networks/nowhere/completeness".to_owned(), 404, "network-not-found", None),
        ("/api/v1/nothing".to_owned(), 404, "not-found", None),
        ("/api/v1/ws".to_owned(), 426, "not-a-websocket", None),
        (format!("/api/v1/txs?cursor={long}"), 414, "uri-too-long", None),
    ];
    for (target, status, name, parameter) in cases {
        let answer = api.get(&target).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{target}");
        let problem = answer.json();
        assert_eq!(problem["type"], json!(format!("/problems/{name}")), "{target}");
        assert_eq!(problem["status"], json!(status), "{target}");
        assert_eq!(problem["parameter"].as_str(), parameter, "{target}");
        assert_eq!(problem["expected"].is_string(), parameter.is_some(), "{target}");
        // The type is a page of ours that explains it.
        let page = api.get(problem["type"].as_str().expect("type")).await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    }
    let posted = crate::http::exchange(api.at, "POST", "/api/v1/txs", &[], b"{}").await;
    assert_eq!((posted.status, posted.json()["type"].as_str()), (405, Some("/problems/method-not-allowed")));
    assert!(posted.header("allow").is_some_and(|a| a.contains("GET")));
    api.stop().await;
}

/// `/health`, once it is so.
async fn until_health(api: &Api, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let health = api.get("/api/v1/health").await.json();
        if is(&health) {
            return health;
        }
        assert!(tokio::time::Instant::now() < end, "{what}: {health}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_what_is_processed_and_what_is_wrong() {
    let world = World::start(&["ethereum", "silent"]).await;
    let api = world.api().await;
    let health = api.get("/api/v1/health").await.json();
    assert_eq!(health["status"], "starting");
    let names: Vec<&str> =
        health["networks"].as_array().expect("list").iter().filter_map(|n| n["network"].as_str()).collect();
    assert_eq!(names, ["ethereum", "silent"], "configured networks are there from the start");
    assert_eq!(health["networks"][0]["state"], "starting");

    let mut chain = Chain::new("ethereum", recorded("ethereum"));
    for _ in 0..5 {
        chain.apply();
    }
    world.publish_and_wait(&chain.events).await;
    let head = &chain.canonical.last().expect("blocks").0.envelope;
    let status = |stage: &str, state: &str, tip: u64, detail: Option<&str>| StageStatus {
        stage: stage.to_owned(),
        instance: "other".to_owned(),
        network: Some(chain.network.clone()),
        partition: Some(0),
        state: state.to_owned(),
        since: TimeMs::now(),
        detail: detail.map(str::to_owned),
        every_ms: 600_000,
        at: TimeMs::now(),
        family: Some(schemas::Family::Evm),
        chain_id: Some(1),
        endpoint: Some("official".into()),
        tip_height: Some(tip),
        sequence: Some(chain.sequence()),
        height: Some(head.height),
        block_time: None,
        unread_percent: None,
        networks: Vec::new(),
    };
    world.tell(&chain.network, &status("ingest", "live", head.height + 2, None)).await;
    world.tell(&chain.network, &status("enrich", "running", 0, None)).await;
    // The sink tells its part itself.
    let health = until_health(&api, "all is known", |health| {
        let n = &health["networks"][0];
        n["state"] == "live" && n["processed_sequence"] == json!(chain.sequence())
    })
    .await;
    let network = &health["networks"][0];
    assert_eq!(network["family"], "evm");
    assert_eq!(network["tip_height"], json!(head.height + 2), "{health}");
    assert_eq!(network["processed_height"], json!(head.height), "{health}");
    assert_eq!(network["lag_blocks"], json!(2));
    assert_eq!(network["last_block_at"], json!(head.block_time.rfc3339()));
    assert_eq!(network["endpoint"], "official");
    assert!(network["error"].is_null());
    assert!(network["tx_per_second"].as_f64() > Some(0.0), "{network}");
    let stages: Vec<(&str, &str)> = network["stages"]
        .as_array()
        .expect("stages")
        .iter()
        .filter_map(|s| Some((s["stage"].as_str()?, s["state"].as_str()?)))
        .collect();
    assert_eq!(stages, [("ingest", "live"), ("enrich", "running"), ("sink", "running")]);
    assert_eq!(
        (&health["status"], &health["problems"]),
        (&json!("starting"), &json!([])),
        "the other was not heard of"
    );

    let why = "the node answers 403: check the token";
    world.tell(&chain.network, &status("ingest", "stalled", head.height + 9, Some(why))).await;
    let health = until_health(&api, "stalled", |health| health["networks"][0]["state"] == "stalled").await;
    assert_eq!(health["status"], "degraded");
    assert!(health["networks"][0]["error"].as_str().is_some_and(|e| e.starts_with(why)), "{health}");
    let problem = &health["problems"][0];
    assert_eq!((&problem["stage"], &problem["network"]), (&json!("ingest"), &json!("ethereum")));
    assert!(problem["since"].is_string() && problem["cure"].is_string(), "{problem}");

    // Who has said nothing for three of his own periods is silent.
    let dying = StageStatus { every_ms: 1, ..status("enrich", "running", 0, None) };
    world.tell(&chain.network, &dying).await;
    until_health(&api, "enrich is silent", |h| h["networks"][0]["stages"][1]["state"] == "silent").await;
    api.stop().await;
}

/// While a cluster is upgraded the API may be newer than the others: what they say in the former topics is shown.
#[tokio::test(flavor = "multi_thread")]
async fn stages_of_a_former_version_are_heard() {
    let world = World::start(&["ethereum"]).await;
    world.log.ensure_topics(&topics::FORMER, crate::world::PARTITIONS).await.expect("topics");
    let network: schemas::Network = "ethereum".parse().expect("a slug");
    let watcher = NetworkStatus {
        network: network.clone(),
        family: schemas::Family::Evm,
        state: NetworkState::Live,
        tip_height: Some(77),
        endpoint: Some("official".into()),
        detail: None,
        at: TimeMs::now(),
    };
    world.tell(&network, &watcher).await;
    let api = world.api().await;
    let health = until_health(&api, "its tip", |h| h["networks"][0]["tip_height"] == json!(77)).await;
    assert_eq!(
        (&health["networks"][0]["state"], &health["networks"][0]["endpoint"]),
        (&json!("live"), &json!("official"))
    );
    let halt = EnrichStatus {
        network: network.clone(),
        state: EnrichState::Unreadable,
        detail: Some("enrich has stopped this network".into()),
        at: TimeMs::now(),
    };
    world.tell(&network, &halt).await;
    let health = until_health(&api, "its halt", |h| h["status"] == "degraded").await;
    assert_eq!(health["problems"][0]["stage"], "enrich", "{health}");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_said_and_live_frames_flow() {
    let world = World::without_sink(&["ethereum"]).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let mut config = world.store.config().clone();
    config.url = format!("http://{nobody}").parse().expect("url");
    let over = |grace| {
        let store = store::Store::connect(config.clone()).expect("a store");
        world.api_over(api::Config { store_grace: grace, ..world.config() }, store)
    };
    let young = over(std::time::Duration::from_secs(600)).await;
    assert_eq!(young.get("/api/v1/health").await.json()["status"], "starting");
    young.stop().await;
    let api = over(std::time::Duration::ZERO).await;
    for target in
        ["/api/v1/txs", "/api/v1/blocks", "/api/v1/blocks/ethereum/1", "/api/v1/networks/ethereum/completeness"]
    {
        let answer = api.get(target).await;
        assert_eq!(
            (answer.status, answer.json()["type"].as_str()),
            (503, Some("/problems/store-unavailable")),
            "{target}"
        );
        assert!(answer.header("retry-after").is_some(), "{target}");
        assert!(!answer.text().contains(&nobody.to_string()), "addresses stay inside: {}", answer.text());
    }
    let health = api.get("/api/v1/health").await;
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("degraded")));
    assert!(health.json()["store_error"].is_string());

    let mut chain = Chain::new("ethereum", recorded("ethereum"));
    let mut ws = crate::ws::Ws::connect(api.at).await;
    ws.subscribe(Some("ethereum"), &["blocks"], None).await;
    world.publish(&[chain.apply()]).await;
    let frames = ws.until(1).await;
    assert_eq!(frames[0]["data"]["hash"], json!(chain.canonical[0].0.envelope.block_hash));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completeness_counts_what_is_held() {
    let (_world, api, ethereum, _) = populated().await;
    let expected: u64 = ethereum.canonical.iter().map(|(b, _)| u64::from(b.envelope.tx_count)).sum();
    let wait = async {
        loop {
            let c = api.get("/api/v1/networks/ethereum/completeness").await.json();
            if c["ranges"].as_array().is_some_and(|r| !r.is_empty()) {
                return c;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let c = tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("in time");
    assert_eq!(c["gaps"], json!([]));
    let ranges = c["ranges"].as_array().expect("ranges");
    let sum = |field: &str| ranges.iter().filter_map(|r| r[field].as_u64()).sum::<u64>();
    assert_eq!(sum("blocks"), ethereum.canonical.len() as u64);
    assert_eq!((sum("transactions_expected"), sum("transactions_stored")), (expected, expected));
    assert!(ranges.iter().all(|r| r["complete"] == json!(true)));
    api.stop().await;
}

//! Filters of subscriptions: what comes is what REST lists with the same parameters, live and replayed, through reorgs.

use schemas::{
    Status,
    records::{EnrichedTransaction, Payload},
};
use serde_json::{Value, json};

use crate::{
    chain::{Chain, recorded},
    world::{Api, World},
    ws::{Known, Ws},
};

/// Subscribes to transactions with a filter, and returns the acknowledgement.
async fn subscribe(ws: &mut Ws, id: u64, filter: &Value, after: Option<u64>) -> Value {
    let mut operation = json!({"op": "subscribe", "id": id, "topics": ["transactions"], "network": "ethereum"});
    for (name, value) in filter.as_object().expect("an object") {
        operation[name] = value.clone();
    }
    if let Some(after) = after {
        operation["after"] = after.into();
    }
    ws.send(&operation).await;
    ws.frame().await
}

async fn listed(api: &Api, filter: &Value) -> Vec<Value> {
    let parameters = filter.as_object().expect("an object").iter();
    let query: String =
        parameters.map(|(name, value)| format!("&{name}={}", value.as_str().expect("a text"))).collect();
    let answer = api.get(&format!("/api/v1/txs?network=ethereum&limit=1000&sort=oldest{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["next"], Value::Null, "all on one page");
    answer["items"].as_array().expect("items").clone()
}

fn known(frames: &[Value]) -> Vec<Value> {
    let mut known = Known::default();
    known.take(frames, 0);
    let mut items: Vec<Value> = known.transactions.into_values().collect();
    items.sort_by_key(|item| (item["height"].as_u64(), item["index"].as_u64()));
    items
}

fn payload(record: &EnrichedTransaction) -> &(schemas::records::EvmTransaction, schemas::records::Enrichment) {
    match &record.payload {
        Payload::Evm(payload) => payload,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_with_a_filter_says_what_a_list_with_it_says() {
    let world = World::start(&["ethereum"]).await;
    let api = world.api().await;
    let mut chain = Chain::new("ethereum", recorded("ethereum"));
    for n in 0..9 {
        chain.apply();
        if n == 4 {
            chain.revert();
        }
    }
    let all = chain.transactions();
    let hex = |a: alloy_primitives::Address| const_hex::encode_prefixed(a);
    let logging = all.iter().flat_map(|t| {
        let (tx, _) = payload(t);
        tx.logs.iter().map(|log| log.address).filter(move |address| Some(*address) != tx.to_address)
    });
    let logging = logging.into_iter().next().expect("an inner call with a log");
    let sender = all.iter().map(|t| payload(t).0.from_address).next().expect("a sender");
    let failed = all.iter().find(|t| payload(t).1.failure_cause.is_some()).expect("a failure with a cause");
    let cause = payload(failed).1.failure_cause.clone().expect("a cause");
    let filters = [
        json!({"contract": hex(logging)}),
        json!({"address": hex(sender).to_uppercase().replacen("0X", "0x", 1)}),
        json!({"status": "failed"}),
        json!({"cause": cause}),
        json!({"method": "0xa9059cbb"}),
        json!({"method": "transfer(address,uint256)", "status": "success"}),
    ];
    let mut live = Vec::new();
    for (n, filter) in filters.iter().enumerate() {
        let mut ws = Ws::connect(api.at).await;
        let answer = subscribe(&mut ws, n as u64, filter, None).await;
        assert_eq!(answer["type"], "subscribed", "{answer}");
        assert!(answer["filter"].is_object(), "{answer}");
        live.push(ws);
    }
    // Two filters on one connection: what either wants, once.
    let mut both = Ws::connect(api.at).await;
    subscribe(&mut both, 1, &filters[2], None).await;
    let answer = subscribe(&mut both, 2, &filters[5], None).await;
    assert_eq!(answer["filter"], json!({"status": "success", "methods": ["0xa9059cbb"]}));

    world.publish_and_wait(&chain.events).await;
    for (filter, mut ws) in filters.iter().zip(live) {
        let wanted = listed(&api, filter).await;
        assert!(!wanted.is_empty() && wanted.len() < all.len(), "{filter} must tell some from others");
        let frames = ws.until(chain.sequence()).await;
        let positions = frames.iter().filter(|f| f["type"] == "position").count() as u64;
        assert_eq!(positions, chain.sequence(), "{filter}: every sequence has its position");
        assert_eq!(known(&frames), wanted, "{filter}, live");
        let reverts = frames.iter().filter(|f| f["type"] == "transaction" && f["op"] == "revert").count();
        assert_eq!(reverts, 1, "{filter}: what left the chain is told whatever the filter");
        // The past, another connection's, from the store.
        let mut past = Ws::connect(api.at).await;
        assert_eq!(subscribe(&mut past, 9, filter, Some(0)).await["type"], "subscribed");
        assert_eq!(known(&past.until(chain.sequence()).await), wanted, "{filter}, replayed");
    }
    let frames = both.until(chain.sequence()).await;
    let is_transfer = |t: &&EnrichedTransaction| {
        let found = &payload(t).1;
        let transfer = found.method.map(const_hex::encode_prefixed).as_deref() == Some("0xa9059cbb");
        found.status == Status::Failed || transfer && found.status == Status::Success
    };
    assert_eq!(known(&frames).len(), all.iter().filter(is_transfer).count());
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_is_none_is_refused_with_what_to_write() {
    let world = World::without_sink(&["ethereum"]).await;
    let api = world.api().await;
    let mut ws = Ws::connect(api.at).await;
    for (filter, kind, parameter) in [
        (json!({"contract": "0x12"}), "invalid-parameter", Some("contract")),
        (json!({"status": "Failed"}), "invalid-parameter", Some("status")),
        (json!({"cause": "out of gas"}), "invalid-parameter", Some("cause")),
        (json!({"method": "0x12"}), "invalid-parameter", Some("method")),
        (json!({"method": "noSuchFunctionAtAll"}), "invalid-parameter", Some("method")),
        (json!({"sender": "0x12"}), "invalid-operation", None),
    ] {
        let answer = subscribe(&mut ws, 7, &filter, None).await;
        assert_eq!((&answer["type"], &answer["id"]), (&json!("error"), &json!(7)), "{answer}");
        assert_eq!(answer["problem"]["type"], json!(format!("/problems/{kind}")), "{answer}");
        assert_eq!(answer["problem"]["parameter"].as_str(), parameter, "{answer}");
        assert_eq!(answer["problem"]["expected"].is_string(), parameter.is_some(), "{answer}");
    }
    // Nothing of it was kept.
    assert_eq!(subscribe(&mut ws, 7, &json!({"method": "transfer"}), None).await["type"], "subscribed");
    api.stop().await;
}

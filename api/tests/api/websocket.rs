//! The WebSocket live: order, positions, topics, what hostile clients get.

use api::items::{BlockItem, TransactionItem};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    chain::{Chain, recorded},
    world::{World, applies},
    ws::{Known, Ws},
};

fn of<'a>(frames: &'a [Value], kind: &str) -> Vec<&'a Value> {
    frames.iter().filter(|f| f["type"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_come_in_order_with_a_position_after_each_sequence_and_equal_rest() {
    let world = World::start(&["ethereum"]).await;
    let api = world.api().await;
    let mut chain = Chain::new("ethereum", recorded("ethereum"));
    let mut ws = Ws::connect(api.at).await;
    let answer = ws.subscribe(Some("ethereum"), &["blocks", "transactions"], None).await;
    assert_eq!(answer["topics"], json!(["blocks", "transactions"]));
    for n in 0..9 {
        let event = if n % 4 == 3 { chain.revert() } else { chain.apply() };
        world.publish(&[event]).await;
    }
    let frames = ws.until(chain.sequence()).await;
    for (sequence, (block, transactions)) in (1..).zip(&chain.events) {
        let mine: Vec<&Value> = frames.iter().filter(|f| f["sequence"] == json!(sequence)).collect();
        assert_eq!(mine.last().map(|f| &f["type"]), Some(&json!("position")));
        assert_eq!(mine[0]["type"], "block");
        assert!(mine.iter().all(|f| f["network"] == "ethereum"));
        if applies(&(block.clone(), Vec::new())) {
            assert_eq!(mine[0]["data"], serde_json::to_value(BlockItem::from_record(block)).expect("JSON"));
            let items: Vec<Value> = transactions
                .iter()
                .map(|t| serde_json::to_value(TransactionItem::from_record(t)).expect("JSON"))
                .collect();
            assert_eq!(mine[1..mine.len() - 1].iter().map(|f| f["data"].clone()).collect::<Vec<_>>(), items);
        } else {
            assert_eq!(mine.len(), 3, "block, transactions, position: {mine:?}");
            assert!(mine[..2].iter().all(|f| f["op"] == "revert"));
            assert_eq!(mine[0]["data"]["reverts_sequence"], json!(block.envelope.reverts_sequence));
            assert_eq!(mine[1]["data"]["block_hash"], json!(block.envelope.block_hash));
        }
    }
    let mut known = Known::default();
    known.take(&frames, 0);
    // The same, asked by REST once it is visible.
    world.visible(&chain.network, chain.sequence()).await;
    let stored = api.get("/api/v1/txs?limit=1000").await.json();
    for item in stored["items"].as_array().expect("items") {
        let key = (item["block_hash"].as_str().expect("hash").to_owned(), item["index"].as_u64().expect("index"));
        assert_eq!(known.transactions.get(&key), Some(item));
    }
    assert_eq!(known.blocks.len(), chain.canonical.len());
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_networks_are_told_apart() {
    let world = World::without_sink(&["ethereum", "optimism"]).await;
    let api = world.api().await;
    let mut ethereum = Chain::new("ethereum", recorded("ethereum"));
    let mut optimism = Chain::new("optimism", recorded("optimism"));
    let mut all = Ws::connect(api.at).await;
    all.subscribe(None, &["blocks"], None).await;
    let mut one = Ws::connect(api.at).await;
    one.subscribe(Some("optimism"), &["transactions"], None).await;
    world.publish(&[ethereum.apply()]).await;
    let first = all.until(1).await;
    assert_eq!((of(&first, "block").len(), of(&first, "transaction").len()), (1, 0));
    world.publish(&[optimism.apply()]).await;
    let second = all.until(1).await;
    assert!(second.iter().all(|f| f["network"] == "optimism"));
    let frames = one.until(1).await;
    assert!(of(&frames, "block").is_empty() && frames.iter().all(|f| f["network"] == "optimism"));
    assert_eq!(of(&frames, "transaction").len(), optimism.events[0].1.len());

    // One subscription ends, another begins on the same connection; ids keep them apart.
    one.send(&json!({"op": "subscribe", "id": "b", "topics": ["blocks"], "network": "ethereum"})).await;
    assert_eq!(one.frame().await["id"], "b");
    one.send(&json!({"op": "unsubscribe", "id": 1})).await;
    assert_eq!(one.frame().await, json!({"type": "unsubscribed", "id": 1}));
    world.publish(&[optimism.apply()]).await;
    world.publish(&[ethereum.apply()]).await;
    let frames = one.until(2).await;
    assert!(frames.iter().all(|f| f["network"] == "ethereum" && f["type"] != "transaction"), "{frames:?}");
    one.send(&json!({"op": "unsubscribe", "id": 9, "topics": ["blocks"], "network": "ethereum"})).await;
    assert_eq!(one.frame().await["type"], "unsubscribed");
    world.publish(&[ethereum.apply()]).await;
    assert!(one.quiet(400).await);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_frames_get_errors_and_the_connection_lives() {
    let world = World::without_sink(&["ethereum"]).await;
    let api = world.api().await;
    let mut ws = Ws::connect(api.at).await;
    let deep = format!("{}{}", "[".repeat(8_000), "]".repeat(8_000));
    let long = format!("{{\"op\":\"ping\",\"id\":\"{}\"}}", "x".repeat(20_000));
    let many: Vec<&str> = vec!["blocks"; 1_000];
    let texts = [
        (String::new(), Value::Null, "invalid-operation"),
        ("null".into(), Value::Null, "invalid-operation"),
        ("{".into(), Value::Null, "invalid-operation"),
        (deep, Value::Null, "invalid-operation"),
        (long, Value::Null, "invalid-operation"),
        (json!({"op": "dance", "id": 7}).to_string(), json!(7), "invalid-operation"),
        (json!({"op": "subscribe", "id": 7, "topics": "blocks"}).to_string(), json!(7), "invalid-operation"),
        (
            json!({"op": "subscribe", "id": 7, "topics": ["blocks"], "after": -1}).to_string(),
            json!(7),
            "invalid-operation",
        ),
        (
            json!({"op": "subscribe", "id": 7, "topics": ["blocks"], "after": 1}).to_string(),
            json!(7),
            "invalid-operation",
        ),
        (json!({"op": "subscribe", "id": 7, "topics": ["blocks"], "x": 1}).to_string(), json!(7), "invalid-operation"),
        (
            json!({"op": "subscribe", "id": 7, "topics": ["blocks"], "network": "nowhere"}).to_string(),
            json!(7),
            "network-not-found",
        ),
        (
            json!({"op": "subscribe", "id": "w", "topics": ["windows"], "method": "transfer"}).to_string(),
            json!("w"),
            "invalid-operation",
        ),
        (json!({"op": "subscribe", "id": 7, "topics": ["alerts"]}).to_string(), json!(7), "control-unavailable"),
        (
            json!({"op": "subscribe", "id": 7, "topics": ["blocks"], "alerts_after": "00"}).to_string(),
            json!(7),
            "invalid-operation",
        ),
        (json!({"op": "unsubscribe", "id": 7}).to_string(), json!(7), "subscription-conflict"),
        (
            json!({"op": "subscribe", "id": 7, "topics": ["blocks"], "network": "ethereum", "after": u64::MAX})
                .to_string(),
            json!(7),
            "position-unknown",
        ),
    ];
    // The network has a newest sequence that is known here.
    let mut other = Ws::connect(api.at).await;
    other.subscribe(None, &["blocks"], None).await;
    world.publish(&[Chain::new("ethereum", recorded("ethereum")).apply()]).await;
    other.until(1).await;
    for (text, id, name) in texts {
        ws.send_text(&text).await;
        let frame = ws.frame().await;
        let shown = &text[..text.len().min(80)];
        assert_eq!((&frame["type"], &frame["id"]), (&json!("error"), &id), "{shown}: {frame}");
        assert_eq!(frame["problem"]["type"], json!(format!("/problems/{name}")), "{shown}: {frame}");
        assert!(frame["problem"]["detail"].as_str().is_some_and(|d| d.len() < 400), "{shown}");
    }
    ws.send_message(Message::binary(vec![0u8; 100])).await;
    assert_eq!(ws.frame().await["problem"]["type"], "/problems/invalid-operation");
    ws.send(&json!({"op": "subscribe", "id": 7, "topics": many, "network": "ethereum"})).await;
    assert_eq!(ws.frame().await["type"], "subscribed", "a topic named often is one topic");
    ws.send(&json!({"op": "ping", "id": 8})).await;
    assert_eq!(ws.frame().await, json!({"type": "pong", "id": 8}));
    ws.send(&json!({"op": "ping"})).await;
    assert_eq!(ws.frame().await, json!({"type": "pong"}));
    api.stop().await;
}

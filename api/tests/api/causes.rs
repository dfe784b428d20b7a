//! Causes that come live: after their transactions, by the filters of subscriptions, without a position; and resumes are what they were.

use schemas::records::EnrichedCause;
use serde_json::{Value, json};

use crate::{
    failures::{ROUTER, cause, first, folded, fresh, hash_of, output, swap},
    world::World,
    ws::Ws,
};

async fn subscribe(ws: &mut Ws, more: Value) {
    let mut operation = json!({"op": "subscribe", "id": 1, "topics": ["transactions"], "network": "ethereum"});
    for (name, value) in more.as_object().expect("an object") {
        operation[name] = value.clone();
    }
    ws.send(&operation).await;
    assert_eq!(ws.frame().await["type"], "subscribed");
}

/// Frames until one of this type; it is the last.
async fn until(ws: &mut Ws, kind: &str) -> Vec<Value> {
    let mut frames = Vec::new();
    loop {
        frames.push(ws.frame().await);
        if frames.last().is_some_and(|frame| frame["type"] == kind) {
            return frames;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cause_comes_after_its_transaction_to_whoever_wants_it() {
    let world = World::start(&["ethereum"]).await;
    let api = world.api().await;
    let mut chain = fresh("ethereum");
    chain.apply();
    world.publish_and_wait(&chain.events).await;
    let Value::Array(mut all) = json!([{}, {"cause": "slippage", "found_by": "trace"}, {"address": format!("{ROUTER:#x}")},
        {"cause": "deadline"}, {"status": "success"}])
    else {
        panic!("a list")
    };
    let mut connections = Vec::new();
    for more in all.drain(..) {
        let mut ws = Ws::connect(api.at).await;
        subscribe(&mut ws, more).await;
        connections.push(ws);
    }
    // The cause is there before its block.
    let event = chain.apply_failing(ROUTER, &swap());
    let told = cause(first(&event), "slippage", &output("One(uint256)", 1));
    world.tell(&chain.network, &told).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    world.publish_and_wait(&[event.clone()]).await;
    let hash = hash_of(first(&event));
    for ws in &mut connections[..3] {
        let frames = until(ws, "cause").await;
        let position =
            frames.iter().position(|frame| frame["type"] == "position" && frame["sequence"] == told.sequence);
        assert!(position.is_some_and(|at| at + 1 < frames.len()), "after all of its block: {frames:?}");
        let frame = frames.last().expect("the cause");
        assert_eq!(
            (&frame["network"], &frame["sequence"], &frame["op"]),
            (&json!("ethereum"), &json!(told.sequence), &json!("apply"))
        );
        let data = &frame["data"];
        assert_eq!(
            (&data["hash"], &data["cause"], &data["found_by"]),
            (&json!(hash), &json!("slippage"), &json!("trace"))
        );
        assert_eq!((&data["block_hash"], &data["revision"]), (&json!(told.block_hash.to_string()), &json!(1)));
    }
    // To the others it is not told: what comes next is the next block.
    let next = chain.apply();
    world.publish_and_wait(&[next.clone()]).await;
    for ws in &mut connections[3..] {
        let frames = ws.until(chain.sequence()).await;
        assert!(frames.iter().all(|frame| frame["type"] != "cause"), "{frames:?}");
    }
    // A higher revision is told too.
    let better = EnrichedCause { revision: 2, cause: "deadline".to_owned(), ..told.clone() };
    world.tell(&chain.network, &better).await;
    assert_eq!(until(&mut connections[3], "cause").await.last().expect("it")["data"]["revision"], 2);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_goes_by_positions_and_is_told_of_the_last_moments_again() {
    let world = World::start(&["ethereum"]).await;
    let api = world.api().await;
    let mut chain = fresh("ethereum");
    chain.apply();
    let event = chain.apply_failing(ROUTER, &swap());
    chain.apply();
    world.publish_and_wait(&chain.events).await;
    let told = cause(first(&event), "slippage", &output("One(uint256)", 1));
    world.tell(&chain.network, &told).await;
    folded(&api, "ethereum", &hash_of(first(&event))).await;
    // From the beginning: the row has the cause, the frame comes once more, and every sequence has its position.
    let mut ws = Ws::connect(api.at).await;
    subscribe(&mut ws, json!({"after": 0, "cause": "slippage"})).await;
    let frames = until(&mut ws, "cause").await;
    let row = frames.iter().find(|frame| frame["type"] == "transaction").expect("its row");
    assert_eq!((&row["data"]["found_by"], &row["data"]["cause"]), (&json!("trace"), &json!("slippage")));
    let mut positions: Vec<u64> =
        frames.iter().filter(|f| f["type"] == "position").filter_map(|f| f["sequence"].as_u64()).collect();
    if positions.last() < Some(&chain.sequence()) {
        positions.extend(
            ws.until(chain.sequence())
                .await
                .iter()
                .filter(|f| f["type"] == "position")
                .filter_map(|f| f["sequence"].as_u64()),
        );
    }
    assert_eq!(positions, (1..=chain.sequence()).collect::<Vec<_>>());
    // A block that left the chain: a cause of it that is told to nobody who was not told of it.
    let gone = chain.apply_failing(ROUTER, &swap());
    let undone = chain.revert();
    world.publish_and_wait(&[gone.clone(), undone]).await;
    let mut ws = Ws::connect(api.at).await;
    subscribe(&mut ws, json!({"after": gone.0.envelope.sequence - 1})).await;
    ws.until(chain.sequence()).await;
    world.tell(&chain.network, &cause(first(&gone), "deadline", &[])).await;
    let next = chain.apply();
    world.publish_and_wait(&[next]).await;
    let frames = ws.until(chain.sequence()).await;
    let causes: Vec<&Value> = frames.iter().filter(|f| f["type"] == "cause").collect();
    assert!(causes.iter().all(|f| f["data"]["cause"] == "slippage"), "{causes:?}");
    api.stop().await;
}

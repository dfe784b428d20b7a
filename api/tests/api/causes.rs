//! Causes that come live: after their transactions, by the filters of subscriptions, without a position; and resumes are what they were.

use schemas::records::EnrichedCause;
use serde_json::{Value, json};

use crate::{
    failures::{ROUTER, call, cause, first, folded, fresh, hash_of, output},
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
    let event = chain.apply_failing(ROUTER, &call());
    let told = cause(first(&event), "slippage", &output("One(uint256)", 1));
    world.tell(&chain.network, &told).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    world.publish_and_wait(std::slice::from_ref(&event)).await;
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
    world.publish_and_wait(std::slice::from_ref(&next)).await;
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
    let event = chain.apply_failing(ROUTER, &call());
    chain.apply();
    world.publish_and_wait(&chain.events).await;
    let told = cause(first(&event), "slippage", &output("One(uint256)", 1));
    world.tell(&chain.network, &told).await;
    folded(&api, "ethereum", &hash_of(first(&event))).await;
    // By a process that saw the blocks come: they have no cause yet there, which is told after them.
    let mut ws = Ws::connect(api.at).await;
    subscribe(&mut ws, json!({"after": 0})).await;
    let frames = until(&mut ws, "cause").await;
    let of_it = |frame: &&Value| frame["data"]["hash"] == json!(hash_of(first(&event)));
    let told: Vec<&Value> = frames.iter().filter(of_it).map(|frame| &frame["type"]).collect();
    assert_eq!(told, ["transaction", "cause"]);
    // By one that did not, from the rows: they have it, it comes once more, and every sequence has its position.
    let other = world.api().await;
    let mut ws = Ws::connect(other.at).await;
    subscribe(&mut ws, json!({"after": 0, "cause": "slippage"})).await;
    let mut frames = until(&mut ws, "cause").await;
    let row = frames.iter().find(|frame| frame["type"] == "transaction").expect("its row");
    assert_eq!((&row["data"]["found_by"], &row["data"]["cause"]), (&json!("trace"), &json!("slippage")));
    if frames.iter().all(|frame| frame["type"] != "position" || frame["sequence"] != chain.sequence()) {
        frames.extend(ws.until(chain.sequence()).await);
    }
    let positions: Vec<u64> =
        frames.iter().filter(|f| f["type"] == "position").filter_map(|f| f["sequence"].as_u64()).collect();
    assert_eq!(positions, (1..=chain.sequence()).collect::<Vec<_>>());
    other.stop().await;
    api.stop().await;
}

//! Windows that come live: the present ones on subscribing, then each that is published; those of a contract to who has the contract.

use alloy_primitives::Address;
use control::{Caller, Networks, NewKey, Scopes};
use schemas::{TimeMs, records::Window};
use serde_json::{Value, json};

use crate::{
    chain::Event,
    door::Keyed,
    failures::{ROUTER, fresh},
    metrics::window,
    ws::Ws,
};

async fn subscribe(ws: &mut Ws, more: Value) -> Value {
    let mut operation = json!({"op": "subscribe", "id": 1, "topics": ["windows"]});
    for (name, value) in more.as_object().expect("an object") {
        operation[name] = value.clone();
    }
    ws.send(&operation).await;
    ws.frame().await
}

/// A window of a minute with these blocks.
fn minute(events: &[Event], contract: Option<Address>, n: i64) -> Window {
    let events: Vec<&Event> = events.iter().collect();
    window(&events[0].0.envelope.network, contract, (60, n * 60_000), &events, true)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_present_ones_come_first_and_a_contracts_to_who_has_it() {
    let keyed = Keyed::start(&["ethereum", "mantle"]).await;
    let (mine, other) = (keyed.key(&["*:read"]).await, keyed.second_tenant().await);
    let other = {
        let scopes = Scopes::read(&["*:read"]).expect("scopes");
        let new = NewKey { name: "test".to_owned(), scopes, networks: Networks::All, expires_in: None };
        keyed.operator.control().create_key(Caller::here(&other), new).await.expect("a key")
    };
    let write = keyed.key(&["*:*"]).await;
    let body = json!({"network": "ethereum", "address": format!("{ROUTER:#x}"), "name": "Router"}).to_string();
    let made = keyed.send("POST", "/api/v1/contracts", write.text.expose(), &[], &body).await;
    assert_eq!(made.status, 201, "{}", made.text());

    let mut chain = fresh("ethereum");
    for _ in 0..4 {
        chain.apply();
    }
    let (network, events) = (chain.network.clone(), &chain.canonical);
    // The contract's last window is from before it is known to be its owner's alone: somebody else had it.
    let told = TimeMs::now().0 / 60_000 + 4;
    for n in 1..4 {
        keyed.world.tell(&network, &minute(&events[..n], None, n as i64)).await;
        keyed.world.tell(&network, &minute(&events[..n], Some(ROUTER), n as i64)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;

    let open = async |key: &str| {
        let authorization = format!("Bearer {key}");
        Ws::connect_with(keyed.api.at, &[("authorization", &authorization)]).await.expect("opens")
    };
    let (mut all, mut own) = (open(mine.text.expose()).await, open(mine.text.expose()).await);
    let mut strange = open(other.text.expose()).await;
    let begun = subscribe(&mut all, json!({})).await;
    assert_eq!((&begun["type"], &begun["topics"]), (&json!("subscribed"), &json!(["windows"])), "{begun}");
    let start = |frame: &Value| frame["data"]["window_start"].as_str().expect("a time").to_owned();
    for n in [2, 3] {
        let frame = all.frame().await;
        assert_eq!(
            (&frame["type"], &frame["network"], &frame["op"]),
            (&json!("window"), &json!("ethereum"), &json!("apply"))
        );
        assert_eq!(start(&frame), format!("1970-01-01T00:0{n}:00.000Z"), "the open one and the one before");
        let data = &frame["data"];
        assert_eq!((&data["contract"], &data["blocks"], &data["complete"]), (&Value::Null, &json!(n), &json!(true)));
        assert_eq!(frame["sequence"], json!(n));
        let transactions: usize = events[..n].iter().map(|(_, txs)| txs.len()).sum();
        assert_eq!(data["transactions"], json!(transactions));
    }
    let to_router = json!({"network": "ethereum", "contract": format!("{ROUTER:#x}")});
    assert_eq!(subscribe(&mut own, to_router.clone()).await["type"], "subscribed");
    assert!(own.quiet(300).await, "nothing from before it was added");
    let refused = subscribe(&mut strange, to_router.clone()).await;
    assert_eq!(refused["problem"]["type"], "/problems/no-such-thing", "{refused}");
    // A window that is published again, after a reorg, comes again.
    for contract in [None, Some(ROUTER), Some(Address::repeat_byte(9))] {
        keyed.world.tell(&network, &minute(&events[1..4], contract, 1)).await;
    }
    keyed.world.tell(&network, &minute(&events[1..4], Some(ROUTER), told)).await;
    let of_told = TimeMs(told * 60_000).rfc3339();
    for (ws, contract, at) in [
        (&mut all, Value::Null, "1970-01-01T00:01:00.000Z".to_owned()),
        (&mut own, json!(format!("{ROUTER:#x}")), of_told.clone()),
    ] {
        let frame = ws.frame().await;
        assert_eq!((start(&frame), &frame["data"]["contract"]), (at, &contract));
        assert!(ws.quiet(300).await, "nothing of other contracts, nor from before");
    }
    // Who comes later is told it at once.
    let mut later = open(mine.text.expose()).await;
    assert_eq!(subscribe(&mut later, to_router.clone()).await["type"], "subscribed");
    assert_eq!(start(&later.frame().await), of_told);
    // What a stranger asks for over REST comes from rows: that somebody watches is not told.
    let target = format!(
        "/api/v1/metrics/series?network=ethereum&metric=transactions&contract={ROUTER:#x}&from=1970-01-01T00:01:00Z&to=1970-01-01T00:04:00Z"
    );
    let answer = keyed.ask("GET", &target, other.text.expose()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let points = answer.json()["points"].as_array().expect("points").clone();
    assert!(points.iter().all(|point| point["source"] != "windows" || point["value"].is_null()), "{points:?}");
    // When the contract is removed, its windows end with a word.
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let target = format!("/api/v1/contracts/{id}");
    let gone = keyed.send("DELETE", &target, write.text.expose(), &[("if-match", "*")], "").await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    let end = tokio::time::timeout(std::time::Duration::from_secs(20), own.frame()).await.expect("it is told");
    assert_eq!(
        (&end["type"], &end["id"], &end["problem"]["type"]),
        (&json!("error"), &json!(1), &json!("/problems/no-such-thing"))
    );
    keyed.world.tell(&network, &minute(&events[1..4], Some(ROUTER), told + 1)).await;
    assert!(own.quiet(1_000).await, "nothing comes any more");
    keyed.api.stop().await;
}

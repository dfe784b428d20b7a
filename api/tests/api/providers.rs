//! Endpoints: what the topic says is what REST, the WebSocket and the store's history show; without the store the state is shown all
//! the same; and what is old is unknown.

use std::time::{Duration, Instant};

use schemas::{
    Network, TimeMs,
    records::{EndpointState, MinuteSample, ProviderSample, ProviderState, Seen, Share, Usage},
};
use serde_json::{Value, json};

use crate::{
    world::{Api, World},
    ws::Ws,
};

const EVERY_MS: u64 = 700;

pub fn state(state: ProviderState) -> EndpointState {
    EndpointState {
        url: "https://rpc.example/***".into(),
        operator: "example".into(),
        state,
        reason: None,
        since: TimeMs(1_700_000_000_000),
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
        in_use_since: Some(TimeMs(1_700_000_000_000)),
        last_error: Some("HTTP 403".into()),
        last_error_at: Some(TimeMs(1_700_000_000_000)),
        last_seen_at: Some(TimeMs(1_700_000_000_000)),
        priority: 1,
        roles: "stream serve".into(),
        limit_per_1000_s: Some(25_000),
        usage: Usage {
            hour_calls: 30,
            hour_bytes: 600,
            hour_blocks: 20,
            day_calls: 40,
            day_bytes: 700,
            per_day: Some(500),
        },
        lie: None,
        link: None,
    }
}

pub fn sample(network: &Network, endpoint: &str, at: TimeMs, seen: Seen) -> ProviderSample {
    ProviderSample { network: network.clone(), endpoint: endpoint.into(), at, observer: "ingest/test".into(), seen }
}

async fn tell(world: &World, network: &Network, endpoint: &str, said: EndpointState) {
    let record = sample(network, endpoint, TimeMs::now(), Seen::State(Box::new(said)));
    world.tell(network, &record).await;
}

/// Waits until an answer is as it must become.
pub async fn until(api: &Api, target: &str, what: &str, check: impl Fn(&Value) -> bool) -> Value {
    let give_up = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = api.get(target).await;
        if answer.status == 200 {
            let value = answer.json();
            if check(&value) {
                return value;
            }
        }
        assert!(Instant::now() < give_up, "waited in vain for {what}: {} {}", answer.status, answer.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

const HEALTH: &str = "/api/v1/providers/health";

fn names(page: &Value) -> Vec<String> {
    let name =
        |item: &Value| format!("{}/{}", item["network"].as_str().expect("text"), item["name"].as_str().expect("text"));
    page["items"].as_array().expect("a list").iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn states_are_shown_live_and_a_history_by_minute() {
    let world = World::start(&["ethereum", "mantle"]).await;
    let [eth, mantle] = ["ethereum", "mantle"].map(|n| n.parse::<Network>().expect("a slug"));
    // Before the API is there: it reads a little back.
    tell(&world, &eth, "one", state(ProviderState::Slow)).await;
    tell(&world, &eth, "one", state(ProviderState::Ok)).await;
    tell(&world, &mantle, "m/1", state(ProviderState::Failing)).await;
    let minute = TimeMs(TimeMs::now().0 / 60_000 * 60_000 - 120_000);
    for (at, calls) in [(minute, 7), (TimeMs(minute.0 + 60_000), 9), (TimeMs(minute.0 - 7_200_000), 1)] {
        let sum = MinuteSample {
            method: "eth_getLogs".into(),
            calls,
            failures: 2,
            latency_p50_ms: Some(100),
            latency_p95_ms: None,
            bytes: 512,
        };
        world.tell(&eth, &sample(&eth, "one", at, Seen::Minute(sum))).await;
    }
    let api = world.api().await;
    let page = until(&api, HEALTH, "both endpoints", |page| names(page).len() == 2).await;
    assert_eq!((names(&page), &page["next"]), (vec!["ethereum/one".into(), "mantle/m/1".into()], &Value::Null));
    let one = &page["items"][0];
    assert_eq!((&one["state"], &one["score"], &one["in_use"]), (&json!("ok"), &json!(99), &json!(true)));
    assert_eq!(one["components"], json!({"latency": 0.978, "success": 1.0, "height": 1.0}));
    assert_eq!((&one["calls_per_block"], &one["roles"]), (&json!(1.5), &json!(["stream", "serve"])));
    let page = api.get(&format!("{HEALTH}?network=mantle")).await.json();
    assert_eq!(names(&page), ["mantle/m/1"]);
    let page = api.get(&format!("{HEALTH}?limit=1")).await.json();
    let next = page["next"].as_str().expect("a cursor");
    let rest = api.get(&format!("{HEALTH}?limit=1&cursor={next}")).await.json();
    assert_eq!(
        (names(&page), names(&rest), &rest["next"]),
        (vec!["ethereum/one".into()], vec!["mantle/m/1".into()], &Value::Null)
    );

    let at_calls = |detail: &Value| -> Vec<(String, u64)> {
        let rows = detail["history"].as_array().expect("a list").iter();
        rows.map(|r| (r["at"].as_str().expect("text").to_owned(), r["calls"].as_u64().expect("a number"))).collect()
    };
    let detail = until(&api, "/api/v1/providers/ethereum/one", "its history", |d| at_calls(d).len() == 2).await;
    assert_eq!(
        at_calls(&detail),
        [(minute.rfc3339(), 7), (TimeMs(minute.0 + 60_000).rfc3339(), 9)],
        "of the last hour"
    );
    assert_eq!((&detail["name"], &detail["history_error"]), (&json!("one"), &Value::Null));
    assert_eq!(detail["history"][0]["latency_p95_ms"], Value::Null);
    let from = TimeMs(minute.0 - 7_200_000).rfc3339();
    let earlier = api.get(&format!("/api/v1/providers/ethereum/one?from={from}&to={}", minute.rfc3339())).await.json();
    assert_eq!(at_calls(&earlier), [(from, 1)]);
    assert_eq!(api.get("/api/v1/providers/mantle/m%2F1").await.json()["state"], "failing");

    // The WebSocket: the present states right after the answer, then changes, of what is wanted only; no positions.
    let mut ws = Ws::connect(api.at).await;
    ws.send(&json!({"op": "subscribe", "id": 1, "topics": ["providers"], "network": "ethereum"})).await;
    let answer = ws.next().await.expect("an answer");
    assert_eq!(
        (&answer["type"], &answer["topics"], &answer["after"]),
        (&json!("subscribed"), &json!(["providers"]), &Value::Null)
    );
    let first = ws.next().await.expect("the present state");
    assert_eq!(
        (&first["type"], &first["network"], &first["op"]),
        (&json!("provider"), &json!("ethereum"), &json!("apply"))
    );
    assert_eq!(&first["data"], one, "what REST gives");
    tell(&world, &mantle, "m/1", state(ProviderState::Open)).await;
    until(&api, &format!("{HEALTH}?network=mantle"), "the other's change", |p| p["items"][0]["state"] == "open").await;
    tell(&world, &eth, "two", state(ProviderState::Quarantined)).await;
    let change = ws.next().await.expect("the change");
    assert_eq!((&change["data"]["name"], &change["data"]["state"]), (&json!("two"), &json!("quarantined")));
    // It is taken out of the configuration: who watches is told, and REST has it no more.
    tell(&world, &eth, "two", state(ProviderState::Ok).gone(TimeMs::now())).await;
    let gone = ws.next().await.expect("that it is gone");
    assert_eq!(
        (&gone["type"], &gone["op"], &gone["data"]["name"]),
        (&json!("provider"), &json!("revert"), &json!("two"))
    );
    assert_eq!(gone["data"]["state"], "quarantined", "what was last said");
    let page = api.get(&format!("{HEALTH}?network=ethereum")).await.json();
    assert_eq!(names(&page), ["ethereum/one"]);
    let mut late = Ws::connect(api.at).await;
    late.send(&json!({"op": "subscribe", "id": 1, "topics": ["providers"], "network": "ethereum"})).await;
    assert_eq!(late.next().await.expect("an answer")["type"], "subscribed");
    assert_eq!(late.next().await.expect("the present state")["data"]["name"], "one");
    late.send(&json!({"op": "ping", "id": 2})).await;
    assert_eq!(late.next().await.expect("an answer")["type"], "pong", "it never heard of the other");
    tell(&world, &eth, "two", state(ProviderState::Quarantined)).await;
    let back = ws.next().await.expect("that it is back");
    assert_eq!((&back["op"], &back["data"]["name"]), (&json!("apply"), &json!("two")));
    ws.send(&json!({"op": "unsubscribe", "id": 1})).await;
    assert_eq!(ws.next().await.expect("an answer")["type"], "unsubscribed");
    tell(&world, &eth, "two", state(ProviderState::Ok)).await;
    until(&api, "/api/v1/providers/ethereum/two", "the change", |p| p["state"] == "ok").await;
    ws.send(&json!({"op": "ping", "id": 2})).await;
    assert_eq!(ws.next().await.expect("an answer")["type"], "pong", "nothing came in between");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_states_are_shown_and_grow_old() {
    let world = World::without_sink(&["ethereum"]).await;
    let eth: Network = "ethereum".parse().expect("a slug");
    let mut config = world.store.config().clone();
    config.url = "http://127.0.0.1:1".parse().expect("a URL");
    let api = world.api_over(world.config(), store::Store::connect(config).expect("a handle")).await;
    let empty = api.get(&format!("{HEALTH}?network=ethereum")).await;
    assert_eq!((empty.status, names(&empty.json()).len()), (200, 0), "a network of which nothing was heard yet");
    tell(&world, &eth, "one", EndpointState { every_ms: EVERY_MS, ..state(ProviderState::Ok) }).await;
    until(&api, HEALTH, "the endpoint", |page| names(page).len() == 1).await;
    let detail = api.get("/api/v1/providers/ethereum/one").await.json();
    assert_eq!((&detail["state"], &detail["history"]), (&json!("ok"), &json!([])));
    assert!(detail["history_error"].as_str().is_some_and(|e| e.contains("store")), "{detail}");
    // Nobody says anything any more.
    let mut ws = Ws::connect(api.at).await;
    ws.send(&json!({"op": "subscribe", "id": 1, "topics": ["providers"]})).await;
    assert_eq!(ws.next().await.expect("an answer")["type"], "subscribed");
    let mut told = ws.next().await.expect("the present state");
    while told["data"]["state"] != "unknown" {
        told = ws.next().await.expect("that nothing is known any more");
    }
    let now = until(&api, HEALTH, "the same by REST", |page| page["items"][0]["state"] == "unknown").await;
    let item = &now["items"][0];
    assert_eq!(item, &told["data"]);
    assert_eq!((&item["score"], &item["in_use"], &item["height"]), (&Value::Null, &json!(false), &json!(77)));
    assert!(item["reason"].as_str().is_some_and(|r| r.contains("ingest/test since")), "{item}");
    api.stop().await;
}

//! Keys that are narrowed to networks, and what goes on behind a request.

use std::time::Duration;

use serde_json::json;

use super::Keyed;
use crate::ws::{Closed, Ws};

#[tokio::test(flavor = "multi_thread")]
async fn another_network_is_not_there_for_a_narrowed_key() {
    let keyed = Keyed::start(&["ethereum", "mantle"]).await;
    let key = keyed.key_of(&["*:read"], &["ethereum"], None).await;
    let both = keyed.key_of(&["*:read"], &["ethereum", "mantle"], None).await;
    for path in [
        "/api/v1/txs?network=",
        "/api/v1/blocks?network=",
        "/api/v1/providers/health?network=",
        "/api/v1/failures?network=",
        "/api/v1/search?q=x&network=",
        "/api/v1/metrics/overview?network=",
        "/api/v1/metrics/series?metric=tps&network=",
        "/api/v1/metrics/causes?network=",
        "/api/v1/diagnosis?network=",
        "/api/v1/networks/",
    ] {
        let tail = if path.ends_with('/') { "/completeness" } else { "" };
        let ask = async |network: &str| keyed.ask("GET", &format!("{path}{network}{tail}"), key.text.expose()).await;
        let (own, other, nowhere) = (ask("ethereum").await, ask("mantle").await, ask("nowhere").await);
        assert_eq!((own.status, other.status, nowhere.status), (200, 404, 404), "{path}: {}", own.text());
        assert_eq!(other.text().replace("mantle", "nowhere"), nowhere.text(), "one answer");
    }
    let all = keyed.ask("GET", "/api/v1/txs", both.text.expose()).await;
    assert_eq!(all.status, 400);
    assert!(all.text().contains("ethereum, mantle"), "{}", all.text());
    assert_eq!(keyed.ask("GET", "/api/v1/txs", key.text.expose()).await.status, 200, "of its one network");
    for path in ["/api/v1/failures", "/api/v1/search?q=x", "/api/v1/metrics/overview"] {
        for key in [&key, &both] {
            assert_eq!(keyed.ask("GET", path, key.text.expose()).await.status, 200, "{path}: of all that it reaches");
        }
    }
    let listed = keyed.ask("GET", "/api/v1/metrics/overview?window=5m", key.text.expose()).await.json();
    let networks: Vec<&str> =
        listed["items"].as_array().expect("a list").iter().filter_map(|i| i["network"].as_str()).collect();
    assert_eq!(networks, ["ethereum"]);
    // The WebSocket, likewise.
    let authorization = format!("Bearer {}", key.text.expose());
    let mut ws = Ws::connect_with(keyed.api.at, &[("authorization", &authorization)]).await.expect("opens");
    ws.send(&json!({"op": "subscribe", "id": 1, "topics": ["blocks"], "network": "mantle"})).await;
    assert_eq!(ws.frame().await["problem"]["type"], "/problems/network-not-found");
    ws.send(&json!({"op": "subscribe", "id": 1, "topics": ["blocks"]})).await;
    let begun = ws.frame().await;
    assert_eq!((&begun["type"], &begun["network"]), (&json!("subscribed"), &json!("ethereum")), "{begun}");
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_ends_with_its_key() {
    let keyed = Keyed::start(&[]).await;
    let (key, other) = (keyed.key(&["chains:read"]).await, keyed.key(&["chains:read"]).await);
    let open = async |key: &str| {
        let authorization = format!("Bearer {key}");
        Ws::connect_with(keyed.api.at, &[("authorization", &authorization)]).await.expect("opens")
    };
    let (mut ws, mut stays) = (open(key.text.expose()).await, open(other.text.expose()).await);
    keyed.revoke(&key).await;
    let closed = tokio::time::timeout(Duration::from_secs(8), ws.next()).await.expect("it ends");
    assert!(matches!(closed, Err(Closed::With(1008))), "{closed:?}");
    stays.send(&json!({"op": "ping"})).await;
    assert_eq!(stays.frame().await["type"], "pong");
    keyed.api.stop().await;
}

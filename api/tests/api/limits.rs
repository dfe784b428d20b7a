//! What is bounded: connections, subscriptions, requests, origins, slow readers.

use std::time::Duration;

use api::WsConfig;
use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use crate::{
    http, slow,
    world::World,
    ws::{Closed, Ws},
};

fn status(error: Error) -> u16 {
    match error {
        Error::Http(answer) => answer.status().as_u16(),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_subscriptions_are_bounded_and_come_back() {
    let world = World::without_sink(&["ethereum"]).await;
    let mut config = world.config();
    config.ws = WsConfig { connections: 2, subscriptions: 2, ..WsConfig::default() };
    let api = world.api_with(config).await;
    let mut first = Ws::connect(api.at).await;
    let second = Ws::connect(api.at).await;
    let refused = Ws::connect_with(api.at, &[]).await.err().map(status);
    assert_eq!(refused, Some(503));
    drop(second);
    let again = async {
        while Ws::connect_with(api.at, &[]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), again).await.expect("the place of a closed connection is free again");

    for id in 1..=2 {
        first.send(&json!({"op": "subscribe", "id": id, "topics": ["blocks"]})).await;
        assert_eq!(first.frame().await["type"], "subscribed");
    }
    first.send(&json!({"op": "subscribe", "id": 3, "topics": ["blocks"]})).await;
    assert_eq!(first.frame().await["problem"]["type"], "/problems/too-many-subscriptions");
    first.send(&json!({"op": "unsubscribe", "id": 1})).await;
    assert_eq!(first.frame().await["type"], "unsubscribed");
    first.send(&json!({"op": "subscribe", "id": 3, "topics": ["blocks"]})).await;
    assert_eq!(first.frame().await["type"], "subscribed");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_pages_may_not_connect() {
    let world = World::without_sink(&[]).await;
    let mut config = world.config();
    config.allowed_origins = vec!["https://ops.example".into()];
    let api = world.api_with(config).await;
    let own = format!("http://{}", api.at);
    for good in [own.as_str(), "https://ops.example"] {
        assert!(Ws::connect_with(api.at, &[("origin", good)]).await.is_ok(), "{good}");
    }
    for foreign in ["http://evil.example", "null", "https://ops.example.evil"] {
        assert_eq!(Ws::connect_with(api.at, &[("origin", foreign)]).await.err().map(status), Some(403), "{foreign}");
    }
    api.stop().await;
}

/// A page whose name points to this machine sends that name as `Host`, and its own origin, which then is the same.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_names_are_refused_on_every_path() {
    let world = World::without_sink(&[]).await;
    let mut config = world.config();
    config.hosts = vec!["Headwater.Internal".into()];
    let api = world.api_with(config).await;
    for target in ["/", "/docs", "/api/v1/health", "/api/v1/openapi.json", "/registry/subjects", "/nothing"] {
        let refused = api.get_with(target, &[("Host", "evil.example")]).await;
        assert_eq!(
            (refused.status, refused.json()["type"].as_str()),
            (421, Some("/problems/foreign-host")),
            "{target}"
        );
        assert!(refused.text().contains("[api] hosts"), "{}", refused.text());
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    }
    for own in ["localhost", "127.0.0.1:1", "headwater.internal:8080"] {
        assert_eq!(api.get_with("/api/v1/openapi.json", &[("Host", own)]).await.status, 200, "{own}");
    }
    let evil = [("host", "evil.example"), ("origin", "http://evil.example")];
    assert_eq!(Ws::connect_with(api.at, &evil).await.err().map(status), Some(421));
    let own = [("host", "headwater.internal:8080"), ("origin", "http://headwater.internal:8080")];
    assert!(Ws::connect_with(api.at, &own).await.is_ok());
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_allowed_sites_may_read_and_no_others() {
    let world = World::without_sink(&[]).await;
    let mut config = world.config();
    config.allowed_origins = vec!["https://ops.example".into()];
    let api = world.api_with(config).await;
    let read = async |target: &str, origin: &str| api.get_with(target, &[("Origin", origin)]).await;
    let good = read("/api/v1/openapi.json", "https://ops.example").await;
    assert_eq!((good.status, good.header("access-control-allow-origin")), (200, Some("https://ops.example")));
    let exposed = good.header("access-control-expose-headers").expect("headers").to_lowercase();
    assert!(exposed.contains("etag") && exposed.contains("retry-after"), "{exposed}");
    assert!(!good.has("access-control-allow-credentials"));
    assert!(good.list("vary").contains("origin"), "caches keep the answers apart: {}", good.list("vary"));
    // A refusal is read too.
    let refused = read("/api/v1/txs?limit=0", "https://ops.example").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (400, Some("https://ops.example")));
    let long = format!("/api/v1/txs?x={}", "x".repeat(schemas::limits::HTTP_URI_BYTES));
    let refused = read(&long, "https://ops.example").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (414, Some("https://ops.example")));
    for foreign in ["http://evil.example", "null", "https://ops.example.evil", "http://ops.example"] {
        assert!(!read("/api/v1/health", foreign).await.has("access-control-allow-origin"), "{foreign}");
    }
    let asked = |origin| {
        [
            ("Origin", origin),
            ("Access-Control-Request-Method", "GET"),
            ("Access-Control-Request-Headers", "if-none-match"),
        ]
    };
    let preflight = async |origin| http::exchange(api.at, "OPTIONS", "/api/v1/txs", &asked(origin), b"").await;
    let good = preflight("https://ops.example").await;
    assert_eq!((good.status, good.header("access-control-allow-origin")), (200, Some("https://ops.example")));
    assert!(
        good.header("access-control-allow-methods")
            .is_some_and(|m| m.contains("GET") && m.contains("DELETE") && !m.contains("PUT"))
    );
    assert!(good.header("access-control-allow-headers").is_some_and(|h| h.contains("if-none-match")));
    assert!(good.has("access-control-max-age"));
    assert!(!preflight("http://evil.example").await.has("access-control-allow-origin"));
    api.stop().await;

    // Without a list there is nothing of it.
    let api = world.api().await;
    for method in ["GET", "OPTIONS"] {
        let answer = http::exchange(api.at, method, "/api/v1/openapi.json", &asked("https://ops.example"), b"").await;
        assert_eq!(answer.status, if method == "GET" { 200 } else { 405 });
        for name in ["access-control-allow-origin", "access-control-allow-methods", "access-control-expose-headers"] {
            assert!(!answer.has(name), "{method} {name}");
        }
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_bounded_in_number_size_and_time() {
    let world = World::without_sink(&["ethereum"]).await;
    let mut config = world.config();
    config.concurrent_requests = 1;
    config.request_deadline = Duration::from_millis(300);
    // A store that takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut away = world.store.config().clone();
    away.url = format!("http://{}", silent.local_addr().expect("address")).parse().expect("url");
    let api = world.api_over(config, store::Store::connect(away).expect("a store")).await;
    let (first, second) = tokio::join!(api.get("/api/v1/txs"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        api.get("/api/v1/openapi.json").await
    });
    assert_eq!((first.status, first.json()["type"].as_str()), (503, Some("/problems/deadline-exceeded")));
    assert_eq!((second.status, second.json()["type"].as_str()), (503, Some("/problems/overloaded")));
    assert!(second.header("retry-after").is_some());
    assert_eq!(api.get("/api/v1/openapi.json").await.status, 200, "the permit came back");
    let large = vec![b' '; schemas::limits::HTTP_BODY_BYTES + 1];
    let json = [("Content-Type", "application/json")];
    assert_eq!(http::exchange(api.at, "POST", "/api/v1/auth/login", &json, &large).await.status, 413);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_lists_leave_places_to_the_rest() {
    let world = World::without_sink(&["ethereum"]).await;
    let mut config = world.config();
    config.concurrent_requests = 8;
    config.request_deadline = Duration::from_secs(5);
    // A store that takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut away = world.store.config().clone();
    away.url = format!("http://{}", silent.local_addr().expect("address")).parse().expect("url");
    let api = world.api_over(config, store::Store::connect(away).expect("a store")).await;
    let mut lists = tokio::task::JoinSet::new();
    for n in 0..20 {
        let at = api.at;
        let path = ["/api/v1/txs", "/api/v1/blocks", "/api/v1/networks/ethereum/completeness"][n % 3];
        lists.spawn(async move { http::exchange(at, "GET", path, &[], b"").await });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    for path in ["/api/v1/openapi.json", "/docs", "/problems/overloaded"] {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
    let mut refused = 0;
    while let Some(answer) = lists.join_next().await {
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 503);
        refused += usize::from(answer.json()["type"] == "/problems/overloaded");
    }
    assert_eq!(refused, 20 - 6, "six of eight places are theirs");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hopeless_reader_is_closed_with_try_again_later() {
    let world = World::without_sink(&["ethereum"]).await;
    let mut config = world.config();
    config.ws = WsConfig {
        buffer_events: 2,
        overtaken_per_minute: 0,
        write_deadline: Duration::from_secs(60),
        ..WsConfig::default()
    };
    let api = world.api_with(config).await;
    let mut chain = slow::heavy();
    let mut slow = Ws::connect(api.at).await;
    slow.subscribe(None, &["transactions"], None).await;
    for _ in 0..100 {
        let event = chain.apply();
        world.publish(&[event]).await;
    }
    let closed = loop {
        if let Err(closed) = slow.next().await {
            break closed;
        }
    };
    assert!(matches!(closed, Closed::With(1013)), "{closed:?}");
    // Others do not notice.
    let mut other = Ws::connect(api.at).await;
    other.subscribe(None, &["blocks"], None).await;
    let event = chain.apply();
    world.publish(&[event]).await;
    other.until(chain.sequence()).await;
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_says_goodbye_and_is_in_time() {
    let world = World::without_sink(&["ethereum"]).await;
    let api = world.api().await;
    let mut ws = Ws::connect(api.at).await;
    ws.subscribe(None, &["blocks"], None).await;
    let reader = tokio::spawn(async move { ws.next().await });
    api.stop().await;
    let closed = reader.await.expect("no panic").expect_err("closed");
    assert!(matches!(closed, Closed::With(1001)), "{closed:?}");
}

//! Who comes in with a key, and who does not.

use std::time::{Duration, Instant};

use api::{Config, ControlStore};
use control::Mode;
use runtime::config::{Control, ControlPlace};
use serde_json::json;

use super::Keyed;
use crate::{http, world::World, ws::Ws};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_what_its_scopes_say_and_nothing_else() {
    let keyed = Keyed::start(&["ethereum"]).await;
    let (reader, other) = (keyed.key(&["chains:read"]).await, keyed.key(&["contracts:write"]).await);
    let (reader, other) = (reader.text.expose(), other.text.expose());
    let txs = "/api/v1/txs";
    for open in ["/api/v1/health", "/api/v1/openapi.json", "/api/v1/asyncapi.json", "/docs", "/registry/subjects", "/"]
    {
        assert_eq!(keyed.api.get(open).await.status, 200, "{open}");
    }
    let refused = keyed.api.get(txs).await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(refused.json()["type"], "/problems/unauthenticated");
    let wrong = format!("{}{}", &reader[..33], if reader.ends_with('x') { 'y' } else { 'x' });
    let forged = format!("hw_{}_{}", "a".repeat(8), "b".repeat(22));
    let mut told = Vec::new();
    for bad in [wrong.as_str(), &forged, "hw_", "x", &reader.to_uppercase()] {
        let answer = keyed.ask("GET", txs, bad).await;
        assert_eq!(answer.status, 401, "{bad}");
        told.push(answer.text());
    }
    assert!(told.windows(2).all(|w| w[0] == w[1]), "one answer for all: {told:?}");
    let good = keyed.ask("GET", txs, reader).await;
    assert_eq!(good.status, 200, "{}", good.text());
    let forbidden = keyed.ask("GET", txs, other).await;
    assert_eq!((forbidden.status, forbidden.json()["type"].as_str()), (403, Some("/problems/forbidden")));
    assert!(
        forbidden.text().contains("chains:read") && forbidden.text().contains("contracts:write"),
        "{}",
        forbidden.text()
    );
    // Two credentials are none, and a scheme of another kind is none.
    let twice = [("Authorization", format!("Bearer {reader}")), ("Authorization", format!("Bearer {reader}"))];
    let twice: Vec<(&str, &str)> = twice.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(keyed.api.get_with(txs, &twice).await.status, 401);
    assert_eq!(keyed.api.get_with(txs, &[("Authorization", &format!("Basic {reader}"))]).await.status, 401);
    assert_eq!(keyed.api.get_with(txs, &[("authorization", &format!("bearer {reader}"))]).await.status, 200);
    // What a route does not have is said without looking at who asks.
    let no_method = keyed.ask("DELETE", txs, "x").await;
    assert_eq!((no_method.status, no_method.header("allow")), (405, Some("GET,HEAD")));
    assert_eq!(keyed.ask("HEAD", txs, "x").await.status, 401);
    // The WebSocket is a route like the others.
    assert!(Ws::connect_with(keyed.api.at, &[]).await.is_err());
    assert!(Ws::connect_with(keyed.api.at, &[("authorization", &format!("Bearer {reader}"))]).await.is_ok());
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_stops_within_five_seconds() {
    let keyed = Keyed::start(&[]).await;
    let key = keyed.key(&["*:read"]).await;
    let ask = || keyed.ask("GET", "/api/v1/txs", key.text.expose());
    assert_eq!(ask().await.status, 200);
    keyed.revoke(&key).await;
    let revoked = Instant::now();
    while ask().await.status == 200 {
        assert!(revoked.elapsed() < Duration::from_secs(5), "it works still");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ask().await.status, 401);
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_has_an_id_of_its_own_and_the_document_says_what_each_route_wants() {
    let keyed = Keyed::start(&[]).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = keyed.api.get_with("/api/v1/txs", &[("X-Request-Id", "of-the-client")]).await;
        ids.push(answer.header("x-request-id").expect("an id").to_owned());
    }
    ids.dedup();
    assert!(ids.len() == 3 && ids.iter().all(|id| id.len() == 32), "{ids:?}");
    let document = keyed.api.get("/api/v1/openapi.json").await.json();
    let get = |path: &str| document["paths"][path]["get"].clone();
    assert_eq!(get("/api/v1/health")["x-permission"], "none");
    assert_eq!(get("/api/v1/health")["security"], json!([]));
    assert_eq!(get("/api/v1/txs")["x-permission"], "chains:read");
    assert_eq!(get("/api/v1/txs")["security"], json!([{"key": []}, {"session": []}]));
    assert!(get("/api/v1/ws")["responses"]["401"].is_object());
    assert_eq!(document["components"]["securitySchemes"]["key"]["scheme"], "bearer");
    keyed.api.stop().await;
}

/// A control store that cannot be reached keeps nothing else from working, and is taken up when it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_control_store_that_is_away_is_said_and_awaited() {
    let world = World::without_sink(&[]).await;
    world.store.migrate().await.expect("tables");
    let url = format!("postgres://a:b@127.0.0.1:{}/c", http::free_port());
    let place = ControlPlace::Postgres { url: runtime::config::Secret::new(url), owner_url: None };
    let secret = Some(runtime::config::Secret::new("x".repeat(32)));
    let away = Control { place, secret, former_secret: None };
    for (mode, status) in [(Mode::None, 200), (Mode::Keys, 503)] {
        let control = ControlStore::of(away.clone(), mode);
        let api = world.api_with(Config { control, ..world.config() }).await;
        let key = format!("Bearer hw_{}_{}", "a".repeat(8), "b".repeat(22));
        let answer = api.get_with("/api/v1/txs", &[("Authorization", &key)]).await;
        assert_eq!(answer.status, status, "{mode:?}: {}", answer.text());
        if status == 503 {
            assert_eq!(answer.json()["type"], "/problems/control-unavailable");
            assert!(answer.has("retry-after") && !answer.text().contains("127.0.0.1"), "{}", answer.text());
        }
        assert_eq!(api.get("/api/v1/health").await.status, 200);
        api.stop().await;
    }
}

//! How much who may ask.

use std::time::Duration;

use api::Config;
use runtime::config::Rate;

use super::Keyed;
use crate::world::World;

const TXS: &str = "/api/v1/txs";

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_addresses_are_counted_apart_and_told_how_they_stand() {
    let rate_limit = Rate { requests: 3, per: Duration::from_secs(3_600) };
    let trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    let keyed = Keyed::start_with(&[], |config| Config { rate_limit, trusted_proxies, ..config }).await;
    let (one, two) = (keyed.key(&["*:read"]).await, keyed.key(&["*:read"]).await);
    for left in ["2", "1", "0"] {
        let answer = keyed.ask("GET", TXS, one.text.expose()).await;
        assert_eq!((answer.status, answer.header("ratelimit-remaining")), (200, Some(left)));
        assert_eq!(answer.header("ratelimit-limit"), Some("3"));
        assert!(answer.header("ratelimit-reset").is_some_and(|v| v.parse::<u64>().is_ok_and(|v| v > 0)));
    }
    let refused = keyed.ask("GET", TXS, one.text.expose()).await;
    assert_eq!((refused.status, refused.json()["type"].as_str()), (429, Some("/problems/rate-limited")));
    let wait: u64 = refused.header("retry-after").and_then(|v| v.parse().ok()).expect("when");
    assert!((1..=1_200).contains(&wait) && refused.header("ratelimit-remaining") == Some("0"), "{wait}");
    assert_eq!(keyed.ask("GET", TXS, two.text.expose()).await.status, 200, "another key");
    // Behind a proxy that is believed it is the client's address, and what the client wrote itself is not believed.
    let from = async |forwarded: &str| {
        keyed.api.get_with("/api/v1/openapi.json", &[("X-Forwarded-For", forwarded)]).await.status
    };
    for i in 0..3 {
        assert_eq!(from(&format!("10.0.0.{i}, 203.0.113.1")).await, 200);
    }
    assert_eq!(from("10.0.0.9, 203.0.113.1").await, 429);
    assert_eq!(from("203.0.113.2").await, 200);
    // Guesses are counted where they come from.
    let guess = async || {
        let headers = [("X-Forwarded-For", "203.0.113.3"), ("Authorization", "Bearer hw_x")];
        keyed.api.get_with(TXS, &headers).await.status
    };
    assert_eq!([guess().await, guess().await, guess().await, guess().await], [401, 401, 401, 429]);
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_everybody_is_owner_this_machine_is_not_counted() {
    let world = World::without_sink(&[]).await;
    let rate_limit = Rate { requests: 2, per: Duration::from_secs(3_600) };
    let trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    let api = world.api_with(Config { rate_limit, trusted_proxies, ..world.config() }).await;
    for _ in 0..5 {
        let answer = api.get("/api/v1/openapi.json").await;
        assert!(answer.status == 200 && !answer.has("ratelimit-limit"));
    }
    let far = async || api.get_with("/api/v1/openapi.json", &[("X-Forwarded-For", "203.0.113.1")]).await.status;
    assert_eq!([far().await, far().await, far().await], [200, 200, 429]);
    api.stop().await;
}

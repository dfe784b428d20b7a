//! The OpenAPI document against what is really served.

use schemas::{
    TimeMs,
    records::{DeliveryState, EndpointState, Lie, MinuteSample, ProviderState, Seen},
};
use serde_json::{Value, json};

use crate::{
    alerts,
    chain::{Chain, recorded},
    providers, schema,
    world::{Api, World},
};

/// The schema of an answer.
fn of<'a>(document: &'a Value, path: &str, status: &str) -> &'a Value {
    let content = &document["paths"][path]["get"]["responses"][status]["content"];
    let (_, media) = content.as_object().and_then(|c| c.iter().next()).unwrap_or_else(|| panic!("{path} {status}"));
    &media["schema"]
}

async fn fits(api: &Api, document: &Value, path: &str, target: &str, status: u16) {
    let answer = api.get(target).await;
    assert_eq!(answer.status, status, "{target}: {}", answer.text());
    let kind = if status == 200 { "application/json" } else { "application/problem+json" };
    assert_eq!(answer.header("content-type"), Some(kind), "{target}");
    let mut value = answer.json();
    if status != 200 {
        // Parts of a problem that only some have.
        for field in ["parameter", "value", "expected", "id", "version", "errors"] {
            value.as_object_mut().expect("object").entry(field).or_insert(Value::Null);
        }
    }
    let problems = schema::check(document, of(document, path, &status.to_string()), &value);
    assert!(problems.is_empty(), "{target}: {problems:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_documented_and_every_route_is_documented() {
    const HOME: &str = "00000000000000000000000000";
    let world = World::start(&["ethereum", "silent"]).await;
    let mut chain = Chain::new("ethereum", recorded("ethereum"));
    for _ in 0..8 {
        chain.apply();
    }
    world.publish_and_wait(&chain.events).await;
    // An endpoint that lied, with a history.
    let ethereum = "ethereum".parse().expect("a slug");
    let lie = Lie { at: TimeMs::now(), found_by: "ingest/test".into(), said: "0x1".into(), right: "0x2".into() };
    let said = EndpointState { lie: Some(lie), ..providers::state(ProviderState::Quarantined) };
    let minute = MinuteSample {
        method: "eth_getLogs".into(),
        calls: 1,
        failures: 0,
        latency_p50_ms: Some(1),
        latency_p95_ms: Some(1),
        bytes: 1,
    };
    for seen in [Seen::State(Box::new(said)), Seen::Minute(minute)] {
        world.tell(&ethereum, &providers::sample(&ethereum, "one", TimeMs::now(), seen)).await;
    }
    // An alert with a message about it.
    let (alert, message) = (alerts::id(9), alerts::id(8));
    world.tell(&ethereum, &alerts::fired(alerts::MINE, &alert)).await;
    let attempt = alerts::delivery(alerts::MINE, &message, Some(&alert), 1, DeliveryState::Sent);
    world.tell(&ethereum, &attempt).await;
    let dir = tempfile::tempdir().expect("temp dir");
    let control = api::ControlStore::of(crate::door::settings(&dir), control::Mode::None);
    control.open().await.expect("opens");
    let api = world.api_with(api::Config { control, ..world.config() }).await;
    let make = async |target: &str, body: Value| {
        let headers = [("Content-Type", "application/json")];
        let made = crate::http::exchange(api.at, "POST", target, &headers, body.to_string().as_bytes()).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.header("location").expect("where it is").to_owned()
    };
    let abi = json!([{"type": "event", "name": "Moved", "anonymous": false, "inputs": []}]);
    let contract = json!({"network": "ethereum", "address": format!("0x{:040x}", 1), "name": "c", "abi": abi});
    let contract = make("/api/v1/contracts", contract).await;
    let mut things = Vec::new();
    for (list, new) in crate::created::definitions::one_of_each() {
        let new = new.to_string().replace("\"a\"", "\"ethereum\"");
        things.push(make(list, serde_json::from_str(&new).expect("JSON")).await);
    }
    let key = make("/api/v1/keys", json!({"name": "k", "scopes": ["*:read"]})).await;
    providers::until(&api, "/api/v1/providers/ethereum/one", "the endpoint and its history", |detail| {
        detail["history"].as_array().is_some_and(|history| !history.is_empty())
    })
    .await;
    providers::until(&api, &format!("/api/v1/deliveries/{message}"), "the message", |detail| detail["state"] == "sent")
        .await;
    let document = api.get("/api/v1/openapi.json").await.json();
    assert_eq!(document["openapi"].as_str().map(|v| v.starts_with("3.")), Some(true));

    let (block, _) = &chain.canonical[3];
    let tx = chain.transactions().iter().find_map(api::items::TransactionItem::from_record).expect("a transaction");
    let height = block.envelope.height;
    let hash = &block.envelope.block_hash;
    let unknown = format!("0x{}", "0".repeat(64));
    let all = chain.transactions();
    let mut items = all.iter().filter_map(api::items::TransactionItem::from_record);
    let failed = items.find(|item| item.status == "failed").expect("one that failed").hash;
    // The blocks' own time, long ago.
    let around = "step=1m&from=2023-11-14T22:00:00Z&to=2023-11-14T23:00:00Z";
    let metrics = store::query::Metric::ALL.map(store::query::Metric::as_str).join(",");
    let (contract_address, at) = (format!("0x{:040x}", 1), "2023-11-14T22:20:00Z");
    let cases = [
        ("/api/v1/health", "/api/v1/health".to_owned(), 200),
        ("/api/v1/health", "/api/v1/health?x=1".to_owned(), 400),
        ("/api/v1/blocks", "/api/v1/blocks?limit=3".to_owned(), 200),
        ("/api/v1/blocks", "/api/v1/blocks?network=silent".to_owned(), 200),
        ("/api/v1/blocks", "/api/v1/blocks?limit=0".to_owned(), 400),
        ("/api/v1/blocks", "/api/v1/blocks?network=nowhere".to_owned(), 404),
        ("/api/v1/txs", "/api/v1/txs?network=nowhere".to_owned(), 404),
        ("/api/v1/blocks/{network}/{block}", format!("/api/v1/blocks/ethereum/{height}"), 200),
        ("/api/v1/blocks/{network}/{block}", format!("/api/v1/blocks/ethereum/{hash}"), 200),
        ("/api/v1/blocks/{network}/{block}", "/api/v1/blocks/ethereum/1".to_owned(), 404),
        ("/api/v1/txs", "/api/v1/txs?limit=1000".to_owned(), 200),
        ("/api/v1/txs", "/api/v1/txs?status=maybe".to_owned(), 400),
        ("/api/v1/txs/{network}/{hash}", format!("/api/v1/txs/ethereum/{}", tx.hash), 200),
        ("/api/v1/txs/{network}/{hash}", format!("/api/v1/txs/ethereum/{unknown}"), 404),
        ("/api/v1/txs", "/api/v1/txs?found_by=guess".to_owned(), 400),
        ("/api/v1/txs/{network}/{hash}", format!("/api/v1/txs/ethereum/{failed}"), 200),
        ("/api/v1/txs/{network}/{hash}/similar", format!("/api/v1/txs/ethereum/{failed}/similar?limit=3"), 200),
        ("/api/v1/txs/{network}/{hash}/similar", format!("/api/v1/txs/ethereum/{failed}/similar?limit=0"), 400),
        ("/api/v1/txs/{network}/{hash}/similar", format!("/api/v1/txs/ethereum/{unknown}/similar"), 404),
        ("/api/v1/txs/{network}/{hash}/endpoints", format!("/api/v1/txs/ethereum/{failed}/endpoints"), 200),
        ("/api/v1/txs/{network}/{hash}/endpoints", format!("/api/v1/txs/ethereum/{unknown}/endpoints"), 404),
        ("/api/v1/metrics/overview", "/api/v1/metrics/overview".to_owned(), 200),
        ("/api/v1/metrics/overview", "/api/v1/metrics/overview?network=silent&window=24h".to_owned(), 200),
        ("/api/v1/metrics/overview", "/api/v1/metrics/overview?window=7d".to_owned(), 400),
        ("/api/v1/metrics/overview", "/api/v1/metrics/overview?network=nowhere".to_owned(), 404),
        ("/api/v1/metrics/series", format!("/api/v1/metrics/series?network=ethereum&metric=tps&{around}"), 200),
        ("/api/v1/metrics/series", format!("/api/v1/metrics/series?network=ethereum&metric={metrics}&{around}"), 200),
        ("/api/v1/metrics/series", "/api/v1/metrics/series?network=ethereum&metric=tip".to_owned(), 400),
        ("/api/v1/metrics/series", "/api/v1/metrics/series?network=nowhere&metric=tps".to_owned(), 404),
        ("/api/v1/metrics/causes", format!("/api/v1/metrics/causes?network=ethereum&{around}"), 200),
        ("/api/v1/metrics/causes", "/api/v1/metrics/causes".to_owned(), 400),
        ("/api/v1/metrics/causes", "/api/v1/metrics/causes?network=nowhere".to_owned(), 404),
        ("/api/v1/diagnosis", "/api/v1/diagnosis?network=ethereum".to_owned(), 200),
        ("/api/v1/diagnosis", format!("/api/v1/diagnosis?network=ethereum&contract={contract_address}&at={at}"), 200),
        ("/api/v1/diagnosis", "/api/v1/diagnosis?network=ethereum&at=2999-01-01T00:00:00Z".to_owned(), 400),
        ("/api/v1/diagnosis", "/api/v1/diagnosis?network=nowhere".to_owned(), 404),
        ("/api/v1/failures", "/api/v1/failures?window=7d".to_owned(), 200),
        ("/api/v1/failures", "/api/v1/failures?window=2h".to_owned(), 400),
        ("/api/v1/failures", "/api/v1/failures?network=nowhere".to_owned(), 404),
        ("/api/v1/search", format!("/api/v1/search?q={failed}"), 200),
        ("/api/v1/search", "/api/v1/search".to_owned(), 400),
        ("/api/v1/search", "/api/v1/search?q=x&network=nowhere".to_owned(), 404),
        ("/api/v1/networks/{network}/completeness", "/api/v1/networks/ethereum/completeness".to_owned(), 200),
        ("/api/v1/networks/{network}/completeness", "/api/v1/networks/nowhere/completeness".to_owned(), 404),
        ("/api/v1/providers/health", "/api/v1/providers/health".to_owned(), 200),
        ("/api/v1/providers/health", "/api/v1/providers/health?limit=0".to_owned(), 400),
        ("/api/v1/providers/health", "/api/v1/providers/health?network=nowhere".to_owned(), 404),
        ("/api/v1/providers/{network}/{name}", "/api/v1/providers/ethereum/one".to_owned(), 200),
        ("/api/v1/providers/{network}/{name}", "/api/v1/providers/ethereum/none".to_owned(), 404),
        ("/api/v1/providers/{network}/{name}", "/api/v1/providers/ethereum/one?from=x".to_owned(), 400),
        ("/api/v1/contracts", "/api/v1/contracts".to_owned(), 200),
        ("/api/v1/contracts", "/api/v1/contracts?limit=0".to_owned(), 400),
        ("/api/v1/contracts/{id}", contract.clone(), 200),
        ("/api/v1/contracts/{id}", "/api/v1/contracts/none".to_owned(), 404),
        ("/api/v1/keys", "/api/v1/keys".to_owned(), 200),
        ("/api/v1/keys/{id}", key.clone(), 200),
        ("/api/v1/keys/{id}", "/api/v1/keys/none".to_owned(), 404),
        ("/api/v1/channels", "/api/v1/channels".to_owned(), 200),
        ("/api/v1/channels", "/api/v1/channels?limit=0".to_owned(), 400),
        ("/api/v1/channels/{id}", things[0].clone(), 200),
        ("/api/v1/channels/{id}", "/api/v1/channels/none".to_owned(), 404),
        ("/api/v1/rules", "/api/v1/rules".to_owned(), 200),
        ("/api/v1/rules/{id}", things[1].clone(), 200),
        ("/api/v1/monitors", "/api/v1/monitors".to_owned(), 200),
        ("/api/v1/monitors/{id}", things[2].clone(), 200),
        ("/api/v1/silences", "/api/v1/silences".to_owned(), 200),
        ("/api/v1/silences/{id}", things[3].clone(), 200),
        ("/api/v1/monitors/{id}/matches", format!("{}/matches", things[2]), 200),
        ("/api/v1/monitors/{id}/matches", "/api/v1/monitors/none/matches".to_owned(), 404),
        ("/api/v1/monitors/{id}/matches", format!("{}/matches?state=x", things[2]), 400),
        ("/api/v1/alerts", "/api/v1/alerts".to_owned(), 200),
        ("/api/v1/alerts", "/api/v1/alerts?state=x".to_owned(), 400),
        ("/api/v1/alerts/{id}", format!("/api/v1/alerts/{alert}"), 200),
        ("/api/v1/alerts/{id}", "/api/v1/alerts/none".to_owned(), 404),
        ("/api/v1/annotations", "/api/v1/annotations".to_owned(), 200),
        ("/api/v1/annotations", "/api/v1/annotations?from=x".to_owned(), 400),
        ("/api/v1/deliveries", "/api/v1/deliveries".to_owned(), 200),
        ("/api/v1/deliveries", "/api/v1/deliveries?state=x".to_owned(), 400),
        ("/api/v1/deliveries/{id}", format!("/api/v1/deliveries/{message}"), 200),
        ("/api/v1/deliveries/{id}", "/api/v1/deliveries/none".to_owned(), 404),
        ("/api/v1/audit", "/api/v1/audit".to_owned(), 200),
        ("/api/v1/audit", "/api/v1/audit?from=x".to_owned(), 400),
        ("/api/v1/sql", "/api/v1/sql".to_owned(), 200),
        ("/api/v1/sql", "/api/v1/sql?network=ethereum".to_owned(), 400),
        ("/api/v1/auth/ways", "/api/v1/auth/ways".to_owned(), 200),
        ("/api/v1/usage", "/api/v1/usage".to_owned(), 200),
        ("/api/v1/members", "/api/v1/members".to_owned(), 200),
        ("/api/v1/organisations", "/api/v1/organisations".to_owned(), 200),
        ("/api/v1/organisations/{id}", format!("/api/v1/organisations/{HOME}"), 200),
        ("/api/v1/organisations/{id}", "/api/v1/organisations/none".to_owned(), 404),
        ("/api/v1/platform/organisations", "/api/v1/platform/organisations".to_owned(), 200),
        ("/api/v1/platform/organisations/{id}", format!("/api/v1/platform/organisations/{HOME}"), 200),
        ("/api/v1/platform/usage", "/api/v1/platform/usage".to_owned(), 200),
        ("/api/v1/platform/tombstones", "/api/v1/platform/tombstones".to_owned(), 200),
    ];
    for (path, target, status) in &cases {
        fits(&api, &document, path, target, *status).await;
    }
    // Every transaction of the recorded blocks, with its events.
    for record in chain.transactions().iter().step_by(37) {
        let item = api::items::TransactionItem::from_record(record).expect("readable");
        let target = format!("/api/v1/txs/ethereum/{}", item.hash);
        fits(&api, &document, "/api/v1/txs/{network}/{hash}", &target, 200).await;
    }
    let documented: Vec<&String> = document["paths"].as_object().expect("paths").keys().collect();
    // Those that only change something are looked at in `created`.
    let others = [
        // A file, not an answer in JSON: `export` looks at it.
        "/api/v1/txs/export",
        "/api/v1/openapi.json",
        "/api/v1/asyncapi.json",
        "/api/v1/ws",
        "/api/v1/contracts/abi",
        "/api/v1/keys/{id}/rotate",
        // `alerts` looks at these.
        "/api/v1/alerts/{id}/acknowledge",
        "/api/v1/channels/{id}/test",
        "/api/v1/rules/preview",
        "/api/v1/channels/preview",
        "/api/v1/monitors/preview",
        "/api/v1/channels/{id}/replay",
        "/api/v1/deliveries/{id}/replay",
        "/api/v1/auth/login",
        "/api/v1/auth/logout",
        "/api/v1/auth/me",
        // They are for people, and for who is about to be one: `door` looks at them.
        "/api/v1/auth/accept",
        "/api/v1/auth/identities",
        "/api/v1/auth/identities/{id}",
        "/api/v1/auth/oidc/{provider}",
        "/api/v1/auth/oidc/{provider}/begin",
        "/api/v1/auth/oidc/{provider}/callback",
        "/api/v1/auth/password",
        "/api/v1/auth/refresh",
        "/api/v1/auth/reset",
        "/api/v1/auth/reset/confirm",
        "/api/v1/auth/sessions",
        "/api/v1/auth/sessions/{id}",
        "/api/v1/auth/sign-up",
        "/api/v1/auth/sign-up/confirm",
        "/api/v1/auth/switch",
        "/api/v1/auth/totp",
        "/api/v1/auth/totp/confirm",
        "/api/v1/auth/verify",
        "/api/v1/auth/verify/send",
        "/api/v1/members/{id}",
        "/api/v1/organisations/import",
        "/api/v1/organisations/{id}/export",
        "/api/v1/organisations/{id}/exports/{export}",
        "/api/v1/organisations/{id}/exports/{export}/file",
        "/api/v1/organisations/{id}/resume",
        "/api/v1/organisations/{id}/suspend",
        "/api/v1/organisations/{id}/transfer",
    ];
    for path in documented {
        let covered = cases.iter().any(|(p, _, _)| p == path) || others.contains(&path.as_str());
        assert!(covered, "{path} is documented and not looked at here");
    }
    let asyncapi = api.get("/api/v1/asyncapi.json").await;
    assert_eq!(asyncapi.json()["channels"]["live"]["address"], json!("/api/v1/ws"));
    // What it takes from the other document is there.
    let text = asyncapi.text();
    for reference in text.split("/api/v1/openapi.json#").skip(1) {
        let pointer = reference.split('"').next().expect("a pointer");
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    // Documents may be kept by who asked before.
    let tag = asyncapi.header("etag").expect("a tag").to_owned();
    let again = api.get_with("/api/v1/asyncapi.json", &[("If-None-Match", &tag)]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    api.stop().await;
}

//! The page's way in: login, cookie, proof, logout.

use std::time::{Duration, Instant};

use api::{Config, ControlStore};
use control::Mode;
use serde_json::json;

use super::Keyed;
use crate::http::{self, Answer};

const LOGIN: &str = "/api/v1/auth/login";
const ME: &str = "/api/v1/auth/me";
const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn log_in(keyed: &Keyed, key: &str) -> Answer {
    let body = json!({ "key": key }).to_string();
    http::exchange(keyed.api.at, "POST", LOGIN, &[JSON], body.as_bytes()).await
}

/// `hw_session=…` of an answer that sets it.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").expect("a cookie").split(';').next().expect("a value").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_may_what_its_key_may_and_ends_with_it() {
    let keyed = Keyed::start(&[]).await;
    let key = keyed.key(&["chains:read", "contracts:write", "contracts:read"]).await;
    let text = key.text.expose();
    let answer = log_in(&keyed, text).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let whole = answer.header("set-cookie").expect("a cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
        assert!(whole.contains(part), "{whole}");
    }
    assert!(!whole.contains("Secure"), "not over plain HTTP: {whole}");
    let secret = text.rsplit('_').next().expect("the secret half");
    assert!(!whole.contains(secret) && !answer.text().contains(secret), "the key is nowhere");
    let session = cookie(&answer);
    let csrf = answer.json()["csrf"].as_str().expect("a proof").to_owned();
    let me = keyed.api.get_with(ME, &[("Cookie", &session)]).await.json();
    assert_eq!((&me["mode"], &me["csrf"]), (&json!("keys"), &json!(csrf)));
    assert_eq!(me["actor"], json!({"kind": "key", "id": key.key.id.to_string(), "name": "test"}));
    assert_eq!(me["key"]["prefix"], key.key.prefix);
    assert_eq!(me["scopes"], json!(["chains:read", "contracts:read", "contracts:write"]));
    // It reads what the key may, and nothing else.
    let get = async |path: &str| keyed.api.get_with(path, &[("Cookie", &session)]).await.status;
    assert_eq!((get("/api/v1/txs").await, get("/api/v1/keys").await), (200, 403));
    // A change wants the proof; a wrong one, and two, are none.
    let change = async |more: &[(&str, &str)]| {
        let mut headers = vec![JSON, ("Cookie", session.as_str())];
        headers.extend(more);
        http::exchange(keyed.api.at, "POST", "/api/v1/contracts", &headers, b"{}").await
    };
    for wrong in [&[][..], &[("X-Headwater-Csrf", "x")], &[("X-Headwater-Csrf", &csrf), ("X-Headwater-Csrf", &csrf)]] {
        let refused = change(wrong).await;
        assert_eq!((refused.status, refused.json()["type"].as_str()), (403, Some("/problems/csrf")), "{wrong:?}");
    }
    assert_eq!(change(&[("X-Headwater-Csrf", &csrf)]).await.status, 422, "let in; the body is empty");
    // The same cookie is good in another process, and after a restart, which is another process too.
    let store = ControlStore::of(keyed.settings.clone(), Mode::Keys);
    store.open().await.expect("opens");
    let second = keyed.world.api_with(Config { control: store, ..keyed.world.config() }).await;
    assert_eq!(second.get_with(ME, &[("Cookie", &session)]).await.status, 200);
    // One that was changed is not.
    for i in [0, 15, session.len() - 1] {
        let mut bytes = session.clone().into_bytes();
        let at = "hw_session=".len().max(i);
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        let changed = String::from_utf8(bytes).expect("text");
        assert_eq!(second.get_with(ME, &[("Cookie", &changed)]).await.status, 401, "{i}");
    }
    let twice = format!("{session}; {session}");
    assert_eq!(second.get_with(ME, &[("Cookie", &twice)]).await.status, 401);
    keyed.revoke(&key).await;
    let revoked = Instant::now();
    for api in [&keyed.api, &second] {
        while api.get_with(ME, &[("Cookie", &session)]).await.status == 200 {
            assert!(revoked.elapsed() < Duration::from_secs(5), "the session goes on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    second.stop().await;
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_the_session_and_attempts_are_few() {
    let keyed = Keyed::start(&[]).await;
    let key = keyed.key(&["*:read"]).await;
    let answer = log_in(&keyed, key.text.expose()).await;
    let (session, csrf) = (cookie(&answer), answer.json()["csrf"].as_str().expect("a proof").to_owned());
    let out = async |headers: &[(&str, &str)]| {
        http::exchange(keyed.api.at, "POST", "/api/v1/auth/logout", headers, b"{}").await
    };
    assert_eq!(out(&[JSON, ("Cookie", &session)]).await.status, 403, "another site cannot log anybody out");
    let gone = out(&[JSON, ("Cookie", &session), ("X-Headwater-Csrf", &csrf)]).await;
    assert_eq!((gone.status, cookie(&gone).as_str()), (204, "hw_session="));
    assert_eq!(keyed.api.get_with(ME, &[("Cookie", &session)]).await.status, 401);
    // Another session of the same key goes on.
    let other = cookie(&log_in(&keyed, key.text.expose()).await);
    assert_eq!(keyed.api.get_with(ME, &[("Cookie", &other)]).await.status, 200);
    for body in
        [&b"{}"[..], b"", b"[]", b"{\"key\":1}", b"{\"key\":\"a\",\"key\":\"b\"}", b"{\"key\":\"a\",\"admin\":true}"]
    {
        let refused = http::exchange(keyed.api.at, "POST", LOGIN, &[JSON], body).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
    }
    let mut refused = log_in(&keyed, "hw_x").await;
    let mut tried = 3;
    while refused.status == 401 {
        tried += 1;
        assert!(tried < 20, "attempts are not bounded");
        refused = log_in(&keyed, "hw_x").await;
    }
    assert_eq!(refused.status, 429, "{}", refused.text());
    let wait: u64 = refused.header("retry-after").and_then(|v| v.parse().ok()).expect("when to come back");
    assert!((1..=60).contains(&wait), "{wait}");
    keyed.api.stop().await;
}

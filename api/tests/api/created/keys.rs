//! Keys.

use std::time::Duration;

use serde_json::{Value, json};

use super::{AUDIT, CONTRACTS, KEYS, kind};
use crate::door::Keyed;

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect(what);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_used_changed_rotated_and_revoked() {
    let keyed = Keyed::start(&["a"]).await;
    let admin = keyed.key(&["keys:read", "keys:write", "contracts:read", "audit:read"]).await;
    let admin = admin.text.expose();
    let works = async |key: &str| keyed.ask("GET", CONTRACTS, key).await.status == 200;

    let new = json!({"name": "ci", "scopes": ["contracts:read"], "networks": ["a"], "expires_at": "2030-01-31T12:00:00.250Z"});
    let made = keyed.send("POST", KEYS, admin, &[], &new.to_string()).await;
    assert_eq!(
        (made.status, made.header("etag"), made.header("cache-control")),
        (201, Some("\"1\""), Some("no-store"))
    );
    let path = made.header("location").expect("where it is").to_owned();
    let made = made.json();
    let key = made["key"].as_str().expect("the secret, once").to_owned();
    assert!(key.starts_with(&format!("hw_{}_", made["prefix"].as_str().expect("a prefix"))), "{made}");
    for (field, value) in [
        ("name", json!("ci")),
        ("scopes", json!(["contracts:read"])),
        ("networks", json!(["a"])),
        ("expires_at", new["expires_at"].clone()),
        ("last_used_at", Value::Null),
        ("revoked_at", Value::Null),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    assert_eq!(made["created_by"]["kind"], "key");
    assert!(works(&key).await);
    // The secret is nowhere else.
    for target in [KEYS, &path, AUDIT] {
        let text = keyed.ask("GET", target, admin).await.text();
        assert!(text.contains(made["id"].as_str().expect("an id")) && !text.contains(&key[12..]), "{target}");
    }
    until("its use is seen", async || keyed.ask("GET", &path, admin).await.json()["last_used_at"].is_string()).await;

    assert_eq!(keyed.send("PATCH", &path, admin, &[], "{\"name\":\"x\"}").await.status, 428);
    assert_eq!(keyed.send("PATCH", &path, admin, &[("If-Match", "\"9\"")], "{\"name\":\"x\"}").await.status, 412);
    let patch = json!({"name": "builds", "expires_at": null}).to_string();
    let changed = keyed.send("PATCH", &path, admin, &[("If-Match", "\"1\"")], &patch).await;
    assert_eq!(
        (changed.status, &changed.json()["name"], &changed.json()["expires_at"]),
        (200, &json!("builds"), &Value::Null)
    );

    // Rotated: both work for a while; without an overlap the former stops.
    let rotate = format!("{path}/rotate");
    let rotated = keyed.send("POST", &rotate, admin, &[], "{\"overlap\":\"1h\"}").await;
    assert_eq!(rotated.status, 200, "{}", rotated.text());
    let second = rotated.json()["key"].as_str().expect("a secret").to_owned();
    assert!(works(&second).await && works(&key).await && second != key);
    let third = keyed.send("POST", &rotate, admin, &[], "{\"overlap\":\"0s\"}").await.json();
    let third = third["key"].as_str().expect("a secret").to_owned();
    until("former secrets stop", async || !works(&key).await && !works(&second).await).await;
    assert!(works(&third).await);
    assert_eq!(keyed.send("POST", &rotate, admin, &[], "{\"overlap\":\"8d\"}").await.status, 422);
    assert_eq!(keyed.send("POST", &rotate, admin, &[("If-Match", "\"1\"")], "{}").await.status, 412);

    assert_eq!(keyed.send("DELETE", &path, admin, &[], "").await.status, 204, "without If-Match");
    until("it stops", async || !works(&third).await).await;
    let list = keyed.ask("GET", KEYS, admin).await.json();
    let shown = list["items"].as_array().expect("a list").iter().find(|k| k["id"] == made["id"]).expect("it is listed");
    assert!(shown["revoked_at"].is_string(), "{shown}");
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_makes_one_key_and_shows_its_secret_once() {
    let keyed = Keyed::start(&["a"]).await;
    let admin = keyed.key(&["*:*"]).await;
    let admin = admin.text.expose();
    let once = [("Idempotency-Key", "k-1")];
    let new = json!({"name": "ci", "scopes": ["*:read"], "expires_in": "90d"}).to_string();
    let first = keyed.send("POST", KEYS, admin, &once, &new).await.json();
    let again = keyed.send("POST", KEYS, admin, &once, &new).await;
    assert_eq!((again.status, &again.json()["id"], &again.json()["key"]), (201, &first["id"], &Value::Null));
    assert!(first["key"].is_string() && first["expires_at"].is_string());
    let other = new.replace("90d", "91d");
    assert_eq!(kind(&keyed.send("POST", KEYS, admin, &once, &other).await), (422, "idempotency-key-reused".to_owned()));
    let rotate = format!("{KEYS}/{}/rotate", first["id"].as_str().expect("an id"));
    let once = [("Idempotency-Key", "k-2")];
    let first = keyed.send("POST", &rotate, admin, &once, "{}").await.json();
    let again = keyed.send("POST", &rotate, admin, &once, "{}").await.json();
    assert_eq!((&again["version"], &again["key"]), (&first["version"], &Value::Null));
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_or_takes_over_a_key_that_may_more_and_the_attempt_is_in_the_audit() {
    let keyed = Keyed::start(&["a", "b"]).await;
    let owner = keyed.key(&["*:*"]).await;
    let clerk = keyed.key_of(&["keys:read", "keys:write", "contracts:read"], &["a"], None).await;
    let clerk = clerk.text.expose();
    let more =
        |scopes: Value, networks: Value| json!({"name": "more", "scopes": scopes, "networks": networks}).to_string();
    for body in [more(json!(["*:*"]), json!(["a"])), more(json!(["contracts:read"]), json!(["b"]))] {
        let answer = keyed.send("POST", KEYS, clerk, &[], &body).await;
        assert_eq!(kind(&answer), (403, "more-than-yours".to_owned()), "{body}");
    }
    let path = format!("{KEYS}/{}", owner.key.id);
    let patch = keyed.send("PATCH", &path, clerk, &[("If-Match", "*")], "{\"name\":\"mine\"}").await;
    assert_eq!(kind(&patch), (403, "more-than-yours".to_owned()));
    assert_eq!(kind(&keyed.send("POST", &format!("{path}/rotate"), clerk, &[], "{}").await).0, 403);
    // Left out, networks are those of who makes it.
    let made = keyed.send("POST", KEYS, clerk, &[], &more(json!(["contracts:read"]), Value::Null)).await;
    assert_eq!((made.status, &made.json()["networks"]), (201, &json!(["a"])), "{}", made.text());

    let audit = keyed.ask("GET", AUDIT, owner.text.expose()).await.json();
    let denied: Vec<&str> = (audit["items"].as_array().expect("a list").iter())
        .filter(|e| e["outcome"] == "denied" && e["actor"]["name"] == "test")
        .filter_map(|e| e["action"].as_str())
        .collect();
    assert_eq!(denied, ["key.rotate", "key.change", "key.create", "key.create"]);
    for (method, target) in [("GET", KEYS), ("GET", AUDIT), ("DELETE", &path)] {
        let other = keyed.key(&["contracts:read"]).await;
        assert_eq!(keyed.ask(method, target, other.text.expose()).await.status, 403, "{method} {target}");
    }
    let nobodys = format!("{KEYS}/01J00000000000000000000000");
    for (method, target) in
        [("GET", nobodys.clone()), ("DELETE", nobodys.clone()), ("POST", format!("{nobodys}/rotate"))]
    {
        let answer = keyed.send(method, &target, owner.text.expose(), &[], "").await;
        assert_eq!(kind(&answer), (404, "no-such-thing".to_owned()), "{method}");
    }
    keyed.api.stop().await;
}

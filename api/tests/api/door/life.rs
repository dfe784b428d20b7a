//! An organisation is taken along and deleted, over HTTP: by whom it is, and by nobody else.

use std::time::{Duration, Instant};

use control::{Caller, Networks, NewKey, Scopes};
use serde_json::{Value, json};

use super::Keyed;

/// Longer than the door, the stages and the settling take together.
const GONE: Duration = Duration::from_secs(90);

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < GONE, "{what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_is_exported_whole_deleted_whole_and_only_by_whom_it_is() {
    let keyed = Keyed::start(&["ethereum"]).await;
    let second = keyed.second_tenant().await;
    let scopes = Scopes::read(&["*:*"]).expect("scopes");
    let new = NewKey { name: "k".to_owned(), scopes, networks: Networks::All, expires_in: None };
    let theirs = keyed.operator.control().create_key(Caller::here(&second), new).await.expect("a key");
    let (theirs, ours) = (theirs.text.expose(), keyed.key(&["*:*"]).await);
    let (ours, id) = (ours.text.expose(), second.tenant().id().to_string());
    let home = control::Id::DEFAULT_TENANT.to_string();
    let narrow = keyed.key(&["organisation:read"]).await;

    let made = json!({"name": "hook", "type": "webhook", "config": {"url": "https://1.1.1.1/hook"}}).to_string();
    let hook = keyed.send("POST", "/api/v1/channels", theirs, &[], &made).await;
    assert_eq!(hook.status, 201, "{hook:?}");

    // Not another's, and not by who may only read.
    let export = |id: &str| format!("/api/v1/organisations/{id}/export");
    assert_eq!(keyed.send("POST", &export(&home), theirs, &[], "{}").await.status, 404);
    assert_eq!(keyed.send("POST", &export(&home), narrow.text.expose(), &[], "{}").await.status, 403);
    // It holds the audit, members and keys: a key that may change the organisation and not read those gets none.
    let partly = keyed.key(&["organisation:read", "organisation:write", "chains:read"]).await;
    assert_eq!(keyed.send("POST", &export(&home), partly.text.expose(), &[], "{}").await.status, 403);
    let asked = keyed.send("POST", &export(&id), theirs, &[], "{}").await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let asked = asked.json();
    assert_eq!((asked["state"].as_str(), asked["rows"].as_i64()), (Some("done"), None));
    let (url, at) = (asked["url"].as_str().expect("a URL"), asked["id"].as_str().expect("an id"));
    let file = keyed.ask("GET", url, theirs).await;
    assert_eq!(file.status, 200, "{file:?}");
    let lines: Vec<Value> = String::from_utf8(file.body.to_vec())
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().expect("a kind")).collect();
    assert_eq!((kinds[0], kinds[1]), ("headwater.organisation", "channel"));
    assert_eq!(lines.last().expect("one"), &json!({"kind": "end", "rows": lines.len() - 1}));
    let secret = hook.json()["secret"].as_str().unwrap_or("nothing").to_owned();
    assert!(!String::from_utf8_lossy(&file.body).contains(&secret));
    let status = format!("/api/v1/organisations/{id}/exports/{at}");
    let fetched = async || keyed.ask("GET", &status, theirs).await.json();
    until("that it was fetched is said", async || fetched().await["rows"].as_u64() == Some(lines.len() as u64)).await;
    assert_eq!(keyed.ask("GET", &format!("/api/v1/organisations/{home}/exports/{at}"), theirs).await.status, 404);

    // An import that was cut off, and cannot be given up (its audit has no head): no deletion waits for it.
    let stuck = "INSERT INTO tenants (tenant_id, slug, name, created_at, importing_at, version) \
                 VALUES ('01J0000000000000000000000X', 'stuck', 'stuck', 1, 1, 1)";
    keyed.sql(stuck).await;

    // A key of its own never deletes it.
    let of = |id: &str| format!("/api/v1/organisations/{id}");
    assert_eq!(keyed.ask("DELETE", &of(&id), theirs).await.status, 403);
    assert_eq!(keyed.ask("DELETE", &of(&home), theirs).await.status, 403, "nor another, whether it is there or not");
    assert_eq!(keyed.ask("DELETE", &of(&home), ours).await.status, 403, "`default` stays");
    let gone = keyed.ask("DELETE", &of(&id), ours).await;
    assert_eq!((gone.status, gone.json()["state"].as_str()), (202, Some("deleting")), "{gone:?}");
    let shut =
        until("its door is shut", async || keyed.ask("GET", "/api/v1/channels", theirs).await.status == 401).await;
    assert!(shut < Duration::from_secs(5), "{shut:?}");
    let tombstones = async || keyed.ask("GET", "/api/v1/platform/tombstones", ours).await.json();
    let took =
        until("it is gone", async || tombstones().await["items"].as_array().is_some_and(|all| !all.is_empty())).await;
    eprintln!("an organisation was gone {took:?} after it was deleted");
    let tombstone = &tombstones().await["items"][0];
    assert_eq!((tombstone["id"].as_str(), tombstone["name"].as_str()), (Some(id.as_str()), Some("second")));
    let removed = &tombstone["proof"]["removed"];
    assert_eq!(removed["control"]["tenant_definitions"], 1, "{tombstone}");
    assert!(
        removed["store"]["left"].as_object().is_some_and(|left| left.values().all(|rows| rows == 0)),
        "{tombstone}"
    );
    assert!(removed["log"]["expires_by"]["alerts.events"].is_string(), "{tombstone}");
    assert_eq!(keyed.ask("GET", "/api/v1/channels", ours).await.status, 200, "others go on");
    assert_eq!(keyed.ask("DELETE", &of(&id), ours).await.status, 404);
}

//! The WebSocket: every topic, with every filter, by everybody that there can be.

use std::time::{Duration, Instant};

use api::Config;
use control::{Allowed, Mode, Resource, Role, Scopes};
use runtime::config::{Auth, AuthMode, Rate};
use serde_json::{Value, json};

use super::{
    super::{Keyed, accounts::SECOND},
    callers::{People, Proof, everybody},
    twins::{NOBODYS, SHARED, THEIRS, Twins},
};
use crate::{
    alerts::{fired, id, network},
    ws::{Closed, Ws},
};

const TOPICS: [&str; 5] = ["blocks", "transactions", "windows", "providers", "alerts"];

async fn connect(keyed: &Keyed, proof: &Proof) -> Option<Ws> {
    let headers = proof.headers();
    let headers: Vec<(&'static str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Ws::connect_with(keyed.api.at, &headers).await.ok()
}

/// The word of the answer to an operation: `subscribed`, or the kind of the problem.
async fn word(ws: &mut Ws, number: u64, more: &Value) -> String {
    let mut operation = json!({"op": "subscribe", "id": number, "network": "ethereum"});
    operation.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    ws.send(&operation).await;
    loop {
        let frame = ws.frame().await;
        if frame["id"] != json!(number) {
            continue;
        }
        if frame["type"] == "subscribed" {
            ws.send(&json!({"op": "unsubscribe", "id": number})).await;
            return "subscribed".to_owned();
        }
        if frame["problem"].is_object() {
            let kind = frame["problem"]["type"].as_str().expect("a kind");
            return kind.trim_start_matches("/problems/").to_owned();
        }
    }
}

/// Everything that may be asked, with what becomes of it for who reads chains; alerts want a scope of their own besides.
fn asked() -> Vec<(Value, &'static str)> {
    let mut all: Vec<(Value, &str)> = TOPICS.iter().map(|topic| (json!({"topics": [topic]}), "subscribed")).collect();
    all.push((json!({"topics": TOPICS}), "subscribed"));
    for filter in [
        json!({"contract": SHARED}),
        json!({"address": SHARED}),
        json!({"status": "failed"}),
        json!({"method": "0xa9059cbb"}),
        json!({"after": 0}),
    ] {
        let mut operation = json!({"topics": ["transactions"]});
        operation.as_object_mut().expect("an object").extend(filter.as_object().expect("an object").clone());
        all.push((operation, "subscribed"));
    }
    // Windows of a contract are told to who has it, and nobody here has any.
    all.push((json!({"topics": ["windows"], "contract": NOBODYS}), "no-such-thing"));
    all.push((json!({"topics": ["nonsense"]}), "invalid-operation"));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_topic_and_filter_by_everybody() {
    let rate_limit = Rate { requests: 1_000_000, per: Duration::from_secs(60) };
    let auth = Auth { mode: AuthMode::Accounts, ..Auth::default() };
    let set = |config| Config { auth, rate_limit, ..config };
    let keyed = Keyed::start_in(Mode::Accounts, &["ethereum"], set).await;
    keyed.second_tenant().await;
    let (mut tried, mut wrong) = (0, Vec::new());
    for somebody in everybody(&keyed, Mode::Accounts).await {
        let may = |resource| somebody.may.is_some_and(|may| may.scopes.allows(resource, Allowed::Read));
        let mut ws = match (connect(&keyed, &somebody.proof).await, may(Resource::Chains)) {
            (Some(ws), true) => ws,
            (None, false) => continue,
            (opened, _) => {
                wrong.push(format!("{}: opened: {}", somebody.name, opened.is_some()));
                continue;
            }
        };
        for (number, (operation, expected)) in (1..).zip(asked()) {
            let alerts = operation["topics"].as_array().is_some_and(|topics| topics.contains(&json!("alerts")));
            let expected = if alerts && !may(Resource::Alerts) { "forbidden" } else { expected };
            let said = word(&mut ws, number, &operation).await;
            if said != expected {
                wrong.push(format!("{operation} by {}: {said}, not {expected}", somebody.name));
            }
            tried += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tried >= 150, "{tried}");
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_another_organisation_comes_over_a_socket() {
    let twins = Twins::start().await;
    // What was told before is not told again without a cursor.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let mut sockets = Vec::new();
    for proof in [&twins.one.owner, &twins.one.key, &twins.other.owner] {
        let mut ws = connect(&twins.keyed, proof).await.expect("opens");
        ws.send(&json!({"op": "subscribe", "id": 1, "topics": ["alerts"]})).await;
        assert_eq!(ws.frame().await["type"], "subscribed");
        sockets.push(ws);
    }
    // Windows of a contract that another has and windows of one that nobody has are one answer; each has its own.
    for (address, expected) in [(THEIRS, "no-such-thing"), (NOBODYS, "no-such-thing"), (SHARED, "subscribed")] {
        let mut ws = connect(&twins.keyed, &twins.one.owner).await.expect("opens");
        let said = word(&mut ws, 2, &json!({"topics": ["windows"], "contract": address})).await;
        assert_eq!(said, expected, "{address}");
    }
    let mut ws = connect(&twins.keyed, &twins.other.owner).await.expect("opens");
    assert_eq!(word(&mut ws, 2, &json!({"topics": ["windows"], "contract": THEIRS})).await, "subscribed");
    let here = network("ethereum");
    let alert = id(5);
    twins.keyed.world.tell(&here, &fired(twins.other.id, &alert)).await;
    let frame = sockets[2].frame().await;
    assert_eq!((&frame["type"], &frame["data"]["id"]), (&json!("alert"), &json!(alert)), "{frame}");
    for ws in &mut sockets[..2] {
        assert!(ws.quiet(700).await, "another's alert is not told");
    }
    // Nor by another's cursor, which is of the same log.
    let cursor = frame["cursor"].clone();
    twins.keyed.world.tell(&here, &fired(twins.other.id, &id(4))).await;
    let mut ws = connect(&twins.keyed, &twins.one.owner).await.expect("opens");
    ws.send(&json!({"op": "subscribe", "id": 1, "topics": ["alerts"], "alerts_after": cursor})).await;
    assert_eq!(ws.frame().await["type"], "subscribed");
    assert!(ws.quiet(700).await, "another's alert is not told");
    twins.keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_end_within_five_seconds_when_their_organisation_is_shut_out() {
    let auth = Auth { mode: AuthMode::Accounts, ..Auth::default() };
    let keyed = Keyed::start_in(Mode::Accounts, &[], |config| Config { auth, ..config }).await;
    keyed.second_tenant().await;
    let people = People { keyed: &keyed };
    let owner = people.person(1, Role::Owner, SECOND).await;
    let begun = people.begin(&owner).await;
    let key = people.key(&begun.who, Scopes::ALL).await;
    let mut sockets = Vec::new();
    for proof in [people.token(&owner).await, Proof::cookie(&begun), Proof::key(&key)] {
        sockets.push(connect(&keyed, &proof).await.expect("opens"));
    }
    let home = keyed.key(&["*:read"]).await;
    let mut stays = connect(&keyed, &Proof::key(&home)).await.expect("opens");
    keyed.sql(&format!("UPDATE tenants SET suspended_at = 1 WHERE tenant_id = '{SECOND}'")).await;
    let begun = Instant::now();
    for ws in &mut sockets {
        let closed = tokio::time::timeout(Duration::from_secs(10), ws.next()).await.expect("it ends");
        assert!(matches!(closed, Err(Closed::With(1008))), "{closed:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    stays.send(&json!({"op": "ping"})).await;
    assert_eq!(stays.frame().await["type"], "pong", "others go on");
    keyed.api.stop().await;
}

//! Two organisations that look alike: the same names, the same addresses, the same invitation, one of each thing in both.

use std::time::Duration;

use api::Config;
use control::{Mode, Role, Scopes};
use runtime::config::{Auth, AuthMode, Rate};
use schemas::records::DeliveryState;
use serde_json::{Value, json};

use super::{
    super::{Keyed, accounts::SECOND},
    callers::{People, Proof},
};
use crate::{
    alerts::{delivery, fired, id, network},
    created::definitions::one_of_each,
    http,
};

/// Not that of the operator, whose id is zeros, which stand in other texts too.
const FIRST: &str = "01J00000000000000000000005";
/// What both have under the same address.
pub const SHARED: &str = "0xabcdef0000000000000000000000000000000001";
/// What the other alone has.
pub const THEIRS: &str = "0xabcdef0000000000000000000000000000000002";
/// What nobody has.
pub const NOBODYS: &str = "0xabcdef0000000000000000000000000000000003";

/// An organisation, and what it has.
pub struct Twin {
    pub id: &'static str,
    /// Its owner, by session.
    pub owner: Proof,
    /// A key of its owner that may everything.
    pub key: Proof,
    /// What the routes below a path name, with its id.
    pub things: Vec<(&'static str, String)>,
    pub export: String,
}

pub struct Twins {
    pub keyed: Keyed,
    pub one: Twin,
    pub other: Twin,
}

impl Twin {
    /// All of its ids that no other may ever see.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.things.iter().map(|(_, id)| id.as_str()).chain([self.export.as_str(), self.id])
    }
}

impl Twins {
    pub async fn start() -> Self {
        let rate_limit = Rate { requests: 1_000_000, per: Duration::from_secs(60) };
        let auth = Auth { mode: AuthMode::Accounts, ..Auth::default() };
        let set = |config| Config { auth, rate_limit, ..config };
        let mut keyed = Keyed::start_in(Mode::Accounts, &["ethereum", "mantle"], set).await;
        keyed.world.start_sink().await;
        keyed.second_tenant().await;
        keyed.operator.add_tenant(&FIRST.parse().expect("an id"), "first", "second").await.expect("added");
        let one = make(&keyed, FIRST, 1).await;
        let other = make(&keyed, SECOND, 2).await;
        let more = json!({"network": "ethereum", "address": THEIRS, "name": "more"});
        let twins = Self { keyed, one, other };
        assert_eq!(twins.send("POST", "/api/v1/contracts", &twins.other.owner, &more).await.status, 201);
        twins
    }

    pub async fn get(&self, target: &str, proof: &Proof) -> http::Answer {
        send(&self.keyed, "GET", target, proof, b"").await
    }

    pub async fn send(&self, method: &str, target: &str, proof: &Proof, body: &Value) -> http::Answer {
        send(&self.keyed, method, target, proof, body.to_string().as_bytes()).await
    }
}

async fn send(keyed: &Keyed, method: &str, target: &str, proof: &Proof, body: &[u8]) -> http::Answer {
    send_once(keyed, method, target, proof, body, None).await
}

async fn send_once(
    keyed: &Keyed,
    method: &str,
    target: &str,
    proof: &Proof,
    body: &[u8],
    once: Option<&str>,
) -> http::Answer {
    let proof = proof.headers();
    let mut headers = vec![("Content-Type", "application/json"), ("If-Match", "*")];
    headers.extend(once.map(|key| ("Idempotency-Key", key)));
    headers.extend(proof.iter().map(|(name, value)| (*name, value.as_str())));
    http::exchange(keyed.api.at, method, target, &headers, body).await
}

/// An organisation with one of everything.
async fn make(keyed: &Keyed, organisation: &'static str, number: u32) -> Twin {
    let people = People { keyed };
    let user = people.person(number, Role::Owner, organisation).await;
    let begun = people.begin(&user).await;
    let (owner, key) = (people.token(&user).await, Proof::key(&people.key(&begun.who, Scopes::ALL).await));
    let member = people.person(100 + number, Role::Viewer, organisation).await;
    let session = begun.session.id.to_string();
    let identity = format!(
        "INSERT INTO identities (issuer, subject, user_id, created_at) VALUES ('https://id.example', 's{number}', '{user}', 1)"
    );
    keyed.sql(&identity).await;
    let identity = keyed.operator.control().identities_of(&user).await.expect("identities").remove(0).id;
    let mut things = vec![
        ("/api/v1/organisations", organisation.to_owned()),
        ("/api/v1/platform/organisations", organisation.to_owned()),
        ("/api/v1/auth/sessions", session),
        ("/api/v1/auth/identities", identity),
        ("/api/v1/members", member.to_string()),
    ];
    let mut new = vec![
        ("/api/v1/contracts", json!({"network": "ethereum", "address": SHARED, "name": "one"})),
        ("/api/v1/keys", json!({"name": "one", "scopes": ["chains:read"]})),
        ("/api/v1/members", json!({"email": "guest@example.org", "role": "viewer"})),
    ];
    new.extend(one_of_each());
    for (list, new) in new {
        let new = new.to_string().replace("\"a\"", "\"ethereum\"");
        // One key of idempotency in both, which is not the same request.
        let made = send_once(keyed, "POST", list, &owner, new.as_bytes(), Some(list)).await;
        assert_eq!(made.status, 201, "{list}: {}", made.text());
        things.push((list, made.json()["id"].as_str().expect("an id").to_owned()));
    }
    let export = send(keyed, "POST", &format!("/api/v1/organisations/{organisation}/export"), &owner, b"{}").await;
    assert_eq!(export.status, 202, "{}", export.text());
    let export = export.json()["id"].as_str().expect("an id").to_owned();
    // What the stage of alerts would say: an alert, and a message that failed.
    let (alert, message) = (id(10 + i64::from(number)), id(20 + i64::from(number)));
    let here = network("ethereum");
    keyed.world.tell(&here, &fired(organisation, &alert)).await;
    let mut of_alert = delivery(organisation, &message, Some(&alert), 1, DeliveryState::Failed);
    let channel = things.iter().find(|(list, _)| list.ends_with("/channels")).expect("a channel").1.clone();
    of_alert.channel_id = channel;
    keyed.world.tell(&here, &of_alert).await;
    for (list, id) in [("/api/v1/alerts", alert), ("/api/v1/deliveries", message)] {
        let path = format!("{list}/{id}");
        let begun = std::time::Instant::now();
        while send(keyed, "GET", &path, &owner, b"").await.status != 200 {
            assert!(begun.elapsed() < Duration::from_secs(30), "{path} is not there");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        things.push((list, id));
    }
    Twin { id: organisation, owner, key, things, export }
}

//! Plans at the door: how much a tenant asks, whatever keys it has, and what it is told of that.

use std::time::{Duration, Instant};

use control::{Authenticated, Caller, Networks, NewKey, Scopes};
use runtime::config::Plan;
use schemas::Quota;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Error;

use super::Keyed;
use crate::ws::Ws;

const TXS: &str = "/api/v1/txs";
const USAGE: &str = "/api/v1/usage";
/// A condition is waited for so long.
const DEADLINE: Duration = Duration::from_secs(30);

fn plan(name: &str, maxima: &[(Quota, u64)]) -> Plan {
    Plan { name: name.to_owned(), maxima: maxima.iter().copied().collect() }
}

/// An API over a file with these plans.
async fn start(plans: &[Plan]) -> (Keyed, watch::Sender<Vec<Plan>>) {
    let file = watch::Sender::new(plans.to_vec());
    let said = file.subscribe();
    let keyed = Keyed::start_with(&["a"], |config| api::Config { plans: said, ..config }).await;
    // The API puts them too, once it has begun: whoever is second changes nothing.
    keyed.operator.control().put_plans(plans).await.expect("put");
    (keyed, file)
}

async fn key_in(keyed: &Keyed, who: &Authenticated) -> String {
    let scopes = Scopes::read(&["*:*"]).expect("scopes");
    let new = NewKey { name: "test".to_owned(), scopes, networks: Networks::All, expires_in: None };
    let key = keyed.operator.control().create_key(Caller::here(who), new).await.expect("a key");
    key.text.expose().to_owned()
}

async fn quota(keyed: &Keyed, key: &str, name: &str) -> Value {
    let answer = keyed.ask("GET", USAGE, key).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let quotas = answer.json()["quotas"].as_array().expect("a list").clone();
    quotas.into_iter().find(|quota| quota["name"] == name).expect("every quota is there")
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_keys_share_its_minute_and_another_tenant_has_its_own() {
    let (keyed, file) = start(&[plan("default", &[(Quota::RequestsPerMinute, 4)]), plan("free", &[])]).await;
    let (home, second) = (keyed.operator.at_home(), keyed.second_tenant().await);
    let (one, two) = (key_in(&keyed, &home).await, key_in(&keyed, &home).await);
    let other = key_in(&keyed, &second).await;
    for (key, left) in [(&one, "3"), (&two, "2"), (&one, "1"), (&two, "0")] {
        let answer = keyed.ask("GET", TXS, key).await;
        assert_eq!((answer.status, answer.header("ratelimit-remaining")), (200, Some(left)));
        assert_eq!(answer.header("ratelimit-limit"), Some("4"));
    }
    for key in [&one, &two] {
        let refused = keyed.ask("GET", TXS, key).await;
        assert_eq!((refused.status, refused.json()["type"].as_str()), (429, Some("/problems/rate-limited")));
        let wait: u64 = refused.header("retry-after").and_then(|v| v.parse().ok()).expect("when");
        assert!((1..=15).contains(&wait), "{wait}");
        assert_eq!((refused.header("ratelimit-limit"), refused.header("ratelimit-remaining")), (Some("4"), Some("0")));
    }
    assert_eq!(keyed.ask("GET", TXS, &other).await.status, 200, "another tenant");
    let used = quota(&keyed, &other, "requests_per_minute").await;
    assert_eq!((&used["limit"], &used["used"]), (&json!(4), &json!(2)));
    assert!(used["resets_at"].is_string(), "{used}");
    // Another plan holds within seconds.
    keyed.operator.control().set_plan(Caller::here(&home), "free").await.expect("set");
    until("the plan holds", async || keyed.ask("GET", TXS, &one).await.status == 200).await;
    drop(file);
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_ends_where_the_plan_says_and_is_told() {
    let (keyed, _file) = start(&[plan("default", &[(Quota::RequestsPerDay, 5)])]).await;
    let key = key_in(&keyed, &keyed.operator.at_home()).await;
    for n in 1..=4 {
        assert_eq!(keyed.ask("GET", TXS, &key).await.status, 200, "{n}");
    }
    let used = quota(&keyed, &key, "requests_per_day").await;
    assert_eq!((&used["limit"], &used["used"]), (&json!(5), &json!(5)));
    let refused = keyed.ask("GET", TXS, &key).await;
    assert_eq!((refused.status, refused.header("ratelimit-limit")), (429, Some("5")));
    let wait: u64 = refused.header("retry-after").and_then(|v| v.parse().ok()).expect("when");
    assert!((1..=86_400).contains(&wait), "{wait}");
    keyed.api.stop().await;
}

/// What is counted is written down: once when it is flushed, and all of it when the service is told to stop.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_is_written_down_once() {
    let (keyed, _file) = start(&[]).await;
    let home = keyed.operator.at_home();
    let key = key_in(&keyed, &home).await;
    let written = async || {
        let (_, all) = keyed.operator.control().usage(home.tenant()).await.expect("usage");
        all.iter().find(|used| used.quota == Quota::RequestsPerDay).expect("it is there").used
    };
    for _ in 0..10 {
        assert_eq!(keyed.ask("GET", TXS, &key).await.status, 200);
    }
    until("it is flushed", async || written().await == 10).await;
    tokio::time::sleep(schemas::limits::quotas::FLUSH_EVERY + Duration::from_secs(1)).await;
    assert_eq!(written().await, 10, "not again");
    // What is refused before somebody is known is nobody's.
    assert_eq!(keyed.ask("GET", TXS, "hw_nothing").await.status, 401);
    let used = quota(&keyed, &key, "requests_per_day").await;
    assert_eq!((&used["limit"], &used["used"]), (&Value::Null, &json!(11)));
    let Keyed { api, operator, .. } = keyed;
    api.stop().await;
    let (_, all) = operator.control().usage(home.tenant()).await.expect("usage");
    assert_eq!(all.iter().find(|used| used.quota == Quota::RequestsPerDay).expect("it is there").used, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_plan_gives_is_refused_by_name() {
    let (keyed, _file) = start(&[plan("default", &[(Quota::Contracts, 1), (Quota::Sockets, 1)])]).await;
    let key = key_in(&keyed, &keyed.operator.at_home()).await;
    let contract = |n: u64| json!({"network": "a", "address": format!("0x{n:040x}"), "name": "c"}).to_string();
    let made = keyed.send("POST", "/api/v1/contracts", &key, &[], &contract(1)).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let refused = keyed.send("POST", "/api/v1/contracts", &key, &[], &contract(2)).await;
    assert_eq!((refused.status, refused.json()["type"].as_str()), (403, Some("/problems/quota-exceeded")));
    assert!(refused.json()["detail"].as_str().is_some_and(|words| words.contains("1 contracts")));
    let used = quota(&keyed, &key, "contracts").await;
    assert_eq!((&used["limit"], &used["used"], &used["resets_at"]), (&json!(1), &json!(1), &Value::Null));
    let (authorization, at) = (format!("Bearer {key}"), keyed.api.at);
    let connect = async || Ws::connect_with(at, &[("authorization", authorization.as_str())]).await;
    let first = connect().await.expect("one may be");
    let Err(Error::Http(refused)) = connect().await else { panic!("a second one is refused") };
    assert_eq!(refused.status().as_u16(), 403);
    drop(first);
    until("its place is free again", async || connect().await.is_ok()).await;
    keyed.api.stop().await;
}

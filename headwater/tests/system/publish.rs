//! What changes in the control store reaches the topics of the real binary (rule 34), whatever it is killed in: between row and outbox,
//! outbox and topic, topic and mark.

use std::{collections::BTreeMap, process::Command, time::Duration};

use ::control::{Authenticated, Caller, ContractPatch, Expected, Id, NewContract, Operator, Paging};
use loadtest::node::evm::{Clock, Config, Dataset, spawn};
use runtime::config::{Control as Settings, ControlPlace};
use serde_json::Value;

use crate::common::{Headwater, Net, binary, seeded};

/// How often the process is killed.
const KILLS: u64 = 6;

/// A topic's keys with the values that they have last; what was removed has none. No revision ever falls.
fn topic(headwater: &Headwater, name: &str) -> Option<BTreeMap<String, Value>> {
    let output = Command::new(binary()).args(["tail", name, "--config"]).arg(&headwater.config).output().expect("tail");
    // It is starting, or ending.
    if !output.status.success() {
        return None;
    }
    let mut newest: BTreeMap<String, Value> = BTreeMap::new();
    let mut revisions: BTreeMap<String, u64> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).expect("text").lines() {
        let mut record: Value = serde_json::from_str(line).expect("JSON");
        assert!(record["error"].is_null(), "{record}");
        let key = record["key"].as_str().expect("a key").to_owned();
        let value = record["value"].take();
        // Removals have one too.
        if let Some(revision) = record["headers"]["revision"].as_str().and_then(|n| n.parse().ok()) {
            let known = revisions.entry(key.clone()).or_default();
            assert!(revision >= *known, "{key}: an older row, {revision} behind {known}");
            *known = revision;
        }
        newest.insert(key, value);
    }
    newest.retain(|_, value| !value.is_null());
    Some(newest)
}

/// Names of a tenant's contracts and their addresses, by the keys that their rows have in the topic.
async fn rows(operator: &Operator, who: &Authenticated) -> (BTreeMap<String, String>, Vec<String>) {
    let paging = Paging { limit: Some(500), ..Paging::default() };
    let page = operator.control().contracts(who.tenant(), None, &paging).await.expect("contracts");
    let names =
        page.items.iter().map(|c| (format!("{}/contract/{}", who.tenant().id(), c.id), c.name.clone())).collect();
    let mut watched: Vec<String> = page.items.iter().map(|c| format!("watched/{}/{}", c.network, c.address)).collect();
    watched.sort();
    (names, watched)
}

async fn change(operator: &Operator, who: &Authenticated, random: &mut fastrand::Rng, made: &mut Vec<Id>, n: &mut u64) {
    let (control, by) = (operator.control(), Caller::here(who));
    match random.u64(..4) {
        0 | 1 if made.len() > 2 => {
            *n += 1;
            let patch = ContractPatch { name: Some(format!("name {n}")), ..ContractPatch::default() };
            let id = made[random.usize(..made.len())];
            control.patch_contract(by, &id, &Expected::Any, &patch).await.expect("changed");
        }
        2 if made.len() > 2 => {
            let id = made.swap_remove(random.usize(..made.len()));
            control.delete_contract(by, &id, &Expected::Any).await.expect("removed");
        }
        _ => {
            *n += 1;
            let address = format!("0x{n:040x}");
            let (network, name) = ("eth".to_owned(), format!("contract {n}"));
            let new = NewContract { network, address, name, labels: Vec::new(), abi: None };
            made.push(control.create_contract(by, &new, None).await.expect("made").made.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_it_is_killed_in_the_topics_end_with_the_present_rows() {
    let mut random = seeded("publisher's kill test");
    let data = Dataset::embedded("ethereum").expect("embedded data");
    let node = spawn(Config { clock: Clock::Manual, ..Config::new(data) }).await.expect("simulator");
    let mut headwater = Headwater::new(&[Net::of("eth", &node)]);
    let settings = Settings {
        place: ControlPlace::Sqlite(headwater.data().join("control/control.db")),
        secret: None,
        former_secret: None,
    };
    // Another process than the one that publishes: nothing wakes that one.
    let operator = Operator::open(&settings, "test").await.expect("the control store");
    let who = operator.at_home();
    let (mut made, mut n) = (Vec::new(), 0);
    for life in 0..KILLS {
        headwater.start();
        // Around the moment when it begins to publish, which is looked for in the first life.
        let until = match life {
            0 => None,
            _ => Some(std::time::Instant::now() + Duration::from_millis(500 + random.u64(..4_000))),
        };
        loop {
            change(&operator, &who, &mut random, &mut made, &mut n).await;
            tokio::time::sleep(Duration::from_millis(random.u64(..80))).await;
            assert!(headwater.ended().is_none(), "ended by itself in life {life}:\n{}", headwater.said());
            let over = match until {
                Some(until) => std::time::Instant::now() >= until,
                None => headwater.said().contains("publishes what changes in the control store"),
            };
            if over {
                break;
            }
        }
        headwater.kill();
        // And while nobody publishes.
        change(&operator, &who, &mut random, &mut made, &mut n).await;
    }
    headwater.start();
    let (names, watched) = rows(&operator, &who).await;
    assert_eq!(names.len(), made.len());
    headwater
        .until("the present rows in the topics", async |h| {
            let (tenants, config) = (topic(h, "control.tenants")?, topic(h, "control.config")?);
            let of = |value: &Value| value["name"].as_str().expect("a name").to_owned();
            let there: BTreeMap<String, String> = tenants.iter().map(|(key, value)| (key.clone(), of(value))).collect();
            let addresses: Vec<String> = config.into_keys().filter(|key| key.starts_with("watched/")).collect();
            (there == names && addresses == watched).then_some(())
        })
        .await;
    let config = topic(&headwater, "control.config").expect("it runs");
    assert!(config.contains_key("network/eth"), "what ingest recorded stays: {config:?}");
    operator.control().close().await;
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}

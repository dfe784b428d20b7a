//! Alerts end to end: chain → rule or monitor → message, over forks and kills, seen by a receiver of webhooks.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::State, http::HeaderMap, routing::post};
use loadtest::{
    chaos_alerts::{self, ChaosAlerts},
    node::{
        anvil::Anvil,
        evm::{Clock, Config, Dataset, Simulator, spawn},
    },
};
use serde_json::{Value, json};

use crate::common::{Headwater, Net, binary, cluster::servers, number};

/// A message as it came.
#[derive(Debug, Clone)]
struct Message {
    id: String,
    kind: String,
    alert: Value,
}

/// Takes every webhook and answers 200.
struct Receiver {
    address: std::net::SocketAddr,
    got: Arc<Mutex<Vec<Message>>>,
}

impl Receiver {
    async fn start() -> Self {
        let got: Arc<Mutex<Vec<Message>>> = Arc::default();
        async fn take(State(got): State<Arc<Mutex<Vec<Message>>>>, headers: HeaderMap, body: String) {
            let body: Value = serde_json::from_str(&body).expect("JSON");
            let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).expect("an id").to_owned();
            let kind = body["type"].as_str().expect("a type").to_owned();
            got.lock().expect("no panic").push(Message { id, kind, alert: body["data"]["alert"].clone() });
        }
        let app = Router::new().route("/hook", post(take)).with_state(got.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, got }
    }

    fn got(&self) -> Vec<Message> {
        self.got.lock().expect("no panic").clone()
    }
}

/// A configuration that may send to this receiver.
fn headwater(networks: &[Net], receiver: &Receiver) -> Headwater {
    let headwater = Headwater::new(networks);
    let mut text = std::fs::read_to_string(&headwater.config).expect("read");
    text += &format!("[alerts]\nallow_targets = [\"{}\"]\nsettle = \"5s\"\n", receiver.address);
    std::fs::write(&headwater.config, text).expect("write");
    headwater
}

/// Makes a thing, once the control plane answers; its id.
async fn make(headwater: &mut Headwater, kind: &str, body: Value) -> String {
    let http = reqwest::Client::new();
    let made = headwater
        .until(&format!("a new {kind}"), async |headwater: &Headwater| {
            let url = format!("{}/api/v1/{kind}", headwater.api);
            let answer = http.post(url).json(&body).send().await.ok()?;
            let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap_or_default());
            assert!(status == 201 || status >= 500, "{status} {text}");
            (status == 201).then(|| serde_json::from_str::<Value>(&text).expect("JSON"))
        })
        .await;
    made["id"].as_str().expect("an id").to_owned()
}

async fn hook(headwater: &mut Headwater, receiver: &Receiver) -> String {
    let url = format!("http://{}/hook", receiver.address);
    make(headwater, "channels", json!({"name": "hook", "type": "webhook", "config": {"url": url}, "per_hour": 1000}))
        .await
}

/// Waits for a message about an alert.
async fn message(headwater: &mut Headwater, receiver: &Receiver, kind: &str, of: impl Fn(&Value) -> bool) -> Message {
    let found = |_: &Headwater| receiver.got().into_iter().find(|m| m.kind == kind && of(&m.alert));
    headwater.until(kind, async |headwater: &Headwater| found(headwater)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_told_a_fork_takes_it_back_on_the_same_thread_and_the_next_block_includes_it_again() {
    let Some(anvil) = Anvil::start(runtime::cache::folder().as_deref()) else { return };
    let receiver = Receiver::start().await;
    let net = Net { slug: "anvil", chain_id: 31_337, start: "0".into(), url: anvil.url(), ws: Some(anvil.ws_url()) };
    let mut headwater = headwater(&[net], &receiver);
    headwater.start();
    let channel = hook(&mut headwater, &receiver).await;
    let monitor = json!({
        "name": "Failures", "network": "anvil", "group_by": ["transaction"], "channels": [channel],
        "match_conditions": {"transactions": [{"status": "Failure"}]}
    });
    let monitor = make(&mut headwater, "monitors", monitor).await;
    // The stages hear of it within moments.
    tokio::time::sleep(Duration::from_secs(3)).await;

    // A contract whose code is `PUSH0 PUSH0 REVERT`, and a call of it, which fails. All of it is fixed, so that the same transaction can come again.
    let created = anvil.send(None, "0x625f5ffd5f526003601df3").await;
    let from = anvil.call("eth_accounts", json!([])).await[0].clone();
    let nonce = anvil.call("eth_getTransactionCount", json!([from, "latest"])).await;
    let fails = json!([{
        "from": from, "to": created["contractAddress"], "gas": "0x30d40", "nonce": nonce, "value": "0x0", "data": "0x12345678",
        "maxFeePerGas": "0x12a05f200", "maxPriorityFeePerGas": "0x3b9aca00"
    }]);
    let hash = anvil.call("eth_sendTransaction", fails.clone()).await;
    assert_eq!(anvil.receipt(&hash).await["status"], "0x0");
    let is_of = |alert: &Value| alert["evidence"]["matches"][0]["transaction_hash"] == hash;
    let fired = message(&mut headwater, &receiver, "alert.firing", is_of).await;
    let thread = fired.alert["id"].as_str().expect("an id").to_owned();
    assert_eq!((&fired.alert["source"]["id"], &fired.alert["network"]), (&json!(monitor), &json!("anvil")));

    // The monitor is edited meanwhile; the fork takes back what the former one told.
    let url = format!("{}/api/v1/monitors/{monitor}", headwater.api);
    let http = reqwest::Client::new();
    let tag = http.get(&url).send().await.expect("an answer").headers()["etag"].clone();
    let edited = http.patch(&url).header("if-match", tag).json(&json!({"severity": "critical"})).send().await;
    assert!(edited.expect("an answer").status().is_success());
    tokio::time::sleep(Duration::from_secs(2)).await;
    anvil.call("anvil_reorg", json!([3, []])).await;
    anvil.call("evm_mine", json!([])).await;
    let is_thread = |alert: &Value| alert["id"] == thread.as_str();
    message(&mut headwater, &receiver, "alert.retracted", is_thread).await;

    // The very same transaction, in the new branch.
    let again = anvil.call("eth_sendTransaction", fails).await;
    assert_eq!(again, hash);
    anvil.receipt(&hash).await;
    message(&mut headwater, &receiver, "alert.included_again", is_thread).await;
    let told: Vec<String> = receiver.got().into_iter().filter(|m| is_thread(&m.alert)).map(|m| m.kind).collect();
    assert_eq!(told.iter().filter(|kind| *kind == "alert.firing").count(), 1, "{told:?}");
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}

async fn simulator(data: &str) -> Arc<Simulator> {
    let data = Dataset::embedded(data).expect("embedded data");
    Arc::new(spawn(Config { clock: Clock::Manual, ..Config::new(data) }).await.expect("simulator"))
}

/// Ten kills, over the embedded log or over Kafka: every failed transaction that the chain has at the end was told, and stands, every other that
/// was told was taken back, and each message came under one id, again only where it was refused or somebody was killed.
#[allow(clippy::print_stderr)]
async fn ten_kills_lose_no_alert_and_double_none(servers: Option<(String, String)>) {
    let (kafka, registry) = servers.unzip();
    let chaos = ChaosAlerts {
        kills: 10,
        seed: std::env::var("HEADWATER_SEED").ok().and_then(|seed| seed.parse().ok()),
        embedded: kafka.is_none(),
        kafka,
        registry,
        release_binary: Some(binary().into()),
        services: Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services"),
        keep: false,
    };
    let report = chaos_alerts::report(&chaos, &mut |line| eprintln!("{line}")).await.unwrap_or_else(|e| panic!("{e}"));
    eprintln!("{report}");
    assert!(report.failed > 10 && report.counts.retracted > 0, "the test shows too little: {report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_over_the_embedded_log_lose_no_alert_and_double_none() {
    ten_kills_lose_no_alert_and_double_none(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_over_kafka_lose_no_alert_and_double_none() {
    let Some(servers) = servers("ten_kills_over_kafka_lose_no_alert_and_double_none") else { return };
    ten_kills_lose_no_alert_and_double_none(Some(servers)).await;
}

/// A rule over recorded blocks fires once, with the numbers that SQL counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_over_recorded_blocks_fires_once_with_the_numbers_of_the_rows() {
    let (node, receiver) = (simulator("ethereum").await, Receiver::start().await);
    let mut headwater = headwater(&[Net::of("eth", &node)], &receiver);
    headwater.start();
    let channel = hook(&mut headwater, &receiver).await;
    let rule = json!({
        "name": "Failures", "network": "eth", "metric": "failed", "operator": ">=", "threshold": 1, "window": "1m",
        "channels": [channel]
    });
    make(&mut headwater, "rules", rule).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let fired = async |headwater: &mut Headwater| {
        for _ in 0..40 {
            node.advance(1).expect("advance");
            let head = node.canonical(node.head()..=node.head()).remove(0);
            headwater.until_visible("eth", &head.hash.to_string()).await;
            let until = tokio::time::Instant::now() + Duration::from_secs(2);
            while tokio::time::Instant::now() < until {
                if let Some(fired) = receiver.got().into_iter().find(|m| m.kind == "alert.firing") {
                    return fired;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        panic!("nothing fires:\n{}", headwater.said());
    };
    let fired = fired(&mut headwater).await;
    let evidence = &fired.alert["evidence"];
    let height = evidence["height"].as_u64().expect("a height");
    let sql = format!(
        "SELECT count() AS n, countIf(status = 'failed') AS f FROM transactions WHERE network = 'eth' AND height IN
            (SELECT number FROM blocks WHERE network = 'eth' AND number <= {height} AND timestamp >
                (SELECT max(timestamp) - INTERVAL 1 MINUTE FROM blocks WHERE network = 'eth' AND number = {height}))"
    );
    let rows = headwater.query(&sql).await.expect("rows");
    let counted = (number(&rows[0], "n"), number(&rows[0], "f"));
    let told = (evidence["transactions"].as_u64().expect("a count"), evidence["failed"].as_u64().expect("a count"));
    assert_eq!(told, counted, "{evidence}");
    for _ in 0..5 {
        node.advance(1).expect("advance");
    }
    let head = node.canonical(node.head()..=node.head()).remove(0);
    headwater.until_visible("eth", &head.hash.to_string()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let firing =
        receiver.got().iter().filter(|m| m.kind == "alert.firing").map(|m| m.id.clone()).collect::<BTreeSet<_>>();
    assert_eq!(firing.len(), 1, "once per cause");
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}

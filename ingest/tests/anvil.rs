//! The stage against a real node: anvil with live blocks, a failing transaction, reorgs. `scripts/fetch-anvil` provides it;
//! without it (and outside CI) the test says so and passes over.

mod common;

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use common::{Stage, config, open, read_chain, trace, wait_for_state, wait_for_tip};
use ingest::Start;
use schemas::records::{NetworkState, Payload};
use serde_json::{Value, json};

/// Where `scripts/fetch-anvil` puts it.
fn binary() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    let cache = std::env::var_os("HEADWATER_CACHE").map(PathBuf::from).or_else(|| {
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".cache")));
        Some(base?.join("headwater"))
    })?;
    Some(cache.join("anvil/1.7.1/anvil")).filter(|p| p.exists())
}

struct Anvil {
    child: Child,
    port: u16,
    http: reqwest::Client,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Anvil {
    fn start(binary: &PathBuf) -> Self {
        let mut child = Command::new(binary)
            .args(["--port", "0", "--block-time", "1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("anvil starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = lines.find(|l| l.as_ref().is_ok_and(|l| l.contains("Listening on"))).expect("a port").unwrap();
        let port = listening.trim().rsplit(':').next().unwrap().parse().unwrap();
        // The pipe is read on, so that anvil never blocks on it.
        std::thread::spawn(move || lines.for_each(drop));
        let _ = rustls_provider();
        Self { child, port, http: reqwest::Client::new() }
    }
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
    fn ws(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }
    async fn call(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer: Value = self.http.post(self.url()).json(&body).send().await.unwrap().json().await.unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }
    async fn head(&self) -> (u64, String) {
        let head = self.call("eth_getBlockByNumber", json!(["latest", false])).await;
        let number = u64::from_str_radix(&head["number"].as_str().unwrap()[2..], 16).unwrap();
        (number, head["hash"].as_str().unwrap().to_owned())
    }
    /// Hashes of the canonical chain, from block 0 on.
    async fn chain(&self) -> Vec<(u64, String)> {
        let mut chain = Vec::new();
        for height in 0..=self.head().await.0 {
            let block = self.call("eth_getBlockByNumber", json!([format!("0x{height:x}"), false])).await;
            chain.push((height, block["hash"].as_str().unwrap().to_owned()));
        }
        chain
    }
}

/// The HTTP client of the tests wants a TLS provider even for plain HTTP; making a node's client installs it.
fn rustls_provider() -> Option<()> {
    let endpoint = config("http://127.0.0.1:1", None, 1, Start::Latest).networks.pop()?.endpoints.pop()?;
    nodes::evm::EvmClient::new(endpoint, nodes::evm::Checks::OFF, ingest::Tuning::default()).ok().map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follows_a_real_node_through_failures_and_reorgs() {
    trace();
    let Some(binary) = binary() else {
        assert!(std::env::var_os("CI").is_none(), "anvil is missing; scripts/fetch-anvil fetches it");
        eprintln!("SKIPPED: anvil is missing; get it with scripts/fetch-anvil");
        return;
    };
    let anvil = Anvil::start(&binary);
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let ws = anvil.ws();
    let stage = Stage::start(config(&anvil.url(), Some(&ws), 31_337, Start::Height(0)), log.clone());
    wait_for_state(&*log, NetworkState::Live).await;

    // A payment, a contract whose code is `PUSH0 PUSH0 REVERT`, and a call that fails.
    let accounts = anvil.call("eth_accounts", json!([])).await;
    let (from, to) = (accounts[0].clone(), accounts[1].clone());
    let pay = anvil.call("eth_sendTransaction", json!([{"from": from, "to": to, "value": "0x1"}])).await;
    let code = "0x625f5ffd5f526003601df3";
    let create = anvil.call("eth_sendTransaction", json!([{"from": from, "data": code, "gas": "0x30d40"}])).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let receipt = anvil.call("eth_getTransactionReceipt", json!([create])).await;
    let contract = receipt["contractAddress"].clone();
    let fail = anvil.call("eth_sendTransaction", json!([{"from": from, "to": contract, "gas": "0x30d40"}])).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;

    let (height, hash) = anvil.head().await;
    let chain = wait_for_tip_or_later(&log, &anvil, height, hash).await;
    let status = |hash: &Value| {
        let all = chain.transactions.values().flatten();
        let found = all.filter_map(|t| match &t.payload {
            Payload::Transaction(t) if Some(t.hash.to_string().as_str()) == hash.as_str() => t.receipt_status,
            _ => None,
        });
        found.collect::<Vec<_>>()
    };
    assert_eq!((status(&pay), status(&create), status(&fail)), (vec![1], vec![1], vec![0]));

    for depth in [1, 3, 5] {
        anvil.call("anvil_reorg", json!([depth, []])).await;
        anvil.call("evm_mine", json!([])).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let (height, hash) = anvil.head().await;
    let chain = wait_for_tip_or_later(&log, &anvil, height, hash).await;
    assert!(chain.reverts >= 1 + 3 + 5, "{} reverts", chain.reverts);
    let truth = anvil.chain().await;
    let held = chain.hashes();
    assert_eq!(held[..], truth[..held.len()]);
    stage.stop().await;
    assert_eq!(read_chain(&*log).await.remaining, 0);
}

/// The node goes on by itself: its head of now, or a later one.
async fn wait_for_tip_or_later(
    log: &runtime::log::embedded::EmbeddedLog,
    anvil: &Anvil,
    height: u64,
    hash: String,
) -> common::Chain {
    for _ in 0..100 {
        let chain = read_chain(log).await;
        if chain.hashes().contains(&(height, hash.clone())) {
            return chain;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (now, there) = anvil.head().await;
    wait_for_tip(log, now, &there).await
}

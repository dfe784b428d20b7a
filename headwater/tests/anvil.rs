//! `headwater up` on a real EVM node (`anvil`): live blocks, a failing transaction, a reorg, seen through REST and SQL.
//! `scripts/fetch-anvil` provides it; without it (and outside CI) the test says so and passes over.

mod common;

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use common::{Headwater, Net, text};
use serde_json::{Value, json};

fn anvil_binary() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = var("HEADWATER_CACHE")
        .or_else(|| var("XDG_CACHE_HOME").map(|c| c.join("headwater")))
        .or_else(|| var("HOME").map(|h| h.join(".cache/headwater")))?;
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
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let listening =
            lines.find(|l| l.as_ref().is_ok_and(|l| l.contains("Listening on"))).expect("a line").expect("text");
        let port = listening.trim().rsplit(':').next().expect("a port").parse().expect("a number");
        // The pipe is read on, so that anvil never blocks on it.
        std::thread::spawn(move || lines.for_each(drop));
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { child, port, http: reqwest::Client::new() }
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let url = format!("http://127.0.0.1:{}", self.port);
        let answer: Value = self.http.post(url).json(&body).send().await.expect("sent").json().await.expect("JSON");
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    async fn block(&self, at: &str) -> Value {
        self.call("eth_getBlockByNumber", json!([at, false])).await
    }

    /// The receipt, once the transaction is mined.
    async fn receipt(&self, hash: &Value) -> Value {
        loop {
            let receipt = self.call("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                return receipt;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_node_is_followed_through_a_failure_and_reorgs() {
    let Some(binary) = anvil_binary() else {
        assert!(std::env::var_os("CI").is_none(), "anvil is missing; scripts/fetch-anvil fetches it");
        eprintln!("SKIPPED: anvil is missing; get it with scripts/fetch-anvil");
        return;
    };
    let anvil = Anvil::start(&binary);
    let mut headwater = Headwater::new(&[Net {
        slug: "anvil",
        chain_id: 31_337,
        start: "0".into(),
        url: format!("http://127.0.0.1:{}", anvil.port),
        ws: Some(format!("ws://127.0.0.1:{}", anvil.port)),
    }]);
    headwater.start();

    // A contract whose code is `PUSH0 PUSH0 REVERT`, and a call of it, which fails.
    let from = anvil.call("eth_accounts", json!([])).await[0].clone();
    let code = "0x625f5ffd5f526003601df3";
    let create = anvil.call("eth_sendTransaction", json!([{"from": from, "data": code, "gas": "0x30d40"}])).await;
    let contract = anvil.receipt(&create).await["contractAddress"].clone();
    let fail = anvil.call("eth_sendTransaction", json!([{"from": from, "to": contract, "gas": "0x30d40"}])).await;
    let receipt = anvil.receipt(&fail).await;
    headwater.until_visible("anvil", receipt["blockHash"].as_str().expect("a hash")).await;
    let failed = headwater.get("/txs?network=anvil&status=failed").await.expect("transactions");
    let items = failed["items"].as_array().expect("items");
    assert_eq!(items.len(), 1, "{failed}");
    assert_eq!((&items[0]["hash"], &items[0]["to"]), (&fail, &contract));

    for depth in [1, 3] {
        anvil.call("anvil_reorg", json!([depth, []])).await;
        anvil.call("evm_mine", json!([])).await;
    }
    // Mining stops, so that the node's chain and ours can be compared.
    anvil.call("evm_setIntervalMining", json!([0])).await;
    let head = anvil.block("latest").await;
    headwater.until_visible("anvil", head["hash"].as_str().expect("a hash")).await;
    let rows = headwater.query("SELECT number, hash FROM blocks WHERE network = 'anvil' ORDER BY number").await;
    for (height, row) in rows.expect("blocks").iter().enumerate() {
        let block = anvil.block(&format!("0x{height:x}")).await;
        assert_eq!(json!(text(row, "hash")), block["hash"], "block {height}");
    }
    common::expected::assert_gapless(&headwater, "anvil").await;
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}

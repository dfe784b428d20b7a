//! Foundry's `anvil`: a real EVM node that mines and reorganises on command, for tests. `scripts/fetch-anvil` provides it.
//!
//! Its methods panic: who tests with it can do nothing else with a node that does not answer.

use super::fetched::fetched;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The version that `scripts/fetch-anvil` fetches.
const VERSION: &str = "1.7.1";
/// One request, and how long a receipt may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// A node of chain 31337 that mines a block every second; ended when dropped.
pub struct Anvil {
    child: Child,
    port: u16,
    http: reqwest::Client,
}

impl Anvil {
    /// Starts the one in the cache folder. `None`, said loudly, where it was not fetched.
    ///
    /// # Panics
    /// When it does not start, and in CI when it is not there.
    #[must_use]
    pub fn start(cache: Option<&Path>) -> Option<Self> {
        let binary = cache.map(|cache| cache.join("anvil").join(VERSION).join("anvil")).filter(|path| path.exists());
        let binary = fetched(binary, "anvil", "fetch-anvil")?;
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
        // A second installation fails, and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(DEADLINE).build().expect("a client");
        Some(Self { child, port, http })
    }

    /// JSON-RPC over HTTP.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// JSON-RPC over WebSocket.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// The result of a call.
    ///
    /// # Panics
    /// When it is an error.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.http.post(self.url()).json(&body).send().await.expect("sent");
        let mut answer: Value = answer.json().await.expect("JSON");
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    /// A block without its transactions: `latest`, or a height as `0x…`.
    ///
    /// # Panics
    /// When the node does not answer.
    pub async fn block(&self, at: &str) -> Value {
        self.call("eth_getBlockByNumber", json!([at, false])).await
    }

    /// Sends a transaction from the node's first account, which makes a contract where `to` is none; its receipt.
    ///
    /// # Panics
    /// When it does not succeed.
    pub async fn send(&self, to: Option<&str>, data: &str) -> Value {
        let from = self.call("eth_accounts", json!([])).await[0].take();
        let mut transaction = json!({"from": from, "data": data, "gas": "0x1e8480"});
        if let Some(to) = to {
            transaction["to"] = json!(to);
        }
        let hash = self.call("eth_sendTransaction", json!([transaction])).await;
        let receipt = self.receipt(&hash).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    }

    /// The receipt, once the transaction is mined.
    ///
    /// # Panics
    /// When it is not mined in time.
    pub async fn receipt(&self, hash: &Value) -> Value {
        let waiting = async {
            loop {
                let receipt = self.call("eth_getTransactionReceipt", json!([hash])).await;
                if !receipt.is_null() {
                    return receipt;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.expect("mined in time")
    }

    /// Height and hash of the newest block.
    ///
    /// # Panics
    /// When the node does not answer.
    pub async fn head(&self) -> (u64, String) {
        let head = self.block("latest").await;
        let number = head["number"].as_str().and_then(|n| u64::from_str_radix(n.trim_start_matches("0x"), 16).ok());
        (number.expect("a height"), head["hash"].as_str().expect("a hash").to_owned())
    }

    /// Heights and hashes of the canonical chain, from block 0 on.
    ///
    /// # Panics
    /// When the node does not answer.
    pub async fn chain(&self) -> Vec<(u64, String)> {
        let mut chain = Vec::new();
        for height in 0..=self.head().await.0 {
            let block = self.block(&format!("0x{height:x}")).await;
            chain.push((height, block["hash"].as_str().expect("a hash").to_owned()));
        }
        chain
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! What the tests of the simulated node share: a real HTTP client and the recorded blocks of this crate.
#![allow(dead_code, reason = "each test binary uses a part")]

use loadtest::node::evm::{Clock, Config, Dataset, Endpoint, EndpointConfig, Simulator, spawn};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub fn folder(chain: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/evm").join(chain)
}

pub fn data(chain: &str) -> Dataset {
    Dataset::from_dir(folder(chain)).expect("recorded blocks")
}

/// A node without a clock, with `history` blocks beyond the first.
pub async fn manual(chain: &str, history: u64) -> Simulator {
    spawn(Config { clock: Clock::Manual, history, ..Config::new(data(chain)) }).await.expect("a simulated node")
}

/// A node as [`manual`], with one more endpoint, written as on the command line.
pub async fn beside(chain: &str, history: u64, endpoint: &str) -> (Simulator, Arc<Endpoint>) {
    let settings: EndpointConfig = endpoint.parse().expect(endpoint);
    let name = settings.name.clone();
    let config = Config { clock: Clock::Manual, history, endpoints: vec![settings], ..Config::new(data(chain)) };
    let node = spawn(config).await.expect("a simulated node");
    let endpoint = node.endpoint(&name).expect("there");
    (node, endpoint)
}

pub fn client() -> reqwest::Client {
    // A second installation fails, and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(Duration::from_secs(60)).build().expect("a client")
}

pub async fn post(url: &str, body: &Value) -> Value {
    client().post(url).json(body).send().await.expect("an answer").json().await.expect("JSON")
}

/// The whole answer to one call.
pub async fn answer(url: &str, method: &str, params: Value) -> Value {
    post(url, &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})).await
}

/// The result of one call.
pub async fn call(url: &str, method: &str, params: Value) -> Value {
    let mut answer = answer(url, method, params).await;
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].take()
}

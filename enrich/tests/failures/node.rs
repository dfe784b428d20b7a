//! A server that answers questions about failed transactions as a node does: slowly, refusing or not at all, as it is told.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{Address, B256, U256, hex};
use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

pub const CHAIN_ID: u64 = 31_337;

/// What the node has, and how it behaves.
#[derive(Default)]
pub struct Chain {
    /// Failed transactions: their block, who they call, and the text that they revert with.
    pub failed: Mutex<HashMap<B256, (B256, Address, String)>>,
    /// Milliseconds before a trace is given.
    pub slow: AtomicU64,
    /// It answers no request at all (503).
    pub away: AtomicBool,
    /// It has no traces, and no calls.
    pub refuses: AtomicBool,
    /// Its head, where it is behind: it knows no block above. 0: it has all.
    pub head: AtomicU64,
    /// Questions about transactions and blocks.
    pub asked: AtomicUsize,
}

pub struct Node {
    pub chain: Arc<Chain>,
    at: SocketAddr,
    _runs: AbortOnDropHandle<()>,
}

impl Node {
    pub async fn start() -> Self {
        let chain = Arc::new(Chain::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let routes = Router::new().route("/", post(answer)).with_state(chain.clone());
        let serving = async move { axum::serve(listener, routes).await.expect("served") };
        Self { chain, at, _runs: AbortOnDropHandle::new(tokio::spawn(serving)) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    pub fn asked(&self) -> usize {
        self.chain.asked.load(Ordering::SeqCst)
    }

    pub fn be_slow(&self, by: Duration) {
        self.chain.slow.store(by.as_millis() as u64, Ordering::SeqCst);
    }

    /// It knows nothing above this height; `None`: it has everything again. Blocks of tests have their heights for hashes.
    pub fn be_behind(&self, head: Option<u64>) {
        self.chain.head.store(head.unwrap_or_default(), Ordering::SeqCst);
    }

    pub fn be_away(&self, away: bool) {
        self.chain.away.store(away, Ordering::SeqCst);
    }
}

impl Chain {
    fn head(&self) -> Option<u64> {
        Some(self.head.load(Ordering::SeqCst)).filter(|head| *head > 0)
    }

    /// What is said of a block or transaction above the head where the node is behind, in words or as nothing.
    fn unknown(&self, method: &str, of: Option<B256>) -> Option<Option<String>> {
        let (head, of) = (self.head()?, of?);
        let block = self.failed.lock().expect("alone").get(&of).map_or(of, |(block, ..)| *block);
        if U256::from_be_bytes(block.0) <= U256::from(head) {
            return None;
        }
        match method {
            "debug_traceTransaction" => Some(Some("transaction not found".into())),
            "debug_traceBlockByHash" => Some(Some(format!("block {of:#x} not found"))),
            "eth_getTransactionReceipt" | "eth_getBlockByHash" => Some(None),
            _ => None,
        }
    }
}

async fn answer(State(chain): State<Arc<Chain>>, Json(body): Json<Value>) -> Result<Json<Value>, StatusCode> {
    if chain.away.load(Ordering::SeqCst) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    match body {
        Value::Array(all) => {
            let mut answers = Vec::new();
            for one in all {
                answers.push(one_answer(&chain, &one).await);
            }
            Ok(Json(Value::Array(answers)))
        }
        one => Ok(Json(one_answer(&chain, &one).await)),
    }
}

async fn one_answer(chain: &Chain, question: &Value) -> Value {
    let method = question["method"].as_str().unwrap_or_default();
    if method.starts_with("debug_") {
        chain.asked.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(chain.slow.load(Ordering::SeqCst))).await;
    }
    let of: Option<B256> = question["params"][0].as_str().and_then(|hash| hash.parse().ok());
    if let Some(unknown) = chain.unknown(method, of) {
        return match unknown {
            None => json!({"jsonrpc": "2.0", "id": question["id"], "result": null}),
            Some(said) => {
                json!({"jsonrpc": "2.0", "id": question["id"], "error": {"code": -32000, "message": said}})
            }
        };
    }
    let result = match (method, of) {
        ("eth_getBlockByNumber", _) => {
            let head = chain.head().unwrap_or(1_000);
            let hash = |height: u64| B256::from(U256::from(height));
            Some(json!({
                "number": format!("{head:#x}"), "hash": hash(head), "parentHash": hash(head - 1), "timestamp": format!("{head:#x}"),
            }))
        }
        ("eth_chainId", _) => Some(json!(format!("{CHAIN_ID:#x}"))),
        ("eth_blockNumber", _) => Some(json!("0x3e8")),
        _ if chain.refuses.load(Ordering::SeqCst) => None,
        ("debug_traceTransaction", Some(hash)) => {
            let failed = chain.failed.lock().expect("alone");
            failed.get(&hash).map(|(_, to, text)| trace(*to, text))
        }
        ("debug_traceBlockByHash", Some(block)) => {
            let failed = chain.failed.lock().expect("alone");
            let of_it = failed.iter().filter(|(_, (of, ..))| *of == block);
            Some(of_it.map(|(hash, (_, to, text))| json!({"txHash": hash, "result": trace(*to, text)})).collect())
        }
        ("eth_getTransactionReceipt", Some(hash)) => {
            let failed = chain.failed.lock().expect("alone");
            failed.get(&hash).map(|(block, ..)| {
                json!({"blockHash": block, "transactionHash": hash, "status": "0x0", "blockNumber": "0x1", "transactionIndex": "0x0"})
            })
        }
        _ => None,
    };
    match result {
        Some(result) => json!({"jsonrpc": "2.0", "id": question["id"], "result": result}),
        None => {
            let error =
                json!({"code": -32601, "message": format!("the method {method} does not exist/is not available")});
            json!({"jsonrpc": "2.0", "id": question["id"], "error": error})
        }
    }
}

/// A trace of a call that reverts with a text.
fn trace(to: Address, text: &str) -> Value {
    let mut output = hex!("08c379a0").to_vec();
    output.extend(B256::with_last_byte(0x20));
    output.extend(B256::with_last_byte(u8::try_from(text.len()).expect("short")));
    output.extend(text.as_bytes());
    output.resize(4 + 64 + text.len().div_ceil(32) * 32, 0);
    json!({
        "type": "CALL", "from": Address::repeat_byte(9), "to": to, "value": "0x0", "gas": "0x7530", "gasUsed": "0x5208",
        "input": "0xa9059cbb", "output": hex::encode_prefixed(output), "error": "execution reverted", "revertReason": text,
    })
}

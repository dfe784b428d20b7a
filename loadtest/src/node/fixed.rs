//! A node that serves given blocks as they are and answers differently where a test says so: real nodes' oddities, over HTTP
//! and WebSocket.
//!
//! Guarantee: what no [`Quirk`] touches is the JSON that was given, hashes and odd fields included; heights without a block are
//! `null`; every call is noted with the batch in which it came. What belongs to every simulated chain (forks on order, speed,
//! faults by chance) is the simulator's, [`super::evm`].

use std::{
    collections::BTreeMap,
    io::{Error, ErrorKind},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy_primitives::keccak256;
use axum::{
    Router,
    body::Bytes,
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use schemas::limits::simulator as limits;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::broadcast, task::JoinHandle};

/// A block and its receipts, as a node gives them.
#[derive(Clone, Debug, Deserialize)]
pub struct Pair {
    /// `eth_getBlockByNumber(…, true)`.
    pub block: Value,
    /// `eth_getBlockReceipts(…)`.
    pub receipts: Vec<Value>,
}

impl Pair {
    /// Its height.
    #[must_use]
    pub fn height(&self) -> u64 {
        quantity(&self.block["number"]).unwrap_or_default()
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> String {
        self.block["hash"].as_str().unwrap_or_default().to_owned()
    }
}

/// The blocks of `data/cases/NAME/blocks.json`, lowest first.
///
/// # Errors
/// When the file is not there or is no list of blocks with receipts.
pub fn recorded(name: &str) -> Result<Vec<Pair>, Error> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/cases").join(name).join("blocks.json");
    let text = std::fs::read(&path).map_err(|e| Error::new(e.kind(), format!("{}: {e}", path.display())))?;
    serde_json::from_slice(&text).map_err(|e| Error::new(ErrorKind::InvalidData, format!("{}: {e}", path.display())))
}

/// Blocks with the content of `content` (again from its beginning when it is used up) at these heights, each the parent of the
/// next; the first's parent is `below`, where one is given. Another `salt` is another chain. Hashes of blocks and transactions do
/// not follow from their content, so this is for chains of which that is not asked.
#[must_use]
pub fn stacked(content: &[Pair], heights: &[u64], below: Option<&str>, salt: u64) -> Vec<Pair> {
    let name = |height: u64| keccak256([salt.to_be_bytes(), height.to_be_bytes()].concat()).to_string();
    let mut parent = below.map_or_else(|| name(u64::MAX), str::to_owned);
    let mut chain = Vec::with_capacity(heights.len());
    for (height, pair) in heights.iter().zip(content.iter().cycle()) {
        let (number, hash) = (format!("{height:#x}"), name(*height));
        let mut pair = pair.clone();
        pair.block["number"] = json!(number);
        pair.block["hash"] = json!(hash);
        pair.block["parentHash"] = json!(std::mem::replace(&mut parent, hash.clone()));
        pair.block["timestamp"] = json!(format!("{:#x}", 1_700_000_000 + height * 2));
        let of_block = |item: &mut Value, field: &str, index: usize| {
            item["blockNumber"] = json!(number);
            item["blockHash"] = json!(hash);
            item[field] = json!(keccak256(format!("{hash} {index}")));
        };
        for (index, transaction) in pair.block["transactions"].as_array_mut().into_iter().flatten().enumerate() {
            of_block(transaction, "hash", index);
        }
        for (index, receipt) in pair.receipts.iter_mut().enumerate() {
            of_block(receipt, "transactionHash", index);
            for log in receipt["logs"].as_array_mut().into_iter().flatten() {
                of_block(log, "transactionHash", index);
            }
        }
        chain.push(pair);
    }
    chain
}

/// One call, as a quirk sees it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method.
    pub method: String,
    /// Parameters.
    pub params: Vec<Value>,
    /// Calls in the batch in which it came; `None` for a single call.
    pub batch: Option<usize>,
}

impl Asked {
    /// The height that was asked for, where the first parameter is one.
    #[must_use]
    pub fn height(&self) -> Option<u64> {
        quantity(self.params.first()?)
    }

    /// Whether it asks for this method.
    #[must_use]
    pub fn is(&self, method: &str) -> bool {
        self.method == method
    }
}

/// What is answered in the place of the truth.
#[derive(Clone, Debug)]
pub enum Reply {
    /// This result.
    Result(Value),
    /// A JSON-RPC error: code, message, data.
    Error(i64, String, Value),
    /// The whole HTTP answer, whatever else was asked: status and body.
    Http(u16, String),
    /// In a batch: no answer to this call.
    Omitted,
}

impl Reply {
    /// A JSON-RPC error without data.
    #[must_use]
    pub fn error(code: i64, message: &str) -> Self {
        Self::Error(code, message.to_owned(), Value::Null)
    }
}

/// What the node does otherwise: the call, and the result that would be true (`null` where there is none).
pub type Quirk = Box<dyn Fn(&Asked, &Value) -> Option<Reply> + Send>;

struct Inner {
    chain_id: u64,
    blocks: BTreeMap<u64, Pair>,
    finalized: Option<u64>,
    quirks: Vec<Quirk>,
    calls: Vec<Asked>,
}

struct Shared {
    inner: Mutex<Inner>,
    pushed: broadcast::Sender<Value>,
}

/// A running node of fixed blocks. Dropping it ends it.
pub struct FixedNode {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl FixedNode {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn spawn(chain_id: u64, blocks: Vec<Pair>) -> Result<Self, Error> {
        let blocks = blocks.into_iter().map(|pair| (pair.height(), pair)).collect();
        let inner = Inner { chain_id, blocks, finalized: None, quirks: Vec::new(), calls: Vec::new() };
        let shared = Arc::new(Shared { inner: Mutex::new(inner), pushed: broadcast::channel(limits::HEADS_BEHIND).0 });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let app = Router::new().route("/", post(rpc).merge(get(upgrade))).with_state(shared.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the node of fixed blocks ended");
            }
        });
        Ok(Self { addr, shared, task })
    }

    /// JSON-RPC over HTTP.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// JSON-RPC over a WebSocket.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.addr)
    }

    /// Adds a quirk; the newest that has an answer gives it.
    pub fn quirk(&self, quirk: impl Fn(&Asked, &Value) -> Option<Reply> + Send + 'static) {
        self.shared.lock().quirks.push(Box::new(quirk));
    }

    /// From now on it tells the truth.
    pub fn behave(&self) {
        self.shared.lock().quirks.clear();
    }

    /// Replaces everything from the lowest of these heights on.
    pub fn replace(&self, blocks: Vec<Pair>) {
        if let Some(lowest) = blocks.iter().map(Pair::height).min() {
            self.replace_from(lowest, blocks);
        }
    }

    /// Replaces everything from this height on.
    pub fn replace_from(&self, height: u64, blocks: Vec<Pair>) {
        let mut inner = self.shared.lock();
        inner.blocks.split_off(&height);
        inner.blocks.extend(blocks.into_iter().map(|pair| (pair.height(), pair)));
    }

    /// Sets what `safe` and `finalized` give; at first they are `null`.
    pub fn finalize(&self, height: Option<u64>) {
        self.shared.lock().finalized = height;
    }

    /// Its blocks, lowest first.
    #[must_use]
    pub fn blocks(&self) -> Vec<Pair> {
        self.shared.lock().blocks.values().cloned().collect()
    }

    /// Every call so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Asked> {
        self.shared.lock().calls.clone()
    }

    /// How often a method was asked for so far.
    #[must_use]
    pub fn count(&self, method: &str) -> usize {
        self.shared.lock().calls.iter().filter(|asked| asked.is(method)).count()
    }

    /// Sends this as a new head to everybody who subscribed; returns how many that are.
    pub fn push(&self, head: Value) -> usize {
        self.shared.pushed.send(head).unwrap_or(0)
    }
}

impl Drop for FixedNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a body: status and text.
    fn answer(&self, body: &[u8]) -> (u16, String) {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return (400, "no JSON".into()) };
        let (calls, batch) = match &body {
            Value::Array(calls) => (calls.as_slice(), Some(calls.len())),
            call => (std::slice::from_ref(call), None),
        };
        let mut inner = self.lock();
        let mut answers = Vec::with_capacity(calls.len());
        for call in calls {
            let asked = Asked {
                method: call["method"].as_str().unwrap_or_default().to_owned(),
                params: call["params"].as_array().cloned().unwrap_or_default(),
                batch,
            };
            let truth = inner.truth(&asked);
            inner.calls.push(asked.clone());
            let told = truth.as_ref().unwrap_or(&Value::Null);
            let reply = inner.quirks.iter().rev().find_map(|quirk| quirk(&asked, told));
            let id = &call["id"];
            answers.push(match (reply, truth) {
                (Some(Reply::Http(status, body)), _) => return (status, body),
                (Some(Reply::Omitted), _) => continue,
                (Some(Reply::Error(code, message, data)), _) => {
                    let mut error = json!({"code": code, "message": message});
                    if !data.is_null() {
                        error["data"] = data;
                    }
                    json!({"jsonrpc": "2.0", "id": id, "error": error})
                }
                (Some(Reply::Result(result)), _) | (None, Some(result)) => {
                    json!({"jsonrpc": "2.0", "id": id, "result": result})
                }
                (None, None) => {
                    let message = format!("the method {} does not exist/is not available", asked.method);
                    json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": message}})
                }
            });
        }
        let answer = if batch.is_some() { Value::Array(answers) } else { answers.pop().unwrap_or_default() };
        (200, answer.to_string())
    }
}

impl Inner {
    /// The true result; `None` for a method that it does not have.
    fn truth(&self, asked: &Asked) -> Option<Value> {
        let first = asked.params.first().unwrap_or(&Value::Null);
        let highest = self.blocks.keys().next_back().copied();
        let found = || {
            let height = match first.as_str()? {
                "latest" | "pending" => highest?,
                "safe" | "finalized" => self.finalized?,
                "earliest" => *self.blocks.keys().next()?,
                _ => quantity(first)?,
            };
            self.blocks.get(&height)
        };
        Some(match asked.method.as_str() {
            "eth_chainId" => json!(format!("{:#x}", self.chain_id)),
            "eth_blockNumber" => json!(format!("{:#x}", highest.unwrap_or_default())),
            "eth_getBlockByNumber" => found().map_or(Value::Null, |pair| {
                let mut block = pair.block.clone();
                if asked.params.get(1) != Some(&Value::Bool(true)) {
                    block["transactions"].as_array_mut().into_iter().flatten().for_each(|t| *t = t["hash"].take());
                }
                block
            }),
            "eth_getBlockReceipts" => found().map_or(Value::Null, |pair| Value::Array(pair.receipts.clone())),
            "eth_getTransactionReceipt" => {
                let mut receipts = self.blocks.values().rev().flat_map(|pair| &pair.receipts);
                receipts.find(|receipt| receipt["transactionHash"] == *first).cloned().unwrap_or_default()
            }
            _ => return None,
        })
    }
}

fn quantity(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

async fn rpc(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let (status, body) = shared.answer(&body);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn upgrade(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| session(shared, socket))
}

/// One WebSocket: `eth_subscribe` counts from here on, everything else is answered as over HTTP.
async fn session(shared: Arc<Shared>, mut socket: WebSocket) {
    const ID: &str = "0x1";
    let mut pushed: Option<broadcast::Receiver<Value>> = None;
    loop {
        let next = async {
            match &mut pushed {
                Some(heads) => heads.recv().await,
                None => std::future::pending().await,
            }
        };
        let frame = tokio::select! {
            head = next => match head {
                Ok(head) => json!({"jsonrpc": "2.0", "method": "eth_subscription",
                    "params": {"subscription": ID, "result": head}}).to_string(),
                Err(_) => return,
            },
            message = socket.recv() => {
                let Some(Ok(Message::Text(text))) = message else {
                    if matches!(message, Some(Ok(Message::Ping(_) | Message::Pong(_)))) {
                        continue;
                    }
                    return;
                };
                let call: Value = serde_json::from_str(&text).unwrap_or_default();
                if call["method"] == "eth_subscribe" {
                    pushed = Some(shared.pushed.subscribe());
                    json!({"jsonrpc": "2.0", "id": call["id"], "result": ID}).to_string()
                } else {
                    shared.answer(text.as_bytes()).1
                }
            }
        };
        let sent = tokio::time::timeout(Duration::from_secs(30), socket.send(Message::Text(frame.into()))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

//! A small node on loopback: five sealed blocks of a chain, JSON-RPC over HTTP and WebSocket, and whatever fault a test wants.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_tungstenite::tungstenite::{
    Message,
    handshake::server::{Request, Response},
};

/// Height of the first block.
pub const FIRST: u64 = 20_000_000;
/// Chain id of the blocks.
pub const CHAIN: u64 = 999;

/// What a node does with a call.
pub enum Reply {
    /// A result.
    Result(Value),
    /// An error object.
    Error(Value),
    /// A whole HTTP answer, status line and all; the connection is closed behind it.
    Raw(String),
    /// These bytes, one each 50 ms.
    Drip(String),
    /// Nothing, ever.
    Hang,
    /// The answer, later.
    Late(Duration, Value),
    /// The connection is closed.
    Close,
}

/// A fault: what becomes of a method's answer.
pub type Twist = dyn Fn(&str, &Value, Value) -> Reply + Send + Sync;

/// What becomes of the answers of a batch.
pub type Spoil = fn(Vec<Value>) -> Value;

/// A node.
pub struct Node {
    blocks: Vec<Value>,
    head: watch::Sender<usize>,
    twist: Mutex<Arc<Twist>>,
    calls: Mutex<BTreeMap<String, usize>>,
    /// `authorization` of the last handshake and the last request.
    pub authorization: Mutex<(Option<String>, Option<String>)>,
    /// Calls that a batch may have.
    pub batch: AtomicUsize,
    /// Whether the connection is closed on a batch.
    pub closes: AtomicBool,
    /// What becomes of the answers of a batch, and how many batches were answered.
    pub spoils: Mutex<Option<Spoil>>,
    pub batches: AtomicUsize,
    last: AtomicUsize,
    subscribers: AtomicUsize,
    pub http: String,
    pub ws: String,
}

pub fn blocks() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/cases/response-too-big/blocks.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Answers as they are.
pub fn honest(_: &str, _: &Value, answer: Value) -> Reply {
    Reply::Result(answer)
}

impl Node {
    /// A node whose head is the block at this place.
    pub async fn start(head: usize) -> Arc<Self> {
        Self::with(blocks(), head).await
    }

    /// One with other blocks.
    pub async fn with(blocks: Vec<Value>, head: usize) -> Arc<Self> {
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ws = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = Arc::new(Self {
            blocks,
            head: watch::channel(head).0,
            twist: Mutex::new(Arc::new(honest)),
            calls: Mutex::default(),
            authorization: Mutex::default(),
            batch: AtomicUsize::new(usize::MAX),
            closes: AtomicBool::new(false),
            spoils: Mutex::new(None),
            batches: AtomicUsize::new(0),
            last: AtomicUsize::new(0),
            subscribers: AtomicUsize::new(0),
            http: format!("http://{}", http.local_addr().unwrap()),
            ws: format!("ws://{}", ws.local_addr().unwrap()),
        });
        let served = node.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = http.accept().await {
                let node = served.clone();
                tokio::spawn(async move { node.http(socket).await });
            }
        });
        let served = node.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = ws.accept().await {
                let node = served.clone();
                tokio::spawn(async move { node.socket(socket).await });
            }
        });
        node
    }

    pub fn twist(&self, twist: impl Fn(&str, &Value, Value) -> Reply + Send + Sync + 'static) {
        *self.twist.lock().unwrap() = Arc::new(twist);
    }

    pub fn grow(&self, head: usize) {
        self.head.send_replace(head);
    }

    /// Subscriptions that it has taken.
    pub fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    /// Calls of a method so far.
    pub fn calls(&self, method: &str) -> usize {
        self.calls.lock().unwrap().get(method).copied().unwrap_or_default()
    }

    /// Calls of every method since this was asked last.
    pub fn taken(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn header(&self, place: usize) -> Value {
        let mut block = self.blocks[place]["block"].clone();
        let hashes = block["transactions"].as_array().unwrap().iter().map(|t| t["hash"].clone()).collect();
        block["transactions"] = Value::Array(hashes);
        block
    }

    /// The block's place, by number, tag or hash.
    fn place(&self, at: &Value) -> Option<usize> {
        let head = *self.head.borrow();
        let text = at.as_str()?;
        match text {
            "latest" => Some(head),
            "safe" | "finalized" => Some(0),
            hash if hash.len() == 66 => (0..=head).find(|i| self.blocks[*i]["block"]["hash"] == *hash),
            number => {
                let number = u64::from_str_radix(number.trim_start_matches("0x"), 16).ok()?;
                let wanted = serde_json::json!(format!("0x{number:x}"));
                (0..=head).find(|i| self.blocks[*i]["block"]["number"] == wanted)
            }
        }
    }

    fn answer(&self, method: &str, params: &Value) -> Value {
        let place = self.place(&params[0]);
        match method {
            "eth_chainId" => json!(format!("0x{CHAIN:x}")),
            "eth_getBlockByNumber" | "eth_getBlockByHash" => place.map_or(Value::Null, |place| {
                self.last.store(place, Ordering::Relaxed);
                if params[1] == json!(true) { self.blocks[place]["block"].clone() } else { self.header(place) }
            }),
            "eth_getBlockReceipts" => place.map_or(Value::Null, |place| self.blocks[place]["receipts"].clone()),
            "eth_getTransactionReceipt" => {
                // Some transactions stand in several of the blocks: that of the block that was asked for last.
                let last = self.last.load(Ordering::Relaxed);
                let order = std::iter::once(last).chain(0..self.blocks.len());
                let mut all = order.flat_map(|i| self.blocks[i]["receipts"].as_array().unwrap());
                all.find(|r| r["transactionHash"] == params[0]).cloned().unwrap_or(Value::Null)
            }
            other => panic!("{other} is not known here"),
        }
    }

    fn reply(&self, call: &Value) -> Reply {
        let (method, params) = (call["method"].as_str().unwrap(), &call["params"]);
        *self.calls.lock().unwrap().entry(method.to_owned()).or_default() += 1;
        let twist = self.twist.lock().unwrap().clone();
        twist(method, params, self.answer(method, params))
    }

    async fn http(self: Arc<Self>, socket: TcpStream) -> Option<()> {
        let mut socket = BufReader::new(socket);
        loop {
            let (mut line, mut length, mut authorization) = (String::new(), 0, None);
            while socket.read_line(&mut line).await.ok()? > 2 {
                if let Some((name, value)) = line.split_once(':') {
                    match name.to_ascii_lowercase().as_str() {
                        "content-length" => length = value.trim().parse().unwrap(),
                        "authorization" => authorization = Some(value.trim().to_owned()),
                        _ => {}
                    }
                }
                line.clear();
            }
            if length == 0 {
                return None;
            }
            self.authorization.lock().unwrap().1 = authorization;
            let mut body = vec![0; length];
            socket.read_exact(&mut body).await.ok()?;
            let question: Value = serde_json::from_slice(&body).unwrap();
            let calls = question.as_array().cloned().unwrap_or_else(|| vec![question.clone()]);
            if question.is_array() && self.closes.load(Ordering::Relaxed) {
                return None;
            }
            if question.is_array() && calls.len() > self.batch.load(Ordering::Relaxed) {
                let body = r#"{"message":"Batch of more than 3 requests are not allowed on free tier","code":31}"#;
                let head = format!("HTTP/1.1 500 Internal Server Error\r\ncontent-length: {}\r\n\r\n", body.len());
                socket.get_mut().write_all((head + body).as_bytes()).await.ok()?;
                continue;
            }
            let mut answers = Vec::new();
            for call in &calls {
                let answer = |key: &str, value: Value| json!({"jsonrpc": "2.0", "id": call["id"], key: value});
                match self.reply(call) {
                    Reply::Result(value) => answers.push(answer("result", value)),
                    Reply::Error(value) => answers.push(answer("error", value)),
                    Reply::Late(wait, value) => {
                        tokio::time::sleep(wait).await;
                        answers.push(answer("result", value));
                    }
                    Reply::Raw(raw) => {
                        socket.get_mut().write_all(raw.as_bytes()).await.ok()?;
                        return None;
                    }
                    Reply::Drip(raw) => {
                        for byte in raw.into_bytes() {
                            socket.get_mut().write_all(&[byte]).await.ok()?;
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                        return None;
                    }
                    Reply::Hang => std::future::pending().await,
                    Reply::Close => return None,
                }
            }
            let spoils = *self.spoils.lock().unwrap();
            self.batches.fetch_add(usize::from(question.is_array()), Ordering::Relaxed);
            let body = match spoils {
                _ if !question.is_array() => answers.remove(0),
                Some(spoil) => spoil(answers),
                None => json!(answers),
            }
            .to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
            socket.get_mut().write_all((head + &body).as_bytes()).await.ok()?;
        }
    }

    #[expect(clippy::result_large_err, reason = "the handshake's refusal is what the library says it is")]
    async fn socket(self: Arc<Self>, socket: TcpStream) -> Option<()> {
        let heard = |request: &Request, response: Response| {
            let value = request.headers().get("authorization").and_then(|v| v.to_str().ok()).map(str::to_owned);
            self.authorization.lock().unwrap().0 = value;
            Ok(response)
        };
        let mut socket = tokio_tungstenite::accept_hdr_async(socket, heard).await.ok()?;
        let mut head = self.head.subscribe();
        let mut subscribed = false;
        loop {
            tokio::select! {
                message = socket.next() => {
                    let Message::Text(text) = message?.ok()? else { continue };
                    let call: Value = serde_json::from_str(&text).unwrap();
                    let answer = json!({"jsonrpc": "2.0", "id": call["id"], "result": "0x1"});
                    socket.send(Message::text(answer.to_string())).await.ok()?;
                    subscribed = true;
                    self.subscribers.fetch_add(1, Ordering::Relaxed);
                }
                Ok(()) = head.changed() => {
                    let place = *head.borrow_and_update();
                    if subscribed {
                        let twist = self.twist.lock().unwrap().clone();
                        let Reply::Result(header) = twist("newHeads", &Value::Null, self.header(place)) else { continue };
                        let push = json!({"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": "0x1", "result": header}});
                        socket.send(Message::text(push.to_string())).await.ok()?;
                    }
                }
            }
        }
    }
}

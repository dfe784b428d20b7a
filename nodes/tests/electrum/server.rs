//! A small Electrum server on loopback: the main chain's first headers as they were recorded, and whatever fault a test wants.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use nodes::bitcoin::header::Header;
use schemas::bitcoin::BitcoinChain;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::broadcast,
};
use tokio_rustls::TlsAcceptor;

/// What a server does with a request.
pub enum Reply {
    /// A result.
    Result(Value),
    /// An error object, or a text in its place.
    Error(Value),
    /// These bytes, and the next request.
    Raw(Vec<u8>),
    /// No answer to this one.
    Ignore,
    /// Nothing more, ever.
    Hang,
    /// The connection is closed.
    Close,
}

/// A fault: what becomes of a method's reply.
pub type Twist = dyn Fn(&str, &Value, Reply) -> Reply + Send + Sync;

fn plainly(_: &str, _: &Value, reply: Reply) -> Reply {
    reply
}

/// A server.
pub struct Server {
    port: u16,
    headers: Vec<String>,
    tip: AtomicUsize,
    version: Mutex<String>,
    twist: Mutex<Arc<Twist>>,
    statuses: Mutex<BTreeMap<String, Value>>,
    notices: broadcast::Sender<(String, String)>,
    cut: broadcast::Sender<()>,
    asked: Mutex<Vec<(String, Value)>>,
    open: AtomicUsize,
    most: AtomicUsize,
    tls: Option<TlsAcceptor>,
}

/// The recorded headers of heights 0 to 438.
pub fn recorded() -> Vec<Header> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/bitcoin/mainnet/blk-000000-000438.dat");
    let blocks = fs::read(path).unwrap();
    let (mut rest, mut headers) = (&blocks[..], Vec::new());
    // Bitcoin Core's framing: magic, length, block.
    while rest.len() >= 8 {
        let length = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        headers.push(Header::read(&rest[8..88]).unwrap());
        rest = &rest[8 + length..];
    }
    assert_eq!(headers.len(), 439);
    headers
}

impl Server {
    /// One whose tip is height 100.
    pub async fn start() -> Arc<Self> {
        Self::start_with(None).await
    }

    /// The same, over TLS.
    pub async fn start_with(tls: Option<TlsAcceptor>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(Self {
            port: listener.local_addr().unwrap().port(),
            headers: recorded().iter().map(|header| const_hex::encode(header.bytes())).collect(),
            tip: AtomicUsize::new(100),
            version: Mutex::new("1.4.2".into()),
            twist: Mutex::new(Arc::new(plainly)),
            statuses: Mutex::default(),
            notices: broadcast::channel(1024).0,
            cut: broadcast::channel(16).0,
            asked: Mutex::default(),
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            tls,
        });
        tokio::spawn({
            let server = server.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let server = server.clone();
                    tokio::spawn(async move {
                        let open = server.open.fetch_add(1, Ordering::SeqCst) + 1;
                        server.most.fetch_max(open, Ordering::SeqCst);
                        match &server.tls {
                            None => server.serve(stream).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(stream).await {
                                    server.serve(stream).await;
                                }
                            }
                        }
                        server.open.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            }
        });
        server
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.tls.is_some() { "ssl" } else { "tcp" }, self.port)
    }

    /// The version that it chooses.
    pub fn speaks(&self, version: &str) {
        *self.version.lock().unwrap() = version.into();
    }

    /// From now on this becomes of replies.
    pub fn twist(&self, twist: impl Fn(&str, &Value, Reply) -> Reply + Send + Sync + 'static) {
        *self.twist.lock().unwrap() = Arc::new(twist);
    }

    /// From now on nothing does.
    pub fn straight(&self) {
        self.twist(plainly);
    }

    /// Another tip, of which nobody is told.
    pub fn tip(&self, height: usize) {
        self.tip.store(height, Ordering::SeqCst);
    }

    /// Another tip, of which everybody is told who subscribed.
    pub fn advance(&self, height: usize) {
        self.tip(height);
        self.tell("blockchain.headers.subscribe", json!([self.shown(height)]));
    }

    /// A script has another status, of which nobody is told.
    pub fn status(&self, script: &str, status: Value) {
        self.statuses.lock().unwrap().insert(script.into(), status);
    }

    /// The same, and everybody is told who subscribed.
    pub fn changed(&self, script: &str, status: Value) {
        self.status(script, status.clone());
        self.tell("blockchain.scripthash.subscribe", json!([script, status]));
    }

    /// Tells everybody who subscribed.
    pub fn tell(&self, method: &str, params: Value) {
        let line = json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string();
        let _ = self.notices.send((method.to_owned(), format!("{line}\n")));
    }

    /// Closes every connection.
    pub fn cut(&self) {
        let _ = self.cut.send(());
    }

    /// What was asked of a method, and how often.
    pub fn asked(&self, method: &str) -> Vec<Value> {
        self.asked.lock().unwrap().iter().filter(|(m, _)| m == method).map(|(_, params)| params.clone()).collect()
    }

    /// The methods that were asked, in their order.
    pub fn methods(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(method, _)| method.clone()).collect()
    }

    /// Connections that there are now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Connections that there were at the same time, at most.
    pub fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    fn shown(&self, height: usize) -> Value {
        json!({"height": height, "hex": self.headers[height]})
    }

    fn reply(&self, method: &str, params: &Value) -> Reply {
        let tip = self.tip.load(Ordering::SeqCst);
        let height = |at: usize| params[at].as_u64().unwrap() as usize;
        Reply::Result(match method {
            "server.version" => json!(["Small 1.0", *self.version.lock().unwrap()]),
            "server.ping" => Value::Null,
            "server.features" => json!({
                "genesis_hash": BitcoinChain::Main.genesis().to_string(), "hosts": {}, "protocol_min": "1.4",
                "protocol_max": "1.6", "pruning": null, "server_version": "Small 1.0", "hash_function": "sha256"
            }),
            "blockchain.headers.subscribe" => self.shown(tip),
            "blockchain.block.header" if height(0) <= tip => json!(self.headers[height(0)]),
            "blockchain.block.headers" => {
                let end = (height(0) + height(1)).min(tip + 1).max(height(0));
                let headers = if height(0) > tip { &[][..] } else { &self.headers[height(0)..end] };
                match self.version.lock().unwrap().as_str() {
                    "1.6" => json!({"count": headers.len(), "headers": headers, "max": 2016}),
                    _ => json!({"count": headers.len(), "hex": headers.concat(), "max": 2016}),
                }
            }
            "blockchain.scripthash.subscribe" => {
                self.statuses.lock().unwrap().get(params[0].as_str().unwrap()).cloned().unwrap_or_default()
            }
            "blockchain.scripthash.unsubscribe" => json!(true),
            "blockchain.scripthash.get_history" => json!([]),
            "blockchain.block.header" => {
                return Reply::Error(json!({"code": 1, "message": format!("height {} out of range", params[0])}));
            }
            other => return Reply::Error(json!({"code": -32601, "message": format!("unknown method \"{other}\"")})),
        })
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite) {
        let (read, mut write) = tokio::io::split(stream);
        let mut lines = BufReader::new(read).lines();
        let (mut notices, mut cut) = (self.notices.subscribe(), self.cut.subscribe());
        let mut subscribed = BTreeSet::new();
        loop {
            let line = tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => line,
                    _ => return,
                },
                Ok((method, line)) = notices.recv() => {
                    if subscribed.contains(&method) && write.write_all(line.as_bytes()).await.is_err() {
                        return;
                    }
                    continue;
                }
                _ = cut.recv() => return,
            };
            let request: Value = serde_json::from_str(&line).unwrap();
            let (id, method, params) = (&request["id"], request["method"].as_str().unwrap(), &request["params"]);
            self.asked.lock().unwrap().push((method.to_owned(), params.clone()));
            if method.ends_with(".subscribe") {
                subscribed.insert(method.to_owned());
            }
            let twist = self.twist.lock().unwrap().clone();
            let bytes = match twist(method, params, self.reply(method, params)) {
                Reply::Result(result) => answer(id, "result", &result),
                Reply::Error(error) => answer(id, "error", &error),
                Reply::Raw(bytes) => bytes,
                Reply::Ignore => continue,
                Reply::Hang => {
                    let _ = cut.recv().await;
                    return;
                }
                Reply::Close => return,
            };
            if write.write_all(&bytes).await.is_err() || write.flush().await.is_err() {
                return;
            }
        }
    }
}

fn answer(id: &Value, name: &str, said: &Value) -> Vec<u8> {
    format!("{}\n", json!({"jsonrpc": "2.0", "id": id, name: said})).into_bytes()
}

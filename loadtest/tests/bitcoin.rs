//! The simulated Bitcoin node and Electrum server as their clients see them: over HTTP and TCP.

use loadtest::node::bitcoin::{Clock, Config, Dataset, EndpointConfig, Protocol, Simulator, spawn};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

async fn node(endpoints: Vec<EndpointConfig>, history: u64) -> Simulator {
    let data = Dataset::embedded("small").expect("built in");
    spawn(Config { clock: Clock::Manual, history, ..Config::new(data, endpoints) }).await.expect("started")
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn call(url: &str, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let answer = client().post(url).body(body).send().await.expect("an answer");
    serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
}

async fn rest(url: &str, path: &str) -> (u16, Vec<u8>) {
    let answer = client().get(format!("{url}/rest/{path}")).send().await.expect("an answer");
    (answer.status().as_u16(), answer.bytes().await.expect("a body").to_vec())
}

/// A header's hash, the highest byte last.
fn hash(header: &str) -> [u8; 32] {
    let bytes = const_hex::decode(header).expect("hex");
    assert_eq!(bytes.len(), 80);
    Sha256::digest(Sha256::digest(bytes)).into()
}

/// A connection to a server.
struct Line(BufReader<TcpStream>);

impl Line {
    async fn to(node: &Simulator, name: &str) -> Self {
        let addr = node.endpoint(name).expect("there").addr();
        Self(BufReader::new(TcpStream::connect(addr).await.expect("connected")))
    }

    async fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = tokio::time::timeout(std::time::Duration::from_secs(10), self.0.read_line(&mut line)).await;
        match read.expect("in time") {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(serde_json::from_str(&line).expect("JSON")),
        }
    }

    async fn send(&mut self, method: &str, params: Value) {
        let text = format!("{}\n", json!({"id": 1, "method": method, "params": params}));
        self.0.get_mut().write_all(text.as_bytes()).await.expect("sent");
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.send(method, params).await;
        self.next().await.expect("an answer")
    }

    /// With the protocol agreed on.
    async fn greeted(node: &Simulator, name: &str) -> Self {
        let mut line = Self::to(node, name).await;
        let answer = line.call("server.version", json!(["test", ["1.4", "1.6"]])).await;
        assert!(answer["result"][1].is_string(), "{answer}");
        line
    }
}

#[tokio::test]
async fn a_node_tells_a_block_and_what_it_spends_alike_in_every_way() {
    let node = node(vec![EndpointConfig::core("core")], 12).await;
    let url = node.endpoints()[0].url();
    let info = call(&url, "getblockchaininfo", json!([])).await["result"].take();
    assert_eq!(
        (&info["chain"], &info["blocks"], &info["initialblockdownload"]),
        (&json!("regtest"), &json!(13), &json!(false))
    );
    let genesis = call(&url, "getblockhash", json!([0])).await["result"].take();
    assert_eq!(genesis, "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206");
    for block in node.canonical(1..=node.head()) {
        let hash = call(&url, "getblockhash", json!([block.height])).await["result"].take();
        assert_eq!(hash, block.hash.as_str());
        let header = call(&url, "getblockheader", json!([hash])).await["result"].take();
        assert_eq!(header["previousblockhash"], block.parent_hash.as_str());
        let raw = call(&url, "getblock", json!([hash, 0])).await["result"].take();
        let (status, bytes) = rest(&url, &format!("block/{}.bin", block.hash)).await;
        assert_eq!((status, const_hex::encode(&bytes)), (200, raw.as_str().expect("hex").to_owned()));
        assert_eq!(bytes.len() as u64, block.size);

        let whole = call(&url, "getblock", json!([hash, 3])).await["result"].take();
        let (status, undo) = rest(&url, &format!("spenttxouts/{}.bin", block.hash)).await;
        assert_eq!(status, 200);
        let size = match undo[0] {
            0xfd => usize::from(u16::from_le_bytes([undo[1], undo[2]])),
            n => usize::from(n),
        };
        let list = whole["tx"].as_array().expect("transactions");
        assert_eq!(size, list.len());
        let told = node.transactions(block.height);
        assert_eq!(told.len(), list.len());
        // Amounts are numbers with eight decimals, never with an exponent.
        let text = client()
            .post(&url)
            .body(json!({"id": 1, "method": "getblock", "params": [hash, 3]}).to_string())
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("text");
        for amount in text.split("\"value\":").chain(text.split("\"fee\":")).skip(1) {
            let number = amount.split([',', '}']).next().unwrap_or_default();
            let decimals = number.split_once('.').map(|(_, decimals)| decimals.len());
            assert!(amount.starts_with('{') || decimals == Some(8), "{}: {number}", block.height);
        }
        for (one, told) in list.iter().zip(&told) {
            assert_eq!(
                (one["txid"].as_str(), one["hash"].as_str()),
                (Some(told.txid.as_str()), Some(told.wtxid.as_str()))
            );
            let inputs = one["vin"].as_array().expect("inputs");
            if inputs[0]["coinbase"].is_string() {
                continue;
            }
            for (input, (txid, index, value)) in inputs.iter().zip(&told.inputs) {
                assert_eq!((&input["txid"], &input["vout"]), (&json!(txid), &json!(index)));
                let satoshi = (input["prevout"]["value"].as_f64().expect("an amount") * 1e8).round() as u64;
                assert_eq!(satoshi, *value);
            }
            assert_eq!((one["fee"].as_f64().expect("a fee") * 1e8).round() as u64, told.fee);
        }
    }
}

#[tokio::test]
async fn versions_credentials_and_faults_of_a_node_are_as_they_are_set() {
    let endpoints = vec![
        EndpointConfig { credentials: Some("user:word".into()), ..EndpointConfig::core("guarded") },
        EndpointConfig { version: 250_000, ..EndpointConfig::core("old") },
        EndpointConfig { rest: false, ..EndpointConfig::core("bare") },
        EndpointConfig::core("odd"),
    ];
    let node = node(endpoints, 20).await;
    let url = |name: &str| node.endpoint(name).expect("there").url();
    let tip = node.canonical(node.head()..=node.head()).remove(0);

    let bare = url("guarded").replace("user:word@", "");
    assert_eq!(client().post(&bare).body("{}").send().await.expect("an answer").status(), 401);
    assert_eq!(call(&url("guarded"), "getblockcount", json!([])).await["result"], node.head());
    assert_eq!(rest(&url("old"), &format!("spenttxouts/{}.bin", tip.hash)).await, (404, Vec::new()));
    assert_eq!(rest(&url("bare"), &format!("block/{}.bin", tip.hash)).await.0, 404);
    assert_eq!(call(&url("old"), "getblockhash", json!([1_000])).await["error"]["code"], -8);
    assert_eq!(call(&url("old"), "getblock", json!(["00".repeat(32)])).await["error"]["code"], -5);
    assert_eq!(call(&url("old"), "getmagic", json!([])).await["error"]["code"], -32601);

    let odd = node.endpoint("odd").expect("there");
    let with = |fault: &str| {
        odd.clear_faults();
        odd.fault(fault.parse().expect(fault));
    };
    with("warm-up");
    assert_eq!(call(&odd.url(), "getblockcount", json!([])).await["error"]["code"], -28);
    with("syncing");
    assert_eq!(call(&odd.url(), "getblockchaininfo", json!([])).await["result"]["initialblockdownload"], true);
    with("pruned");
    let first = node.canonical(1..=1).remove(0).hash;
    let refused = call(&odd.url(), "getblock", json!([first])).await["error"].take();
    assert_eq!(
        (&refused["code"], refused["message"].as_str().is_some_and(|m| m.contains("pruned"))),
        (&json!(-1), true)
    );
    with("stale-tip:4");
    assert_eq!(call(&odd.url(), "getblockcount", json!([])).await["result"], node.head() - 4);
    with("other-branch:2");
    let other = call(&odd.url(), "getbestblockhash", json!([])).await["result"].take();
    assert_ne!(other, tip.hash.as_str());
    let below = call(&odd.url(), "getblockhash", json!([node.head() - 2])).await["result"].take();
    assert_eq!(below, node.canonical(node.head() - 2..=node.head() - 2).remove(0).hash.as_str());
    assert_eq!(rest(&odd.url(), &format!("block/{}.bin", other.as_str().expect("a hash"))).await.0, 200);
    with("changed-transaction");
    let raw = rest(&odd.url(), &format!("block/{}.bin", tip.hash)).await.1;
    let (_, right) = rest(&url("old"), &format!("block/{}.bin", tip.hash)).await;
    assert_eq!(raw.len(), right.len());
    assert_eq!(raw.iter().zip(&right).filter(|(a, b)| a != b).count(), 1);
    with("wrong-genesis");
    assert_ne!(
        call(&odd.url(), "getblockhash", json!([0])).await["result"],
        call(&url("old"), "getblockhash", json!([0])).await["result"]
    );

    // Orders, whatever goes wrong.
    with("silent");
    assert_eq!(call(&odd.url(), "sim_advance", json!([2])).await["result"], node.head());
    assert_eq!(call(&odd.url(), "sim_fork", json!([3, 1])).await["result"], node.head());
    let told = call(&url("old"), "sim_endpoint", json!(["odd", {"faults": []}])).await["result"].take();
    assert_eq!((&told["name"], &told["faults"]), (&json!("odd"), &json!([])));
}

#[tokio::test]
async fn a_server_negotiates_tells_headers_and_announces_heads() {
    let endpoints = vec![
        EndpointConfig::electrum("new"),
        EndpointConfig { protocol: Protocol::V1_4, ..EndpointConfig::electrum("old") },
    ];
    let node = node(endpoints, 30).await;
    let mut rude = Line::to(&node, "new").await;
    assert_eq!(rude.call("server.ping", json!([])).await["error"]["code"], 1);
    assert!(rude.next().await.is_none(), "who does not say its version first is cut off");

    let mut new = Line::greeted(&node, "new").await;
    assert_eq!(new.call("server.version", json!(["test", "1.6"])).await["error"]["code"], 1);
    let features = new.call("server.features", json!([])).await["result"].take();
    assert_eq!(features["genesis_hash"], "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206");
    let mut old = Line::greeted(&node, "old").await;
    let list = new.call("blockchain.block.headers", json!([0, 40])).await["result"].take();
    let text = old.call("blockchain.block.headers", json!([0, 40])).await["result"].take();
    assert_eq!((&list["count"], &text["count"]), (&json!(32), &json!(32)));
    let headers: Vec<&str> = list["headers"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(text["hex"], headers.concat());
    assert_eq!(new.call("blockchain.block.header", json!([5])).await["result"], headers[5]);
    assert_eq!(new.call("blockchain.block.header", json!([99])).await["error"]["code"], 1);
    assert_eq!(new.call("blockchain.relayfee", json!([])).await["error"]["code"], -32601);

    let subscribed = new.call("blockchain.headers.subscribe", json!([])).await["result"].take();
    assert_eq!((&subscribed["height"], subscribed["hex"].as_str()), (&json!(31), headers.last().copied()));
    node.advance(3).expect("advanced");
    let told = new.next().await.expect("a notification");
    assert_eq!((&told["method"], &told["params"][0]["height"]), (&json!("blockchain.headers.subscribe"), &json!(34)));

    // Headers without work: they link, and their hashes are too high.
    let server = node.endpoint("new").expect("there");
    server.fault("no-work".parse().expect("a fault"));
    node.advance(1).expect("advanced");
    let lie = new.next().await.expect("a notification")["params"][0]["hex"].take();
    assert!(hash(lie.as_str().expect("hex"))[31] >= 0x7f, "{lie}");
    server.clear_faults();
    server.fault("flood:50".parse().expect("a fault"));
    node.advance(1).expect("advanced");
    for _ in 0..50 {
        let told = new.next().await.expect("a notification")["params"][0].take();
        assert_eq!(told["height"], node.head());
    }
    let told = new.call("blockchain.block.header", json!([35])).await["result"].take();
    assert!(hash(told.as_str().expect("hex"))[31] <= 0x7f, "{told}");
    server.clear_faults();
    server.fault("closed/server.ping".parse().expect("a fault"));
    new.send("server.ping", json!([])).await;
    assert!(new.next().await.is_none(), "cut off");
    server.clear_faults();
    server.fault("refused@300ms".parse().expect("a fault"));
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(TcpStream::connect(server.addr()).await.is_err(), "nobody listens");
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    Line::greeted(&node, "new").await;
}

#[tokio::test]
async fn a_node_says_by_zmq_that_there_is_a_block() {
    let node = node(vec![EndpointConfig { zmq: true, ..EndpointConfig::core("core") }], 5).await;
    let core = node.endpoint("core").expect("there");
    let url = core.zmq_url().expect("it has one");
    assert_eq!(call(&core.url(), "getzmqnotifications", json!([])).await["result"][0]["address"], url.as_str());
    let mut stream = TcpStream::connect(url.trim_start_matches("tcp://")).await.expect("connected");
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
    greeting[12..16].copy_from_slice(b"NULL");
    stream.write_all(&greeting).await.expect("sent");
    stream.read_exact(&mut greeting).await.expect("a greeting");
    let ready = b"\x05READY\x0bSocket-Type\x00\x00\x00\x03";
    let command = |kind: &[u8]| [&[4, ready.len() as u8 + 3][..], ready, kind].concat();
    stream.write_all(&command(b"SUB")).await.expect("sent");
    let mut theirs = vec![0; command(b"PUB").len()];
    stream.read_exact(&mut theirs).await.expect("a command");
    assert_eq!(theirs, command(b"PUB"));
    stream.write_all(b"\x00\x0a\x01hashblock").await.expect("sent");
    // It is told of what comes after it was let in: so several come.
    let mut message = [0; 2 + 9 + 2 + 32 + 2 + 4];
    let told = async {
        loop {
            node.advance(1).expect("advanced");
            let read = stream.read_exact(&mut message);
            if tokio::time::timeout(std::time::Duration::from_millis(500), read).await.is_ok_and(|read| read.is_ok()) {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), told).await.expect("a notification");
    assert_eq!(&message[..13], b"\x01\x09hashblock\x01\x20");
    let hash = const_hex::encode(&message[13..45]);
    assert!(node.canonical(1..=node.head()).iter().any(|block| block.hash == hash), "{hash}");
}

#[tokio::test]
async fn the_main_chains_first_blocks_are_served_as_they_are() {
    let endpoints = vec![EndpointConfig::core("core"), EndpointConfig::electrum("electrum")];
    let data = Dataset::embedded("first").expect("built in");
    let node =
        spawn(Config { clock: Clock::Manual, history: 170, ..Config::new(data, endpoints) }).await.expect("started");
    let url = node.endpoints()[0].url();
    assert_eq!(node.head(), 170);
    // The first payment: ten of fifty bitcoin, without a fee.
    let block = node.transactions(170);
    assert_eq!(block.len(), 2);
    assert_eq!(block[1].txid, "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16");
    assert_eq!((block[1].fee, block[1].inputs[0].2), (0, 5_000_000_000));
    let hash = call(&url, "getblockhash", json!([170])).await["result"].take();
    assert_eq!(hash, "00000000d1145790a8694403d4063f323d499e655c83426834d4ce2f8dd4a2ee");
    let whole = call(&url, "getblock", json!([hash, 3])).await["result"].take();
    let prevout = &whole["tx"][1]["vin"][0]["prevout"];
    assert_eq!((&prevout["generated"], &prevout["height"]), (&json!(true), &json!(9)));
    assert_eq!(node.advance(1_000).expect("advanced"), 438);
    assert!(node.fork_and_advance(1, 1).is_err(), "a chain that is recorded has no forks");
}

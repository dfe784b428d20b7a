//! A real Bitcoin node (Knots, which speaks as Bitcoin Core does) on a chain of its own, and a real Electrum server (ElectrumX) over it, for
//! tests. `scripts/fetch-bitcoin` provides both.
//!
//! Their methods panic: who tests with them can do nothing else with a server that does not answer.

use super::fetched::fetched;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One request, and how long a server may take to start.
const DEADLINE: Duration = Duration::from_secs(60);
/// Who may call the node besides the cookie: `-rpcauth` has a salt and HMAC-SHA-256 of the password.
const USER: (&str, &str) = ("headwater", "regtest");
const USER_HASH: &str =
    "headwater:6865616477617465725f726567746573$73e41540d9dfb9e6b91e03339f0b5e1469f19742019dd659ebbc20d78fe03f76";
/// What blocks are paid to where nobody says whom: anybody (`raw(51)` with its checksum).
const ANYBODY: &str = "raw(51)#8lvh9jxk";

/// The cache folder, for those who do not see `runtime`.
#[must_use]
pub fn cache() -> Option<PathBuf> {
    runtime::cache::folder()
}

/// The folder of the programs. `None`, said loudly, where they were not fetched.
///
/// # Panics
/// In CI when they are not there.
#[must_use]
pub fn programs(cache: Option<&Path>) -> Option<PathBuf> {
    let folder = cache.map(|cache| cache.join("bitcoin")).filter(|folder| folder.join(".complete").exists());
    fetched(folder, "bitcoind", "fetch-bitcoin")
}

/// A port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A node of chain `regtest` that mines when it is told to; ended when dropped.
pub struct Bitcoind {
    child: Child,
    folder: tempfile::TempDir,
    programs: PathBuf,
    options: Vec<String>,
    rpc: u16,
    zmq: u16,
    http: reqwest::Client,
}

impl Bitcoind {
    /// Starts the one in the cache folder. `None`, said loudly, where it was not fetched.
    ///
    /// # Panics
    /// When it does not start, and in CI when it is not there.
    pub async fn start(cache: Option<&Path>) -> Option<Self> {
        Self::start_with(cache, &[]).await
    }

    /// The same, with more options, such as `-rest=0`, or `-prune=1` with `-txindex=0`; the last of two counts.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn start_with(cache: Option<&Path>, options: &[&str]) -> Option<Self> {
        let programs = programs(cache)?;
        let folder = tempfile::tempdir().expect("a folder");
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        // A second installation fails, and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(DEADLINE).build().expect("a client");
        let (rpc, zmq) = (free_port(), free_port());
        let child = spawn(&programs, folder.path(), &options, (rpc, zmq));
        let mut node = Self { child, folder, programs, options, rpc, zmq, http };
        node.until_ready().await;
        Some(node)
    }

    /// Ends it at once, as `kill -9` does.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub fn kill(&mut self) {
        self.child.kill().expect("ended");
        self.child.wait().expect("ended");
    }

    /// Lets it end by itself, so that it has written everything.
    ///
    /// # Panics
    /// When it does not.
    pub async fn stop(&mut self) {
        self.call("stop", json!([])).await;
        let until = Instant::now() + DEADLINE;
        while self.child.try_wait().expect("asked").is_none() {
            assert!(Instant::now() < until, "bitcoind does not stop");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts it again on the same chain and ports, with a new cookie.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        self.child = spawn(&self.programs, self.folder.path(), &self.options, (self.rpc, self.zmq));
        self.until_ready().await;
    }

    async fn until_ready(&mut self) {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("asked") {
                let log = std::fs::read_to_string(self.data().join("debug.log")).unwrap_or_default();
                panic!(
                    "bitcoind ended with {status}; its log ends with {:?}",
                    log.lines().rev().take(5).collect::<Vec<_>>()
                );
            }
            if self.answer("getblockchaininfo", &json!([])).await.is_ok_and(|answer| answer["error"].is_null()) {
                return;
            }
            assert!(Instant::now() < until, "bitcoind does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("regtest")
    }

    /// RPC and REST, with user and password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}:{}@127.0.0.1:{}/", USER.0, USER.1, self.rpc)
    }

    /// The same without them, to be used with the [cookie](Self::cookie).
    #[must_use]
    pub fn url_without_password(&self) -> String {
        format!("http://127.0.0.1:{}/", self.rpc)
    }

    /// Its cookie file.
    #[must_use]
    pub fn cookie(&self) -> PathBuf {
        self.data().join(".cookie")
    }

    /// Where it publishes `hashblock` and `sequence`.
    #[must_use]
    pub fn zmq_url(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.zmq)
    }

    async fn answer(&self, method: &str, params: &Value) -> reqwest::Result<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let url = self.url_without_password();
        self.http.post(url).basic_auth(USER.0, Some(USER.1)).json(&body).send().await?.json().await
    }

    /// The result of a call.
    ///
    /// # Panics
    /// When it is an error.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let mut answer = self.answer(method, &params).await.expect("an answer");
        assert!(answer["error"].is_null(), "{method} {params}: {answer}");
        answer["result"].take()
    }

    /// The same, as text.
    ///
    /// # Panics
    /// When it is an error, or no text.
    pub async fn text(&self, method: &str, params: Value) -> String {
        self.call(method, params).await.as_str().expect("text").to_owned()
    }

    /// Mines so many blocks, which pay to anybody; their hashes.
    ///
    /// # Panics
    /// When it does not.
    pub async fn mine(&self, blocks: u64) -> Vec<String> {
        hashes(&self.call("generatetodescriptor", json!([blocks, ANYBODY])).await)
    }

    /// Mines so many blocks, which pay to an address; their hashes.
    ///
    /// # Panics
    /// When it does not.
    pub async fn mine_to(&self, blocks: u64, address: &str) -> Vec<String> {
        hashes(&self.call("generatetoaddress", json!([blocks, address])).await)
    }

    /// A wallet with coins that can be spent (101 blocks are mined to it); an address of it.
    ///
    /// # Panics
    /// When there is one already.
    pub async fn wallet(&self) -> String {
        self.call("createwallet", json!(["tests"])).await;
        let address = self.text("getnewaddress", json!([])).await;
        self.mine_to(101, &address).await;
        address
    }

    /// Height and hash of its tip.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn head(&self) -> (u64, String) {
        let info = self.call("getblockchaininfo", json!([])).await;
        let hash = info["bestblockhash"].as_str().expect("a hash").to_owned();
        (info["blocks"].as_u64().expect("a height"), hash)
    }

    /// Hash of its block at a height.
    ///
    /// # Panics
    /// When it has none.
    pub async fn hash(&self, height: u64) -> String {
        self.text("getblockhash", json!([height])).await
    }

    /// Takes back its newest blocks, so many of them, and mines one more than that in their place; the hashes of the new ones.
    ///
    /// # Panics
    /// When it does not.
    pub async fn reorg(&self, depth: u64) -> Vec<String> {
        let (height, _) = self.head().await;
        let first = self.hash(height + 1 - depth).await;
        self.call("invalidateblock", json!([first])).await;
        // Other blocks than those at the same time before.
        let descriptor = format!("raw(04{:08x})", fastrand::u32(..));
        let known = self.call("getdescriptorinfo", json!([descriptor])).await;
        hashes(&self.call("generatetodescriptor", json!([depth + 1, known["descriptor"]])).await)
    }
}

fn hashes(list: &Value) -> Vec<String> {
    list.as_array().expect("hashes").iter().map(|hash| hash.as_str().expect("a hash").to_owned()).collect()
}

fn spawn(programs: &Path, folder: &Path, options: &[String], (rpc, zmq): (u16, u16)) -> Child {
    Command::new(programs.join("bitcoind"))
        .arg("-regtest")
        .arg(format!("-datadir={}", folder.display()))
        .args([format!("-rpcport={rpc}"), format!("-rpcauth={USER_HASH}")])
        .args([format!("-zmqpubhashblock=tcp://127.0.0.1:{zmq}"), format!("-zmqpubsequence=tcp://127.0.0.1:{zmq}")])
        .args(["-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1", "-listen=0", "-dnsseed=0", "-rest=1", "-txindex=1"])
        .args(["-fallbackfee=0.0001", "-printtoconsole=0", "-dbcache=16"])
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("bitcoind starts")
}

impl Drop for Bitcoind {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An Electrum server over a node; ended when dropped.
pub struct ElectrumX {
    child: Child,
    folder: tempfile::TempDir,
    daemon: String,
    programs: PathBuf,
    port: u16,
    certificate: Option<(PathBuf, PathBuf)>,
}

impl ElectrumX {
    /// Starts one over a node, and waits until it has the node's chain.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(node: &Bitcoind) -> Self {
        Self::start_with(node, None).await
    }

    /// The same over TLS, with a certificate and its key (PEM files), where they are given.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_with(node: &Bitcoind, certificate: Option<(PathBuf, PathBuf)>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, daemon, programs) = (free_port(), node.url(), node.programs.clone());
        let child = spawn_electrumx(&programs, folder.path(), &daemon, port, certificate.as_ref());
        let mut server = Self { child, folder, daemon, programs, port, certificate };
        server.until_ready().await;
        server
    }

    /// Ends it at once.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub fn kill(&mut self) {
        self.child.kill().expect("ended");
        self.child.wait().expect("ended");
    }

    /// Starts it again on the same port.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        let certificate = self.certificate.as_ref();
        self.child = spawn_electrumx(&self.programs, self.folder.path(), &self.daemon, self.port, certificate);
        self.until_ready().await;
    }

    async fn until_ready(&mut self) {
        let until = Instant::now() + DEADLINE;
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            if let Some(status) = self.child.try_wait().expect("asked") {
                panic!("electrumx_server ended with {status}");
            }
            assert!(Instant::now() < until, "electrumx_server does not listen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where it listens: `tcp://…`, or `ssl://…` with a certificate.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "ssl" } else { "tcp" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }
}

fn spawn_electrumx(
    programs: &Path,
    folder: &Path,
    daemon: &str,
    port: u16,
    certificate: Option<&(PathBuf, PathBuf)>,
) -> Child {
    let mut command = Command::new(programs.join("electrumx_server"));
    let scheme = if certificate.is_some() { "ssl" } else { "tcp" };
    command
        .env("ALLOW_ROOT", "1")
        .env("COIN", "Bitcoin")
        .env("NET", "regtest")
        .env("DAEMON_URL", daemon)
        .env("DB_DIRECTORY", folder)
        .env("SERVICES", format!("{scheme}://127.0.0.1:{port}"))
        .env("PEER_DISCOVERY", "off")
        .env("PEER_ANNOUNCE", "")
        // It asks its node every five seconds otherwise.
        .env("DAEMON_POLL_INTERVAL_BLOCKS", "100")
        .env("DAEMON_POLL_INTERVAL_MEMPOOL", "200")
        // Tests ask more in a minute than it lets people do.
        .env("COST_SOFT_LIMIT", "0")
        .env("COST_HARD_LIMIT", "0");
    if let Some((certificate, key)) = certificate {
        command.env("SSL_CERTFILE", certificate).env("SSL_KEYFILE", key);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("electrumx_server starts")
}

impl Drop for ElectrumX {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

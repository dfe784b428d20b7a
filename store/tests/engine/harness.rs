//! A store for one test, and the smallest HTTP client that lets a test say exactly what goes over the wire.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use store::engine::{ChildCommand, Credentials, RestartPolicy, StoreState, Supervisor, locate, supervise};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use url::Url;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_store-engine");

/// A supervised store in a temporary directory.
pub struct Running {
    pub dir: TempDir,
    pub url: Url,
    pub credentials: Credentials,
    pub supervisor: Supervisor,
    cancel: CancellationToken,
}

impl Running {
    pub async fn start() -> Self {
        Self::start_with(RestartPolicy::default()).await
    }

    pub async fn start_with(policy: RestartPolicy) -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let command = ChildCommand::new(PROGRAM, [dir.path()]);
        Self::start_in(dir, command, policy).await
    }

    /// With these walls around analysts and no others.
    pub async fn start_behind(walls: &str) -> Self {
        Self::start_told("HEADWATER_TEST_WALLS", walls).await
    }

    /// With a variable of `store-engine`.
    pub async fn start_told(variable: &str, value: &str) -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let mut command = ChildCommand::new(PROGRAM, [dir.path()]);
        command.environment.push((variable.into(), value.into()));
        Self::start_in(dir, command, RestartPolicy::default()).await
    }

    pub async fn start_in(dir: TempDir, command: ChildCommand, policy: RestartPolicy) -> Self {
        if let Err(missing) = locate(None) {
            panic!("{missing}");
        }
        let cancel = CancellationToken::new();
        let supervisor = supervise(command, policy, cancel.clone());
        let url = supervisor.ready().await.expect("the store is ready");
        let credentials = Credentials::load_or_create(dir.path(), Default::default()).expect("generated passwords");
        Self { dir, url, credentials, supervisor, cancel }
    }

    /// A client of the `clickhouse` crate, as the stages' user.
    pub fn client(&self) -> clickhouse::Client {
        clickhouse::Client::default()
            .with_url(self.url.as_str())
            .with_user("headwater")
            .with_password(self.credentials.stages.expose())
            .with_database("headwater")
    }

    pub fn as_stages(&self, target: &str, body: &[u8]) -> Reply {
        self.post(("headwater", self.credentials.stages.expose()), target, &[], body)
    }

    pub fn as_api(&self, target: &str, body: &[u8]) -> Reply {
        self.post(("api", self.credentials.api.expose()), target, &[], body)
    }

    pub fn as_analyst(&self, target: &str, body: &[u8]) -> Reply {
        self.post(("analyst", self.credentials.analyst.expose()), target, &[], body)
    }

    pub fn post(&self, (user, key): (&str, &str), target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut all = vec![("X-ClickHouse-User", user), ("X-ClickHouse-Key", key)];
        all.extend_from_slice(headers);
        exchange(&self.url, "POST", target, &all, body)
    }

    /// Waits for a state.
    pub async fn until(&self, wanted: impl FnMut(&StoreState) -> bool) -> StoreState {
        let mut state = self.supervisor.state();
        let found = tokio::time::timeout(Duration::from_secs(60), state.wait_for(wanted)).await;
        found.expect("in time").expect("supervised").clone()
    }

    /// The child's process id, from its lock.
    pub fn pid(&self) -> i32 {
        self.holder().expect("a process id")
    }

    /// The same, while the file may just be written.
    pub fn holder(&self) -> Option<i32> {
        let lock = std::fs::read_to_string(self.dir.path().join("store/LOCK")).ok()?;
        lock.strip_suffix('\n')?.split_whitespace().next()?.parse().ok()
    }

    pub async fn stop(self) -> TempDir {
        self.cancel.cancel();
        self.supervisor.stopped().await;
        self.dir
    }
}

/// An answer, its chunks joined.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// One request on a connection of its own. A `Host` header among `headers` replaces the usual one.
pub fn exchange(url: &Url, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let address = url.socket_addrs(|| None).expect("address")[0];
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(120))).expect("timeout");
    let mut head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("request");
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).expect("answer");
    parse(&raw)
}

fn parse(raw: &[u8]) -> Reply {
    let end = raw.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let mut reply = Reply { status, head, body: raw[end + 4..].to_vec() };
    if reply.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
        reply.body = join_chunks(&reply.body);
    }
    reply
}

fn join_chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut joined = Vec::new();
    loop {
        let line = rest.windows(2).position(|w| w == b"\r\n").expect("a chunk's size");
        let size =
            std::str::from_utf8(&rest[..line]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok()).expect("hex");
        if size == 0 {
            return joined;
        }
        joined.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + 2 + size + 2..];
    }
}

/// Percent-encodes a statement for a URL.
pub fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Whether a process exists (a zombie does not count).
pub fn alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z')))
}

/// Resident memory of a process, bytes: now, and the most that it ever was.
pub fn resident(pid: i32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
            .expect("a figure")
            * 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

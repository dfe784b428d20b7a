//! A client that bears everything: a store that is gone, an answer that breaks off, a statement that is left alone.

use crate::harness::Running;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use store::engine::StoreState;
use tokio::sync::watch;

/// One of the two users, wherever the store listens after its latest start.
#[derive(Clone)]
pub struct Door {
    state: watch::Receiver<StoreState>,
    first: SocketAddr,
    user: &'static str,
    key: String,
}

/// An answer, as far as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    /// Its chunks joined; at most [`LONGEST`] bytes.
    pub body: Vec<u8>,
}

/// What is kept of an answer, bytes.
const LONGEST: usize = 64 << 20;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Nobody listens, or the connection broke before the answer's head.
    Gone,
    /// Nothing came in time; the connection was given up.
    Late,
}

impl Door {
    pub fn analyst(store: &Running) -> Self {
        Self::new(store, "analyst", store.credentials.analyst.expose())
    }

    pub fn stages(store: &Running) -> Self {
        Self::new(store, "headwater", store.credentials.stages.expose())
    }

    fn new(store: &Running, user: &'static str, key: &str) -> Self {
        let first = store.url.socket_addrs(|| None).expect("address")[0];
        Self { state: store.supervisor.state(), first, user, key: key.to_owned() }
    }

    /// Where the store listens now.
    pub fn address(&self) -> SocketAddr {
        match &*self.state.borrow() {
            StoreState::Ready(url) => url.socket_addrs(|| None).expect("address")[0],
            _ => self.first,
        }
    }

    /// One statement on a connection of its own.
    pub fn ask(&self, target: &str, body: &[u8], within: Duration) -> Result<Answer, Silence> {
        let until = Instant::now() + within;
        let address = self.address();
        let mut stream = TcpStream::connect_timeout(&address, within).map_err(|_| Silence::Gone)?;
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nX-ClickHouse-User: {}\r\n\
             X-ClickHouse-Key: {}\r\nContent-Length: {}\r\n\r\n",
            self.user,
            self.key,
            body.len()
        );
        // The store may answer and close before it has read all; what it said still counts.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        let (mut raw, mut buffer) = (Vec::new(), vec![0u8; 64 << 10]);
        loop {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return Err(Silence::Late);
            };
            stream.set_read_timeout(Some(left)).map_err(|_| Silence::Gone)?;
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => raw.extend_from_slice(&buffer[..n]),
                Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                    return Err(Silence::Late);
                }
                Err(_) => break,
            }
            if raw.len() > LONGEST {
                break;
            }
        }
        Answer::parse(&raw).ok_or(Silence::Gone)
    }

    /// A statement without parameters and with the patience of a test.
    pub fn say(&self, sql: &str) -> Answer {
        self.ask("/", sql.as_bytes(), Duration::from_secs(100)).unwrap_or_else(|silence| panic!("{silence:?}: {sql}"))
    }
}

impl Answer {
    fn parse(raw: &[u8]) -> Option<Self> {
        let end = raw.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&raw[..end]).into_owned();
        let status = head.split_whitespace().nth(1)?.parse().ok()?;
        let mut answer = Self { status, head, body: raw[end + 4..].to_vec() };
        if answer.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            answer.body = joined(&answer.body);
        }
        Some(answer)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// ClickHouse's code: 0 for an answer without an error, also for one that came late in a stream.
    pub fn code(&self) -> u32 {
        if let Some(code) = self.header("x-clickhouse-exception-code") {
            return code.parse().unwrap_or(u32::MAX);
        }
        if self.status != 200 {
            return u32::from(self.status); // none of ClickHouse's: the HTTP server's own refusal
        }
        let tail = String::from_utf8_lossy(&self.body[self.body.len().saturating_sub(16 << 10)..]).into_owned();
        let Some((_, late)) = tail.split_once("__exception__") else { return 0 };
        let digits = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|d| d.parse().ok());
        late.split_once("Code: ").and_then(|(_, rest)| digits(rest)).unwrap_or(u32::MAX)
    }

    /// The first line of what it says, short enough for a report.
    pub fn brief(&self) -> String {
        self.text().replace('\n', " ").chars().take(160).collect()
    }
}

/// Chunks joined, as far as they are whole.
fn joined(mut rest: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(line) = rest.windows(2).position(|w| w == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        rest = &rest[line + 2..];
        let here = size.min(rest.len());
        all.extend_from_slice(&rest[..here]);
        rest = rest.get(size + 2..).unwrap_or_default();
    }
    all
}

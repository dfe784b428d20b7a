//! A wake-up when a node has a new block, or gave one up: its ZMQ notifications `hashblock` and `sequence`.
//!
//! Guarantee: whoever is woken looks for himself; nothing that is said here is taken for more than a reason to. Frames are bounded by
//! [`limits::ZMQ_FRAME_BYTES`]; a connection that is lost, or says something else than it should, is made anew, at most every half minute,
//! and that wakes too, since something may have been missed. ZMTP 3.0 without security, as a subscriber: some pages of protocol, for which a
//! library would bring a dozen crates and no bound on a frame.
//!
//! Sources: ZMTP 3.0 (ZeroMQ RFC 23), Bitcoin Core `doc/zmq.md`.

use std::{convert::Infallible, time::Duration};

use schemas::limits::bitcoin as limits;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    time::{Instant, timeout},
};
use url::Url;

use super::client::CoreClient;
use crate::{mask::masked_url, metrics};

/// Connecting and shaking hands.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection on which nothing came for so long may be dead: six blocks' time.
const SILENCE: Duration = Duration::from_secs(3_600);
/// Waits between two connections: the first, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// A connection that held for so long was a good one.
const GOOD: Duration = Duration::from_secs(60);
/// What we want to hear of.
const TOPICS: [&[u8]; 2] = [b"hashblock", b"sequence"];
/// Flags of a frame.
const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;
/// The other side's greeting and ours have this many bytes.
const GREETING: usize = 64;

impl CoreClient {
    /// Wakes whenever the node says that its tip is another, and when the connection over which it says so is made anew. Never ends; without
    /// `zmq` in the endpoint's configuration it never does anything.
    pub async fn woken(&self, woke: &Notify) {
        let Some(url) = &self.endpoint().zmq else { return std::future::pending().await };
        let mut wait = WAITS.0;
        loop {
            let began = Instant::now();
            let Err(lost) = listen(url, woke).await;
            metrics::heads_lost(self.name());
            if began.elapsed() >= GOOD {
                wait = WAITS.0;
            }
            tracing::debug!(endpoint = self.name(), %lost, ?wait, "no ZMQ notifications; heads are polled");
            tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            wait = (wait * 2).min(WAITS.1);
        }
    }
}

/// Why there are no notifications.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("no answer in time")]
    Late,
    #[error("{0}")]
    Odd(String),
}

/// Listens until that is over.
async fn listen(url: &Url, woke: &Notify) -> Result<Infallible, Lost> {
    let place = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => return Err(Lost::Odd(format!("`{}` is no place: write `zmq = \"tcp://host:port\"`", masked_url(url)))),
    };
    let mut socket = timeout(CONNECT, connect(&place)).await.map_err(|_| Lost::Late)??;
    woke.notify_one();
    loop {
        let message = timeout(SILENCE, Message::read(&mut socket)).await.map_err(|_| Lost::Late)??;
        if message.is_of_a_block() {
            woke.notify_one();
        }
    }
}

async fn connect(place: &str) -> Result<TcpStream, Lost> {
    let mut socket = TcpStream::connect(place).await?;
    socket.write_all(&greeting()).await?;
    let theirs = array::<GREETING>(&mut socket).await?;
    let (signature, version, mechanism) = ([theirs[0], theirs[9]], theirs[10], &theirs[12..32]);
    if signature != [0xff, 0x7f] || version < 3 || !mechanism.starts_with(b"NULL\0") {
        return Err(Lost::Odd("what listens there does not speak ZMTP 3 without security".into()));
    }
    let ready = b"\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB";
    socket.write_all(&frame(COMMAND, ready)).await?;
    let (flags, body) = read_frame(&mut socket).await?;
    if flags & COMMAND == 0 || !body.starts_with(b"\x05READY") {
        return Err(Lost::Odd("it does not let us subscribe".into()));
    }
    for topic in TOPICS {
        let mut subscribe = vec![1];
        subscribe.extend_from_slice(topic);
        socket.write_all(&frame(0, &subscribe)).await?;
    }
    Ok(socket)
}

fn greeting() -> [u8; GREETING] {
    let mut bytes = [0; GREETING];
    bytes[0] = 0xff;
    bytes[9] = 0x7f;
    bytes[10] = 3;
    bytes[12..16].copy_from_slice(b"NULL");
    bytes
}

/// A short frame; ours all are.
fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flags, u8::try_from(body.len()).unwrap_or(u8::MAX)];
    bytes.extend_from_slice(body);
    bytes
}

async fn array<const N: usize>(socket: &mut (impl AsyncRead + Unpin)) -> Result<[u8; N], Lost> {
    let mut bytes = [0; N];
    socket.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Flags and body.
async fn read_frame(socket: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Vec<u8>), Lost> {
    let [flags] = array(socket).await?;
    if flags & !(MORE | LONG | COMMAND) != 0 {
        return Err(Lost::Odd(format!("a frame has the flags {flags:#x}")));
    }
    let length = match flags & LONG {
        0 => u64::from(array::<1>(socket).await?[0]),
        _ => u64::from_be_bytes(array(socket).await?),
    };
    let length = usize::try_from(length).ok().filter(|length| *length <= limits::ZMQ_FRAME_BYTES);
    let Some(length) = length else {
        return Err(Lost::Odd(format!("a frame has more than {} bytes", limits::ZMQ_FRAME_BYTES)));
    };
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await?;
    Ok((flags, body))
}

/// A notification: topic, body, number.
#[derive(Debug, Default)]
struct Message {
    topic: Vec<u8>,
    body: Vec<u8>,
}

impl Message {
    async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Result<Self, Lost> {
        let mut message = Self::default();
        for index in 0..4 {
            let (flags, body) = read_frame(socket).await?;
            // Commands stand between messages, and none of them is anything to us.
            if flags & COMMAND != 0 {
                return Ok(Self::default());
            }
            match index {
                0 => message.topic = body,
                1 => message.body = body,
                _ => {}
            }
            if flags & MORE == 0 {
                return Ok(message);
            }
        }
        Err(Lost::Odd("a notification has more than four parts".into()))
    }

    /// A `sequence` is of a block when `C` (connected) or `D` (disconnected) stands after the hash; else it is of the mempool.
    fn is_of_a_block(&self) -> bool {
        match self.topic.as_slice() {
            b"hashblock" => true,
            b"sequence" => matches!(self.body.get(32), Some(b'C' | b'D')),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &[u8], body: &[u8]) -> Vec<u8> {
        [frame(MORE, topic), frame(MORE, body), frame(0, &[7, 0, 0, 0])].concat()
    }

    #[tokio::test]
    async fn only_blocks_wake() {
        let of = |label: u8| [&[9; 32][..], &[label]].concat();
        let said = [
            (message(b"hashblock", &[9; 32]), true),
            (message(b"sequence", &of(b'C')), true),
            (message(b"sequence", &of(b'D')), true),
            (message(b"sequence", &of(b'A')), false),
            (message(b"hashtx", &[9; 32]), false),
            (frame(COMMAND, b"\x04PING"), false),
        ];
        for (bytes, wakes) in said {
            let message = Message::read(&mut &bytes[..]).await.expect("a message");
            assert_eq!(message.is_of_a_block(), wakes, "{message:?}");
        }
        let long = [&[LONG][..], &1_000_000_u64.to_be_bytes()].concat();
        assert!(matches!(Message::read(&mut &long[..]).await, Err(Lost::Odd(_))));
        let endless = frame(MORE, b"x").repeat(9);
        assert!(matches!(Message::read(&mut &endless[..]).await, Err(Lost::Odd(_))));
        assert!(matches!(Message::read(&mut &b"\x80\0"[..]).await, Err(Lost::Odd(_))));
        assert!(matches!(Message::read(&mut &b"\0"[..]).await, Err(Lost::Io(_))));
    }
}

//! A WebSocket client that checks the order of what it gets, and rebuilds the canonical chain from frames.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

pub struct Ws {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What came instead of a frame.
#[derive(Debug)]
pub enum Closed {
    /// With this code.
    With(u16),
    /// Without one.
    Broken,
}

impl Ws {
    pub async fn connect(at: SocketAddr) -> Self {
        Self::connect_with(at, &[]).await.expect("connects")
    }

    /// With headers, and a small receive buffer, so that a reader that does not read is soon slow.
    pub async fn connect_with(at: SocketAddr, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let mut request = format!("ws://{at}/api/v1/ws").into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(8 << 10)?;
        let tcp = MaybeTlsStream::Plain(socket.connect(at).await?);
        let (stream, _) = tokio_tungstenite::client_async(request, tcp).await?;
        Ok(Self { stream })
    }

    /// The connection itself, for what this client does not do.
    pub fn into_stream(self) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
        self.stream
    }

    pub async fn send(&mut self, value: &Value) {
        self.send_text(&value.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.expect("sends");
    }

    pub async fn send_message(&mut self, message: Message) {
        self.stream.send(message).await.expect("sends");
    }

    /// The next text frame as JSON.
    pub async fn next(&mut self) -> Result<Value, Closed> {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(60), self.stream.next()).await;
            match message.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map_or(Closed::Broken, |f| Closed::With(f.code.into())));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(Closed::Broken),
            }
        }
    }

    /// The next frame, which must be there.
    pub async fn frame(&mut self) -> Value {
        self.next().await.expect("an open connection")
    }

    /// Whether nothing comes for a while.
    pub async fn quiet(&mut self, for_ms: u64) -> bool {
        tokio::time::timeout(Duration::from_millis(for_ms), self.frame()).await.is_err()
    }

    /// Subscribes, and returns the acknowledgement.
    pub async fn subscribe(&mut self, network: Option<&str>, topics: &[&str], after: Option<u64>) -> Value {
        let mut operation = json!({"op": "subscribe", "id": 1, "topics": topics});
        if let Some(n) = network {
            operation["network"] = n.into();
        }
        if let Some(after) = after {
            operation["after"] = after.into();
        }
        self.send(&operation).await;
        let answer = self.frame().await;
        assert_eq!(answer["type"], "subscribed", "{answer}");
        answer
    }

    /// Reads data frames of one network up to the position of `sequence`.
    pub async fn until(&mut self, sequence: u64) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame().await;
            let reached = frame["type"] == "position" && frame["sequence"].as_u64() >= Some(sequence);
            frames.push(frame);
            if reached {
                return frames;
            }
        }
    }
}

/// The chain as a client knows it from frames.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Known {
    /// Block item by hash; `stored_at` and `observed_at` are left out.
    pub blocks: BTreeMap<String, Value>,
    /// Transaction items by (block hash, index).
    pub transactions: BTreeMap<(String, u64), Value>,
}

/// What came with the frames, besides the state.
#[derive(Debug, Default)]
pub struct Told {
    /// Sequences whose block was applied.
    pub applied: BTreeSet<u64>,
    /// `reverts_sequence` of reverts.
    pub reverted: BTreeSet<u64>,
    /// Gaps.
    pub gaps: Vec<(u64, u64)>,
    /// The last position.
    pub position: u64,
}

impl Known {
    /// Takes frames in, checking their order: sequences rise, each ends with its position, nothing comes twice.
    pub fn take(&mut self, frames: &[Value], after: u64) -> Told {
        let mut told = Told { position: after, ..Told::default() };
        let mut open = None;
        for frame in frames {
            let sequence = frame["sequence"].as_u64().unwrap_or_default();
            match frame["type"].as_str().expect("a type") {
                "position" => {
                    assert!(open.is_none_or(|s| s == sequence), "{frame} closes {open:?}");
                    assert!(sequence > told.position, "{frame} after {}", told.position);
                    told.position = sequence;
                    open = None;
                    continue;
                }
                "gap" => {
                    let (from, to) = (frame["from"].as_u64().expect("from"), frame["to"].as_u64().expect("to"));
                    assert!(
                        from == told.position + 1 && to >= from && open.is_none(),
                        "{frame} after {}",
                        told.position
                    );
                    told.gaps.push((from, to));
                    told.position = to;
                    continue;
                }
                _ => {}
            }
            assert!(sequence > told.position, "{frame} comes after position {}", told.position);
            assert!(open.is_none_or(|s| s == sequence), "{frame} inside {open:?}");
            open = Some(sequence);
            self.data(frame, sequence, &mut told);
        }
        told
    }

    fn data(&mut self, frame: &Value, sequence: u64, told: &mut Told) {
        let data = &frame["data"];
        let text = |field: &str| data[field].as_str().unwrap_or_else(|| panic!("{field} in {frame}")).to_owned();
        match (frame["type"].as_str(), frame["op"].as_str()) {
            (Some("block"), Some("apply")) => {
                let mut block = data.clone();
                for field in ["stored_at", "observed_at"] {
                    block.as_object_mut().expect("object").remove(field);
                }
                assert!(self.blocks.insert(text("hash"), block).is_none(), "applied twice: {frame}");
                told.applied.insert(sequence);
            }
            (Some("transaction"), Some("apply")) => {
                let key = (text("block_hash"), data["index"].as_u64().expect("index"));
                assert!(self.transactions.insert(key, data.clone()).is_none(), "came twice: {frame}");
            }
            (Some("block"), Some("revert")) => {
                self.blocks.remove(&text("hash"));
                told.reverted.insert(data["reverts_sequence"].as_u64().expect("what it undoes"));
            }
            (Some("transaction"), Some("revert")) => {
                let hash = text("block_hash");
                self.transactions.retain(|(block, _), _| *block != hash);
            }
            _ => panic!("what is this? {frame}"),
        }
    }
}

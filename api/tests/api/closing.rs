//! How WebSocket connections end: whoever ends them, the close frame arrives, and then the end of the stream, not a reset.

use std::{net::SocketAddr, time::Duration};

use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::{world::World, ws::Ws};

/// A connection whose bytes the test chooses.
async fn raw(at: SocketAddr) -> TcpStream {
    let mut tcp = TcpStream::connect(at).await.expect("connects");
    let handshake = format!(
        "GET /api/v1/ws HTTP/1.1\r\nHost: {at}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    tcp.write_all(handshake.as_bytes()).await.expect("sends");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.expect("an answer"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    tcp
}

/// The code of the close frame, which must be all that comes before an orderly end.
async fn close_code(tcp: &mut TcpStream) -> u16 {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), tcp.read_to_end(&mut rest)).await;
    read.expect("an end in time").expect("no reset");
    assert_eq!(rest.first(), Some(&0x88), "a close frame: {rest:?}");
    let length = usize::from(rest[1]);
    assert_eq!(rest.len(), 2 + length, "nothing behind it: {rest:?}");
    u16::from_be_bytes([rest[2], rest[3]])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_gets_its_own_code_back() {
    let world = World::without_sink(&["ethereum"]).await;
    let api = world.api().await;
    for (code, subscribed) in [(1000, false), (1001, true), (4321, true)] {
        let mut ws = Ws::connect(api.at).await;
        if subscribed {
            ws.subscribe(None, &["blocks"], None).await;
        }
        let frame = CloseFrame { code: CloseCode::from(code), reason: "bye".into() };
        let mut stream = ws.into_stream();
        stream.send(Message::Close(Some(frame.clone()))).await.expect("sends");
        let answer = tokio::time::timeout(Duration::from_secs(5), stream.next()).await.expect("in time");
        assert!(matches!(&answer, Some(Ok(Message::Close(Some(echo)))) if *echo == frame), "{code}: {answer:?}");
        let end = tokio::time::timeout(Duration::from_secs(5), stream.next()).await.expect("in time");
        assert!(end.is_none(), "{end:?}");
    }
    // Without a code, and by the bytes.
    let mut tcp = raw(api.at).await;
    tcp.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.expect("sends");
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.expect("no reset");
    assert_eq!(answer, [0x88, 0]);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rfc_6455_forbids_is_answered_with_its_code() {
    let world = World::without_sink(&[]).await;
    let api = world.api().await;
    // Mask zero: the payload stands there as it is.
    let mut long = vec![0x81, 0xff];
    long.extend_from_slice(&200_000u64.to_be_bytes());
    long.extend_from_slice(&[0; 4]);
    long.extend(vec![b'x'; 200_000]);
    let mut fragments = vec![0x01, 0xfe, 0xea, 0x60, 0, 0, 0, 0];
    fragments.extend(vec![b'x'; 60_000]);
    fragments.extend_from_slice(&[0x80, 0xfe, 0xea, 0x60, 0, 0, 0, 0]);
    fragments.extend(vec![b'x'; 60_000]);
    let mut ping = vec![0x89, 0xfe, 0, 126, 0, 0, 0, 0];
    ping.extend([b'x'; 126]);
    for (what, bytes, code) in [
        ("a frame of 200 kB", long, 1009),
        ("a message of 120 kB in two fragments", fragments, 1009),
        ("a length of 2^63", vec![0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], 1009),
        ("text that is no UTF-8", vec![0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe], 1007),
        ("a reserved bit", vec![0xc1, 0x80, 0, 0, 0, 0], 1002),
        ("a reserved opcode", vec![0x83, 0x80, 0, 0, 0, 0], 1002),
        ("no mask", b"\x81\x05hello".to_vec(), 1002),
        ("a ping of 126 bytes", ping, 1002),
        ("a continuation of nothing", vec![0x80, 0x80, 0, 0, 0, 0], 1002),
        ("a close code that nobody may send", vec![0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed], 1002),
    ] {
        let mut tcp = raw(api.at).await;
        tcp.write_all(&bytes).await.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(close_code(&mut tcp).await, code, "{what}");
    }
    // A client that never closes its side is not waited for.
    let mut tcp = raw(api.at).await;
    tcp.write_all(&[0xc1, 0x80, 0, 0, 0, 0]).await.expect("sends");
    assert_eq!(close_code(&mut tcp).await, 1002);
    let gone = async {
        while tcp.write_all(&[0; 1024]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the socket is closed for good");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_with_an_id_that_is_too_long_is_refused() {
    let world = World::without_sink(&[]).await;
    let api = world.api().await;
    let mut ws = Ws::connect(api.at).await;
    for id in [json!("x".repeat(64)), json!(7), json!(null)] {
        ws.send(&json!({"op": "ping", "id": id})).await;
        let answer = ws.frame().await;
        assert_eq!((&answer["type"], &answer["id"]), (&json!("pong"), &id), "{answer}");
    }
    for id in [json!("x".repeat(65)), json!("x".repeat(16_000)), json!(1.5), json!(-1), json!([]), json!({})] {
        ws.send(&json!({"op": "ping", "id": id})).await;
        let answer = ws.frame().await;
        assert_eq!((&answer["type"], &answer["id"]), (&json!("error"), &json!(null)), "{answer}");
        assert_eq!(answer["problem"]["type"], "/problems/invalid-operation");
        assert!(answer.to_string().len() < 600, "nothing long is echoed");
    }
    ws.send(&json!({"op": "ping"})).await;
    assert_eq!(ws.frame().await, json!({"type": "pong"}));
    api.stop().await;
}

//! Answers that no real node gives, or only for a moment: each is refused for what it is.

use std::{sync::Arc, time::Duration};

use nodes::{
    NodeErrorKind,
    bitcoin::{
        Endpoint,
        core::{CoreClient, CoreTuning},
    },
};
use schemas::BitcoinChain;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::data;

/// Status and body for a method of RPC, or the path of a resource.
type Answer = Arc<dyn Fn(&str) -> (u16, Vec<u8>) + Send + Sync>;

async fn serve(socket: TcpStream, answer: Answer) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if socket.read_line(&mut first).await? == 0 {
            return Ok(());
        }
        let mut line = String::new();
        while socket.read_line(&mut line).await? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            line.clear();
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await?;
        let asked = match first.strip_prefix("GET ") {
            Some(rest) => rest.split(' ').next().unwrap_or_default().to_owned(),
            None => {
                let question: Value = serde_json::from_slice(&body).expect("a question");
                question["method"].as_str().unwrap_or("batch").to_owned()
            }
        };
        let (status, body) = answer(&asked);
        let head = format!("HTTP/1.1 {status} So\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.get_mut().write_all(head.as_bytes()).await?;
        socket.get_mut().write_all(&body).await?;
    }
}

/// A client of a server that answers so, which asks once.
async fn asking(answer: impl Fn(&str) -> (u16, Vec<u8>) + Send + Sync + 'static) -> CoreClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let answer: Answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, answer.clone()));
        }
    });
    let tuning = CoreTuning { call_timeout: Duration::from_secs(5), tries: 1, ..CoreTuning::default() };
    CoreClient::new(Endpoint::new("a", url.parse().expect("a URL")), BitcoinChain::Regtest, tuning).expect("a client")
}

fn result(value: Value) -> (u16, Vec<u8>) {
    (200, json!({"jsonrpc": "2.0", "result": value, "id": 1}).to_string().into_bytes())
}

/// The recorded block 111, as a node tells it in words, without its transactions.
fn header() -> Value {
    let told = std::fs::read(data().join("regtest/0000111-getblock3.json")).expect("recorded");
    let mut told: Value = serde_json::from_slice(&told).expect("JSON");
    told.as_object_mut().expect("an object").remove("tx");
    told
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(data().join("regtest").join(name)).expect("recorded")
}

/// Answers as a node does that has block 111 and no other.
fn honest(asked: &str) -> (u16, Vec<u8>) {
    match asked {
        "getblockhash" => result(header()["hash"].clone()),
        "getblockheader" => result(header()),
        path if path.starts_with("/rest/block/") => (200, file("0000111.raw")),
        path if path.starts_with("/rest/spenttxouts/") => (200, file("0000111.spenttxouts")),
        other => panic!("{other} was asked"),
    }
}

#[tokio::test]
async fn what_fits_is_believed() {
    let block = asking(honest).await.block(111, None).await.expect("a block");
    assert_eq!((block.head.height, block.transactions.len()), (111, 2));
}

#[tokio::test]
async fn each_odd_answer_is_refused_for_what_it_is() {
    async fn of(asked: &'static str, answer: impl Fn() -> (u16, Vec<u8>) + Send + Sync + 'static) -> NodeErrorKind {
        let client = asking(move |now| if now.starts_with(asked) { answer() } else { honest(now) }).await;
        client.block(111, None).await.expect_err("refused").kind
    }
    let other_nonce = || {
        let mut header = header();
        header["nonce"] = json!(7);
        result(header)
    };
    assert!(matches!(of("getblockheader", other_nonce).await, NodeErrorKind::Lying(_)));
    let elsewhere = || {
        let mut header = header();
        header["height"] = json!(112);
        result(header)
    };
    assert!(matches!(of("getblockheader", elsewhere).await, NodeErrorKind::Lying(_)));
    let other_body = || {
        let mut raw = file("0000111.raw");
        raw[300] ^= 1;
        (200, raw)
    };
    assert!(matches!(of("/rest/block/", other_body).await, NodeErrorKind::Lying(_) | NodeErrorKind::Malformed(_)));
    let other_block = || {
        let mut raw = file("0000111.raw");
        // Another time stamp: a block that fits itself, and is not the one.
        raw[68] ^= 1;
        (200, raw)
    };
    assert!(matches!(of("/rest/block/", other_block).await, NodeErrorKind::Lying(said) if said.contains("asked for")));
    let half = || (200, file("0000111.raw")[..200].to_vec());
    assert!(matches!(of("/rest/block/", half).await, NodeErrorKind::Malformed(_)));
    let little = || {
        let mut spent = file("0000111.spenttxouts");
        spent[7] = 0;
        (200, spent)
    };
    assert!(matches!(of("/rest/spenttxouts/", little).await, NodeErrorKind::Lying(_)));
    let large = || (200, vec![0; 4_000_001]);
    assert!(matches!(of("/rest/block/", large).await, NodeErrorKind::TooLarge(_)));
    let page = || (200, b"<html>hello</html>".to_vec());
    assert!(matches!(of("getblockhash", page).await, NodeErrorKind::Malformed(_)));
    let gateway = || (502, b"<html>bad gateway</html>".to_vec());
    assert!(matches!(of("getblockhash", gateway).await, NodeErrorKind::Server(502, None, _)));
    let starting = || {
        let error = json!({"result": null, "error": {"code": -28, "message": "Loading block index..."}, "id": 1});
        (500, error.to_string().into_bytes())
    };
    assert!(
        matches!(of("getblockhash", starting).await, NodeErrorKind::Server(503, Some(_), said) if said.contains("Loading"))
    );
    let busy = || (503, b"Work queue depth exceeded".to_vec());
    assert!(matches!(of("getblockhash", busy).await, NodeErrorKind::Server(503, Some(_), _)));
    assert!(matches!(of("getblockhash", || result(Value::Null)).await, NodeErrorKind::Empty));
    // As recorded of nodes, by others.
    let out_of_range =
        || (500, br#"{"result":null,"error":{"code":-8,"message":"Block height out of range"},"id":1}"#.to_vec());
    assert!(matches!(of("getblockhash", out_of_range).await, NodeErrorKind::Empty));
}

#[tokio::test]
async fn a_node_that_catches_up_is_stale() {
    let info = |blocks: u64, headers: u64| {
        move |asked: &str| match asked {
            "getnetworkinfo" => result(json!({"subversion": "/Satoshi:31.0.0/"})),
            "getblockchaininfo" => result(json!({
                "chain": "regtest", "blocks": blocks, "headers": headers, "bestblockhash": header()["hash"],
                "initialblockdownload": true,
            })),
            other => honest(other),
        }
    };
    let behind = asking(info(111, 900_000)).await.tip().await.expect_err("no tip");
    assert!(matches!(&behind.kind, NodeErrorKind::Stale(said) if said.contains("111 of 900000")), "{behind}");
    let asleep = asking(info(111, 111)).await;
    assert_eq!(asleep.tip().await.expect("all there is").height, 111);
    assert_eq!(asleep.link().software.as_deref(), Some("Satoshi:31.0.0"));
}

#[tokio::test]
async fn a_batch_is_put_in_order_and_ends_where_it_must() {
    let client = asking(|asked| {
        assert_eq!(asked, "batch");
        // Both batches at once: a hash is no header.
        let header = header();
        let missing = json!({"id": 1, "error": {"code": -8, "message": "Block height out of range"}});
        (200, json!([missing, {"id": 0, "result": header["hash"]}]).to_string().into_bytes())
    })
    .await;
    let error = client.headers(111, 2).await.expect_err("no header");
    assert!(matches!(error.kind, NodeErrorKind::Malformed(_)), "{error}");
    let foreign = asking(|_| (200, br#"[{"id":9,"result":"00"}]"#.to_vec())).await;
    assert!(matches!(foreign.headers(0, 2).await.expect_err("foreign").kind, NodeErrorKind::Malformed(_)));
    let refused = asking(|_| (200, br#"{"error":{"code":-32600,"message":"no batches"},"id":null}"#.to_vec())).await;
    assert!(matches!(refused.headers(0, 2).await.expect_err("refused").kind, NodeErrorKind::Rpc(-32600, _)));
}

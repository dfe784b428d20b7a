//! Calls: what is read, what is not believed, and what a fault costs.

use std::time::{Duration, Instant};

use nodes::{
    Class, NodeErrorKind,
    bitcoin::electrum::{ScriptHash, is_history_too_large},
};
use schemas::bitcoin::BitcoinChain;
use serde_json::json;

use super::{
    client_of, client_with,
    server::{Reply, Server, recorded},
    tuning, until,
};

#[tokio::test]
async fn both_generations_of_the_protocol_are_spoken() {
    let headers = recorded();
    for version in ["1.4", "1.4.2", "1.6"] {
        let server = Server::start().await;
        server.speaks(version);
        let client = client_of(&server);
        assert_eq!(client.tip().await.unwrap(), (100, headers[100]), "{version}");
        assert_eq!(client.header_at(7).await.unwrap(), headers[7]);
        assert_eq!(client.headers(50, 30).await.unwrap(), headers[50..80]);
        assert_eq!(client.headers(90, 5_000).await.unwrap(), headers[90..=100], "as far as it has them");
        assert_eq!(client.genesis().await.unwrap(), BitcoinChain::Main.genesis());
        assert_eq!(client.header_at(101).await.unwrap_err().class(), Class::Empty);
        assert!(client.headers(101, 5).await.unwrap().is_empty());
        // Since 1.6 that must be the first message, with a range of versions, and nothing beside it.
        let methods = server.methods();
        assert_eq!((methods[0].as_str(), methods[1].as_str()), ("server.version", "server.features"));
        assert_eq!(server.asked("server.version")[0][1], json!(["1.4", "1.6"]));
        let link = client.link();
        assert_eq!((link.protocol.as_str(), link.software.as_deref()), ("electrum tcp", Some("Small 1.0")));
        assert_eq!((link.sockets, link.in_flight), (Some(1), Some(0)));
    }
    let server = Server::start().await;
    server.speaks("1.3");
    let error = client_of(&server).tip().await.unwrap_err();
    assert!(error.to_string().contains("protocol 1.3"), "{error}");
}

#[tokio::test]
async fn many_calls_share_few_connections() {
    let (server, headers) = (Server::start().await, recorded());
    let client = client_of(&server);
    let calls = (0..100u64).map(|height| {
        let client = client.clone();
        async move { (height, client.header_at(height).await) }
    });
    for (height, header) in futures::future::join_all(calls).await {
        assert_eq!(header.unwrap(), headers[height as usize]);
    }
    assert!(server.most() <= 2, "{} connections", server.most());
    assert_eq!(server.asked("server.version").len(), server.most());
}

#[tokio::test]
async fn a_connection_that_was_closed_costs_no_call() {
    let server = Server::start().await;
    let client = client_of(&server);
    for height in 0..5u64 {
        client.header_at(height).await.unwrap();
        server.cut();
        until("the connection is closed", || server.open() == 0).await;
    }
    // Closed amid a call, it is asked once more, on a new one, and then given up where somebody else may be asked.
    server.twist(|method, _, reply| if method.contains("block.header") { Reply::Close } else { reply });
    let error = client.header_at(9).await.unwrap_err();
    assert!(matches!(error.kind, NodeErrorKind::Unreachable(_)), "{error}");
    server.straight();
    client.header_at(9).await.unwrap();
}

#[tokio::test]
async fn a_server_of_another_chain_is_not_asked() {
    let server = Server::start().await;
    let client = client_of(&server).on(BitcoinChain::Signet);
    assert_eq!(client.genesis().await.unwrap(), BitcoinChain::Main.genesis(), "whatever it should be");
    for error in
        [client.tip().await.unwrap_err(), client.check().await.unwrap_err(), client.subscribe().await.unwrap_err()]
    {
        assert!(matches!(error.kind, NodeErrorKind::OtherChain(_)), "{error}");
    }
    assert!(server.asked("blockchain.headers.subscribe").is_empty());
    // One that does not say it shows it by its first header.
    server.twist(|method, _, reply| match method {
        "server.features" => Reply::Error(json!({"code": -32601, "message": "unknown method"})),
        _ => reply,
    });
    let client = client_of(&server);
    client.check().await.unwrap();
    assert_eq!(server.asked("blockchain.block.header"), [json!([0])]);
}

#[tokio::test]
async fn headers_without_work_are_lies() {
    let server = Server::start().await;
    let client = client_of(&server);
    let forged = |hex: &str| format!("{}ff", &hex[..158]);
    server.twist(move |method, _, reply| match (method, reply) {
        ("blockchain.headers.subscribe", Reply::Result(tip)) => {
            Reply::Result(json!({"height": tip["height"], "hex": forged(tip["hex"].as_str().unwrap())}))
        }
        ("blockchain.block.header", Reply::Result(hex)) => Reply::Result(json!(forged(hex.as_str().unwrap()))),
        ("blockchain.block.headers", _) => {
            let headers = recorded();
            let hex = |at: usize| const_hex::encode(headers[at].bytes());
            Reply::Result(json!({"count": 2, "hex": hex(7) + &hex(9), "max": 2016}))
        }
        (_, reply) => reply,
    });
    for error in [
        client.tip().await.unwrap_err(),
        client.header_at(7).await.unwrap_err(),
        client.headers(7, 2).await.unwrap_err(),
        client.subscribe().await.unwrap_err(),
    ] {
        assert_eq!(error.outcome().as_str(), "wrong", "{error}");
    }
}

#[tokio::test]
async fn what_hangs_costs_its_deadline_and_is_left() {
    let server = Server::start().await;
    let client = client_with(
        &server,
        nodes::bitcoin::electrum::ElectrumTuning { call_timeout: Duration::from_millis(300), ..tuning() },
    );
    client.tip().await.unwrap();
    server.twist(|method, _, reply| if method.contains("block.header") { Reply::Hang } else { reply });
    let began = Instant::now();
    // As with somebody else to ask.
    let error = tokio::time::timeout(Duration::from_secs(8), client.header_at(3)).await.unwrap().unwrap_err();
    assert!(matches!(error.kind, NodeErrorKind::Timeout(_)), "{error}");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    server.straight();
    client.header_at(3).await.unwrap();
}

#[tokio::test]
async fn refusals_say_whose_fault_it_is() {
    let server = Server::start().await;
    let client = client_of(&server);
    let script = ScriptHash::of(b"x");
    let refuse = |error: serde_json::Value| {
        server.twist(
            move |method, _, reply| {
                if method.contains("get_history") { Reply::Error(error.clone()) } else { reply }
            },
        );
    };
    assert!(client.history(script).await.unwrap().is_empty());
    for too_large in [json!({"code": 10001, "message": "history too large"}), json!("History too large")] {
        refuse(too_large);
        assert!(is_history_too_large(&client.history(script).await.unwrap_err().kind));
    }
    refuse(json!({"code": -32603, "message": "unavailable index"}));
    assert_eq!(client.history(script).await.unwrap_err().outcome().as_str(), "stale");
    refuse(json!({"code": -101, "message": "excessive resource usage"}));
    let error = client.history(script).await.unwrap_err();
    assert_eq!(error.asked_wait(), Some(Duration::from_secs(60)), "{error}");
    refuse(json!({"code": -32601, "message": "unknown method"}));
    assert_eq!(client.history(script).await.unwrap_err().class(), Class::Missing);
}

#[tokio::test]
async fn what_is_no_protocol_or_has_no_end_is_refused() {
    let server = Server::start().await;
    let client = client_of(&server);
    for said in [b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), b"\xff\xfe\n".to_vec(), vec![b'x'; 5 << 20]] {
        server.twist(
            move |method, _, reply| {
                if method.contains("block.header") { Reply::Raw(said.clone()) } else { reply }
            },
        );
        let error = client.header_at(3).await.unwrap_err();
        assert_eq!(error.outcome().as_str(), "failing", "{error}");
        assert!(error.to_string().len() < 600, "{error}");
    }
    server.straight();
    client.header_at(3).await.unwrap();
}

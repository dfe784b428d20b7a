//! The subscription to heads.

use std::time::Duration;

use nodes::{
    NodeErrorKind,
    bitcoin::electrum::{ElectrumTuning, Push, Subscription},
};
use serde_json::json;

use super::{
    client_of, client_with,
    server::{Reply, Server, recorded},
    tuning, until,
};

async fn next(subscription: &mut Subscription) -> Push {
    tokio::time::timeout(Duration::from_secs(10), subscription.next()).await.expect("a word")
}

async fn height(subscription: &mut Subscription) -> u64 {
    match next(subscription).await {
        Push::Tip(tip, bytes) => {
            assert_eq!(tip.header, recorded()[tip.height as usize]);
            assert!(bytes > 160);
            tip.height
        }
        other => panic!("no tip but {other:?}"),
    }
}

#[tokio::test]
async fn the_tip_comes_first_and_then_what_is_new() {
    let server = Server::start().await;
    let client = client_with(&server, ElectrumTuning { ask_again: Duration::from_secs(60), ..tuning() });
    let mut heads = client.subscribe().await.unwrap();
    assert_eq!(height(&mut heads).await, 100);
    for tip in [101, 102, 105, 104] {
        server.advance(tip);
        assert_eq!(height(&mut heads).await, tip as u64, "heights may be left out, and fall");
    }
    // Waiting for it may be given up.
    assert!(tokio::time::timeout(Duration::from_millis(50), heads.next()).await.is_err());
    server.advance(106);
    assert_eq!(height(&mut heads).await, 106);
    // It has a connection of its own.
    client.header_at(3).await.unwrap();
    assert_eq!(server.open(), 2);
    drop(heads);
    until("its connection ends with it", || server.open() == 1).await;
}

#[tokio::test]
async fn a_lost_connection_is_said() {
    let server = Server::start().await;
    let client = client_of(&server);
    let mut heads = client.subscribe().await.unwrap();
    assert_eq!(height(&mut heads).await, 100);
    server.cut();
    assert!(matches!(next(&mut heads).await, Push::Ended(NodeErrorKind::Unreachable(_))));
    server.tip(107);
    assert_eq!(height(&mut client.subscribe().await.unwrap()).await, 107);
}

#[tokio::test]
async fn a_silent_subscription_is_found_out() {
    let server = Server::start().await;
    let mut heads = client_of(&server).subscribe().await.unwrap();
    assert_eq!(height(&mut heads).await, 100);
    server.tip(103);
    assert_eq!(height(&mut heads).await, 103, "nobody told of it");
    // One that does not even answer is ended.
    server.twist(|_, _, _| Reply::Ignore);
    assert!(matches!(next(&mut heads).await, Push::Ended(NodeErrorKind::Timeout(_))));
}

#[tokio::test]
async fn what_proves_nothing_or_cannot_be_read_is_said() {
    let server = Server::start().await;
    let client = client_with(&server, ElectrumTuning { ask_again: Duration::from_secs(60), ..tuning() });
    let mut heads = client.subscribe().await.unwrap();
    assert_eq!(height(&mut heads).await, 100);
    let hex = const_hex::encode(recorded()[101].bytes());
    let forged = json!([{"height": 101, "hex": format!("{}ff", &hex[..158])}]);
    server.tell("blockchain.headers.subscribe", forged);
    assert!(matches!(next(&mut heads).await, Push::Refused(NodeErrorKind::Lying(_))));
    for odd in [json!([]), json!({"height": 1}), json!([{"height": -1, "hex": hex}]), json!(null)] {
        server.tell("blockchain.headers.subscribe", odd.clone());
        assert!(matches!(next(&mut heads).await, Push::Refused(NodeErrorKind::Malformed(_))), "{odd}");
    }
    server.tell("blockchain.numblocks.subscribe", json!([7]));
    server.advance(101);
    assert_eq!(height(&mut heads).await, 101, "what was not asked for is passed over");
}

//! Heads: the first word wins, a lower one hides none, and what it costs.

use std::time::{Duration, Instant};

use nodes::{ChainSource, SourceBlock, Word};
use serde_json::json;

use super::{
    fleet_of,
    node::{FIRST, Node, Reply},
    until,
};

#[tokio::test]
async fn with_a_subscription_nobody_is_polled_and_a_block_costs_two_calls() {
    let (a, b) = (Node::start(0).await, Node::start(0).await);
    let fleet = fleet_of(&[&a, &b], &[0, 1]);
    fleet.chain_id().await.unwrap();
    let mut heads = fleet.heads();
    until("both are listened to", || {
        [&a, &b].iter().all(|n| n.authorization.lock().is_ok() && n.calls("eth_chainId") > 0)
    })
    .await;
    until("a head", || heads.borrow().head.is_some()).await;
    // Until the subscriptions are there.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (_, _) = (a.taken(), b.taken());
    for place in 1..=4usize {
        a.grow(place);
        tokio::time::sleep(Duration::from_millis(30)).await;
        b.grow(place);
        let height = FIRST + place as u64;
        let told = async {
            while heads.borrow_and_update().highest.as_ref().is_none_or(|h| h.height < height) {
                heads.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(2), told).await.expect("the head is told");
        let head = heads.borrow().highest.clone().unwrap();
        let block = fleet.fetch(head.height, Some(&head.hash)).await.unwrap();
        assert_eq!(block.head(), head);
        assert_eq!(fleet.second_word(&block.head()).await, Word::Agrees);
    }
    let (of_a, of_b) = (a.taken(), b.taken());
    assert_eq!(of_a.get("eth_getBlockByHash"), Some(&4), "{of_a:?}");
    assert_eq!(of_a.get("eth_getBlockReceipts"), Some(&4), "{of_a:?}");
    assert_eq!(of_a.values().sum::<usize>(), 8, "two calls a block and no more: {of_a:?}");
    assert_eq!(of_b.values().sum::<usize>(), 0, "its word came with its subscription: {of_b:?}");
}

#[tokio::test]
async fn without_a_second_subscription_the_word_is_one_call() {
    let (a, b, c) = (Node::start(3).await, Node::start(3).await, Node::start(3).await);
    let fleet = fleet_of(&[&a, &b, &c], &[]);
    let block = fleet.fetch(FIRST + 1, None).await.unwrap();
    let (_, _, _) = (a.taken(), b.taken(), c.taken());
    assert_eq!(fleet.second_word(&block.head()).await, Word::Agrees);
    assert_eq!(fleet.second_word(&block.head()).await, Word::Agrees, "and is remembered");
    let words: usize = [&a, &b, &c].iter().map(|n| n.calls("eth_getBlockByNumber")).sum();
    assert_eq!((words, a.calls("eth_getBlockByNumber")), (1, 0));
    // One operator alone has nobody to ask.
    let alone = fleet_of(&[&a], &[]);
    assert_eq!(alone.second_word(&block.head()).await, Word::Alone);
    // The others are not so far yet.
    let (b, c) = (Node::start(0).await, Node::start(0).await);
    let behind = fleet_of(&[&a, &b, &c], &[]);
    let began = Instant::now();
    assert_eq!(behind.second_word(&block.head()).await, Word::Silent);
    assert!(began.elapsed() >= Duration::from_millis(380) && began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn the_first_word_wins_and_a_lower_head_hides_no_higher_one() {
    let (a, b) = (Node::start(0).await, Node::start(0).await);
    let fleet = fleet_of(&[&a, &b], &[0, 1]);
    let heads = fleet.heads();
    until("a head", || heads.borrow().head.is_some()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // The one that is not in use is first.
    b.grow(2);
    until("its word is told", || heads.borrow().highest.as_ref().is_some_and(|h| h.height == FIRST + 2)).await;
    a.grow(1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(heads.borrow().highest.as_ref().map(|h| h.height), Some(FIRST + 2));
    // What the one in use does not have yet, comes from the other.
    let began = Instant::now();
    assert_eq!(fleet.fetch(FIRST + 2, None).await.unwrap().head().height, FIRST + 2);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_head_that_stands_still_is_found_out_by_asking_another() {
    let (stuck, good) = (Node::start(0).await, Node::start(0).await);
    let fleet = fleet_of(&[&stuck, &good], &[]);
    let heads = fleet.heads();
    let told = |place: usize| heads.borrow().highest.as_ref().is_some_and(|h| h.height >= FIRST + place as u64);
    until("a head", || told(0)).await;
    for place in 1..=2usize {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stuck.grow(place);
        good.grow(place);
        until("its head is told", || told(place)).await;
    }
    for place in 3..=4usize {
        good.grow(place);
        let (began, height) = (Instant::now(), FIRST + place as u64);
        until("the other's head is told", || told(place)).await;
        assert_eq!(fleet.fetch(height, None).await.unwrap().head().height, height);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}

/// A wait that is longer than any test.
fn throttled() -> Reply {
    Reply::Raw(
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 120\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into(),
    )
}

#[tokio::test]
async fn a_wait_that_endpoints_ask_for_silences_no_subscription() {
    let (a, b) = (Node::start(0).await, Node::start(0).await);
    for node in [&a, &b] {
        node.twist(|method, _, answer| match method {
            "eth_chainId" | "newHeads" => Reply::Result(answer),
            _ => throttled(),
        });
    }
    let fleet = fleet_of(&[&a, &b], &[1]);
    let heads = fleet.heads();
    until("the first polls are refused", || a.calls("eth_getBlockByNumber") > 0 && b.calls("eth_getBlockByNumber") > 0)
        .await;
    for place in 1..=3usize {
        until("it is listened to, and its head is told", || {
            b.grow(if b.subscribers() > 0 { place } else { 0 });
            heads.borrow().highest.as_ref().is_some_and(|h| h.height == FIRST + place as u64)
        })
        .await;
    }
    // The first poll and the first probe went side by side.
    assert!(a.calls("eth_getBlockByNumber") <= 2, "and nobody is asked before its time");
}

#[tokio::test]
async fn while_one_endpoint_wants_to_be_left_alone_the_next_that_comes_is_polled() {
    let (a, b) = (Node::start(1).await, Node::start(1).await);
    a.twist(|method, _, answer| if method == "eth_chainId" { Reply::Result(answer) } else { throttled() });
    b.twist(|method, _, answer| Reply::Result(if method == "eth_chainId" { json!("0x0") } else { answer }));
    let fleet = fleet_of(&[&a, &b], &[]);
    let heads = fleet.heads();
    until("the first is refused, and the other not ready", || {
        a.calls("eth_getBlockByNumber") > 0 && b.calls("eth_chainId") > 0
    })
    .await;
    assert!(heads.borrow().head.is_none());
    b.twist(super::node::honest);
    until("the head of the other", || heads.borrow().head.is_some()).await;
    b.grow(2);
    until("its next head", || heads.borrow().head.as_ref().is_some_and(|h| h.height == FIRST + 2)).await;
}

#[tokio::test]
async fn heads_are_heard_while_an_endpoint_that_is_not_ready_lets_us_wait() {
    let (a, b, c) = (Node::start(0).await, Node::start(0).await, Node::start(0).await);
    a.twist(|method, _, answer| Reply::Result(if method == "eth_chainId" { json!("0x0") } else { answer }));
    let fleet = fleet_of(&[&a, &b, &c], &[1, 2]);
    let heads = fleet.heads();
    until("a head", || heads.borrow().head.is_some()).await;
    until("they are listened to", || b.subscribers() + c.subscribers() == 2).await;
    a.twist(|_, _, _| Reply::Hang);
    let asked = a.calls("eth_chainId");
    until("it is asked again, and does not answer", || a.calls("eth_chainId") > asked).await;
    for place in 1..=4usize {
        let began = Instant::now();
        b.grow(place);
        until("its head is told", || heads.borrow().highest.as_ref().is_some_and(|h| h.height == FIRST + place as u64))
            .await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn credentials_of_the_url_go_with_the_websocket() {
    let node = Node::start(1).await;
    let with = |url: &str| url.replace("://", "://us%40er:pass@");
    let endpoint = nodes::evm::Endpoint {
        name: "a".into(),
        url: with(&node.http).parse().unwrap(),
        ws: Some(node.ws.parse().unwrap()),
        headers: Vec::new(),
    };
    let member = nodes::fleet::MemberConfig::new("a", "http://***@127.0.0.1");
    let fleet =
        nodes::evm::fleet::EvmFleet::new(super::config(), vec![(member, endpoint)], nodes::fleet::Clock::system());
    let heads = fleet.unwrap().heads();
    until("a handshake", || node.authorization.lock().unwrap().0.is_some()).await;
    let sent = node.authorization.lock().unwrap().clone();
    assert_eq!(sent.0.as_deref(), Some("Basic dXNAZXI6cGFzcw=="));
    until("a request", || node.authorization.lock().unwrap().1.is_some()).await;
    drop(heads);
}

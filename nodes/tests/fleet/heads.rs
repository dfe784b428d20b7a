//! Heads: the first word wins, a lower one hides none, and what it costs.

use std::time::{Duration, Instant};

use nodes::{ChainSource, SourceBlock, Word};

use super::{
    fleet_of,
    node::{FIRST, Node},
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

//! Who is outvoted is judged: forks, nodes that are slow to leave one, and blocks that only some know are no lies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nodes::{ChainSource, SourceBlock, Word, evm::fleet::EvmFleet, fleet::Role};
use schemas::{
    BlockHash,
    records::{Outcome, ProviderSample, Seen},
};
use serde_json::Value;
use tokio::sync::mpsc::Receiver;

use super::{
    fleet_of, fleet_roles,
    lies::forged,
    node::{FIRST, Node, Reply, blocks},
    state_of, until,
};

/// The place of the block about which they differ.
const PLACE: usize = 2;
const HEIGHT: u64 = FIRST + PLACE as u64;
const BY_HASH: &str = "eth_getBlockByHash";

fn hash_of(chain: &[Value]) -> BlockHash {
    chain[PLACE]["block"]["hash"].as_str().unwrap().parse().unwrap()
}

/// Makes a node show another block in place of the one it has, by number and in its subscription.
fn shows(node: &Node, block: &Value) {
    let block = block.clone();
    node.twist(move |method, _, answer| match method {
        "eth_getBlockByNumber" | "newHeads" if answer["number"] == block["number"] => Reply::Result(block.clone()),
        _ => Reply::Result(answer),
    });
}

/// Makes a node answer this to the question for a block by its hash.
fn by_hash(node: &Node, answer: impl Fn() -> Reply + Send + Sync + 'static) {
    node.twist(move |method, _, other| if method == BY_HASH { answer() } else { Reply::Result(other) });
}

fn quarantined(fleet: &EvmFleet, name: &str) -> bool {
    state_of(fleet, name).state.as_str() == "quarantined"
}

fn used(fleet: &EvmFleet, name: &str) -> bool {
    fleet.fleet().members().iter().any(|m| &*m.name() == name && m.usable())
}

/// `a` has told of a forged block, is outvoted and put aside, and tells the right one from now on.
async fn outvoted(a: &Node, fleet: &EvmFleet) {
    let block = fleet.fetch(HEIGHT, None).await.unwrap();
    assert_eq!(block.head().hash, hash_of(&forged(PLACE)));
    assert!(matches!(fleet.second_word(&block.head()).await, Word::Contradicts { .. }));
    until("it is put aside", || !used(fleet, "a")).await;
    shows(a, &blocks()[PLACE]["block"]);
}

#[tokio::test]
async fn a_block_that_one_operator_does_not_have_is_no_lie_while_another_knows_it() {
    let a = Node::with(forged(PLACE), PLACE).await;
    let (b, c, d) = (Node::start(PLACE).await, Node::start(PLACE).await, Node::start(PLACE).await);
    let fork = forged(PLACE)[PLACE]["block"].clone();
    by_hash(&d, move || Reply::Result(fork.clone()));
    let fleet = fleet_of(&[&a, &b, &c, &d], &[]);
    let heads = fleet.heads();
    outvoted(&a, &fleet).await;
    until("all others are asked", || [&b, &c, &d].iter().all(|node| node.calls(BY_HASH) > 0)).await;
    until("it is used again", || used(&fleet, "a")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!quarantined(&fleet, "a") && used(&fleet, "a"), "{:?}", state_of(&fleet, "a").reason);
    drop(heads);
}

#[tokio::test]
async fn a_block_is_a_lie_once_most_say_that_there_is_none() {
    let a = Node::with(forged(PLACE), PLACE).await;
    let (b, c) = (Node::start(PLACE).await, Node::start(PLACE).await);
    let busy = Arc::new(AtomicBool::new(true));
    let is_busy = busy.clone();
    by_hash(&c, move || match is_busy.load(Ordering::Relaxed) {
        true => Reply::Raw("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into()),
        false => Reply::Result(Value::Null),
    });
    let fleet = fleet_of(&[&a, &b, &c], &[]);
    let heads = fleet.heads();
    outvoted(&a, &fleet).await;
    until("both are asked, twice", || b.calls(BY_HASH) > 1 && c.calls(BY_HASH) > 1).await;
    assert!(!quarantined(&fleet, "a"), "one of three says so: {:?}", state_of(&fleet, "a").reason);
    busy.store(false, Ordering::Relaxed);
    until("it is judged", || quarantined(&fleet, "a")).await;
    drop(heads);
}

#[tokio::test]
async fn a_node_that_is_slow_to_leave_a_fork_is_no_liar() {
    let a = Node::with(forged(PLACE), PLACE).await;
    let (b, c) = (Node::start(PLACE).await, Node::start(PLACE).await);
    let (fork, right) = (forged(PLACE)[PLACE]["block"].clone(), blocks()[PLACE]["block"].clone());
    for node in [&b, &c] {
        shows(node, &fork);
    }
    let fleet = fleet_of(&[&a, &b, &c], &[]);
    let heads = fleet.heads();
    let block = fleet.fetch(HEIGHT, None).await.unwrap();
    assert_eq!(fleet.second_word(&block.head()).await, Word::Agrees, "all are on the fork");
    // Both that can be asked for another word show it too.
    for name in ["b", "c"] {
        let member = fleet.fleet().named(name).unwrap();
        until("its head is known", || member.height() == Some(HEIGHT)).await;
    }
    for node in [&b, &c] {
        shows(node, &right);
    }
    let head = nodes::Head { hash: hash_of(&blocks()), ..block.head() };
    until_word(&fleet, &head, |word| *word == Word::Agrees).await;
    until("it is put aside", || !used(&fleet, "a")).await;
    until("it is used again", || used(&fleet, "a")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!quarantined(&fleet, "a"), "{:?}", state_of(&fleet, "a").reason);
    drop(heads);
}

async fn until_word(fleet: &EvmFleet, head: &nodes::Head, is: impl Fn(&Word) -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while !is(&fleet.second_word(head).await) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.expect("the others' word");
}

#[tokio::test]
async fn a_block_by_hash_with_receipts_by_number_is_asked_for_again_when_the_chain_has_changed() {
    let (a, b) = (Node::start(PLACE).await, Node::start(PLACE).await);
    // It still has the block that was replaced, and knows receipts by number only: those of the new one.
    let fork = forged(PLACE)[PLACE]["block"].clone();
    let old = hash_of(&forged(PLACE));
    a.twist(move |method, params, answer| match method {
        BY_HASH => Reply::Result(fork.clone()),
        "eth_getBlockReceipts" if params[0].as_str().unwrap().len() == 66 => {
            Reply::Error(serde_json::json!({"code": -32602, "message": "hex string has length 64"}))
        }
        _ => Reply::Result(answer),
    });
    let fleet = fleet_of(&[&a, &b], &[]);
    let block = fleet.fetch(HEIGHT, Some(&old)).await.unwrap();
    assert_eq!(
        (block.head().hash, block.tx_count()),
        (hash_of(&blocks()), 3),
        "never the one with the other's receipts"
    );
    assert_eq!((fleet.endpoint().as_str(), b.calls("eth_getBlockReceipts")), ("a", 0));
    assert!(!quarantined(&fleet, "a"), "{:?}", state_of(&fleet, "a").reason);
    assert_eq!(a.calls(BY_HASH), 1, "the second time both come by number");
}

#[tokio::test]
async fn endpoints_that_are_not_to_stream_have_no_voice() {
    let liars = [Node::with(forged(PLACE), PLACE).await, Node::with(forged(PLACE), PLACE).await];
    let (a, honest) = (Node::with(forged(PLACE), PLACE).await, Node::start(PLACE).await);
    let serve: &[Role] = &[Role::Serve, Role::Trace];
    let nodes = [&a, &liars[0], &liars[1], &honest];
    let fleet = fleet_roles(&nodes, &[1, 2, 3], &[Role::ALL, serve, serve, Role::ALL]);
    let heads = fleet.heads();
    let block = fleet.fetch(HEIGHT, None).await.unwrap();
    assert_eq!(block.head().hash, hash_of(&forged(PLACE)));
    // They are probed like everybody.
    for name in ["b", "c"] {
        let member = fleet.fleet().named(name).unwrap();
        until("its head is known", || member.height() == Some(HEIGHT)).await;
    }
    let word = fleet.second_word(&block.head()).await;
    assert!(matches!(&word, Word::Contradicts { by, .. } if by == "d"), "{word:?}");
    assert_eq!(liars.iter().map(|node| node.subscribers()).sum::<usize>(), 0, "nor are they listened to");
    drop(heads);
}

/// Outcomes of calls and questions to an endpoint so far.
fn outcomes(samples: &mut Receiver<ProviderSample>, of: &str) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    while let Ok(sample) = samples.try_recv() {
        match sample.seen {
            Seen::Call(call) if sample.endpoint == of => outcomes.push(call.outcome),
            _ => {}
        }
    }
    outcomes
}

#[tokio::test]
async fn not_to_have_a_block_that_only_a_liar_has_costs_nothing() {
    let (steady, c) = (Node::start(PLACE - 1).await, Node::start(PLACE - 1).await);
    let liar = Node::with(forged(PLACE), PLACE - 1).await;
    let fleet = fleet_of(&[&steady, &liar, &c], &[0, 1, 2]);
    let mut samples = fleet.fleet().samples();
    let heads = fleet.heads();
    until("all are listened to", || [&steady, &liar, &c].iter().all(|node| node.subscribers() == 1)).await;
    until("a head", || heads.borrow().head.is_some()).await;
    liar.grow(PLACE);
    until("the forged head is told", || heads.borrow().highest.as_ref().is_some_and(|h| h.height == HEIGHT)).await;
    let told = heads.borrow().highest.clone().unwrap();
    assert_eq!((told.hash.clone(), fleet.endpoint().as_str()), (hash_of(&forged(PLACE)), "a"));
    let block = fleet.fetch(HEIGHT, Some(&told.hash)).await.unwrap();
    assert_eq!(block.head(), told, "nobody knows yet that it is none");
    for node in [&steady, &c] {
        node.grow(PLACE);
    }
    until_word(&fleet, &told, |word| matches!(word, Word::Contradicts { .. })).await;
    until("the liar is named", || quarantined(&fleet, "b")).await;
    let block = fleet.fetch(HEIGHT, None).await.unwrap();
    assert_eq!(block.head().hash, hash_of(&blocks()));
    assert_eq!(fleet.second_word(&block.head()).await, Word::Agrees);
    let outcomes = outcomes(&mut samples, "a");
    assert!(outcomes.iter().all(|o| matches!(o, Outcome::Ok | Outcome::Empty)), "{outcomes:?}");
    assert_eq!((state_of(&fleet, "a").state.as_str(), fleet.endpoint().as_str()), ("ok", "a"));
    drop(heads);
}

#[tokio::test]
async fn not_to_have_a_block_that_enough_others_show_is_to_be_behind() {
    let (late, b, c) = (Node::start(PLACE - 1).await, Node::start(PLACE).await, Node::start(PLACE).await);
    let fleet = fleet_of(&[&late, &b, &c], &[]);
    let mut samples = fleet.fleet().samples();
    fleet.fetch(FIRST, None).await.unwrap();
    assert_eq!(fleet.endpoint(), "a");
    let heads = fleet.heads();
    until("the head of the others is known", || fleet.fleet().named("b").unwrap().height() == Some(HEIGHT)).await;
    let block = fleet.fetch(HEIGHT, Some(&hash_of(&blocks()))).await.unwrap();
    assert_eq!(block.head().height, HEIGHT);
    assert_eq!(fleet.second_word(&block.head()).await, Word::Agrees);
    let outcomes = outcomes(&mut samples, "a");
    assert!(outcomes.contains(&Outcome::Stale), "{outcomes:?}");
    drop(heads);
}

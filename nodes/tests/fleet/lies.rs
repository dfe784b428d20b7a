//! Lies are found, the block comes from somebody else at once, and the liar is named with what it said.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use nodes::{ChainSource, SourceBlock, Word, evm::verify::verify, evm::wire};
use serde_json::{Value, json};

use super::{
    checks, fleet_of,
    node::{FIRST, Node, Reply, blocks},
    state_of, until,
};

/// A lie about a block, and words that its finding has.
type Lie = (&'static str, fn(&str, &Value, Value) -> Reply, &'static str);

fn receipts(method: &str, answer: Value, change: impl FnOnce(&mut Vec<Value>)) -> Reply {
    match answer {
        Value::Array(mut list) if method == "eth_getBlockReceipts" => {
            change(&mut list);
            Reply::Result(Value::Array(list))
        }
        other => Reply::Result(other),
    }
}

fn block(method: &str, answer: Value, change: impl FnOnce(&mut Value)) -> Reply {
    let mut answer = answer;
    if method.starts_with("eth_getBlockBy") && answer.is_object() {
        change(&mut answer);
    }
    Reply::Result(answer)
}

const LIES: [Lie; 9] = [
    ("a receipt dropped", |m, _, a| receipts(m, a, |list| drop(list.pop())), "receipts of 2 of the block's 3"),
    ("receipts missing", |m, _, a| receipts(m, a, |list| list.truncate(1)), "receipts of 1 of the block's 3"),
    ("no receipts", |m, _, a| receipts(m, a, Vec::clear), "receipts of 0 of the block's 3"),
    ("a receipt twice instead of another", |m, _, a| receipts(m, a, |list| list[2] = list[1].clone()), "receipts of 2"),
    (
        "a log changed",
        |m, _, a| {
            receipts(m, a, |list| {
                let logs = list.iter_mut().flat_map(|r| r["logs"].as_array_mut().unwrap());
                logs.take(1).for_each(|log| log["address"] = json!("0x1111111111111111111111111111111111111111"));
            })
        },
        "receipts have root",
    ),
    ("a status changed", |m, _, a| receipts(m, a, |list| list[0]["status"] = json!("0x0")), "receipts have root"),
    (
        "another chain's block",
        |m, _, a| {
            block(m, a, |block| {
                let other = std::fs::read_to_string(concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/../loadtest/data/cases/sei-other-index/blocks.json"
                ));
                let number = block["number"].clone();
                let others: Value = serde_json::from_str(&other.unwrap()).unwrap();
                *block = others[0]["block"].clone();
                block["number"] = number;
            })
        },
        "different hashes|another block|hash to|receipts",
    ),
    (
        "a value changed",
        |m, _, a| block(m, a, |block| block["transactions"][0]["value"] = json!("0x1")),
        "does not hash",
    ),
    ("a header changed", |m, _, a| block(m, a, |block| block["extraData"] = json!("0x07")), "header's fields hash"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lie_about_a_block_is_found_and_the_liar_is_named() {
    for by_hash in [false, true] {
        for (name, lie, says) in LIES {
            let (liar, honest) = (Node::start(3).await, Node::start(3).await);
            let fleet = fleet_of(&[&liar, &honest], &[]);
            assert_eq!(fleet.fetch(FIRST, None).await.unwrap().head().height, FIRST);
            liar.twist(lie);
            let hash = blocks()[1]["block"]["hash"].as_str().unwrap().parse().unwrap();
            let began = Instant::now();
            let found =
                fleet.fetch(FIRST + 1, by_hash.then_some(&hash)).await.unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!((found.head().hash, found.tx_count()), (hash, 3), "{name}");
            assert!(began.elapsed() < Duration::from_secs(1), "{name}: {:?}", began.elapsed());
            until(name, || state_of(&fleet, "a").state.as_str() == "quarantined").await;
            let state = state_of(&fleet, "a");
            let reason = format!("{:?} {:?}", state.reason, state.lie);
            assert!(says.split('|').any(|says| reason.contains(says)) || by_hash, "{name}: {reason}");
            assert_ne!(state_of(&fleet, "b").state.as_str(), "quarantined", "{name}");
            // The next block costs the liar nothing.
            let asked = liar.calls("eth_getBlockReceipts");
            assert_eq!(fleet.fetch(FIRST + 2, None).await.unwrap().head().height, FIRST + 2);
            assert_eq!((liar.calls("eth_getBlockReceipts"), fleet.endpoint()), (asked, "b".to_owned()), "{name}");
        }
    }
}

#[tokio::test]
async fn what_all_nodes_of_a_chain_do_is_no_lie() {
    let (a, b) = (Node::start(3).await, Node::start(3).await);
    for node in [&a, &b] {
        node.twist(|method, _, answer| receipts(method, answer, |list| drop(list.pop())));
    }
    let fleet = fleet_of(&[&a, &b], &[]);
    let block = fleet.fetch(FIRST + 1, None).await.unwrap();
    assert_eq!((block.tx_count(), block.transactions.len()), (3, 3), "completed from single receipts");
    assert!(["a", "b"].iter().all(|name| state_of(&fleet, name).state.as_str() != "quarantined"));
}

#[tokio::test]
async fn a_truncated_batch_is_no_answer() {
    let (node, other) = (Node::start(4).await, Node::start(4).await);
    let odd = AtomicBool::new(false);
    node.twist(move |method, _, answer| match method {
        "eth_getBlockReceipts" => Reply::Error(json!({"code": -32601, "message": "method not found"})),
        // Every batch lacks an answer that it should have: the whole connection is closed in its middle.
        "eth_getTransactionReceipt" if odd.swap(true, Ordering::Relaxed) => {
            Reply::Raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]".into())
        }
        _ => Reply::Result(answer),
    });
    let fleet = fleet_of(&[&node, &other], &[]);
    let block = fleet.fetch(FIRST + 3, None).await.unwrap();
    assert_eq!((block.tx_count(), block.transactions.len()), (60, 60));
}

/// The chain with a forged last block: its roots are right, and its hash is the hash of what it says.
pub fn forged(place: usize) -> Vec<Value> {
    let mut chain = blocks();
    let block = &mut chain[place]["block"];
    block["extraData"] = json!("0xbad0");
    let read = |block: &Value| match wire::parse_answer::<wire::Block>(&block.to_string()).unwrap() {
        wire::Answer::Result(block) => block,
        other => panic!("{other:?}"),
    };
    let parsed = read(block);
    let receipts = match wire::parse_answer::<Vec<wire::Receipt>>(&chain[place]["receipts"].to_string()).unwrap() {
        wire::Answer::Result(receipts) => receipts,
        other => panic!("{other:?}"),
    };
    let told = verify(&parsed, &receipts, FIRST + place as u64, &checks()).unwrap_err();
    let hash = told.split("hash to ").nth(1).and_then(|rest| rest.split(',').next()).unwrap().to_owned();
    let (old, whole) = (chain[place]["block"]["hash"].as_str().unwrap().to_owned(), chain[place].to_string());
    chain[place] = serde_json::from_str(&whole.replace(&old, &hash)).unwrap();
    chain
}

#[tokio::test]
async fn a_forged_header_with_right_roots_is_found_by_the_others_word() {
    let place = 2;
    let liar = Node::with(forged(place), place).await;
    let (b, c) = (Node::start(place).await, Node::start(place).await);
    let fleet = fleet_of(&[&liar, &b, &c], &[]);
    let heads = fleet.heads();
    let height = FIRST + place as u64;
    let right: schemas::BlockHash = blocks()[place]["block"]["hash"].as_str().unwrap().parse().unwrap();
    let false_block = fleet.fetch(height, None).await.unwrap();
    assert_ne!(false_block.head().hash, right, "no check finds it");
    let word = fleet.second_word(&false_block.head()).await;
    match &word {
        Word::Contradicts { says, .. } => assert_eq!(*says, right.to_string()),
        other => panic!("{other:?}"),
    }
    // The next endpoint is asked from now on, and its block is agreed on.
    let block = fleet.fetch(height, None).await.unwrap();
    assert_eq!((block.head().hash, fleet.second_word(&block.head()).await), (right.clone(), Word::Agrees));
    until("it is judged", || state_of(&fleet, "a").state.as_str() == "quarantined").await;
    let state = state_of(&fleet, "a");
    let reason = format!("{:?} {:?}", state.reason, state.lie);
    assert!(reason.contains(&right.to_string()) && reason.contains(false_block.head().hash.as_str()), "{reason}");
    for honest in ["b", "c"] {
        assert_ne!(state_of(&fleet, honest).state.as_str(), "quarantined");
    }
    drop(heads);
}

#[tokio::test]
async fn a_liar_that_is_not_in_use_is_named_too_and_nobody_of_two_is() {
    let place = 2;
    let (a, b) = (Node::start(place).await, Node::start(place).await);
    let liar = Node::with(forged(place), place).await;
    let fleet = fleet_of(&[&a, &liar, &b], &[]);
    let heads = fleet.heads();
    let block = fleet.fetch(FIRST + place as u64, None).await.unwrap();
    assert_eq!(fleet.second_word(&block.head()).await, Word::Agrees);
    until("it is judged", || state_of(&fleet, "b").state.as_str() == "quarantined").await;
    assert_eq!(fleet.endpoint(), "a");
    drop(heads);

    // One against one: nobody can say who is right, and nobody is judged.
    let fleet = fleet_of(&[&a, &liar], &[]);
    let heads = fleet.heads();
    let word = fleet.second_word(&block.head()).await;
    let _ = fleet.fetch(FIRST + place as u64, None).await.unwrap();
    assert!(matches!(word, Word::Contradicts { .. } | Word::Silent), "{word:?}");
    let word = fleet.second_word(&block.head()).await;
    assert!(matches!(word, Word::Contradicts { .. }), "{word:?}");
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert!(["a", "b"].iter().all(|name| state_of(&fleet, name).state.as_str() != "quarantined"));
    drop(heads);
}

#[tokio::test]
async fn a_fork_that_others_know_is_no_lie() {
    let place = 2;
    let forked = Node::with(forged(place), place).await;
    let (b, c) = (Node::start(place).await, Node::start(place).await);
    // They once had that block.
    let hash = forged(place)[place]["block"]["hash"].clone();
    let known = forged(place)[place]["block"].clone();
    for node in [&b, &c] {
        let (hash, known) = (hash.clone(), known.clone());
        node.twist(move |method, params, answer| match method {
            "eth_getBlockByHash" if params[0] == hash => Reply::Result(known.clone()),
            _ => Reply::Result(answer),
        });
    }
    let fleet = fleet_of(&[&forked, &b, &c], &[]);
    let heads = fleet.heads();
    let block = fleet.fetch(FIRST + place as u64, None).await.unwrap();
    assert!(matches!(fleet.second_word(&block.head()).await, Word::Contradicts { .. }));
    assert_eq!(
        fleet.fetch(FIRST + place as u64, None).await.unwrap().head().hash.to_string(),
        blocks()[place]["block"]["hash"]
    );
    // It comes round.
    let right = blocks()[place]["block"].clone();
    forked.twist(move |method, params, answer| match method {
        "eth_getBlockByNumber" if params[1] == false => Reply::Result(right.clone()),
        _ => Reply::Result(answer),
    });
    let aside = || fleet.fleet().members().iter().any(|m| &*m.name() == "a" && m.usable());
    until("it is used again", aside).await;
    assert_ne!(state_of(&fleet, "a").state.as_str(), "quarantined");
    drop(heads);
}

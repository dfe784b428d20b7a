//! Receipts that only single calls give, for one block, whatever the block's call answers.

use loadtest::node::fixed::{Asked, Reply};
use serde_json::{Value, json};

use crate::run::{Run, Totals};

const HEIGHT: u64 = 20_000_002;
const BLOCK: &str = "eth_getBlockReceipts";
const SINGLE: &str = "eth_getTransactionReceipt";

/// The block's call for one height, and the true list.
fn list<'a>(asked: &Asked, truth: &'a Value, height: u64) -> Option<&'a Vec<Value>> {
    (asked.is(BLOCK) && asked.height() == Some(height)).then(|| truth.as_array()).flatten()
}

fn sei() -> Totals {
    Totals {
        blocks: 5,
        transactions: 15,
        logs: 73,
        gas: 2_586_361,
        fees: 135_683_049_213_345_602,
        tip: (20_000_004, "0x3a25211f2b4641abbfd1dffb3f485d2f706b7c250f9405dfcbf82a48e61efd8f".into()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_block_that_is_too_big_for_the_provider_is_made_whole() {
    const FULL: u64 = 20_000_003;
    for (code, message) in [(-32_008, "Response is too big"), (-32_020, "backend response too large")] {
        let mut run = Run::case("response-too-big", 999, |node| {
            node.quirk(move |asked, truth| {
                let data = json!("Exceeded max limit of 167772160");
                list(asked, truth, FULL).map(|_| Reply::Error(code, message.into(), data))
            });
            // The transactions of the small blocks are among those of the full one, too: it is the latter's that are asked for.
            let full = node.blocks()[3].receipts.clone();
            node.quirk(move |asked, _| {
                let hash = asked.params.first().filter(|_| asked.is(SINGLE))?;
                full.iter().find(|r| r["transactionHash"] == *hash).cloned().map(Reply::Result)
            });
        })
        .await;
        let tip = "0x0fc0b8773b0cf134e4bce1401eab9b9e56230d0edae0c62a1d04d2aa2c338e5f".to_owned();
        let right = Totals {
            blocks: 5,
            transactions: 72,
            logs: 268,
            gas: 9_452_017,
            fees: 507_361_603_744_194_620,
            tip: (20_000_004, tip),
        };
        assert_eq!(Totals::of(&run.whole().await), right);
        assert_eq!(run.node.count(SINGLE), 60, "of the full block only");
        run.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_whose_receipts_always_fail_is_made_whole_and_the_others_keep_the_faster_way() {
    let mut run = Run::case("sei-block-receipts-error", 1329, |node| {
        node.quirk(|asked, truth| {
            list(asked, truth, HEIGHT).map(|_| Reply::error(-32_000, "failed to find transaction in block"))
        });
    })
    .await;
    assert_eq!(Totals::of(&run.whole().await), sei());
    let calls = run.node.calls();
    assert_eq!(calls.iter().filter(|a| a.is(SINGLE)).count(), 3, "of that block only");
    assert!(calls.iter().any(|a| a.is(BLOCK) && a.height() == Some(20_000_004)), "the faster way is still used");
    run.stop().await;
}

/// What else a block's call may answer.
type Answer = fn(&[Value]) -> Reply;

const ANSWERS: [(&str, Answer); 13] = [
    ("one missing", |all| Reply::Result(json!(all[1..]))),
    ("the last missing", |all| Reply::Result(json!(all[..all.len() - 1]))),
    ("one doubled in the place of another", |all| Reply::Result(json!([all[0], all[0], all[2]]))),
    ("one doubled", |all| Reply::Result(json!([all[0], all[1], all[1], all[2]]))),
    ("another order", |all| Reply::Result(json!([all[2], all[0], all[1]]))),
    ("null among them", |all| Reply::Result(json!([all[0], Value::Null, all[2]]))),
    ("an empty list", |_| Reply::Result(json!([]))),
    ("null", |_| Reply::Result(Value::Null)),
    ("no list", |_| Reply::Result(json!({"receipts": "no"}))),
    ("cut off", |_| Reply::Http(200, r#"{"jsonrpc":"2.0","id":1,"result":[{"blockHash""#.into())),
    ("HTTP 413", |_| Reply::Http(413, "Payload Too Large".into())),
    ("HTTP 500", |_| Reply::Http(500, "internal error".into())),
    ("pruned", |_| Reply::error(-32_000, "missing trie node 77")),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_call_for_the_block_answers_single_receipts_make_it_whole() {
    for (name, answer) in ANSWERS {
        let mut run = Run::case("sei-block-receipts-error", 1329, |node| {
            node.quirk(move |asked, truth| list(asked, truth, HEIGHT).map(|all| answer(all)));
        })
        .await;
        assert_eq!(Totals::of(&run.whole().await), sei(), "{name}");
        assert!(run.node.count(SINGLE) <= 3, "{name}: {} single calls", run.node.count(SINGLE));
        run.stop().await;
    }
}

/// The receipts of the block below, for ever, as they are or passed off as this block's: the wrong ones are never taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_of_another_block_are_never_taken() {
    for passed_off in [false, true] {
        let mut run = Run::case("sei-block-receipts-error", 1329, |node| {
            let below = node.blocks()[1].receipts.clone();
            node.quirk(move |asked, truth| {
                let hash = &list(asked, truth, HEIGHT)?[0]["blockHash"];
                let mut below = below.clone();
                if passed_off {
                    below.iter_mut().for_each(|r| r["blockHash"] = hash.clone());
                }
                Some(Reply::Result(json!(below)))
            });
        })
        .await;
        assert_eq!(Totals::of(&run.whole().await), sei());
        run.stop().await;
    }
}

/// A node that is not done with a block's receipts yet: waited for, at one single call a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_come_later_are_waited_for() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    let (early, asked_early) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut run = Run::case("sei-block-receipts-error", 1329, |node| {
        let hashes: Vec<Value> = node.blocks()[2].receipts.iter().map(|r| r["transactionHash"].clone()).collect();
        let (early, asked_early) = (early.clone(), asked_early.clone());
        node.quirk(move |asked, truth| {
            let single = asked.is(SINGLE) && hashes.contains(&asked.params[0]);
            if single {
                asked_early.fetch_add(1, Ordering::Relaxed);
            }
            let early = |n| early.fetch_add(n, Ordering::Relaxed) < 4;
            match list(asked, truth, HEIGHT) {
                Some(_) if early(1) => Some(Reply::Result(json!([]))),
                None if single && early(0) => Some(Reply::Result(Value::Null)),
                _ => None,
            }
        });
    })
    .await;
    assert_eq!(Totals::of(&run.whole().await), sei());
    assert!(asked_early.load(Ordering::Relaxed) <= 6, "{} single calls", asked_early.load(Ordering::Relaxed));
    run.stop().await;
}

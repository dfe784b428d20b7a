//! Batches that a node refuses, in any way: smaller ones, then single calls, and what worked is remembered.

use std::sync::atomic::{AtomicUsize, Ordering};

use loadtest::node::fixed::{Asked, FixedNode, Reply, stacked};

use crate::run::{Run, Totals};

fn right() -> Totals {
    Totals {
        blocks: 3,
        transactions: 60,
        logs: 201,
        gas: 7_160_905,
        fees: 416_374_881_438_711_020,
        tip: (20_000_002, "0xa7ca09ef37618aa938ff0c8f134e55f687744a237a7fdbb8925e1262aedb7a63".into()),
    }
}

/// A node without the block's call that refuses batches of more than `limit` calls so.
fn refuses(node: &FixedNode, limit: usize, refusal: impl Fn() -> Reply + Send + 'static) {
    node.quirk(move |asked, _| {
        if asked.is("eth_getBlockReceipts") {
            return Some(Reply::error(-32_601, "the method eth_getBlockReceipts does not exist/is not available"));
        }
        too_large(asked, limit).then(&refusal)
    });
}

fn too_large(asked: &Asked, limit: usize) -> bool {
    asked.batch.is_some_and(|calls| calls > limit)
}

fn refused(node: &FixedNode, limit: usize) -> usize {
    node.calls().iter().filter(|asked| too_large(asked, limit)).count()
}

/// Follows the three blocks and then three more; returns the batch sizes that were used for the latter.
async fn follows(name: &str, limit: usize, refusal: impl Fn() -> Reply + Send + 'static) -> Vec<usize> {
    let mut run = Run::case("batch-limit", 3_448_148_188, |node| refuses(node, limit, refusal)).await;
    assert_eq!(Totals::of(&run.whole().await), right(), "{name}");
    let (before, asked) = (refused(&run.node, limit), run.node.calls().len());
    assert!(before > 0, "{name}: no large batch was tried");
    let blocks = run.node.blocks();
    run.node.replace(stacked(&blocks, &[20_000_003, 20_000_004, 20_000_005], Some(&blocks[2].hash()), 1));
    assert_eq!(run.whole().await.blocks.len(), 6, "{name}");
    assert_eq!(refused(&run.node, limit), before, "{name}: what was refused is remembered");
    let later = run.node.calls().split_off(asked);
    run.stop().await;
    later.iter().filter(|a| a.is("eth_getTransactionReceipt")).map(|a| a.batch.unwrap_or(1)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_over_the_providers_limit_become_smaller() {
    let refusal = || {
        Reply::Http(500, r#"{"message":"Batch of more than 3 requests are not allowed on free tier, to use this feature register paid account at a provider","code":31}"#.into())
    };
    let sizes = follows("a provider's limit of 3", 3, refusal).await;
    assert!(sizes.iter().all(|n| (2..=3).contains(n)), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_may_be_refused_in_any_way() {
    type Way = (&'static str, fn() -> Reply);
    let ways: [Way; 10] = [
        ("HTTP 413", || Reply::Http(413, String::new())),
        ("HTTP 400 in words", || Reply::Http(400, "batch requests are limited".into())),
        ("HTTP 500 in words", || Reply::Http(500, "boom".into())),
        ("HTTP 403", || Reply::Http(403, "no batches on this plan".into())),
        ("HTTP 200 in words", || Reply::Http(200, "no batches".into())),
        ("{}", || Reply::Http(200, "{}".into())),
        ("nothing at all", || Reply::Http(200, String::new())),
        ("an empty list", || Reply::Http(200, "[]".into())),
        ("one error in the place of the list", || {
            Reply::Http(
                200,
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}"#.into(),
            )
        }),
        ("an error for each call", || Reply::error(-32_007, "batch limit exceeded")),
    ];
    for (name, way) in ways {
        let sizes = follows(name, 6, way).await;
        assert!(sizes.iter().all(|n| (2..=6).contains(n)), "{name}: {sizes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_batch_is_taken_single_calls_are() {
    let sizes = follows("no batches", 1, || Reply::Http(400, "batches are not supported".into())).await;
    assert_eq!(sizes, vec![1; 60]);
}

/// A list that is shorter than the batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_missing_in_a_batch_are_asked_for_again() {
    let calls = AtomicUsize::new(0);
    let refusal = move || match calls.fetch_add(1, Ordering::Relaxed) % 5 {
        0 => Reply::Omitted,
        _ => Reply::error(-32_000, "not in this batch"),
    };
    let sizes = follows("too short", 4, refusal).await;
    assert!(sizes.iter().all(|n| (2..=4).contains(n)), "{sizes:?}");
}

//! Chains that are not followed: too deep, or below what was published as final. The network goes on by itself when the node's
//! chain is the held one again, as after a balancer's node on a stale fork has gone.

use loadtest::node::fixed::{Pair, Reply, recorded, stacked};
use schemas::records::NetworkState;

use crate::{
    common::{Chain, read_chain},
    run::Run,
};

const CHAIN: u64 = 1329;

/// A chain of its own, from height 1 on.
fn chain(heights: std::ops::RangeInclusive<u64>, below: Option<&str>, salt: u64) -> Vec<Pair> {
    let mut content = recorded("sei-block-receipts-error").expect("blocks");
    for pair in &mut content {
        // What counts here is the chain, not its weight.
        pair.block["transactions"] = serde_json::json!([]);
        pair.receipts.clear();
    }
    stacked(&content, &heights.collect::<Vec<_>>(), below, salt)
}

async fn unchanged(run: &Run, before: &Chain) {
    let now = read_chain(&*run.log).await;
    assert_eq!((now.sequence, now.hashes()), (before.sequence, before.hashes()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_that_is_too_deep_is_left_when_the_held_chain_is_back() {
    let held = chain(1..=300, None, 1);
    let mut run = Run::over(held.clone(), CHAIN, |_| {}).await;
    let before = run.whole().await;
    for restarted in [false, true] {
        run.node.replace(chain(20..=301, Some(&held[18].hash()), 2));
        let words = run.state(NetworkState::ReorgTooDeep).await.detail.expect("words");
        assert!(words.contains("by more than 256 blocks") && words.contains("goes on by itself"), "{words}");
        assert!(words.contains("`headwater accept-reorg --config FILE"), "names the way on: {words}");
        if restarted {
            run.restart().await;
        }
        let asked = run.node.count("eth_getBlockByNumber");
        run.asked("eth_getBlockByNumber", asked + 10).await;
        run.state(NetworkState::ReorgTooDeep).await;
        unchanged(&run, &before).await;
        run.node.replace(held[19..].to_vec());
        run.state(NetworkState::Live).await;
    }
    run.node.replace(chain(301..=303, Some(&held[299].hash()), 3));
    let after = run.whole().await;
    assert_eq!((after.sequence, after.reverts), (303, 0), "nothing was reverted in between");
    // And that it is over is kept, too.
    run.restart().await;
    run.node.replace(chain(302..=304, Some(&run.node.blocks()[300].hash()), 4));
    assert_eq!(run.whole().await.reverts, 2);
    run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_published_as_final_is_reverted() {
    let held = chain(1..=40, None, 1);
    let mut run = Run::over(held.clone(), CHAIN, |node| node.finalize(Some(30))).await;
    run.whole().await;
    until_final(&run, 30).await;
    let before = run.whole().await;
    for (from, restarted) in [(30, false), (12, true)] {
        let below = held[from as usize - 2].hash();
        run.node.replace(chain(from..=44, Some(&below), 2));
        let words = run.state(NetworkState::Stalled).await.detail.expect("words");
        assert!(words.contains("block 30, which was published as final"), "{words}");
        if restarted {
            run.restart().await;
            run.state(NetworkState::Stalled).await;
        }
        unchanged(&run, &before).await;
        run.node.replace(held[from as usize - 1..].to_vec());
        run.state(NetworkState::Live).await;
    }
    // Above it a reorg is a reorg.
    run.node.replace(chain(31..=45, Some(&held[29].hash()), 3));
    let after = run.whole().await;
    assert_eq!((after.reverts, after.blocks.len()), (10, 45));
    run.stop().await;
}

/// Heights of finality stay when the node has no word on them for a while, or an older one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finality_does_not_flap() {
    let mut run = Run::over(chain(1..=40, None, 1), CHAIN, |node| node.finalize(Some(30))).await;
    run.whole().await;
    until_final(&run, 30).await;
    let answers: [fn() -> Reply; 5] = [
        || Reply::error(-32_000, "boom"),
        || Reply::error(-32_602, "invalid block tag"),
        || Reply::Result(serde_json::Value::Null),
        || Reply::Http(502, "bad gateway".into()),
        || Reply::error(-39_001, "finalized block not found"),
    ];
    for answer in answers {
        run.node.quirk(move |asked, _| {
            asked.params.first().filter(|p| **p == "safe" || **p == "finalized").map(|_| answer())
        });
        let top = run.node.blocks().pop().expect("a block");
        let asked = run.node.count("eth_getBlockByNumber");
        run.asked("eth_getBlockByNumber", asked + 8).await;
        run.node.replace(chain(top.height() + 1..=top.height() + 1, Some(&top.hash()), 1));
        assert_eq!(run.whole().await.last_finalized, Some(30));
        run.node.behave();
    }
    // A node that is behind; then one that is not.
    run.node.finalize(Some(20));
    let top = run.node.blocks().pop().expect("a block");
    run.node.replace(chain(top.height() + 1..=top.height() + 1, Some(&top.hash()), 1));
    assert_eq!(run.whole().await.last_finalized, Some(30));
    run.node.finalize(Some(41));
    until_final(&run, 41).await;
    run.stop().await;
}

async fn until_final(run: &Run, height: u64) {
    let wait = async {
        while read_chain(&*run.log).await.last_finalized != Some(height) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("finality in time");
}

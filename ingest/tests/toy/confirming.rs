//! The second word (rule 24): who agrees, who is silent, who contradicts.

use std::time::Duration;

use nodes::Finality;
use schemas::{limits, records::NetworkState};

use crate::{
    chain::{Other, ToySource, View, hash},
    world::{Reader, TOLD, World},
};

const SOON: Duration = Duration::from_secs(30);

fn following(view: &View, other: Other) -> World {
    let source = ToySource::new(view.clone());
    source.state().other = other;
    World::of(source, TOLD, Reader::default(), view.0[0].height)
}

#[tokio::test]
async fn history_is_vouched_for_at_little_cost() {
    let view = View::default().grown(1..=320, 1);
    let mut world = following(&view, Other::Sees(view.clone()));
    world.source.state().finality = Finality { safe: None, finalized: Some(300) };
    world.until(&view, SOON).await;
    let words = world.source.count("word");
    assert!((20..60).contains(&words), "{words} words for 320 blocks");
}

#[tokio::test]
async fn a_false_history_is_not_published() {
    let truth = View::default().grown(1..=100, 1);
    let forged = truth.up_to(40).grown(41..=100, 1_000);
    let mut world = following(&forged, Other::Sees(truth.clone()));
    let said = world.state(NetworkState::Diverged).await;
    let right = &truth.0[world.reader.blocks.len()..][..limits::INGEST_VOUCHED_BLOCKS];
    assert!(
        said.contains("endpoint `second` has 0x") && right.iter().any(|b| said.contains(b.hash.as_str())),
        "{said}"
    );
    world.read_for(Duration::from_millis(300)).await;
    assert!(world.reader.tip() <= Some(40), "{:?}", world.reader.tip());
    // The source has found out who lies, and asks another.
    world.source.sees(truth.clone());
    world.until(&truth, SOON).await;
    assert_eq!(world.reader.reverts, 0, "no false record");
    assert_eq!(world.state(NetworkState::Live).await, "");
}

#[tokio::test]
async fn a_live_block_that_another_contradicts_is_not_published() {
    let base = View::default().grown(1..=10, 1);
    let mut world = following(&base, Other::Sees(base.clone()));
    world.until(&base, SOON).await;
    let (right, wrong) = (base.grown([11], 11), base.grown([11], 99));
    world.source.state().other = Other::Sees(right.clone());
    world.source.sees(wrong.clone());
    let said = world.state(NetworkState::Diverged).await;
    assert!(said.contains(wrong.top().hash.as_str()) && said.contains(right.top().hash.as_str()), "{said}");
    assert!(said.contains("nothing is published until they agree"), "{said}");
    world.read_for(Duration::from_millis(300)).await;
    assert_eq!((world.reader.tip(), world.reader.reverts), (Some(10), 0));
    world.source.sees(right.clone());
    world.until(&right, SOON).await;
    world.state(NetworkState::Live).await;
    // A reorg is published on a second word only, too.
    let branch = base.up_to(8).grown(9..=12, 200);
    world.source.sees(branch.clone());
    world.state(NetworkState::Diverged).await;
    assert_eq!(world.reader.reverts, 0);
    world.source.state().other = Other::Sees(branch.clone());
    world.until(&branch, SOON).await;
    assert_eq!(world.reader.reverts, 3);
}

/// Where the source finds out at once who lies, a lie costs a question and no pause.
#[tokio::test]
async fn a_lie_that_is_found_out_costs_no_pause() {
    let base = View::default().grown(1..=10, 1);
    let mut world = following(&base, Other::Sees(base.clone()));
    world.until(&base, SOON).await;
    let (mut now, mut took) = (base, Duration::ZERO);
    for height in 11..=25u64 {
        let (right, wrong) = (now.grown([height], height), now.grown([height], 1_000 + height));
        world.source.state().endpoint = "liar";
        world.source.state().other = Other::Decide(right.clone());
        world.source.sees(wrong);
        took += world.until(&right, SOON).await;
        now = right;
    }
    assert_eq!(world.reader.reverts, 0);
    let named = world.status.wait_for(|status| status.endpoint.as_deref() == Some("second"));
    tokio::time::timeout(SOON, named).await.expect("the endpoint in use is named").expect("the watcher lives");
    // A pause is 100 ms here, at least.
    assert!(took < Duration::from_millis(1_000), "{took:?} for fifteen lies");
}

/// Blocks that stand on nothing the liar has lead to no block that could be published: others are asked all the same, or the network would
/// stand still for as long as the lie is told.
#[tokio::test]
async fn a_lie_that_links_to_nothing_is_found_out() {
    let base = View::default().grown(1..=10, 1);
    let mut world = following(&base, Other::Sees(base.clone()));
    world.until(&base, SOON).await;
    let right = base.grown(11..=13, 11);
    let mut wrong = base.grown(11..=13, 900);
    wrong.0[10].parent = hash(899);
    world.source.state().endpoint = "liar";
    world.source.state().other = Other::Sees(right.clone());
    world.source.sees(wrong.clone());
    let said = world.state(NetworkState::Diverged).await;
    assert!(said.contains(wrong.0[10].hash.as_str()) && said.contains(right.0[10].hash.as_str()), "{said}");
    // Enough of them to decide.
    world.source.state().other = Other::Decide(right.clone());
    world.until(&right, SOON).await;
    assert_eq!(world.reader.reverts, 0, "no false record");
    world.state(NetworkState::Live).await;
}

/// A fork that spreads is no quarrel.
#[tokio::test]
async fn one_contradiction_is_no_state() {
    let base = View::default().grown(1..=10, 1);
    let mut world = following(&base, Other::Sees(base.grown([11], 99)));
    let (next, mut status) = (base.grown([11], 11), world.status.clone());
    let watched = tokio::spawn(async move {
        while status.changed().await.is_ok() {
            assert_ne!(status.borrow_and_update().state, NetworkState::Diverged);
        }
    });
    world.until(&base, SOON).await;
    world.source.sees(next.clone());
    while world.source.count("word 11") == 0 {
        world.read_for(Duration::from_millis(1)).await;
    }
    world.source.state().other = Other::Sees(next.clone());
    world.until(&next, SOON).await;
    drop(world);
    watched.abort();
    assert!(watched.await.is_err_and(|e| e.is_cancelled()), "never diverged");
}

#[tokio::test]
async fn silence_is_unconfirmed_at_the_head() {
    let base = View::default().grown(1..=10, 1);
    let mut world = following(&base, Other::Sees(base.clone()));
    world.until(&base, SOON).await;
    world.state(NetworkState::Live).await;
    world.source.state().other = Other::Silent;
    let next = base.grown([11], 11);
    world.source.sees(next.clone());
    let took = world.until(&next, SOON).await;
    assert!(took >= Duration::from_millis(100) && took < Duration::from_secs(2), "{took:?}");
    let said = world.state(NetworkState::Unconfirmed).await;
    assert!(said.contains("endpoint `toy` alone") && said.contains("confirm"), "{said}");
    // The state stays while nothing else happens, and ends with the next word.
    world.read_for(Duration::from_millis(200)).await;
    assert_eq!(world.status.borrow().state, NetworkState::Unconfirmed);
    let more = next.grown([12], 12);
    world.source.state().other = Other::Sees(more.clone());
    world.source.sees(more.clone());
    world.until(&more, SOON).await;
    world.state(NetworkState::Live).await;
}

#[tokio::test]
async fn below_the_finalized_height_silence_is_waited_out() {
    let view = View::default().grown(1..=60, 1);
    let source = ToySource::new(view.clone());
    source.state().other = Other::Silent;
    source.state().finality = Finality { safe: None, finalized: Some(40) };
    let mut world = World::of(source, TOLD, Reader::default(), 1);
    let said = world.state(NetworkState::Unconfirmed).await;
    assert!(said.contains("block 1 is below the finalized height") && said.contains("asked again"), "{said}");
    world.read_for(Duration::from_millis(500)).await;
    assert_eq!(world.reader.tip(), None, "it waits");
    world.source.state().other = Other::Sees(view.clone());
    world.until(&view, SOON).await;
    world.state(NetworkState::Live).await;
}

/// Another that is not so far yet agrees to what it has; one that has another chain below says so.
#[tokio::test]
async fn one_that_is_behind_still_has_a_word() {
    let truth = View::default().grown(1..=20, 1);
    let longer = truth.grown(21..=24, 500);
    let mut world = following(&longer, Other::Sees(truth.clone()));
    world.until(&longer, SOON).await;
    world.state(NetworkState::Unconfirmed).await;
    // Its chain is another from 18 on, and it is shorter.
    let base = View::default().grown(1..=17, 1);
    let (right, forged) = (base.grown(18..=20, 700), base.grown(18..=40, 900));
    let mut world = following(&forged, Other::Sees(right.clone()));
    world.state(NetworkState::Diverged).await;
    world.read_for(Duration::from_millis(300)).await;
    assert!(world.reader.tip() <= Some(17), "{:?}", world.reader.tip());
    world.source.sees(right.clone());
    world.until(&right, SOON).await;
    assert_eq!(world.reader.reverts, 0);
}

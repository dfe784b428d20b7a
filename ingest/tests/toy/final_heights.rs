//! Finality, and chains that leave the held one below it or too deep (rule 7).

use std::time::Duration;

use ingest::chains::Traits;
use nodes::Finality;
use schemas::{limits::REORG_LIMIT_BLOCKS, records::NetworkState};

use crate::{
    chain::{Other, ToySource, View},
    world::{Reader, TOLD, World},
};

const SOON: Duration = Duration::from_secs(30);

fn final_at(height: u64) -> Finality {
    Finality { safe: None, finalized: Some(height) }
}

async fn until_final(world: &mut World, height: u64) {
    for _ in 0..400 {
        if world.reader.finalized == Some(height) {
            return;
        }
        world.read_for(Duration::from_millis(10)).await;
    }
    panic!("finalized {height} was expected, is {:?}", world.reader.finalized);
}

/// A node that calls its own head final is not believed, so that its next reorg of one block is followed.
#[tokio::test]
async fn a_node_that_calls_its_head_final_ends_nothing() {
    let mut now = View::default().grown(1..=10, 1);
    let mut world = World::over(now.clone());
    world.until(&now, SOON).await;
    for round in 0..6u64 {
        world.source.state().finality = final_at(now.top().height);
        let asked = world.source.count("finality");
        while world.source.count("finality") < asked + 2 {
            world.read_for(Duration::from_millis(10)).await;
        }
        assert!(world.reader.finalized.is_none_or(|f| f < now.top().height), "{:?}", world.reader.finalized);
        let below = now.up_to(now.top().height - 1);
        now = below.grown([now.top().height], 100 + round);
        world.source.sees(now.clone());
        world.until(&now, SOON).await;
    }
    assert_eq!(world.reader.reverts, 6);
}

/// Where finality is instant the head is final, and what would revert it is not followed on one word.
#[tokio::test]
async fn instant_finality_is_the_tip() {
    let base = View::default().grown(1..=10, 1);
    let traits = Traits { instant_finality: true, ..TOLD };
    let mut world = World::of(ToySource::new(base.clone()), traits, Reader::default(), 1);
    world.until(&base, SOON).await;
    assert_eq!((world.reader.finalized, world.source.count("finality")), (Some(10), 0));
    world.source.sees(base.up_to(9).grown(10..=11, 50));
    let said = world.state(NetworkState::Stalled).await;
    assert!(said.contains("published as final"), "{said}");
    assert_eq!(world.reader.reverts, 0);
}

#[tokio::test]
async fn a_walk_below_the_finalized_height_needs_a_second_operator() {
    let base = View::default().grown(1..=30, 1);
    let source = ToySource::new(base.clone());
    source.state().other = Other::Sees(base.clone());
    source.state().finality = final_at(20);
    let mut world = World::of(source, TOLD, Reader::default(), 1);
    world.until(&base, SOON).await;
    world.source.tell(base.top().clone());
    until_final(&mut world, 20).await;
    let branch = base.up_to(15).grown(16..=32, 100);
    // The other has the held chain.
    world.source.sees(branch.clone());
    let said = world.state(NetworkState::Diverged).await;
    assert!(said.contains("endpoint `second` has"), "{said}");
    // Nobody answers.
    world.source.state().other = Other::Silent;
    let said = world.state(NetworkState::Unconfirmed).await;
    assert!(said.contains("nothing was reverted"), "{said}");
    world.read_for(Duration::from_millis(300)).await;
    assert_eq!(world.reader.reverts, 0);
    // Both have it: then it is the chain.
    world.source.state().other = Other::Sees(branch.clone());
    world.until(&branch, SOON).await;
    assert_eq!(world.reader.reverts, 15);
    // What is below the height that was called final is not free for whoever comes next.
    let again = branch.up_to(14).grown(15..=40, 300);
    world.source.sees(again);
    world.state(NetworkState::Diverged).await;
    assert_eq!(world.reader.reverts, 15);
}

#[tokio::test]
async fn a_walk_below_the_finalized_height_on_one_word_is_a_lie() {
    let base = View::default().grown(1..=30, 1);
    let mut world = World::over(base.clone());
    world.source.state().finality = final_at(20);
    world.until(&base, SOON).await;
    until_final(&mut world, 20).await;
    world.source.sees(base.up_to(15).grown(16..=32, 100));
    let said = world.state(NetworkState::Stalled).await;
    assert!(said.contains("published as final") && said.contains("not believed"), "{said}");
    assert_eq!(world.reader.reverts, 0);
    let more = base.grown([31], 31);
    world.source.sees(more.clone());
    world.until(&more, SOON).await;
}

#[tokio::test]
async fn too_deep_is_concluded_from_two_words_only() {
    let depth = REORG_LIMIT_BLOCKS + 20;
    let base = View::default().grown(1..=depth + 30, 1);
    let source = ToySource::new(base.clone());
    source.state().other = Other::Sees(base.clone());
    let mut world = World::of(source, TOLD, Reader::default(), 1);
    world.until(&base, SOON).await;
    let branch = base.up_to(30).grown(31..=depth + 32, 10_000);
    world.source.sees(branch.clone());
    world.state(NetworkState::Diverged).await;
    world.read_for(Duration::from_millis(200)).await;
    assert!(world.reader.checkpoint.as_ref().is_some_and(|c| !c.reorg_too_deep), "nothing is kept");
    world.source.state().other = Other::Sees(branch);
    world.state(NetworkState::ReorgTooDeep).await;
    world.read_for(Duration::from_millis(100)).await;
    assert!(world.reader.checkpoint.as_ref().is_some_and(|c| c.reorg_too_deep), "a restart must not forget it");
    let mut world = world.restart().await;
    world.state(NetworkState::ReorgTooDeep).await;
    let more = base.grown([depth + 31], 7_777);
    world.source.state().other = Other::Sees(more.clone());
    world.source.sees(more.clone());
    world.until(&more, SOON).await;
    world.state(NetworkState::Live).await;
    assert!(world.reader.checkpoint.as_ref().is_some_and(|c| !c.reorg_too_deep));
}

//! Nodes that are behind, and several behind one name: they cost seconds, not the tip.

use std::time::Duration;

use schemas::records::NetworkState;

use crate::{chain::View, world::World};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_lower_head_makes_no_higher_one_unseen() {
    let base = View::default().grown(1..=20, 1);
    let mut world = World::over(base.clone());
    world.until(&base, SOON).await;
    let mut now = base.clone();
    for round in 0..10u64 {
        now = now.grown((21 + round * 3)..(24 + round * 3), 100 + round * 3);
        world.source.state().views = vec![now.clone()];
        // Both before anybody looks; then again while it is caught up with.
        world.source.tell(now.top().clone());
        world.source.tell(base.0[(round as usize * 7) % 20].clone());
        tokio::task::yield_now().await;
        world.source.tell(now.0[now.0.len() - 2].clone());
        let took = world.until(&now, SOON).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(world.status.borrow().tip_height, Some(now.top().height));
    }
    assert_eq!(world.reader.reverts, 0);
}

/// One of the two is behind.
#[tokio::test]
async fn a_view_that_is_behind_costs_no_block() {
    let base = View::default().grown(1..=30, 1);
    let mut world = World::over(base.clone());
    world.until(&base, SOON).await;
    let mut now = base;
    for height in 31..=42u64 {
        now = now.grown([height], height);
        let behind = now.up_to(height - 6);
        world.source.state().views = vec![now.clone(), behind.clone(), behind.clone()];
        world.source.tell(now.top().clone());
        world.source.tell(behind.top().clone());
        world.until(&now, Duration::from_secs(30)).await;
    }
    assert_eq!(world.reader.reverts, 0);
    world.state(NetworkState::Live).await;
}

/// Nobody tells of the new head but a poll that reaches whichever answers; the other is behind for good.
#[tokio::test]
async fn a_head_that_was_seen_once_is_looked_for() {
    let base = View::default().grown(1..=30, 1);
    let mut world = World::over(base.clone());
    world.until(&base, SOON).await;
    let now = base.grown(31..=33, 31);
    // First none of the nodes that answer has it, though it was told.
    world.source.tell(now.top().clone());
    world.read_for(Duration::from_secs(3)).await;
    assert_eq!(world.reader.tip(), Some(30));
    world.source.state().views = vec![base, now.clone()];
    let took = world.until(&now, SOON).await;
    assert!(took < Duration::from_secs(4), "{took:?}");
}

/// The other has another end of the chain, and both answer in turn: what is published is linked (the reader looks), and the tip comes
/// as soon as both have it.
#[tokio::test]
async fn two_forks_behind_one_name_cost_seconds() {
    let base = View::default().grown(1..=20, 1);
    let mut world = World::over(base.clone());
    world.until(&base, SOON).await;
    for round in 0..4u64 {
        let at = world.reader.tip().expect("a tip");
        let (one, two) = (base.grown(at + 1..=at + 3, 1_000), base.up_to(19).grown(20..=at + 3, 2_000 + round * 100));
        world.source.state().views = vec![one.clone(), two.clone()];
        world.source.tell(one.top().clone());
        world.source.tell(two.top().clone());
        world.read_for(Duration::from_millis(400)).await;
        // They agree again.
        let settled = two.grown([at + 4], 5_000 + round);
        world.source.sees(settled.clone());
        world.until(&settled, Duration::from_secs(3)).await;
        let (back, again) = (base.clone(), base.grown(21..=at + 6, 7_000 + round * 100));
        assert_eq!(back.top().height, 20);
        world.source.sees(again.clone());
        world.until(&again, Duration::from_secs(3)).await;
        world.source.sees(base.grown(21..=at + 7, 9_000 + round * 100));
        world.until(&base.grown(21..=at + 7, 9_000 + round * 100), Duration::from_secs(3)).await;
    }
}

//! Following: forks, heights without a block, restarts; and what it costs at the head.

use std::time::Duration;

use ingest::chains::Traits;
use schemas::records::NetworkState;

use crate::{
    chain::{Other, ToySource, View},
    world::{Reader, TOLD, World},
};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn forks_and_null_rounds_are_followed_over_restarts() {
    for says in [false, true] {
        let base = View::default().grown([10, 11, 14, 15], 1);
        let mut world = World::over(base.clone());
        world.source.state().says = says;
        world.until(&base, SOON).await;
        // Heights and forks of several kinds: longer, shorter, with blocks where there were none and the other way round.
        let mut reverts = 0;
        let branches: [(u64, &[u64]); 5] =
            [(15, &[16, 20]), (15, &[17, 18, 21]), (11, &[12, 13, 14, 22]), (13, &[16]), (13, &[16, 17, 19, 23])];
        let mut now = base;
        for (i, (keep, new)) in branches.into_iter().enumerate() {
            let next = now.up_to(keep).grown(new.iter().copied(), 100 * (i as u64 + 1));
            reverts += now.0.iter().filter(|b| !next.0.contains(b)).count();
            world.source.sees(next.clone());
            world.until(&next, SOON).await;
            assert_eq!(world.reader.reverts, reverts, "says {says}, to {new:?}");
            now = next;
            world = world.restart().await;
            world.source.state().says = says;
        }
        assert_eq!(world.state(NetworkState::Live).await, "");
    }
}

/// Far below the head blocks come together, as many as the source takes, over heights without a block; near it each comes by itself.
#[tokio::test]
async fn catching_up_takes_as_many_at_once_as_the_source_likes() {
    for (at_once, holes) in [(1, false), (2, false), (5, false), (16, false), (2, true), (16, true)] {
        let view = View::default().grown((1..=120).filter(|h| !holes || ![7, 8, 40, 77].contains(h)), 1);
        let source = ToySource::new(view.clone());
        source.state().at_once = at_once;
        let mut world = World::of(source, TOLD, Reader::default(), 1);
        world.until(&view, SOON).await;
        let asked = world.source.state().asked.clone();
        let of = |what: &str| asked.iter().filter_map(|a| a.strip_prefix(what)?.trim().parse().ok()).collect();
        let (singly, together): (Vec<u64>, Vec<u64>) = (of("fetch"), of("together"));
        assert_eq!(together.is_empty(), at_once == 1, "{at_once}");
        assert!(together.iter().all(|height| *height <= 112), "near the head: {together:?}");
        if !holes {
            let mut all = [singly, together].concat();
            all.sort_unstable();
            assert_eq!(all, (1..=120).collect::<Vec<_>>(), "each was asked for once: {at_once} at once");
        }
    }
}

/// Where every height has a block, one that lacks is waited for, and nothing is concluded from heights above.
#[tokio::test]
async fn a_chain_without_null_rounds_waits() {
    let view = View::default().grown(1..=3, 1).grown(5..=6, 9);
    let traits = Traits { heights_without_block: false, ..TOLD };
    let mut world = World::of(ToySource::new(view.clone()), traits, Reader::default(), 1);
    let said = world.state(NetworkState::Stalled).await;
    assert!(said.contains("fetch 4") && said.contains("still syncing"), "{said}");
    assert_eq!(world.reader.tip(), Some(3));
}

/// With a subscription: of each block one fetch and one word, and nothing else, in this order or at the same time.
#[tokio::test]
async fn at_the_head_a_block_costs_one_fetch_and_one_word() {
    let base = View::default().grown(1..=5, 1);
    let mut world = World::over(base.clone());
    world.source.state().other = Other::Sees(base.clone().grown(6..=40, 6));
    world.source.tell(base.top().clone());
    world.until(&base, SOON).await;
    world.state(NetworkState::Live).await;
    let mut now = base;
    for height in 6..=40u64 {
        world.source.state().asked.clear();
        now = now.grown([height], height);
        world.source.sees(now.clone());
        world.until(&now, SOON).await;
        let mut asked = world.source.state().asked.clone();
        asked.retain(|what| what != "finality");
        asked.sort();
        assert_eq!(asked, [format!("fetch {height}"), format!("word {height}")]);
    }
}

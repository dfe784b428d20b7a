//! Heights filled on request (rule 5), on a chain with heights that have no block, and with a second operator.

use std::time::Duration;

use nodes::Finality;
use runtime::control::Wishes;
use schemas::{
    TimeMs,
    records::{Asked, Asks, HeldRange, NetworkState, Request, RequestProgress, RequestState, Wanted},
};

use crate::{
    chain::{Other, ToySource, View},
    world::{Reader, TOLD, World},
};

const SOON: Duration = Duration::from_secs(30);
/// The first live height.
const LIVE: u64 = 60;

/// Heights 1 to 90 but for these.
fn base(without: &[u64]) -> View {
    View::default().grown((1..=90).filter(|height| !without.contains(height)), 1)
}

fn over(view: &View) -> World {
    let source = ToySource::new(view.clone());
    source.state().finality = Finality { safe: None, finalized: Some(80) };
    World::of(source, TOLD, Reader::default(), LIVE)
}

fn live(view: &View) -> View {
    View(view.0.iter().filter(|b| b.height >= LIVE).cloned().collect())
}

fn ask(world: &World, ranges: &[(u64, u64)]) {
    let request = |(i, (from, to)): (usize, &(u64, u64))| Request {
        id: format!("r{i}"),
        network: "toy-net".parse().expect("a slug"),
        asks: Asks::Backfill { heights: HeldRange { from: *from, to: *to }, again: false },
        wanted: Wanted::Run,
        asked_at: TimeMs(i as i64),
    };
    world.ask.send_replace(Wishes { requests: ranges.iter().enumerate().map(request).collect(), unreadable: None });
}

async fn until(world: &mut World, id: &str, is: impl Fn(&RequestProgress) -> bool) -> RequestProgress {
    let until = tokio::time::Instant::now() + SOON;
    loop {
        let requests = world.reader.checkpoint.as_ref().map(|c| c.requests.clone()).unwrap_or_default();
        if let Some(r) = requests.iter().find(|r| r.id == id && is(r)) {
            return r.clone();
        }
        assert!(tokio::time::Instant::now() < until, "{requests:?}; {:?}", *world.status.borrow());
        world.read_for(Duration::from_millis(5)).await;
    }
}

fn heights(world: &World) -> Vec<u64> {
    world.reader.filled.iter().map(|(height, _)| *height).collect()
}

fn held(world: &World) -> Vec<HeldRange> {
    world.reader.checkpoint.as_ref().map(|c| c.held.clone()).unwrap_or_default()
}

/// Heights without a block within a range, at its beginning and at its end are held too, whether nodes say so or are silent.
#[tokio::test]
async fn heights_without_a_block_are_held_on_the_proof_of_hashes() {
    for (says, at_once) in [(false, 1), (true, 1), (false, 4), (true, 4), (false, 16), (true, 16)] {
        let view = base(&[5, 6, 12, 20, 21, 58, 59]);
        let mut world = over(&view);
        (world.source.state().says, world.source.state().at_once) = (says, at_once);
        world.until(&live(&view), SOON).await;
        ask(&world, &[(5, 20), (22, 59)]);
        until(&mut world, "r0", |r| r.state == RequestState::Done).await;
        let r = until(&mut world, "r1", |r| r.state == RequestState::Done).await;
        assert_eq!(r.asks, Asked::Backfill { heights: HeldRange { from: 22, to: 59 }, next: 60 });
        let expected: Vec<u64> = (7..=57).filter(|h| ![12, 20, 21].contains(h)).collect();
        assert_eq!(heights(&world), expected);
        assert_eq!(held(&world), [HeldRange { from: 5, to: 20 }, HeldRange { from: 22, to: 59 }]);
        assert_eq!(world.source.count("together") > 0, at_once > 1);
    }
}

/// A node without depth gives nothing, and a hole that hashes contradict is none.
#[tokio::test]
async fn a_node_that_lacks_blocks_shows_no_hole() {
    let view = base(&[]);
    let mut world = over(&view);
    let lacks = |heights: std::ops::RangeInclusive<u64>| {
        View(view.0.iter().filter(|b| !heights.contains(&b.height)).cloned().collect())
    };
    world.until(&live(&view), SOON).await;
    for (lacking, request) in [(1..=30, (10, 20)), (15..=15, (10, 20)), (20..=22, (18, 20))] {
        world.source.state().views = vec![lacks(lacking.clone())];
        ask(&world, &[request]);
        let waits = until(&mut world, "r0", |r| r.state == RequestState::Waiting).await;
        assert!(waits.detail.as_ref().is_some_and(|words| words.contains("archive depth is missing")), "{waits:?}");
        assert!(world.reader.filled.iter().all(|(height, _)| !lacking.contains(height)));
        world.source.state().views = vec![view.clone()];
        until(&mut world, "r0", |r| r.state == RequestState::Done).await;
        // The next round begins anew.
        world = over(&view);
        world.until(&live(&view), SOON).await;
    }
}

#[tokio::test]
async fn history_is_vouched_for_by_a_second_operator() {
    let view = base(&[33]);
    let branch = view.up_to(24).grown(25..=90, 1_000);
    let mut world = over(&view);
    world.source.state().other = Other::Sees(view.clone());
    world.until(&live(&view), SOON).await;
    world.source.state().other = Other::Silent;
    ask(&world, &[(20, 40)]);
    let waits = until(&mut world, "r0", |r| r.state == RequestState::Waiting).await;
    assert!(waits.detail.is_some_and(|words| words.contains("no second operator shows it")));
    world.source.state().other = Other::Sees(branch);
    let waits =
        until(&mut world, "r0", |r| r.detail.as_ref().is_some_and(|words| words.contains("until they agree"))).await;
    assert_eq!((waits.state, waits.blocks), (RequestState::Waiting, 0), "{:?}", heights(&world));
    world.source.state().other = Other::Sees(view.clone());
    until(&mut world, "r0", |r| r.state == RequestState::Done).await;
    assert_eq!(heights(&world), (20..=40).filter(|h| *h != 33).collect::<Vec<_>>());
    assert_eq!(*world.status.borrow().state.as_str(), *NetworkState::Live.as_str());
}

/// Killed in the middle; then the nodes tell another chain than the one of which a part was written.
#[tokio::test]
async fn what_was_written_below_is_gone_on_from_after_a_restart() {
    let view = base(&[25]);
    let mut world = over(&view);
    world.until(&live(&view), SOON).await;
    // Up to there only.
    world.source.state().views =
        vec![View(view.0.iter().filter(|b| !(30..=50).contains(&b.height)).cloned().collect())];
    ask(&world, &[(20, 40)]);
    let waits = until(&mut world, "r0", |r| r.state == RequestState::Waiting && r.blocks == 9).await;
    assert_eq!(waits.asks, Asked::Backfill { heights: HeldRange { from: 20, to: 40 }, next: 30 });
    let branch = view.up_to(24).grown(26..=90, 1_000);
    let mut told: Vec<_> = branch.0.iter().filter(|b| b.height <= 50).cloned().collect();
    told.extend(view.0.iter().filter(|b| b.height > 50).cloned());
    world.source.state().views = vec![View(told)];
    let mut world = world.restart().await;
    let waits = until(&mut world, "r0", |r| {
        r.detail.as_ref().is_some_and(|words| words.contains("another chain below the finalized height"))
    })
    .await;
    assert_eq!(waits.blocks, 9);
    world.source.state().views = vec![view.clone()];
    until(&mut world, "r0", |r| r.state == RequestState::Done).await;
    assert_eq!(heights(&world), (20..=40).filter(|h| *h != 25).collect::<Vec<_>>());
}

//! Slow readers: they get everything at their own pace, and nobody else waits for them.

use std::time::Duration;

use api::WsConfig;
use serde_json::Value;

use crate::{
    chain::{Chain, recorded},
    counting::Counting,
    world::World,
    ws::{Known, Ws},
};

/// A chain of large blocks.
pub fn heavy() -> Chain {
    let mut contents = recorded("ethereum");
    contents.retain(|b| b.transactions.len() > 100);
    assert!(contents.len() > 2, "recorded blocks with many transactions");
    Chain::new("ethereum", contents)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_from_the_store_what_the_ring_dropped() {
    let world = World::start(&["ethereum"]).await;
    let mut config = world.config();
    config.ws = WsConfig {
        buffer_events: 4,
        overtaken_per_minute: 1_000,
        write_deadline: Duration::from_secs(60),
        ..WsConfig::default()
    };
    let api = world.api_with(config).await;
    let mut chain = heavy();
    let mut slow = Ws::connect(api.at).await;
    slow.subscribe(Some("ethereum"), &["blocks", "transactions"], None).await;
    for _ in 0..100 {
        let event = chain.apply();
        world.publish(&[event]).await;
    }
    world.visible(&chain.network, chain.sequence()).await;
    let frames = slow.until(chain.sequence()).await;
    let mut known = Known::default();
    let told = known.take(&frames, 0);
    assert_eq!((told.gaps, known.blocks.len() as u64), (vec![], chain.sequence()));
    assert_eq!(known.transactions.len(), chain.transactions().len());
    // That it was overtaken shows in what came from the store.
    let stored = |frame: &Value| frame["data"]["stored_at"].is_string();
    assert!(frames.iter().any(stored), "a reader that did not read was overtaken");
    assert_eq!(told.position, chain.sequence());
    api.stop().await;
}

/// More than the permits for questions, and each would hold a page of some megabytes for as long as its client liked.
const SLOW: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_hardly_read_stop_nobody() {
    let world = World::start(&["ethereum"]).await;
    let api = world.api().await;
    let mut chain = heavy();
    for _ in 0..150 {
        chain.apply();
    }
    for events in chain.events.chunks(30) {
        world.publish_and_wait(events).await;
    }
    // Its ring is empty: all that follows is the past.
    let fresh = world.api().await;
    let mut slow = Vec::new();
    for after in 0..SLOW as u64 {
        let mut ws = Ws::connect(fresh.at).await;
        // Pages of their own, so that no two share one.
        ws.subscribe(Some("ethereum"), &["blocks", "transactions"], Some(after)).await;
        // A frame now and then: alive, but never worth waiting for.
        slow.push(tokio::spawn(async move {
            let mut frames = 0u64;
            loop {
                tokio::time::sleep(Duration::from_millis(500)).await;
                for _ in 0..20 {
                    ws.next().await.expect("slow, but not closed");
                    frames += 1;
                }
                if frames > 1_000_000 {
                    return;
                }
            }
        }));
    }
    // They have what their sockets take, and more is on its way.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let last = chain.sequence();
    let reading = async {
        let mut quick = Ws::connect(fresh.at).await;
        quick.subscribe(Some("ethereum"), &["blocks", "transactions"], Some(0)).await;
        quick.until(last).await
    };
    let frames = tokio::time::timeout(Duration::from_secs(120), reading).await.expect("not behind them");
    let told = Known::default().take(&frames, 0);
    assert_eq!((told.gaps, told.applied.len() as u64), (vec![], last));
    for reader in &slow {
        assert!(!reader.is_finished(), "and they are still there");
        reader.abort();
    }
    fresh.stop().await;
    api.stop().await;
}

/// Clients that come back after a restart.
const BACK: u64 = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn however_many_come_back_the_store_is_asked_as_often() {
    let world = World::start(&["ethereum", "optimism"]).await;
    let mut chains = [Chain::new("ethereum", recorded("arbitrum")), Chain::new("optimism", recorded("arbitrum"))];
    for chain in &mut chains {
        (0..40).for_each(|_| drop(chain.apply()));
        world.publish_and_wait(&chain.events).await;
    }
    // An API that has just started: nothing is in its rings.
    let counting = Counting::before(world.store.config()).await;
    let mut config = world.config();
    config.visible_every = Duration::from_millis(500);
    let api = world.api_over(config, counting.store()).await;
    // Two thirds missed nothing, the others up to three blocks, as it is after a short stop.
    let mut clients = Vec::new();
    for n in 0..BACK {
        let chain = &chains[(n % 2) as usize];
        let missed = (n / 2 % 9).saturating_sub(5);
        let mut ws = Ws::connect(api.at).await;
        ws.subscribe(Some(chain.network.as_str()), &["blocks", "transactions"], Some(chain.sequence() - missed)).await;
        clients.push((ws, chain.network.clone(), chain.sequence() - missed));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let asked = counting.statements();
    let waited = std::time::Instant::now();
    for chain in &mut chains {
        let event = chain.apply();
        world.publish(&[event]).await;
    }
    let last = chains[0].sequence();
    let mut reading = tokio::task::JoinSet::new();
    for (mut ws, _, after) in clients {
        reading.spawn(async move {
            let told = Known::default().take(&ws.until(last).await, after);
            assert_eq!((told.gaps, told.applied.len() as u64), (vec![], last - after));
        });
    }
    while let Some(read) = reading.join_next().await {
        read.expect("everything, in order");
    }
    // Four places per network with a page each, of four questions at most; and two questions twice a second for each network.
    // Some pages are read again, since clients come one after the other: still nothing that grows with their number.
    let seconds = waited.elapsed().as_secs() + 30;
    let bound = 2 * 4 * 4 * 10 + seconds as usize * 2 * 2 * 2;
    let total = counting.statements();
    assert!(total < bound && bound < BACK as usize, "{asked}, then {total} statements for {BACK} clients");
    api.stop().await;
}

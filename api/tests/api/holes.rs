//! What the live reader loses, clients get from the store; what breaks one network costs others nothing.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use serde_json::Value;

use crate::{
    chain::{Chain, recorded},
    faulty::{Faults, Faulty},
    world::{Api, World},
    ws::{Known, Ws},
};

async fn faulty(world: &World) -> (Api, Arc<Faults>) {
    let faults = Arc::<Faults>::default();
    let log = Arc::new(Faulty(world.log.clone(), faults.clone()));
    (world.api_on(world.config(), world.store.clone(), log).await, faults)
}

/// Publishes blocks until the client has come to the sequence.
async fn publish_until(world: &World, chain: &mut Chain, mut ws: Ws, sequence: u64) -> Vec<Value> {
    let mut reading = tokio::spawn(async move { ws.until(sequence).await });
    for _ in 0..400 {
        if let Ok(frames) = tokio::time::timeout(Duration::from_millis(100), &mut reading).await {
            return frames.expect("frames");
        }
        let event = chain.apply();
        world.publish(&[event]).await;
    }
    panic!("the client never came to {sequence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_in_the_ring_is_filled_from_the_store() {
    let world = World::start(&["ethereum"]).await;
    let (api, faults) = faulty(&world).await;
    let mut chain = Chain::new("ethereum", recorded("arbitrum"));
    let mut live = Ws::connect(api.at).await;
    live.subscribe(Some("ethereum"), &["blocks", "transactions"], Some(0)).await;
    (0..10).for_each(|_| drop(chain.apply()));
    world.publish_and_wait(&chain.events).await;
    let mut frames = live.until(10).await;
    // The reader misses four events; the store does not.
    *faults.lost.lock().expect("no panic") = Some(("ethereum".to_owned(), 11..=14));
    // While it finds its place again the log is away.
    faults.away.store(3, Relaxed);
    (0..5).for_each(|_| drop(chain.apply()));
    world.publish_and_wait(&chain.events[10..]).await;
    frames.extend(publish_until(&world, &mut chain, live, 20).await);
    let told = Known::default().take(&frames, 0);
    assert_eq!(told.gaps, []);
    assert_eq!(told.applied, (1..=told.position).collect());
    assert!(api.runs() && faults.away.load(Relaxed) == 0);

    // The ring holds what came before the hole, or not; whoever resumes before it hears of no gap.
    for after in [4, 10, 12, 14] {
        let mut ws = Ws::connect(api.at).await;
        ws.subscribe(Some("ethereum"), &["blocks", "transactions"], Some(after)).await;
        let last = chain.sequence();
        let told = Known::default().take(&ws.until(last).await, after);
        assert_eq!((told.gaps, told.applied), (vec![], (after + 1..=last).collect()), "after {after}");
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_one_network_costs_its_neighbours_nothing() {
    // The first and the third share a partition. There is no store that could help.
    let world = World::without_sink(&["broken", "elsewhere", "neighbour"]).await;
    let api = world.api().await;
    let (mut broken, mut neighbour) =
        (Chain::new("broken", recorded("arbitrum")), Chain::new("neighbour", recorded("arbitrum")));
    let mut ws = Ws::connect(api.at).await;
    ws.subscribe(Some("neighbour"), &["blocks"], None).await;
    world.publish(&[broken.apply(), neighbour.apply()]).await;
    let mut frames = ws.until(1).await;
    // A sequence is missing: nobody may go on with this network, and its partition begins again.
    broken.apply();
    for _ in 0..3 {
        world.publish(&[broken.apply(), neighbour.apply()]).await;
    }
    frames.extend(ws.until(4).await);
    let told = Known::default().take(&frames, 0);
    assert_eq!((told.gaps, told.applied), (vec![], (1..=4).collect()));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_starts_before_the_log_answers_waits_for_it() {
    let world = World::without_sink(&["ethereum"]).await;
    let faults = Arc::<Faults>::default();
    faults.away.store(7, Relaxed);
    let log = Arc::new(Faulty(world.log.clone(), faults.clone()));
    let api = world.api_on(world.config(), world.store.clone(), log).await;
    let mut chain = Chain::new("ethereum", recorded("arbitrum"));
    let mut ws = Ws::connect(api.at).await;
    ws.subscribe(None, &["blocks"], None).await;
    publish_until(&world, &mut chain, ws, 1).await;
    assert_eq!(faults.away.load(Relaxed), 0);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_neither_has_is_a_gap() {
    // The sink halts at the missing sequence, and the live reader begins again behind it.
    let world = World::start(&["ethereum"]).await;
    let api = world.api().await;
    let mut chain = Chain::new("ethereum", recorded("arbitrum"));
    (0..4).for_each(|_| drop(chain.apply()));
    world.publish_and_wait(&chain.events).await;
    let mut ws = Ws::connect(api.at).await;
    ws.subscribe(Some("ethereum"), &["blocks"], Some(2)).await;
    let mut frames = ws.until(4).await;
    chain.apply();
    frames.extend(publish_until(&world, &mut chain, ws, 7).await);
    let mut known = Known::default();
    let told = known.take(&frames, 2);
    let [(from, to)] = told.gaps[..] else { panic!("{:?}", told.gaps) };
    assert!(from == 5 && to >= 5, "{from} to {to}");
    assert_eq!(told.applied, [3, 4].into_iter().chain(to + 1..=told.position).collect());
    api.stop().await;
}

//! Resuming: at whatever point a client was cut off, after the resume it knows what an uninterrupted client knows.

use std::{sync::Arc, time::Duration};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::Value;

use crate::{
    chain::{Chain, Event, recorded},
    world::{Api, World, applies},
    ws::{Known, Ws},
};

/// A step of a script: so many blocks, or a fork of this depth and length.
fn script() -> impl Strategy<Value = Vec<(bool, usize)>> {
    proptest::collection::vec((any::<bool>(), 1usize..4), 6..9)
}

/// Carries out a script: forks revert up to what is there, never everything.
fn play(chain: &mut Chain, script: &[(bool, usize)]) {
    chain.apply();
    for (fork, n) in script {
        if *fork {
            let depth = (*n).min(chain.canonical.len() - 1);
            (0..depth).for_each(|_| drop(chain.revert()));
            (0..depth + 1).for_each(|_| drop(chain.apply()));
        } else {
            (0..*n).for_each(|_| drop(chain.apply()));
        }
    }
}

fn small() -> Vec<nodes::evm::EvmBlock> {
    let mut contents = recorded("ethereum");
    contents.extend(recorded("arbitrum"));
    contents.retain(|b| (1..40).contains(&b.transactions.len()));
    assert!(contents.len() > 2);
    contents
}

/// What an uninterrupted client knows after these events.
fn uninterrupted(events: &[Event]) -> Known {
    let mut known = Known::default();
    for (block, transactions) in events {
        let hash = block.envelope.block_hash.to_string();
        if applies(&(block.clone(), Vec::new())) {
            let item = api::items::BlockItem::from_record(block).expect("applied");
            let mut item = serde_json::to_value(item).expect("JSON");
            for field in ["stored_at", "observed_at"] {
                item.as_object_mut().expect("object").remove(field);
            }
            known.blocks.insert(hash.clone(), item);
            for t in transactions {
                let item = api::items::TransactionItem::from_record(t).expect("readable");
                let key = (hash.clone(), u64::from(item.index));
                known.transactions.insert(key, serde_json::to_value(item).expect("JSON"));
            }
        } else {
            known.blocks.remove(&hash);
            known.transactions.retain(|(b, _), _| *b != hash);
        }
    }
    known
}

/// Resumes after each cut and compares with the uninterrupted client. `reverted` are pairs (apply, revert) that both lie in
/// the past of every resume.
async fn every_cut(api: &Api, events: &[Event], in_the_past: u64, name: &str) {
    let last = events.len() as u64;
    let expected = uninterrupted(events);
    for cut in 0..=last {
        let mut ws = Ws::connect(api.at).await;
        let answer = ws.subscribe(Some("ethereum"), &["blocks", "transactions"], Some(cut)).await;
        assert_eq!(answer["after"], serde_json::json!(cut));
        let mut known = uninterrupted(&events[..cut as usize]);
        if cut < last {
            let frames = ws.until(last).await;
            let told = known.take(&frames, cut);
            assert!(told.gaps.is_empty(), "{name}, cut {cut}: {:?}", told.gaps);
            // What was applied and reverted since, both before the resume, is left out together.
            for (block, _) in &events[cut as usize..in_the_past as usize] {
                if let Some(undone) = block.envelope.reverts_sequence.filter(|u| *u > cut) {
                    assert!(!told.applied.contains(&undone), "{name}, cut {cut}: {undone} was reverted and came");
                    assert!(!told.reverted.contains(&undone), "{name}, cut {cut}: the revert of {undone} came alone");
                }
            }
        }
        assert_eq!(
            known.blocks.keys().collect::<Vec<_>>(),
            expected.blocks.keys().collect::<Vec<_>>(),
            "{name}, cut {cut}"
        );
        assert_eq!(known, expected, "{name}, cut {cut}");
        assert!(ws.quiet(5).await, "{name}, cut {cut}: something came after the end");
    }
}

fn runner() -> TestRunner {
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_at_every_cut_knows_what_an_uninterrupted_client_knows() {
    let mut runner = runner();
    for round in 0..3 {
        let world = World::start(&["ethereum"]).await;
        let mut chain = Chain::new("ethereum", small());
        let script = script().new_tree(&mut runner).expect("a script").current();
        // An API from before the first event has all in its ring; one from the middle has half in the store only; one from
        // after the last has everything in the store.
        let ring = world.api().await;
        play(&mut chain, &script);
        let half = chain.events.len() / 2;
        world.publish_and_wait(&chain.events[..half]).await;
        let middle = world.api().await;
        world.publish_and_wait(&chain.events[half..]).await;
        let store = world.api().await;
        let all = chain.events.len() as u64;
        every_cut(&ring, &chain.events, all, &format!("ring {round}")).await;
        every_cut(&middle, &chain.events, all, &format!("middle {round}")).await;
        // From the store alone the end cannot be known; an event that comes live tells it.
        let event = chain.apply();
        world.publish_and_wait(std::slice::from_ref(&event)).await;
        every_cut(&store, &chain.events, all, &format!("store {round}")).await;
        for api in [ring, middle, store] {
            api.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resumes_while_blocks_and_forks_arrive() {
    let mut runner = runner();
    let world = Arc::new(World::start(&["ethereum"]).await);
    let mut chain = Chain::new("ethereum", small());
    play(&mut chain, &script().new_tree(&mut runner).expect("a script").current());
    world.publish_and_wait(&chain.events).await;
    let api = world.api().await;
    let past = chain.events.len();
    for _ in 0..4 {
        play(&mut chain, &script().new_tree(&mut runner).expect("a script").current());
    }
    let events = Arc::new(chain.events.clone());
    let last = events.len() as u64;
    let writer = tokio::spawn({
        let (world, events) = (Arc::clone(&world), Arc::clone(&events));
        async move {
            for event in &events[past..] {
                world.publish(std::slice::from_ref(event)).await;
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
        }
    });
    let expected = uninterrupted(&events);
    let mut clients = Vec::new();
    for cut in 0..past as u64 {
        let (at, events, expected) = (api.at, Arc::clone(&events), expected.clone());
        clients.push(tokio::spawn(async move {
            let mut ws = Ws::connect(at).await;
            ws.subscribe(Some("ethereum"), &["blocks", "transactions"], Some(cut)).await;
            let frames: Vec<Value> = ws.until(last).await;
            let mut known = uninterrupted(&events[..cut as usize]);
            let told = known.take(&frames, cut);
            assert!(told.gaps.is_empty(), "cut {cut}: {:?}", told.gaps);
            assert_eq!(known, expected, "cut {cut}");
        }));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    writer.await.expect("written");
    for client in clients {
        client.await.expect("a client that knows everything");
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_does_not_hold_is_a_gap() {
    let world = World::start(&["ethereum"]).await;
    let mut chain = Chain::new("ethereum", small());
    (0..6).for_each(|_| drop(chain.apply()));
    world.publish_and_wait(&chain.events).await;
    let api = world.api().await;
    // The past is taken away from below.
    world.sql("DELETE FROM block_event_rows WHERE sequence <= 3").await;
    let mut ws = Ws::connect(api.at).await;
    ws.subscribe(Some("ethereum"), &["blocks"], Some(0)).await;
    world.publish(&[chain.apply()]).await;
    let told = Known::default().take(&ws.until(7).await, 0);
    assert_eq!((told.gaps, told.applied.into_iter().collect::<Vec<_>>()), (vec![(1, 3)], vec![4, 5, 6, 7]));

    // A second subscription cannot set the position back on this connection.
    ws.send(
        &serde_json::json!({"op": "subscribe", "id": 2, "topics": ["transactions"], "network": "ethereum", "after": 1}),
    )
    .await;
    assert_eq!(ws.frame().await["problem"]["type"], "/problems/subscription-conflict");
    api.stop().await;
}

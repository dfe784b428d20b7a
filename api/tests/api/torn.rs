//! Resumes over blocks whose rows are not what their headers count.

use std::time::Duration;

use crate::{
    chain::{Chain, recorded},
    counting::Counting,
    world::World,
    ws::{Known, Ws},
};

async fn stored(chain: &mut Chain, events: usize) -> World {
    let world = World::start(&["ethereum"]).await;
    (0..events).for_each(|_| drop(chain.apply()));
    world.publish_and_wait(&chain.events).await;
    world
}

fn chain() -> Chain {
    let mut contents = recorded("arbitrum");
    contents.retain(|b| b.transactions.len() > 1);
    Chain::new("ethereum", contents)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_with_a_placeholder_is_whole() {
    let mut chain = chain();
    let world = stored(&mut chain, 2).await;
    let spoilt = chain.apply_spoilt();
    chain.apply();
    world.publish_and_wait(&chain.events[2..]).await;
    let counting = Counting::before(world.store.config()).await;
    let mut config = world.config();
    (config.visible_every, config.count_every) = (Duration::from_secs(3_600), Duration::from_secs(3_600));
    let api = world.api_over(config, counting.store()).await;
    let mut ws = Ws::connect(api.at).await;
    ws.subscribe(Some("ethereum"), &["blocks", "transactions"], Some(0)).await;
    let mut known = Known::default();
    let told = known.take(&ws.until(4).await, 0);
    assert_eq!((told.gaps, told.applied), (vec![], (1..=4).collect()));
    assert_eq!(known.transactions.len(), chain.transactions().len() - 1);
    let hash = spoilt.0.envelope.block_hash.to_string();
    let indexes: Vec<u64> = known.transactions.keys().filter(|(b, _)| *b == hash).map(|(_, i)| *i).collect();
    assert_eq!(indexes, (1..spoilt.1.len() as u64).collect::<Vec<_>>());
    // The position, twice, and one page: nothing was asked again.
    assert!(counting.statements() <= 6, "{} statements", counting.statements());
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_gone_for_good_are_a_gap() {
    let mut chain = chain();
    let world = stored(&mut chain, 6).await;
    world.sql("DELETE FROM evm_transaction_rows WHERE sequence = 3 AND transaction_index = 1").await;
    let api = world.api().await;
    let mut ws = Ws::connect(api.at).await;
    ws.subscribe(Some("ethereum"), &["blocks", "transactions"], Some(0)).await;
    let told = Known::default().take(&ws.until(6).await, 0);
    assert_eq!(told.gaps, [(3, 3)]);
    assert_eq!(told.applied.into_iter().collect::<Vec<_>>(), [1, 2, 4, 5, 6]);
    // Who wants blocks only misses no transaction.
    let mut ws = Ws::connect(api.at).await;
    ws.subscribe(Some("ethereum"), &["blocks"], Some(1)).await;
    let told = Known::default().take(&ws.until(6).await, 1);
    assert_eq!((told.gaps, told.applied.len()), (vec![], 5));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_just_being_removed_are_waited_for() {
    let mut chain = chain();
    let world = stored(&mut chain, 4).await;
    // As the sink does it: the rows go first, then comes the event that says so.
    world.sql("DELETE FROM block_rows WHERE sequence = 4").await;
    let api = world.api().await;
    let mut ws = Ws::connect(api.at).await;
    ws.subscribe(Some("ethereum"), &["blocks", "transactions"], Some(1)).await;
    let mut frames = ws.until(3).await;
    assert!(ws.quiet(1_500).await, "neither a gap nor a position");
    chain.revert();
    chain.apply();
    world.publish_and_wait(&chain.events[4..]).await;
    frames.extend(ws.until(6).await);
    let told = Known::default().take(&frames, 1);
    assert_eq!((told.gaps, told.reverted.len()), (vec![], 0));
    assert_eq!(told.applied.into_iter().collect::<Vec<_>>(), [2, 3, 6]);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_long_after_its_block_is_found() {
    let mut chain = chain();
    let world = stored(&mut chain, 3).await;
    // Many events of a back-fill lie between; only their rows of events matter here.
    world
        .sql(
            "INSERT INTO block_event_rows (network, sequence, op, origin, height, block_hash, tx_count, log_count) \
             SELECT 'ethereum', number, 'revert', 'backfill', 1, '0x00', 0, 0 FROM numbers(4, 9997)",
        )
        .await;
    world
        .sql(
            "INSERT INTO block_event_rows (network, sequence, op, origin, height, block_hash, tx_count, log_count, \
             reverts_sequence) VALUES ('ethereum', 10001, 'revert', 'live', 1002, '0x00', 0, 0, 3)",
        )
        .await;
    world.sql("DELETE FROM block_rows WHERE sequence = 3").await;
    let page = world.store.replay(&chain.network, 0, 10_001, Some(1_000)).await.expect("a page");
    assert!(!page.torn && page.gap.is_none() && page.position == 256);
    assert!(matches!(page.events[2].rows, store::query::Rows::Undone));
    assert!(matches!(page.events[1].rows, store::query::Rows::Applied { .. }));
}

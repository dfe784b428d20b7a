//! A placeholder's rows, inserted later: where the block stands, once, and never where it was reverted.

use alloy_primitives::Address;
use schemas::{
    Network,
    records::{EnrichedTransaction, Payload},
};
use store::sink::{
    batch::Event,
    mend::{self, Place},
};

use crate::{
    chain::{Chain, Dice, contracts, is_watched, touched},
    chaos::compare,
    harness::Running,
    setup::{RunningSink, TestLog, store_in, until_processed},
};

/// The event with a placeholder for its first transaction, and that transaction.
fn with_placeholder(mut event: Event) -> (Event, EnrichedTransaction) {
    let whole = event.transactions[0].clone();
    event.transactions[0].payload = Payload::Unreadable { index: 0, error: "too large".into() };
    let summary = event.block.summary.as_mut().expect("a summary");
    (summary.unreadable, summary.contracts) = (1, contracts(&event.transactions));
    (event, whole)
}

/// The watched contracts of a transaction.
fn watched(t: &EnrichedTransaction) -> Vec<Address> {
    let Payload::Evm(both) = &t.payload else { panic!("a placeholder") };
    touched(&both.0).into_iter().filter(is_watched).collect()
}

/// The next block that has transactions, and logs in the first.
fn block(chain: &mut Chain, dice: &mut Dice) -> Event {
    loop {
        let event = chain.apply(dice);
        let logs = |t: &EnrichedTransaction| matches!(&t.payload, Payload::Evm(t) if !t.0.logs.is_empty());
        if event.transactions.first().is_some_and(logs) {
            return event;
        }
        chain.live.pop();
        chain.events.pop();
        chain.sequence -= 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_row_is_inserted_once_and_never_into_a_reverted_block() {
    let engine = Running::start().await;
    let store = store_in(&engine, "mended");
    let (log, mut dice) = (TestLog::open().await, Dice(7));
    let mut chain = Chain::new("a", 100);
    let network: Network = chain.network.clone();
    let (first, held) = with_placeholder(block(&mut chain, &mut dice));
    let (second, reverted) = with_placeholder(block(&mut chain, &mut dice));
    log.publish(&[first]).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &network, 1).await;
    let place = async |t: &EnrichedTransaction, finalized| {
        mend::place(&store, &t.envelope, 0, finalized).await.expect("an answer")
    };
    assert_eq!(place(&reverted, Some(101)).await, Place::NotStored);
    log.publish(&[second]).await;
    until_processed(&store, &network, 2).await;

    // Nothing is inserted into a block that may still be reverted.
    assert_eq!(place(&held, None).await, Place::NotFinal);
    assert_eq!(place(&held, Some(99)).await, Place::NotFinal);
    assert!(matches!(place(&held, Some(100)).await, Place::Missing { .. }));

    // Twice in a row, as two who run it at once would: the same rows.
    assert_eq!(mend::insert(&store, &held, &watched(&held)).await.expect("an insert"), Place::Held);
    assert_eq!(mend::insert(&store, &held, &watched(&held)).await.expect("an insert"), Place::Held);
    assert_eq!(place(&held, Some(100)).await, Place::Held);

    // A revert between look and insert: nothing stays.
    log.publish(&[chain.revert().expect("a block")]).await;
    until_processed(&store, &network, 3).await;
    assert_eq!(place(&reverted, Some(101)).await, Place::Reverted);
    assert_eq!(mend::insert(&store, &reverted, &watched(&reverted)).await.expect("an insert"), Place::Reverted);

    let range = &store.completeness(&network).await.expect("an answer").ranges[0];
    assert!(range.complete && range.transactions_stored == range.transactions_expected, "{range:?}");
    // Every view is as if there had never been a placeholder.
    compare(&engine, &store, &[chain], "after mending").await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

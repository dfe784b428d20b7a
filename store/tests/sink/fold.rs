//! Causes that come late: into the row of their block, the newest revision, and never into another one (rules 14 and 16).

use schemas::records::{EnrichedCause, Payload};
use store::{
    Store, StoreErrorKind,
    sink::{
        batch::Event,
        fold::{Folded, fold},
    },
};

use crate::{
    chain::{Chain, Dice, cause_of, contracts},
    chaos::compare,
    harness::Running,
    setup::{RunningSink, TestLog, execute, rows, store_in, until_processed},
};

fn cause(of: &Event, index: u32, revision: u8) -> EnrichedCause {
    cause_of(of, index, revision, &mut Dice(u64::from(index) << 8 | u64::from(revision)))
}

/// The next block with at least two transactions.
fn block(chain: &mut Chain, dice: &mut Dice) -> Event {
    loop {
        let event = chain.apply(dice);
        if event.transactions.len() >= 2 {
            return event;
        }
        chain.live.pop();
        chain.events.pop();
        chain.sequence -= 1;
    }
}

async fn folded(store: &Store, chain: &mut Chain, of: &Event, causes: &[EnrichedCause]) -> Vec<Folded> {
    let outcomes = fold(store, &chain.network, causes).await.expect("an answer");
    for (cause, outcome) in causes.iter().zip(&outcomes) {
        if *outcome == Folded::Done {
            chain.folded.insert((of.block.envelope.sequence, cause.transaction_index), cause.clone());
        }
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_revision_stands_in_the_row_of_its_block_and_nowhere_else() {
    let engine = Running::start().await;
    let store = store_in(&engine, "folded");
    let (log, mut dice) = (TestLog::open().await, Dice(3));
    let mut chain = Chain::new("a", 999_999);
    let (first, second) = (block(&mut chain, &mut dice), block(&mut chain, &mut dice));
    let early = cause(&first, 0, 1);
    store.migrate().await.expect("tables");
    assert_eq!(fold(&store, &chain.network, std::slice::from_ref(&early)).await.expect("an answer"), [Folded::NoRow]);
    log.publish(&[first.clone(), second.clone()]).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &chain.network, 2).await;

    // Newer, older, the same, twice at once, elsewhere, of another block.
    let mut elsewhere = cause(&first, 77, 1);
    let of_another = EnrichedCause { block_hash: second.block.envelope.block_hash.clone(), ..early.clone() };
    // Of the same block, applied by another event.
    let of_another_event = EnrichedCause { sequence: 2, ..early.clone() };
    let causes =
        [cause(&first, 1, 3), cause(&first, 1, 2), early.clone(), elsewhere.clone(), of_another, of_another_event];
    let outcomes = folded(&store, &mut chain, &first, &causes).await;
    assert_eq!(outcomes, [Folded::Done, Folded::Held, Folded::Done, Folded::NoRow, Folded::NoRow, Folded::NoRow]);
    compare(&engine, &store, std::slice::from_ref(&chain), "after folding").await;
    let again = [cause(&first, 1, 2), cause(&first, 1, 3), cause(&first, 0, 1)];
    assert_eq!(folded(&store, &mut chain, &first, &again).await, [Folded::Held; 3]);
    assert_eq!(folded(&store, &mut chain, &first, &[cause(&first, 0, 254)]).await, [Folded::Done]);
    assert_eq!(folded(&store, &mut chain, &second, &[cause(&second, 0, 9)]).await, [Folded::Done]);
    compare(&engine, &store, std::slice::from_ref(&chain), "after folding again").await;
    // Nothing else of the rows changed.
    let same = "SELECT countDistinct(sipHash64(tuple(* EXCEPT (version, failure_cause, failure_reason, found_by, error_selector, evidence)))), count() > 1 \
                FROM evm_transaction_rows WHERE height = 999999 AND transaction_index = 1";
    assert_eq!(rows::<(u64, u8)>(&engine, &store, same).await, [(1, 1)]);

    for revision in [0, 255] {
        elsewhere.revision = revision;
        let refused = fold(&store, &chain.network, std::slice::from_ref(&elsewhere)).await.expect_err("no revision");
        assert_eq!(refused.kind, StoreErrorKind::BadRequest, "{refused}");
        assert!(refused.message.contains("1 to 254"), "{refused}");
    }

    // The block is reverted and another one stands there: causes of the former one find nothing, before and after.
    let reverted = chain.revert().expect("a block");
    log.publish(&[reverted]).await;
    until_processed(&store, &chain.network, 3).await;
    assert_eq!(folded(&store, &mut chain, &second, &[cause(&second, 0, 10)]).await, [Folded::NoRow]);
    let third = block(&mut chain, &mut dice);
    log.publish(std::slice::from_ref(&third)).await;
    until_processed(&store, &chain.network, 4).await;
    assert_eq!(folded(&store, &mut chain, &second, &[cause(&second, 0, 11)]).await, [Folded::NoRow]);
    let all: Vec<EnrichedCause> = (0..third.transactions.len() as u32).map(|i| cause(&third, i, 1)).collect();
    assert!(folded(&store, &mut chain, &third, &all).await.iter().all(|outcome| *outcome == Folded::Done));
    compare(&engine, &store, std::slice::from_ref(&chain), "after a reorg").await;

    // A cause that was on its way while its block was reverted, and after everything was merged.
    let late = "INSERT INTO evm_transaction_rows SELECT * REPLACE (256 * 2 + 200 AS version, 'late' AS failure_cause, 0 AS is_deleted) \
                FROM evm_transaction_rows WHERE height = 1000000";
    execute(&engine, &store, late).await;
    compare(&engine, &store, std::slice::from_ref(&chain), "after a late cause").await;
    execute(&engine, &store, "OPTIMIZE TABLE evm_transaction_rows FINAL").await;
    compare(&engine, &store, std::slice::from_ref(&chain), "after merges").await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

/// More causes than one statement takes, of one block.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_causes_are_folded_in_several_statements() {
    let engine = Running::start().await;
    let store = store_in(&engine, "folded_many");
    let (log, mut dice) = (TestLog::open().await, Dice(4));
    let mut chain = Chain::new("a", 5);
    let mut event = block(&mut chain, &mut dice);
    let one = event.transactions[0].clone();
    event.transactions = (0..700)
        .map(|i| {
            let mut t = one.clone();
            if let Payload::Evm(both) = &mut t.payload {
                both.0.transaction_index = i;
                both.0.logs.clear();
            }
            t
        })
        .collect();
    event.block.envelope.tx_count = 700;
    event.block.summary.as_mut().expect("a summary").contracts = contracts(&event.transactions);
    event.block.envelope.log_count = 0;
    if let Some(live) = chain.live.last_mut() {
        live.event = event.clone();
    }
    log.publish(std::slice::from_ref(&event)).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &chain.network, 1).await;
    let causes: Vec<EnrichedCause> = (0..700).rev().map(|i| cause(&event, i, 1)).collect();
    assert!(folded(&store, &mut chain, &event, &causes).await.iter().all(|outcome| *outcome == Folded::Done));
    compare(&engine, &store, &[chain], "after many causes").await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

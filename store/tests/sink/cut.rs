//! A sink that is cut off at every statement that it writes, and its successor (rule 16).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use store::{Store, sink::batch::Event};

use crate::{
    bitcoin, bitcoin_chain,
    chain::{Chain, Dice},
    chaos::compare,
    door::{Door, Let, writes},
    harness::Running,
    setup::{RunningSink, TestLog, store_in, until_processed},
};

/// The next block, with at least so many transactions, of which the first has logs.
fn block(chain: &mut Chain, dice: &mut Dice, transactions: usize) -> Event {
    loop {
        let event = chain.apply(dice);
        if event.transactions.len() >= transactions && event.block.envelope.log_count > 0 {
            return event;
        }
        chain.live.pop();
        chain.events.pop();
        chain.sequence -= 1;
    }
}

/// Publishes `last`, lets a sink write the first `statements` statements of it, kills it, and lets another one go on. `false` when it
/// had finished before.
async fn cut_off_after(statements: u64, store: &Store, log: &TestLog, door: &Door, last: Event) -> bool {
    let network = last.network().clone();
    let sequence = last.block.envelope.sequence;
    log.publish(&[last]).await;
    let seen = Arc::new(AtomicU64::new(0));
    let counted = seen.clone();
    door.rule(move |statement| {
        let hangs = writes(statement) && counted.fetch_add(1, Ordering::SeqCst) >= statements;
        if hangs { Let::Hang } else { Let::Through }
    });
    let sink = RunningSink::start(&door.store(store), log);
    let give_up = Instant::now() + Duration::from_secs(120);
    let finished = loop {
        let done = store.processed_sequence(network.as_str()).await.expect("an answer") >= sequence;
        if done || seen.load(Ordering::SeqCst) > statements {
            break done;
        }
        assert!(Instant::now() < give_up, "neither finished nor cut off after {statements}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    // What was let through just now may still be on its way.
    tokio::time::sleep(Duration::from_millis(100)).await;
    sink.kill().await;
    let sink = RunningSink::start(store, log);
    until_processed(store, &network, sequence).await;
    sink.stop().await.expect("a clean end");
    !finished
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_replaces_a_block_leaves_nothing_of_it_wherever_it_is_cut_off() {
    let engine = Running::start().await;
    let store = store_in(&engine, "cut");
    // Each cut has a network and a log of its own.
    let mut chains = Vec::new();
    for reverts in [false, true] {
        let mut cuts = 0;
        loop {
            let door = Door::before(&engine.url).await;
            let (log, mut dice) = (TestLog::open().await, Dice(11 + cuts));
            let mut chain = Chain::new(&format!("net-{}", chains.len()), 10);
            log.publish(&[block(&mut chain, &mut dice, 4)]).await;
            let sink = RunningSink::start(&store, &log);
            until_processed(&store, &chain.network, 1).await;
            sink.stop().await.expect("a clean end");
            let last = if reverts {
                chain.revert().expect("a block")
            } else {
                // The same height again without a revert between, as a back-fill does, with fewer transactions.
                chain.live.pop();
                loop {
                    let event = block(&mut chain, &mut dice, 1);
                    if event.transactions.len() < 3 {
                        break event;
                    }
                    chain.live.pop();
                    chain.events.pop();
                    chain.sequence -= 1;
                }
            };
            let was_cut = cut_off_after(cuts, &store, &log, &door, last).await;
            chains.push(chain);
            compare(&engine, &store, &chains, &format!("reverts: {reverts}, cut off after {cuts} statements")).await;
            if !was_cut {
                break;
            }
            cuts += 1;
        }
        assert!(cuts >= if reverts { 4 } else { 7 }, "{cuts} statements only");
    }
    engine.stop().await;
}

/// The same of Bitcoin's three tables of children.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_a_bitcoin_block_that_is_replaced_either() {
    let engine = Running::start().await;
    let store = store_in(&engine, "cut_bitcoin");
    for reverts in [false, true] {
        let mut cuts = 0;
        loop {
            let door = Door::before(&engine.url).await;
            let (log, mut dice) = (TestLog::open().await, Dice(61 + cuts));
            let mut chain =
                bitcoin_chain::Chain::new(&format!("{}-{cuts}", if reverts { "reverted" } else { "filled" }), 10);
            let grown: Vec<Event> = (0..8).map(|_| chain.apply(&mut dice)).collect();
            log.publish(&grown).await;
            let sink = RunningSink::start(&store, &log);
            until_processed(&store, &chain.network, chain.sequence).await;
            sink.stop().await.expect("a clean end");
            let last = if reverts {
                chain.revert().expect("a block")
            } else {
                // The same height again without a revert between, as a back-fill does.
                chain.live.pop();
                chain.apply(&mut dice)
            };
            let was_cut = cut_off_after(cuts, &store, &log, &door, last).await;
            let when = format!("reverts: {reverts}, cut off after {cuts} statements");
            bitcoin::compare(&engine, &store, &chain, &when).await;
            if !was_cut {
                break;
            }
            cuts += 1;
        }
        assert!(cuts >= if reverts { 5 } else { 9 }, "{cuts} statements only");
    }
    engine.stop().await;
}

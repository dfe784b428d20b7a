//! Networks that the group's position lies ahead of (rules 11 and 12): read again by themselves, once, and nobody else with them.

use std::{sync::Arc, time::Duration};

use runtime::log::{Log, PollLimits};
use schemas::Network;
use store::{
    Store,
    sink::{State, pipeline},
};

use crate::{
    chain::{Chain, Dice},
    chaos::compare,
    door::{Door, Let},
    harness::Running,
    setup::{RunningSink, TestLog, execute, partition_of, store_in, until, until_processed},
    watched_log::{Seen, WatchedLog},
};

const TABLES: [&str; 6] =
    ["block_rows", "evm_transaction_rows", "evm_log_rows", "block_event_rows", "sink_status_rows", "audit_rows"];

/// Two networks of one partition.
fn two() -> (Chain, Chain) {
    let (a, e) = (Chain::new("a", 10), Chain::new("e", 10));
    assert_eq!(partition_of(&a.network), partition_of(&e.network));
    (a, e)
}

/// Those two after forty steps each, all of it in the store; the sink has ended.
async fn two_in(store: &Store, log: &TestLog, dice: &mut Dice) -> (Chain, Chain) {
    let (mut a, mut e) = two();
    for _ in 0..40 {
        let events: Vec<_> = a.step(dice).into_iter().chain(e.step(dice)).collect();
        log.publish(&events).await;
    }
    let sink = RunningSink::start(store, log);
    until_processed(store, &a.network, a.sequence).await;
    until_processed(store, &e.network, e.sequence).await;
    sink.stop().await.expect("a clean end");
    (a, e)
}

/// Another member comes and goes, so that all partitions are taken away and given back.
async fn rebalance(log: &TestLog, seen: &Seen) {
    let mut other = log.log.consumer(pipeline::GROUP, "another", &pipeline::TOPICS).await.expect("a member");
    let limits = PollLimits { records: 1, bytes: 1, wait: Duration::from_millis(50) };
    let polls = seen.polls();
    until("the sink to hear of the other member", || async { seen.polls() > polls + 2 }).await;
    other.poll(limits).await.expect("an assignment");
    drop(other);
    let polls = seen.polls();
    until("the sink to hear that it left", || async { seen.polls() > polls + 2 }).await;
}

async fn until_halted(sink: &RunningSink, network: &Network, state: State) {
    until(&format!("{network} to be {state:?}"), || async {
        sink.config.status.networks().get(network).is_some_and(|s| s.state == state)
    })
    .await;
}

async fn lose(engine: &Running, store: &Store, network: &str) {
    for table in TABLES {
        let sql = format!("ALTER TABLE {table} DELETE WHERE network = '{network}' SETTINGS mutations_sync = 2");
        execute(engine, store, &sql).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_lost_of_one_network_is_read_again_and_nothing_else() {
    let engine = Running::start().await;
    let store = store_in(&engine, "behind");
    let (log, mut dice) = (TestLog::open().await, Dice(21));
    let (mut a, mut e) = two_in(&store, &log, &mut dice).await;

    lose(&engine, &store, "a").await;
    let watched = WatchedLog::over(log.log.clone());
    let sink = RunningSink::start_on(&store, watched.clone());
    for _ in 0..5 {
        let events: Vec<_> = a.step(&mut dice).into_iter().chain(e.step(&mut dice)).collect();
        log.publish(&events).await;
    }
    until_processed(&store, &e.network, e.sequence).await;
    until_processed(&store, &a.network, a.sequence).await;
    until("the position to follow", || async {
        log.log.lag(pipeline::GROUP, &pipeline::TOPICS).await.expect("lag").iter().all(|l| l.offsets() == 0)
    })
    .await;
    sink.stop().await.expect("a clean end");
    assert_eq!(watched.seen.readers(), 1, "one second reading");
    watched.seen.assert_positions_only_rise();
    compare(&engine, &store, &[a, e], "after a second reading").await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_a_second_reading_loses_nothing() {
    let engine = Running::start().await;
    let store = store_in(&engine, "behind_killed");
    let (log, mut dice) = (TestLog::open().await, Dice(22));
    let (mut a, mut e) = two_in(&store, &log, &mut dice).await;
    lose(&engine, &store, "a").await;

    // The last event of a: what is missing has to come without another one.
    log.publish(&[a.apply(&mut dice), e.apply(&mut dice)]).await;
    for milliseconds in [0, 60, 120, 250, 500] {
        let sink = RunningSink::start(&store, &log);
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        sink.kill().await;
    }
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &a.network, a.sequence).await;
    until_processed(&store, &e.network, e.sequence).await;
    sink.stop().await.expect("a clean end");
    compare(&engine, &store, &[a, e], "after kills in a second reading").await;
    engine.stop().await;
}

/// The log says once that a network breaks off, and it may say so while the network is behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_breaks_off_while_it_is_behind_halts_when_it_has_caught_up() {
    let engine = Running::start().await;
    let store = store_in(&engine, "breaks_off");
    let (log, mut dice) = (TestLog::open().await, Dice(25));
    let (mut a, mut e) = two_in(&store, &log, &mut dice).await;
    lose(&engine, &store, "a").await;

    log.publish(&[a.apply(&mut dice)]).await;
    let last = a.sequence;
    let _gone = a.apply(&mut dice);
    log.publish(&[a.apply(&mut dice), e.apply(&mut dice)]).await;
    let sink = RunningSink::start(&store, &log);
    until_halted(&sink, &a.network, State::Overtaken).await;
    log.publish(&[a.apply(&mut dice), e.apply(&mut dice)]).await;
    until_processed(&store, &e.network, e.sequence).await;
    until_processed(&store, &a.network, last).await;
    let told = sink.config.status.networks();
    assert!(told[&a.network].message.contains(&format!("sequence {} was to come", last + 1)), "{told:?}");
    until("the position to follow", || async {
        log.log.lag(pipeline::GROUP, &pipeline::TOPICS).await.expect("lag").iter().all(|l| l.offsets() == 0)
    })
    .await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebalances_read_nothing_again_while_a_network_is_halted() {
    let engine = Running::start().await;
    let store = store_in(&engine, "gap");
    let (log, mut dice) = (TestLog::open().await, Dice(23));
    let (mut a, mut e) = two();
    log.publish(&[a.apply(&mut dice), e.apply(&mut dice)]).await;
    // The second event of a is in no log any more.
    let _gone = a.apply(&mut dice);
    log.publish(&[a.apply(&mut dice), e.apply(&mut dice)]).await;
    for process in 0..2 {
        let watched = WatchedLog::over(log.log.clone());
        let sink = RunningSink::start_on(&store, watched.clone());
        for _ in 0..3 {
            log.publish(&[a.apply(&mut dice), e.apply(&mut dice)]).await;
            until_processed(&store, &e.network, e.sequence).await;
            until_halted(&sink, &a.network, State::Overtaken).await;
            rebalance(&log, &watched.seen).await;
        }
        log.publish(&[a.apply(&mut dice), e.apply(&mut dice)]).await;
        until_processed(&store, &e.network, e.sequence).await;
        until_halted(&sink, &a.network, State::Overtaken).await;
        sink.stop().await.expect("a clean end");
        watched.seen.assert_positions_only_rise();
        // The first one heard of the gap from the log itself; the second one looked for what is missing, once.
        assert_eq!(watched.seen.readers(), process, "readings of process {process}");
    }
    let told = store.network(&a.network).await.expect("an answer").expect("a network");
    assert!(told.state == "overtaken" && told.message.contains("sequence 2 "), "{told:?}");
    assert_eq!(store.processed_sequence("a").await.expect("an answer"), 1);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_polls_while_the_store_is_away_and_a_network_is_new() {
    let engine = Running::start().await;
    let store = store_in(&engine, "polling");
    let (log, mut dice) = (TestLog::open().await, Dice(24));
    let (mut a, mut b) = (Chain::new("a", 10), Chain::new("b", 10));
    log.publish(&[a.apply(&mut dice)]).await;
    let door = Door::before(&engine.url).await;
    let watched = WatchedLog::over(log.log.clone());
    let sink = RunningSink::start_on(&door.store(&store), watched.clone() as Arc<dyn Log>);
    until_processed(&store, &a.network, 1).await;
    door.rule(|_| Let::Break);
    log.publish(&[b.apply(&mut dice)]).await;
    // However long the store is away.
    let polls = watched.seen.polls();
    until("the member to go on polling", || async { watched.seen.polls() >= polls + 10 }).await;
    assert_eq!(watched.seen.joined.load(std::sync::atomic::Ordering::SeqCst), 1, "it stays a member");
    door.rule(|_| Let::Through);
    until_processed(&store, &b.network, 1).await;
    sink.stop().await.expect("a clean end");
    compare(&engine, &store, &[a, b], "after the store was away").await;
    engine.stop().await;
}

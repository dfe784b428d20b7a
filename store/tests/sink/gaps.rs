//! Gaps that operators have given up (rule 12): the sink goes on behind exactly what was named, by itself, and no other network notices.

use std::time::Duration;

use runtime::log::{NewRecord, TopicPartition};
use schemas::{
    Network, TimeMs,
    codec::{Codec, Record as _},
    records::{Asks, ControlConfig, Request, Wanted},
    topics,
};
use store::{Store, sink::State};

use crate::{
    chain::{Chain, Dice},
    harness::Running,
    setup::{RunningSink, TestLog, partition_of, store_in, until, until_processed},
};

impl TestLog {
    /// An operator gives up sequences of a network.
    async fn give_up(&self, network: &Network, first: u64, last: u64) {
        let request = ControlConfig::Request(Request {
            id: format!("{network}-{first}"),
            network: network.clone(),
            asks: Asks::AcceptGap { first, last },
            wanted: Wanted::Run,
            asked_at: TimeMs::now(),
        });
        let record = NewRecord {
            to: TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 },
            key: Some(request.key().into()),
            value: Some(Codec::builtin().encode(&request).expect("a value")),
            headers: Vec::new(),
        };
        self.write(vec![record]).await;
    }
}

/// Two networks of one partition.
fn two() -> (Chain, Chain) {
    let (a, e) = (Chain::new("a", 10), Chain::new("e", 10));
    assert_eq!(partition_of(&a.network), partition_of(&e.network));
    (a, e)
}

/// Waits until the store has this state of a network, with these words.
async fn until_said(store: &Store, network: &Network, state: &str, words: &str) {
    until(&format!("{network} to be {state}: {words}"), || async {
        // Before the sink has made its tables there is no answer.
        let told = store.network(network).await.ok().flatten();
        told.is_some_and(|n| n.state == state && n.message.contains(words))
    })
    .await;
}

async fn sequences(store: &Store, network: &Network) -> Vec<u64> {
    let events = store.events(network, 0, u64::MAX, 1_000).await.expect("events");
    events.into_iter().map(|event| event.sequence).collect()
}

/// `a` lacks 2 to 4 and 9; `e`, in the same partition, lacks nothing.
async fn with_gaps(log: &TestLog, dice: &mut Dice) -> (Chain, Chain) {
    let (mut a, mut e) = two();
    for sequence in 1..=12u64 {
        let event = a.apply(dice);
        let mut events = vec![e.apply(dice)];
        if !(2..=4).contains(&sequence) && sequence != 9 {
            events.insert(0, event);
        }
        log.publish(&events).await;
    }
    (a, e)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_goes_on_behind_what_was_given_up_and_stands_before_the_next_gap() {
    let engine = Running::start().await;
    let store = store_in(&engine, "given_up");
    let (log, mut dice) = (TestLog::open().await, Dice(31));
    let (mut a, e) = with_gaps(&log, &mut dice).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &e.network, e.sequence).await;
    until_said(&store, &a.network, "overtaken", "headwater accept-gap --config FILE --network a").await;

    // What does not begin where the network stands gives up nothing.
    log.give_up(&a.network, 3, 4).await;
    log.give_up(&e.network, 2, 4).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(sequences(&store, &a.network).await, [1]);
    log.give_up(&a.network, 2, 4).await;
    until_processed(&store, &a.network, 8).await;
    until_said(&store, &a.network, "overtaken", "sequence 9 ").await;
    assert_eq!(sequences(&store, &a.network).await, [1, 5, 6, 7, 8]);

    // Asked while nothing runs, and remembered.
    sink.stop().await.expect("a clean end");
    log.give_up(&a.network, 9, 9).await;
    for _ in 0..2 {
        let sink = RunningSink::start(&store, &log);
        log.publish(&[a.apply(&mut dice)]).await;
        until_processed(&store, &a.network, a.sequence).await;
        until_said(&store, &a.network, "running", "").await;
        assert_eq!(sink.config.status.networks()[&a.network].state, State::Running);
        sink.stop().await.expect("a clean end");
    }
    let expected: Vec<u64> = (1..=a.sequence).filter(|s| !(2..=4).contains(s) && *s != 9).collect();
    assert_eq!(sequences(&store, &a.network).await, expected);
    assert_eq!(sequences(&store, &e.network).await, (1..=e.sequence).collect::<Vec<_>>());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_up_before_it_is_met_halts_nothing() {
    let engine = Running::start().await;
    let store = store_in(&engine, "given_up_before");
    let (log, mut dice) = (TestLog::open().await, Dice(32));
    let (mut a, mut e) = two();
    log.publish(&[a.apply(&mut dice), e.apply(&mut dice)]).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &a.network, 1).await;
    log.give_up(&a.network, 2, 3).await;
    let (_gone, _too) = (a.apply(&mut dice), a.apply(&mut dice));
    tokio::time::sleep(Duration::from_secs(2)).await; // it is known by then; if not, the network is halted for a moment
    for _ in 0..3 {
        log.publish(&[a.apply(&mut dice), e.apply(&mut dice)]).await;
    }
    until_processed(&store, &a.network, a.sequence).await;
    until_processed(&store, &e.network, e.sequence).await;
    assert_eq!(sequences(&store, &a.network).await, [1, 4, 5, 6]);
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_was_never_met_goes_on_too() {
    let engine = Running::start().await;
    let store = store_in(&engine, "given_up_unmet");
    let (log, mut dice) = (TestLog::open().await, Dice(33));
    let mut a = Chain::new("a", 10);
    let _gone = a.apply(&mut dice);
    log.publish(&[a.apply(&mut dice), a.apply(&mut dice)]).await;
    let sink = RunningSink::start(&store, &log);
    until_said(&store, &a.network, "overtaken", "").await;
    log.give_up(&a.network, 1, 1).await;
    // Without another event.
    until_processed(&store, &a.network, a.sequence).await;
    until_said(&store, &a.network, "running", "").await;
    assert_eq!(sequences(&store, &a.network).await, [2, 3]);
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_showed_the_gap_is_read_again_without_another_event() {
    let engine = Running::start().await;
    let store = store_in(&engine, "given_up_behind");
    let (log, mut dice) = (TestLog::open().await, Dice(35));
    let mut a = Chain::new("a", 10);
    log.publish(&[a.apply(&mut dice)]).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &a.network, 1).await;
    sink.stop().await.expect("a clean end");
    let _gone = a.apply(&mut dice);
    log.publish(&[a.apply(&mut dice)]).await;
    // Its first event shows it, once the store was asked: it is looked for in the log first.
    let sink = RunningSink::start(&store, &log);
    until_said(&store, &a.network, "overtaken", "sequence 2 ").await;
    log.give_up(&a.network, 2, 2).await;
    until_processed(&store, &a.network, 3).await;
    until_said(&store, &a.network, "running", "").await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_while_a_network_goes_on_lose_nothing() {
    let engine = Running::start().await;
    let store = store_in(&engine, "given_up_killed");
    let (log, mut dice) = (TestLog::open().await, Dice(34));
    let (mut a, e) = with_gaps(&log, &mut dice).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &e.network, e.sequence).await;
    sink.kill().await;
    log.give_up(&a.network, 2, 4).await;
    log.give_up(&a.network, 9, 9).await;
    log.publish(&[a.apply(&mut dice)]).await;
    for milliseconds in [0, 60, 120, 250, 500] {
        let sink = RunningSink::start(&store, &log);
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        sink.kill().await;
    }
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &a.network, a.sequence).await;
    assert_eq!(sequences(&store, &a.network).await, [1, 5, 6, 7, 8, 10, 11, 12, 13]);
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

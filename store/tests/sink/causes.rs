//! Causes from their topic into rows: whatever comes first, is killed, away, reverted or read again, each row has its own block's cause.

use std::{collections::BTreeMap, time::Duration};

use runtime::log::{Log, NewRecord, Offsets, PollLimits, Polled, TopicPartition};
use schemas::{
    limits::causes::WAITING,
    records::{EnrichedCause, Payload},
    topics,
};
use store::sink::{batch::Event, causes};

use crate::{
    chain::{Chain, Dice, cause_of, contracts},
    chaos::compare,
    door::{Door, Let},
    harness::Running,
    setup::{PARTITIONS, RunningSink, TestLog, partition_of, rows, store_in, until, until_processed},
};

/// The group has gone past all causes.
async fn until_settled(log: &TestLog) {
    until("the sink to have settled all causes", || async {
        let lag = log.log.lag(causes::GROUP, &causes::TOPICS).await.expect("lag");
        lag.iter().all(|l| l.ends.high == 0 || l.position.is_some_and(|p| p >= l.ends.high))
    })
    .await;
}

/// Causes of all transactions of these events, some with two revisions, in no order.
fn causes_of(events: &[Event], dice: &mut Dice) -> Vec<EnrichedCause> {
    let mut all = Vec::new();
    for event in events {
        for index in 0..event.transactions.len() as u32 {
            if dice.roll(4) > 0 {
                let revision = 1 + dice.roll(3) as u8;
                all.push(cause_of(event, index, revision, dice));
                if dice.roll(3) == 0 {
                    all.push(cause_of(event, index, revision + 1, dice));
                }
            }
        }
    }
    for i in (1..all.len()).rev() {
        all.swap(i, dice.roll(i as u64 + 1) as usize);
    }
    all
}

/// What rows must have of these, once all of it is in the store.
fn fold_in(chain: &mut Chain, causes: &[EnrichedCause]) {
    for cause in causes.iter().filter(|c| c.network == chain.network) {
        let key = (cause.sequence, cause.transaction_index);
        if chain.folded.get(&key).is_none_or(|held| held.revision < cause.revision) {
            chain.folded.insert(key, cause.clone());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_has_its_own_blocks_cause_whatever_is_killed_away_or_reverted() {
    let engine = Running::start().await;
    let store = store_in(&engine, "causes");
    let (log, mut dice) = (TestLog::open().await, Dice(77));
    let mut chains: Vec<Chain> =
        (0..6).map(|i| Chain::new(&format!("net-{i}"), if i % 2 == 0 { 999_998 } else { i })).collect();
    let door = Door::before(&engine.url).await;
    let mut published: Vec<EnrichedCause> = Vec::new();
    for round in 0..5 {
        let sink = RunningSink::start(&door.store(&store), &log);
        for step in 0..4 {
            let events: Vec<Event> = chains.iter_mut().flat_map(|chain| chain.step(&mut dice)).collect();
            let applied: Vec<Event> = events
                .iter()
                .filter(|e| !e.transactions.is_empty())
                .filter(|e| e.block.summary.is_some())
                .cloned()
                .collect();
            let mut causes = causes_of(&applied, &mut dice);
            published.extend(causes.clone());
            // Before the blocks, behind them, or a part of them each.
            let early = causes.split_off(causes.len() * (dice.roll(3) as usize) / 2);
            log.publish_causes(&early).await;
            tokio::time::sleep(Duration::from_millis(dice.roll(120))).await;
            log.publish(&events).await;
            log.publish_causes(&causes).await;
            if step == 1 {
                // The store is away for a moment.
                door.rule(|_| Let::Break);
                tokio::time::sleep(Duration::from_millis(200)).await;
                door.rule(|_| Let::Through);
            }
            if step == 2 && round % 2 == 0 {
                // Some of what folds is cut off before it reaches the store.
                let mut left = dice.roll(3);
                door.rule(move |statement| {
                    let folds = statement.contains("AS failure_cause");
                    left = left.saturating_sub(u64::from(folds));
                    if folds && left == 0 { Let::Hang } else { Let::Through }
                });
            }
        }
        tokio::time::sleep(Duration::from_millis(dice.roll(300))).await;
        sink.kill().await;
        door.rule(|_| Let::Through);
    }
    let sink = RunningSink::start(&store, &log);
    for chain in &chains {
        until_processed(&store, &chain.network, chain.sequence).await;
    }
    until_settled(&log).await;
    chains.iter_mut().for_each(|chain| fold_in(chain, &published));
    let folded: usize = chains.iter().map(|chain| chain.folded.len()).sum();
    let live: usize = rows::<u64>(&engine, &store, "SELECT count() FROM causes").await[0] as usize;
    assert!(live > 40 && folded > live + 10, "{live} causes in rows of {folded}: some of reverted blocks are wanted");
    compare(&engine, &store, &chains, "with causes").await;
    sink.stop().await.expect("a clean end");

    // All causes once more, from the oldest record on: nothing changes.
    start_over(&log).await;
    let sink = RunningSink::start(&store, &log);
    until_settled(&log).await;
    compare(&engine, &store, &chains, "after causes were read again").await;
    sink.stop().await.expect("a clean end");

    // The store is lost, the log is not, nor what the group has committed.
    let again = store_in(&engine, "causes_again");
    let marker: Vec<Event> = chains.iter_mut().map(|chain| chain.apply(&mut dice)).collect();
    log.publish(&marker).await;
    let sink = RunningSink::start(&again, &log);
    for chain in &chains {
        until_processed(&again, &chain.network, chain.sequence).await;
    }
    until("the causes to be in the new store", || async {
        rows::<u64>(&engine, &again, "SELECT count() FROM causes").await[0] as usize >= live
    })
    .await;
    compare(&engine, &again, &chains, "in a store filled again").await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

/// Puts the group's positions back to the beginning, and the store's.
async fn start_over(log: &TestLog) {
    let mut consumer = log.log.consumer(causes::GROUP, "test", &causes::TOPICS).await.expect("a member");
    let limits = PollLimits { records: 1, bytes: 1, wait: Duration::from_secs(1) };
    let mut held = 0;
    while held < PARTITIONS as usize {
        if let Polled::Assigned(list) = consumer.poll(limits).await.expect("an assignment") {
            held += list.len();
        }
    }
    let topic = causes::TOPICS[0];
    let offsets: Offsets = (0..PARTITIONS).map(|partition| (TopicPartition { topic, partition }, 0)).collect();
    consumer.commit(offsets).await.expect("a commit");
}

/// An event with so many transactions.
fn large(chain: &mut Chain, dice: &mut Dice, transactions: u32) -> Event {
    let mut event = loop {
        let event = chain.apply(dice);
        if !event.transactions.is_empty() {
            break event;
        }
        chain.live.pop();
        chain.events.pop();
        chain.sequence -= 1;
    };
    let one = event.transactions[0].clone();
    event.transactions = (0..transactions)
        .map(|i| {
            let mut t = one.clone();
            if let Payload::Evm(both) = &mut t.payload {
                both.0.transaction_index = i;
                both.0.logs.clear();
                both.1.events.clear();
            }
            t
        })
        .collect();
    (event.block.envelope.tx_count, event.block.envelope.log_count) = (transactions, 0);
    event.block.summary.as_mut().expect("a summary").contracts = contracts(&event.transactions);
    if let Some(live) = chain.live.last_mut() {
        live.event = event.clone();
    }
    event
}

/// `b`'s rows do not come, and its causes fill all the room of the partition that it shares with `a`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn causes_whose_rows_do_not_come_keep_no_other_network_waiting() {
    let engine = Running::start().await;
    let store = store_in(&engine, "causes_waiting");
    let (log, mut dice) = (TestLog::open().await, Dice(5));
    let (mut a, mut b) = (Chain::new("a", 10), Chain::new("e", 10));
    assert_eq!(partition_of(&a.network), partition_of(&b.network));
    let late = large(&mut b, &mut dice, WAITING.0 as u32 + 500);
    let of_b: Vec<EnrichedCause> =
        (0..late.transactions.len() as u32).map(|i| cause_of(&late, i, 1, &mut dice)).collect();
    let soon = large(&mut a, &mut dice, 20);
    let of_a: Vec<EnrichedCause> = (0..20).map(|i| cause_of(&soon, i, 1, &mut dice)).collect();
    log.publish(std::slice::from_ref(&soon)).await;
    log.publish_causes(&of_b).await;
    log.publish_causes(&of_a).await;
    // What is no cause keeps nobody.
    let partition = partition_of(&a.network);
    let to = TopicPartition { topic: topics::ENRICHED_CAUSES.name, partition };
    let strange = |value: &'static [u8]| NewRecord { to, key: None, value: Some(value.into()), headers: Vec::new() };
    log.write(vec![strange(b""), strange(b"what?")]).await;
    let sink =
        RunningSink::start_with(&store, log.log.clone(), |config| config.causes_wait = Duration::from_millis(400));
    fold_in(&mut a, &of_a);
    until_processed(&store, &a.network, 1).await;
    until("the other network's causes", || async {
        rows::<u64>(&engine, &store, "SELECT count() FROM causes WHERE network = 'a'").await == [20]
    })
    .await;
    let positions = async || -> BTreeMap<u32, Option<u64>> {
        let lag = log.log.lag(causes::GROUP, &causes::TOPICS).await.expect("lag");
        lag.into_iter().map(|l| (l.at.partition, l.position)).collect()
    };
    assert!(positions().await[&partition].is_none_or(|p| p == 0), "the first one that waits keeps the position");
    log.publish(std::slice::from_ref(&late)).await;
    until_processed(&store, &b.network, 1).await;
    until_settled(&log).await;
    fold_in(&mut b, &of_b);
    compare(&engine, &store, &[a, b], "after the rows came").await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

/// Measured, not asserted: what a cause costs where many come at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr)]
async fn many_causes_at_once() {
    let engine = Running::start().await;
    let store = store_in(&engine, "causes_many");
    let (log, mut dice) = (TestLog::open().await, Dice(6));
    let mut chain = Chain::new("a", 10);
    let events: Vec<Event> = (0..10).map(|_| large(&mut chain, &mut dice, 1_000)).collect();
    for event in &events {
        log.publish(std::slice::from_ref(event)).await;
    }
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &chain.network, 10).await;
    let mut all: Vec<EnrichedCause> = Vec::new();
    for event in &events {
        for index in 0..1_000 {
            let mut cause = cause_of(event, index, 1, &mut dice);
            (cause.output, cause.calls) = (vec![7; 1_024].into(), Some("x".repeat(2_048)));
            all.push(cause);
        }
    }
    log.publish_causes(&all).await;
    let started = std::time::Instant::now();
    until_settled(&log).await;
    let took = started.elapsed();
    eprintln!("{} causes of 3 kB in {took:?}: {:.3} ms each", all.len(), took.as_secs_f64() * 1e3 / all.len() as f64);
    fold_in(&mut chain, &all);
    compare(&engine, &store, &[chain], "after many causes").await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

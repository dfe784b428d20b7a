//! Dead letters that cannot be written: the position waits for them, also over a stop (rule 13).

use std::sync::atomic::Ordering;

use bytes::Bytes;
use runtime::log::{Log, PollLimits, Polled, TopicPartition};
use schemas::{
    codec::Codec,
    records::{DeadLetter, dead_letter::reason},
    topics::{self, TopicSpec},
};
use store::sink::pipeline;

use crate::{
    chain::{Chain, Dice},
    harness::Running,
    setup::{RunningSink, TestLog, store_in, until, until_processed},
    watched_log::WatchedLog,
};

const GARBAGE: &[u8] = b"no record of ours";

async fn letters(log: &TestLog) -> Vec<DeadLetter> {
    let at = TopicPartition { topic: topics::DEAD_LETTERS.name, partition: 0 };
    let ends = log.log.watermarks(at).await.expect("ends");
    let mut reader = log.log.reader(&[(at, ends.low)]).await.expect("a reader");
    let mut found = Vec::new();
    while reader.reached(at) < ends.high {
        let limits = PollLimits { records: 100, bytes: 1 << 20, wait: std::time::Duration::from_millis(200) };
        let Polled::Records(records) = reader.poll(limits).await.expect("records") else { panic!("no records") };
        found.extend(
            records.iter().map(|r| Codec::builtin().decode(r.value.as_ref().expect("a value")).expect("a letter")),
        );
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_is_stopped_while_it_buries_neither_commits_nor_writes_past_the_letter() {
    let engine = Running::start().await;
    let store = store_in(&engine, "letters");
    // The topic of dead letters was deleted.
    let others: Vec<TopicSpec> = topics::ALL.into_iter().filter(|t| *t != topics::DEAD_LETTERS).collect();
    let (log, mut dice) = (TestLog::open_with(&others).await, Dice(5));
    let mut chain = Chain::new("a", 10);
    let event = loop {
        let event = chain.apply(&mut dice);
        if !event.transactions.is_empty() {
            break event;
        }
        log.publish(&[event]).await;
    };
    let sequence = event.block.envelope.sequence;
    let mut records = log.records(&[event]);
    records[1].value = Some(Bytes::from_static(GARBAGE));
    log.write(records).await;

    let watched = WatchedLog::over(log.log.clone());
    let sink = RunningSink::start_on(&store, watched.clone());
    // The letter cannot be written, and the sink is told to stop.
    until("the sink to try", || async { watched.seen.letters.load(Ordering::SeqCst) > 1 }).await;
    sink.stop().await.expect("a clean end");
    assert!(store.processed_sequence("a").await.expect("an answer") < sequence, "the block would be passed over");
    let behind = log.log.lag(pipeline::GROUP, &pipeline::TOPICS).await.expect("lag");
    for lag in behind.into_iter().filter(|l| l.ends.high > 0) {
        assert!(lag.position.is_none_or(|p| p < lag.ends.high), "committed past the letter: {lag:?}");
    }

    // The topic is there again: the next sink buries it, and only then moves on.
    log.log.ensure_topics(&[topics::DEAD_LETTERS], 1).await.expect("the topic");
    let sink = RunningSink::start(&store, &log);
    until("the letter to be buried", || async { !letters(&log).await.is_empty() }).await;
    until("the position to follow", || async {
        log.log.lag(pipeline::GROUP, &pipeline::TOPICS).await.expect("lag").iter().all(|l| l.offsets() == 0)
    })
    .await;
    until_processed(&store, &chain.network, sequence).await;
    sink.stop().await.expect("a clean end");
    let letters = letters(&log).await;
    assert!(
        letters.iter().all(|l| l.reason == reason::UNDECODABLE && l.value.as_deref() == Some(GARBAGE)),
        "{letters:?}"
    );
    engine.stop().await;
}

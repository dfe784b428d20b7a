//! Failed transactions of which the stream has a placeholder: their letters bring them, and each has one record like any other.

use std::{sync::Arc, time::Duration};

use enrich::causes::run;
use runtime::log::{
    Consumer, Lag, Log, LogError, LogErrorKind, Producer, Reader, Topic, TopicPartition, Watermarks,
    embedded::EmbeddedLog,
};
use schemas::{
    Codec, Op,
    records::{CauseEvidence, DeadLetter, EvmTransaction, Payload, RawTransaction, dead_letter::reason},
    topics::{self, TopicSpec},
};
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{Bench, PARTITION, contract, failed, fine, hash, once},
    node::Node,
};

/// The letter that ingest writes of a transaction that the log does not take, and its placeholder; or those of what nobody can read.
impl Bench {
    async fn apply_as_letter(&mut self, height: u64, transaction: EvmTransaction, why: &str) -> u64 {
        let envelope = self.envelope(Op::Apply, height, hash(height), 1).child();
        let index = transaction.transaction_index;
        let raw = RawTransaction { envelope: envelope.clone(), payload: Payload::Evm(Box::new(transaction)) };
        let (network, sequence) = (envelope.network.clone(), envelope.sequence);
        let letter = DeadLetter {
            source_topic: "raw.transactions".into(),
            source_partition: PARTITION,
            source_offset: (why != reason::TOO_LARGE).then_some(1),
            stage: "ingest".into(),
            network: Some(network),
            sequence: Some(sequence),
            index: Some(index),
            reason: why.into(),
            error: "e".into(),
            key: None,
            value: Some(Codec::builtin().encode(&raw).expect("encoded")),
            failed_at: schemas::TimeMs::now(),
        };
        let payload = Payload::Unreadable { index, error: "e".into() };
        let placeholder = RawTransaction { envelope, payload };
        let records = vec![self.record(&placeholder, PARTITION), self.record(&letter, 0)];
        self.publish("t.ingest", records).await;
        sequence
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_a_letter_holds_has_one_record_with_evidence_whatever_is_killed() {
    let node = Node::start().await;
    node.be_slow(Duration::from_millis(15));
    let mut bench = Bench::with(&node).await;
    let (mut failures, mut of_letters) = (0, Vec::new());
    for round in 0..8_u64 {
        for height in round * 6 + 1..=round * 6 + 6 {
            let transaction = failed(height, contract(height));
            node.has(hash(height), std::slice::from_ref(&transaction), "in a letter");
            failures += 1;
            match height % 3 {
                0 => {
                    bench.apply(height, hash(height), vec![transaction]).await;
                }
                1 => of_letters.push(bench.apply_as_letter(height, transaction, reason::TOO_LARGE).await),
                _ => of_letters.push(bench.apply_as_letter(height, transaction, reason::UNDECODABLE).await),
            }
        }
        // One that did not fail has no cause.
        bench.apply_as_letter(1_000 + round, fine(round), reason::TOO_LARGE).await;
        let running = bench.start();
        tokio::time::sleep(Duration::from_millis(60 + (round * 97) % 260)).await;
        running.kill().await;
        once(&bench.causes().await);
    }
    let running = bench.start();
    let causes = bench.until(failures).await;
    running.stop().await;
    let told: Vec<_> = causes.iter().filter(|cause| of_letters.contains(&cause.sequence)).collect();
    assert_eq!(told.len(), of_letters.len());
    assert!(causes.iter().all(|cause| cause.found_by == CauseEvidence::Trace), "nodes answered all the time");
    // Started again, all letters are read again: nothing is said, and nobody is asked.
    let asked = node.asked();
    let running = bench.start();
    tokio::time::sleep(Duration::from_millis(700)).await;
    running.stop().await;
    assert_eq!((bench.causes().await.len(), node.asked()), (failures, asked));
    assert!(bench.position().await.is_some_and(|at| at < 1 << 32), "letters are not of the position");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_waits_holds_up_neither_the_stream_nor_itself_for_ever() {
    let node = Node::start().await;
    node.be_away(true);
    let mut bench = Bench::with(&node).await;
    bench.config.failures.give_up_after = Duration::from_secs(2);
    let sequence = bench.apply_as_letter(1, failed(1, contract(1)), reason::TOO_LARGE).await;
    let running = bench.start();
    // Failures of the stream come all the time, each younger than the letter.
    let mut height = 10;
    while bench.causes().await.iter().all(|cause| cause.sequence != sequence) {
        bench.apply(height, hash(height), vec![failed(height, contract(height))]).await;
        height += 1;
        assert!(height < 200, "the letter is never given up");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bench.until(usize::try_from(height - 10).expect("few") + 1).await;
    running.stop().await;
}

/// A log whose dead letters are damaged.
struct Damaged(Arc<EmbeddedLog>);

#[async_trait::async_trait]
impl Log for Damaged {
    async fn ensure_topics(&self, topics: &[TopicSpec], chain_partitions: u32) -> Result<(), LogError> {
        self.0.ensure_topics(topics, chain_partitions).await
    }
    async fn partitions(&self, topic: Topic) -> Result<u32, LogError> {
        self.0.partitions(topic).await
    }
    async fn value_limit(&self, topic: Topic) -> Result<usize, LogError> {
        self.0.value_limit(topic).await
    }
    async fn watermarks(&self, at: TopicPartition) -> Result<Watermarks, LogError> {
        if at.topic == topics::DEAD_LETTERS.name {
            return Err(LogError::new(LogErrorKind::Corrupt, "damaged on purpose"));
        }
        self.0.watermarks(at).await
    }
    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        self.0.producer(transactional_id).await
    }
    async fn consumer(&self, group: &str, instance: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        self.0.consumer(group, instance, topics).await
    }
    async fn reader(&self, from: &[(TopicPartition, u64)]) -> Result<Box<dyn Reader>, LogError> {
        self.0.reader(from).await
    }
    async fn lag(&self, group: &str, topics: &[Topic]) -> Result<Vec<Lag>, LogError> {
        self.0.lag(group, topics).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn causes_of_the_stream_wait_for_no_letter_that_cannot_be_read() {
    let node = Node::start().await;
    let mut bench = Bench::with(&node).await;
    let transaction = failed(1, contract(1));
    node.has(hash(1), std::slice::from_ref(&transaction), "of the stream");
    bench.apply(1, hash(1), vec![transaction]).await;
    let stop = CancellationToken::new();
    let log: Arc<dyn Log> = Arc::new(Damaged(bench.log.clone()));
    let running = tokio::spawn(run(bench.config.clone(), log, bench.codec.clone(), stop.clone()));
    bench.until(1).await;
    stop.cancel();
    running.await.expect("it ends").expect("without an error");
}

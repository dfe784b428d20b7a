//! The stage over the embedded log: exactly once over restarts and fencing, placeholders, halts.

mod support;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::{Address, keccak256};
use bytes::Bytes;
use enrich::Config;
use runtime::log::{Log, NewRecord, PollLimits, Polled, Record as LogRecord, TopicPartition};
use schemas::{
    Op, TimeMs,
    headers::ChainHeaders,
    records::{
        Asks, ContractFacts, ControlConfig, DeadLetter, EnrichedBlock, EnrichedEvent, EnrichedTransaction, FactSource,
        Implementation, Payload, RawBlock, RawTransaction, Request, StageStatus, Wanted,
        stage_status::{stage, state},
    },
    topics,
};
use support::{
    Recorded,
    bench::{Bench, PARTITION},
    log::Between,
    recorded,
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

impl Bench {
    /// What enrich says of a network, once that is so.
    async fn said(&self, network: &str, is: impl Fn(&StageStatus) -> bool) -> StageStatus {
        let key = StageStatus::key_of(stage::ENRICH, "", Some(&network.parse().unwrap()));
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let records = self.read(topics::STAGE_STATUS.name, 0, 1).await;
            let newest = records.iter().rev().find(|r| r.key.as_deref() == Some(key.as_bytes()));
            let status = newest.map(|r| self.codec.decode::<StageStatus>(r.value.as_ref().unwrap()).unwrap());
            match status {
                Some(status) if is(&status) => return status,
                other => assert!(tokio::time::Instant::now() < deadline, "{network}: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn blocks(&self, wanted: usize) -> Vec<EnrichedBlock> {
        let records = self.read(topics::ENRICHED_BLOCKS.name, PARTITION, wanted).await;
        records.iter().map(|r| self.codec.decode(r.value.as_ref().unwrap()).unwrap()).collect()
    }

    async fn transactions(&self, wanted: usize) -> Vec<EnrichedTransaction> {
        let records = self.read(topics::ENRICHED_TRANSACTIONS.name, PARTITION, wanted).await;
        records
            .iter()
            .map(|r| {
                let headers = ChainHeaders::parse(|name| r.header(name)).unwrap();
                let tx: EnrichedTransaction = self.codec.decode(r.value.as_ref().unwrap()).unwrap();
                assert_eq!((headers.sequence, headers.op), (tx.envelope.sequence, tx.envelope.op));
                assert_eq!(r.key.as_deref(), Some(tx.envelope.network.as_str().as_bytes()));
                tx
            })
            .collect()
    }
}

fn small() -> Recorded {
    recorded().into_iter().find(|r| r.chain == "ethereum" && r.number == 13_998_626).unwrap()
}

fn revert(of: &RawBlock, sequence: u64) -> (RawBlock, Vec<RawTransaction>) {
    let mut envelope = of.envelope.clone();
    envelope.reverts_sequence = Some(envelope.sequence);
    (envelope.sequence, envelope.op, envelope.tx_count, envelope.log_count) = (sequence, Op::Revert, 0, 0);
    let child = RawTransaction { envelope: envelope.child(), payload: Payload::Revert };
    (RawBlock { envelope, evm: None, bitcoin: None }, vec![child])
}

fn finality(of: &RawBlock, finalized: u64) -> (RawBlock, Vec<RawTransaction>) {
    let mut envelope = of.envelope.clone();
    envelope.finalized_height = Some(finalized);
    (envelope.op, envelope.tx_count, envelope.log_count) = (Op::Finality, 0, 0);
    (RawBlock { envelope, evm: None, bitcoin: None }, vec![])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_event_is_passed_on_in_order() {
    let bench = Bench::new().await;
    let (stop, stage) = bench.start();
    let first = small().event("eth", 1);
    bench.apply(first.clone()).await;
    bench.apply(finality(&first.0, 13_998_600)).await;
    bench.apply(revert(&first.0, 2)).await;
    bench.apply(small().event("eth", 3)).await;
    let blocks = bench.blocks(4).await;
    let seen: Vec<_> = blocks.iter().map(|b| (b.envelope.sequence, b.envelope.op, b.summary.is_some())).collect();
    assert_eq!(seen, [(1, Op::Apply, true), (1, Op::Finality, false), (2, Op::Revert, false), (3, Op::Apply, true)]);
    assert_eq!(blocks[1].envelope.finalized_height, Some(13_998_600));
    assert_eq!(blocks[2].envelope.reverts_sequence, Some(1));
    // The manifest's figure of this block.
    assert_eq!(blocks[0].summary.as_ref().unwrap().fee_total.to_string(), "108985171685612978");
    let txs = bench.transactions(15).await;
    let seen: Vec<_> = txs.iter().map(|t| (t.envelope.sequence, t.payload == Payload::Revert)).collect();
    let expected: Vec<_> = (0..7).map(|_| (1, false)).chain([(2, true)]).chain((0..7).map(|_| (3, false))).collect();
    assert_eq!(seen, expected);
    stop.cancel();
    stage.await.unwrap().unwrap();
}

/// Of the network `eth`, whose logs are written by themselves.
fn with_events(instance: &str) -> Config {
    let events = HashSet::from(["eth".parse().unwrap()]);
    let config = Config::new(instance, HashMap::from([("eth".parse().unwrap(), 1)]));
    config.with_events(watch::Sender::new(events).subscribe())
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_written_by_themselves_where_that_is_switched_on() {
    let bench = Bench::new().await;
    let (stop, stage) = bench.start_as(bench.log.clone(), with_events("test"));
    let first = small().event("eth", 1);
    let logs = |(_, txs): &(RawBlock, Vec<RawTransaction>)| -> usize {
        let of = |tx: &RawTransaction| match &tx.payload {
            Payload::Evm(tx) => tx.logs.len(),
            _ => 0,
        };
        txs.iter().map(of).sum()
    };
    let count = logs(&first);
    assert!(count > 3, "{count}");
    bench.apply(first.clone()).await;
    bench.apply(revert(&first.0, 2)).await;
    bench.apply(small().event("eth", 3)).await;
    let records = bench.read(topics::ENRICHED_EVENTS.name, PARTITION, 2 * count + 1).await;
    let read = |r: &LogRecord| bench.codec.decode::<EnrichedEvent>(r.value.as_ref().unwrap()).unwrap();
    let events: Vec<EnrichedEvent> = records.iter().map(read).collect();
    assert_eq!(events.len(), 2 * count + 1);
    // Each says what the transaction's record says, at its index, and its headers too.
    let (mut wanted, mut decoded) = (Vec::new(), 0);
    for tx in bench.transactions(15).await {
        match tx.payload {
            Payload::Evm(both) => {
                for (log, event) in both.0.logs.iter().zip(&both.1.events) {
                    wanted.push((tx.envelope.clone(), Some((both.0.hash, log.clone(), event.clone()))));
                    decoded += usize::from(event.is_some());
                }
            }
            _ => wanted.push((tx.envelope.clone(), None)),
        }
    }
    let got = events.into_iter().map(|e| {
        let event = match e.payload {
            Payload::Evm(event) => Some((event.transaction_hash, event.log, event.decoded)),
            _ => None,
        };
        (e.envelope, event)
    });
    assert_eq!(got.collect::<Vec<_>>(), wanted);
    assert!(decoded > 0 && wanted.iter().filter(|(_, event)| event.is_none()).count() == 1);
    for (record, (envelope, event)) in records.iter().zip(&wanted) {
        let headers = ChainHeaders::parse(|name| record.header(name)).unwrap();
        assert_eq!((headers.sequence, headers.op), (envelope.sequence, envelope.op));
        assert_eq!(headers.index, event.as_ref().map(|(_, log, _)| log.log_index));
    }
    stop.cancel();
    stage.await.unwrap().unwrap();
}

/// Whoever works a block up, and with whatever before it, its records have the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn records_are_the_same_whoever_made_them() {
    const BLOCKS: u64 = 24;
    let (one, several) = (Bench::new().await, Bench::new().await);
    let (stop, stage) = one.start_as(one.log.clone(), with_events("one"));
    let blocks: Vec<_> = recorded().into_iter().filter(|r| r.receipts.len() < 100).collect();
    let mut running: Option<(CancellationToken, JoinHandle<Result<(), enrich::Error>>)> = None;
    for sequence in 1..=BLOCKS {
        let event = blocks[sequence as usize % blocks.len()].event("eth", sequence);
        one.apply(event.clone()).await;
        several.apply(event).await;
        if sequence % 3 == 1 {
            // The next process comes while the former one is at work, which it fences.
            let mut config = with_events(["b", "c"][sequence as usize / 3 % 2]);
            config.batch_events = 1 + sequence as usize % 4;
            if let Some((stop, stage)) = running.take() {
                stop.cancel();
                stage.await.unwrap().unwrap();
            }
            running = Some(several.start_as(several.log.clone(), config));
        }
    }
    for topic in [topics::ENRICHED_BLOCKS, topics::ENRICHED_TRANSACTIONS, topics::ENRICHED_EVENTS] {
        let least = if topic == topics::ENRICHED_BLOCKS { BLOCKS as usize } else { 1 };
        one.blocks(BLOCKS as usize).await;
        several.blocks(BLOCKS as usize).await;
        let all = async |bench: &Bench| {
            let records = bench.read(topic.name, PARTITION, least).await;
            records.into_iter().map(|r| (r.key, r.value, r.headers)).collect::<Vec<_>>()
        };
        let (wanted, got) = (all(&one).await, all(&several).await);
        assert!(wanted.len() >= least && got == wanted, "{}: {} and {}", topic.name, wanted.len(), got.len());
    }
    stop.cancel();
    stage.await.unwrap().unwrap();
    let (stop, stage) = running.unwrap();
    stop.cancel();
    stage.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_and_fencing_neither_lose_nor_repeat() {
    let bench = Bench::new().await;
    let mut stage: Option<(CancellationToken, JoinHandle<Result<(), enrich::Error>>)> = None;
    for sequence in 1..=40 {
        match sequence % 8 {
            // Stopped in an orderly way, cut off in the middle, and fenced by another holder of its transactional id.
            1 => {
                if let Some((stop, task)) = stage.take() {
                    stop.cancel();
                    task.await.unwrap().unwrap();
                }
                stage = Some(bench.start());
            }
            4 => {
                if let Some((_, task)) = stage.take() {
                    task.abort();
                    assert!(task.await.unwrap_err().is_cancelled());
                }
                stage = Some(bench.start());
            }
            7 => drop(bench.log.producer("enrich.test").await.unwrap()),
            _ => {}
        }
        bench.apply(small().event("eth", sequence)).await;
        if sequence % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let sequences: Vec<_> = bench.blocks(40).await.iter().map(|b| b.envelope.sequence).collect();
    assert_eq!(sequences, (1..=40).collect::<Vec<_>>());
    let children: Vec<_> = bench.transactions(280).await.iter().map(|t| t.envelope.sequence).collect();
    assert_eq!(children, (1..=40).flat_map(|s| [s; 7]).collect::<Vec<_>>());
    let (stop, task) = stage.unwrap();
    stop.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_becomes_a_placeholder_and_a_dead_letter() {
    let bench = Bench::new().await;
    let (stop, stage) = bench.start();
    let (block, txs) = small().event("eth", 1);
    let mut records: Vec<_> = [bench.record(&block)].into_iter().chain(txs.iter().map(|tx| bench.record(tx))).collect();
    let garbage = Bytes::from_static(&[0, 0, 0, 0, 2, 0xff, 0xff, 0xff]);
    records[3].value = Some(garbage.clone());
    let RawTransaction { envelope, .. } = txs[4].clone();
    let placeholder = RawTransaction { envelope, payload: Payload::Unreadable { index: 4, error: "too large".into() } };
    records[5] = bench.record(&placeholder);
    bench.publish(records).await;
    bench.apply(small().event("eth", 2)).await;

    let txs = bench.transactions(14).await;
    assert!(matches!(&txs[2].payload, Payload::Unreadable { index: 2, error } if error.contains("raw.transactions")));
    assert!(matches!(&txs[4].payload, Payload::Unreadable { index: 4, error } if error == "too large"));
    assert_eq!(txs.iter().filter(|t| matches!(t.payload, Payload::Evm(_))).count(), 12);
    let summary = bench.blocks(2).await[0].summary.clone().unwrap();
    assert_eq!((summary.transactions, summary.unreadable), (7, 2));
    let letters = bench.read(topics::DEAD_LETTERS.name, 0, 1).await;
    let letter: DeadLetter = bench.codec.decode(letters[0].value.as_ref().unwrap()).unwrap();
    assert_eq!((letter.value, letter.index, letter.reason.as_str()), (Some(garbage), Some(2), "undecodable"));
    assert_eq!(
        (letter.source_topic.as_str(), letter.sequence, letter.stage.as_str()),
        ("raw.transactions", Some(1), "enrich")
    );
    assert_eq!(letters.len(), 1);
    stop.cancel();
    stage.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_header_halts_its_network_only() {
    let bench = Bench::new().await;
    let (stop, stage) = bench.start();
    let (block, txs) = small().event("eth", 1);
    let mut records: Vec<_> = [bench.record(&block)].into_iter().chain(txs.iter().map(|tx| bench.record(tx))).collect();
    records[0].value = Some(Bytes::from_static(FROM_THE_FUTURE));
    bench.publish(records).await;
    bench.apply(small().event("eth", 2)).await;
    bench.apply(small().event("other", 1)).await;
    let blocks = bench.blocks(1).await;
    assert_eq!(blocks.len(), 1);
    assert_eq!(blocks[0].envelope.network.as_str(), "other");
    let letters = bench.read(topics::DEAD_LETTERS.name, 0, 1).await;
    let letter: DeadLetter = bench.codec.decode(letters[0].value.as_ref().unwrap()).unwrap();
    assert_eq!((letter.source_topic.as_str(), letter.sequence), ("raw.blocks", Some(1)));
    assert!(letter.error.contains("99"), "{}", letter.error);
    let said = bench.said("eth", |s| s.state == "unreadable").await;
    assert!(said.detail.unwrap().contains("sequence 1 cannot be read"));
    assert_eq!((said.sequence, said.partition, said.chain_id), (Some(0), Some(PARTITION), Some(1)));
    stop.cancel();
    stage.await.unwrap().unwrap();
}

/// Bytes of a schema that nobody knows.
const FROM_THE_FUTURE: &[u8] = b"\0\0\0\0\x63";

impl Bench {
    /// A block whose header record cannot be read.
    async fn apply_unreadable(&self, (block, txs): (RawBlock, Vec<RawTransaction>)) {
        let mut header = self.record(&block);
        header.value = Some(Bytes::from_static(FROM_THE_FUTURE));
        self.publish([header].into_iter().chain(txs.iter().map(|tx| self.record(tx))).collect()).await;
    }

    fn between(&self, aborts: u32, group: &'static str) -> Arc<Between> {
        Arc::new(Between {
            inner: self.log.clone(),
            aborts: Arc::new(aborts.into()),
            group,
            mute: false,
            readers: Arc::default(),
        })
    }

    /// Starts the stage with a beat that says nothing, as when the process is killed before it comes to it.
    fn start_mute(&self) -> (CancellationToken, JoinHandle<Result<(), enrich::Error>>) {
        self.start_over(Arc::new(Between { mute: true, ..Arc::into_inner(self.between(0, "")).unwrap() }))
    }

    async fn seen(&self, wanted: usize) -> Vec<(String, u64)> {
        let blocks = self.blocks(wanted).await;
        blocks.iter().map(|b| (b.envelope.network.to_string(), b.envelope.sequence)).collect()
    }
}

/// The process dies.
async fn kill(stage: JoinHandle<Result<(), enrich::Error>>) {
    stage.abort();
    let _ = stage.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_whose_commit_was_aborted_is_not_forgotten() {
    let bench = Bench::new().await;
    let (stop, stage) = bench.start_over(bench.between(2, ""));
    bench.apply_unreadable(small().event("eth", 1)).await;
    bench.apply(small().event("eth", 2)).await;
    bench.apply(small().event("other", 1)).await;
    let letters = bench.read(topics::DEAD_LETTERS.name, 0, 1).await;
    assert_eq!(letters.len(), 1, "the letter is there, once");
    assert_eq!(bench.blocks(1).await[0].envelope.network.as_str(), "other");
    bench.said("eth", |s| s.state == "unreadable").await;
    stop.cancel();
    stage.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_is_known_after_a_restart_and_what_follows_is_not_jumped_to() {
    let bench = Bench::new().await;
    let (stop, stage) = bench.start();
    bench.apply_unreadable(small().event("eth", 1)).await;
    bench.said("eth", |s| s.state == "unreadable").await;
    stop.cancel();
    stage.await.unwrap().unwrap();
    let (stop, stage) = bench.start();
    bench.apply(small().event("eth", 2)).await;
    bench.apply(small().event("other", 1)).await;
    let blocks = bench.blocks(1).await;
    assert_eq!((blocks.len(), blocks[0].envelope.network.as_str()), (1, "other"));
    let said = bench.said("eth", |s| s.state == "overtaken").await;
    assert!(said.detail.unwrap().contains("sequence 1 was to come, 2 came"));
    stop.cancel();
    stage.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_is_in_the_log_with_the_position_behind_it() {
    let bench = Bench::new().await;
    let (_stop, stage) = bench.start_mute();
    bench.apply_unreadable(small().event("eth", 1)).await;
    bench.apply(small().event("other", 1)).await;
    bench.blocks(1).await;
    kill(stage).await;
    let (stop, stage) = bench.start();
    bench.apply(small().event("eth", 2)).await;
    bench.apply(small().event("other", 2)).await;
    let said = bench.said("eth", |s| s.state == "overtaken").await;
    assert!(said.detail.unwrap().contains("sequence 1 was to come, 2 came"));
    assert_eq!(bench.seen(2).await, [("other".into(), 1), ("other".into(), 2)], "nothing goes on behind the hole");
    stop.cancel();
    stage.await.unwrap().unwrap();
}

/// A break that the reader of events finds is no event, and has no position; the next event of another network has.
#[tokio::test(flavor = "multi_thread")]
async fn a_break_in_the_order_is_in_the_log_with_the_position_behind_it() {
    let bench = Bench::new().await;
    let (_stop, stage) = bench.start_mute();
    bench.apply(small().event("eth", 1)).await;
    bench.apply(small().event("eth", 3)).await;
    bench.apply(small().event("other", 1)).await;
    bench.blocks(2).await;
    kill(stage).await;
    let (stop, stage) = bench.start();
    bench.apply(small().event("eth", 4)).await;
    bench.apply(small().event("other", 2)).await;
    let said = bench.said("eth", |s| s.detail.as_ref().is_some_and(|d| d.contains("4 came"))).await;
    assert!(said.detail.unwrap().contains("sequence 2 was to come, 4 came"));
    assert_eq!(bench.seen(3).await, [("eth".into(), 1), ("other".into(), 1), ("other".into(), 2)]);
    stop.cancel();
    stage.await.unwrap().unwrap();
}

/// The headers of the record that broke it do not say which sequence it was: what the stage has written does.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_halted_before_its_first_event_here_does_not_jump() {
    let bench = Bench::new().await;
    let (stop, stage) = bench.start();
    bench.apply(small().event("eth", 1)).await;
    bench.blocks(1).await;
    stop.cancel();
    stage.await.unwrap().unwrap();
    let (_stop, stage) = bench.start_mute();
    let mut header = bench.record(&small().event("eth", 2).0);
    for (name, value) in &mut header.headers {
        if &**name == "sequence" {
            *value = Bytes::from_static(b"two");
        }
    }
    bench.publish(vec![header]).await;
    bench.apply(small().event("other", 1)).await;
    bench.blocks(2).await;
    kill(stage).await;
    let (stop, stage) = bench.start();
    bench.apply(small().event("eth", 3)).await;
    bench.apply(small().event("other", 2)).await;
    bench.said("eth", |s| s.detail.as_ref().is_some_and(|d| d.contains("sequence 2 was to come, 3 came"))).await;
    assert_eq!(bench.seen(3).await, [("eth".into(), 1), ("other".into(), 1), ("other".into(), 2)]);
    stop.cancel();
    stage.await.unwrap().unwrap();
}

/// A version that reads what stopped a network dies before its beat has said so.
#[tokio::test(flavor = "multi_thread")]
async fn that_a_network_goes_on_is_in_the_log_with_the_position_behind_it() {
    let bench = Bench::new().await;
    let (stop, stage) = bench.start();
    bench.apply(small().event("other", 1)).await;
    let said = bench.said("other", |s| s.sequence == Some(1)).await;
    stop.cancel();
    stage.await.unwrap().unwrap();
    let network = Some("eth".parse().unwrap());
    let halted = StageStatus { network, state: "unreadable".into(), sequence: Some(0), ..said };
    let mut record = bench.record(&halted);
    record.to.partition = 0;
    bench.publish(vec![record]).await;
    let (_stop, stage) = bench.start_mute();
    bench.apply(small().event("eth", 1)).await;
    bench.blocks(2).await;
    kill(stage).await;
    let (stop, stage) = bench.start();
    bench.apply(small().event("eth", 2)).await;
    assert_eq!(bench.seen(3).await, [("other".into(), 1), ("eth".into(), 1), ("eth".into(), 2)]);
    stop.cancel();
    stage.await.unwrap().unwrap();
}

/// A network that stood still here, was mended elsewhere, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_another_process_mended_goes_on_here() {
    let bench = Bench::new().await;
    let (stop, stage) = bench.start();
    bench.apply_unreadable(small().event("eth", 1)).await;
    let halted = bench.said("eth", |s| s.state == "unreadable").await;
    // Another member takes the last partition over: it can read the record, and says so.
    let input = [topics::RAW_BLOCKS.name, topics::RAW_TRANSACTIONS.name];
    let mut other = bench.log.consumer("enrich", "zzz", &input).await.unwrap();
    let limits = PollLimits { records: 1, bytes: 1, wait: Duration::from_millis(50) };
    while !matches!(other.poll(limits).await.unwrap(), Polled::Assigned(list) if list.iter().any(|(at, _)| at.partition == PARTITION))
    {
    }
    // Until the stage has seen that the partition is gone it may still speak for it.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mended =
        StageStatus { instance: "zzz".into(), state: state::RUNNING.into(), detail: None, sequence: Some(1), ..halted };
    let mut record = bench.record(&mended);
    record.to.partition = 0;
    bench.publish(vec![record]).await;
    drop(other);
    bench.apply(small().event("eth", 2)).await;
    let blocks = bench.blocks(1).await;
    assert_eq!((blocks.len(), blocks[0].envelope.sequence), (1, 2));
    bench.said("eth", |s| s.state == state::RUNNING && s.sequence == Some(2)).await;
    stop.cancel();
    stage.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_positions_are_gone_writes_nothing_twice() {
    let bench = Bench::new().await;
    let (stop, stage) = bench.start();
    for sequence in 1..=5 {
        bench.apply(small().event("eth", sequence)).await;
    }
    bench.apply(small().event("other", 1)).await;
    bench.blocks(6).await;
    stop.cancel();
    stage.await.unwrap().unwrap();
    // Deleted, or expired while the stage stood still: to the log it is a group that was never there.
    let (stop, stage) = bench.start_over(bench.between(0, "another-"));
    for sequence in 6..=8 {
        bench.apply(small().event("eth", sequence)).await;
    }
    bench.apply(small().event("new", 1)).await;
    let blocks = bench.blocks(10).await;
    let of = |network: &str| {
        let all = blocks.iter().filter(|b| b.envelope.network.as_str() == network);
        all.map(|b| b.envelope.sequence).collect::<Vec<_>>()
    };
    assert_eq!((of("eth"), of("other"), of("new")), ((1..=8).collect(), vec![1], vec![1]));
    assert_eq!(bench.transactions(70).await.len(), 70);
    stop.cancel();
    stage.await.unwrap().unwrap();
}

/// Reading it may take longer than the group waits for a member.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_of_the_output_is_not_read_again_by_the_next_membership() {
    let bench = Bench::new().await;
    let (stop, stage) = bench.start();
    for sequence in 1..=5 {
        bench.apply(small().event("eth", sequence)).await;
    }
    bench.blocks(5).await;
    stop.cancel();
    stage.await.unwrap().unwrap();
    // No position, and two memberships end before there is one.
    let between = bench.between(2, "another-");
    bench.apply_unreadable(small().event("eth", 6)).await;
    let (stop, stage) = bench.start_over(between.clone());
    bench.said("eth", |s| s.state == "unreadable" && s.sequence == Some(5)).await;
    let read = between.readers.lock().unwrap().clone();
    let of_output = read.iter().filter(|(at, _)| at.topic == topics::ENRICHED_BLOCKS.name).collect::<Vec<_>>();
    assert_eq!(of_output, [&(TopicPartition { topic: topics::ENRICHED_BLOCKS.name, partition: PARTITION }, 0)]);
    assert_eq!(bench.blocks(5).await.len(), 5);
    stop.cancel();
    stage.await.unwrap().unwrap();
}

/// The group's positions are gone, and the log is another one: the event that the output ends with is not that block.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_positions_does_not_go_on_behind_another_block() {
    let bench = Bench::new().await;
    let mut written = EnrichedBlock {
        envelope: small().event("eth", 1).0.envelope,
        evm: None,
        bitcoin: None,
        summary: None,
        facts_position: None,
    };
    written.envelope.block_hash = written.envelope.parent_hash.clone();
    bench.publish(vec![bench.record(&written)]).await;
    let (stop, stage) = bench.start();
    bench.apply(small().event("eth", 1)).await;
    bench.apply(small().event("eth", 2)).await;
    bench.apply(small().event("other", 1)).await;
    let said = bench.said("eth", |s| s.state == "log_replaced").await;
    assert!(said.detail.unwrap().contains("under sequence 1 the output has apply"));
    let blocks = bench.blocks(2).await;
    let seen: Vec<_> = blocks.iter().map(|b| (b.envelope.network.as_str(), b.envelope.sequence)).collect();
    assert_eq!(seen, [("eth", 1), ("other", 1)]);
    stop.cancel();
    stage.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_the_configuration_lacks_is_said() {
    let bench = Bench::new().await;
    let (stop, stage) = bench.start();
    bench.apply(small().event("other", 1)).await;
    bench.blocks(1).await;
    let said = bench.said("other", |s| s.state == state::UNCONFIGURED && s.sequence == Some(1)).await;
    assert!(said.detail.unwrap().contains("[[network]]") && said.chain_id.is_none());
    stop.cancel();
    stage.await.unwrap().unwrap();
    let process = StageStatus::key_of(stage::ENRICH, "test", None);
    let records = bench.read(topics::STAGE_STATUS.name, 0, 1).await;
    let last = records.iter().rev().find(|r| r.key.as_deref() == Some(process.as_bytes())).unwrap();
    assert_eq!(last.value, None, "a process that stops in an orderly way takes its word back");
}

impl Bench {
    /// An operator gives up sequences of a network.
    async fn give_up(&self, network: &str, first: u64, last: u64) {
        let request = ControlConfig::Request(Request {
            id: format!("{network}-{first}"),
            network: network.parse().unwrap(),
            asks: Asks::AcceptGap { first, last },
            wanted: Wanted::Run,
            asked_at: TimeMs::now(),
        });
        let to = TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 };
        self.publish(vec![NewRecord { to, ..self.record(&request) }]).await;
    }
}

fn of(seen: &[(String, u64)], network: &str) -> Vec<u64> {
    seen.iter().filter(|(n, _)| n == network).map(|(_, sequence)| *sequence).collect()
}

/// What came of the network meanwhile was passed over, and lies before the group's position.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_goes_on_behind_what_was_given_up_and_no_other_is_written_twice() {
    let bench = Bench::new().await;
    let (stop, stage) = bench.start();
    bench.apply(small().event("eth", 1)).await;
    for sequence in 4..=5 {
        bench.apply(small().event("eth", sequence)).await;
        bench.apply(small().event("other", sequence - 3)).await;
    }
    let said = bench.said("eth", |s| s.state == "overtaken").await;
    let detail = said.detail.unwrap();
    assert!(detail.contains("sequence 2 was to come, 4 came"), "{detail}");
    assert!(detail.contains("headwater accept-gap --config FILE --network eth"), "{detail}");
    assert_eq!(said.sequence, Some(1));
    bench.blocks(3).await;
    bench.give_up("eth", 3, 3).await; // it does not stand there
    bench.give_up("other", 2, 3).await;
    bench.apply(small().event("other", 3)).await;
    bench.blocks(4).await;
    bench.give_up("eth", 2, 3).await;
    bench.blocks(6).await;
    bench.apply(small().event("eth", 6)).await;
    let seen = bench.seen(7).await;
    assert_eq!((of(&seen, "eth"), of(&seen, "other")), (vec![1, 4, 5, 6], vec![1, 2, 3]));
    bench.said("eth", |s| s.state == "running" && s.sequence == Some(6)).await;
    stop.cancel();
    stage.await.unwrap().unwrap();
    // It is no gap any more, and the next one is.
    let (stop, stage) = bench.start();
    bench.apply(small().event("eth", 7)).await;
    bench.apply(small().event("eth", 9)).await;
    bench.said("eth", |s| s.state == "overtaken" && s.sequence == Some(7)).await;
    assert_eq!(of(&bench.seen(8).await, "eth"), [1, 4, 5, 6, 7]);
    stop.cancel();
    stage.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_while_a_network_goes_on_neither_lose_nor_repeat() {
    let bench = Bench::new().await;
    let (_stop, stage) = bench.start();
    bench.apply(small().event("eth", 1)).await;
    for sequence in 3..=20 {
        bench.apply(small().event("eth", sequence)).await;
        bench.apply(small().event("other", sequence - 2)).await;
    }
    bench.said("eth", |s| s.state == "overtaken").await;
    bench.blocks(19).await;
    kill(stage).await;
    bench.give_up("eth", 2, 2).await;
    // Cut off after every few of its transactions, with a beat that says nothing of it.
    let mut written = 19;
    while written < 37 {
        let mute = Arc::new(Between { mute: true, ..Arc::into_inner(bench.between(0, "")).unwrap() });
        let (_stop, stage) = bench.start_in_batches(mute, 2);
        written = bench.blocks((written + 3).min(37)).await.len();
        kill(stage).await;
    }
    let (stop, stage) = bench.start();
    bench.apply(small().event("eth", 21)).await;
    bench.apply(small().event("other", 19)).await;
    let seen = bench.seen(39).await;
    let eth: Vec<u64> = (1..=21).filter(|s| *s != 2).collect();
    assert_eq!((of(&seen, "eth"), of(&seen, "other")), (eth, (1..=19).collect::<Vec<_>>()));
    bench.said("eth", |s| s.state == "running").await;
    stop.cancel();
    stage.await.unwrap().unwrap();
}

/// Facts that are there before a block decode it, and the block's record says how far they were known; a block of before has none.
#[tokio::test(flavor = "multi_thread")]
async fn facts_decode_what_follows_them_and_their_position_is_told() {
    let bench = Bench::new().await;
    let (proxy, behind) = (Address::repeat_byte(0xaa), Address::repeat_byte(0xbb));
    let (block, mut transactions) = small().event("eth", 1);
    let Payload::Evm(called) = &mut transactions[0].payload else { panic!("it is a transaction") };
    called.to_address = Some(proxy);
    called.input = [&keccak256("alpha(uint256)")[..4], &[0; 31], &[7]].concat().into();
    let network = block.envelope.network.clone();
    let abi = r#"[{"type":"function","name":"alpha","inputs":[{"name":"amount","type":"uint256"}],"outputs":[],"stateMutability":"view"}]"#;
    let entry =
        Implementation { from_height: block.envelope.height, address: Some(behind), ..Implementation::default() };
    let of_proxy =
        ContractFacts { revision: 1, implementations: vec![entry], ..ContractFacts::nothing(network.clone(), proxy) };
    let of_other = ContractFacts {
        revision: 1,
        abi: Some(abi.into()),
        abi_source: Some(FactSource::Operator),
        ..ContractFacts::nothing(network, behind)
    };
    let call = |all: &[EnrichedTransaction], sequence| {
        let mut of = all.iter().filter(|tx| tx.envelope.sequence == sequence);
        let Some(Payload::Evm(first)) = of.next().map(|tx| tx.payload.clone()) else { panic!("there is one") };
        first.1.call.map(|call| (call.signature, call.arguments.unwrap_or_default()))
    };
    let count = transactions.len();

    // Nothing is known yet.
    bench.apply((block.clone(), transactions.clone())).await;
    let (stop, stage) = bench.start();
    assert_eq!((call(&bench.transactions(count).await, 1), bench.blocks(1).await[0].facts_position), (None, None));
    stop.cancel();
    stage.await.unwrap().unwrap();

    bench.publish(vec![bench.record(&of_other), bench.record(&of_proxy)]).await;
    let again = |(mut block, mut transactions): (RawBlock, Vec<RawTransaction>)| {
        block.envelope.sequence = 2;
        transactions.iter_mut().for_each(|tx| tx.envelope.sequence = 2);
        (block, transactions)
    };
    bench.apply(again((block, transactions))).await;
    let (stop, stage) = bench.start();
    let told = call(&bench.transactions(2 * count).await, 2);
    assert_eq!(told, Some(("alpha(uint256 amount)".to_owned(), "{\"amount\":\"7\"}".to_owned())));
    let at = TopicPartition { topic: topics::CONTRACT_FACTS.name, partition: PARTITION };
    let end = bench.log.watermarks(at).await.unwrap().high;
    assert_eq!(bench.blocks(2).await[1].facts_position, Some(end));
    stop.cancel();
    stage.await.unwrap().unwrap();
}

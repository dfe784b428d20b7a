//! Contracts that somebody calls his own: from which block time on every block was looked through for one follows from its record in
//! `control.config` alone, whatever process says it, and when.

mod support;

use std::time::Duration;

use alloy_primitives::Address;
use runtime::log::{NewRecord, TopicPartition};
use schemas::{
    TimeMs,
    limits::windows::WATCHED_MARGIN,
    records::{ControlConfig, EnrichedBlock, Payload, WatchedAddress},
    topics,
};
use support::{
    Recorded,
    bench::{Bench, PARTITION},
    recorded,
};

const CONFIG: TopicPartition = TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 };

fn block() -> Recorded {
    recorded().into_iter().find(|r| r.chain == "ethereum" && r.number == 13_998_626).unwrap()
}

impl Bench {
    async fn watch(&self, address: Address, revision: u64, since: Option<TimeMs>) {
        let (network, address) = ("eth".parse().unwrap(), format!("{address:#x}"));
        let record = ControlConfig::Watched(WatchedAddress { network, address, revision, since });
        self.publish(vec![NewRecord { to: CONFIG, ..self.record(&record) }]).await;
    }

    /// When the newest record in `control.config` was written.
    async fn published(&self) -> TimeMs {
        let records = self.read(CONFIG.topic, CONFIG.partition, 1).await;
        records.last().unwrap().timestamp
    }

    /// Applies the next block, and gives what its summary says of a contract.
    async fn next(&self, sequence: &mut u64, of: Address) -> Option<TimeMs> {
        *sequence += 1;
        self.apply(block().event("eth", *sequence)).await;
        let records = self.read(topics::ENRICHED_BLOCKS.name, PARTITION, *sequence as usize).await;
        let block: EnrichedBlock = self.codec.decode(records.last().unwrap().value.as_ref().unwrap()).unwrap();
        let sum = block.contracts().iter().find(|sum| sum.address == of)?;
        assert!(sum.transactions > 0 && sum.senders.is_some() && sum.bins.is_some(), "{sum:?}");
        Some(sum.watched_from.expect("what is counted says since when"))
    }

    /// The same, until it is `wanted`.
    async fn until(&self, sequence: &mut u64, of: Address, wanted: TimeMs) {
        for _ in 0..200 {
            if self.next(sequence, of).await == Some(wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("after {sequence} blocks it is not watched from {wanted:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn since_when_a_contract_is_watched_follows_from_its_record_alone() {
    let bench = Bench::new().await;
    let (_, transactions) = block().event("eth", 1);
    let Payload::Evm(tx) = &transactions[0].payload else { panic!("a recorded transaction") };
    let contract = tx.contracts()[0];
    let margin = WATCHED_MARGIN.as_millis() as i64;

    let (stop, stage) = bench.start();
    let mut sequence = 0;
    assert_eq!(bench.next(&mut sequence, contract).await, None, "nobody calls it his own");
    bench.watch(contract, 1, None).await;
    let published = bench.published().await;
    let from = TimeMs(published.0 + margin);
    bench.until(&mut sequence, contract, from).await;
    stop.cancel();
    stage.await.unwrap().unwrap();

    // Another process, later: the same, from its first block on.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (stop, stage) = bench.start();
    assert_eq!(bench.next(&mut sequence, contract).await, Some(from));
    // Somebody else adds it, too: nothing moves. What is counted of the other contract says that this process has read so far.
    let another = transactions.iter().find_map(|transaction| match &transaction.payload {
        Payload::Evm(tx) => tx.contracts().into_iter().find(|address| *address != contract),
        _ => None,
    });
    let another = another.expect("a block that touches two contracts");
    bench.watch(contract, 2, Some(published)).await;
    bench.watch(another, 1, None).await;
    let of_another = TimeMs(bench.published().await.0 + margin);
    bench.until(&mut sequence, another, of_another).await;
    assert_eq!(bench.next(&mut sequence, contract).await, Some(from));
    // Of a record that does not say since when, its own time counts.
    bench.watch(contract, 3, None).await;
    let later = TimeMs(bench.published().await.0 + margin);
    assert!(later > from);
    bench.until(&mut sequence, contract, later).await;
    stop.cancel();
    stage.await.unwrap().unwrap();
}

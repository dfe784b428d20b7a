//! Windows of one partition that are read back for long: networks of others do not wait for them.

use std::sync::Arc;

use runtime::log::{
    Consumer, Lag, Log, LogError, NewRecord, Producer, Reader, Topic, TopicPartition, Transaction, Watermarks,
};
use schemas::{
    Network,
    records::{AlertMatch, DefinitionKind},
    topics,
};
use serde_json::json;
use tokio::sync::watch;

use super::{Bench, Chain, Event, is_over, monitor, network, other, stop};

/// A log of which blocks of the first partition are read back only once that is let.
struct Slow(Arc<dyn Log>, watch::Receiver<bool>);

#[async_trait::async_trait]
impl Log for Slow {
    async fn ensure_topics(&self, topics: &[topics::TopicSpec], chain_partitions: u32) -> Result<(), LogError> {
        self.0.ensure_topics(topics, chain_partitions).await
    }
    async fn partitions(&self, topic: Topic) -> Result<u32, LogError> {
        self.0.partitions(topic).await
    }
    async fn value_limit(&self, topic: Topic) -> Result<usize, LogError> {
        self.0.value_limit(topic).await
    }
    async fn watermarks(&self, at: TopicPartition) -> Result<Watermarks, LogError> {
        self.0.watermarks(at).await
    }
    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        self.0.producer(transactional_id).await
    }
    async fn consumer(&self, group: &str, instance: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        self.0.consumer(group, instance, topics).await
    }
    async fn reader(&self, from: &[(TopicPartition, u64)]) -> Result<Box<dyn Reader>, LogError> {
        let is_slow = |at: &TopicPartition| at.topic == topics::ENRICHED_BLOCKS.name && at.partition == 0;
        if from.iter().any(|(at, _)| is_slow(at)) {
            // Who lets it may be gone.
            drop(self.1.clone().wait_for(|is_let| *is_let).await);
        }
        self.0.reader(from).await
    }
    async fn lag(&self, group: &str, topics: &[Topic]) -> Result<Vec<Lag>, LogError> {
        self.0.lag(group, topics).await
    }
}

/// Each network has a partition of its own.
async fn write(bench: &Bench, events: &[Event]) {
    let mut records: Vec<NewRecord> = Vec::new();
    for (block, children) in events {
        let from = records.len();
        records.push(bench.record(topics::ENRICHED_BLOCKS.name, block));
        records.extend(children.iter().map(|child| bench.record(topics::ENRICHED_TRANSACTIONS.name, child)));
        let partition = u32::from(block.envelope.network == other());
        records[from..].iter_mut().for_each(|record| record.to.partition = partition);
    }
    let mut producer = bench.log.producer("enrich.test").await.expect("a producer");
    producer.commit(Transaction { records, offsets: None }).await.expect("committed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_that_are_read_back_for_long_keep_no_other_partition() {
    let plain = Bench::new().await;
    let (let_it, is_let) = watch::channel(true);
    let bench = Bench { log: Arc::new(Slow(plain.log.clone(), is_let)), codec: plain.codec.clone(), _dir: None };
    let (mut here, mut there) = (Chain::new(), Chain::of(other()));
    for network in ["demo", "other"] {
        let rule = json!({"name": network, "network": network, "metric": "failed", "threshold": 0, "window": "1m"});
        bench.define(DefinitionKind::Rule, network, 1, rule).await;
    }
    let of = |matches: &[AlertMatch], network: &Network| -> Vec<u64> {
        let of_it = matches.iter().filter(|one| one.network == *network && is_over(one));
        of_it.map(|one| one.sequence).collect()
    };
    let running = bench.start();
    let mut blocks = |number: u64| [here.apply(&[(number, true)], 0), there.apply(&[(number + 500, true)], 0)];
    write(&bench, &blocks(1)).await;
    let has_both = |matches: &[AlertMatch]| [network(), other()].iter().all(|one| !of(matches, one).is_empty());
    bench.until("both rules", has_both).await;
    bench.until_read().await;
    stop(running).await;

    // Whoever takes over goes on with the one, and with the other once its windows are there: from the event at which it was.
    let_it.send_replace(false);
    let running = bench.start();
    write(&bench, &blocks(2)).await;
    write(&bench, &blocks(3)).await;
    let told = bench.until("the other's", |matches| of(matches, &other()).contains(&2)).await;
    assert_eq!(of(&told, &network()), [1], "it waits for its windows");
    let_it.send_replace(true);
    let told = bench.until("the first one's", |matches| of(matches, &network()).len() > 1).await;
    assert_eq!(of(&told, &network())[..2], [1, 2], "no event is passed over");
    bench.until_read().await;
    stop(running).await;

    // Nothing waits for windows of a rule that is no more: what is read back for it is given up.
    let_it.send_replace(false);
    bench.define(DefinitionKind::Monitor, "m", 1, monitor("Failures", "Failure")).await;
    let running = bench.start();
    write(&bench, &blocks(4)).await;
    let told = bench.until("the other's", |matches| of(matches, &other()).contains(&4)).await;
    let is_found = |matches: &[AlertMatch]| matches.iter().any(|one| one.found.is_some());
    assert!(!is_found(&told), "it waits for its windows");
    let paused =
        json!({"name": "demo", "network": "demo", "metric": "failed", "threshold": 0, "window": "1m", "paused": true});
    bench.define(DefinitionKind::Rule, "demo", 2, paused).await;
    bench.until("what the monitor finds", is_found).await;
    stop(running).await;
}

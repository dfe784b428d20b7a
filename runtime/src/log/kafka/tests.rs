//! The suite against a real broker, which `scripts/services run cargo test …` starts and names in `HEADWATER_TEST_KAFKA`.

use std::collections::BTreeMap;

use rdkafka::admin::{AdminClient, AdminOptions};

use schemas::records::stage_status::{stage, state};

use super::{config::partition_list, *};
use crate::secret::Secret;
use crate::{
    beat::{Board, unread::look},
    log::{
        Polled,
        conformance::{self, Harness},
    },
};

struct Cluster {
    config: KafkaConfig,
}

#[async_trait]
impl Harness for Cluster {
    async fn log(&self) -> Arc<dyn Log> {
        KafkaLog::connect(self.config.clone()).await.expect("connect")
    }
    async fn restarted(&self) -> Arc<dyn Log> {
        self.log().await
    }
    async fn expire(&self, log: &Arc<dyn Log>, at: TopicPartition) {
        let high = log.watermarks(at).await.expect("watermarks").high;
        let admin: AdminClient<_> = self.config.client(&[]).create().expect("admin");
        let list = partition_list(&self.config, &[(at, high - 6)]).expect("list");
        admin.delete_records(&list, &AdminOptions::new()).await.expect("delete records");
    }
}

/// The broker; `None`, said loudly, where there is none. CI always has one.
#[allow(clippy::print_stderr)]
pub(super) fn broker(test: &str) -> Option<String> {
    let found = std::env::var("HEADWATER_TEST_KAFKA").ok();
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "HEADWATER_TEST_KAFKA is not set: run `scripts/services run …`");
        eprintln!("SKIPPED {test}: no Kafka; run it with `scripts/services run cargo test …`");
    }
    found
}

pub(super) fn config(brokers: String, prefix: &str) -> KafkaConfig {
    let pairs = |list: &[(&str, &str)]| list.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let secrets = |list: &[(&str, &str)]| list.iter().map(|(k, v)| (k.to_string(), Secret::new(*v))).collect();
    KafkaConfig {
        prefix: prefix.into(),
        replication: 1,
        // Static members that leave are missed only when their session ends.
        properties: secrets(&[("session.timeout.ms", "3000"), ("heartbeat.interval.ms", "500")]),
        topic_properties: pairs(&[
            ("min.cleanable.dirty.ratio", "0.01"),
            ("segment.ms", "200"),
            ("delete.retention.ms", "86400000"),
        ]),
        ..KafkaConfig::new(brokers)
    }
}

/// A prefix that no other run has.
pub(super) fn unique(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_nanos();
    format!("{name}-{now:x}.")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kafka_passes_the_suite() {
    let Some(brokers) = broker("kafka_passes_the_suite") else { return };
    let only = std::env::var("HEADWATER_CASE").ok();
    let config = config(brokers, &unique("conformance"));
    let harness = Arc::new(Cluster { config });
    let mut outcome = BTreeMap::new();
    for (name, case) in conformance::CASES.iter().filter(|(name, _)| only.as_deref().is_none_or(|o| o == *name)) {
        let (harness, case) = (harness.clone(), *case);
        let started = std::time::Instant::now();
        let passed = tokio::spawn(async move { conformance::run(&*harness, name, case).await }).await.is_ok();
        eprintln!("  {} {name} ({:?})", if passed { "passed" } else { "FAILED" }, started.elapsed());
        outcome.insert(*name, passed);
    }
    let failed: Vec<_> = outcome.iter().filter(|(_, passed)| !**passed).map(|(name, _)| *name).collect();
    assert!(failed.is_empty(), "failed: {failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_made_compared_and_changed() {
    let Some(brokers) = broker("topics_are_made_compared_and_changed") else { return };
    let config = KafkaConfig { topic_properties: Vec::new(), ..config(brokers, &unique("topics")) };
    let log = KafkaLog::connect(config).await.expect("connect");
    let all = schemas::topics::ALL;
    let missing = log.diff_topics(&all, Some(2)).await.expect("diff");
    assert!(missing.len() == all.len() && missing.iter().all(|d| d.what == "exists" && d.can_change), "{missing:?}");
    log.apply_topics(&all, Some(2)).await.expect("apply");
    assert_eq!(log.diff_topics(&all, Some(2)).await.expect("diff"), []);

    // An operator's own property stays when ours is put right.
    let name = log.0.config.on_wire("raw.blocks");
    let alter = rdkafka::admin::AlterConfig::new(rdkafka::admin::ResourceSpecifier::Topic(&name))
        .set("retention.ms", "1000")
        .set("segment.ms", "123456789");
    log.0.admin.alter_configs([&alter], &AdminOptions::new()).await.expect("alter");
    // A broker takes a change in a moment after it was acknowledged.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let off = log.diff_topics(&all, Some(3)).await.expect("diff");
        let of_it: Vec<_> = off.iter().filter(|d| d.topic == name).map(|d| d.what.as_str()).collect();
        if of_it.contains(&"partitions") && of_it.contains(&"retention.ms") {
            break;
        }
        assert!(std::time::Instant::now() < end, "{off:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    log.apply_topics(&all, Some(3)).await.expect("apply");
    assert_eq!(log.diff_topics(&all, Some(3)).await.expect("diff"), []);
    let described = log
        .0
        .admin
        .describe_configs([&rdkafka::admin::ResourceSpecifier::Topic(&name)], &AdminOptions::new())
        .await
        .expect("describe");
    let kept = described[0].as_ref().expect("a topic").get("segment.ms").and_then(|e| e.value.clone());
    assert_eq!(kept.as_deref(), Some("123456789"));

    // Fewer partitions, or another number of replicas, cannot be had.
    let off = log.diff_topics(&all, Some(1)).await.expect("diff");
    assert!(!off.is_empty() && off.iter().all(|d| d.what == "partitions" && !d.can_change), "{off:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_retention_is_about_to_take_is_seen_by_the_brokers_positions() {
    let Some(brokers) = broker("what_retention_is_about_to_take_is_seen_by_the_brokers_positions") else { return };
    const RECORDS: u64 = 40;
    let cluster = Cluster { config: config(brokers, &unique("unread")) };
    let log = cluster.log().await;
    let input = [schemas::topics::RAW_BLOCKS, schemas::topics::RAW_TRANSACTIONS];
    log.ensure_topics(&input, 1).await.expect("topics");
    let at = |spec: schemas::topics::TopicSpec| conformance::at(spec.name, 0);
    let mut producer = log.producer("p").await.expect("producer");
    let records = (0..RECORDS).flat_map(|n| input.map(|t| conformance::record(at(t), &n.to_string(), "value")));
    conformance::commit(&mut *producer, records.collect()).await;

    let mut consumer = log.consumer("sink", "one", &input.map(|t| t.name)).await.expect("consumer");
    while !matches!(consumer.poll(conformance::limits(1, 500)).await.expect("poll"), Polled::Assigned(_)) {}
    let board = Board::new(stage::SINK, state::STARTING);
    let network: schemas::Network = "eth".parse().expect("a slug");
    board.held([0]);
    board.network(0, &network, |row| row.state = "live".into());
    let seen = async || {
        look(&board, &*log, "sink", &input).await.expect("asked");
        let said = board.statuses("host", Duration::from_secs(5));
        said.iter().find(|s| s.network.as_ref() == Some(&network)).expect("spoken for").unread_percent
    };

    // All is there still: nothing of a week is unread for long, and forty records are no bytes.
    consumer.commit(input.map(|t| (at(t), 20)).to_vec()).await.expect("positions");
    assert_eq!(seen().await, Some(0));
    // Retention has taken what lies more than six records (`expire`) and the transaction's end back, which is not read.
    cluster.expire(&log, at(input[1])).await;
    assert_eq!(seen().await, Some(100));
    // It has caught up with the children's topic half way.
    let ends = log.watermarks(at(input[1])).await.expect("ends");
    consumer.commit(vec![(at(input[1]), ends.low.midpoint(ends.high))]).await.expect("positions");
    assert_eq!(seen().await, Some(50));
    consumer.commit(vec![(at(input[1]), ends.high)]).await.expect("positions");
    assert_eq!(seen().await, Some(0));
}

/// What lies behind it is committed and not seen: whoever took what is seen for all would write it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_open_transaction_is_told() {
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
    let Some(brokers) = broker("somebody_elses_open_transaction_is_told") else { return };
    let config = config(brokers, &unique("undecided"));
    let log = KafkaLog::connect(config.clone()).await.expect("connect");
    log.ensure_topics(&[schemas::topics::INGEST_CHECKPOINTS], 1).await.expect("topic");
    let at = TopicPartition { topic: schemas::topics::INGEST_CHECKPOINTS.name, partition: 0 };
    let until = async |wanted: Option<u64>| {
        let end = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            let told = log.undecided(at).await.expect("an answer");
            if told == wanted {
                return;
            }
            assert!(std::time::Instant::now() < end, "{told:?} is told, not {wanted:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    until(None).await;
    let id = config.on_wire("somebody");
    let theirs: BaseProducer = config.client(&[("transactional.id", &id)]).create().expect("a producer");
    let topic = config.on_wire(at.topic);
    tokio::task::block_in_place(|| {
        theirs.init_transactions(CALL).expect("a producer");
        theirs.begin_transaction().expect("begun");
        let record = BaseRecord::<[u8], [u8]>::to(&topic).partition(0).key(b"k").payload(b"v");
        theirs.send(record).map_err(|(e, _)| e).expect("sent");
        theirs.flush(CALL).expect("written");
    });
    let mut ours = log.producer("ours").await.expect("a producer");
    let (key, value) = (Some("k".into()), Some("v".into()));
    let record = crate::log::NewRecord { to: at, key, value, headers: Vec::new() };
    ours.commit(crate::log::Transaction { records: vec![record], offsets: None }).await.expect("committed");
    until(Some(0)).await;
    assert_eq!(log.watermarks(at).await.expect("ends").high, 0, "and what was committed behind it is not seen");
    tokio::task::block_in_place(|| theirs.abort_transaction(CALL)).expect("aborted");
    until(None).await;
    assert!(log.watermarks(at).await.expect("ends").high > 0);
}

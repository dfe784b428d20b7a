//! The suite against a real broker: `HEADWATER_KAFKA=127.0.0.1:9092 cargo test -p runtime --features kafka -- --ignored kafka`.

use std::collections::BTreeMap;

use super::*;
use crate::log::conformance::{self, Harness};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "wants a Kafka broker, named by HEADWATER_KAFKA"]
async fn kafka_passes_the_suite() {
    let brokers = std::env::var("HEADWATER_KAFKA").expect("HEADWATER_KAFKA names a broker, host:port");
    let only = std::env::var("HEADWATER_CASE").ok();
    let pairs = |list: &[(&str, &str)]| list.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let config = KafkaConfig {
        prefix: "conformance.".into(),
        replication: 1,
        // Static members that leave are missed only when their session ends.
        properties: pairs(&[("session.timeout.ms", "3000"), ("heartbeat.interval.ms", "500")]),
        topic_properties: pairs(&[
            ("min.cleanable.dirty.ratio", "0.01"),
            ("segment.ms", "200"),
            ("delete.retention.ms", "86400000"),
        ]),
        ..KafkaConfig::new(brokers)
    };
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

//! The embedded log passes the suite, and what only an embedded log must do: survive `kill -9`, power loss, damage and full disks.

mod crash;
mod damage;
mod hold;
mod ledger;
mod power;
mod room;
mod undecided;
mod upkeep;

use super::*;
use crate::log::conformance::{self, Harness};

struct Embedded {
    config: EmbeddedConfig,
    open: tokio::sync::Mutex<Option<Arc<EmbeddedLog>>>,
}

impl Embedded {
    fn new(dir: &Path, tail_cache_bytes: usize) -> Self {
        let config = EmbeddedConfig { min_free_bytes: 1 << 20, tail_cache_bytes, ..EmbeddedConfig::new(dir) };
        Self { config, open: Default::default() }
    }
}

#[async_trait]
impl Harness for Embedded {
    async fn log(&self) -> Arc<dyn Log> {
        let mut open = self.open.lock().await;
        if open.is_none() {
            *open = Some(EmbeddedLog::open(self.config.clone()).await.expect("open"));
        }
        open.clone().expect("just opened")
    }
    async fn restarted(&self) -> Arc<dyn Log> {
        if let Some(log) = self.open.lock().await.take() {
            log.close().await.expect("close");
        }
        self.log().await
    }
    async fn expire(&self, _: &Arc<dyn Log>, at: TopicPartition) {
        let log = self.open.lock().await.clone().expect("open");
        let spec = TopicSpec {
            name: at.topic,
            cleanup: schemas::topics::Cleanup::Delete,
            retention: None,
            retention_bytes: Some(300),
            per_network: true,
        };
        log.ensure_topics(&[spec], 1).await.expect("new retention");
        log.apply_retention().await.expect("retention");
    }
}

async fn suite(tail_cache_bytes: usize) {
    let dir = tempfile::tempdir().unwrap();
    let harness = Embedded::new(dir.path(), tail_cache_bytes);
    for (name, case) in conformance::CASES {
        eprintln!("  {name}");
        conformance::run(&harness, name, *case).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite_from_memory() {
    suite(32 << 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite_from_disk() {
    suite(0).await;
}

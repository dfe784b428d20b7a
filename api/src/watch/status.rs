//! `ingest.status`, read into memory: what each network's watcher last said of itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use runtime::log::{Log, LogError, PollLimits, Polled, TopicPartition};
use schemas::{Network, codec::Codec, records::NetworkStatus, topics};
use tokio_util::sync::CancellationToken;

/// How much one poll brings.
const POLL: PollLimits = PollLimits { records: 1_000, bytes: 1 << 20, wait: Duration::from_secs(1) };

/// The newest status of each network.
#[derive(Default)]
pub struct Statuses(Mutex<HashMap<Network, NetworkStatus>>);

impl Statuses {
    /// Of one network; `None` while its watcher was never heard.
    pub fn of(&self, network: &Network) -> Option<NetworkStatus> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).get(network).cloned()
    }

    /// All networks ever heard of.
    pub fn networks(&self) -> Vec<Network> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).keys().cloned().collect()
    }

    fn put(&self, status: NetworkStatus) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).insert(status.network.clone(), status);
    }

    /// Follows the topic until the service stops. What cannot be decoded is counted and passed by.
    pub async fn follow(
        self: Arc<Self>,
        log: Arc<dyn Log>,
        codec: Arc<Codec>,
        shutdown: CancellationToken,
    ) -> Result<(), LogError> {
        let topic = topics::INGEST_STATUS.name;
        let mut places = Vec::new();
        for partition in 0..log.partitions(topic).await? {
            let at = TopicPartition { topic, partition };
            places.push((at, log.watermarks(at).await?.low));
        }
        let mut reader = log.reader(&places).await?;
        loop {
            let polled = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                polled = reader.poll(POLL) => polled,
            };
            match polled {
                Ok(Polled::Records(records)) => {
                    for value in records.iter().filter_map(|r| r.value.as_ref()) {
                        match codec.decode::<NetworkStatus>(value) {
                            Ok(status) => self.put(status),
                            Err(error) => tracing::warn!(%error, topic, "a record was passed by"),
                        }
                    }
                }
                Ok(Polled::OutOfRange { at, oldest, .. }) => reader.seek(at, oldest).await?,
                Ok(Polled::Assigned(_) | Polled::Revoked(_)) => {}
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, topic, "the log does not answer; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

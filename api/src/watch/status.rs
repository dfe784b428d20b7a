//! `ingest.status` and `enrich.status`, read into memory: what each network's watcher, and enrich, last said of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use runtime::log::{Log, LogError, PollLimits, Polled, Record, TopicPartition};
use schemas::{
    Network,
    codec::Codec,
    records::{EnrichState, EnrichStatus, NetworkStatus},
    topics,
};
use tokio_util::sync::CancellationToken;

/// How much one poll brings.
const POLL: PollLimits = PollLimits { records: 1_000, bytes: 1 << 20, wait: Duration::from_secs(1) };

/// The newest status of each network.
#[derive(Default)]
pub struct Statuses(Mutex<HashMap<Network, NetworkStatus>>, Mutex<HashMap<Network, EnrichStatus>>);

impl Statuses {
    /// Of one network; `None` while its watcher was never heard.
    pub fn of(&self, network: &Network) -> Option<NetworkStatus> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).get(network).cloned()
    }

    /// Why enrich halted a network; `None` while it passes its events on.
    pub fn halt_of(&self, network: &Network) -> Option<EnrichStatus> {
        let all = self.1.lock().unwrap_or_else(|e| e.into_inner());
        all.get(network).filter(|status| status.state != EnrichState::Running).cloned()
    }

    /// All networks ever heard of.
    pub fn networks(&self) -> Vec<Network> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).keys().cloned().collect()
    }

    fn put(&self, status: NetworkStatus) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).insert(status.network.clone(), status);
    }

    fn take(&self, codec: &Codec, record: &Record) {
        let Some(value) = &record.value else { return };
        let topic = record.from.topic;
        let taken = match topic == topics::ENRICH_STATUS.name {
            true => codec.decode::<EnrichStatus>(value).map(|status| {
                self.1.lock().unwrap_or_else(|e| e.into_inner()).insert(status.network.clone(), status);
            }),
            false => codec.decode::<NetworkStatus>(value).map(|status| self.put(status)),
        };
        if let Err(error) = taken {
            tracing::warn!(%error, topic, "a record was passed by");
        }
    }

    /// Follows the topics until the service stops. What cannot be decoded is counted and passed by.
    pub async fn follow(
        self: Arc<Self>,
        log: Arc<dyn Log>,
        codec: Arc<Codec>,
        shutdown: CancellationToken,
    ) -> Result<(), LogError> {
        let mut places = Vec::new();
        for topic in [topics::INGEST_STATUS.name, topics::ENRICH_STATUS.name] {
            for partition in 0..log.partitions(topic).await? {
                let at = TopicPartition { topic, partition };
                places.push((at, log.watermarks(at).await?.low));
            }
        }
        let mut reader = log.reader(&places).await?;
        loop {
            let polled = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                polled = reader.poll(POLL) => polled,
            };
            match polled {
                Ok(Polled::Records(records)) => records.iter().for_each(|record| self.take(&codec, record)),
                Ok(Polled::OutOfRange { at, oldest, .. }) => reader.seek(at, oldest).await?,
                Ok(Polled::Assigned(_) | Polled::Revoked(_)) => {}
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "the log does not answer; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

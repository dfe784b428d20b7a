//! What the fleets see of their endpoints, to `providers.samples`; and back from there what is to be taken over (rule 23).
//!
//! ```text
//! fleets ──queue (limits::SAMPLES_QUEUE; what finds no place is dropped and counted by the fleet)──▶ writer ──▶ providers.samples
//! providers.samples ──▶ listener ──▶ fleets: lies, from before the start and from other observers
//! ```
//!
//! Guarantee: no block and no call of a node ever waits for it. The writer has a producer of its own, gathers what comes within
//! [`GATHER`], and drops, counted, what the log does not take: states are repeated with the next probe. Nothing of it ends the stage.
//! After a start the last state of each endpoint by each observer is heard once, so that a quarantine for a lie outlives a restart;
//! from then on those of other observers are heard as they come.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use nodes::fleet::Fleet;
use runtime::log::{
    self, Log, LogError, LogErrorKind, NewRecord, PollLimits, Polled, Producer, Record, TopicPartition, Transaction,
};
use schemas::{
    Network, Record as _, TimeMs,
    codec::Codec,
    limits,
    records::{ProviderSample, Seen, stage_status::stage},
    topics,
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::metrics;

/// Whose endpoints are seen: the fleet of a network.
pub trait Observed: Send + Sync {
    /// Where its samples go from now on. What finds no place there is dropped.
    fn samples_to(&self, to: mpsc::Sender<ProviderSample>);
    /// A state that an observer holds of one of its endpoints. States of one observer come in order.
    fn hear(&self, sample: &ProviderSample);
}

impl<C: Clone + Send + Sync + 'static> Observed for Fleet<C> {
    fn samples_to(&self, to: mpsc::Sender<ProviderSample>) {
        Self::samples_to(self, to);
    }
    fn hear(&self, sample: &ProviderSample) {
        Self::hear(self, sample);
    }
}

/// How long samples are gathered before they are written together.
const GATHER: Duration = Duration::from_secs(1);
/// How long one attempt to write may take. What it was to write is lost then.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// Pause after the log did not take samples, or could not be read.
const PAUSE: Duration = Duration::from_secs(2);
/// How much one poll brings.
const POLL: PollLimits = PollLimits { records: 1_000, bytes: 1 << 20, wait: Duration::from_secs(1) };

const TOPIC: &str = topics::PROVIDERS_SAMPLES.name;

/// Samples between the fleets and the log, for one process.
struct Samples {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    /// Name of this process to the log.
    instance: String,
    /// Where each network lives.
    partitions: HashMap<Network, u32>,
    fleets: HashMap<Network, Arc<dyn Observed>>,
}

/// Whose word of which endpoint.
type Key = (Network, String, String);

/// Writes and listens for these fleets until the handle is dropped; `partitions` says where each network lives.
pub fn start(
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    instance: &str,
    partitions: &HashMap<Network, u32>,
    fleets: impl IntoIterator<Item = (Network, Arc<dyn Observed>)>,
) -> AbortOnDropHandle<()> {
    let (to, samples) = mpsc::channel(limits::SAMPLES_QUEUE);
    let place =
        |(network, fleet): (Network, Arc<dyn Observed>)| Some((partitions.get(&network).copied()?, network, fleet));
    let (mut places, mut all) = (HashMap::new(), HashMap::<Network, Arc<dyn Observed>>::new());
    for (partition, network, fleet) in fleets.into_iter().filter_map(place) {
        fleet.samples_to(to.clone());
        places.insert(network.clone(), partition);
        all.insert(network, fleet);
    }
    let samples_of = Samples { log, codec, instance: instance.to_owned(), partitions: places, fleets: all };
    AbortOnDropHandle::new(tokio::spawn(samples_of.run(samples)))
}

impl Samples {
    async fn run(self, samples: mpsc::Receiver<ProviderSample>) {
        if !self.fleets.is_empty() {
            tokio::join!(self.write(samples), self.listen());
        }
    }

    /// Writes what comes, until nobody has anything to say any more.
    async fn write(&self, mut samples: mpsc::Receiver<ProviderSample>) {
        let mut producer = None;
        let mut batch = Vec::new();
        while samples.recv_many(&mut batch, limits::SAMPLES_BATCH).await > 0 {
            if batch.len() < limits::SAMPLES_BATCH {
                sleep(GATHER).await;
                while batch.len() < limits::SAMPLES_BATCH {
                    match samples.try_recv() {
                        Ok(sample) => batch.push(sample),
                        Err(_) => break,
                    }
                }
            }
            let records = self.records(&batch);
            let written = timeout(WRITE_DEADLINE, self.commit(&mut producer, records)).await;
            match written {
                Ok(Ok(())) => metrics::samples(batch.len()),
                failed => {
                    producer = None;
                    metrics::samples_lost(&batch);
                    match failed {
                        Ok(Err(error)) if error.kind == LogErrorKind::Denied => {
                            tracing::warn!(%error, "samples of endpoints may not be written");
                        }
                        Ok(Err(error)) => tracing::debug!(%error, "the log did not take samples of endpoints"),
                        _ => tracing::debug!("the log did not take samples of endpoints in time"),
                    }
                    sleep(PAUSE).await;
                }
            }
            batch.clear();
        }
    }

    /// Those of networks that have a place in the log.
    fn records(&self, batch: &[ProviderSample]) -> Vec<NewRecord> {
        let record = |sample: &ProviderSample| {
            let partition = *self.partitions.get(&sample.network)?;
            let value = self.codec.encode(sample).ok()?;
            let to = TopicPartition { topic: TOPIC, partition };
            Some(NewRecord { to, key: Some(sample.key().into()), value: Some(value), headers: Vec::new() })
        };
        batch.iter().filter_map(record).collect()
    }

    async fn commit(&self, producer: &mut Option<Box<dyn Producer>>, records: Vec<NewRecord>) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        let producer = match producer {
            Some(producer) => producer,
            none => none.insert(self.log.producer(&format!("samples.ingest.{}", self.instance)).await?),
        };
        producer.commit(Transaction { records, offsets: None }).await
    }

    /// Hears the last states once, and then those of others, for ever.
    async fn listen(&self) {
        let observer = ProviderSample::observer_of(stage::INGEST, &self.instance);
        // What was heard already is not heard again when the log has to be asked anew.
        let mut heard = HashMap::new();
        loop {
            match self.read(&observer, &mut heard).await {
                Ok(never) => match never {},
                Err(error) => tracing::debug!(%error, "samples of other observers cannot be read; trying again"),
            }
            sleep(PAUSE).await;
        }
    }

    async fn read(&self, observer: &str, heard: &mut HashMap<Key, TimeMs>) -> Result<Infallible, LogError> {
        let count = self.log.partitions(TOPIC).await?;
        let ours: BTreeSet<u32> = self.partitions.values().copied().filter(|n| *n < count).collect();
        let ours: Vec<_> = ours.into_iter().map(|partition| TopicPartition { topic: TOPIC, partition }).collect();
        let (places, mut ends) = log::last(&*self.log, &ours, limits::SAMPLES_READ_BACK).await?;
        let mut reader = self.log.reader(&places).await?;
        // Of what was there before, only the last word of each counts: it is heard when all of it has been read.
        let mut before: HashMap<Key, ProviderSample> = HashMap::new();
        loop {
            let records = match reader.poll(POLL).await? {
                Polled::Records(records) => records,
                Polled::OutOfRange { at, oldest, .. } => {
                    reader.seek(at, oldest).await?;
                    continue;
                }
                Polled::Assigned(_) | Polled::Revoked(_) => continue,
            };
            for record in records {
                let Some((key, sample)) = self.state(&record) else { continue };
                if heard.get(&key).is_some_and(|last| *last >= sample.at) {
                    continue;
                }
                if ends.get(&record.from).is_some_and(|end| record.offset < *end) {
                    before.insert(key, sample);
                } else if sample.observer != observer {
                    before.remove(&key);
                    self.hear(heard, key, &sample);
                }
            }
            ends.retain(|at, end| reader.reached(*at) < *end);
            if ends.is_empty() {
                before.drain().for_each(|(key, sample)| self.hear(heard, key, &sample));
            }
        }
    }

    /// A state of an endpoint of ours. What cannot be read is another program's, or of a newer version.
    fn state(&self, record: &Record) -> Option<(Key, ProviderSample)> {
        let sample: ProviderSample = self.codec.decode(record.value.as_ref()?).ok()?;
        let key = (sample.network.clone(), sample.endpoint.clone(), sample.observer.clone());
        (matches!(sample.seen, Seen::State(_)) && self.fleets.contains_key(&sample.network)).then_some((key, sample))
    }

    /// Tells the endpoint's fleet. That it was told is remembered of a bounded number of observers and endpoints.
    fn hear(&self, heard: &mut HashMap<Key, TimeMs>, key: Key, sample: &ProviderSample) {
        if let Some(fleet) = self.fleets.get(&sample.network) {
            fleet.hear(sample);
        }
        if heard.len() < limits::PROVIDER_STATES || heard.contains_key(&key) {
            heard.insert(key, sample.at);
        }
    }
}

#[cfg(test)]
mod tests;

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
//! from then on those of other observers are heard as they come. The last word on an endpoint that was taken out is never heard.

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
    sync::{mpsc, watch},
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
    /// It says of all its endpoints that they are gone, and nothing any more.
    fn leave(&self);
}

impl<C: Clone + Send + Sync + 'static> Observed for Fleet<C> {
    fn samples_to(&self, to: mpsc::Sender<ProviderSample>) {
        Self::samples_to(self, to);
    }
    fn hear(&self, sample: &ProviderSample) {
        Self::hear(self, sample);
    }
    fn leave(&self) {
        Self::leave(self, None);
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
    places: watch::Receiver<Arc<Places>>,
}

/// Whose endpoints are told of, and where.
#[derive(Clone, Default)]
pub struct Places {
    /// Where networks live, those that have left too: their last samples are still to be written.
    pub partitions: HashMap<Network, u32>,
    /// The fleets of the others.
    pub fleets: HashMap<Network, Arc<dyn Observed>>,
}

/// Whose word of which endpoint.
type Key = (Network, String, String);

/// Writes and listens for the fleets that there are, as they come and go, until the handle is dropped.
pub fn start(
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    instance: &str,
    places: watch::Receiver<Arc<Places>>,
) -> AbortOnDropHandle<()> {
    let (to, samples) = mpsc::channel(limits::SAMPLES_QUEUE);
    let fleets = places.borrow().fleets.clone();
    fleets.values().for_each(|fleet| fleet.samples_to(to.clone()));
    let samples_of = Samples { log, codec, instance: instance.to_owned(), places };
    AbortOnDropHandle::new(tokio::spawn(samples_of.run(samples, to)))
}

impl Samples {
    async fn run(self, samples: mpsc::Receiver<ProviderSample>, to: mpsc::Sender<ProviderSample>) {
        tokio::join!(self.write(samples), self.listen(to));
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
        let places = self.places.borrow().clone();
        let record = |sample: &ProviderSample| {
            let partition = places.partitions.get(&sample.network).copied()?;
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
    async fn listen(&self, to: mpsc::Sender<ProviderSample>) {
        let mut changes = self.places.clone();
        let observer = ProviderSample::observer_of(stage::INGEST, &self.instance);
        // What was heard already is not heard again when the log has to be asked anew.
        let mut heard = HashMap::new();
        loop {
            let places = changes.borrow_and_update().clone();
            tokio::select! {
                // A fleet that is told so twice sends there all the same.
                Ok(()) = changes.changed() => {
                    let fleets = changes.borrow().fleets.clone();
                    fleets.values().for_each(|fleet| fleet.samples_to(to.clone()));
                    continue;
                }
                failed = self.read(&places, &observer, &mut heard) => match failed {
                    Ok(never) => match never {},
                    Err(error) => tracing::debug!(%error, "samples of other observers cannot be read; trying again"),
                },
            }
            sleep(PAUSE).await;
        }
    }

    async fn read(
        &self,
        places: &Places,
        observer: &str,
        heard: &mut HashMap<Key, TimeMs>,
    ) -> Result<Infallible, LogError> {
        let count = self.log.partitions(TOPIC).await?;
        let of_fleets = places.fleets.keys().filter_map(|network| places.partitions.get(network).copied());
        let ours: BTreeSet<u32> = of_fleets.filter(|n| *n < count).collect();
        if ours.is_empty() {
            // Nobody is there to be told.
            std::future::pending::<()>().await;
        }
        let ours: Vec<_> = ours.into_iter().map(|partition| TopicPartition { topic: TOPIC, partition }).collect();
        let (from, mut ends) = log::last(&*self.log, &ours, limits::SAMPLES_READ_BACK).await?;
        let mut reader = self.log.reader(&from).await?;
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
                let Some((key, sample)) = self.state(places, &record) else { continue };
                if heard.get(&key).is_some_and(|last| *last >= sample.at) {
                    continue;
                }
                if ends.get(&record.from).is_some_and(|end| record.offset < *end) {
                    before.insert(key, sample);
                } else if sample.observer != observer {
                    before.remove(&key);
                    Self::hear(places, heard, key, &sample);
                }
            }
            ends.retain(|at, end| reader.reached(*at) < *end);
            if ends.is_empty() {
                before.drain().for_each(|(key, sample)| Self::hear(places, heard, key, &sample));
            }
        }
    }

    /// A state of an endpoint of ours. What cannot be read is another program's, or of a newer version.
    fn state(&self, places: &Places, record: &Record) -> Option<(Key, ProviderSample)> {
        let sample: ProviderSample = self.codec.decode(record.value.as_ref()?).ok()?;
        let key = (sample.network.clone(), sample.endpoint.clone(), sample.observer.clone());
        (matches!(sample.seen, Seen::State(_)) && places.fleets.contains_key(&sample.network)).then_some((key, sample))
    }

    /// Tells the endpoint's fleet. That it was told is remembered of a bounded number of observers and endpoints.
    fn hear(places: &Places, heard: &mut HashMap<Key, TimeMs>, key: Key, sample: &ProviderSample) {
        if let Some(fleet) = places.fleets.get(&sample.network) {
            fleet.hear(sample);
        }
        if heard.len() < limits::PROVIDER_STATES || heard.contains_key(&key) {
            heard.insert(key, sample.at);
        }
    }
}

#[cfg(test)]
mod tests;

//! The transactional producer.
//!
//! Guarantee: a commit that fails is either known to have written nothing (it was aborted, or never begun), or is
//! [`LogErrorKind::Indefinite`], after which this producer refuses to go on: `init_transactions` of the next one decides. That is
//! called only where a producer is made, by one who reads the state afterwards: never in the life of one, which may have been
//! fenced without knowing it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use rdkafka::{
    consumer::ConsumerGroupMetadata,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use schemas::limits::RECORD_VALUE_BYTES;

use super::{
    CALL,
    cluster::{Cluster, Fit, Known},
    config::{FRAMING, KafkaConfig, partition_list, value_limit},
    error::{self, Need},
    heard::Heard,
    threads::Threads,
};
use crate::log::{LogError, LogErrorKind, NewRecord, Offsets, Producer, Topic, Transaction};

/// Bytes of records that the client puts together, where the topics take as much: more than most commits have for a partition.
const BATCH_BYTES: usize = RECORD_VALUE_BYTES;

/// How long the first try of a commit may take, so for how long the broker keeps an orphaned transaction of ours open and readers
/// wait for it.
const COMMIT: Duration = Duration::from_secs(10);
/// What goes through in that time on the slowest way that is planned for, bytes. A commit of more that was not done in time is given
/// more the next time, and may hold readers up for as long.
const COMMIT_BYTES: usize = 4 << 20;
/// Bytes a second on that way.
const SLOWEST: usize = 512 << 10;

/// How long a commit of so many bytes may take on the slowest way.
fn patience(bytes: usize) -> Duration {
    COMMIT + Duration::from_secs((bytes.saturating_sub(COMMIT_BYTES) / SLOWEST) as u64)
}

/// What to do about a partition that is not there.
const NO_PARTITION: &str =
    "; `headwater topics diff` tells which topics have fewer, `headwater topics apply` raises them";

/// What a [`crate::log::GroupMetadata`] of this log holds.
pub struct Membership {
    /// The group on the wire.
    pub group: String,
    /// Of the present generation.
    pub metadata: Option<ConsumerGroupMetadata>,
}

type Client = BaseProducer<Heard>;

/// A producer.
pub struct KafkaProducer {
    cluster: Arc<Cluster>,
    id: String,
    /// Gone only when this is.
    client: Option<Arc<Client>>,
    /// A thread of its own: no commit waits for another's.
    thread: Option<Threads>,
    topics: HashMap<Topic, Arc<Known>>,
    /// What is known of a topic must not be from before.
    known_since: Instant,
    fit: Fit,
    over: Option<LogError>,
}

impl KafkaProducer {
    /// Fences the former holder of the id and aborts what it left open.
    pub async fn new(cluster: Arc<Cluster>, id: &str) -> Result<Self, LogError> {
        let id = cluster.config.on_wire(id);
        let fit = cluster.fit(&id).unwrap_or(Fit { batch_bytes: BATCH_BYTES, patience: COMMIT });
        let thread = Threads::new(&cluster.watch, &id, 1, 8);
        let (batch_bytes, timeout) = (fit.batch_bytes.to_string(), fit.patience.as_millis().to_string());
        let client_config = cluster.config.client(&[
            ("transactional.id", &id),
            ("batch.size", &batch_bytes),
            ("transaction.timeout.ms", &timeout),
            ("compression.type", "lz4"),
            // Records leave at a commit, all at once. While a request of a partition is under way, librdkafka lets its thread
            // spin on whatever else waits for that partition longer than this.
            ("linger.ms", "1000"),
            // A commit fails when any record was not delivered; nobody asks for each.
            ("delivery.report.only.error", "true"),
            ("queue.buffering.max.kbytes", "262144"),
        ]);
        let (asked, needs) = (cluster.config.clone(), [Need::transactional_id(&id)]);
        let made = thread.call(3 * CALL, "making a producer", move || {
            let client: Client = client_config
                .create_with_context(Heard::default())
                .map_err(|e| error::log_error("make a producer", &e))?;
            client
                .init_transactions(CALL)
                .map_err(|e| error::refusable(&asked, "take over the transactional id", &e, &needs))?;
            Ok(Arc::new(client))
        });
        let (client, known_since) = (Some(made.await?), cluster.lately());
        Ok(Self { cluster, id, client, thread: Some(thread), topics: HashMap::new(), known_since, fit, over: None })
    }

    /// A broker refuses a batch that is over the topic's limit, whatever the records in it: where a topic takes less than this
    /// client's batches, the next producer makes smaller ones.
    fn fits(&self) -> Result<(), LogError> {
        let least = self.topics.values().map(|t| t.max_message_bytes().saturating_sub(FRAMING).max(1)).min();
        let Some(batch_bytes) = least.filter(|least| *least < self.fit.batch_bytes) else { return Ok(()) };
        self.cluster.remember_fit(&self.id, Fit { batch_bytes, ..self.fit });
        let message = format!("a topic takes batches of {batch_bytes} bytes only: the producer is made anew for them");
        Err(LogError::new(LogErrorKind::Aborted, message))
    }

    /// After a commit of so many bytes: whether the next producer has to be given more time.
    fn learn(&self, bytes: usize, took: Duration, result: &Result<(), LogError>) {
        use LogErrorKind::{Aborted, Indefinite, Unavailable};
        let wanted = match result {
            Ok(()) if took < COMMIT => COMMIT,
            Err(e) if matches!(e.kind, Aborted | Indefinite | Unavailable) => patience(bytes).max(self.fit.patience),
            _ => return,
        };
        if wanted != self.cluster.fit(&self.id).map_or(COMMIT, |fit| fit.patience) {
            self.cluster.remember_fit(&self.id, Fit { patience: wanted, ..self.fit });
        }
    }

    async fn known(&mut self, topic: Topic, partition: u32) -> Result<Arc<Known>, LogError> {
        if let Some(known) = self.topics.get(topic).filter(|known| partition < known.partitions) {
            return Ok(known.clone());
        }
        if self.topics.contains_key(topic) {
            self.known_since = Instant::now(); // partitions may have been added
        }
        let mut known = self.cluster.known(topic, "Write", self.known_since).await?;
        if partition >= known.partitions {
            known = self.cluster.known(topic, "Write", Instant::now()).await?;
        }
        self.topics.insert(topic, known.clone());
        Ok(known)
    }

    /// Kafka itself would take a tombstone on any topic, and would tell of a missing partition only in the middle.
    async fn check(&mut self, records: &[NewRecord]) -> Result<(), LogError> {
        let invalid = |m: String| Err(LogError::new(LogErrorKind::Invalid, m));
        for r in records {
            let known = self.known(r.to.topic, r.to.partition).await?;
            let value = r.value.as_ref().map_or(0, |v| v.len());
            let limit = value_limit(known.max_message_bytes());
            if value > limit {
                let message = format!(
                    "a record of {value} bytes for {} [{}]; the limit is {limit}, from the topic's max.message.bytes of {}",
                    r.to.topic,
                    r.to.partition,
                    known.max_message_bytes()
                );
                return Err(LogError::new(LogErrorKind::TooLarge, message));
            }
            if r.to.partition >= known.partitions {
                // Counts may be being raised topic by topic: it may still come.
                let (topic, count, wanted) = (r.to.topic, known.partitions, r.to.partition);
                let message = format!("topic {topic} has {count} partitions, no number {wanted}{NO_PARTITION}");
                return Err(LogError::new(LogErrorKind::NoTopic, message));
            }
            if known.is_compacted() && r.key.is_none() {
                return invalid(format!("a record without key, which compaction needs, on topic {}", r.to.topic));
            }
            if !known.is_compacted() && r.value.is_none() {
                return invalid(format!("a tombstone, which only compacted topics take, on topic {}", r.to.topic));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Producer for KafkaProducer {
    async fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        if let Some(e) = &self.over {
            return Err(e.clone());
        }
        if let Err(e) = self.check(&transaction.records).await {
            self.doubt(&e); // an operator may put it right
            return Err(e);
        }
        if let Err(e) = self.fits() {
            self.over = Some(e.clone());
            return Err(e);
        }
        if transaction.records.is_empty() && transaction.offsets.is_none() {
            return Ok(());
        }
        let (Some(client), Some(thread)) = (self.client.clone(), &self.thread) else { return Ok(()) };
        let (config, id, time) = (self.cluster.config.clone(), self.id.clone(), self.fit.patience);
        let bytes = transaction.records.iter().map(|r| r.value.as_ref().map_or(0, Bytes::len)).sum();
        self.over =
            Some(LogError::new(LogErrorKind::Indefinite, format!("a commit of {} was given up while it ran", self.id)));
        let started = Instant::now();
        let result = thread.call(time, "a commit", move || run(&client, &config, &id, time, transaction)).await;
        self.learn(bytes, started.elapsed(), &result);
        self.over = result.as_ref().err().filter(|e| !goes_on(e.kind)).cloned();
        if let Err(e) = &result {
            self.doubt(e);
        }
        result
    }
}

impl KafkaProducer {
    /// What was known of topics may be what has changed.
    fn doubt(&mut self, e: &LogError) {
        if matches!(e.kind, LogErrorKind::TooLarge) {
            self.topics.keys().for_each(|topic| self.cluster.forget(topic));
        }
        self.topics.clear();
        self.known_since = Instant::now();
    }
}

impl Drop for KafkaProducer {
    /// Its end takes librdkafka a while; nobody has to wait for it.
    fn drop(&mut self) {
        if let (Some(client), Some(thread)) = (self.client.take(), self.thread.take()) {
            thread.end(move || drop(client));
        }
    }
}

/// Whether a producer whose commit failed like this may try the next one: nothing is open, and nobody has taken over.
fn goes_on(kind: LogErrorKind) -> bool {
    matches!(kind, LogErrorKind::Aborted | LogErrorKind::Invalid | LogErrorKind::TooLarge | LogErrorKind::Full)
}

fn run(
    client: &Client,
    config: &KafkaConfig,
    id: &str,
    time: Duration,
    transaction: Transaction,
) -> Result<(), LogError> {
    let needs = needs(config, &transaction, id);
    client.begin_transaction().map_err(|e| error::refusable(config, "begin a transaction", &e, &needs))?;
    match fill(client, config, time, transaction) {
        Ok(()) => client.commit_transaction(time).map_err(|e| match &e {
            KafkaError::Transaction(inner) if inner.txn_requires_abort() => abort(client, config, &e, &needs),
            _ if error::class(&e) == LogErrorKind::Fenced => error::log_error("commit", &e),
            _ => {
                let advice = error::code(&e).map(|code| error::advice(config, code, &needs)).unwrap_or_default();
                LogError::new(LogErrorKind::Indefinite, format!("Kafka: no word on a commit: {e}{advice}"))
            }
        }),
        Err(e) => Err(abort(client, config, &e, &needs)),
    }
}

/// What it takes to write this.
fn needs(config: &KafkaConfig, transaction: &Transaction, id: &str) -> Vec<Need> {
    let topics: BTreeSet<String> = transaction.records.iter().map(|r| config.on_wire(r.to.topic)).collect();
    let group = transaction.offsets.as_ref().and_then(|(group, _)| group.0.downcast_ref::<Membership>());
    let mut needs = vec![Need::transactional_id(id), Need::topics("Write", topics)];
    needs.extend(group.map(|membership| Need::group("Read", &membership.group)));
    needs
}

/// Aborts after an error. What comes out says whether nothing was written.
fn abort(client: &Client, config: &KafkaConfig, cause: &KafkaError, needs: &[Need]) -> LogError {
    serve(client);
    // A refusal is told beside the calls: what a call says afterwards is only that the transaction is over.
    let refusal = client.context().take_refusal();
    let class = refusal.as_ref().map_or_else(|| error::class(cause), |(code, _)| error::class_of(*code));
    let message = match refusal {
        Some((code, words)) => {
            format!("Kafka: a transaction failed: {words}{}", error::advice(config, code, needs))
        }
        None => error::refusable(config, "carry a transaction out", cause, needs).message,
    };
    match client.abort_transaction(CALL) {
        Ok(()) if class == LogErrorKind::Unavailable => LogError::new(LogErrorKind::Aborted, message),
        Ok(()) => LogError::new(class, message),
        // Fenced: whoever fenced us has aborted it.
        Err(_) if class == LogErrorKind::Fenced => LogError::new(class, message),
        Err(e) if error::class(&e) == LogErrorKind::Fenced => LogError::new(LogErrorKind::Fenced, message),
        Err(e) => LogError::new(LogErrorKind::Indefinite, format!("{message}; and it could not be aborted: {e}")),
    }
}

fn fill(client: &Client, config: &KafkaConfig, time: Duration, transaction: Transaction) -> Result<(), KafkaError> {
    let deadline = Instant::now() + time;
    let mut names: HashMap<Topic, String> = HashMap::new();
    for r in &transaction.records {
        let name = names.entry(r.to.topic).or_insert_with(|| config.on_wire(r.to.topic));
        let headers = r.headers.iter().fold(OwnedHeaders::new_with_capacity(r.headers.len()), |list, (key, value)| {
            list.insert(Header { key, value: Some(value.as_ref()) })
        });
        let mut record = BaseRecord::<[u8], [u8]>::to(name).partition(r.to.partition as i32).headers(headers);
        if let Some(key) = &r.key {
            record = record.key(key);
        }
        if let Some(value) = &r.value {
            record = record.payload(value);
        }
        let mut asked = false;
        loop {
            match client.send(record) {
                Ok(()) => break,
                // Added since this client looked: everybody knows but it.
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::UnknownPartition), again)) if !asked => {
                    asked = true;
                    record = again;
                    client.client().fetch_metadata(Some(name), CALL)?;
                }
                // The client's queue is full: its own back-pressure.
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again))
                    if Instant::now() < deadline =>
                {
                    record = again;
                    deliver(client, deadline);
                }
                Err((e, _)) => return Err(e),
            }
        }
    }
    if let Some((group, offsets)) = transaction.offsets {
        send_offsets(client, config, &group, &offsets)?;
    }
    deliver(client, deadline);
    Ok(())
}

/// Sends what is queued and waits until the brokers have it, or refuse it; what is left at the deadline, the commit takes up.
///
/// rdkafka's own `flush` tells the client of it for a moment only, and then sleeps for 100 ms or spins.
fn deliver(client: &Client, deadline: Instant) {
    const SLICE_MS: i32 = 50;
    loop {
        // SAFETY: the pointer is the client's own, which outlives the call; any thread may call it.
        #[allow(unsafe_code)] // the only call that rdkafka does not offer
        let result = unsafe { rdkafka::bindings::rd_kafka_flush(client.client().native_ptr(), SLICE_MS) };
        let done = result == rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
        serve(client);
        if done || Instant::now() >= deadline {
            return;
        }
    }
}

/// Hears what the client has to say: refused records, and errors.
fn serve(client: &Client) {
    loop {
        let before = client.in_flight_count();
        client.poll(Duration::ZERO); // one event
        if client.in_flight_count() >= before {
            return;
        }
    }
}

fn send_offsets(
    client: &Client,
    config: &KafkaConfig,
    group: &crate::log::GroupMetadata,
    offsets: &Offsets,
) -> Result<(), KafkaError> {
    let membership = group.0.downcast_ref::<Membership>().and_then(|m| m.metadata.as_ref());
    let membership = membership.ok_or(KafkaError::Global(RDKafkaErrorCode::UnknownMemberId))?;
    let list = partition_list(config, offsets).map_err(|_| KafkaError::Global(RDKafkaErrorCode::InvalidArgument))?;
    client.send_offsets_to_transaction(&list, membership, CALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_is_given_more_time_and_no_room_ends_no_producer() {
        assert_eq!(patience(0), COMMIT);
        assert_eq!(patience(COMMIT_BYTES), COMMIT);
        assert_eq!(patience(24 << 20), COMMIT + Duration::from_secs(40));
        let most = patience(schemas::limits::TRANSACTION_BYTES_MAX);
        assert!(
            most < Duration::from_secs(900),
            "brokers allow no more by default (transaction.max.timeout.ms): {most:?}"
        );
        assert!(goes_on(LogErrorKind::Full) && goes_on(LogErrorKind::TooLarge) && !goes_on(LogErrorKind::Indefinite));
    }
}

//! The transactional producer.
//!
//! Guarantee: a commit that fails is either known to have written nothing (it was aborted, or never begun), or is
//! [`LogErrorKind::Indefinite`], after which this producer refuses to go on: `init_transactions` of the next one decides.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rdkafka::{
    consumer::ConsumerGroupMetadata,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use schemas::limits::RECORD_VALUE_BYTES;

use super::{
    CALL, COMMIT, FRAMING, KafkaConfig, blocking,
    error::{self, Need},
    heard::Heard,
    max_message_bytes, partition_list, partitions_of, value_limit, within,
};
use crate::log::{LogError, LogErrorKind, NewRecord, Offsets, Producer, Topic, Transaction};

/// How long the broker keeps an orphaned transaction of ours open, so for how long it may hold readers up.
const TRANSACTION_TIMEOUT_MS: &str = "10000";

/// Bytes of records that the client puts together, where the topics take as much: more than most commits have for a partition.
const BATCH_BYTES: usize = RECORD_VALUE_BYTES;

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
    config: Arc<KafkaConfig>,
    id: String,
    client: Arc<Client>,
    topics: HashMap<Topic, Known>,
    /// Bytes of records that the client puts together at most. A topic that takes less wants smaller batches.
    batch_bytes: usize,
    over: Option<LogError>,
}

/// What a commit has to know of a topic.
#[derive(Clone, Copy)]
struct Known {
    partitions: u32,
    compacted: bool,
    max_message_bytes: usize,
}

impl KafkaProducer {
    /// Fences the former holder of the id and aborts what it left open.
    pub async fn new(config: Arc<KafkaConfig>, id: &str) -> Result<Self, LogError> {
        let id = config.on_wire(id);
        let client = Self::client(&config, &id, BATCH_BYTES).await?;
        Ok(Self { config, id, client, topics: HashMap::new(), batch_bytes: BATCH_BYTES, over: None })
    }

    async fn client(config: &Arc<KafkaConfig>, id: &str, batch_bytes: usize) -> Result<Arc<Client>, LogError> {
        let batch_bytes = batch_bytes.to_string();
        let client_config = config.client(&[
            ("transactional.id", id),
            ("batch.size", &batch_bytes),
            ("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS),
            ("compression.type", "lz4"),
            // Records leave at a commit, all at once. While a request of a partition is under way, librdkafka lets its thread
            // spin on whatever else waits for that partition longer than this.
            ("linger.ms", "1000"),
            // A commit fails when any record was not delivered; nobody asks for each.
            ("delivery.report.only.error", "true"),
            ("queue.buffering.max.kbytes", "262144"),
        ]);
        let (asked, needs) = (config.clone(), [Need::transactional_id(id)]);
        blocking(move || {
            let client: Client = client_config
                .create_with_context(Heard::default())
                .map_err(|e| error::log_error("make a producer", &e))?;
            client
                .init_transactions(CALL)
                .map_err(|e| error::refusable(&asked, "take over the transactional id", &e, &needs))?;
            Ok(Arc::new(client))
        })
        .await
    }

    /// A broker refuses a batch that is over the topic's limit, whatever the records in it: where a topic takes less than the
    /// client's batches, the client is made anew with smaller ones. Nothing is open between two commits.
    async fn fit_batches(&mut self) -> Result<(), LogError> {
        let least = self.topics.values().map(|t| t.max_message_bytes.saturating_sub(FRAMING).max(1)).min();
        if let Some(least) = least.filter(|least| *least < self.batch_bytes) {
            self.client = Self::client(&self.config, &self.id, least).await?;
            self.batch_bytes = least;
        }
        Ok(())
    }

    /// Kafka itself would take a tombstone on any topic, and would tell of a missing partition only in the middle.
    async fn check(&mut self, records: &[NewRecord]) -> Result<(), LogError> {
        let invalid = |m: String| Err(LogError::new(LogErrorKind::Invalid, m));
        for r in records {
            let known = match self.topics.get(r.to.topic) {
                Some(known) => *known,
                None => {
                    let known = self.look_up(r.to.topic).await?;
                    self.topics.insert(r.to.topic, known);
                    known
                }
            };
            let value = r.value.as_ref().map_or(0, |v| v.len());
            let limit = value_limit(known.max_message_bytes);
            if value > limit {
                let message = format!(
                    "a record of {value} bytes for {} [{}]; the limit is {limit}, from the topic's max.message.bytes of {}",
                    r.to.topic, r.to.partition, known.max_message_bytes
                );
                return Err(LogError::new(LogErrorKind::TooLarge, message));
            }
            if r.to.partition >= known.partitions {
                return invalid(format!(
                    "topic {} has {} partitions, no number {}",
                    r.to.topic, known.partitions, r.to.partition
                ));
            }
            if known.compacted && r.key.is_none() {
                return invalid(format!("a record without key, which compaction needs, on topic {}", r.to.topic));
            }
            if !known.compacted && r.value.is_none() {
                return invalid(format!("a tombstone, which only compacted topics take, on topic {}", r.to.topic));
            }
        }
        Ok(())
    }

    async fn look_up(&self, topic: Topic) -> Result<Known, LogError> {
        use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
        let name = self.config.on_wire(topic);
        let (config, client, wanted) = (self.config.clone(), self.client.clone(), name.clone());
        let partitions = blocking(move || partitions_of(&config, client.client(), &wanted, "Write")).await?;
        let Some(partitions) = partitions else { return Err(error::no_topic(&name)) };
        let failed = |e: &KafkaError| {
            error::refusable(&self.config, "read a topic's policy", e, &[Need::topic("DescribeConfigs", &name)])
        };
        let admin: AdminClient<Heard> =
            self.config.client(&[]).create_with_context(Heard::default()).map_err(|e| failed(&e))?;
        let options = AdminOptions::new().request_timeout(Some(CALL));
        let described =
            admin.describe_configs([&ResourceSpecifier::Topic(&name)], &options).await.map_err(|e| failed(&e))?;
        let resources: Vec<_> = described.into_iter().flatten().collect();
        if resources.iter().all(|r| r.entries.is_empty()) {
            return Err(failed(&KafkaError::AdminOp(RDKafkaErrorCode::TopicAuthorizationFailed))); // see `KafkaLog::find`
        }
        let property = |name: &str| resources.iter().find_map(|c| c.get(name)?.value.as_deref());
        let compacted = property("cleanup.policy").is_some_and(|v| v.contains("compact"));
        let most = property("max.message.bytes").and_then(|v| v.parse().ok()).unwrap_or_else(max_message_bytes);
        Ok(Known { partitions, compacted, max_message_bytes: most })
    }
}

#[async_trait]
impl Producer for KafkaProducer {
    async fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        if let Some(e) = &self.over {
            return Err(e.clone());
        }
        if let Err(e) = self.check(&transaction.records).await {
            self.topics.clear(); // an operator may put it right
            return Err(e);
        }
        self.fit_batches().await?;
        if transaction.records.is_empty() && transaction.offsets.is_none() {
            return Ok(());
        }
        let (client, config, id) = (self.client.clone(), self.config.clone(), self.id.clone());
        self.over =
            Some(LogError::new(LogErrorKind::Indefinite, format!("a commit of {} was given up while it ran", self.id)));
        let result = within(COMMIT, "a commit", move || run(&client, &config, &id, transaction)).await;
        self.over = match &result {
            Err(e) if !matches!(e.kind, LogErrorKind::Aborted | LogErrorKind::Invalid | LogErrorKind::TooLarge) => {
                Some(e.clone())
            }
            _ => None,
        };
        if result.is_err() {
            self.topics.clear(); // what was known of them may be what has changed
        }
        result
    }
}

fn run(client: &Client, config: &KafkaConfig, id: &str, transaction: Transaction) -> Result<(), LogError> {
    let needs = needs(config, &transaction, id);
    client.begin_transaction().map_err(|e| error::refusable(config, "begin a transaction", &e, &needs))?;
    match fill(client, config, transaction) {
        Ok(()) => client.commit_transaction(COMMIT).map_err(|e| match &e {
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

fn fill(client: &Client, config: &KafkaConfig, transaction: Transaction) -> Result<(), KafkaError> {
    let deadline = Instant::now() + CALL;
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
        loop {
            match client.send(record) {
                Ok(()) => break,
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

//! Values on the wire: Avro in the Confluent format (a zero byte, the schema's id in four bytes, big-endian, the datum).
//!
//! Guarantee: what `encode` writes, `decode` and every stock Avro reader with the topic's `.avsc` read back as it was; what a
//! released version wrote is read by field name; bytes that are cut, longer than the datum, or of an unknown schema are
//! errors, and no bytes make it panic (`tests/codec.rs`, `tests/compatibility.rs`).
//!
//! The datum is written and read by code of our own (`wire/`), not through apache-avro's serde path. Both avoid the generic
//! value, but in the measurement that decided it (one 1.4 kB record, one thread) the serde path took 1.45 µs to write and
//! 1.59 µs to read, hand-written code 0.10 and 0.56; ours also puts hashes and amounts into the buffer as text without a string
//! in between, and checks lengths exactly. What it takes on recorded transactions (2.8 kB with three logs, text conversion
//! included): about 1.2 µs to write and 3 µs to read (`cargo run --release -p enrich --example cost`). apache-avro parses the
//! schemas, checks their compatibility, and is the generic reader behind [`Codec::decode_json`].

use std::collections::HashMap;

use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Value};
use bytes::Bytes;

use crate::{
    envelope::ChildEnvelope,
    headers::{self, ChainHeaders},
    limits,
    primitives::Op,
    records::{
        AlertCommand, AlertDelivery, AlertEvent, AlertMatch, AlertOutbox, AlertRing, AlertState, CheckpointRecord,
        ContractFacts, ControlConfig, ControlTenant, DeadLetter, EnrichStatus, EnrichedBlock, EnrichedCause,
        EnrichedEvent, EnrichedTransaction, NetworkStatus, OperatorContract, Payload, ProviderSample, RawBlock,
        RawTransaction, Request, Seen, StageStatus, WatchedAddress, Window, dead_letter::reason,
    },
    registry::{
        ENRICHED_BLOCKS_EVM, ENRICHED_TRANSACTIONS_EVM, RAW_BLOCKS_EVM, RAW_TRANSACTIONS_EVM, SCHEMAS, STILL_WRITTEN,
        SchemaVersion,
    },
    topics::{self, TopicSpec},
    wire::{Datum, Malformed, Row, enriched_transactions, input::Input, plan::Plan, same},
};

/// First byte of a value in the Confluent wire format.
pub(crate) const MAGIC: u8 = 0;
/// Magic byte and schema id.
pub(crate) const PREFIX_BYTES: usize = 5;

/// A record of one topic.
pub trait Record: Row {
    /// The topic it belongs to.
    const TOPIC: TopicSpec;
    /// Its key, UTF-8.
    fn key(&self) -> String;
    /// Its record headers (rule 3): what lets it be counted when its value cannot be decoded. Empty where nothing is counted.
    fn headers(&self) -> Vec<(&'static str, Bytes)>;
    /// The version of the schema that it is written with, one of [`STILL_WRITTEN`]; `None` is the newest.
    fn version(&self) -> Option<u32> {
        None
    }
}

/// Why a codec cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A schema that is not Avro, or that does not fit this version's records.
    #[error("schema version {version} of {topic} does not fit: {problem}")]
    Schema {
        /// Its topic.
        topic: &'static str,
        /// Its version.
        version: u32,
        /// What does not fit.
        problem: String,
    },
    /// An id given to two schemas.
    #[error("the registry gives id {0} to two schemas")]
    DuplicateId(u32),
    /// A topic or version that this program does not know.
    #[error("the registry knows version {version} of {topic}, this program does not")]
    UnknownVersion {
        /// The topic, without prefix.
        topic: String,
        /// The version.
        version: u32,
    },
    /// No id for the version that would be written.
    #[error("the registry has no id for version {version} of {topic}: register it there first")]
    Unregistered {
        /// The topic, without prefix.
        topic: &'static str,
        /// Version that this program writes.
        version: u32,
    },
}

/// Why a record cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Over the limit of the log. The caller writes a placeholder and a dead letter (rule 13).
    #[error("the record for {topic} takes {bytes} bytes, over the limit of {limit}")]
    TooLarge {
        /// Where it was to go.
        topic: &'static str,
        /// Its size, bytes.
        bytes: usize,
        /// What the topic takes, at most [`limits::RECORD_VALUE_BYTES`].
        limit: usize,
    },
}

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Less than five bytes, or another first byte than zero.
    #[error("the value is not in the Confluent wire format (a zero byte and a schema id)")]
    NotConfluent,
    /// An id that this codec's registry does not have.
    #[error("the value names schema id {id}, which the registry does not have")]
    UnknownSchema {
        /// The id.
        id: u32,
    },
    /// A record of another topic.
    #[error("the value names schema id {id} of {found}, a record of {wanted} was expected")]
    WrongTopic {
        /// The id.
        id: u32,
        /// Topic of the schema.
        found: &'static str,
        /// Topic of the record asked for.
        wanted: &'static str,
    },
    /// A field that cannot be read.
    #[error("the {topic} value is malformed: {malformed}")]
    Malformed {
        /// The topic.
        topic: &'static str,
        /// Which field and why.
        malformed: Malformed,
    },
    /// More bytes than the record has.
    #[error("the {topic} value has {bytes} bytes after its end")]
    Trailing {
        /// The topic.
        topic: &'static str,
        /// How many are too many.
        bytes: usize,
    },
    /// The generic reader refused it ([`Codec::decode_json`] only).
    #[error("the {topic} value cannot be shown: {problem}")]
    Generic {
        /// The topic.
        topic: &'static str,
        /// What the reader says.
        problem: String,
    },
}

impl DecodeError {
    /// The reason of the dead letter that this becomes (rule 13).
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::UnknownSchema { .. } => reason::UNKNOWN_SCHEMA,
            _ => reason::UNDECODABLE,
        }
    }
}

struct Registered {
    topic: &'static str,
    schema: Schema,
    plan: Plan,
}

/// Writes and reads records under one registry's ids. Made once at start-up, shared by reference.
pub struct Codec {
    by_id: HashMap<u32, Registered>,
    /// Ids that are written, in the order of [`topics::KNOWN`].
    written: [u32; topics::KNOWN.len()],
    /// In the order of [`STILL_WRITTEN`].
    still_written: [u32; STILL_WRITTEN.len()],
}

impl Codec {
    /// With the ids of the built-in registry.
    ///
    /// # Panics
    ///
    /// Never: that the built-in schemas fit the records is a test.
    pub fn builtin() -> Self {
        match Self::with_ids(SCHEMAS.iter().map(|s| (s.topic.name, s.version, s.id))) {
            Ok(codec) => codec,
            Err(error) => unreachable!("the built-in schemas fit the records: {error}"),
        }
    }

    /// With another registry's ids: topic without prefix, version of *this program's* schema (see [`SCHEMAS`]), id there.
    pub fn with_ids<'a>(ids: impl IntoIterator<Item = (&'a str, u32, u32)>) -> Result<Self, CodecError> {
        let mut by_id = HashMap::new();
        let mut newest: HashMap<&str, (u32, u32)> = HashMap::new();
        let mut still = [None; STILL_WRITTEN.len()];
        for (topic, version, id) in ids {
            let known = SCHEMAS.iter().find(|s| s.topic.name == topic && s.version == version);
            let known = known.ok_or_else(|| CodecError::UnknownVersion { topic: topic.to_owned(), version })?;
            if by_id.insert(id, register(known)?).is_some() {
                return Err(CodecError::DuplicateId(id));
            }
            for (slot, (topic, version)) in still.iter_mut().zip(STILL_WRITTEN) {
                if (topic.name, version) == (known.topic.name, known.version) {
                    *slot = Some(id);
                }
            }
            let entry = newest.entry(known.topic.name).or_default();
            *entry = (*entry).max((version, id));
        }
        let mut written = [0; topics::KNOWN.len()];
        for (slot, topic) in written.iter_mut().zip(topics::KNOWN) {
            let versions = SCHEMAS.iter().filter(|s| s.topic.name == topic.name);
            let (version, builtin, former) =
                versions.map(|s| (s.version, s.id, s.is_former())).max().unwrap_or_default();
            match newest.get(topic.name) {
                Some(&(v, id)) if v == version => *slot = id,
                // Nothing writes there any more.
                _ if former => *slot = builtin,
                _ => return Err(CodecError::Unregistered { topic: topic.name, version }),
            }
        }
        let mut still_written = [0; STILL_WRITTEN.len()];
        for ((slot, found), (topic, version)) in still_written.iter_mut().zip(still).zip(STILL_WRITTEN) {
            *slot = found.ok_or(CodecError::Unregistered { topic: topic.name, version })?;
        }
        Ok(Self { by_id, written, still_written })
    }

    /// The id under which records of a topic are written; `None` for a topic that is not [`topics::KNOWN`].
    pub fn id_of(&self, topic: &str) -> Option<u32> {
        topics::KNOWN.iter().position(|t| t.name == topic).map(|at| self.written[at])
    }

    /// The id of a former version that is still written.
    fn still(&self, topic: &str, version: u32) -> Option<u32> {
        let at = STILL_WRITTEN.iter().position(|still| (still.0.name, still.1) == (topic, version));
        at.map(|at| self.still_written[at])
    }

    /// The id under which EVM's records of a topic of transactions are written.
    pub(crate) fn evm_id(&self, topic: TopicSpec) -> u32 {
        let version =
            if topic.name == topics::RAW_TRANSACTIONS.name { RAW_TRANSACTIONS_EVM } else { ENRICHED_TRANSACTIONS_EVM };
        self.still(topic.name, version).or_else(|| self.id_of(topic.name)).unwrap_or_default()
    }

    /// Whether a value of `raw.transactions` may be an EVM transaction's: only other families' are written in the newest version.
    pub fn may_be_evm(&self, value: &[u8]) -> bool {
        let newest = self.written[const { position(topics::RAW_TRANSACTIONS.name) }];
        value.get(1..PREFIX_BYTES) != Some(&newest.to_be_bytes())
    }

    /// A record as the value of its topic.
    pub fn encode<R: Record>(&self, record: &R) -> Result<Bytes, EncodeError> {
        self.encode_within(record, limits::RECORD_VALUE_BYTES)
    }

    /// The same under another limit, bytes: what the topic takes, or none where the value goes elsewhere.
    pub fn encode_within<R: Record>(&self, record: &R, limit: usize) -> Result<Bytes, EncodeError> {
        let id = const { position(R::TOPIC.name) };
        let mut out = Vec::with_capacity(PREFIX_BYTES + record.size_hint());
        let former = record.version().and_then(|version| self.still(R::TOPIC.name, version));
        out.push(MAGIC);
        out.extend_from_slice(&former.unwrap_or(self.written[id]).to_be_bytes());
        record.put(&mut out);
        let bytes = out.len();
        if bytes > limit {
            return Err(EncodeError::TooLarge { topic: R::TOPIC.name, bytes, limit });
        }
        Ok(out.into())
    }

    /// A topic's value as a record, by the schema that it was written with.
    pub fn decode<R: Record>(&self, value: &[u8]) -> Result<R, DecodeError> {
        let (id, registered, body) = self.open(value)?;
        let topic = R::TOPIC.name;
        if registered.topic != topic {
            return Err(DecodeError::WrongTopic { id, found: registered.topic, wanted: topic });
        }
        let mut datum = Datum { input: Input(body), plan: &registered.plan };
        let record = R::get(&mut datum).map_err(|malformed| DecodeError::Malformed { topic, malformed })?;
        match datum.input.0.len() {
            0 => Ok(record),
            bytes => Err(DecodeError::Trailing { topic, bytes }),
        }
    }

    /// What stands behind the envelope of an EVM value that this program wrote.
    pub(crate) fn decode_behind(
        &self,
        envelope: &ChildEnvelope,
        rest: &[u8],
    ) -> Result<EnrichedTransaction, DecodeError> {
        let topic = topics::ENRICHED_TRANSACTIONS.name;
        let id = self.evm_id(topics::ENRICHED_TRANSACTIONS);
        let registered = self.by_id.get(&id).ok_or(DecodeError::UnknownSchema { id })?;
        let mut datum = Datum { input: Input(rest), plan: &registered.plan };
        let record = enriched_transactions::read(&mut datum, Some(envelope));
        let record = record.map_err(|malformed| DecodeError::Malformed { topic, malformed })?;
        match datum.input.0.len() {
            0 => Ok(record),
            bytes => Err(DecodeError::Trailing { topic, bytes }),
        }
    }

    /// A value of any topic as JSON, for people to look at: fields as in the schema, times in milliseconds, bytes as `0x` hex.
    /// Slow; not for stages.
    pub fn decode_json(&self, value: &[u8]) -> Result<serde_json::Value, DecodeError> {
        let (_, registered, mut body) = self.open(value)?;
        let topic = registered.topic;
        let generic = |e: apache_avro::Error| DecodeError::Generic { topic, problem: e.to_string() };
        let reader = GenericDatumReader::builder(&registered.schema).build().map_err(generic)?;
        let value = reader.read_value(&mut body).map_err(generic)?;
        match body.len() {
            0 => json(value).map_err(|problem| DecodeError::Generic { topic, problem }),
            bytes => Err(DecodeError::Trailing { topic, bytes }),
        }
    }

    fn open<'v>(&self, value: &'v [u8]) -> Result<(u32, &Registered, &'v [u8]), DecodeError> {
        match value {
            [MAGIC, a, b, c, d, body @ ..] => {
                let id = u32::from_be_bytes([*a, *b, *c, *d]);
                let registered = self.by_id.get(&id).ok_or(DecodeError::UnknownSchema { id })?;
                Ok((id, registered, body))
            }
            _ => Err(DecodeError::NotConfluent),
        }
    }
}

fn register(known: &SchemaVersion) -> Result<Registered, CodecError> {
    let topic = known.topic.name;
    let wrong = |problem: String| CodecError::Schema { topic, version: known.version, problem };
    let schema = Schema::parse_str(known.avsc).map_err(|e| wrong(e.to_string()))?;
    let columns: Vec<_> = columns_of(topic).into_iter().map(|c| c.0).collect();
    let plan = Plan::new(&schema, &columns).map_err(wrong)?;
    let newest = SCHEMAS.iter().filter(|s| s.topic.name == topic).all(|s| s.version <= known.version);
    // What is written has exactly these columns, in this order.
    if newest && !plan.is_identity(columns.len()) {
        return Err(wrong("today's schema and the record's columns differ in number or order".to_owned()));
    }
    if STILL_WRITTEN.iter().any(|still| (still.0.name, still.1) == (topic, known.version)) && !plan.is_beginning() {
        return Err(wrong("it is still written, and its fields are not the first of the record's columns".to_owned()));
    }
    Ok(Registered { topic, schema, plan })
}

fn columns_of(topic: &str) -> Vec<crate::wire::Column> {
    match topics::KNOWN[position(topic)] {
        topics::RAW_BLOCKS => RawBlock::columns(),
        topics::RAW_TRANSACTIONS => RawTransaction::columns(),
        topics::INGEST_CHECKPOINTS => CheckpointRecord::columns(),
        topics::INGEST_STATUS => NetworkStatus::columns(),
        topics::ENRICHED_TRANSACTIONS => EnrichedTransaction::columns(),
        topics::ENRICHED_BLOCKS => EnrichedBlock::columns(),
        topics::CONTROL_CONFIG => ControlConfig::columns(),
        topics::CONTROL_TENANTS => ControlTenant::columns(),
        topics::CONTRACT_FACTS => ContractFacts::columns(),
        topics::ENRICH_STATUS => EnrichStatus::columns(),
        topics::STAGE_STATUS => StageStatus::columns(),
        topics::PROVIDERS_SAMPLES => ProviderSample::columns(),
        topics::ENRICHED_EVENTS => EnrichedEvent::columns(),
        topics::ENRICHED_CAUSES => EnrichedCause::columns(),
        topics::METRICS_WINDOWS => Window::columns(),
        topics::ALERTS_RING => AlertRing::columns(),
        topics::ALERTS_MATCHES => AlertMatch::columns(),
        topics::ALERTS_STATE => AlertState::columns(),
        topics::ALERTS_EVENTS => AlertEvent::columns(),
        topics::ALERTS_OUTBOX => AlertOutbox::columns(),
        topics::ALERTS_DELIVERIES => AlertDelivery::columns(),
        topics::ALERTS_COMMANDS => AlertCommand::columns(),
        _ => DeadLetter::columns(),
    }
}

/// Position in [`topics::KNOWN`].
const fn position(name: &str) -> usize {
    let mut at = 0;
    while at < topics::KNOWN.len() {
        if same(topics::KNOWN[at].name, name) {
            return at;
        }
        at += 1;
    }
    panic!("not a topic of this version")
}

/// A generic value as JSON. Its depth is the schema's, not the input's.
fn json(value: Value) -> Result<serde_json::Value, String> {
    use serde_json::Value as J;
    Ok(match value {
        Value::Null => J::Null,
        Value::Boolean(b) => b.into(),
        Value::Int(n) => n.into(),
        Value::Long(n) | Value::TimestampMillis(n) => n.into(),
        Value::String(s) => s.into(),
        Value::Bytes(bytes) => const_hex::encode_prefixed(bytes).into(),
        Value::Union(_, inner) => json(*inner)?,
        Value::Array(items) => J::Array(items.into_iter().map(json).collect::<Result<_, _>>()?),
        Value::Record(fields) => {
            let fields = fields.into_iter().map(|(name, v)| json(v).map(|v| (name, v)));
            J::Object(fields.collect::<Result<_, _>>()?)
        }
        other => return Err(format!("it holds a type that this contract does not use: {other:?}")),
    })
}

macro_rules! chain_record {
    ($($record:ty, $topic:expr, |$this:ident| $headers:expr, $version:expr;)*) => {$(
        impl Record for $record {
            const TOPIC: TopicSpec = $topic;
            fn key(&self) -> String {
                self.envelope.network.as_str().to_owned()
            }
            fn headers(&self) -> Vec<(&'static str, Bytes)> {
                let $this = self;
                $headers.to_pairs()
            }
            fn version(&self) -> Option<u32> {
                let $this = self;
                $version
            }
        }
    )*};
}
chain_record! {
    RawBlock, topics::RAW_BLOCKS, |r| ChainHeaders::of_block(&r.envelope),
        r.bitcoin.is_none().then_some(RAW_BLOCKS_EVM);
    EnrichedTransaction, topics::ENRICHED_TRANSACTIONS,
        |r| ChainHeaders::of_child(&r.envelope, index(&r.payload, |(tx, _)| tx.transaction_index, |tx| tx.transaction_index)),
        (!matches!(r.payload, Payload::Bitcoin(_))).then_some(ENRICHED_TRANSACTIONS_EVM);
}

impl Record for EnrichedEvent {
    const TOPIC: TopicSpec = topics::ENRICHED_EVENTS;
    fn key(&self) -> String {
        self.envelope.network.as_str().to_owned()
    }
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        let index = index(&self.payload, |event| event.log.log_index, |never| match *never {});
        ChainHeaders::of_child(&self.envelope, index).to_pairs()
    }
}

impl Record for RawTransaction {
    const TOPIC: TopicSpec = topics::RAW_TRANSACTIONS;
    fn key(&self) -> String {
        self.envelope.network.as_str().to_owned()
    }
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        let index = index(&self.payload, |tx| tx.transaction_index, |tx| tx.transaction_index);
        let mut pairs = ChainHeaders::of_child(&self.envelope, index).to_pairs();
        if let Payload::Evm(transaction) = &self.payload {
            pairs.extend(headers::status(transaction.status()));
        }
        pairs
    }
    /// Only other families' transactions say what came with version 3.
    fn version(&self) -> Option<u32> {
        (!matches!(self.payload, Payload::Bitcoin(_))).then_some(RAW_TRANSACTIONS_EVM)
    }
}

impl Record for EnrichedBlock {
    const TOPIC: TopicSpec = topics::ENRICHED_BLOCKS;
    fn key(&self) -> String {
        self.envelope.network.as_str().to_owned()
    }
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        ChainHeaders::of_block(&self.envelope).to_pairs()
    }
    /// What has no summary, as reverts and finality, says nothing that version 1 lacks; only other families say what version 4 lacks.
    fn version(&self) -> Option<u32> {
        match &self.bitcoin {
            Some(_) => None,
            None if self.is_as_version_1() => Some(1),
            None => Some(ENRICHED_BLOCKS_EVM),
        }
    }
}

fn index<E, B>(
    payload: &Payload<E, B>,
    of_evm: impl FnOnce(&E) -> u32,
    of_bitcoin: impl FnOnce(&B) -> u32,
) -> Option<u32> {
    match payload {
        Payload::Evm(tx) => Some(of_evm(tx)),
        Payload::Bitcoin(tx) => Some(of_bitcoin(tx)),
        Payload::Unreadable { index, .. } => Some(*index),
        Payload::Revert => None,
    }
}

impl Record for CheckpointRecord {
    const TOPIC: TopicSpec = topics::INGEST_CHECKPOINTS;
    fn key(&self) -> String {
        match self {
            Self::Checkpoint(c) => c.network.as_str().to_owned(),
            Self::Ring(r) => format!("{}#{}", r.network, r.height % limits::REORG_LIMIT_BLOCKS),
        }
    }
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        Vec::new()
    }
}

impl Record for NetworkStatus {
    const TOPIC: TopicSpec = topics::INGEST_STATUS;
    fn key(&self) -> String {
        self.network.as_str().to_owned()
    }
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        Vec::new()
    }
}

impl Record for EnrichStatus {
    const TOPIC: TopicSpec = topics::ENRICH_STATUS;
    fn key(&self) -> String {
        self.network.as_str().to_owned()
    }
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        Vec::new()
    }
}

impl Record for StageStatus {
    const TOPIC: TopicSpec = topics::STAGE_STATUS;
    fn key(&self) -> String {
        Self::key_of(&self.stage, &self.instance, self.network.as_ref())
    }
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        Vec::new()
    }
}

impl Record for ProviderSample {
    const TOPIC: TopicSpec = topics::PROVIDERS_SAMPLES;
    fn key(&self) -> String {
        self.network.as_str().to_owned()
    }
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        Vec::new()
    }
    /// What says nothing of the way to an endpoint says nothing that version 1 lacks.
    fn version(&self) -> Option<u32> {
        let says_more = matches!(&self.seen, Seen::State(state) if state.link.is_some());
        (!says_more).then_some(1)
    }
}

impl Record for ControlConfig {
    const TOPIC: TopicSpec = topics::CONTROL_CONFIG;
    fn key(&self) -> String {
        match self {
            Self::NetworkPartition(p) => format!("{}/{}", crate::wire::NETWORK_KIND, p.network),
            Self::Request(r) => Request::key_of(&r.id),
            Self::Watched(w) => Self::key_of(WatchedAddress::KIND, w.network.as_str(), &w.address),
            Self::Contract(OperatorContract { contract: c, .. }) => {
                Self::key_of(OperatorContract::KIND, c.network.as_str(), &c.address)
            }
        }
    }
    /// Whose request it is, so that one that cannot be read holds up its own network only. The revision of what has one.
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        match self {
            Self::NetworkPartition(_) => Vec::new(),
            Self::Request(r) => {
                vec![(crate::headers::names::NETWORK, Bytes::copy_from_slice(r.network.as_str().as_bytes()))]
            }
            Self::Watched(WatchedAddress { revision, .. }) | Self::Contract(OperatorContract { revision, .. }) => {
                vec![crate::headers::revision(*revision)]
            }
        }
    }
    fn version(&self) -> Option<u32> {
        match self {
            Self::NetworkPartition(_) | Self::Request(_) => Some(2),
            Self::Watched(WatchedAddress { since: Some(_), .. }) => None,
            Self::Watched(_) | Self::Contract(_) => Some(3),
        }
    }
}

impl Record for ControlTenant {
    const TOPIC: TopicSpec = topics::CONTROL_TENANTS;
    fn key(&self) -> String {
        Self::key_of(&self.tenant, self.thing.kind(), &self.id)
    }
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        vec![crate::headers::revision(self.revision)]
    }
    fn version(&self) -> Option<u32> {
        match self.thing.definition() {
            None => Some(1),
            Some(_) => None,
        }
    }
}

impl Record for ContractFacts {
    const TOPIC: TopicSpec = topics::CONTRACT_FACTS;
    fn key(&self) -> String {
        Self::key_of(&self.network, self.address)
    }
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        vec![crate::headers::revision(self.revision)]
    }
}

impl Record for EnrichedCause {
    const TOPIC: TopicSpec = topics::ENRICHED_CAUSES;
    fn key(&self) -> String {
        Self::key_of(&self.network, &self.block_hash, self.transaction_index)
    }
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        let headers = ChainHeaders {
            network: self.network.clone(),
            sequence: self.sequence,
            op: Op::Apply,
            index: Some(self.transaction_index),
            tx_count: None,
            log_count: None,
        };
        headers.to_pairs()
    }
}

impl Record for Window {
    const TOPIC: TopicSpec = topics::METRICS_WINDOWS;
    fn key(&self) -> String {
        Self::key_of(&self.network, self.contract, self.window_seconds, self.window_start)
    }
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        let headers = ChainHeaders {
            network: self.network.clone(),
            sequence: self.sequence,
            op: Op::Apply,
            index: None,
            tx_count: None,
            log_count: None,
        };
        headers.to_pairs()
    }
}

impl Record for DeadLetter {
    const TOPIC: TopicSpec = topics::DEAD_LETTERS;
    fn key(&self) -> String {
        self.source_topic.clone()
    }
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        Vec::new()
    }
}

macro_rules! alerts_record {
    ($($record:ty, $topic:expr, |$this:ident| $key:expr;)*) => {$(
        impl Record for $record {
            const TOPIC: TopicSpec = $topic;
            fn key(&self) -> String {
                let $this = self;
                $key
            }
            fn headers(&self) -> Vec<(&'static str, Bytes)> {
                Vec::new()
            }
        }
    )*};
}
alerts_record! {
    AlertMatch, topics::ALERTS_MATCHES, |r| r.tenant.clone();
    AlertEvent, topics::ALERTS_EVENTS, |r| r.tenant.clone();
    AlertDelivery, topics::ALERTS_DELIVERIES, |r| r.tenant.clone();
    AlertCommand, topics::ALERTS_COMMANDS, |r| r.tenant.clone();
    AlertOutbox, topics::ALERTS_OUTBOX, |r| Self::key_of(&r.tenant, &r.id);
}

impl Record for AlertRing {
    const TOPIC: TopicSpec = topics::ALERTS_RING;
    fn key(&self) -> String {
        Self::key_of(&self.network, self.sequence)
    }
    /// Whose it is, so that one that cannot be read holds up its own network only.
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        vec![(crate::headers::names::NETWORK, Bytes::copy_from_slice(self.network.as_str().as_bytes()))]
    }
}

impl Record for AlertState {
    const TOPIC: TopicSpec = topics::ALERTS_STATE;
    fn key(&self) -> String {
        Self::key_of(&self.tenant, &self.source_id, &self.group)
    }
    fn headers(&self) -> Vec<(&'static str, Bytes)> {
        vec![crate::headers::revision(self.revision)]
    }
}

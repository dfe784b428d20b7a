//! What one event becomes in the log: its enriched records, and the dead letters of what could not be read.

use std::convert::Infallible;

use runtime::log::{
    Log, LogError, LogErrorKind, NewRecord, Record as LogRecord, TopicPartition,
    events::{Event, Halt},
    header_name, letters,
};
use schemas::{
    Codec, Network, Op, Record, TimeMs,
    codec::EncodeError,
    headers::ChainHeaders,
    limits::RECORD_VALUE_BYTES,
    records::{
        DeadLetter, EmittedEvent, EnrichedEvent, EnrichedTransaction, Enrichment, EvmTransaction, Payload, RawBlock,
        RawTransaction, StageStatus, dead_letter::reason,
    },
    topics,
};

use crate::{
    Config,
    halts::Passed,
    metrics,
    shortcut::{Room, Shortcut},
    steps::{contracts::Watched, decode::Decoder, enrich_record, enriched_block, known::Known, summary::Summing},
};

/// Name of this stage in dead letters.
const STAGE: &str = "enrich";

/// What became of an event.
pub(crate) enum Worked {
    /// Its records and what they are about.
    Done {
        /// To be written.
        records: Vec<NewRecord>,
        /// Transactions among them.
        transactions: usize,
        /// Which block.
        passed: Passed,
    },
    /// The header record cannot be read: nothing can be passed on under its sequence.
    Unreadable {
        /// The dead letter's records.
        letter: Vec<NewRecord>,
        /// Why.
        error: String,
    },
}

/// Bytes that a value may have in each topic that is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    blocks: usize,
    transactions: usize,
    events: usize,
    letters: usize,
}

impl Limits {
    /// As the log has them now.
    pub async fn of(log: &dyn Log) -> Result<Self, LogError> {
        Ok(Self {
            blocks: log.value_limit(topics::ENRICHED_BLOCKS.name).await?,
            transactions: log.value_limit(topics::ENRICHED_TRANSACTIONS.name).await?,
            // Only networks that have it switched on need that topic.
            events: match log.value_limit(topics::ENRICHED_EVENTS.name).await {
                Err(error) if error.kind == LogErrorKind::NoTopic => RECORD_VALUE_BYTES,
                limit => limit?,
            },
            letters: log.value_limit(topics::DEAD_LETTERS.name).await?,
        })
    }
}

/// Decodes, enriches and encodes an event whose header record was read.
pub(crate) fn work_up(
    config: &Config,
    codec: &Codec,
    limits: Limits,
    event: &Event,
    block: Result<RawBlock, Why>,
    (watched, known): (Watched, &Known),
) -> Worked {
    let records = Vec::with_capacity(event.children.len() + 1);
    let mut out = Output { codec, limits, partition: event.partition, records };
    let block = match block {
        Ok(block) => block,
        Err((reason, error)) => {
            let letter = out.letter(event, &event.header, None, reason, &error);
            return Worked::Unreadable { letter, error };
        }
    };
    let e = &block.envelope;
    let passed = Passed { height: e.height, time: e.block_time, origin: e.origin };
    let transactions = if block.envelope.op == Op::Apply { event.children.len() } else { 0 };
    let profile = config.profile(&block.envelope.network);
    let mut summing = Summing::new(&block, watched);
    let mut decoder = Decoder::new(known, block.envelope.height);
    let has_events = config.has_events(&block.envelope.network);
    let room = Room { transactions: limits.transactions, events: has_events.then_some(limits.events) };
    let mut shortcut = Shortcut::new(codec, &block, event.partition, room);
    for (place, original) in event.children.iter().enumerate() {
        if shortcut.pass_on(&profile, &mut summing, &mut decoder, original, &mut out.records).is_some() {
            continue;
        }
        let raw = out.decode_child(event, &block, place, original);
        let was_read = !matches!(raw.payload, Payload::Unreadable { .. });
        let child = enrich_record(&profile, &mut summing, &mut decoder, raw);
        if let (true, Payload::Unreadable { index, error }) = (was_read, &child.payload) {
            let letter = out.letter(event, original, Some(*index), reason::UNDECODABLE, error);
            out.records.extend(letter);
        }
        if has_events {
            out.events(&child);
        }
        out.child(event, original, child);
    }
    let (block, left_out) = enriched_block(block, summing, known.position);
    if left_out > 0 {
        tracing::warn!(
            network = %block.envelope.network, sequence = block.envelope.sequence, left_out,
            "a block touches more watched contracts than its record has room for: the least used ones lack it"
        );
        metrics::contracts_left_out(block.envelope.network.as_str(), left_out);
    }
    match out.encode(&block, topics::ENRICHED_BLOCKS.name, limits.blocks) {
        Ok(record) => out.records.push(record),
        // A header has a few kilobytes; only a made-up `extraData` gets here.
        Err(error) => {
            let error = error.to_string();
            let letter = out.letter(event, &event.header, None, reason::TOO_LARGE, &error);
            return Worked::Unreadable { letter, error };
        }
    }
    Worked::Done { records: out.records, transactions, passed }
}

/// The reason and the words of a failure.
pub(crate) type Why = (&'static str, String);

fn decode<R: Record>(codec: &Codec, record: &LogRecord) -> Result<R, Why> {
    let value = record.value.as_deref().ok_or((reason::UNDECODABLE, "the record has no value".to_owned()))?;
    codec.decode(value).map_err(|e| (e.reason(), e.to_string()))
}

/// The header record of an event.
pub(crate) fn read_header(codec: &Codec, event: &Event) -> Result<RawBlock, Why> {
    let block: RawBlock = decode(codec, &event.header)?;
    let (e, meta) = (&block.envelope, &event.meta);
    if (&e.network, e.sequence, e.op) == (&meta.network, meta.sequence, meta.op) {
        Ok(block)
    } else {
        let error = format!("the value is of {} {} {}, its headers say otherwise", e.network, e.sequence, e.op);
        Err((reason::UNDECODABLE, error))
    }
}

struct Output<'a> {
    codec: &'a Codec,
    limits: Limits,
    partition: u32,
    records: Vec<NewRecord>,
}

impl Output<'_> {
    /// A child, or a placeholder in its stead (rule 13).
    fn decode_child(&mut self, event: &Event, block: &RawBlock, place: usize, child: &LogRecord) -> RawTransaction {
        let (reason, error) = match decode::<RawTransaction>(self.codec, child) {
            Ok(tx) if belongs(&tx, block) => return tx,
            Ok(RawTransaction { envelope: e, .. }) => (
                reason::UNDECODABLE,
                format!("the value is of {} {}, its headers say otherwise", e.network, e.sequence),
            ),
            Err(why) => why,
        };
        let envelope = block.envelope.child();
        if block.envelope.op == Op::Revert {
            // A revert's child says nothing that its header does not.
            return RawTransaction { envelope, payload: Payload::Revert };
        }
        let index = index_of(child).unwrap_or(u32::try_from(place).unwrap_or(u32::MAX));
        let letter = self.letter(event, child, Some(index), reason, &error);
        self.records.extend(letter);
        RawTransaction { envelope, payload: Payload::Unreadable { index, error } }
    }

    /// Writes a child. One that has grown over the limit is first written with less of what was decoded, so that decoding costs no
    /// transaction; then it becomes a placeholder.
    fn child(&mut self, event: &Event, original: &LogRecord, mut child: EnrichedTransaction) {
        let (topic, limit) = (topics::ENRICHED_TRANSACTIONS.name, self.limits.transactions);
        let mut encoded = self.encode(&child, topic, limit);
        for leave_out in [Self::call_arguments, Self::decoded_events] {
            if let (Err(_), Payload::Evm(both)) = (&encoded, &mut child.payload) {
                leave_out(&mut both.1);
                encoded = self.encode(&child, topic, limit);
            }
        }
        let encoded = encoded.or_else(|error| {
            let index = match &child.payload {
                Payload::Evm(payload) => payload.0.transaction_index,
                Payload::Bitcoin(tx) => tx.transaction_index,
                Payload::Unreadable { index, .. } => *index,
                Payload::Revert => 0,
            };
            let error = error.to_string();
            let letter = self.letter(event, original, Some(index), reason::TOO_LARGE, &error);
            self.records.extend(letter);
            let payload = Payload::Unreadable { index, error };
            self.encode(&EnrichedTransaction { envelope: child.envelope, payload }, topic, limit)
        });
        match encoded {
            Ok(record) => self.records.push(record),
            // A placeholder has a few hundred bytes.
            Err(error) => tracing::error!(%error, "a placeholder was too large"),
        }
    }

    fn call_arguments(found: &mut Enrichment) {
        found.inner_calls = None;
        if let Some(call) = &mut found.call {
            call.arguments = None;
        }
    }

    fn decoded_events(found: &mut Enrichment) {
        found.events.fill(None);
    }

    /// Writes a child's logs by themselves: those of a transaction, or a revert's one record. What has no room is first written raw.
    fn events(&mut self, child: &EnrichedTransaction) {
        let (topic, limit) = (topics::ENRICHED_EVENTS.name, self.limits.events);
        let of = |payload| EnrichedEvent { envelope: child.envelope.clone(), payload };
        let records = match &child.payload {
            Payload::Evm(both) => events_of(&both.0, &both.1).collect(),
            Payload::Revert => vec![Payload::Revert],
            Payload::Bitcoin(_) | Payload::Unreadable { .. } => Vec::new(),
        };
        for payload in records {
            let mut record = of(payload);
            let mut encoded = self.encode(&record, topic, limit);
            if let (Err(_), Payload::Evm(event)) = (&encoded, &mut record.payload) {
                event.decoded = None;
                encoded = self.encode(&record, topic, limit);
            }
            if let (Err(error), Payload::Evm(event)) = (&encoded, &record.payload) {
                let payload = Payload::Unreadable { index: event.log.log_index, error: error.to_string() };
                encoded = self.encode(&of(payload), topic, limit);
            }
            match encoded {
                Ok(record) => self.records.push(record),
                // A placeholder has a few hundred bytes.
                Err(error) => tracing::error!(%error, "a placeholder was too large"),
            }
        }
    }

    fn encode<R: Record>(&self, record: &R, topic: &'static str, limit: usize) -> Result<NewRecord, EncodeError> {
        Ok(NewRecord {
            to: TopicPartition { topic, partition: self.partition },
            key: Some(record.key().into()),
            value: Some(self.codec.encode_within(record, limit)?),
            headers: record.headers().into_iter().map(|(name, value)| (header_name(name), value)).collect(),
        })
    }

    /// A dead letter with the original bytes.
    fn letter(
        &self,
        event: &Event,
        original: &LogRecord,
        index: Option<u32>,
        reason: &'static str,
        error: &str,
    ) -> Vec<NewRecord> {
        let network = &event.meta.network;
        metrics::dead_letter(network.as_str(), reason);
        tracing::warn!(
            %network, sequence = event.meta.sequence, index, reason, error,
            "a dead letter: `headwater dead-letters list` tells them, `replay` takes up what can be read later"
        );
        let headers = ChainHeaders { index, tx_count: None, log_count: None, ..event.meta.clone() }
            .to_pairs()
            .into_iter()
            .map(|(name, value)| (header_name(name), value))
            .collect();
        let letter = DeadLetter {
            network: Some(network.clone()),
            sequence: Some(event.meta.sequence),
            index,
            ..letter_of(original, reason, error)
        };
        letters::records(self.codec, letter, self.limits.letters, &headers)
    }
}

/// Dead letters of records that belong to no network.
pub(crate) fn foreign(codec: &Codec, limits: Limits, event: &Event) -> Vec<NewRecord> {
    let letter = |(record, why): &(LogRecord, Halt)| {
        metrics::dead_letter("", reason::FOREIGN);
        letters::records(codec, letter_of(record, reason::FOREIGN, &why.to_string()), limits.letters, &Vec::new())
    };
    event.foreign.iter().flat_map(letter).collect()
}

/// What is said of a network, as a record.
pub(crate) fn said(codec: &Codec, status: &StageStatus) -> Option<NewRecord> {
    match codec.encode(status) {
        Ok(value) => Some(NewRecord {
            to: TopicPartition { topic: topics::STAGE_STATUS.name, partition: 0 },
            key: Some(status.key().into()),
            value: Some(value),
            headers: Vec::new(),
        }),
        // Its longest text is cut off on the board.
        Err(error) => {
            tracing::error!(%error, "a status is too large to be said");
            None
        }
    }
}

/// The logs of a transaction, each by itself.
pub(crate) fn events_of<'t>(
    tx: &'t EvmTransaction,
    found: &'t Enrichment,
) -> impl Iterator<Item = Payload<EmittedEvent, Infallible>> + 't {
    tx.logs.iter().enumerate().map(|(at, log)| {
        Payload::Evm(Box::new(EmittedEvent {
            transaction_index: tx.transaction_index,
            transaction_hash: tx.hash,
            log: log.clone(),
            decoded: found.events.get(at).cloned().flatten(),
        }))
    })
}

fn letter_of(original: &LogRecord, reason: &str, error: &str) -> DeadLetter {
    DeadLetter {
        source_topic: original.from.topic.to_owned(),
        source_partition: original.from.partition,
        source_offset: Some(original.offset),
        stage: STAGE.to_owned(),
        network: None,
        sequence: None,
        index: None,
        reason: reason.to_owned(),
        error: error.to_owned(),
        key: original.key.clone(),
        value: original.value.clone(),
        failed_at: TimeMs::now(),
    }
}

pub(crate) fn belongs(tx: &RawTransaction, block: &RawBlock) -> bool {
    let (t, b) = (&tx.envelope, &block.envelope);
    (&t.network, t.sequence, t.op) == (&b.network, b.sequence, b.op)
}

fn index_of(child: &LogRecord) -> Option<u32> {
    ChainHeaders::parse(|name| child.header(name)).ok()?.index
}

/// The network of an event, for those who only have the event.
pub(crate) fn network(event: &Event) -> &Network {
    &event.meta.network
}

//! What one event becomes in the log: its enriched records, and the dead letters of what could not be read.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use runtime::log::{NewRecord, Record as LogRecord, TopicPartition, events::Event};
use schemas::{
    Codec, Network, Op, Record, TimeMs,
    codec::EncodeError,
    headers::{ChainHeaders, names},
    records::{DeadLetter, EnrichedTransaction, Payload, RawBlock, RawTransaction},
    topics,
};

use crate::{Config, metrics, steps::enrich_event};

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
        /// The block's height.
        height: u64,
    },
    /// The header record cannot be read: nothing can be passed on under its sequence.
    Unreadable {
        /// The dead letter.
        letter: NewRecord,
        /// Why.
        error: String,
    },
}

/// Decodes, enriches and encodes an event.
pub(crate) fn work_up(config: &Config, codec: &Codec, event: &Event) -> Worked {
    let mut out = Output { codec, partition: event.partition, records: Vec::with_capacity(event.children.len() + 1) };
    let block = match decode_header(codec, event) {
        Ok(block) => block,
        Err(error) => {
            let letter = out.letter(event, &event.header, None, "undecodable", &error);
            return Worked::Unreadable { letter, error };
        }
    };
    let children: Vec<_> =
        event.children.iter().enumerate().map(|(i, child)| out.decode_child(event, &block, i, child)).collect();
    let height = block.envelope.height;
    let transactions = if block.envelope.op == Op::Apply { children.len() } else { 0 };
    let (block, children) = enrich_event(&config.profile(&block.envelope.network), block, children);
    for (original, child) in event.children.iter().zip(children) {
        out.child(event, original, child);
    }
    match out.encode(&block, topics::ENRICHED_BLOCKS.name) {
        Ok(record) => out.records.push(record),
        // A header has a few kilobytes; only a made-up `extraData` gets here.
        Err(error) => {
            let error = error.to_string();
            let letter = out.letter(event, &event.header, None, "too_large", &error);
            return Worked::Unreadable { letter, error };
        }
    }
    Worked::Done { records: out.records, transactions, height }
}

fn decode_header(codec: &Codec, event: &Event) -> Result<RawBlock, String> {
    let value = event.header.value.as_deref().ok_or("the record has no value")?;
    let block: RawBlock = codec.decode(value).map_err(|e| e.to_string())?;
    let (e, meta) = (&block.envelope, &event.meta);
    if (&e.network, e.sequence, e.op) == (&meta.network, meta.sequence, meta.op) {
        Ok(block)
    } else {
        Err(format!("the value is of {} {} {}, its headers say otherwise", e.network, e.sequence, e.op))
    }
}

struct Output<'a> {
    codec: &'a Codec,
    partition: u32,
    records: Vec<NewRecord>,
}

impl Output<'_> {
    /// A child, or a placeholder in its stead (rule 13).
    fn decode_child(&mut self, event: &Event, block: &RawBlock, place: usize, child: &LogRecord) -> RawTransaction {
        let decoded = match child.value.as_deref() {
            Some(value) => self.codec.decode::<RawTransaction>(value).map_err(|e| e.to_string()),
            None => Err("the record has no value".to_owned()),
        };
        let error = match decoded {
            Ok(tx) if belongs(&tx, block) => return tx,
            Ok(tx) => {
                format!("the value is of {} {}, its headers say otherwise", tx.envelope.network, tx.envelope.sequence)
            }
            Err(error) => error,
        };
        let envelope = block.envelope.child();
        if block.envelope.op == Op::Revert {
            // A revert's child says nothing that its header does not.
            return RawTransaction { envelope, payload: Payload::Revert };
        }
        let index = index_of(child).unwrap_or(u32::try_from(place).unwrap_or(u32::MAX));
        let letter = self.letter(event, child, Some(index), "undecodable", &error);
        self.records.push(letter);
        RawTransaction { envelope, payload: Payload::Unreadable { index, error } }
    }

    /// Writes a child; one that has grown over the limit becomes a placeholder.
    fn child(&mut self, event: &Event, original: &LogRecord, child: EnrichedTransaction) {
        let topic = topics::ENRICHED_TRANSACTIONS.name;
        let encoded = self.encode(&child, topic).or_else(|error| {
            let index = match &child.payload {
                Payload::Transaction(payload) => payload.0.transaction_index,
                Payload::Unreadable { index, .. } => *index,
                Payload::Revert => 0,
            };
            let error = error.to_string();
            let letter = self.letter(event, original, Some(index), "too_large", &error);
            self.records.push(letter);
            let payload = Payload::Unreadable { index, error };
            self.encode(&EnrichedTransaction { envelope: child.envelope, payload }, topic)
        });
        match encoded {
            Ok(record) => self.records.push(record),
            // A placeholder has a few hundred bytes.
            Err(error) => tracing::error!(%error, "a placeholder was too large"),
        }
    }

    fn encode<R: Record>(&self, record: &R, topic: &'static str) -> Result<NewRecord, EncodeError> {
        Ok(NewRecord {
            to: TopicPartition { topic, partition: self.partition },
            key: Some(record.key().into()),
            value: Some(self.codec.encode(record)?),
            headers: record.headers().into_iter().map(|(name, value)| (header_name(name), value)).collect(),
        })
    }

    /// A dead letter, with the original bytes unless they are too many.
    fn letter(
        &self,
        event: &Event,
        original: &LogRecord,
        index: Option<u32>,
        reason: &'static str,
        error: &str,
    ) -> NewRecord {
        let network = &event.meta.network;
        metrics::dead_letter(network.as_str(), reason);
        tracing::warn!(%network, sequence = event.meta.sequence, index, reason, error, "dead letter");
        let mut letter = DeadLetter {
            source_topic: original.from.topic.to_owned(),
            source_partition: original.from.partition,
            source_offset: Some(original.offset),
            stage: STAGE.to_owned(),
            network: Some(network.clone()),
            sequence: Some(event.meta.sequence),
            index,
            reason: reason.to_owned(),
            error: error.to_owned(),
            key: original.key.clone(),
            value: original.value.clone(),
            failed_at: TimeMs::now(),
        };
        let value = self.codec.encode(&letter).or_else(|_| {
            letter.value = None;
            letter.error = format!("{error} (the value of {} bytes is too large to be kept here)", size(original));
            self.codec.encode(&letter)
        });
        NewRecord {
            to: TopicPartition { topic: topics::DEAD_LETTERS.name, partition: 0 },
            key: Some(letter.key().into()),
            value: Some(value.unwrap_or_default()),
            headers: ChainHeaders { index, tx_count: None, log_count: None, ..event.meta.clone() }
                .to_pairs()
                .into_iter()
                .map(|(name, value)| (header_name(name), value))
                .collect(),
        }
    }
}

fn belongs(tx: &RawTransaction, block: &RawBlock) -> bool {
    let (t, b) = (&tx.envelope, &block.envelope);
    (&t.network, t.sequence, t.op) == (&b.network, b.sequence, b.op)
}

fn index_of(child: &LogRecord) -> Option<u32> {
    ChainHeaders::parse(|name| child.header(name)).ok()?.index
}

fn size(record: &LogRecord) -> usize {
    record.value.as_ref().map_or(0, Bytes::len)
}

/// Header names are few: made once, shared by all records.
fn header_name(name: &'static str) -> Arc<str> {
    static NAMES: LazyLock<[Arc<str>; 6]> = LazyLock::new(|| {
        [names::NETWORK, names::SEQUENCE, names::OP, names::INDEX, names::TX_COUNT, names::LOG_COUNT].map(Arc::from)
    });
    NAMES.iter().find(|known| &***known == name).cloned().unwrap_or_else(|| name.into())
}

/// The network of an event, for those who only have the event.
pub(crate) fn network(event: &Event) -> &Network {
    &event.meta.network
}

//! From the log's records to events. What cannot be read of a transaction becomes a placeholder and a dead letter (rule 13).

use runtime::log::{Record, events};
use schemas::{
    Op, TimeMs,
    codec::Codec,
    headers::ChainHeaders,
    passing::Reader,
    records::{DeadLetter, EnrichedBlock, EnrichedTransaction, Payload, dead_letter::reason},
};

use super::batch::Event;

/// An event, and what of it could not be read.
pub(super) struct Decoded {
    pub event: Event,
    pub dead: Vec<DeadLetter>,
}

/// Decodes an event's header record. An error when it cannot be read: then its network cannot go on.
pub(super) fn header(codec: &Codec, assembled: &events::Event) -> Result<EnrichedBlock, String> {
    let value = assembled.header.value.as_deref().ok_or("the header record has no value")?;
    let block: EnrichedBlock = codec.decode(value).map_err(|e| e.to_string())?;
    let e = &block.envelope;
    let meta = &assembled.meta;
    if e.network != meta.network || e.sequence != meta.sequence || e.op != meta.op {
        return Err("the header record's value and its record headers contradict each other".into());
    }
    Ok(block)
}

/// Decodes the rest of an event.
pub(super) fn children(codec: &Codec, assembled: &events::Event, block: EnrichedBlock) -> Decoded {
    let e = &block.envelope;
    let mut dead = Vec::new();
    let mut transactions = Vec::new();
    if e.op == Op::Apply {
        let reader = Reader::new(codec, e.child());
        transactions.reserve(assembled.children.len());
        for record in &assembled.children {
            transactions.push(transaction(&reader, record, &mut dead));
        }
    }
    Decoded { event: Event { block, transactions }, dead }
}

fn transaction(reader: &Reader<'_>, record: &Record, dead: &mut Vec<DeadLetter>) -> EnrichedTransaction {
    let of = reader.envelope();
    let decoded = match record.value.as_deref() {
        Some(value) => reader.read(value).map_err(|e| (e.reason(), e.to_string())),
        None => Err((reason::UNDECODABLE, "the record has no value".into())),
    };
    let (reason, error) = match decoded {
        Ok(t) if t.envelope.sequence == of.sequence && t.envelope.block_hash == of.block_hash => return t,
        Ok(_) => (reason::UNDECODABLE, "the record's value belongs to another event than its headers say".into()),
        Err(why) => why,
    };
    let index = ChainHeaders::parse(|name| record.header(name)).ok().and_then(|h| h.index);
    tracing::warn!(
        network = %of.network, sequence = of.sequence, index, reason, error,
        "a dead letter: `headwater dead-letters list` tells them, `replay` takes up what can be read later"
    );
    let letter = letter(record, reason, &error);
    dead.push(DeadLetter { network: Some(of.network.clone()), sequence: Some(of.sequence), index, ..letter });
    EnrichedTransaction { envelope: of.clone(), payload: Payload::Unreadable { index: index.unwrap_or(0), error } }
}

/// The dead letter of a record that belongs to no network.
pub(super) fn foreign((record, why): &(Record, events::Halt)) -> DeadLetter {
    letter(record, reason::FOREIGN, &why.to_string())
}

fn letter(record: &Record, reason: &str, error: &str) -> DeadLetter {
    DeadLetter {
        source_topic: record.from.topic.to_owned(),
        source_partition: record.from.partition,
        source_offset: Some(record.offset),
        stage: "sink".into(),
        network: None,
        sequence: None,
        index: None,
        reason: reason.to_owned(),
        error: error.to_owned(),
        key: record.key.clone(),
        value: record.value.clone(),
        failed_at: TimeMs::now(),
    }
}

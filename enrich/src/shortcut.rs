//! The short way of a transaction through enrich: what it tells is looked up in its bytes, and these are passed on.
//!
//! Guarantee: a record that goes this way is the one that reading it whole, enriching it and writing it would give, byte for byte,
//! headers and key included, and so are those of its logs; whatever is not as this program writes it, or would be too large, goes the
//! long way (`shortcut/tests.rs`: recorded, random and damaged records).

use runtime::log::{Children, NewRecord, Record as LogRecord, TopicPartition};
use schemas::{
    ChildEnvelope, Codec, Op,
    passing::{Events, LogView, Passing},
    profiles::Profile,
    records::RawBlock,
    topics,
};

use crate::steps::{decode::Decoder, enrich_figures, summary::Summing, texts::Texts};

/// For the transactions of one block.
pub(crate) struct Shortcut<'e> {
    /// None where the block is not applied.
    passing: Option<Passing>,
    children: Children,
    /// None where logs are not written by themselves.
    events: Option<EventRecords>,
    limit: usize,
    // Kept from one transaction to the next.
    logs: Vec<LogView<'e>>,
    texts: Texts<'e>,
}

/// Logs as records of their own.
struct EventRecords {
    events: Events,
    children: Children,
    limit: usize,
}

impl EventRecords {
    fn new(codec: &Codec, envelope: &ChildEnvelope, partition: u32, limit: usize) -> Self {
        let to = TopicPartition { topic: topics::ENRICHED_EVENTS.name, partition };
        Self { events: Events::new(codec, envelope), children: Children::new(to, envelope), limit }
    }
}

/// What the records of a block have room for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Bytes that a transaction's value may have.
    pub transactions: usize,
    /// The same of a log's; `None` where logs are not written by themselves.
    pub events: Option<usize>,
}

impl<'e> Shortcut<'e> {
    /// For a block.
    pub fn new(codec: &Codec, block: &RawBlock, partition: u32, room: Room) -> Self {
        let envelope = block.envelope.child();
        let to = TopicPartition { topic: topics::ENRICHED_TRANSACTIONS.name, partition };
        Self {
            passing: (envelope.op == Op::Apply).then(|| Passing::new(codec, &envelope)),
            children: Children::new(to, &envelope),
            events: room.events.map(|limit| EventRecords::new(codec, &envelope, partition, limit)),
            limit: room.transactions,
            logs: Vec::new(),
            texts: Texts::default(),
        }
    }

    /// Appends the record for `enriched.transactions`, and those for `enriched.events`, to `records`, and counts the transaction in the
    /// block's summary; `None`: nothing was done, the long way.
    pub fn pass_on(
        &mut self,
        profile: &Profile,
        summing: &mut Summing,
        decoder: &mut Decoder<'e>,
        raw: &'e LogRecord,
        records: &mut Vec<NewRecord>,
    ) -> Option<()> {
        let Self { passing, children, events, limit, logs, texts } = self;
        let passing = passing.as_mut()?;
        let view = passing.look(raw.value.as_deref()?, logs)?;
        let found = enrich_figures(profile, summing.in_block(), &view.figures);
        texts.read(decoder, &view, logs);
        let value = passing.pass_on(&view, logs, &found, texts.call(), texts.events(), *limit)?;
        let before = records.len();
        records.push(children.record(view.figures.transaction_index, value));
        if let Some(EventRecords { events, children, limit }) = events {
            for (log, event) in logs.iter().zip(texts.events()) {
                let Some(value) = events.value(&view, log, event, *limit) else {
                    records.truncate(before);
                    return None;
                };
                records.push(children.record(log.index(), value));
            }
        }
        let emitters = logs.iter().map(|log| log.address().unwrap_or_default());
        summing.add(&view.figures, &found, emitters, texts.transfers());
        Some(())
    }
}

#[cfg(test)]
mod tests;

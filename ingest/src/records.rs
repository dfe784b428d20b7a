//! From events to records of the log, as far as they are the same for every family. Pure.
//!
//! Guarantee (rules 2 to 4): a revert is one header record without payload and one child record that says the same. An apply is its
//! header record and those of its transactions, which are its family's ([`crate::chains::Family::apply`]).

use std::sync::Arc;

use bytes::Bytes;
use nodes::Finality;
use runtime::log::{Children, Log, LogError, NewRecord, Topic, TopicPartition, header_name};
use schemas::{
    ChildEnvelope, Envelope, Op, Origin, TimeMs,
    codec::{Codec, EncodeError, Record},
    limits::RECORD_VALUE_BYTES,
    records::{Checkpoint, CheckpointRecord, Payload, RawBlock, RawTransaction, RingEntry},
    topics,
};

use crate::tracker::Position;

/// Writes records of one partition.
#[derive(Clone)]
pub struct Scribe {
    pub(crate) codec: Arc<Codec>,
    pub(crate) partition: u32,
    pub(crate) limits: Limits,
}

/// Bytes that a value may have in the topics that may be short of room for a block.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `raw.blocks`.
    pub blocks: usize,
    /// `raw.transactions`.
    pub transactions: usize,
    /// `dead.letters`.
    pub letters: usize,
}

impl Limits {
    /// As the log has them now.
    pub async fn of(log: &dyn Log) -> Result<Self, LogError> {
        Ok(Self {
            blocks: log.value_limit(topics::RAW_BLOCKS.name).await?,
            transactions: log.value_limit(topics::RAW_TRANSACTIONS.name).await?,
            letters: log.value_limit(topics::DEAD_LETTERS.name).await?,
        })
    }

    fn of_topic(&self, topic: Topic) -> usize {
        match topics::ALL.into_iter().find(|t| t.name == topic) {
            Some(topics::RAW_BLOCKS) => self.blocks,
            Some(topics::RAW_TRANSACTIONS) => self.transactions,
            _ => RECORD_VALUE_BYTES,
        }
    }
}

/// What of an envelope the tracker does not know.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// When we first saw the block.
    pub observed_at: TimeMs,
    /// As the chain says.
    pub finality: Finality,
    /// Following the head, or a range on request.
    pub origin: Origin,
}

/// An apply as it is written.
pub struct Apply {
    /// So far its header alone, with room for `tx_count` transactions.
    pub records: Vec<NewRecord>,
    /// The envelope of its transactions.
    pub child: ChildEnvelope,
    /// What their records have in common.
    pub children: Children,
}

impl Scribe {
    /// For a partition.
    pub fn new(codec: Arc<Codec>, partition: u32, limits: Limits) -> Self {
        Self { codec, partition, limits }
    }

    /// A record as the log takes it.
    ///
    /// # Errors
    /// One that is larger than its topic takes.
    pub fn record<R: Record>(&self, record: &R) -> Result<NewRecord, EncodeError> {
        let topic: Topic = R::TOPIC.name;
        let partition = if R::TOPIC.per_network { self.partition } else { 0 };
        Ok(NewRecord {
            to: TopicPartition { topic, partition },
            key: Some(Bytes::from(record.key())),
            value: Some(self.codec.encode_within(record, self.limits.of_topic(topic))?),
            headers: record.headers().into_iter().map(|(name, value)| (header_name(name), value)).collect(),
        })
    }

    /// Begins an apply: `header` puts its family's part to the envelope.
    ///
    /// # Errors
    /// A header that is larger than the log takes.
    pub fn apply(
        &self,
        entry: &RingEntry,
        after: &Position,
        c: Circumstances,
        header: impl FnOnce(Envelope) -> RawBlock,
    ) -> Result<Apply, EncodeError> {
        let envelope =
            Envelope { tx_count: entry.tx_count, log_count: entry.log_count, ..envelope(Op::Apply, entry, after, c) };
        let child = envelope.child();
        let mut records = Vec::with_capacity(entry.tx_count as usize + 1);
        records.push(self.record(&header(envelope))?);
        let to = TopicPartition { topic: topics::RAW_TRANSACTIONS.name, partition: self.partition };
        let children = Children::new(to, &child);
        Ok(Apply { records, child, children })
    }

    /// Both records of a revert.
    pub fn revert(&self, entry: &RingEntry, after: &Position, c: Circumstances) -> Result<Vec<NewRecord>, EncodeError> {
        let envelope = Envelope { reverts_sequence: Some(entry.sequence), ..envelope(Op::Revert, entry, after, c) };
        let child = RawTransaction { envelope: envelope.child(), payload: Payload::Revert };
        Ok(vec![self.record(&RawBlock { envelope, evm: None, bitcoin: None })?, self.record(&child)?])
    }

    /// A finality record between blocks: no event, repeats the last sequence.
    pub fn finality(&self, tip: &RingEntry, after: &Position, c: Circumstances) -> Result<Vec<NewRecord>, EncodeError> {
        Ok(vec![self.record(&RawBlock {
            envelope: envelope(Op::Finality, tip, after, c),
            evm: None,
            bitcoin: None,
        })?])
    }

    /// The checkpoint's record.
    pub fn checkpoint(&self, checkpoint: Checkpoint) -> Result<NewRecord, EncodeError> {
        self.record(&CheckpointRecord::Checkpoint(checkpoint))
    }

    /// The record of a ring entry.
    pub fn ring(&self, entry: RingEntry) -> Result<NewRecord, EncodeError> {
        self.record(&CheckpointRecord::Ring(entry))
    }
}

/// The envelope of an event that has no children.
pub fn envelope(op: Op, entry: &RingEntry, after: &Position, c: Circumstances) -> Envelope {
    Envelope {
        network: entry.network.clone(),
        sequence: after.sequence,
        op,
        origin: c.origin,
        height: entry.height,
        block_hash: entry.block_hash.clone(),
        parent_hash: entry.parent_hash.clone(),
        block_time: entry.block_time,
        observed_at: c.observed_at,
        safe_height: c.finality.safe,
        finalized_height: c.finality.finalized,
        tx_count: 0,
        log_count: 0,
        reverts_sequence: None,
        reorg_remaining: after.reorg_remaining,
    }
}

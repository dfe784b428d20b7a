//! From events to records of the log. Pure.
//!
//! Guarantee (rules 2 to 4): an apply is one header record and exactly `tx_count` transaction records of the same sequence; a
//! revert is one header record without payload and one child record that says the same. A transaction over the log's limit
//! becomes a placeholder with its headers, and a dead letter names it (rule 13).

use std::sync::Arc;

use bytes::Bytes;
use nodes::evm::EvmBlock;
use runtime::log::{NewRecord, Topic, TopicPartition};
use schemas::{
    Envelope, Op, Origin, TimeMs,
    codec::{Codec, EncodeError, Record},
    records::{
        Checkpoint, CheckpointRecord, DeadLetter, EvmTransaction, NetworkStatus, Payload, RawBlock, RawTransaction,
        RingEntry,
    },
    topics,
};

use crate::{metrics, tracker::Position};

/// Writes records of one partition.
#[derive(Clone)]
pub struct Scribe {
    codec: Arc<Codec>,
    partition: u32,
}

/// What of an envelope the tracker does not know.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// When we first saw the block.
    pub observed_at: TimeMs,
    /// As the chain says.
    pub finality: nodes::evm::Finality,
}

impl Scribe {
    /// For a partition.
    pub fn new(codec: Arc<Codec>, partition: u32) -> Self {
        Self { codec, partition }
    }

    fn record<R: Record>(&self, record: &R) -> Result<NewRecord, EncodeError> {
        let topic: Topic = R::TOPIC.name;
        let partition = if R::TOPIC.per_network { self.partition } else { 0 };
        Ok(NewRecord {
            to: TopicPartition { topic, partition },
            key: Some(Bytes::from(record.key())),
            value: Some(self.codec.encode(record)?),
            headers: record.headers().into_iter().map(|(name, value)| (name.into(), value)).collect(),
        })
    }

    /// Header and transactions of an applied block.
    pub fn apply(&self, entry: &RingEntry, after: &Position, block: EvmBlock, c: Circumstances) -> Result<Vec<NewRecord>, EncodeError> {
        let envelope = Envelope {
            tx_count: entry.tx_count,
            log_count: entry.log_count,
            ..envelope(Op::Apply, entry, after, c)
        };
        let mut records = Vec::with_capacity(block.transactions.len() + 1);
        let child = envelope.child();
        let header = RawBlock { envelope, evm: Some(Box::new(block.header)) };
        records.push(self.record(&header)?);
        for transaction in block.transactions {
            let raw = RawTransaction { envelope: child.clone(), payload: Payload::Transaction(Box::new(transaction)) };
            match self.record(&raw) {
                Ok(record) => records.push(record),
                Err(error) => records.extend(self.placeholder(raw, error)?),
            }
        }
        Ok(records)
    }

    /// A placeholder and its dead letter.
    fn placeholder(&self, raw: RawTransaction, error: EncodeError) -> Result<[NewRecord; 2], EncodeError> {
        let Payload::Transaction(transaction) = raw.payload else { return Err(error) };
        let index = transaction.transaction_index;
        let letter = dead_letter(&raw.envelope, self.partition, &transaction, &error);
        metrics::oversized(&raw.envelope.network);
        tracing::error!(network = %raw.envelope.network, height = raw.envelope.height, index, %error, "a placeholder takes its place");
        let payload = Payload::Unreadable { index, error: error.to_string() };
        Ok([self.record(&RawTransaction { envelope: raw.envelope, payload })?, self.record(&letter)?])
    }

    /// Both records of a revert.
    pub fn revert(&self, entry: &RingEntry, after: &Position, c: Circumstances) -> Result<Vec<NewRecord>, EncodeError> {
        let envelope =
            Envelope { reverts_sequence: Some(entry.sequence), ..envelope(Op::Revert, entry, after, c) };
        let child = RawTransaction { envelope: envelope.child(), payload: Payload::Revert };
        Ok(vec![self.record(&RawBlock { envelope, evm: None })?, self.record(&child)?])
    }

    /// A finality record between blocks: no event, repeats the last sequence.
    pub fn finality(&self, tip: &RingEntry, after: &Position, c: Circumstances) -> Result<Vec<NewRecord>, EncodeError> {
        Ok(vec![self.record(&RawBlock { envelope: envelope(Op::Finality, tip, after, c), evm: None })?])
    }

    /// The checkpoint's record.
    pub fn checkpoint(&self, checkpoint: Checkpoint) -> Result<NewRecord, EncodeError> {
        self.record(&CheckpointRecord::Checkpoint(checkpoint))
    }

    /// The record of a ring entry.
    pub fn ring(&self, entry: RingEntry) -> Result<NewRecord, EncodeError> {
        self.record(&CheckpointRecord::Ring(entry))
    }

    /// The status' record.
    pub fn status(&self, status: &NetworkStatus) -> Result<NewRecord, EncodeError> {
        self.record(status)
    }
}

fn envelope(op: Op, entry: &RingEntry, after: &Position, c: Circumstances) -> Envelope {
    Envelope {
        network: entry.network.clone(),
        sequence: after.sequence,
        op,
        origin: Origin::Live,
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

/// The dead letter of a transaction that the log does not take. Its bytes are over the limit there too: the letter keeps the
/// transaction's hash, under which the node still has it, and its call data where they fit.
fn dead_letter(child: &schemas::ChildEnvelope, partition: u32, t: &EvmTransaction, error: &EncodeError) -> DeadLetter {
    const VALUE_BYTES: usize = schemas::limits::RECORD_VALUE_BYTES / 2;
    DeadLetter {
        source_topic: topics::RAW_TRANSACTIONS.name.into(),
        source_partition: partition,
        source_offset: None,
        stage: "ingest".into(),
        network: Some(child.network.clone()),
        sequence: Some(child.sequence),
        index: Some(t.transaction_index),
        reason: "too_large".into(),
        error: format!("transaction {} of block {}: {error}", t.hash, child.block_hash),
        key: Some(Bytes::copy_from_slice(child.network.as_str().as_bytes())),
        value: (t.input.len() <= VALUE_BYTES).then(|| t.input.0.clone()),
        failed_at: TimeMs::now(),
    }
}

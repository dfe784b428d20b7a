//! One live block event and its frames: made once, when the first connection wants them, and shared as bytes.

use std::sync::{Arc, OnceLock};

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use schemas::{
    Network, Op, TimeMs,
    codec::Codec,
    records::{EnrichedBlock, EnrichedTransaction},
};
use serde::Serialize;

use super::Mark;
use crate::items::{BlockItem, BlockRevert, TransactionItem, TransactionRevert};

/// A block event as it came from the log.
pub struct LiveEvent {
    /// The network.
    pub network: Network,
    /// Its place in the network's order.
    pub sequence: u64,
    /// Apply or revert.
    pub op: Op,
    /// On a revert: what it undoes.
    pub reverts_sequence: Option<u64>,
    /// Bytes that it keeps in memory, about.
    pub bytes: usize,
    made: OnceLock<Frames>,
    source: Option<Source>,
}

/// What the frames are made from.
struct Source {
    block: EnrichedBlock,
    /// Values of `enriched.transactions`, still encoded.
    transactions: Vec<Bytes>,
    codec: Arc<Codec>,
}

/// The text frames of one event.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    /// The block's frame.
    pub block: Option<Utf8Bytes>,
    /// One frame per readable transaction, by position; on a revert one for all.
    pub transactions: Vec<Utf8Bytes>,
    /// What filters look at, of each transaction; empty on a revert, which is everybody's.
    pub marks: Vec<Mark>,
    /// The `position` frame that follows.
    pub position: Utf8Bytes,
}

/// A data frame.
#[derive(Serialize)]
pub struct DataFrame<'a, T: Serialize> {
    /// `block` or `transaction`.
    pub r#type: &'static str,
    /// The network.
    pub network: &'a str,
    /// The sequence.
    pub sequence: u64,
    /// `apply` or `revert`.
    pub op: Op,
    /// What REST gives too.
    pub data: T,
}

impl<T: Serialize> DataFrame<'_, T> {
    /// As text. The types hold nothing that cannot be JSON.
    pub fn text(&self) -> Utf8Bytes {
        serde_json::to_string(self).unwrap_or_default().into()
    }
}

impl LiveEvent {
    /// From the header record and the values of its child records.
    pub fn new(mut block: EnrichedBlock, transactions: Vec<Bytes>, codec: Arc<Codec>) -> Self {
        // No frame shows what windows are merged from, and it may take hundreds of kilobytes.
        if let Some(summary) = &mut block.summary {
            summary.contracts = Vec::new();
            (summary.bins, summary.senders, summary.fees) = (None, None, None);
        }
        let e = &block.envelope;
        // Frames are kept beside the records once they are made; JSON takes about as much as Avro does here.
        let bytes = 2 * (1_024 + transactions.iter().map(|t| t.len() + 128).sum::<usize>());
        Self {
            network: e.network.clone(),
            sequence: e.sequence,
            op: e.op,
            reverts_sequence: e.reverts_sequence,
            bytes,
            made: OnceLock::new(),
            source: Some(Source { block, transactions, codec }),
        }
    }

    /// The block's own time.
    pub fn time(&self) -> Option<TimeMs> {
        self.source.as_ref().map(|source| source.block.envelope.block_time)
    }

    /// Its transactions that can be read, decoded anew.
    pub fn records(&self) -> impl Iterator<Item = EnrichedTransaction> + '_ {
        let source = self.source.iter();
        source.flat_map(|source| source.transactions.iter().filter_map(move |value| source.codec.decode(value).ok()))
    }

    /// The frames; made on the first call.
    pub fn frames(&self) -> &Frames {
        self.made.get_or_init(|| self.source.as_ref().map(Source::make).unwrap_or_default())
    }

    #[cfg(test)]
    pub(crate) fn for_tests(network: Network, sequence: u64, bytes: usize) -> Self {
        Self { network, sequence, op: Op::Apply, reverts_sequence: None, bytes, made: OnceLock::new(), source: None }
    }
}

impl Frames {
    /// Of an event that has nothing to show yet.
    pub fn of(network: &str, sequence: u64) -> Self {
        let position = format!(r#"{{"type":"position","network":"{network}","sequence":{sequence}}}"#).into();
        Self { position, ..Self::default() }
    }

    /// Shows that a block left the chain.
    pub fn revert(&mut self, undone: BlockRevert) {
        let (network, sequence, op) = (undone.network.clone(), undone.sequence, Op::Revert);
        let network = network.as_str();
        let data = TransactionRevert::from_block(&undone);
        self.transactions = vec![DataFrame { r#type: "transaction", network, sequence, op, data }.text()];
        self.block = Some(DataFrame { r#type: "block", network, sequence, op, data: undone }.text());
    }
}

impl Source {
    fn make(&self) -> Frames {
        let e = &self.block.envelope;
        let (network, sequence, op) = (e.network.as_str(), e.sequence, e.op);
        let mut frames = Frames::of(network, sequence);
        if op == Op::Revert {
            frames.revert(BlockRevert::from_envelope(e));
            return frames;
        }
        let transactions = self.transactions.iter().filter_map(|value| {
            let record = match self.codec.decode::<EnrichedTransaction>(value) {
                Ok(record) => record,
                Err(error) => {
                    crate::metrics::undecodable(network);
                    tracing::warn!(network, sequence, %error, "a transaction record cannot be shown live");
                    return None;
                }
            };
            let (data, mark) = (TransactionItem::from_record(&record)?, Mark::from_record(&record)?);
            Some((DataFrame { r#type: "transaction", network, sequence, op, data }.text(), mark))
        });
        (frames.transactions, frames.marks) = transactions.unzip();
        let block = |data| DataFrame { r#type: "block", network, sequence, op, data }.text();
        frames.block = BlockItem::from_record(&self.block).map(block);
        frames
    }
}

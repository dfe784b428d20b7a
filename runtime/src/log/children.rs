//! Records of one event's transactions: the key and the headers that they share are made once.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use schemas::{
    ChildEnvelope,
    headers::{ChainHeaders, names},
};

use super::{Headers, NewRecord, TopicPartition};

/// What the records of an event's transactions have in common.
pub struct Children {
    to: TopicPartition,
    key: Bytes,
    /// All but the index, which comes last.
    headers: Headers,
}

impl Children {
    /// Of an event, for a partition.
    pub fn new(to: TopicPartition, envelope: &ChildEnvelope) -> Self {
        let pairs = ChainHeaders::of_child(envelope, None).to_pairs();
        Self {
            to,
            key: Bytes::copy_from_slice(envelope.network.as_str().as_bytes()),
            headers: pairs.into_iter().map(|(name, value)| (header_name(name), value)).collect(),
        }
    }

    /// The record of the transaction at a place of the block.
    pub fn record(&self, index: u32, value: Bytes) -> NewRecord {
        let mut headers = Headers::with_capacity(self.headers.len() + 1);
        headers.extend_from_slice(&self.headers);
        headers.push((header_name(names::INDEX), index.to_string().into()));
        NewRecord { to: self.to, key: Some(self.key.clone()), value: Some(value), headers }
    }
}

/// Header names are few: made once, shared by all records.
pub fn header_name(name: &str) -> Arc<str> {
    use names::{INDEX, LOG_COUNT, NETWORK, OP, SEQUENCE, STATUS, TX_COUNT};
    static NAMES: LazyLock<[Arc<str>; 7]> =
        LazyLock::new(|| [NETWORK, SEQUENCE, OP, INDEX, TX_COUNT, LOG_COUNT, STATUS].map(Arc::from));
    NAMES.iter().find(|known| &***known == name).cloned().unwrap_or_else(|| name.into())
}

#[cfg(test)]
mod tests {
    use schemas::{BlockHash, Op, TimeMs};

    use super::*;

    #[test]
    fn headers_are_those_of_each_transaction_alone() {
        let envelope = ChildEnvelope {
            network: "net".parse().unwrap(),
            sequence: 7,
            op: Op::Apply,
            height: 9,
            block_hash: "ab".repeat(32).parse::<BlockHash>().unwrap(),
            block_time: TimeMs(1),
            observed_at: TimeMs(2),
        };
        let to = TopicPartition { topic: "raw.transactions", partition: 3 };
        let children = Children::new(to, &envelope);
        for index in [0, 9, 10, u32::MAX] {
            let record = children.record(index, Bytes::from_static(b"value"));
            let alone = ChainHeaders::of_child(&envelope, Some(index)).to_pairs();
            let alone: Headers = alone.into_iter().map(|(name, value)| (name.into(), value)).collect();
            assert_eq!((record.to, record.key.as_deref(), record.headers), (to, Some(&b"net"[..]), alone));
        }
    }
}

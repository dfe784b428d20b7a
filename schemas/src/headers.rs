//! Record headers: network, sequence, op, index and counts, so that what cannot be decoded can still be counted (rule 3).

use bytes::Bytes;

use crate::{
    envelope::{ChildEnvelope, Envelope},
    primitives::{Network, Op, Status},
};

/// Header names.
pub mod names {
    /// The network's slug.
    pub const NETWORK: &str = "network";
    /// The sequence, decimal.
    pub const SEQUENCE: &str = "sequence";
    /// `apply`, `revert` or `finality`.
    pub const OP: &str = "op";
    /// Position in the block, decimal; on child records that have one.
    pub const INDEX: &str = "index";
    /// Number of transactions, decimal; on header records.
    pub const TX_COUNT: &str = "tx_count";
    /// The revision, decimal; on what the control store publishes, removals included.
    pub const REVISION: &str = "revision";
    /// Number of logs, decimal; on header records.
    pub const LOG_COUNT: &str = "log_count";
    /// `failed` or `unknown`; on records of `raw.transactions` whose transaction did not succeed.
    pub const STATUS: &str = "status";
}

/// The header that says that a transaction did not succeed, so that whoever looks for those decodes nothing else. Those that succeeded
/// have none, and neither has anything that was written before there was this header.
pub fn status(status: Status) -> Option<(&'static str, Bytes)> {
    (status != Status::Success).then(|| (names::STATUS, Bytes::from_static(status.as_str().as_bytes())))
}

/// The header that carries a revision.
pub fn revision(revision: u64) -> (&'static str, Bytes) {
    (names::REVISION, revision.to_string().into())
}

/// The headers of a chain record, read or to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainHeaders {
    /// The network.
    pub network: Network,
    /// The sequence.
    pub sequence: u64,
    /// The operation.
    pub op: Op,
    /// Position in the block (child records of an apply).
    pub index: Option<u32>,
    /// Transactions (header records).
    pub tx_count: Option<u32>,
    /// Logs (header records).
    pub log_count: Option<u32>,
}

/// Why a record's headers do not make a chain record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record header `{name}` is {problem}")]
pub struct HeaderError {
    /// Which header.
    pub name: &'static str,
    /// Missing, or not what it should be.
    pub problem: &'static str,
}

impl ChainHeaders {
    /// Headers of a header record.
    pub fn of_block(e: &Envelope) -> Self {
        Self {
            network: e.network.clone(),
            sequence: e.sequence,
            op: e.op,
            index: None,
            tx_count: Some(e.tx_count),
            log_count: Some(e.log_count),
        }
    }

    /// Headers of a child record; `index` is `None` on reverts.
    pub fn of_child(e: &ChildEnvelope, index: Option<u32>) -> Self {
        Self { network: e.network.clone(), sequence: e.sequence, op: e.op, index, tx_count: None, log_count: None }
    }

    /// As name and value pairs, in a fixed order.
    pub fn to_pairs(&self) -> Vec<(&'static str, Bytes)> {
        let mut pairs = vec![
            (names::NETWORK, Bytes::copy_from_slice(self.network.as_str().as_bytes())),
            (names::SEQUENCE, Bytes::from(self.sequence.to_string())),
            (names::OP, Bytes::from_static(self.op.as_str().as_bytes())),
        ];
        for (name, number) in
            [(names::INDEX, self.index), (names::TX_COUNT, self.tx_count), (names::LOG_COUNT, self.log_count)]
        {
            if let Some(n) = number {
                pairs.push((name, Bytes::from(n.to_string())));
            }
        }
        pairs
    }

    /// From a record's headers, given a look-up by name.
    pub fn parse<'a>(get: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, HeaderError> {
        Self::parse_near(get, None)
    }

    /// The same; most records are of the network that the one before was of, and share its name.
    pub fn parse_near<'a>(
        get: impl Fn(&str) -> Option<&'a [u8]>,
        before: Option<&Network>,
    ) -> Result<Self, HeaderError> {
        fn text<'a>(name: &'static str, raw: Option<&'a [u8]>) -> Result<&'a str, HeaderError> {
            let raw = raw.ok_or(HeaderError { name, problem: "missing" })?;
            std::str::from_utf8(raw).map_err(|_| HeaderError { name, problem: "not UTF-8" })
        }
        fn number<T: std::str::FromStr>(name: &'static str, text: &str) -> Result<T, HeaderError> {
            text.parse().map_err(|_| HeaderError { name, problem: "not a number" })
        }
        let optional = |name: &'static str| match get(name) {
            None => Ok(None),
            raw => text(name, raw).and_then(|t| number(name, t)).map(Some),
        };
        Ok(Self {
            network: match (get(names::NETWORK), before) {
                (Some(raw), Some(before)) if raw == before.as_str().as_bytes() => before.clone(),
                (raw, _) => text(names::NETWORK, raw)?
                    .parse()
                    .map_err(|_| HeaderError { name: names::NETWORK, problem: "not a network slug" })?,
            },
            sequence: number(names::SEQUENCE, text(names::SEQUENCE, get(names::SEQUENCE))?)?,
            op: text(names::OP, get(names::OP))?
                .parse()
                .map_err(|_| HeaderError { name: names::OP, problem: "not an operation" })?,
            index: optional(names::INDEX)?,
            tx_count: optional(names::TX_COUNT)?,
            log_count: optional(names::LOG_COUNT)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codec::Record as _,
        primitives::TimeMs,
        records::{EvmTransaction, Payload, RawTransaction},
    };

    #[test]
    fn only_what_did_not_succeed_says_so() {
        let of = |receipt_status| {
            let envelope = ChildEnvelope {
                network: "eth".parse().unwrap(),
                sequence: 1,
                op: Op::Apply,
                height: 1,
                block_hash: "ab".repeat(32).parse().unwrap(),
                block_time: TimeMs(0),
                observed_at: TimeMs(0),
            };
            let transaction = EvmTransaction { receipt_status, ..EvmTransaction::default() };
            let payload = Payload::Evm(Box::new(transaction));
            let pairs = RawTransaction { envelope, payload }.headers();
            (pairs.len(), pairs.into_iter().find(|(name, _)| *name == names::STATUS).map(|(_, value)| value))
        };
        assert_eq!(of(Some(1)), (4, None));
        assert_eq!(of(Some(0)), (5, Some(Bytes::from_static(b"failed"))));
        assert_eq!(of(None), (5, Some(Bytes::from_static(b"unknown"))));
    }
}

//! `dead.letters`: what could not be processed, with its reason, its place and its original bytes (rule 13).

use bytes::Bytes;

use crate::primitives::{Network, TimeMs};

/// A record of `dead.letters`, keyed by source topic.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// Topic (without prefix) that the record was read from, or that it was meant for.
    pub source_topic: String,
    /// Its partition.
    pub source_partition: u32,
    /// Its offset; `None` when it never reached a topic.
    pub source_offset: Option<u64>,
    /// Stage that gave up.
    pub stage: String,
    /// The network, when known.
    pub network: Option<Network>,
    /// The sequence, when known.
    pub sequence: Option<u64>,
    /// Position in the block, when known.
    pub index: Option<u32>,
    /// Class of the failure, such as `undecodable` or `too_large`.
    pub reason: String,
    /// The failure in words.
    pub error: String,
    /// Original key.
    pub key: Option<Bytes>,
    /// Original value, whole.
    pub value: Option<Bytes>,
    /// When the stage gave up.
    pub failed_at: TimeMs,
}

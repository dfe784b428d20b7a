//! `dead.letters`: what could not be processed, with its reason, its place and its original bytes (rule 13).

use bytes::Bytes;

use crate::primitives::{Network, TimeMs};

/// Reasons of dead letters.
pub mod reason {
    /// The value is no record of its topic.
    pub const UNDECODABLE: &str = "undecodable";
    /// The value names a schema id that this program does not know: a newer version wrote it, or another registry's client.
    pub const UNKNOWN_SCHEMA: &str = "unknown_schema";
    /// The record is larger than its topic takes.
    pub const TOO_LARGE: &str = "too_large";
    /// The record belongs to no network: its headers are not ours. Another program wrote it.
    pub const FOREIGN: &str = "foreign";
}

/// Record header of a letter whose original bytes did not fit into one record: `1/3`, `2/3`, `3/3`. The parts stand one after
/// another and are alike but for the bytes.
pub const PART: &str = "part";

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
    /// Class of the failure: one of [`reason`].
    pub reason: String,
    /// The failure in words.
    pub error: String,
    /// Original key.
    pub key: Option<Bytes>,
    /// Original value, whole, or the part of it that the record header [`PART`] names.
    pub value: Option<Bytes>,
    /// When the stage gave up.
    pub failed_at: TimeMs,
}

//! `enriched.events`: every log of a block as a record of its own, for networks that have this switched on.

use std::convert::Infallible;

use alloy_primitives::B256;

use super::{DecodedEvent, EvmLog, Payload};
use crate::envelope::ChildEnvelope;

/// A record of `enriched.events`.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrichedEvent {
    /// Order and meaning.
    pub envelope: ChildEnvelope,
    /// The log; or a placeholder with the log's index where it has no room in a record. Bitcoin has none.
    pub payload: Payload<EmittedEvent, Infallible>,
}

/// A log and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct EmittedEvent {
    /// Position of the transaction in the block, from 0.
    pub transaction_index: u32,
    /// The transaction.
    pub transaction_hash: B256,
    /// As the receipt has it.
    pub log: EvmLog,
    /// `None` where the event is not known.
    pub decoded: Option<DecodedEvent>,
}

//! The envelopes (rule 3): the first columns of every chain record.

use super::{Columns, Group, Malformed, columns, required};
use crate::{
    envelope::{ChildEnvelope, Envelope},
    primitives::{BlockHash, Network, Op, Origin, TimeMs},
};

/// [`Envelope`] while it is read.
#[derive(Default)]
pub(super) struct HeaderRow {
    network: Option<Network>,
    sequence: u64,
    op: Option<Op>,
    origin: Option<Origin>,
    height: u64,
    block_hash: Option<BlockHash>,
    parent_hash: Option<BlockHash>,
    block_time: TimeMs,
    observed_at: TimeMs,
    safe_height: Option<u64>,
    finalized_height: Option<u64>,
    tx_count: u32,
    log_count: u32,
    reverts_sequence: Option<u64>,
    reorg_remaining: u32,
}

columns! { HeaderRow, Envelope {
    must network: Network,
    must sequence: u64,
    must op: Op,
    must origin: Origin,
    must height: u64,
    must block_hash: BlockHash,
    must parent_hash: BlockHash,
    must block_time: TimeMs,
    must observed_at: TimeMs,
    null safe_height: u64,
    null finalized_height: u64,
    must tx_count: u32,
    must log_count: u32,
    null reverts_sequence: u64,
    must reorg_remaining: u32,
} }

pub(super) fn header(group: Group<HeaderRow>) -> Result<Envelope, Malformed> {
    let row = group.finish_required()?;
    Ok(Envelope {
        network: required("network", row.network)?,
        sequence: row.sequence,
        op: required("op", row.op)?,
        origin: required("origin", row.origin)?,
        height: row.height,
        block_hash: required("block_hash", row.block_hash)?,
        parent_hash: required("parent_hash", row.parent_hash)?,
        block_time: row.block_time,
        observed_at: row.observed_at,
        safe_height: row.safe_height,
        finalized_height: row.finalized_height,
        tx_count: row.tx_count,
        log_count: row.log_count,
        reverts_sequence: row.reverts_sequence,
        reorg_remaining: row.reorg_remaining,
    })
}

/// [`ChildEnvelope`] while it is read.
#[derive(Default)]
pub(crate) struct ChildRow {
    network: Option<Network>,
    sequence: u64,
    op: Option<Op>,
    height: u64,
    block_hash: Option<BlockHash>,
    block_time: TimeMs,
    observed_at: TimeMs,
}

columns! { ChildRow, ChildEnvelope {
    must network: Network,
    must sequence: u64,
    must op: Op,
    must height: u64,
    must block_hash: BlockHash,
    must block_time: TimeMs,
    must observed_at: TimeMs,
} }

pub(super) fn child(group: Group<ChildRow>) -> Result<ChildEnvelope, Malformed> {
    let row = group.finish_required()?;
    Ok(ChildEnvelope {
        network: required("network", row.network)?,
        sequence: row.sequence,
        op: required("op", row.op)?,
        height: row.height,
        block_hash: required("block_hash", row.block_hash)?,
        block_time: row.block_time,
        observed_at: row.observed_at,
    })
}

pub(super) const HEADER: usize = HeaderRow::COUNT;
pub(super) const CHILD: usize = ChildRow::COUNT;

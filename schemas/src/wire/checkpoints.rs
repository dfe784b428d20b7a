//! `ingest.checkpoints`: `kind` says whether the checkpoint's or the ring's columns are set.

use super::{Column, Columns, Datum, Malformed, Row, columns, concat, items, parsed, required};
use crate::{
    primitives::{BlockHash, ParseError, TimeMs},
    records::{Asked, Checkpoint, CheckpointRecord, HeldRange, RequestProgress, RequestState, RingEntry},
};

const CHECKPOINT: &str = "checkpoint";
const RING: &str = "ring";

columns! { HeldRange, HeldRange {
    must from: u64,
    must to: u64,
} }

items!(HeldRange);

#[derive(Default)]
struct ProgressRow {
    id: String,
    asks: String,
    state: String,
    detail: Option<String>,
    first: Option<u64>,
    last: Option<u64>,
    next: Option<u64>,
    blocks: u64,
    transactions: u64,
    last_hash: Option<String>,
    changed_at: TimeMs,
}
columns! { ProgressRow, ProgressRow {
    must id: String,
    must asks: String,
    must state: String,
    null detail: String,
    null first: u64,
    null last: u64,
    null next: u64,
    must blocks: u64,
    must transactions: u64,
    null last_hash: String,
    must changed_at: TimeMs,
} }

items!(ProgressRow);

const BACKFILL: &str = "backfill";
const ACCEPT_REORG: &str = "accept-reorg";

impl From<RequestProgress> for ProgressRow {
    fn from(p: RequestProgress) -> Self {
        let (asks, heights, next) = match p.asks {
            Asked::Backfill { heights, next } => (BACKFILL, Some(heights), Some(next)),
            Asked::AcceptReorg => (ACCEPT_REORG, None, None),
        };
        Self {
            id: p.id,
            asks: asks.to_owned(),
            state: p.state.as_str().to_owned(),
            detail: p.detail,
            first: heights.map(|h| h.from),
            last: heights.map(|h| h.to),
            next,
            blocks: p.blocks,
            transactions: p.transactions,
            last_hash: p.last_hash.map(|hash| hash.to_string()),
            changed_at: p.changed_at,
        }
    }
}

impl ProgressRow {
    fn progress(self) -> Result<RequestProgress, Malformed> {
        let asks = match self.asks.as_str() {
            BACKFILL => Asked::Backfill {
                heights: HeldRange {
                    from: required("requests.first", self.first)?,
                    to: required("requests.last", self.last)?,
                },
                next: required("requests.next", self.next)?,
            },
            ACCEPT_REORG => Asked::AcceptReorg,
            other => return Err(malformed("requests.asks", other, "backfill or accept-reorg")),
        };
        let state = RequestState::ALL.into_iter().find(|s| s.as_str() == self.state);
        Ok(RequestProgress {
            id: self.id,
            asks,
            state: state.ok_or_else(|| malformed("requests.state", &self.state, "a request's state"))?,
            detail: self.detail,
            blocks: self.blocks,
            transactions: self.transactions,
            last_hash: self.last_hash.as_deref().map(|hash| parsed("requests.last_hash", hash)).transpose()?,
            changed_at: self.changed_at,
        })
    }
}

/// Both kinds. These records are few, so that the row is filled and parsed rather than written in place.
#[derive(Default)]
struct CheckpointRow {
    kind: String,
    network: String,
    sequence: u64,
    tip_height: Option<u64>,
    tip_hash: Option<BlockHash>,
    first_height: Option<u64>,
    highest_height: Option<u64>,
    reorg_remaining: Option<u32>,
    safe_height: Option<u64>,
    finalized_height: Option<u64>,
    chain_id: Option<String>,
    held: Option<Vec<HeldRange>>,
    reorg_too_deep: Option<bool>,
    updated_at: Option<TimeMs>,
    height: Option<u64>,
    block_hash: Option<BlockHash>,
    parent_hash: Option<BlockHash>,
    block_time: Option<TimeMs>,
    tx_count: Option<u32>,
    log_count: Option<u32>,
    requests: Option<Vec<ProgressRow>>,
}
columns! { CheckpointRow, CheckpointRow {
    must kind: String,
    must network: String,
    must sequence: u64,
    null tip_height: u64,
    null tip_hash: BlockHash,
    null first_height: u64,
    null highest_height: u64,
    null reorg_remaining: u32,
    null safe_height: u64,
    null finalized_height: u64,
    null chain_id: String,
    null held: Vec<HeldRange>,
    null reorg_too_deep: bool,
    null updated_at: TimeMs,
    null height: u64,
    null block_hash: BlockHash,
    null parent_hash: BlockHash,
    null block_time: TimeMs,
    null tx_count: u32,
    null log_count: u32,
    null requests: Vec<ProgressRow>,
} }

impl Row for CheckpointRecord {
    fn columns() -> Vec<Column> {
        concat([CheckpointRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        let row = match self.clone() {
            Self::Checkpoint(c) => CheckpointRow {
                kind: CHECKPOINT.to_owned(),
                network: c.network.as_str().to_owned(),
                sequence: c.sequence,
                tip_height: c.tip_height,
                tip_hash: c.tip_hash,
                first_height: c.first_height,
                highest_height: c.highest_height,
                reorg_remaining: Some(c.reorg_remaining),
                safe_height: c.safe_height,
                finalized_height: c.finalized_height,
                chain_id: Some(c.chain_id),
                held: Some(c.held),
                reorg_too_deep: Some(c.reorg_too_deep),
                updated_at: Some(c.updated_at),
                requests: Some(c.requests.into_iter().map(ProgressRow::from).collect()),
                ..CheckpointRow::default()
            },
            Self::Ring(r) => CheckpointRow {
                kind: RING.to_owned(),
                network: r.network.as_str().to_owned(),
                sequence: r.sequence,
                height: Some(r.height),
                block_hash: Some(r.block_hash),
                parent_hash: Some(r.parent_hash),
                block_time: Some(r.block_time),
                tx_count: Some(r.tx_count),
                log_count: Some(r.log_count),
                ..CheckpointRow::default()
            },
        };
        CheckpointRow::put(&row, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = CheckpointRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        let network = parsed("network", &row.network)?;
        match row.kind.as_str() {
            CHECKPOINT => Ok(Self::Checkpoint(Checkpoint {
                network,
                sequence: row.sequence,
                tip_height: row.tip_height,
                tip_hash: row.tip_hash,
                first_height: row.first_height,
                highest_height: row.highest_height,
                reorg_remaining: required("reorg_remaining", row.reorg_remaining)?,
                safe_height: row.safe_height,
                finalized_height: row.finalized_height,
                chain_id: required("chain_id", row.chain_id)?,
                held: required("held", row.held)?,
                reorg_too_deep: required("reorg_too_deep", row.reorg_too_deep)?,
                updated_at: required("updated_at", row.updated_at)?,
                requests: row
                    .requests
                    .unwrap_or_default()
                    .into_iter()
                    .map(ProgressRow::progress)
                    .collect::<Result<_, _>>()?,
            })),
            RING => Ok(Self::Ring(RingEntry {
                network,
                sequence: row.sequence,
                height: required("height", row.height)?,
                block_hash: required("block_hash", row.block_hash)?,
                parent_hash: required("parent_hash", row.parent_hash)?,
                block_time: required("block_time", row.block_time)?,
                tx_count: required("tx_count", row.tx_count)?,
                log_count: required("log_count", row.log_count)?,
            })),
            other => Err(malformed("kind", other, "checkpoint or ring")),
        }
    }
}

fn malformed(field: &str, found: &str, expected: &'static str) -> Malformed {
    Malformed {
        field: field.to_owned(),
        problem: ParseError::new(found, "word of ingest.checkpoints", expected).into(),
    }
}

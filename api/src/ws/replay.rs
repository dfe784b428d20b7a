//! The past of a network for one resuming connection, step by step: from the store until the ring of live events has all
//! that follows.
//!
//! Why there is no hole and no double: a connection deals with sequences in order, one floor per network. A step either reads
//! from the store what comes right after the floor, up to where the ring begins, or finds that the ring holds everything
//! above the floor and joins it. The ring may move on during a step; then the next step just reads further.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::extract::ws::Utf8Bytes;
use schemas::{Network, Op, limits};
use tokio::sync::OwnedSemaphorePermit;

use super::protocol::Topics;
use crate::{
    app::App,
    error::ApiError,
    items::{BlockItem, BlockRevert, TransactionItem, TransactionRevert},
    live::{LiveEvent, event::DataFrame, ring::Span},
};

/// How long to wait for the store or the ring to move.
const WAIT: Duration = Duration::from_millis(250);
/// How often a block whose transactions are not all visible (a revert is just being written) is read again.
const PATIENCE: u32 = 20;

/// What a step found.
pub enum Step {
    /// Events of the past, in order. The permit bounds how many connections hold such a part at once.
    Past {
        /// The events.
        events: Vec<Past>,
        /// Sequences that are gone (both included), before the events.
        gap: Option<(u64, u64)>,
        /// Last sequence that this part covers.
        position: u64,
        /// Given back when the part is sent.
        permit: OwnedSemaphorePermit,
    },
    /// The ring holds everything above the floor.
    Joined,
    /// Nothing new yet; the step has already waited.
    Wait,
    /// The store does not answer; the step has already waited.
    Away(ApiError),
    /// The replay cannot be.
    Refused(ApiError),
}

/// An event of the past.
pub struct Past {
    /// Its sequence.
    pub sequence: u64,
    /// On a revert: what it undoes.
    pub reverts_sequence: Option<u64>,
    /// An apply that was reverted since.
    pub left_out: bool,
    /// Its data frames.
    pub frames: Vec<Utf8Bytes>,
}

/// Takes the next step for a connection that has dealt with everything up to `floor`.
pub async fn step(app: Arc<App>, network: Network, floor: u64, topics: Topics) -> Step {
    if let Some(span) = app.ring.span(&network)
        && joins(span, app.ring.oldest(&network), floor)
    {
        return Step::Joined;
    }
    let Ok(permit) = Arc::clone(&app.ws_replays).acquire_owned().await else { return Step::Wait };
    let visible = match app.store.processed_sequence(network.as_str()).await {
        Ok(visible) => visible,
        Err(error) => return away(&app, &error).await,
    };
    crate::metrics::visible(network.as_str(), visible);
    let known = app.ring.span(&network).map_or(visible, |s| s.newest.max(visible));
    if floor > known.saturating_add(limits::WS_AHEAD_SEQUENCES) {
        return Step::Refused(ApiError::PositionUnknown { network: network.to_string(), after: floor, newest: known });
    }
    let until = match app.ring.oldest(&network) {
        Some(oldest) if oldest <= floor + 1 => return Step::Joined,
        Some(oldest) => visible.min(oldest - 1),
        None => visible,
    };
    if until <= floor {
        drop(permit);
        wait(&app).await;
        return Step::Wait;
    }
    let mut patience = PATIENCE;
    let page = loop {
        match app.store.replay(&network, floor, until).await {
            Ok(page) => {
                let torn =
                    page.events.iter().any(|e| e.block.is_some() && e.transactions.len() != e.event.tx_count as usize);
                if !torn || patience == 0 {
                    break page;
                }
                patience -= 1;
                tokio::time::sleep(WAIT / 5).await;
            }
            Err(error) => return away(&app, &error).await,
        }
    };
    let left_out = page.left_out.iter().map(|sequence| Past {
        sequence: *sequence,
        reverts_sequence: None,
        left_out: true,
        frames: Vec::new(),
    });
    let told = page.events.into_iter().map(|e| past(&network, topics, e));
    let mut events: Vec<Past> = told.chain(left_out).collect();
    events.sort_by_key(|e| e.sequence);
    Step::Past { events, gap: page.gap, position: page.position, permit }
}

/// Whether the ring holds everything above the floor.
fn joins(span: Span, oldest: Option<u64>, floor: u64) -> bool {
    floor >= span.newest || oldest.is_some_and(|oldest| oldest <= floor + 1)
}

/// Applies and reverts among these events of one network that undo each other: the applies' sequences.
pub fn undone(events: &[Arc<LiveEvent>]) -> Vec<u64> {
    let applied: HashSet<u64> = events.iter().filter(|e| e.op == Op::Apply).map(|e| e.sequence).collect();
    let reverts = events.iter().filter(|e| e.op == Op::Revert).filter_map(|e| e.reverts_sequence);
    reverts.filter(|s| applied.contains(s)).collect()
}

async fn away(app: &App, error: &store::StoreError) -> Step {
    tracing::warn!(%error, "a WebSocket replay waits for the store");
    wait(app).await;
    Step::Away(ApiError::from_store(error))
}

/// Until the ring moves, but not longer than [`WAIT`] (and not shorter than a fifth of it).
async fn wait(app: &App) {
    let mut changes = app.ring.changes();
    tokio::time::sleep(WAIT / 5).await;
    drop(tokio::time::timeout(WAIT - WAIT / 5, changes.changed()).await);
}

fn past(network: &Network, topics: Topics, replayed: store::query::ReplayEvent) -> Past {
    let (event, network) = (replayed.event, network.as_str());
    let sequence = event.sequence;
    let mut frames = Vec::new();
    if let Some(block) = &replayed.block {
        let op = Op::Apply;
        if topics.blocks {
            let data = BlockItem::from_row(block);
            frames.push(DataFrame { r#type: "block", network, sequence, op, data }.text());
        }
        if topics.transactions {
            frames.extend(replayed.transactions.iter().map(|row| {
                let data = TransactionItem::from_row(row);
                DataFrame { r#type: "transaction", network, sequence, op, data }.text()
            }));
        }
    } else {
        let op = Op::Revert;
        let undone = BlockRevert {
            network: network.to_owned(),
            height: event.height,
            hash: event.block_hash,
            reverts_sequence: event.reverts_sequence.unwrap_or_default(),
            sequence,
            observed_at: event.observed_at.rfc3339(),
        };
        if topics.transactions {
            let data = TransactionRevert::from_block(&undone);
            frames.push(DataFrame { r#type: "transaction", network, sequence, op, data }.text());
        }
        if topics.blocks {
            frames.insert(0, DataFrame { r#type: "block", network, sequence, op, data: undone }.text());
        }
    }
    Past { sequence, reverts_sequence: event.reverts_sequence, left_out: false, frames }
}

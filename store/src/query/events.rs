//! Block events, and the replay of what came after a resume token (rule 21).

use std::collections::{HashMap, HashSet};

use clickhouse::Row;
use schemas::{Network, TimeMs, limits};
use serde::Deserialize;

use super::{Block, Transaction, blocks, transactions};
use crate::{Store, StoreError};

/// A block event.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct BlockEvent {
    /// The network's total order.
    pub sequence: u64,
    /// `apply` or `revert`.
    pub op: String,
    /// `live` or `backfill`.
    pub origin: String,
    /// Height.
    pub height: u64,
    /// Hash of the block.
    pub block_hash: String,
    /// The block's own time.
    pub block_time: TimeMs,
    /// Transactions; 0 on reverts.
    pub tx_count: u32,
    /// Logs; 0 on reverts.
    pub log_count: u32,
    /// On a revert: the sequence of the event that it undoes.
    pub reverts_sequence: Option<u64>,
    /// When ingest first saw the block.
    pub observed_at: TimeMs,
    /// When it became visible.
    pub stored_at: TimeMs,
}

/// One event of a replay.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayEvent {
    /// The event.
    pub event: BlockEvent,
    /// On an apply: its block.
    pub block: Option<Block>,
    /// On an apply: its transactions, by position.
    pub transactions: Vec<Transaction>,
}

/// A part of a replay.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayPage {
    /// Events in order.
    pub events: Vec<ReplayEvent>,
    /// Sequences of applies in this part that are left out because they were reverted since. Their reverts are left out too
    /// where they fall into this part; a reader keeps this list and drops a revert of one of these that comes later.
    pub left_out: Vec<u64>,
    /// The last sequence that this part covers: `after` of the next part, and the resume token once it is sent.
    pub position: u64,
    /// Whether the part reaches `until`.
    pub done: bool,
    /// The first sequence that should have been here and is not held (rule 21: a `gap`), with the last one of the hole.
    pub gap: Option<(u64, u64)>,
}

impl Store {
    /// Block events with `after < sequence <= until`, in order, at most `limit`.
    pub async fn events(
        &self,
        network: &Network,
        after: u64,
        until: u64,
        limit: u32,
    ) -> Result<Vec<BlockEvent>, StoreError> {
        let sql = "SELECT sequence, op, origin, height, block_hash, block_time, tx_count, log_count, reverts_sequence, \
                   observed_at, stored_at FROM block_events WHERE network = {network:String} AND sequence > {after:UInt64} \
                   AND sequence <= {until:UInt64} ORDER BY sequence LIMIT {limit:UInt32}";
        let query = self.read(sql).param("network", network.as_str()).param("after", after);
        let call = query.param("until", until).param("limit", limit).fetch_all::<BlockEvent>();
        self.within("reading block events", call).await
    }

    /// The next part of a replay of `after < sequence <= until`. Call again with `after = position` until `done`.
    /// `until` must be visible already ([`Store::processed_sequence`]).
    pub async fn replay(&self, network: &Network, after: u64, until: u64) -> Result<ReplayPage, StoreError> {
        let mut events = self.events(network, after, until, limits::REPLAY_EVENTS).await?;
        let mut gap = None;
        let mut expected = after + 1;
        for (i, event) in events.iter().enumerate() {
            if event.sequence != expected {
                // What comes before the hole is delivered first; a hole at the very front is reported and jumped over.
                if i == 0 {
                    gap = Some((expected, event.sequence - 1));
                } else {
                    events.truncate(i);
                    break;
                }
            }
            expected = event.sequence + 1;
        }
        // A part ends before it has too many transactions, but holds at least one event.
        let mut sum = 0u32;
        let fits = events.iter().take_while(|e| {
            let first = sum == 0;
            sum = sum.saturating_add(e.tx_count);
            first || sum <= limits::REPLAY_TRANSACTIONS
        });
        let keep = fits.count().max(1).min(events.len());
        events.truncate(keep);
        if events.is_empty() {
            let gap = (after < until).then_some((after + 1, until));
            return Ok(ReplayPage { events: Vec::new(), left_out: Vec::new(), position: until, done: true, gap });
        }
        let position = events.last().map_or(until, |e| e.sequence);

        let reverted = self.reverted_since(network, after).await?;
        let wanted = |e: &&BlockEvent| e.op == "apply" && !reverted.contains(&e.sequence);
        let (heights, sequences): (Vec<u64>, Vec<u64>) =
            events.iter().filter(wanted).map(|e| (e.height, e.sequence)).unzip();
        let (mut blocks, mut children) = if sequences.is_empty() {
            (HashMap::new(), HashMap::new())
        } else {
            let blocks = self.replay_blocks(network, &heights, &sequences);
            futures::future::try_join(blocks, self.replay_transactions(network, &heights, &sequences)).await?
        };

        let mut page = ReplayPage { events: Vec::new(), left_out: Vec::new(), position, done: position >= until, gap };
        for event in events {
            if event.op == "apply" {
                let transactions = children.remove(&event.sequence).unwrap_or_default();
                match blocks.remove(&event.sequence) {
                    Some(block) if block.readable_count() == transactions.len() => {
                        page.events.push(ReplayEvent { event, block: Some(block), transactions });
                    }
                    // Reverted since, or just now.
                    _ => page.left_out.push(event.sequence),
                }
            } else if event.reverts_sequence.is_none_or(|undone| !page.left_out.contains(&undone)) {
                page.events.push(ReplayEvent { event, block: None, transactions: Vec::new() });
            }
        }
        Ok(page)
    }

    /// Sequences above `after` that a revert has undone.
    async fn reverted_since(&self, network: &Network, after: u64) -> Result<HashSet<u64>, StoreError> {
        let sql = "SELECT assumeNotNull(reverts_sequence) AS undone FROM block_event_rows WHERE network = {network:String} \
                   AND sequence > {after:UInt64} AND op = 'revert' AND reverts_sequence > {after:UInt64}";
        let query = self.read(sql).param("network", network.as_str()).param("after", after);
        Ok(self.within("reading reverts", query.fetch_all::<u64>()).await?.into_iter().collect())
    }

    async fn replay_blocks(
        &self,
        network: &Network,
        heights: &[u64],
        sequences: &[u64],
    ) -> Result<HashMap<u64, Block>, StoreError> {
        let sql = format!(
            "SELECT {} FROM blocks WHERE network = {{network:String}} AND number IN {{heights:Array(UInt64)}} \
             AND sequence IN {{sequences:Array(UInt64)}}",
            blocks::COLUMNS
        );
        let query = self.read(&sql).param("network", network.as_str()).param("heights", heights);
        let call = query.param("sequences", sequences).fetch_all::<Block>();
        let blocks = self.within("reading blocks to replay", call).await?;
        Ok(blocks.into_iter().map(|b| (b.sequence, b)).collect())
    }

    async fn replay_transactions(
        &self,
        network: &Network,
        heights: &[u64],
        sequences: &[u64],
    ) -> Result<HashMap<u64, Vec<Transaction>>, StoreError> {
        let sql = format!(
            "SELECT {} FROM transactions WHERE network = {{network:String}} \
             AND block_number IN {{heights:Array(UInt64)}} AND sequence IN {{sequences:Array(UInt64)}} \
             ORDER BY sequence, transaction_index",
            transactions::COLUMNS
        );
        let query = self.read(&sql).param("network", network.as_str()).param("heights", heights);
        let call = query.param("sequences", sequences).fetch_all::<Transaction>();
        let mut by_sequence: HashMap<u64, Vec<Transaction>> = HashMap::new();
        for transaction in self.within("reading transactions to replay", call).await? {
            by_sequence.entry(transaction.sequence).or_default().push(transaction);
        }
        Ok(by_sequence)
    }
}

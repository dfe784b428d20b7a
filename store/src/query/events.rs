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
    /// What it holds.
    pub rows: Rows,
}

/// What the store holds of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// A block that joined the chain, and still is in it.
    Applied {
        /// The block.
        block: Box<Block>,
        /// Its transactions, by position; empty when they were not asked for.
        transactions: Vec<Transaction>,
    },
    /// A block that joined the chain and has left it since: the revert is a later event.
    Undone,
    /// A block that left the chain. The event says which.
    Revert,
}

/// A part of a replay.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayPage {
    /// The first sequence that should have been here and is not held (rule 21: a `gap`), with the last one of the hole.
    pub gap: Option<(u64, u64)>,
    /// Why not.
    pub reason: GapReason,
    /// Every event behind the gap, in order.
    pub events: Vec<ReplayEvent>,
    /// The last sequence that this part covers: `after` of the next part, and the resume token once it is sent.
    pub position: u64,
    /// Whether the part reaches `until`.
    pub done: bool,
    /// Whether the next event's rows are not whole although nothing has reverted it. Mostly they are just being removed, before
    /// the revert itself becomes visible: ask again. What stays so is lost.
    pub torn: bool,
}

/// Why sequences are not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GapReason {
    /// Nothing is known of them.
    #[default]
    NotHeld,
    /// What they held was removed by `[store] keep` or `max_bytes` (rule 32).
    Pruned,
}

impl GapReason {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotHeld => "not_held",
            Self::Pruned => "pruned",
        }
    }
}

/// Within how many events most reverts follow what they undo: twice the depth of the deepest reorg (rule 4), and as many blocks
/// of a back-fill between.
const REVERT_SOON: u64 = 4_096;

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
    /// `until` must be visible already ([`Store::processed_sequence`]). `transactions` bounds how many a part has (a single block
    /// may have more); `None` leaves them out.
    pub async fn replay(
        &self,
        network: &Network,
        after: u64,
        until: u64,
        transactions: Option<u32>,
    ) -> Result<ReplayPage, StoreError> {
        let mut events = self.events(network, after, until, limits::REPLAY_EVENTS).await?;
        let first = events.first().map_or(until.saturating_add(1), |e| e.sequence);
        // A hole at the front is reported and jumped over; what comes before a later one is delivered first.
        let gap = (first > after + 1).then(|| (after + 1, first - 1));
        let unbroken = events.iter().zip(first..).take_while(|(e, sequence)| e.sequence == *sequence).count();
        events.truncate(unbroken);
        if let Some(most) = transactions {
            let mut sum = 0u32;
            let fits = events.iter().take_while(|e| {
                let alone = sum == 0;
                sum = sum.saturating_add(e.tx_count);
                alone || sum <= most
            });
            let fits = fits.count();
            events.truncate(fits);
        }
        let (heights, sequences): (Vec<u64>, Vec<u64>) =
            events.iter().filter(|e| e.op == "apply").map(|e| (e.height, e.sequence)).unzip();
        let children = async {
            match transactions {
                Some(_) => self.replay_transactions(network, &heights, &sequences).await,
                None => Ok(HashMap::new()),
            }
        };
        let (mut blocks, mut children) =
            futures::future::try_join(self.replay_blocks(network, &heights, &sequences), children).await?;
        let mut applied = HashMap::new();
        for sequence in &sequences {
            let of_it = children.remove(sequence).unwrap_or_default();
            if let Some(block) = blocks.remove(sequence)
                && (transactions.is_none() || block.readable_count() == of_it.len())
            {
                applied.insert(*sequence, (Box::new(block), of_it));
            }
        }
        let missing: Vec<u64> = sequences.into_iter().filter(|sequence| !applied.contains_key(sequence)).collect();
        let undone = self.undone(network, &missing).await?;
        let lacks = |e: &BlockEvent| missing.contains(&e.sequence) && !undone.contains(&e.sequence);
        let below = match events.iter().any(lacks) {
            true => self.pruned_below(network).await?.map_or(0, |pruned| pruned.below),
            false => 0,
        };

        let reason = GapReason::NotHeld;
        let mut page = ReplayPage { gap, reason, events: Vec::new(), position: first - 1, done: false, torn: false };
        for event in events {
            if lacks(&event) && event.height < below {
                // At the front all that was removed is told at once; behind other events, by the next part.
                if page.gap.is_none() && page.events.is_empty() {
                    let next = self.next_kept(network, event.sequence, until, below).await?;
                    let to = next.map_or(until, |next| next - 1);
                    (page.gap, page.reason, page.position) = (Some((after + 1, to)), GapReason::Pruned, to);
                    page.done = to >= until;
                }
                return Ok(page);
            }
            let rows = match event.op.as_str() {
                "apply" => match applied.remove(&event.sequence) {
                    Some((block, transactions)) => Rows::Applied { block, transactions },
                    None if undone.contains(&event.sequence) => Rows::Undone,
                    None => {
                        page.torn = true;
                        break;
                    }
                },
                _ => Rows::Revert,
            };
            page.position = event.sequence;
            page.events.push(ReplayEvent { event, rows });
        }
        page.done = !page.torn && page.position >= until;
        Ok(page)
    }

    /// The first event after `after`, up to `until`, of a height that is not below `below`.
    async fn next_kept(
        &self,
        network: &Network,
        after: u64,
        until: u64,
        below: u64,
    ) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT sequence FROM block_event_rows WHERE network = {network:String} AND sequence > {after:UInt64} \
                   AND sequence <= {until:UInt64} AND height >= {below:UInt64} ORDER BY network, sequence LIMIT 1";
        let query = self.read(sql).param("network", network.as_str()).param("after", after).param("until", until);
        let call = query.param("below", below).fetch_optional::<u64>();
        self.within("looking for what was not removed", call).await
    }

    /// Which of these applies, in rising order, a later event has reverted.
    async fn undone(&self, network: &Network, applies: &[u64]) -> Result<HashSet<u64>, StoreError> {
        let (Some(first), Some(last)) = (applies.first(), applies.last()) else { return Ok(HashSet::new()) };
        let soon = last.saturating_add(REVERT_SOON);
        let mut undone = self.reverted_within(network, applies, *first, soon).await?;
        if undone.len() < applies.len() {
            undone.extend(self.reverted_within(network, applies, soon, u64::MAX).await?);
        }
        Ok(undone)
    }

    /// Which of these applies a revert with `after < sequence <= until` undoes.
    async fn reverted_within(
        &self,
        network: &Network,
        applies: &[u64],
        after: u64,
        until: u64,
    ) -> Result<HashSet<u64>, StoreError> {
        let sql = "SELECT assumeNotNull(reverts_sequence) AS undone FROM block_event_rows WHERE network = {network:String} \
                   AND sequence > {after:UInt64} AND sequence <= {until:UInt64} AND op = 'revert' \
                   AND reverts_sequence IN {applies:Array(UInt64)}";
        let query = self.read(sql).param("network", network.as_str()).param("applies", applies);
        let call = query.param("after", after).param("until", until).fetch_all::<u64>();
        Ok(self.within("reading reverts", call).await?.into_iter().collect())
    }

    async fn replay_blocks(
        &self,
        network: &Network,
        heights: &[u64],
        sequences: &[u64],
    ) -> Result<HashMap<u64, Block>, StoreError> {
        if sequences.is_empty() {
            return Ok(HashMap::new());
        }
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
        if sequences.is_empty() {
            return Ok(HashMap::new());
        }
        let sql = format!(
            "SELECT {} FROM transactions WHERE network = {{network:String}} \
             AND block_number IN {{heights:Array(UInt64)}} AND sequence IN {{sequences:Array(UInt64)}} \
             ORDER BY sequence, transaction_index",
            transactions::COLUMNS_OF_REPLAYS
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

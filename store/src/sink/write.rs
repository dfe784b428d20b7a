//! Writing a batch (rule 16).
//!
//! Guarantee: rows are on disk before their block's row, the block's row before its event's row, and all of it before
//! [`Writer::write`] returns; a revert's deletion rows are on disk before its event's row. Whatever is cut off between
//! two of these steps is done again by the same events with the same result. So whoever finds an event's row finds
//! everything of that event.

use std::collections::{BTreeMap, HashMap};

use futures::future::try_join;
use schemas::{Envelope, Network, TimeMs};

use super::{
    batch::{Event, phases},
    insert::{SETTINGS, insert_blocks, insert_events, insert_logs, insert_statuses, insert_transactions},
    patience::Patience,
    status::StatusRow,
};
use crate::{Store, StoreError, client::deadline};

/// Heights and sequences named in one statement; keeps its parameters within every server's URL limit.
const NAMES_PER_STATEMENT: usize = 256;

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The stage was told to stop.
    #[error("stopped")]
    Stopped,
    /// The store refuses for good.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes batches, one after the other.
pub(super) struct Writer {
    store: Store,
    patience: Patience,
    /// Highest height that ever had a block row, per network: a block above it cannot meet another event's rows.
    tops: HashMap<Network, Option<u64>>,
}

/// A block of a network and the event that applied it.
type Held = (u64, u64);

impl Writer {
    pub fn new(store: Store, patience: Patience) -> Self {
        Self { store, patience, tops: HashMap::new() }
    }

    /// Where it writes.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Forgets what it knows of the store: somebody else may have written.
    pub fn forget(&mut self) {
        self.tops.clear();
    }

    /// Writes everything of these events, trying again while the store is away.
    pub async fn write(&mut self, events: &[Event]) -> Result<(), WriteError> {
        // Taken once, so that a second try writes the same bytes.
        let stored_at = TimeMs::now();
        for phase in phases(events) {
            self.revert(&phase.reverts).await?;
            if !phase.applies.is_empty() {
                self.apply(&phase.applies, stored_at).await?;
            }
            let run = phase.events();
            self.patience.again(|| insert_events(&self.store, &run, stored_at)).await?;
        }
        Ok(())
    }

    /// Writes states of networks.
    pub async fn write_statuses(&self, rows: &[StatusRow]) -> Result<(), WriteError> {
        self.patience.again(|| insert_statuses(&self.store, rows)).await
    }

    async fn apply(&mut self, run: &[&Event], stored_at: TimeMs) -> Result<(), WriteError> {
        self.clear(run).await?;
        let transactions: Vec<_> = run.iter().map(|e| e.transactions.as_slice()).collect();
        try_join(
            self.patience.again(|| insert_transactions(&self.store, &transactions)),
            self.patience.again(|| insert_logs(&self.store, &transactions)),
        )
        .await?;
        self.patience.again(|| insert_blocks(&self.store, run, stored_at)).await
    }

    async fn revert(&self, run: &[&Event]) -> Result<(), WriteError> {
        for (network, held) in by_network(run, |e| Some((e.height, e.reverts_sequence?))) {
            self.delete(network, &held).await?;
        }
        Ok(())
    }

    /// Deletes what other, older events hold at the heights of these applies.
    async fn clear(&mut self, run: &[&Event]) -> Result<(), WriteError> {
        for (network, applied) in by_network(run, |e| Some((e.height, e.sequence))) {
            let top = match self.tops.get(network) {
                Some(top) => *top,
                None => self.patience.again(|| self.store.height_bounds(network.as_str())).await?.map(|(_, high)| high),
            };
            let below: BTreeMap<u64, u64> = applied.iter().copied().filter(|(h, _)| Some(*h) <= top).collect();
            let heights: Vec<u64> = below.keys().copied().collect();
            for heights in heights.chunks(NAMES_PER_STATEMENT) {
                let held = self.patience.again(|| held_at(&self.store, network, heights)).await?;
                let others: Vec<Held> =
                    held.into_iter().filter(|(h, s)| below.get(h).is_some_and(|new| s < new)).collect();
                self.delete(network, &others).await?;
            }
            let high = applied.iter().map(|(h, _)| *h).max();
            self.tops.insert(network.clone(), top.max(high));
        }
        Ok(())
    }

    /// Inserts a deletion row for every key of these events: first the blocks, then what they hold.
    async fn delete(&self, network: &Network, held: &[Held]) -> Result<(), WriteError> {
        for held in held.chunks(NAMES_PER_STATEMENT) {
            self.patience.again(|| delete_from(&self.store, BLOCKS, network, held)).await?;
            try_join(
                self.patience.again(|| delete_from(&self.store, TRANSACTIONS, network, held)),
                self.patience.again(|| delete_from(&self.store, LOGS, network, held)),
            )
            .await?;
        }
        Ok(())
    }
}

/// The pairs that `pick` finds, by network, in order.
fn by_network<'e>(run: &[&'e Event], pick: impl Fn(&Envelope) -> Option<Held>) -> BTreeMap<&'e Network, Vec<Held>> {
    let mut found: BTreeMap<&Network, Vec<Held>> = BTreeMap::new();
    for event in run {
        if let Some(held) = pick(&event.block.envelope) {
            found.entry(event.network()).or_default().push(held);
        }
    }
    found
}

/// The events whose rows stand at these heights.
async fn held_at(store: &Store, network: &Network, heights: &[u64]) -> Result<Vec<Held>, StoreError> {
    let sql = "SELECT height, sequence FROM block_rows FINAL WHERE network = {network:String} \
               AND height IN {heights:Array(UInt64)}";
    let query = store.read(sql).param("network", network.as_str()).param("heights", heights);
    store.within("reading what stands at a height", query.fetch_all::<Held>()).await
}

const BLOCKS: &str = "INSERT INTO block_rows (network, height, sequence, version, is_deleted, block_time)
SELECT network, height, sequence, 2 * sequence + 1, 1, block_time FROM block_rows
WHERE network = {network:String} AND height IN {heights:Array(UInt64)} AND sequence IN {sequences:Array(UInt64)}
    AND is_deleted = 0";
pub(super) const TRANSACTIONS: &str =
    "INSERT INTO evm_transaction_rows (network, height, transaction_index, sequence, version, is_deleted, block_time)
SELECT network, height, transaction_index, sequence, 2 * sequence + 1, 1, block_time FROM evm_transaction_rows
WHERE network = {network:String} AND height IN {heights:Array(UInt64)} AND sequence IN {sequences:Array(UInt64)}
    AND is_deleted = 0";
pub(super) const LOGS: &str =
    "INSERT INTO evm_log_rows (network, height, transaction_index, log_index, sequence, version, is_deleted, block_time)
SELECT network, height, transaction_index, log_index, sequence, 2 * sequence + 1, 1, block_time FROM evm_log_rows
WHERE network = {network:String} AND height IN {heights:Array(UInt64)} AND sequence IN {sequences:Array(UInt64)}
    AND is_deleted = 0";

/// Runs one of the deletions. Without `FINAL`: a deletion row too many is harmless, one too few is not.
pub(super) async fn delete_from(
    store: &Store,
    sql: &'static str,
    network: &Network,
    held: &[Held],
) -> Result<(), StoreError> {
    let (heights, sequences): (Vec<u64>, Vec<u64>) = held.iter().copied().unzip();
    let statement = store
        .client()
        .query(sql)
        .param("network", network.as_str())
        .param("heights", &heights)
        .param("sequences", &sequences);
    let statement = SETTINGS.iter().fold(statement, |statement, (name, value)| statement.with_setting(*name, *value));
    deadline("inserting deletion rows", store.config().write_deadline, statement.execute()).await
}

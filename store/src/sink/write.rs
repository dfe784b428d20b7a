//! Writing a batch (rule 16).
//!
//! Guarantee: rows are on disk before their block's row, the block's row before its event's row, and all of it before
//! [`Writer::write`] returns; a revert's deletion rows are on disk before its event's row. Deletion rows come the same way round: what
//! a block holds first, then the block, for whoever does it again finds by the block what is to be deleted; then what was inserted
//! from elsewhere between the two ([`super::mend`]). Whatever is cut off between
//! two of these steps is done again by the same events with the same result. So whoever finds an event's row finds
//! everything of that event, and nothing of what it replaced. Shown by `tests/sink/cut.rs`, which cuts it at every statement.
//!
//! Of heights that `[store] keep` removed only the events are written (kept in [`super::floors`]).
//!
//! What the store refuses for good stops the network that it belongs to and no other (kept in [`super::apart`]).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use futures::future::{try_join_all, try_join5};
use schemas::{Envelope, Network, TimeMs};
use tokio::sync::watch;

use super::{
    batch::{Event, phases},
    delete::{BLOCKS, Held, Table, delete_from, delete_left},
    error::WriteError,
    family::{children_of, family_of},
    floors::{Floors, Heights},
    insert::{
        insert_bitcoin_inputs, insert_bitcoin_outputs, insert_bitcoin_transactions, insert_blocks, insert_events,
        insert_logs, insert_statuses, insert_transactions,
    },
    metrics,
    patience::Patience,
    spans::{self, Spans},
    stale::{self, Marks},
};
use crate::{Store, StoreError, rows::StatusRow};

/// Heights and sequences named in one statement; keeps its parameters within every server's URL limit.
const NAMES_PER_STATEMENT: usize = 256;
/// Open buckets of a network that are remembered as marked; one that is forgotten is marked again.
const OPEN_BUCKETS: usize = 64;
/// Fewest tries after which the store counts as refusing.
const TRIES: u32 = 3;

/// A block event that the store does not take. Nothing after it of its network was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub network: Network,
    pub sequence: u64,
    pub height: u64,
    /// What the store says.
    pub why: String,
}

/// Writes batches, one after the other.
pub(super) struct Writer {
    pub(super) store: Store,
    patience: Patience,
    /// How long the store may refuse a batch before it is taken apart.
    refusals: Duration,
    /// Highest height that ever had a block row, per network: a block above it cannot meet another event's rows.
    tops: HashMap<Network, Option<u64>>,
    /// Heights of a partition of each network, as far as they are known, and as the configuration would choose them.
    spans: Spans,
    wanted_spans: watch::Receiver<BTreeMap<Network, u32>>,
    floors: Floors,
    /// Buckets of heights whose counts this process has marked as open.
    open: HashMap<Network, BTreeSet<u64>>,
    /// Networks of which something was refused: they are written apart, so that nobody waits for them a second time.
    pub(super) suspects: HashSet<Network>,
}

impl Writer {
    pub fn new(
        store: Store,
        patience: Patience,
        refusals: Duration,
        floors: Floors,
        wanted_spans: watch::Receiver<BTreeMap<Network, u32>>,
    ) -> Self {
        let (tops, suspects, spans, open) = (HashMap::new(), HashSet::new(), Spans::default(), HashMap::new());
        Self { store, patience, refusals, tops, spans, wanted_spans, floors, open, suspects }
    }

    /// Forgets what it knows of the store: somebody else may have written.
    pub async fn forget(&mut self) -> Result<(), WriteError> {
        self.tops.clear();
        self.open.clear();
        self.patience.again(|| self.floors.load(&self.store)).await.map(drop)
    }

    /// Writes everything of these events, trying again while the store is away. Returns what the store does not take.
    pub async fn write(&mut self, events: &[Event]) -> Result<Vec<Refused>, WriteError> {
        // Taken once, so that a second try writes the same bytes.
        let stored_at = TimeMs::now();
        let (suspects, others): (Vec<&Event>, Vec<&Event>) =
            events.iter().partition(|e| self.suspects.contains(e.network()));
        let patience = self.patience.until_refused(TRIES, self.refusals);
        let mut refused = match self.write_once(&patience, &others, stored_at).await {
            Ok(()) => Vec::new(),
            Err(WriteError::Refused(error)) => {
                tracing::warn!(%error, events = others.len(), "the store refuses a batch: it is taken apart");
                self.apart(&others, stored_at).await?
            }
            Err(e) => return Err(e),
        };
        if !suspects.is_empty() {
            refused.extend(self.apart(&suspects, stored_at).await?);
        }
        Ok(refused)
    }

    /// Patience with one block event of a batch that was taken apart, and with the statements that look for the cause.
    pub(super) fn short(&self) -> (Patience, Patience) {
        (self.patience.until_refused(TRIES, self.refusals / 6), self.patience.until_refused(1, Duration::ZERO))
    }

    /// Writes events, in order. May be done again with the same result.
    pub(super) async fn write_once(
        &mut self,
        patience: &Patience,
        events: &[&Event],
        stored_at: TimeMs,
    ) -> Result<(), WriteError> {
        let floors = self.floors.read().await;
        self.know_spans(patience, events).await?;
        for phase in phases(events) {
            let (reverts, applies) = (kept(&floors, &phase.reverts), kept(&floors, &phase.applies));
            metrics::pruned(phase.reverts.len() + phase.applies.len() - reverts.len() - applies.len());
            let marks = self.marks(patience, &reverts, &applies).await?;
            self.revert(patience, &reverts).await?;
            if !applies.is_empty() {
                self.apply(patience, &applies, stored_at).await?;
            }
            for (network, heights) in &marks {
                patience.again(|| stale::mark(&self.store, network, heights)).await?;
            }
            let run = phase.events();
            patience.again(|| insert_events(&self.store, &run, stored_at)).await?;
        }
        Ok(())
    }

    /// Writes states of networks.
    pub async fn write_statuses(&self, rows: &[StatusRow]) -> Result<(), WriteError> {
        self.patience.again(|| insert_statuses(&self.store, rows)).await
    }

    async fn apply(&mut self, patience: &Patience, run: &[&Event], stored_at: TimeMs) -> Result<(), WriteError> {
        self.open(patience, run).await?;
        self.clear(patience, run).await?;
        let (transactions, spans): (Vec<_>, _) = (run.iter().map(|e| e.transactions.as_slice()).collect(), &self.spans);
        // Where a run holds nothing of a table nothing is sent.
        try_join5(
            patience.again(|| insert_transactions(&self.store, &transactions, spans)),
            patience.again(|| insert_logs(&self.store, &transactions, spans)),
            patience.again(|| insert_bitcoin_transactions(&self.store, &transactions, spans)),
            patience.again(|| insert_bitcoin_inputs(&self.store, &transactions, spans)),
            patience.again(|| insert_bitcoin_outputs(&self.store, &transactions, spans)),
        )
        .await?;
        patience.again(|| insert_blocks(&self.store, run, spans, stored_at)).await
    }

    /// Learns the partitions of networks that are new here, and chooses those of networks that have none.
    async fn know_spans(&mut self, patience: &Patience, events: &[&Event]) -> Result<(), WriteError> {
        for event in events {
            let network = event.network();
            if !self.spans.knows(network) {
                let wanted = spans::wanted(&self.wanted_spans.borrow(), network);
                let span = patience.again(|| spans::record(&self.store, network.as_str(), wanted)).await?;
                self.spans.set(network, span);
            }
        }
        Ok(())
    }

    /// Marks the counts of buckets that are still open, once each, so that readers count them from the rows.
    async fn open(&mut self, patience: &Patience, run: &[&Event]) -> Result<(), WriteError> {
        for (network, applied) in by_network(run, |e| Some((e.height, e.sequence))) {
            let top = self.top(patience, network).await?;
            let known = self.open.entry(network.clone()).or_default();
            let is_open = |height: &u64| top.is_none_or(|top| !stale::may_be_counted(*height, top));
            let buckets = applied.iter().map(|(height, _)| *height).filter(is_open).map(stale::bucket_of);
            let new: BTreeSet<u64> = buckets.filter(|bucket| !known.contains(bucket)).collect();
            if new.is_empty() {
                continue;
            }
            let heights: Vec<u64> = new.iter().copied().collect();
            patience.again(|| stale::mark(&self.store, network, &heights)).await?;
            known.extend(new);
            while known.len() > OPEN_BUCKETS {
                known.pop_first();
            }
        }
        Ok(())
    }

    async fn revert(&self, patience: &Patience, run: &[&Event]) -> Result<(), WriteError> {
        for (network, held) in by_network(run, |e| Some((e.height, e.reverts_sequence?))) {
            self.delete(patience, (network, tables(run, network)), &held).await?;
        }
        Ok(())
    }

    /// Deletes what other, older events hold at the heights of these applies.
    async fn clear(&mut self, patience: &Patience, run: &[&Event]) -> Result<(), WriteError> {
        for (network, applied) in by_network(run, |e| Some((e.height, e.sequence))) {
            let top = self.top(patience, network).await?;
            let below: BTreeMap<u64, u64> = applied.iter().copied().filter(|(h, _)| Some(*h) <= top).collect();
            let heights: Vec<u64> = below.keys().copied().collect();
            for heights in heights.chunks(NAMES_PER_STATEMENT) {
                let held = patience.again(|| held_at(&self.store, network, heights)).await?;
                let others: Vec<Held> =
                    held.into_iter().filter(|(h, s)| below.get(h).is_some_and(|new| s < new)).collect();
                self.delete(patience, (network, tables(run, network)), &others).await?;
            }
            let high = applied.iter().map(|(h, _)| *h).max();
            self.tops.insert(network.clone(), top.max(high));
        }
        Ok(())
    }

    /// The highest height of a network that ever had a block row.
    async fn top(&mut self, patience: &Patience, network: &Network) -> Result<Option<u64>, WriteError> {
        if let Some(top) = self.tops.get(network) {
            return Ok(*top);
        }
        let bounds = patience.again(|| self.store.height_bounds(network.as_str())).await?;
        let top = bounds.map(|(_, high)| high);
        self.tops.insert(network.clone(), top);
        Ok(top)
    }

    /// Counts that these events may make wrong, by what stands before they are written.
    async fn marks<'e>(
        &mut self,
        patience: &Patience,
        reverts: &[&'e Event],
        applies: &[&'e Event],
    ) -> Result<Marks<'e>, WriteError> {
        let mut marks = Marks::new();
        let changes: Vec<&Event> = reverts.iter().chain(applies).copied().collect();
        for (network, held) in by_network(&changes, |e| Some((e.height, e.sequence))) {
            if let Some(top) = self.top(patience, network).await? {
                let counted: Vec<u64> =
                    held.into_iter().map(|(h, _)| h).filter(|h| stale::may_be_counted(*h, top)).collect();
                if !counted.is_empty() {
                    marks.push((network, counted));
                }
            }
        }
        Ok(marks)
    }

    /// Inserts a deletion row for every key of these events: first what the blocks hold, then the blocks, and then what
    /// [`super::mend`] inserted meanwhile, which looks for the block behind its own rows: either it finds none, or its rows are found
    /// here. `children`: the tables of what they hold.
    async fn delete(
        &self,
        patience: &Patience,
        (network, children): (&Network, &'static [Table]),
        held: &[Held],
    ) -> Result<(), WriteError> {
        for held in held.chunks(NAMES_PER_STATEMENT) {
            let of_table = |table: &Table| {
                let table = *table;
                patience.again(move || delete_from(&self.store, table, network, held))
            };
            try_join_all(children.iter().map(of_table)).await?;
            patience.again(|| delete_from(&self.store, BLOCKS, network, held)).await?;
            let of_table = |table: &Table| {
                let table = *table;
                patience.again(move || delete_left(&self.store, table, network, held))
            };
            try_join_all(children.iter().map(of_table)).await?;
        }
        Ok(())
    }
}

/// The tables of what a network's blocks hold: of the network of one of these events.
fn tables(run: &[&Event], network: &Network) -> &'static [Table] {
    let of = |event: &&Event| children_of(family_of(&event.block.envelope.block_hash));
    run.iter().find(|event| event.network() == network).map_or(&[], of)
}

/// Those of heights that are kept.
fn kept<'e>(floors: &Heights, run: &[&'e Event]) -> Vec<&'e Event> {
    let keeps = |event: &&Event| floors.keeps(event.network(), event.block.envelope.height);
    run.iter().copied().filter(keeps).collect()
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

//! The upgrade of a store of a former layout (migrations up to 23, whose tables are called `former_…` since, and up to 44, `coarse_…`):
//! its rows are copied into today's tables before the sink reads anything.
//!
//! Guarantee: nothing is lost, doubled or brought back, wherever it is cut off. Statements copy a range of heights each, newest
//! first, and may be repeated or come late ([`copy`]); a range counts as copied when what stands in both layouts was compared; a
//! position is told after that ([`position`]), and a partition of the former tables goes when every network's rows of it are copied.
//! The events come last: until then the store says of no event that it holds it, so that nobody resumes over what is not there. No
//! view reads former tables, so no row is seen twice; `completeness` says what is still to come. Several processes may do it at
//! once: one works, and the others wait until it is done or dead. Shown by `tests/sink/upgrade.rs`.
//!
//! A former sink that still runs beside it cannot write: today's tables refuse its statements. What it had on its way when the tables
//! were renamed arrives in the former ones, and belongs to events that the log will bring again.

mod copy;
mod plan;
mod position;
mod progress;

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use schemas::{TimeMs, records::stage_status::state::UPGRADING};

use self::{
    copy::Former,
    plan::{Pace, Range, partition_floor, partition_of},
    position::{Position, Positions},
    progress::Progress,
};
use super::{SinkConfig, beat::Busy, error::WriteError, metrics, patience::Patience, spans, stale};
use crate::{Store, StoreError, StoreErrorKind};

/// How often progress is told in the log.
const TELL: Duration = Duration::from_secs(10);
/// A process that has told nothing for so long copies no more.
const DEAD: Duration = Duration::from_secs(90);
/// Tries after which a range that differs from its original is told.
const TRIES: u32 = 3;
/// Times that the tables may vanish under this process, as another one drops them, before it is an error.
const VANISHED: u32 = 20;

/// Brings a store of the former layout into today's. Returns at once when there is nothing of the former one.
pub(super) async fn run(
    store: &Store,
    config: &SinkConfig,
    patience: &Patience,
    busy: &Busy,
) -> Result<(), WriteError> {
    // The later one first: where a store comes from the earlier, its tables were made a moment ago and are empty.
    for former in [&copy::COARSE, &copy::TEXT] {
        let outcome = from(former, store, config, patience, busy).await;
        metrics::upgrade(0, 0, None);
        outcome?;
    }
    // Whoever dropped the last tables may have been killed before the last step, or another process told of a range after that.
    let positions = patience.again(|| Positions::read(store)).await?;
    let told = positions.copied || !positions.networks.is_empty();
    if told { patience.again(|| copy::forget(store)).await } else { Ok(()) }
}

/// Copies what is there of a former layout.
async fn from(
    former: &'static Former,
    store: &Store,
    config: &SinkConfig,
    patience: &Patience,
    busy: &Busy,
) -> Result<(), WriteError> {
    let mut upgrade = Upgrade {
        former,
        store,
        config,
        patience,
        busy,
        spans: HashMap::new(),
        positions: Positions::default(),
        pace: Pace::new(),
        began: Instant::now(),
        told: None,
        here: 0,
    };
    let mut vanished = 0;
    loop {
        match upgrade.once().await {
            // Another process has come to the end meanwhile.
            Err(WriteError::Store(e)) if e.kind == StoreErrorKind::Version && vanished < VANISHED => vanished += 1,
            outcome => return outcome,
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

struct Upgrade<'a> {
    former: &'static Former,
    store: &'a Store,
    config: &'a SinkConfig,
    patience: &'a Patience,
    busy: &'a Busy,
    /// Heights of a partition of each network.
    spans: HashMap<String, u32>,
    positions: Positions,
    pace: Pace,
    began: Instant,
    told: Option<Instant>,
    /// Rows that this process has copied.
    here: u64,
}

impl Upgrade<'_> {
    async fn once(&mut self) -> Result<(), WriteError> {
        let (store, former) = (self.store, self.former);
        let tables = self.patience.again(|| copy::tables(store, former)).await?;
        self.positions = self.patience.again(|| Positions::read(store)).await?;
        let begun = self.positions.copied || !self.positions.networks.is_empty();
        if tables.is_empty() {
            return Ok(());
        }
        if !begun && !self.patience.again(|| copy::any_row(store, &tables)).await? {
            return self.drop_tables(&tables).await;
        }
        if !self.positions.copied {
            let stand = former.by_height.iter().filter(|name| tables.iter().any(|table| table == *name)).count();
            // They go together, once that is told, so that either all of them are there or nothing is in them.
            if stand == former.by_height.len() {
                self.rows().await?;
            } else if stand > 0 {
                return Err(WriteError::Store(StoreError::new(
                    StoreErrorKind::Version,
                    "upgrading the store",
                    format!(
                        "of the tables of the former layout only {} are there: restore the others, or drop these",
                        tables.join(", ")
                    ),
                )));
            }
            let copied = Position::copied(&self.config.instance);
            self.patience.again(|| copied.save(store)).await?;
        }
        self.end(&tables).await
    }

    /// Copies the rows of all networks: of each the newest partition first, in turn.
    async fn rows(&mut self) -> Result<(), WriteError> {
        self.begin().await?;
        let (done, all) = self.positions.rows();
        tracing::info!(
            rows = all,
            copied = done,
            "the store has the layout of a former version: its rows are copied into today's before anything is written"
        );
        let mut turns: VecDeque<String> = self.positions.networks.keys().cloned().collect();
        while let Some(network) = turns.pop_front() {
            if self.partition(&network).await? {
                turns.push_back(network);
            }
        }
        Ok(())
    }

    /// Finds the networks and how much there is of each, where that is not known yet.
    async fn begin(&mut self) -> Result<(), WriteError> {
        let (store, former) = (self.store, self.former);
        self.busy.say(UPGRADING, "the store has the layout of a former version: counting its rows".to_owned());
        // So that what is copied is counted from its rows until counts hold again.
        self.patience.again(|| stale::seed(store, former.blocks())).await?;
        let mut networks = Vec::new();
        for table in former.by_height {
            networks.extend(self.patience.again(|| copy::networks(store, table)).await?);
        }
        networks.sort_unstable();
        networks.dedup();
        for network in networks {
            if self.positions.networks.contains_key(&network) {
                continue;
            }
            let held = self.patience.again(|| copy::held(store, former, &network)).await?;
            let highest = self.patience.again(|| copy::top(store, former, &network, u64::MAX)).await?;
            let lowest = self.patience.again(|| copy::bottom(store, former, &network)).await?;
            let position = Position {
                network: network.clone(),
                version: 1,
                instance: self.config.instance.clone(),
                lowest_height: lowest.unwrap_or_default(),
                to_height: highest,
                rows: held.rows,
                rows_copied: 0,
                blocks_left: held.blocks,
                transactions_left: held.transactions,
                logs_left: held.logs,
                at: TimeMs::now(),
            };
            self.patience.again(|| position.save(store)).await?;
            self.positions.networks.insert(network, position);
        }
        Ok(())
    }

    /// Copies what is left of the partition in which a network's highest row lies. `false` when nothing is left of the network.
    async fn partition(&mut self, network: &str) -> Result<bool, WriteError> {
        let Some(mut top) = self.top(network).await? else { return Ok(false) };
        let floor = partition_floor(top);
        loop {
            if !self.wait_for_others().await? {
                let range = self.next_range(network, top).await?;
                let began = Instant::now();
                if let Some(standing) = self.range(network, &range).await? {
                    self.pace.took(began.elapsed());
                    self.here += range.rows;
                    self.advance(network, &range, &standing).await?;
                }
            }
            match self.top(network).await? {
                Some(next) if next >= floor => top = next,
                next => {
                    self.leave(network, floor).await?;
                    return Ok(next.is_some());
                }
            }
        }
    }

    /// The highest height of a network whose rows are not copied.
    async fn top(&self, network: &str) -> Result<Option<u64>, WriteError> {
        let Some(to) = self.positions.networks.get(network).and_then(|p| p.to_height) else { return Ok(None) };
        self.patience.again(|| copy::top(self.store, self.former, network, to)).await
    }

    /// The next heights that are copied at once, from `top` down.
    async fn next_range(&mut self, network: &str, top: u64) -> Result<Range, WriteError> {
        loop {
            let look = self.pace.look(top);
            let counted = self.patience.again(|| copy::count(self.store, self.former, network, &look)).await?;
            if let Some(range) = self.pace.take(look, &counted) {
                return Ok(range);
            }
        }
    }

    /// Copies a range and compares. Returns what stands in it; `None` when it is to be asked for anew: in smaller pieces, or since
    /// another process has gone on.
    async fn range(&mut self, network: &str, range: &Range) -> Result<Option<copy::Standing>, WriteError> {
        let (store, former) = (self.store, self.former);
        let span = self.span(network).await?;
        let mut tries = 0;
        loop {
            let copied = self.at_once(|| copy::range(store, former, (network, span), range)).await?;
            let compared = match copied {
                Ok(()) => self.at_once(|| copy::standing(store, former, network, range)).await?,
                Err(error) => Err(error),
            };
            let (before, today) = match compared {
                Ok(both) => both,
                Err(error) => {
                    tracing::warn!(network, from = range.from, to = range.to, %error, "copying fewer rows at once");
                    if !self.pace.smaller() {
                        self.patience.pause().await?;
                    }
                    return Ok(None);
                }
            };
            if before == today {
                return Ok(Some(before));
            }
            // Another process that has gone on may have dropped the original.
            self.positions = self.patience.again(|| Positions::read(store)).await?;
            if self.positions.networks.get(network).and_then(|p| p.to_height).is_none_or(|to| to < range.to) {
                return Ok(None);
            }
            tries += 1;
            if tries >= TRIES {
                let (from, to) = (range.from, range.to);
                tracing::error!(network, from, to, ?before, ?today, "the copy differs from its original");
                self.busy.say(
                    UPGRADING,
                    format!(
                        "the copy of blocks {from} to {to} of {network} differs from the rows of the former layout; nothing is dropped, \
                         and it is tried again. Please report it, with the sink's log"
                    ),
                );
                self.patience.pause().await?;
            }
        }
    }

    /// Heights of a partition of a network: by the configuration, else as its blocks' times say.
    async fn span(&mut self, network: &str) -> Result<u32, WriteError> {
        if let Some(span) = self.spans.get(network) {
            return Ok(*span);
        }
        let (store, former) = (self.store, self.former);
        let configured =
            self.config.spans.borrow().iter().find(|(slug, _)| slug.as_str() == network).map(|(_, span)| *span);
        let wanted = match configured {
            Some(span) => span,
            None => spans::week_of_heights(self.patience.again(|| copy::block_time_ms(store, former, network)).await?),
        };
        let span = self.patience.again(|| spans::record(store, network, wanted)).await?;
        self.spans.insert(network.to_owned(), span);
        Ok(span)
    }

    /// Makes a call until it succeeds, or asks for too much time or memory.
    async fn at_once<T, F>(&self, mut call: impl FnMut() -> F) -> Result<Result<T, StoreError>, WriteError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let too_much = |e: &StoreError| matches!(e.kind, StoreErrorKind::TooLarge | StoreErrorKind::Timeout);
        self.patience
            .again(|| {
                let call = call();
                async move {
                    match call.await {
                        Err(e) if too_much(&e) => Ok(Err(e)),
                        outcome => outcome.map(Ok),
                    }
                }
            })
            .await
    }

    /// A range is copied.
    async fn advance(&mut self, network: &str, range: &Range, standing: &copy::Standing) -> Result<(), WriteError> {
        if let Some(position) = self.positions.networks.get_mut(network) {
            position.to_height = range.from.checked_sub(1);
            position.rows_copied = position.rows_copied.saturating_add(range.rows).min(position.rows);
            position.blocks_left = position.blocks_left.saturating_sub(standing.blocks);
            position.transactions_left = position.transactions_left.saturating_sub(standing.transactions_counted);
            position.logs_left = position.logs_left.saturating_sub(standing.logs_counted);
        }
        self.save(network).await?;
        self.tell("");
        Ok(())
    }

    /// A network has nothing left in the partition that begins at `floor`: the former one goes, when that holds for every network.
    async fn leave(&mut self, network: &str, floor: u64) -> Result<(), WriteError> {
        let below = floor.checked_sub(1);
        // Without a position another process has come to the end.
        let Some(position) = self.positions.networks.get_mut(network) else { return Ok(()) };
        if position.to_height > below {
            position.to_height = below;
            self.save(network).await?;
        }
        let unfinished = |p: &&Position| p.to_height.is_some_and(|to| to >= floor);
        let unless: Vec<&str> =
            self.positions.networks.values().filter(unfinished).map(|p| p.network.as_str()).collect();
        self.patience.again(|| copy::drop_partition(self.store, self.former, partition_of(floor), &unless)).await
    }

    async fn save(&mut self, network: &str) -> Result<(), WriteError> {
        let Some(position) = self.positions.networks.get_mut(network) else { return Ok(()) };
        position.version += 1;
        position.instance.clone_from(&self.config.instance);
        position.at = TimeMs::now();
        let position = &*position;
        self.patience.again(|| position.save(self.store)).await
    }

    /// Waits while another process copies. Of two that have just begun, the one whose name comes first goes on. `true` when one did.
    async fn wait_for_others(&mut self) -> Result<bool, WriteError> {
        let mut waited = false;
        loop {
            let positions = self.patience.again(|| Positions::read(self.store)).await?;
            let alive = |p: &&Position| TimeMs::now().0.abs_diff(p.at.0) < DEAD.as_millis() as u64;
            let before_us = |p: &&Position| p.instance < self.config.instance;
            let other = positions.networks.values().filter(alive).find(before_us).map(|p| p.instance.clone());
            if positions.networks.is_empty() || (waited && other.is_none()) {
                self.positions = positions;
                return Ok(true);
            }
            let Some(other) = other else { return Ok(false) };
            waited = true;
            self.positions = positions;
            self.tell(&format!(" by {other}"));
            self.patience.pause().await?;
        }
    }

    /// Says how far it is.
    fn tell(&mut self, by: &str) {
        let (done, all) = self.positions.rows();
        let progress = Progress { done, all, here: (self.here, self.began.elapsed()) };
        metrics::upgrade(all, done, progress.left());
        let words = progress.words();
        self.busy.say(
            UPGRADING,
            format!(
                "the store's rows are copied into the layout of this version{by}: {words}. New blocks wait in the log meanwhile, and old \
                 ones become visible as they are copied, newest first"
            ),
        );
        if self.told.is_none_or(|at| at.elapsed() >= TELL) {
            self.told = Some(Instant::now());
            tracing::info!("upgrading the store{by}: {words}");
        }
    }

    /// All rows are copied: the counts, the events, and the former tables go. May be done again from the beginning.
    async fn end(&mut self, tables: &[String]) -> Result<(), WriteError> {
        let (store, former) = (self.store, self.former);
        let stands = |name: &str| tables.iter().any(|table| table == name);
        self.busy
            .say(UPGRADING, "the store's rows are copied into the layout of this version: the last step".to_owned());
        if let Some(audits) = former.audits.filter(|audits| stands(audits)) {
            self.patience.again(|| copy::audits(store, audits)).await?;
        }
        if stands(former.events) {
            for network in self.patience.again(|| copy::networks(store, former.events)).await? {
                self.patience.again(|| copy::events(store, former, &network)).await?;
            }
        }
        self.drop_tables(tables).await?;
        self.patience.again(|| copy::forget(store)).await?;
        tracing::info!(took_s = self.began.elapsed().as_secs(), rows = self.here, "the store is upgraded");
        Ok(())
    }

    /// Drops former tables whose rows are all copied.
    async fn drop_tables(&self, tables: &[String]) -> Result<(), WriteError> {
        for table in self.former.all().into_iter().filter(|name| tables.iter().any(|table| table == name)) {
            self.patience.again(|| copy::drop_table(self.store, table)).await?;
        }
        Ok(())
    }
}

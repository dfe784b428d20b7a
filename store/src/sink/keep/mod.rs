//! `[store] keep` and `max_bytes`: old rows go, whole partitions at a time (rule 32).
//!
//! Guarantee: what goes is published before the first row of it goes (`pruned_rows`), by one insert; from that moment on every view hides
//! all of it, whatever is dropped when and wherever that is cut off, and goes on hiding it until somebody has seen that nothing of it is
//! left. So no query sees a part of a partition, and none fails: one that runs keeps the parts that it reads. Whoever writes waits for
//! the publication and writes nothing below it any more ([`super::floors`]). Partitions are dropped a moment after, so that no statement
//! that was made before sees them half gone, and swept for as long as the process runs: what a cut-off batch left is hidden and dropped
//! again. Never goes what a reorg may still reach. Several processes may do it at once: they publish the same, and dropping twice changes
//! nothing. Shown by `tests/sink/keep.rs`.

mod forecast;
mod parts;
mod plan;
mod windows;
mod words;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use schemas::{Network, TimeMs};
use tokio::{sync::watch, time::sleep};

pub(super) use self::windows::oldest_window;
use self::{
    forecast::Growth,
    parts::Hidden,
    plan::{Held, Part, due, may_go},
};
use super::{SinkConfig, beat::Busy, floors::Floors, metrics};
use crate::{Store, StoreError};

/// How long rows are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keep {
    /// Windows, by their beginning, whole months of them; `None`: for ever.
    pub windows: Option<Duration>,
    /// Of every network, by their blocks' times; `None`: for ever.
    pub everywhere: Option<Duration>,
    /// Of these networks, in the place of that.
    pub networks: BTreeMap<Network, Duration>,
    /// Bytes of all tables on disk above which the oldest go; `None`: no bound.
    pub max_bytes: Option<u64>,
}

impl Keep {
    fn of(&self, network: &str) -> Option<Duration> {
        let own = self.networks.iter().find(|(slug, _)| slug.as_str() == network).map(|(_, keep)| *keep);
        own.or(self.everywhere)
    }

    fn is_for_ever(&self) -> bool {
        self.everywhere.is_none() && self.networks.is_empty() && self.max_bytes.is_none() && self.windows.is_none()
    }
}

/// What is to be kept, for as long as the sink runs; it may change meanwhile. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Keeping(Arc<watch::Sender<Keep>>);

impl Default for Keeping {
    fn default() -> Self {
        Self::new(Keep::default())
    }
}

impl Keeping {
    /// With this to begin with.
    pub fn new(keep: Keep) -> Self {
        Self(Arc::new(watch::Sender::new(keep)))
    }

    /// What is to be kept.
    pub(super) fn now(&self) -> Keep {
        self.0.borrow().clone()
    }

    /// This is to be kept from now on. What is gone stays gone.
    pub fn set(&self, keep: Keep) {
        self.0.send_replace(keep);
    }
}

/// When the keeper does what.
#[derive(Debug, Clone, Copy)]
pub struct KeepTimes {
    /// How often it is looked for what is due, where something can be.
    pub look: Duration,
    /// The same where nothing is configured: others may have removed something.
    pub idle: Duration,
    /// How long after its publication a partition is dropped: statements that were made before have found their parts by then.
    pub rest: Duration,
    /// How long after its publication it is hidden, at least: whoever still writes there is through by then.
    pub hidden: Duration,
    /// How often growth is reckoned.
    pub growth: Duration,
}

impl Default for KeepTimes {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(10),
            idle: Duration::from_secs(600),
            rest: Duration::from_secs(10),
            hidden: Duration::from_secs(600),
            growth: Duration::from_secs(600),
        }
    }
}

/// What was published by which key.
const BY_AGE: &str = "keep";
const BY_SIZE: &str = "max_bytes";

/// Removes what is not to be kept.
pub(super) struct Keeper {
    store: Store,
    floors: Floors,
    keeping: Keeping,
    times: KeepTimes,
    busy: Busy,
    /// Times of the newest blocks of partitions that may go.
    newest: HashMap<(String, u64), TimeMs>,
    growth: Option<(Instant, Growth)>,
}

impl Keeper {
    pub fn new(store: Store, config: &SinkConfig, floors: Floors, busy: Busy) -> Self {
        let (keeping, times) = (config.keep.clone(), config.keep_times);
        Self { store, floors, keeping, times, busy, newest: HashMap::new(), growth: None }
    }

    /// Removes until it is dropped.
    pub async fn run(mut self) {
        let mut changes = self.keeping.0.subscribe();
        loop {
            let keep = changes.borrow_and_update().clone();
            let going = match self.look(&keep, TimeMs::now()).await {
                Ok(going) => going,
                Err(error) => {
                    tracing::warn!(%error, "what is not to be kept could not be removed: trying again");
                    true
                }
            };
            let rest = if going || !keep.is_for_ever() { self.times.look } else { self.times.idle };
            tokio::select! {
                () = sleep(rest) => {}
                changed = changes.changed() => if changed.is_err() { sleep(rest).await },
            }
        }
    }

    /// Publishes what is due and drops what was published. `true` while something is going.
    async fn look(&mut self, keep: &Keep, now: TimeMs) -> Result<bool, StoreError> {
        let pruned = self.floors.load(&self.store).await?;
        pruned.iter().for_each(|p| metrics::pruned_below(&p.network, p.below));
        windows::prune(&self.store, keep.windows, now, self.times.rest).await?;
        if keep.is_for_ever() && pruned.is_empty() {
            self.busy.warn("keep", None);
            return Ok(false);
        }
        let mut held = parts::held(&self.store).await?;
        for p in &pruned {
            if let Some(network) = held.networks.get_mut(&p.network) {
                network.floor = p.below;
            }
        }
        let hidden = parts::hidden(&self.store).await?;
        self.sweep(&held, &hidden).await?;
        self.newest.retain(|(network, part), _| held.networks.get(network).is_some_and(|n| n.parts.contains_key(part)));
        let mut published = self.by_age(keep, &held, now).await?;
        for (network, below) in &published {
            if let Some(network) = held.networks.get_mut(network) {
                network.floor = *below;
            }
        }
        published.extend(self.by_size(keep, &mut held).await?);
        let going = !published.is_empty() || !parts::hidden(&self.store).await?.is_empty();
        Ok(going)
    }

    /// Drops what was published a while ago, and hides again what came to it since.
    async fn sweep(&mut self, held: &Held, hidden: &[Hidden]) -> Result<(), StoreError> {
        for row in hidden.iter().filter(|row| row.age >= self.times.rest) {
            let left = held.networks.get(&row.network).map(|n| n.ids(row.first_part..row.end_part)).unwrap_or_default();
            for (table, id) in &left {
                parts::drop_partition(&self.store, table, id).await?;
            }
            if !left.is_empty() {
                tracing::info!(network = %row.network, below = row.pruned_below, partitions = left.len(), "old rows are removed");
            } else if row.age >= self.times.hidden {
                parts::gone(&self.store, row).await?;
            }
        }
        for (name, network) in &held.networks {
            let is_hidden = |part: &u64| {
                hidden.iter().any(|row| row.network == *name && (row.first_part..row.end_part).contains(part))
            };
            let left = network.below().filter(|part| !is_hidden(part)).collect::<Vec<u64>>();
            if let (Some(first), Some(last)) = (left.first(), left.last()) {
                let newest = self.newest(name, network.span, *last).await?;
                let part = (*first, *last + 1);
                parts::publish(&self.store, (name, network.span), network.floor, part, (newest, BY_AGE)).await?;
                tracing::warn!(network = %name, "rows came to heights that were removed: they are removed again");
            }
        }
        Ok(())
    }

    /// Publishes what is older than it is to be kept.
    async fn by_age(&mut self, keep: &Keep, held: &Held, now: TimeMs) -> Result<Vec<(String, u64)>, StoreError> {
        let mut published = Vec::new();
        for (name, network) in &held.networks {
            let Some(keep) = keep.of(name) else { continue };
            let before = TimeMs(now.0.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX)));
            let mut times = Vec::new();
            for part in network.kept() {
                if !self.may_go(name, network, part).await? {
                    break;
                }
                let newest = self.newest(name, network.span, part).await?;
                times.push((part, newest));
                if newest >= before {
                    break;
                }
            }
            let Some((last, _)) = due(&times, before) else { continue };
            // A back-fill may have brought newer ones since that was looked up.
            let newest = parts::newest(&self.store, name, network.span, last).await?;
            if newest < before {
                let below = self.publish(name, network, last, (newest, BY_AGE)).await?;
                published.push((name.clone(), below));
            } else {
                self.newest.insert((name.clone(), last), newest);
            }
        }
        Ok(published)
    }

    /// Publishes the oldest of all networks while the tables take more than they may, and warns before that.
    async fn by_size(&mut self, keep: &Keep, held: &mut Held) -> Result<Vec<(String, u64)>, StoreError> {
        let Some(most) = keep.max_bytes else {
            metrics::store_bytes(held.bytes, None, None);
            self.busy.warn("keep", None);
            return Ok(Vec::new());
        };
        let mut last: BTreeMap<String, Part> = BTreeMap::new();
        let mut next = self.oldest(held).await?;
        while held.staying() > most {
            let Some(part) = next else { break };
            held.take(&part);
            last.insert(part.network.clone(), part);
            next = self.oldest(held).await?;
        }
        let mut published = Vec::new();
        for (name, part) in last {
            let Some(network) = held.networks.get(&name) else { continue };
            let below = self.publish(&name, network, part.number, (part.newest, BY_SIZE)).await?;
            published.push((name, below));
        }
        if self.growth.as_ref().is_none_or(|(at, _)| at.elapsed() >= self.times.growth) {
            self.growth = Some((Instant::now(), forecast::growth(&self.store, held).await?));
        }
        let growth = self.growth.as_ref().map(|(_, growth)| *growth).unwrap_or_default();
        let left = growth.until(held.staying(), most);
        metrics::store_bytes(held.bytes, Some(most), left);
        self.busy.warn("keep", words::warning(held.staying(), most, (growth, left), next.as_ref()));
        Ok(published)
    }

    /// The oldest partition of all that may go.
    async fn oldest(&mut self, held: &Held) -> Result<Option<Part>, StoreError> {
        let mut oldest: Option<Part> = None;
        for (name, network) in &held.networks {
            let Some(number) = network.kept().next() else { continue };
            if self.may_go(name, network, number).await? {
                let newest = self.newest(name, network.span, number).await?;
                if oldest.as_ref().is_none_or(|other| newest < other.newest) {
                    oldest = Some(network.part(name, number, newest));
                }
            }
        }
        Ok(oldest)
    }

    /// Whether a partition may go: most often the ones above it say so.
    async fn may_go(&self, name: &str, network: &plan::NetworkParts, part: u64) -> Result<bool, StoreError> {
        if network.parts.keys().next_back().is_some_and(|last| *last >= part + 2) {
            return Ok(true);
        }
        let bounds = self.store.height_bounds(name).await?;
        Ok(bounds.is_some_and(|(_, top)| may_go(part, network.span, top)))
    }

    /// Publishes that a network's rows go, up to a partition. No batch is being written meanwhile, and the next one knows.
    async fn publish(
        &self,
        name: &str,
        network: &plan::NetworkParts,
        last: u64,
        (newest, reason): (TimeMs, &'static str),
    ) -> Result<u64, StoreError> {
        let (first, below) =
            (network.parts.keys().next().copied().unwrap_or(last), (last + 1) * u64::from(network.span));
        let mut floors = self.floors.write().await;
        parts::publish(&self.store, (name, network.span), below, (first, last + 1), (newest, reason)).await?;
        floors.raise(name, below);
        drop(floors);
        metrics::pruned_below(name, below);
        tracing::info!(network = %name, below, until = %newest.rfc3339(), reason, "old rows go");
        Ok(below)
    }

    /// Time of the newest block of a partition that may go.
    async fn newest(&mut self, network: &str, span: u32, part: u64) -> Result<TimeMs, StoreError> {
        let key = (network.to_owned(), part);
        if let Some(time) = self.newest.get(&key) {
            return Ok(*time);
        }
        let time = parts::newest(&self.store, network, span, part).await?;
        self.newest.insert(key, time);
        Ok(time)
    }
}

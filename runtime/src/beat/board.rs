//! What is to be said.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schemas::{
    Family, Network, TimeMs,
    limits::STATUS_DETAIL_CHARACTERS,
    records::{
        ConfiguredNetwork, StageStatus,
        stage_status::{EVERY, SILENT_AFTER, state},
    },
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::unread::Read;
use crate::log::events::Event;

/// What a stage says of a network. Only what it knows is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// What it is doing; empty: the board's usual word.
    pub state: String,
    /// When the state is not a good one: what is wrong and what to do.
    pub detail: Option<String>,
    /// The network's family.
    pub family: Option<Family>,
    /// Endpoint in use.
    pub endpoint: Option<String>,
    /// The node's tip.
    pub tip_height: Option<u64>,
    /// Last event that was passed on.
    pub sequence: Option<u64>,
    /// Canonical tip that was passed on.
    pub height: Option<u64>,
    /// Its time stamp.
    pub block_time: Option<TimeMs>,
}

/// What it means when a network lives on a partition that is held, and the configuration does not name it.
#[derive(Debug, Clone, Copy)]
pub struct Unnamed {
    /// The state that this is.
    pub state: &'static str,
    /// What is wrong and what to do.
    pub detail: &'static str,
}

/// What one stage of this process says. Cloning shares it.
#[derive(Clone)]
pub struct Board(Arc<Shared>);

struct Shared {
    stage: &'static str,
    /// The usual word for a network of which nothing is said yet.
    usual: &'static str,
    said: Mutex<Said>,
    changed: Notify,
    heard: Mutex<(Instant, Option<String>)>,
}

struct Said {
    /// Whether something changed since it was last said.
    news: bool,
    process: (String, Option<String>),
    configured: BTreeMap<Network, Option<u64>>,
    unnamed: Option<Unnamed>,
    /// Partition of every network, as far as it is known.
    roster: BTreeMap<Network, u32>,
    held: BTreeSet<u32>,
    networks: BTreeMap<Network, Row>,
    blocked: BTreeMap<u32, String>,
    read: BTreeMap<u32, Read>,
    unread: BTreeMap<u32, u32>,
    /// States as they were last said, and since when.
    since: HashMap<String, (String, TimeMs)>,
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Board").field(&self.0.stage).finish()
    }
}

impl Board {
    /// For a stage; a network of which it says nothing more is in the state `usual`.
    pub fn new(stage: &'static str, usual: &'static str) -> Self {
        let said = Said {
            news: true,
            process: (state::STARTING.to_owned(), None),
            configured: BTreeMap::new(),
            unnamed: None,
            roster: BTreeMap::new(),
            held: BTreeSet::new(),
            networks: BTreeMap::new(),
            blocked: BTreeMap::new(),
            read: BTreeMap::new(),
            unread: BTreeMap::new(),
            since: HashMap::new(),
        };
        let heard = Mutex::new((Instant::now(), None));
        Self(Arc::new(Shared { stage, usual, said: Mutex::new(said), changed: Notify::new(), heard }))
    }

    /// The stage's name.
    pub fn stage(&self) -> &'static str {
        self.0.stage
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Said)) {
        let mut said = self.said();
        change(&mut said);
        said.news = true;
        drop(said);
        self.0.changed.notify_one();
    }

    /// The networks of the configuration, each with its chain id where the stage has a use for it, and what it means when one is
    /// not among them.
    pub fn configure(&self, networks: impl IntoIterator<Item = (Network, Option<u64>)>, unnamed: Option<Unnamed>) {
        self.change(|said| {
            said.configured = networks.into_iter().collect();
            said.unnamed = unnamed;
        });
    }

    /// Says the networks of a configuration that changes, as they are now; the future says them again at every change, for ever.
    pub fn follow<T>(
        &self,
        mut networks: watch::Receiver<HashMap<Network, T>>,
    ) -> impl Future<Output = Infallible> + use<T> {
        let board = self.clone();
        let tell = move |networks: &watch::Receiver<HashMap<Network, T>>| {
            // Nobody waits for the board while the setting is held.
            let now: Vec<_> = networks.borrow().keys().map(|network| (network.clone(), None)).collect();
            board.configure(now, None);
        };
        tell(&networks);
        async move {
            while networks.changed().await.is_ok() {
                tell(&networks);
            }
            std::future::pending().await
        }
    }

    /// What the process as a whole is doing, and what is wrong with it.
    pub fn process(&self, state: &str, detail: Option<String>) {
        let mut said = self.said();
        let now = (state.to_owned(), detail);
        if said.process != now {
            said.process = now;
            said.news = true;
            drop(said);
            self.0.changed.notify_one();
        }
    }

    /// These partitions are ours from now on.
    pub fn held(&self, partitions: impl IntoIterator<Item = u32>) {
        self.change(|said| said.held.extend(partitions));
    }

    /// These are no longer: whoever has them now speaks for their networks.
    pub fn released(&self, partitions: &[u32]) {
        self.change(|said| {
            said.held.retain(|p| !partitions.contains(p));
            said.forget(partitions);
        });
    }

    /// None is ours any more.
    pub fn released_all(&self) {
        let all: Vec<u32> = self.said().held.iter().copied().collect();
        self.released(&all);
    }

    /// Whether this partition is ours.
    pub fn holds(&self, partition: u32) -> bool {
        self.said().held.contains(&partition)
    }

    /// Changes what is said of a network of a partition that is held.
    pub fn network(&self, partition: u32, network: &Network, change: impl FnOnce(&mut Row)) {
        let mut said = self.said();
        if !said.held.contains(&partition) {
            return;
        }
        said.roster.entry(network.clone()).or_insert(partition);
        let row = said.networks.entry(network.clone()).or_default();
        let before = row.clone();
        change(row);
        if *row == before {
            return;
        }
        said.news = true;
        drop(said);
        self.0.changed.notify_one();
    }

    /// Changes what is said of a network whose partition is known and held.
    pub fn known(&self, network: &Network, change: impl FnOnce(&mut Row)) {
        let partition = self.said().roster.get(network).copied();
        if let Some(partition) = partition {
            self.network(partition, network, change);
        }
    }

    /// Nothing more is said of a network than that it lives on its partition.
    pub fn forget(&self, network: &Network) {
        let mut said = self.said();
        if said.networks.remove(network).is_some() {
            said.news = true;
            drop(said);
            self.0.changed.notify_one();
        }
    }

    /// What is said of a network; `None`: nothing beyond the usual.
    pub fn row(&self, network: &Network) -> Option<Row> {
        self.said().networks.get(network).cloned()
    }

    /// Networks of partitions that are held, each with its partition.
    pub fn networks(&self) -> Vec<(Network, u32)> {
        let said = self.said();
        said.roster.iter().filter(|(_, n)| said.held.contains(n)).map(|(network, n)| (network.clone(), *n)).collect()
    }

    /// A partition's networks stand still, and why; `None`: they go on. Covers whatever is said of each of them.
    pub fn blocked(&self, partition: u32, why: Option<String>) {
        let mut said = self.said();
        if said.blocked.get(&partition) == why.as_ref() {
            return;
        }
        match why {
            Some(why) => drop(said.blocked.insert(partition, why)),
            None => drop(said.blocked.remove(&partition)),
        }
        said.news = true;
        drop(said);
        self.0.changed.notify_one();
    }

    /// An event was read: from it follows what a record takes, and how far behind the log's end the stage is in time.
    pub fn consumed(&self, event: &Event) {
        self.said().read.entry(event.partition).or_default().add(event);
    }

    pub(super) fn read(&self, partition: u32) -> Read {
        self.said().read.get(&partition).copied().unwrap_or_default()
    }

    pub(super) fn unread(&self, partition: u32, percent: u32) {
        if self.said().unread.get(&partition) != Some(&percent) {
            self.change(|said| {
                said.unread.insert(partition, percent);
            });
        }
    }

    /// A network lives on a partition.
    pub(super) fn lives_on(&self, network: Network, partition: u32) {
        if self.said().roster.get(&network) != Some(&partition) {
            self.change(|said| {
                said.roster.insert(network, partition);
            });
        }
    }

    /// Wakes when something changed.
    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    pub(super) fn news(&self) -> bool {
        self.said().news
    }

    /// What is to be said now: of the process, and of every network in its hands.
    pub(crate) fn statuses(&self, instance: &str, every: Duration) -> Vec<StageStatus> {
        let mut said = self.said();
        said.news = false;
        said.statuses(&self.0, instance, every, TimeMs::now())
    }

    /// What is to be said of a network in this stage's hands now, for a stage that says it together with its own work.
    pub fn status(&self, instance: &str, network: &Network) -> Option<StageStatus> {
        let all = self.said().statuses(&self.0, instance, EVERY, TimeMs::now());
        all.into_iter().find(|status| status.network.as_ref() == Some(network))
    }

    /// The log took what was said, or why it did not.
    pub(super) fn outcome(&self, error: Option<String>) {
        let mut heard = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            None => *heard = (Instant::now(), None),
            Some(error) => heard.1 = Some(error),
        }
    }

    /// Why the log has taken nothing of what this stage says for so long that others call it silent; `None`: it is heard.
    pub fn unheard(&self) -> Option<String> {
        let heard = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let error = || heard.1.clone().unwrap_or_else(|| "the log has not answered yet".to_owned());
        (heard.0.elapsed() > EVERY * SILENT_AFTER).then(error)
    }

    /// What the process says beside its state, if anything: what is wrong, or will be.
    pub fn said_of_the_process(&self) -> Option<String> {
        self.said().process.1.clone()
    }

    /// Why the stage cannot do its work just now; `None`: it can.
    pub fn not_ready(&self) -> Option<String> {
        let (word, detail) = self.said().process.clone();
        let works = [state::RUNNING, state::PARTLY].contains(&word.as_str());
        let waits = (!works).then(|| detail.unwrap_or(word));
        self.unheard().map(|why| format!("the log does not take its status: {why}")).or(waits)
    }
}

impl Said {
    fn forget(&mut self, partitions: &[u32]) {
        let Self { roster, networks, .. } = self;
        networks.retain(|network, _| roster.get(network).is_none_or(|n| !partitions.contains(n)));
        self.blocked.retain(|n, _| !partitions.contains(n));
        self.read.retain(|n, _| !partitions.contains(n));
        self.unread.retain(|n, _| !partitions.contains(n));
    }

    fn statuses(&mut self, shared: &Shared, instance: &str, every: Duration, at: TimeMs) -> Vec<StageStatus> {
        let blank = StageStatus {
            detail: self.process.1.clone(),
            ..StageStatus::new(shared.stage, instance, &self.process.0, every, at)
        };
        let configured = |(slug, chain_id): (&Network, &Option<u64>)| ConfiguredNetwork {
            slug: slug.to_string(),
            chain_id: *chain_id,
        };
        let mut all = vec![StageStatus { networks: self.configured.iter().map(configured).collect(), ..blank.clone() }];
        let held = self.roster.iter().filter(|(_, partition)| self.held.contains(partition));
        for (network, partition) in held {
            let row = self.networks.get(network).cloned().unwrap_or_default();
            let unnamed = self.unnamed.filter(|_| !self.configured.contains_key(network));
            let (state, detail) = match (self.blocked.get(partition), unnamed) {
                (_, Some(unnamed)) if row.state.is_empty() || row.state == shared.usual => {
                    (unnamed.state.to_owned(), Some(unnamed.detail.to_owned()))
                }
                (Some(why), _) => (state::STALLED.to_owned(), Some(why.clone())),
                _ if row.state.is_empty() => (shared.usual.to_owned(), row.detail),
                _ => (row.state, row.detail),
            };
            all.push(StageStatus {
                network: Some(network.clone()),
                partition: Some(*partition),
                state,
                detail,
                family: row.family,
                chain_id: self.configured.get(network).copied().flatten(),
                endpoint: row.endpoint,
                tip_height: row.tip_height,
                sequence: row.sequence,
                height: row.height,
                block_time: row.block_time,
                unread_percent: self.unread.get(partition).copied(),
                ..blank.clone()
            });
        }
        let before = std::mem::take(&mut self.since);
        for status in &mut all {
            if let Some((end, _)) = status.detail.as_ref().and_then(|d| d.char_indices().nth(STATUS_DETAIL_CHARACTERS))
            {
                status.detail = status.detail.take().map(|d| d[..end].to_owned());
            }
            let key = StageStatus::key_of(&status.stage, instance, status.network.as_ref());
            status.since = match before.get(&key) {
                Some((state, since)) if *state == status.state => *since,
                _ => at,
            };
            self.since.insert(key, (status.state.clone(), status.since));
        }
        all
    }
}

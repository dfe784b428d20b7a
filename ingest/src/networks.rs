//! The networks that are followed, which may change while the stage runs.
//!
//! Guarantee: a change is all or nothing: it is made ready first, which may fail, and taken over then, which cannot. What stays as it
//! is goes on untouched; a network whose endpoints change keeps its watcher, which asks the fleet that succeeds the former one; one of
//! which something else changes has its watcher begun anew from its checkpoint. Whoever holds a partition learns of every change, in
//! order, by [`Networks::subscribe`]. A network that is new gets its partition recorded (`assign`) before anybody follows it.

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nodes::{evm::Tuning, fleet::MemberConfig};
use runtime::{beat::Board, log::Log, telemetry};
use schemas::{Family, Network, codec::Codec};
use tokio::sync::watch;

use crate::{
    assign::{self, Partitions},
    chains,
    config::NetworkConfig,
    error::Error,
    samples::Places,
    source::{Source, TakeOver},
    status,
};

/// Pause before a log that did not take a network's partition is asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// The networks of a process. Clones are the same.
#[derive(Clone)]
pub struct Networks(Arc<Inner>);

struct Inner {
    tuning: Tuning,
    instance: String,
    followed: watch::Sender<Arc<Followed>>,
    places: watch::Sender<Arc<Places>>,
    /// Held while a change is made.
    lives: Mutex<u64>,
}

/// A network that is followed. Another `life` is another watcher.
#[derive(Clone)]
pub struct Following {
    /// Where its blocks come from.
    pub source: Source,
    /// Rises where its watcher has to begin anew.
    pub life: u64,
}

/// What is followed at a moment.
#[derive(Clone, Default)]
pub struct Followed {
    networks: BTreeMap<Network, Following>,
    /// In which order they were configured.
    order: Vec<Network>,
    /// Where networks live, those that are not followed too.
    pub partitions: Partitions,
}

impl Followed {
    /// The networks of a partition.
    pub fn of(&self, partition: u32) -> Vec<Following> {
        let here = |network: &&Network| self.partitions.known.get(*network) == Some(&partition);
        self.networks.keys().filter(here).filter_map(|network| self.networks.get(network)).cloned().collect()
    }

    /// One of them.
    pub fn get(&self, network: &Network) -> Option<&Following> {
        self.networks.get(network)
    }

    /// Networks whose partition is not known yet.
    fn without_a_place(&self) -> bool {
        let placed =
            |n: &&Network| self.partitions.known.contains_key(*n) || self.partitions.unreadable.contains_key(*n);
        !self.networks.keys().all(|n| placed(&n))
    }

    fn places(&self) -> Places {
        let fleets = self.networks.iter().filter(|(n, _)| self.partitions.known.contains_key(*n));
        let fleets = fleets.filter_map(|(n, f)| Some((n.clone(), f.source.observed.clone()?)));
        Places { partitions: self.partitions.known.clone(), fleets: fleets.collect() }
    }
}

/// A change that is ready to be taken over.
pub struct Ready {
    networks: Networks,
    followed: BTreeMap<Network, Following>,
    order: Vec<Network>,
    take_over: Vec<TakeOver>,
}

impl Networks {
    /// The sources of these networks, of a process of this name.
    ///
    /// # Errors
    /// An endpoint that cannot be used as it is configured.
    pub fn new(networks: &[NetworkConfig], tuning: &Tuning, instance: &str) -> Result<Self, Error> {
        let sources: Result<Vec<Source>, Error> = networks.iter().map(|n| source(n, tuning, instance)).collect();
        Ok(Self::of(sources?, tuning, instance))
    }

    /// These sources.
    pub fn of(sources: Vec<Source>, tuning: &Tuning, instance: &str) -> Self {
        let order = sources.iter().map(|s| s.network.slug.clone()).collect();
        let networks =
            sources.into_iter().map(|s| (s.network.slug.clone(), Following { source: s, life: 0 })).collect();
        let followed = Followed { networks, order, partitions: Partitions::default() };
        Self(Arc::new(Inner {
            tuning: tuning.clone(),
            instance: instance.to_owned(),
            followed: watch::Sender::new(Arc::new(followed)),
            places: watch::Sender::default(),
            lives: Mutex::new(0),
        }))
    }

    /// What is followed now.
    pub fn now(&self) -> Arc<Followed> {
        self.0.followed.borrow().clone()
    }

    /// The same, as it changes.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Followed>> {
        self.0.followed.subscribe()
    }

    /// Where samples of their endpoints go, and who is told of those of others, as that changes.
    pub fn places(&self) -> watch::Receiver<Arc<Places>> {
        self.0.places.subscribe()
    }

    fn modify(&self, change: impl FnOnce(&mut Followed)) {
        // First the places: whoever is followed has one for its samples.
        self.0.followed.send_modify(|followed| {
            change(Arc::make_mut(followed));
            self.0.places.send_replace(Arc::new(followed.places()));
        });
    }

    /// Makes everything ready to follow exactly these networks; nothing changes yet.
    ///
    /// # Errors
    /// As [`Networks::new`]; then nothing changes at all.
    pub fn prepare(&self, networks: &[NetworkConfig]) -> Result<Ready, Error> {
        let now = self.now();
        let mut lives = self.0.lives.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut followed, mut take_over) = (BTreeMap::new(), Vec::new());
        for network in networks {
            let former = now.get(&network.slug).filter(|former| goes_on(&former.source.network, network));
            let following = match former {
                Some(Following { source, .. }) if source.network.same(network) => {
                    Following { source: source.configured(network.clone()), life: former.map_or(0, |f| f.life) }
                }
                Some(Following { source, life }) => {
                    let endpoint = |problem| Error::Endpoint { network: network.slug.clone(), problem };
                    take_over.extend(source.change(network).map_err(endpoint)?);
                    let anew = source.network.confirm_within != network.confirm_within;
                    *lives += u64::from(anew);
                    let life = if anew { *lives } else { *life };
                    Following { source: source.configured(network.clone()), life }
                }
                None => {
                    *lives += 1;
                    Following { source: source(network, &self.0.tuning, &self.0.instance)?, life: *lives }
                }
            };
            followed.insert(network.slug.clone(), following);
        }
        let order = networks.iter().map(|n| n.slug.clone()).collect();
        Ok(Ready { networks: self.clone(), followed, order, take_over })
    }

    /// Says on the board what is followed, and has a partition recorded for every network that has none, for ever.
    pub(crate) async fn keep_placed(&self, board: &Board, log: &dyn Log, codec: &Codec) -> Infallible {
        let mut changes = self.subscribe();
        loop {
            self.tell(board);
            let followed = changes.borrow_and_update().clone();
            if followed.without_a_place()
                && let Err(error) = self.place(log, codec).await
            {
                tracing::error!(%error, "a network has no partition yet and is not followed; trying again");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            // The sender lives in self.
            let _ = changes.changed().await;
        }
    }

    /// Says on the board which networks are configured.
    pub(crate) fn tell(&self, board: &Board) {
        let followed = self.now();
        let named =
            followed.networks.values().map(|f| (f.source.network.slug.clone(), f.source.network.chain.evm_id()));
        board.configure(named, Some(status::UNNAMED));
    }

    /// Learns where networks live, and records it for those that have no place yet.
    pub(crate) async fn place(&self, log: &dyn Log, codec: &Codec) -> Result<(), Error> {
        let partitions = assign::partitions(log, codec, &self.now().order).await?;
        for (network, problem) in &partitions.unreadable {
            tracing::error!(%network, problem, "the network is not watched");
        }
        self.modify(|followed| followed.partitions = partitions);
        Ok(())
    }
}

impl Ready {
    /// Takes it over.
    pub fn take_over(self) {
        let Self { networks, followed, order, take_over } = self;
        let former = networks.now();
        settle_limits(order.iter().filter_map(|n| followed.get(n)).map(|f| &f.source.network));
        take_over.into_iter().for_each(|change| change());
        for (network, former) in &former.networks {
            let new_source = followed.get(network).is_none_or(|now| !now.source.is_same(&former.source));
            if let (true, Some(fleet)) = (new_source, &former.source.observed) {
                fleet.leave();
            }
        }
        show(&former.networks, &followed);
        networks.modify(|present| (present.networks, present.order) = (followed, order));
    }
}

/// Whether the network goes on as the same one: of the same chain, with the same beginning.
fn goes_on(former: &NetworkConfig, network: &NetworkConfig) -> bool {
    former.chain.is_same(&network.chain) && former.start == network.start
}

/// The source of a network.
fn source(network: &NetworkConfig, tuning: &Tuning, instance: &str) -> Result<Source, Error> {
    let source = match network.family() {
        Family::Evm => chains::evm::source(network, tuning, instance),
        Family::Bitcoin => chains::bitcoin::source(network, tuning, instance),
        Family::Stellar => Err("networks of family stellar are not followed by this version".into()),
    };
    source.map_err(|problem| Error::Endpoint { network: network.slug.clone(), problem })
}

/// Gives endpoints their limits: the same account has those of whoever names it first.
fn settle_limits<'a>(networks: impl Iterator<Item = &'a NetworkConfig> + Clone) {
    let members: Vec<MemberConfig> = networks.clone().flat_map(NetworkConfig::members).collect();
    // All networks of a process share one set, which is told once.
    let mut told = Vec::new();
    for network in networks {
        let limits = &network.fleet.limits;
        if !told.iter().any(|known| limits.is_same(known)) {
            limits.settle(&members);
            told.push(limits.clone());
        }
    }
}

/// Metrics of networks and endpoints that went are not shown any more, those that came are.
fn show(former: &BTreeMap<Network, Following>, now: &BTreeMap<Network, Following>) {
    let labels = |of: &BTreeMap<Network, Following>| -> HashSet<(String, Option<String>)> {
        let endpoints = of.iter().flat_map(|(network, f)| {
            let names = f.source.network.endpoints();
            names.into_iter().map(|name| (network.to_string(), Some(name.to_owned())))
        });
        of.keys().map(|network| (network.to_string(), None)).chain(endpoints).collect()
    };
    let (former, now) = (labels(former), labels(now));
    telemetry::show(now.iter().map(|(network, endpoint)| (network.as_str(), endpoint.as_deref())));
    telemetry::hide(former.difference(&now).map(|(network, endpoint)| (network.as_str(), endpoint.as_deref())));
}

//! A Bitcoin network over a fleet of endpoints: Bitcoin Core for bodies and heads, Electrum servers for heads.
//!
//! Guarantee: every call goes through [`Fleet`] (limits, samples, breaker, fail-over); a header without work, one that does not stand on the
//! chain that is known, or a block that is not what its header says is never given, and whoever sent it is put into quarantine where
//! somebody else can be asked. The branch with most work whose bodies can be had is followed, whoever shows it ([`claims`]). Bodies come from
//! Bitcoin Core alone; where none is configured, blocks are headers (coverage `header`), and nothing is said of transactions. Bitcoin knows no
//! finality: six blocks deep is called safe, a hundred deep final, counted from what as many operators show as must show a block.
//!
//! * [`which`]: no endpoint is used before it has shown the network's first block.
//! * [`tree`]: headers and their work; [`connect`]: how a tip gets there; [`begin`]: with what it begins anew; [`dispute`]: who is right about
//!   a height; [`claims`]: who shows what, and what is followed.
//! * [`hub`]: heads from subscriptions, wake-ups and polls; whether Core and Electrum are of different minds.
//! * [`second`]: what other operators say of a block; [`fetch`]: blocks; [`source`]: all of it as a source of blocks.

mod begin;
mod claims;
pub mod client;
mod connect;
mod dispute;
mod fetch;
mod hub;
mod second;
mod source;
mod tree;
pub mod which;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::{Duration, Instant},
};

use futures::future::join_all;
use schemas::{BitcoinHash, Network, bitcoin::BitcoinChain};
use tokio::sync::watch;

use self::{
    claims::{Best, Claims},
    second::Said,
    tree::Tree,
    which::Firsts,
};
pub use self::{
    client::{Client, Tuning},
    fetch::header_block,
    which::Which,
};
use super::endpoint::{Endpoint, Kind};
use crate::{
    error::NodeError,
    fleet::{Ask, Clock, Confirm, Fleet, FleetConfig, Member, MemberConfig, Purpose, Role, sizes::BlockBytes},
};

/// Blocks below the newest from which on a block is called safe.
pub const SAFE_DEPTH: u64 = 6;
/// The same for final: as deep as a coinbase must be to be spent.
pub const FINAL_DEPTH: u64 = 100;
/// Blocks below the newest from which on a block is history: its height is served by whoever has a place free.
const HISTORY_BLOCKS: u64 = 64;
/// One question for a block or header, where somebody else can be asked.
const ASK_WITHIN: Duration = Duration::from_secs(30);
/// One ask of a block of the past beside the stream, for which its limits are waited for.
const HISTORY_WITHIN: Duration = Duration::from_secs(60);
/// Where there is one endpoint only: its own deadlines and retries bound it.
const ALONE_WITHIN: Duration = Duration::from_secs(600);
/// How long the tips of all endpoints are waited for, where none is known yet.
const ROUND_WITHIN: Duration = Duration::from_secs(3);

/// What a Bitcoin network's fleet is told besides its endpoints.
#[derive(Debug, Clone)]
pub struct BitcoinFleetConfig {
    /// The network.
    pub network: Network,
    /// Which chain it is on; shared with whoever keeps that.
    pub which: Which,
    /// Who observes: stage and instance.
    pub observer: String,
    /// Deadlines and retries.
    pub tuning: Tuning,
    /// How often a Bitcoin Core that does not tell of new blocks is asked.
    pub poll_every: Duration,
    /// Operators that must show a block.
    pub confirm: Confirm,
    /// How long they have for it.
    pub confirm_within: Duration,
    /// Of the fleet.
    pub fleet: FleetConfig,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct BitcoinFleet(Arc<Inner>);

/// What a network's fleet holds.
pub struct Inner {
    fleet: Fleet<Client>,
    config: BitcoinFleetConfig,
    /// Operators of the endpoints that may stream, as configured.
    operators: usize,
    members: usize,
    /// Whether an endpoint is configured that gives bodies.
    bodies: bool,
    firsts: Firsts,
    /// Endpoints that last showed another chain's first block.
    strangers: Mutex<BTreeSet<Arc<str>>>,
    view: Mutex<View>,
    /// How often heads were followed.
    hubs: AtomicU64,
    /// Rises whenever somebody shows something else.
    changed: watch::Sender<u64>,
    said: Mutex<Said>,
    block_bytes: Arc<BlockBytes>,
}

/// What is known of the newest blocks.
#[derive(Debug, Default)]
struct View {
    tree: Tree,
    claims: Claims,
    best: Option<Best>,
    /// Why an endpoint is not heard.
    errors: BTreeMap<Arc<str>, NodeError>,
    /// How often in a row headers of an endpoint did not fit to one another.
    misfits: BTreeMap<Arc<str>, u32>,
    /// Why what an endpoint shows counts for nothing, since when.
    undecided: BTreeMap<Arc<str>, (Instant, String)>,
}

impl View {
    /// What is nobody's word: headers prove themselves.
    fn without_words(&self) -> Self {
        Self { tree: self.tree.clone(), ..Self::default() }
    }
}

impl std::ops::Deref for BitcoinFleet {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl std::fmt::Debug for BitcoinFleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BitcoinFleet({}, {} endpoints)", self.config.network, self.members)
    }
}

/// Operators of those that may be asked about the chain, and whether one of them gives bodies.
fn voices(endpoints: &[(MemberConfig, Endpoint)]) -> (BTreeSet<String>, bool) {
    let streaming = || endpoints.iter().filter(|(m, _)| m.roles.contains(&Role::Stream));
    let operators = streaming().map(|(m, _)| m.operator.clone()).collect();
    (operators, streaming().any(|(_, e)| e.kind() == Kind::Core))
}

/// A client for each endpoint: one that is there already, or a new one.
fn clients(
    config: &BitcoinFleetConfig,
    endpoints: Vec<(MemberConfig, Endpoint)>,
    mut there: impl FnMut(&Endpoint) -> Option<Client>,
) -> Result<Vec<(MemberConfig, Client)>, String> {
    let chain = config.which.get().unwrap_or(BitcoinChain::Main);
    let client = |(member, endpoint): (MemberConfig, Endpoint)| {
        let client = match there(&endpoint) {
            Some(client) => client,
            None => Client::new(endpoint, chain, &config.tuning)?,
        };
        Ok((member, client))
    };
    endpoints.into_iter().map(client).collect()
}

impl BitcoinFleet {
    /// A fleet; nothing is connected yet.
    ///
    /// # Errors
    /// An endpoint that cannot be used as it is configured: what is wrong and what to write instead.
    pub fn new(
        config: BitcoinFleetConfig,
        endpoints: Vec<(MemberConfig, Endpoint)>,
        clock: Clock,
    ) -> Result<Self, String> {
        let (operators, bodies) = voices(&endpoints);
        let members = clients(&config, endpoints, |_| None)?;
        let fleet = Fleet::new(config.network.clone(), &config.observer, members, config.fleet.clone(), clock);
        Ok(Self(Arc::new(Inner {
            operators: operators.len(),
            members: fleet.members().len(),
            fleet,
            bodies,
            firsts: Firsts::default(),
            strangers: Mutex::default(),
            view: Mutex::default(),
            hubs: AtomicU64::new(0),
            changed: watch::Sender::new(0),
            said: Mutex::default(),
            block_bytes: Arc::default(),
            config,
        })))
    }

    /// The fleet that goes on with these endpoints and settings, of the same chain: what is known of endpoints whose URL stays is kept, and
    /// of those that stay as they are the connections too. Nothing changes here yet.
    ///
    /// # Errors
    /// As [`BitcoinFleet::new`].
    pub fn succeeded_by(
        &self,
        config: BitcoinFleetConfig,
        endpoints: Vec<(MemberConfig, Endpoint)>,
    ) -> Result<Self, String> {
        let (operators, bodies) = voices(&endpoints);
        let names: BTreeSet<String> = endpoints.iter().map(|(m, _)| m.name.clone()).collect();
        let mut same = BTreeSet::new();
        let former = self.fleet.members();
        let members = clients(&config, endpoints, |endpoint| {
            let member = former.iter().find(|m| m.client.endpoint() == endpoint)?;
            same.insert(endpoint.name.clone());
            Some(member.client.clone())
        })?;
        let count = members.len();
        let fleet = self.fleet.succeeded_by(members, config.fleet.clone());
        // Why an endpoint could not be used was said of it as it was.
        names.difference(&same).for_each(|name| fleet.usable(name));
        let mut strangers = self.strangers().clone();
        strangers.retain(|name| same.contains(&**name));
        Ok(Self(Arc::new(Inner {
            operators: operators.len(),
            members: count,
            fleet,
            bodies,
            firsts: self.firsts.of_endpoints(&same),
            strangers: Mutex::new(strangers),
            view: Mutex::new(self.view().without_words()),
            hubs: AtomicU64::new(0),
            changed: watch::Sender::new(0),
            said: Mutex::default(),
            block_bytes: self.block_bytes.clone(),
            config,
        })))
    }

    /// The fleet below: its samples, states, and what other observers found.
    pub fn fleet(&self) -> &Fleet<Client> {
        &self.0.fleet
    }

    /// Whether blocks come with their bodies.
    pub fn has_bodies(&self) -> bool {
        self.bodies
    }

    /// Whether somebody else can be asked.
    fn others(&self) -> bool {
        self.members > 1
    }

    /// A member's client on its way through the fleet.
    fn client(&self, member: &Member<Client>) -> Client {
        let chain = self.config.which.get().unwrap_or(BitcoinChain::Main);
        member.client.through(member.meter.clone(), self.others(), chain)
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.0.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strangers(&self) -> MutexGuard<'_, BTreeSet<Arc<str>>> {
        self.0.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody shows something else.
    fn news(&self) {
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Endpoints whose word counts now.
    fn believed(&self) -> BTreeSet<Arc<str>> {
        self.fleet.believed().iter().map(Member::name).collect()
    }

    /// Operators of those.
    fn trusted(&self) -> Vec<Arc<str>> {
        self.fleet.trusted()
    }

    /// The newest height that is followed.
    fn best_height(&self) -> Option<u64> {
        self.view().best.as_ref().map(|best| best.tip.height)
    }

    fn question(&self, method: &'static str, height: Option<u64>) -> Ask {
        let within = if self.others() { ASK_WITHIN } else { ALONE_WITHIN };
        let newest = self.best_height();
        let history = height.zip(newest).is_some_and(|(height, newest)| height + HISTORY_BLOCKS < newest);
        let expected = height.zip(newest).is_some_and(|(height, newest)| height <= newest);
        Ask { height, within, sticky: !history, expected, ..Ask::new(method) }
    }

    /// A question about a final height beside the stream.
    fn historical(&self, height: u64) -> Ask {
        let within = if self.others() { HISTORY_WITHIN } else { ALONE_WITHIN };
        Ask {
            purpose: Purpose::History,
            height: Some(height),
            within,
            sticky: false,
            expected: true,
            ..Ask::new("history")
        }
    }

    /// Whether a client may be asked for what is written down: where bodies are to be had, those that have them.
    fn gives(&self, client: &Client) -> bool {
        !self.bodies || client.kind() == Kind::Core
    }

    /// Asks all endpoints for their tips, and waits for a while for those that are slow.
    async fn round(&self) -> Option<NodeError> {
        let asking = self.fleet.members().into_iter().filter(|m| m.serves(Role::Stream)).map(|member| {
            let this = self.clone();
            async move {
                let asked = async {
                    this.on_chain(&member).await?;
                    let (height, header) = this.client(&member).tip().await?;
                    this.took(&member, height, header).await
                };
                tokio::time::timeout(ROUND_WITHIN, asked).await.ok().and_then(Result::err)
            }
        });
        let failed = join_all(asking).await.into_iter().flatten().next();
        self.choose();
        failed
    }

    /// Looks which branch is to be followed now.
    fn choose(&self) -> Option<Best> {
        let believed = self.believed();
        let mut view = self.view();
        let mut best = view.claims.best(&view.tree, &believed, view.best.as_ref());
        if let Some(best) = &mut best {
            let tips = view.claims.tips();
            view.tree.tidy(&best.tip.header.hash, &tips);
            // Its work may be counted from another block now.
            best.tip = view.tree.get(&best.tip.header.hash).copied().unwrap_or(best.tip);
            view.best = Some(best.clone());
        }
        best
    }

    /// What an endpoint's block counts as where endpoints are compared by votes: one of a branch that is known with its work is weighed, so
    /// that whoever is on the losing side of a fork is no liar.
    fn weighed(&self, height: u64, hash: BitcoinHash) -> BitcoinHash {
        let known = self.view().tree.get(&hash).is_some_and(|known| known.height == height);
        let followed = if known { self.known_at(height) } else { None };
        followed.map_or(hash, |followed| followed.header.hash)
    }

    /// The block at a height on the branch that is followed, where that is among the newest.
    fn known_at(&self, height: u64) -> Option<tree::Known> {
        let view = self.view();
        let best = view.best.as_ref()?;
        view.tree.ancestor(&best.tip.header.hash, height).copied()
    }
}

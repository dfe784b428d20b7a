//! An EVM network over a fleet of endpoints.
//!
//! Guarantee: every call goes through [`Fleet`] (limits, samples, breaker, fail-over); an answer that does not hold, by the checks of
//! the chain's profile, is asked of the next endpoint at once and is not given; a block is asked for by hash where one was told and
//! the endpoint takes it. What no check can find, a forged header, is found by the word of other operators ([`second`]). A network
//! with one endpoint behaves as a single client does.
//!
//! * [`chain`]: no endpoint is used before it has said the right chain id.
//! * [`hub`]: heads from every subscription; polling where there is none.
//! * [`newest`]: the newest head that is not stale; [`together`]: blocks of several heights in one question.
//! * [`state`]: code, storage and calls at a block's hash; [`traces`]: why transactions failed.
//! * [`words`], [`second`]: who showed which block; [`judge`]: what follows when they differ; [`lacking`]: and who had none.

mod chain;
mod hub;
mod judge;
mod lacking;
mod newest;
mod second;
mod state;
mod together;
mod traces;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use async_trait::async_trait;
use schemas::{BlockHash, Network};
use tokio::sync::{Notify, watch};

pub use self::state::{Called, StateAt};
use self::{chain::Chains, judge::Suspects, lacking::Lacking, words::Words};
use super::{
    client::EvmClient,
    endpoint::{Endpoint, Tuning},
    fetch::At,
    source::hash_of,
    types::{EvmBlock, EvmHead},
    verify::Checks,
};
use crate::{
    error::{Class, NodeError, NodeErrorKind},
    fleet::{
        Answer, Ask, Clock, Confirm, Fleet, FleetConfig, Member, MemberConfig, Probe, Purpose, Role, sizes::BlockBytes,
    },
    source::{ChainSource, Finality, Head, HeadView, Word},
};

/// Blocks below the newest from which on a block is history: its height is served by whoever has a place free.
const HISTORY_BLOCKS: u64 = 64;
/// One ask of a block of the past beside the stream, for which its limits are waited for.
const HISTORY_WITHIN: Duration = Duration::from_secs(60);
/// Where there is one endpoint only: its own deadlines and retries bound it.
const ALONE_WITHIN: Duration = Duration::from_secs(600);

/// What an EVM network's fleet is told besides its endpoints.
#[derive(Debug, Clone)]
pub struct EvmFleetConfig {
    /// The network.
    pub network: Network,
    /// EIP-155 chain id that each endpoint must say.
    pub chain_id: u64,
    /// Who observes: stage and instance.
    pub observer: String,
    /// What is checked of a node's answers.
    pub checks: Checks,
    /// Deadlines and retries.
    pub tuning: Tuning,
    /// Operators that must show a block.
    pub confirm: Confirm,
    /// How long they have for it.
    pub confirm_within: Duration,
    /// Of the fleet.
    pub fleet: FleetConfig,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct EvmFleet(Arc<Inner>);

/// What a network's fleet holds.
pub struct Inner {
    fleet: Fleet<EvmClient>,
    config: EvmFleetConfig,
    /// Operators of the endpoints that may stream, as configured.
    operators: usize,
    members: usize,
    /// Endpoints that are listened to: of those that have a subscription, who may stream.
    listened: BTreeSet<String>,
    chains: Chains,
    words: Mutex<Words>,
    /// Told whenever somebody showed something new.
    shown: Notify,
    /// Endpoints with a live subscription, and their operators.
    live: Mutex<BTreeMap<Arc<str>, Arc<str>>>,
    suspects: Mutex<Suspects>,
    lacking: Mutex<Lacking>,
    /// What blocks of this chain take, whoever gives them.
    block_bytes: Arc<BlockBytes>,
}

impl std::ops::Deref for EvmFleet {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl std::fmt::Debug for EvmFleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EvmFleet({}, {} endpoints)", self.config.network, self.members)
    }
}

/// Who has a voice, and who is listened to.
struct Voices {
    /// Of the endpoints that may be asked about the chain.
    operators: Vec<String>,
    listened: BTreeSet<String>,
}

impl Voices {
    fn of(endpoints: &[(MemberConfig, Endpoint)]) -> Self {
        let streaming = || endpoints.iter().filter(|(m, _)| m.roles.contains(&Role::Stream));
        let mut operators: Vec<String> = streaming().map(|(m, _)| m.operator.clone()).collect();
        operators.sort_unstable();
        operators.dedup();
        let listened = streaming().filter(|(_, e)| e.ws.is_some()).map(|(m, _)| m.name.clone()).collect();
        Self { operators, listened }
    }
}

/// A client for each endpoint: one that is there already, or a new one.
fn clients(
    config: &EvmFleetConfig,
    endpoints: Vec<(MemberConfig, Endpoint)>,
    mut there: impl FnMut(&Endpoint) -> Option<EvmClient>,
) -> Result<Vec<(MemberConfig, EvmClient)>, String> {
    let client = |(member, endpoint): (MemberConfig, Endpoint)| {
        let client = match there(&endpoint) {
            Some(client) => client,
            None => EvmClient::new(endpoint, config.checks, config.tuning.clone())?,
        };
        Ok((member, client))
    };
    endpoints.into_iter().map(client).collect()
}

impl EvmFleet {
    /// A fleet; nothing is connected yet. Fails on header names or values that HTTP does not allow.
    pub fn new(config: EvmFleetConfig, endpoints: Vec<(MemberConfig, Endpoint)>, clock: Clock) -> Result<Self, String> {
        let voices = Voices::of(&endpoints);
        let members = clients(&config, endpoints, |_| None)?;
        let fleet = Fleet::new(config.network.clone(), &config.observer, members, config.fleet.clone(), clock);
        Ok(Self(Arc::new(Inner {
            operators: voices.operators.len(),
            members: fleet.members().len(),
            fleet,
            listened: voices.listened,
            chains: Chains::default(),
            words: Mutex::default(),
            shown: Notify::new(),
            live: Mutex::default(),
            suspects: Mutex::default(),
            lacking: Mutex::default(),
            block_bytes: Arc::default(),
            config,
        })))
    }

    /// The fleet that goes on with these endpoints and settings, of the same chain: what is known of endpoints whose URL stays is kept,
    /// and of those that stay as they are the connections too. Nothing changes here yet. Fails as [`EvmFleet::new`] does.
    pub fn succeeded_by(
        &self,
        config: EvmFleetConfig,
        endpoints: Vec<(MemberConfig, Endpoint)>,
    ) -> Result<Self, String> {
        let voices = Voices::of(&endpoints);
        let names: BTreeSet<String> = endpoints.iter().map(|(m, _)| m.name.clone()).collect();
        let mut same = BTreeSet::new();
        let former = self.fleet.members();
        let members = clients(&config, endpoints, |endpoint| {
            let member = former.iter().find(|m| m.client.endpoint == *endpoint)?;
            same.insert(endpoint.name.clone());
            (member.client.checks == config.checks).then(|| member.client.clone())
        })?;
        let count = members.len();
        let fleet = self.fleet.succeeded_by(members, config.fleet.clone());
        // Why an endpoint could not be used was said of it as it was.
        names.difference(&same).for_each(|name| fleet.usable(name));
        Ok(Self(Arc::new(Inner {
            operators: voices.operators.len(),
            members: count,
            fleet,
            listened: voices.listened,
            chains: self.chains.of_endpoints(&same),
            words: Mutex::new(self.words().of_operators(&voices.operators)),
            shown: Notify::new(),
            live: Mutex::default(),
            suspects: Mutex::new(self.suspects().of_endpoints(&same)),
            lacking: Mutex::default(),
            block_bytes: self.block_bytes.clone(),
            config,
        })))
    }

    /// The fleet below: its samples, states, and what other observers found.
    pub fn fleet(&self) -> &Fleet<EvmClient> {
        &self.0.fleet
    }

    /// Whether somebody else can be asked.
    fn others(&self) -> bool {
        self.members > 1
    }

    /// A member's client on its way through the fleet.
    fn client(&self, member: &Member<EvmClient>) -> EvmClient {
        member.client.through(Arc::new(member.clone()), self.others())
    }

    fn words(&self) -> MutexGuard<'_, Words> {
        self.0.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An operator showed a block, in answer to a question of this moment, or unasked. True when that is news of it.
    fn show(&self, operator: &Arc<str>, by: &Arc<str>, head: &EvmHead, asked: Option<Instant>) -> bool {
        let news = self.words().show(operator, by, (head.number, head.hash), Some(head.parent_hash), asked);
        if news {
            self.shown.notify_waiters();
        }
        news
    }

    /// An endpoint showed its newest block, likewise.
    fn heard(&self, operator: &Arc<str>, by: &Arc<str>, head: &EvmHead, asked: Option<Instant>) {
        self.fleet.heard(by, head.number);
        self.words().newest_is(operator, head.number);
        self.show(operator, by, head, asked);
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<str>>> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn suspects(&self) -> MutexGuard<'_, Suspects> {
        self.0.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Operators of the endpoints whose word counts now.
    fn trusted(&self) -> Vec<Arc<str>> {
        self.fleet.trusted()
    }

    fn question(&self, method: &'static str, height: Option<u64>) -> Ask {
        let within = if self.others() { self.config.tuning.ask_within } else { ALONE_WITHIN };
        let newest = self.words().height();
        let history = height.zip(newest).is_some_and(|(height, newest)| height + HISTORY_BLOCKS < newest);
        let expected = height.zip(newest).is_some_and(|(height, newest)| height <= newest);
        Ask { height, within, sticky: !history, expected, ..Ask::new(method) }
    }

    /// Asks the endpoint in use, and the next when it fails.
    async fn ask<T, F, Fut>(&self, ask: Ask, f: F) -> Result<Answer<T>, NodeError>
    where
        T: Send + 'static,
        F: Fn(EvmClient) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, NodeError>> + Send + 'static,
    {
        let (this, f) = (self.clone(), Arc::new(f));
        self.fleet
            .ask(ask, move |member| {
                let (this, f) = (this.clone(), f.clone());
                async move {
                    if this.others() {
                        this.on_chain(&member).await?;
                    }
                    f(this.client(&member)).await
                }
            })
            .await
    }

    /// As much time as an only endpoint gets, for all of them one after the other.
    fn patiently(&self, ask: Ask) -> Ask {
        let each = ALONE_WITHIN / u32::try_from(self.members.max(1)).unwrap_or(u32::MAX);
        Ask { within: ALONE_WITHIN, patience: Some(each), ..ask }
    }

    /// Whether what it takes may be had with more time: an endpoint, or what is kept to of its limits, lets too few calls through. A
    /// long wait is whoever's who asks.
    fn more_time_may_help(&self, e: &NodeError) -> bool {
        match e.kind {
            NodeErrorKind::Throttled(wait, _) => wait.is_none_or(|wait| wait <= self.config.tuning.backoff_max),
            _ => false,
        }
    }

    /// A question about a final height beside the stream.
    fn historical(&self, height: u64) -> Ask {
        let within = if self.others() { HISTORY_WITHIN } else { ALONE_WITHIN };
        let purpose = Purpose::History;
        Ask { purpose, height: Some(height), within, sticky: false, expected: true, ..Ask::new("history") }
    }

    /// The block; with `others` from the first that gives it as it should be, without them with all the patience that an only endpoint
    /// is treated with.
    async fn block(&self, ask: Ask, at: At, others: bool) -> Result<EvmBlock, NodeError> {
        let asked = Instant::now();
        let answer = self.block_by(ask, at, others).await?;
        let head = &answer.value.head;
        self.show(&answer.operator, &answer.endpoint, head, Some(asked));
        if !answer.lacked.is_empty() {
            self.lacking().add(head.number, head.hash, answer.lacked);
            if self.is_agreed(head.number, head.hash) {
                self.agreed(head.number, head.hash);
            }
        }
        Ok(answer.value)
    }

    fn lacking(&self) -> MutexGuard<'_, Lacking> {
        self.0.lacking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enough operators show a block: whoever did not have it was behind.
    fn agreed(&self, height: u64, hash: B256) {
        let lacked = self.lacking().agreed(height, hash);
        for endpoint in lacked {
            self.fleet.stale(&endpoint, "block", format!("it did not have block {height}, {hash}, that others have"));
        }
    }
}

#[async_trait]
impl ChainSource for EvmFleet {
    type Block = EvmBlock;

    fn endpoint(&self) -> String {
        let primary = self.fleet.primary().or_else(|| self.fleet.members().into_iter().next());
        primary.map_or_else(|| self.config.network.to_string(), |member| member.name().to_string())
    }

    fn endpoints(&self) -> Vec<String> {
        self.fleet.members().iter().map(|member| member.name().to_string()).collect()
    }

    async fn chain_id(&self) -> Result<String, NodeError> {
        if self.others() {
            return Ok(self.chain_of_any().await?.to_string());
        }
        let answer = self.ask(self.question("eth_chainId", None), |client| async move { client.chain().await }).await?;
        Ok(answer.value.to_string())
    }

    async fn head(&self) -> Result<Head, NodeError> {
        Ok(self.newest().await?.0.into())
    }

    async fn header(&self, height: u64) -> Result<Head, NodeError> {
        let asked = Instant::now();
        let answer = self
            .ask(self.question("header", Some(height)), move |client| async move {
                client.header_at(format!("0x{height:x}"), Some(height)).await
            })
            .await?;
        self.show(&answer.operator, &answer.endpoint, &answer.value, Some(asked));
        Ok(answer.value.into())
    }

    async fn fetch(&self, height: u64, hash: Option<&BlockHash>) -> Result<EvmBlock, NodeError> {
        let at = At { height, hash: hash.and_then(hash_of) };
        let (others, ask) = (self.others(), self.question("block", Some(height)));
        let mut outcome = self.block(ask, at, others).await;
        if others && at.hash.is_some() && outcome.as_ref().is_err_and(|e| e.class() == Class::Empty) {
            // Nobody has the hash that was told: what there is at that height.
            outcome = self.block(ask, At { height, hash: None }, others).await;
        }
        outcome = match outcome {
            // Nobody has it as it should be: whatever the nodes of this chain do, they all do it.
            Err(e) if others && matches!(e.kind, NodeErrorKind::Lying(_)) => self.block(ask, at, false).await,
            // All of them let too few calls through for what it takes: from one at a time, as long as it takes.
            Err(e) if others && self.more_time_may_help(&e) => {
                tracing::debug!(network = %self.config.network, height, error = %e, "the block is asked for with more time");
                self.block(self.patiently(ask), at, false).await
            }
            outcome => outcome,
        };
        if outcome.is_ok() {
            self.fleet.passed(1);
        }
        outcome
    }

    /// What it gives is no word on its height ([`words`]): history that is fetched at speed would push out what was said of new heads.
    /// Who vouches for it is asked.
    async fn fetch_history(&self, height: u64) -> Result<EvmBlock, NodeError> {
        let (ask, at, others) = (self.historical(height), At { height, hash: None }, self.others());
        let outcome = match self.block_by(ask, at, others).await {
            Err(e) if others && matches!(e.kind, NodeErrorKind::Lying(_)) => self.block_by(ask, at, false).await,
            Err(e) if others && self.more_time_may_help(&e) => self.block_by(self.patiently(ask), at, false).await,
            outcome => outcome,
        };
        if outcome.is_ok() {
            self.fleet.passed(1);
        }
        outcome.map(|answer| answer.value)
    }

    fn at_once(&self) -> usize {
        self.heights_together()
    }

    async fn fetch_together(&self, from: u64, count: usize, history: bool) -> Result<Vec<EvmBlock>, NodeError> {
        self.blocks_together(from, count, history).await
    }

    async fn finality(&self) -> Result<Finality, NodeError> {
        let answer = self.ask(self.question("finality", None), |client| async move { client.final_heights().await });
        match answer.await {
            Ok(answer) => Ok(answer.value),
            // Nobody knows the tags.
            Err(e) if e.class() == Class::Missing => Ok(Finality::default()),
            Err(e) => Err(e),
        }
    }

    fn heads(&self) -> watch::Receiver<HeadView> {
        hub::follow(self.clone())
    }

    async fn second_word(&self, head: &Head) -> Word {
        match hash_of(&head.hash) {
            Some(hash) => self.word_on(head.height, hash).await,
            None => Word::Silent,
        }
    }
}

/// What the fleet asks on its own.
struct Prober(EvmFleet);

#[async_trait]
impl Probe<EvmClient> for Prober {
    async fn head(&self, member: &Member<EvmClient>) -> Result<u64, NodeError> {
        if self.0.others() {
            self.0.on_chain(member).await?;
        }
        let asked = Instant::now();
        let head = self.0.client(member).header_at("latest".into(), None).await?;
        self.0.came_round(&member.name(), &head);
        // Whoever is not believed does not speak for its operator.
        if !member.quarantined() {
            self.0.heard(&member.operator(), &member.name(), &head, Some(asked));
        }
        Ok(head.number)
    }

    async fn block(&self, member: &Member<EvmClient>, height: u64) -> Result<String, NodeError> {
        let head = self.0.client(member).header_at(format!("0x{height:x}"), Some(height)).await?;
        Ok(head.hash.to_string())
    }
}

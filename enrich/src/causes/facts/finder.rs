//! Looks at contracts, one after the other: their code and storage at the hash of a block in which they were seen.
//!
//! Guarantee: a network's nodes are asked no more often than its budget allows, behind everybody who follows the chain; what cannot be
//! had is left, and comes again when the contract is seen again. Nothing waits for it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use alloy_primitives::{Address, Bytes, U256};
use nodes::{
    Class, Missing, NodeError, NodeErrorKind,
    evm::fleet::{Called, EvmFleet, StateAt},
};
use schemas::{
    BlockHash, Network,
    limits::facts as limits,
    records::{FoundBy, Implementation, ProxyKind},
};
use tokio::sync::{Notify, mpsc};

use super::{
    budget::Budget,
    config::{AllNodes, Nodes},
    ledger::Behind,
    metrics,
    proxy::{self, Code},
    sources::{Queue, Wanted},
    waiting::{Waiting, Wish},
};

/// Pause after nodes gave no answer.
const AWAY: Duration = Duration::from_secs(5);
/// How long what nodes have no state of, or no method for, is not asked for.
const GONE: Duration = Duration::from_secs(600);
/// The longest sleep until it is looked again whether there is something to do.
const NAP: Duration = Duration::from_secs(60);

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The network.
    pub network: Network,
    /// The block at whose state was asked.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// What stands behind which contract: the one that was looked at, and of a proxy with a beacon that too.
    pub behind: Vec<(Address, Behind)>,
}

/// What a network's looker shares with the stage.
#[derive(Default)]
pub struct Shared {
    waiting: Mutex<Waiting>,
    /// Contracts whose ABI is known.
    with_abi: Mutex<HashSet<Address>>,
    news: Notify,
}

impl Shared {
    /// Those that wait.
    pub fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Contracts were seen.
    pub fn saw(&self) {
        self.news.notify_one();
    }

    /// A contract's ABI is known, or no longer.
    pub fn abi(&self, address: Address, known: bool) {
        let mut with_abi = self.with_abi.lock().unwrap_or_else(PoisonError::into_inner);
        if known {
            with_abi.insert(address);
        } else {
            with_abi.remove(&address);
        }
    }

    fn has_abi(&self, address: &Address) -> bool {
        self.with_abi.lock().unwrap_or_else(PoisonError::into_inner).contains(address)
    }
}

/// Looks at the contracts of a network until dropped.
pub struct Finder {
    /// The network.
    pub network: Network,
    /// Its nodes.
    pub nodes: AllNodes,
    /// How often they may be asked.
    pub budget: Budget,
    /// Who waits.
    pub shared: Arc<Shared>,
    /// Who is asked for ABIs.
    pub sources: Queue,
    /// Where what is found goes.
    pub found: mpsc::Sender<Found>,
}

/// What a contract turned out to be.
struct Looked {
    behind: Vec<(Address, Behind)>,
    code: Bytes,
    again: Option<Duration>,
}

impl Finder {
    /// See the module.
    pub async fn run(self) {
        let mut gone_since: Option<Instant> = None;
        loop {
            if gone_since.is_some_and(|since| since.elapsed() > GONE) {
                self.shared.waiting().try_all();
                gone_since = None;
            }
            let (next, left) = {
                let mut waiting = self.shared.waiting();
                (waiting.next(), waiting.len())
            };
            metrics::waiting(&self.network, left);
            let (Some(wish), Some(nodes)) = (next, self.nodes.of(&self.network)) else {
                let _ = tokio::time::timeout(NAP, self.shared.news.notified()).await;
                continue;
            };
            let look = Look {
                fleet: &nodes.fleet,
                budget: &self.budget,
                at: StateAt { height: wish.height, hash: wish.hash },
            };
            match look.contract(wish.address).await {
                Ok(looked) => {
                    if !self.tell(&nodes, &wish, looked).await {
                        return;
                    }
                }
                Err(e) => {
                    let outcome = match (&e.kind, e.class()) {
                        (NodeErrorKind::Missing(Missing::Pruned, _), _) => {
                            gone_since.get_or_insert_with(Instant::now);
                            self.shared.waiting().gone(wish.height);
                            "gone"
                        }
                        (NodeErrorKind::Missing(Missing::Method, _), _) => "no_method",
                        // It was reverted, or the endpoint that was asked does not have it yet.
                        (_, Class::Empty | Class::NoBlock) => "unknown_block",
                        _ => "failed",
                    };
                    metrics::looked_at(&self.network, outcome);
                    tracing::debug!(network = %self.network, contract = %wish.address, error = %e, "a contract was not looked at");
                    match outcome {
                        "failed" => tokio::time::sleep(e.asked_wait().unwrap_or(AWAY).min(NAP)).await,
                        "no_method" => tokio::time::sleep(GONE).await,
                        _ => {}
                    }
                }
            }
        }
    }

    /// False when nobody listens any more.
    async fn tell(&self, nodes: &Nodes, wish: &Wish, looked: Looked) -> bool {
        let proxy = looked.behind.first().and_then(|(_, behind)| behind.proxy);
        let outcome = match (&looked.code[..], proxy) {
            ([], _) => "account",
            (_, Some(_)) => "proxy",
            (_, None) => "plain",
        };
        metrics::looked_at(&self.network, outcome);
        let mut again = looked.again;
        // Clones and accounts have no sources of their own: what stands behind them has.
        let copies = [ProxyKind::Eip1167, ProxyKind::Eip7702, ProxyKind::Safe];
        let own = !looked.code.is_empty() && proxy.is_none_or(|kind| !copies.contains(&kind));
        if own && self.sources.is_some() && !self.shared.has_abi(&wish.address) {
            let wanted = Wanted {
                network: self.network.clone(),
                chain_id: nodes.chain_id,
                address: wish.address,
                code: looked.code,
            };
            // Where there is no room now, soon again; else when a source may have got it.
            let wait = if self.sources.ask(wanted) { limits::NOTHING_KEPT } else { NAP };
            again = Some(again.map_or(wait, |again| again.min(wait)));
        }
        self.shared.waiting().looked(wish, again, Instant::now());
        if looked.behind.is_empty() {
            return true;
        }
        let (network, hash) = (self.network.clone(), BlockHash::from(wish.hash));
        self.found.send(Found { network, height: wish.height, hash, behind: looked.behind }).await.is_ok()
    }
}

struct Look<'a> {
    fleet: &'a EvmFleet,
    budget: &'a Budget,
    at: StateAt,
}

impl Look<'_> {
    async fn code(&self, of: Address) -> Result<Bytes, NodeError> {
        self.budget.turn().await;
        self.fleet.code_at(of, self.at).await
    }

    async fn slot(&self, of: Address, slot: U256) -> Result<Option<Address>, NodeError> {
        self.budget.turn().await;
        Ok(proxy::address_in(self.fleet.storage_at(of, slot, self.at).await?))
    }

    /// What a call returns; `None` where it fails.
    async fn call(&self, to: Address, data: impl Into<Bytes>) -> Result<Option<Bytes>, NodeError> {
        self.budget.turn().await;
        Ok(match self.fleet.call_at(to, data.into(), self.at).await? {
            Called::Returned(data) => Some(data),
            Called::Failed => None,
        })
    }

    fn entry(&self, address: Address) -> Implementation {
        let (from_height, found_by) = (self.at.height, FoundBy::Call);
        Implementation { from_height, address: Some(address), found_by, ..Implementation::default() }
    }

    async fn contract(&self, of: Address) -> Result<Looked, NodeError> {
        let code = self.code(of).await?;
        let is = |this: &Self, kind, to| Behind { proxy: Some(kind), implementations: vec![this.entry(to)] };
        // What no log tells of is asked again after a while.
        let again = |kind| proxy::is_silent(kind).then_some(limits::ASKED_AGAIN);
        match proxy::judge(&code) {
            // It may have code later.
            Code::None => Ok(Looked { behind: Vec::new(), code, again: Some(limits::ASKED_AGAIN) }),
            Code::Names(kind, to) => Ok(Looked { behind: vec![(of, is(self, kind, to))], code, again: again(kind) }),
            Code::Asks { slots, diamond } => {
                for slot in slots {
                    let Some(to) = self.slot(of, slot.at).await? else { continue };
                    let mut behind = vec![(of, is(self, slot.kind, to))];
                    if slot.kind == ProxyKind::Beacon
                        && let Some(named) = self.call(to, proxy::IMPLEMENTATION).await?
                        && let Some(named) = proxy::implementation_in(&named)
                    {
                        behind.push((to, Behind { proxy: None, implementations: vec![self.entry(named)] }));
                    }
                    return Ok(Looked { behind, code, again: again(slot.kind) });
                }
                if diamond
                    && let Some(facets) = self.call(of, proxy::FACETS).await?
                    && let Some(implementations) = proxy::facets_in(&facets, self.at.height)
                {
                    let behind = vec![(of, Behind { proxy: Some(ProxyKind::Eip2535), implementations })];
                    return Ok(Looked { behind, code, again: None });
                }
                Ok(Looked { behind: Vec::new(), code, again: None })
            }
        }
    }
}

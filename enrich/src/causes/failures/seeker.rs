//! Asks nodes for evidence, block by block, and classes what comes.
//!
//! Guarantee: a network's nodes are asked no more often than its budget allows, behind everybody who follows the chain. What they say is of
//! the block's hash. Where they do not answer, it is asked again until the failure is given up; what they do not have is told to the stage,
//! and so is everything that was found. Whoever drops it loses nothing: the stage holds what waits.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use decode::causes::{CallAnswer, Table, by_call, by_trace};
use schemas::{
    Network,
    records::{CauseEvidence, EvmTransaction},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{
    abis::Facts,
    evidence::{BlockOfFailures, Evidence, Turns, Why, evidence},
    item::Item,
    part::Ended,
    queue::Queue,
};
use crate::causes::{
    budget::Budget,
    config::{AllNodes, Nodes},
    metrics,
};

/// How long a block that no node has may be on its way to them, where they say that they are at its height; the revert of one that was
/// reverted is on its way as well. At most a quarter of all patience. Nodes that are behind are waited for until the failure is given up.
const ON_ITS_WAY: Duration = Duration::from_secs(20);
/// Pause before such a block is asked for again.
const AGAIN: Duration = Duration::from_secs(2);
/// Pause before what some endpoints did not answer is asked for again.
const SOME_AWAY: Duration = Duration::from_secs(5);
/// Failures of one block that are asked for together.
const TOGETHER: usize = 256;

/// How it ended with one.
#[derive(Debug)]
pub struct Outcome {
    /// The partition.
    pub partition: u32,
    /// The failure's place there.
    pub offset: u64,
    /// How.
    pub ended: Ended,
}

/// How nodes stand to a block's height, by their own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heads {
    /// One has that height: what it lacks there is on another branch.
    There,
    /// All are below it.
    Below,
    /// None says anything.
    Silent,
    /// There was no turn left to ask.
    NoBudget,
}

/// Asks for the failures of one network until dropped.
pub struct Seeker {
    /// The network.
    pub network: Network,
    /// Its nodes.
    pub nodes: AllNodes,
    /// How often they may be asked.
    pub budget: Budget,
    /// How long one may wait.
    pub give_up_after: Duration,
    /// Who waits.
    pub queue: Arc<Queue>,
    /// What is known of contracts.
    pub facts: Facts,
    /// Rows by which it is classed.
    pub table: Arc<Table>,
    /// Where outcomes go.
    pub ended: mpsc::Sender<Outcome>,
}

impl Turns for Budget {
    fn turn(&self) -> impl Future<Output = bool> + Send {
        Budget::turn(self)
    }
}

impl Seeker {
    /// See the module.
    pub async fn run(self) {
        loop {
            let items = self.queue.next().await;
            let Some(nodes) = self.nodes.of(&self.network) else {
                self.queue.again(items, SOME_AWAY);
                continue;
            };
            let (now, later) = split(items);
            if !later.is_empty() {
                self.queue.again(later, Duration::ZERO);
            }
            if !self.seek(&nodes, now).await {
                return;
            }
        }
    }

    /// False when nobody listens any more.
    async fn seek(&self, nodes: &Nodes, items: Vec<Arc<Item>>) -> bool {
        let (Some(first), began) = (items.first(), Instant::now()) else { return true };
        let oldest = items.iter().map(|item| item.since).min().unwrap_or(began);
        let until = oldest + self.give_up_after;
        let Ok(hash) = first.block_hash.as_str().parse::<B256>() else {
            return self.tell_all(&items, || Ended::Nothing).await;
        };
        let last = until.saturating_duration_since(began) < self.give_up_after / 4;
        let block = BlockOfFailures { height: first.height, hash, last };
        let failed: Vec<&EvmTransaction> = items.iter().map(|item| &item.transaction).collect();
        let turns = self.budget.clone().until(until);
        let mut heads = None;
        if !last && items.iter().any(|item| item.is_asked()) {
            // Asked before: while nodes are behind, one question says so.
            heads = Some(self.heads(nodes, first.height, &turns).await);
            if heads == Some(Heads::Below) {
                self.queue.answered();
                self.queue.again(items, SOME_AWAY);
                return true;
            }
        }
        let found = timeout_at(until, evidence(&nodes.fleet, &block, &failed, &turns)).await;
        metrics::looked_for_evidence(&self.network, began.elapsed());
        let Ok(found) = found else {
            // The stage gives them up now.
            items.iter().for_each(|item| item.was_asked());
            return true;
        };
        let is_missing = |found: &Evidence| matches!(found, Evidence::None(Why::OtherBlock(_)));
        let heads = match heads {
            Some(heads) => heads,
            None if found.iter().any(is_missing) => self.heads(nodes, first.height, &turns).await,
            None => Heads::There,
        };
        self.settle(items, found, heads).await
    }

    /// How the nodes that may be asked stand to a height, by their own word.
    async fn heads(&self, nodes: &Nodes, height: u64, turns: &Budget) -> Heads {
        if !Turns::turn(turns).await {
            return Heads::NoBudget;
        }
        match nodes.fleet.traces_are_behind(height).await {
            Some(true) => Heads::Below,
            Some(false) => Heads::There,
            None => Heads::Silent,
        }
    }

    /// `heads`: how nodes stand to the block's height.
    async fn settle(&self, items: Vec<Arc<Item>>, found: Vec<Evidence>, heads: Heads) -> bool {
        let waits = matches!(heads, Heads::Below | Heads::Silent);
        let on_its_way = ON_ITS_WAY.min(self.give_up_after / 4);
        let (mut away, mut missing, mut said, mut answered) = (Vec::new(), Vec::new(), String::new(), false);
        for (item, found) in items.into_iter().zip(found) {
            let ended = match found {
                Evidence::None(Why::Away(why)) => {
                    item.was_asked();
                    said = why;
                    away.push(item);
                    continue;
                }
                Evidence::None(Why::OtherBlock(_)) if heads == Heads::NoBudget => {
                    answered = true;
                    Ended::NoBudget
                }
                Evidence::None(Why::OtherBlock(_)) if waits || item.since.elapsed() < on_its_way => {
                    answered = true;
                    item.was_asked();
                    missing.push(item);
                    continue;
                }
                Evidence::None(Why::Budget) => Ended::NoBudget,
                Evidence::None(Why::Refused(why) | Why::OtherBlock(why)) => {
                    tracing::debug!(network = %self.network, transaction = %item.transaction.hash, why, "no evidence");
                    answered = true;
                    Ended::Nothing
                }
                Evidence::None(Why::Returned) => {
                    answered = true;
                    self.class(&item, Evidence::Call(CallAnswer::Returned))
                }
                found => {
                    answered = true;
                    self.class(&item, found)
                }
            };
            if !self.tell(&item, ended).await {
                return false;
            }
        }
        if !missing.is_empty() {
            self.queue.again(missing, if waits { SOME_AWAY } else { AGAIN });
        }
        match (answered, away.is_empty()) {
            (true, true) => self.queue.answered(),
            (true, false) => {
                self.queue.answered();
                self.queue.again(away, SOME_AWAY);
            }
            (false, false) => {
                tracing::debug!(network = %self.network, why = said, "nodes do not answer questions about failures");
                self.queue.away(away, said);
            }
            (false, true) => {}
        }
        true
    }

    fn class(&self, item: &Item, found: Evidence) -> Ended {
        let known = self.facts.of(item.partition, &self.network);
        let (tx, abis) = (item.failed(), known.at(item.height));
        match found {
            Evidence::Trace { frame, whole } => {
                let mut finding = by_trace(&frame, &tx, &abis, &self.table);
                finding.approximate |= !whole;
                Ended::Found(Box::new(finding), CauseEvidence::Trace)
            }
            Evidence::Call(answer) => {
                Ended::Found(Box::new(by_call(&answer, &tx, &abis, &self.table)), CauseEvidence::Call)
            }
            Evidence::None(_) => Ended::Nothing,
        }
    }

    async fn tell_all(&self, items: &[Arc<Item>], ended: impl Fn() -> Ended) -> bool {
        for item in items {
            if !self.tell(item, ended()).await {
                return false;
            }
        }
        true
    }

    async fn tell(&self, item: &Item, ended: Ended) -> bool {
        self.ended.send(Outcome { partition: item.partition, offset: item.offset, ended }).await.is_ok()
    }
}

/// Those that are asked for together, and the rest.
fn split(mut items: Vec<Arc<Item>>) -> (Vec<Arc<Item>>, Vec<Arc<Item>>) {
    let rest = items.split_off(items.len().min(TOGETHER));
    (items, rest)
}

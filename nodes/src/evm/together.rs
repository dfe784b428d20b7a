//! Blocks of several heights, with their receipts, in one JSON-RPC batch.
//!
//! Guarantee: each block passes the same checks as one that comes by itself ([`EvmClient::believe`]). What a batch does not bring as it
//! should (cut off, mixed up, refused, an answer missing) is asked for by single calls at the same endpoint at once: where those work,
//! it was the batch, and fewer heights are asked for together from then on (`fleet::together`); where they fail as well, it is the
//! endpoint, which is what its single calls say. A batch counts each of its calls, and an endpoint without `eth_getBlockReceipts` gets
//! none.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use futures::{StreamExt, stream};
use schemas::limits;
use serde::de::{
    Deserializer, MapAccess, SeqAccess, Visitor,
    value::{MapAccessDeserializer, SeqAccessDeserializer},
};
use serde_json::json;

use super::{
    client::{EvmClient, batch_deadline},
    fetch::{At, BLOCK},
    receipts::in_order,
    route::{BLOCK_RECEIPTS, Route},
    types::EvmBlock,
    wire::{self, Wire},
};
use crate::{
    error::{Class, NodeError, NodeErrorKind},
    fleet::{Done, together::SLOW},
    http::Exchanged,
    metrics,
};

/// Calls that a block takes.
pub(super) const CALLS: u32 = 2;
/// A batch of them, as samples and metrics call it.
const BATCH: &str = "batch of blocks";

/// An answer in a batch of blocks and receipts, told apart by their shape.
enum Part {
    Block(Box<wire::Block>),
    Receipts(Vec<wire::Receipt>),
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Option<Part>;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a block or receipts")
    }
    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Ok(wire::Block::wire(MapAccessDeserializer::new(map))?.map(|block| Part::Block(Box::new(block))))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Ok(Vec::wire(SeqAccessDeserializer::new(seq))?.map(Part::Receipts))
    }
}

impl Wire for Part {
    fn wire<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error> {
        d.deserialize_any(PartVisitor)
    }
}

/// What a batch brought of one height.
struct Brought {
    block: Result<wire::Block, NodeErrorKind>,
    receipts: Result<Vec<wire::Receipt>, NodeErrorKind>,
}

/// A batch that is under way. One that is dropped after it was for long, since somebody else was asked beside it or the time of the
/// question is over, was too large.
struct Trial {
    route: Arc<dyn Route>,
    heights: usize,
    sent: Option<Instant>,
}

impl Trial {
    fn over(&mut self) -> Duration {
        self.sent.take().map_or(Duration::ZERO, |sent| sent.elapsed())
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if self.over() > SLOW {
            self.route.together_failed("late", self.heights);
        }
    }
}

impl EvmClient {
    /// The blocks of so many heights from one on, by number: those before the first that is not to be had, at least one, or why there is
    /// none. What is not to be believed is no block less but an error, so that whoever lies is found out by whom is asked next.
    pub(super) async fn fetch_together(&self, from: u64, count: usize) -> Result<Vec<EvmBlock>, NodeError> {
        let mut blocks = Vec::with_capacity(count);
        while blocks.len() < count {
            let (next, left) = (from + blocks.len() as u64, count - blocks.len());
            let size = match self.route.cannot(BLOCK_RECEIPTS, Some(next)) {
                true => 1,
                false => self.route.together(CALLS).min(left),
            };
            let outcome = match size {
                1 => self.fetch_singly(next, left, &mut blocks).await,
                _ => self.fetch_batch(next, size, &mut blocks).await,
            };
            match outcome {
                Ok(()) => {}
                Err(NodeError { kind: NodeErrorKind::Lying(lie), endpoint, call }) => {
                    let lie = if blocks.is_empty() { lie } else { format!("{call}: {lie}") };
                    return Err(NodeError { kind: NodeErrorKind::Lying(lie), endpoint, call });
                }
                Err(e) if blocks.is_empty() => return Err(e),
                Err(_) => break,
            }
        }
        Ok(blocks)
    }

    async fn fetch_one(&self, height: u64) -> Result<EvmBlock, NodeError> {
        let at = At { height, hash: None };
        if self.others { self.fetch_among_others(at).await } else { self.fetch_alone(at).await }
    }

    /// Each by itself, a few at a time.
    async fn fetch_singly(&self, from: u64, count: usize, blocks: &mut Vec<EvmBlock>) -> Result<(), NodeError> {
        let fetches = (from..from + count as u64).map(|height| self.fetch_one(height));
        let mut fetches = stream::iter(fetches).buffered(limits::NODE_HEIGHTS_SINGLY);
        while let Some(block) = fetches.next().await {
            blocks.push(block?);
        }
        Ok(())
    }

    /// All of them in one batch. At least one is pushed, or it fails.
    async fn fetch_batch(&self, from: u64, size: usize, blocks: &mut Vec<EvmBlock>) -> Result<(), NodeError> {
        let mut trial = Trial { route: self.route.clone(), heights: size, sent: None };
        let brought = match self.batch_of(from, size, &mut trial).await {
            Ok(brought) => brought,
            // Who says that it is too much gets no more at once; that it was the batch may be.
            Err(e) if matches!(e.kind, NodeErrorKind::Throttled(..)) => {
                self.smaller(&e, size);
                return Err(e);
            }
            Err(e) => {
                blocks.push(self.fetch_one(from).await?);
                self.smaller(&e, size);
                return Ok(());
            }
        };
        let took = trial.over();
        let (mut well, mut odd) = (0, None);
        for (height, Brought { block, receipts }) in (from..).zip(brought) {
            match self.believe_brought(height, block, receipts).await {
                Ok(block) => {
                    well += 1;
                    blocks.push(block);
                }
                Err(e) if odd.is_none() => {
                    blocks.push(self.fetch_one(height).await?);
                    odd = Some(e);
                }
                // What more is odd is asked for anew, with what follows it.
                Err(_) => break,
            }
            tokio::task::yield_now().await;
        }
        match odd {
            None => self.route.together_worked(size, took),
            // Its answers were spoilt, or all were refused.
            Some(e) if well == 0 || matches!(e.kind, NodeErrorKind::Malformed(_)) => self.smaller(&e, size),
            Some(_) => {}
        }
        Ok(())
    }

    fn smaller(&self, e: &NodeError, size: usize) {
        if self.route.together_failed(e.label(), size) {
            tracing::info!(endpoint = self.name(), heights = size, error = %e, "fewer blocks are asked for in one batch");
        }
    }

    /// Asks for them. An error of all its answers, and one that asks for fewer requests, is an error of the batch.
    async fn batch_of(&self, from: u64, size: usize, trial: &mut Trial) -> Result<Vec<Brought>, NodeError> {
        let quantity = |height: u64| format!("0x{height:x}");
        let calls = (from..from + size as u64)
            .flat_map(|height| [(BLOCK, json!([quantity(height), true])), (BLOCK_RECEIPTS, json!([quantity(height)]))]);
        let calls: Vec<_> = calls.collect();
        let deadline = batch_deadline(self.tuning.call_timeout, calls.len());
        self.budget.earn();
        let admitted = self.route.admit(calls.len() as u32).await?;
        let sent = Instant::now();
        trial.sent = Some(sent);
        let Exchanged { outcome, bytes } =
            self.http.each::<Part>(&calls, deadline, limits::NODE_BATCH_ANSWER_BYTES).await;
        let took = sent.elapsed();
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
        let outcome = outcome.and_then(whole).map_err(|kind| self.error(BATCH, Some(from), kind));
        self.route.done(admitted, Done { method: BATCH, took, bytes, height: None, error: outcome.as_ref().err() });
        metrics::call_done(&self.name, BATCH, took, outcome.as_ref().map(drop));
        if outcome.is_err() {
            trial.over();
        }
        let mut parts = outcome?.into_iter();
        let mut brought = Vec::with_capacity(size);
        while let (Some(block), Some(receipts)) = (parts.next(), parts.next()) {
            let mixed = || NodeErrorKind::Malformed("answers in a batch are mixed up".into());
            brought.push(Brought {
                block: block.and_then(|part| if let Part::Block(block) = part { Ok(*block) } else { Err(mixed()) }),
                receipts: receipts
                    .and_then(|part| if let Part::Receipts(list) = part { Ok(list) } else { Err(mixed()) }),
            });
        }
        Ok(brought)
    }

    /// The block, if all of it is there and holds; nothing more is asked for it.
    async fn believe_brought(
        &self,
        height: u64,
        block: Result<wire::Block, NodeErrorKind>,
        receipts: Result<Vec<wire::Receipt>, NodeErrorKind>,
    ) -> Result<EvmBlock, NodeError> {
        let error = |kind| self.error(BATCH, Some(height), kind);
        let block = block.map_err(error)?;
        if block.number != Some(height) {
            let told = block.number.map_or("a block without number".into(), |number| format!("block {number}"));
            return Err(error(NodeErrorKind::Malformed(format!("asked for block {height}, got {told}"))));
        }
        let hashes: Option<Vec<B256>> =
            block.transactions.as_deref().unwrap_or_default().iter().map(|transaction| transaction.hash).collect();
        let hashes = hashes.ok_or_else(|| error(NodeErrorKind::Malformed("a transaction has no hash".into())))?;
        let receipts = match receipts {
            // Some nodes have no receipts for a block without transactions.
            Err(_) if hashes.is_empty() => Vec::new(),
            Ok(list) if hashes.is_empty() => list,
            Ok(list) => in_order(block.hash, &hashes, list)
                .ok_or_else(|| error(NodeErrorKind::Malformed("receipts are not those of the block".into())))?,
            Err(kind) => return Err(error(kind)),
        };
        self.believe(height, block, receipts).await
    }
}

/// The answers one by one; an error where that is what all of them are, or where one asks for fewer requests.
fn whole(answers: Vec<Result<Part, NodeErrorKind>>) -> Result<Vec<Result<Part, NodeErrorKind>>, NodeErrorKind> {
    let throttled = |answer: &&Result<Part, NodeErrorKind>| matches!(answer, Err(NodeErrorKind::Throttled(..)));
    let all_failed = answers.iter().all(|a| a.as_ref().is_err_and(|kind| *kind != NodeErrorKind::Empty));
    let told = answers.iter().find(throttled).or(answers.first().filter(|_| all_failed));
    match told {
        Some(Err(kind)) => Err(kind.clone()),
        _ => Ok(answers),
    }
}

/// Whether the error of a batch says enough that nobody is to be asked again for its first block.
pub(super) fn says_enough(e: &NodeError) -> bool {
    matches!(e.class(), Class::Empty | Class::NoBlock) || matches!(e.kind, NodeErrorKind::Throttled(Some(_), _))
}

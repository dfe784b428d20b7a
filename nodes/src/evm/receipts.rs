//! All receipts of a block: `eth_getBlockReceipts`, and what it does not give, by `eth_getTransactionReceipt`.
//!
//! Guarantee: whatever the block's call answered (an error, too large, one missing, one doubled, an empty list), the receipts
//! of *this* block are asked for singly before it is given up; one single call comes first, so that a node that has none costs
//! one call. A way that works for other blocks is not given up for that: what is remembered, for a while, is a method that is not
//! there, a block for which it fails, and the size of a refused batch. Where somebody else can be asked, a list that does not fit
//! its block is not patched up: it is no true answer.

use std::{collections::HashMap, time::Duration};

use alloy_primitives::B256;
use futures::{StreamExt, TryStreamExt, stream};
use schemas::limits;

use super::{
    client::EvmClient,
    route::{BATCHES, BLOCK_RECEIPTS, RECEIPT, RECEIPTS_BY_HASH},
    wire::Receipt,
};
use crate::{
    error::{Class, Missing, NodeError, NodeErrorKind},
    fleet::Scope,
    metrics,
};

/// A node that has a block may need a moment for its receipts.
const MOMENT: Duration = Duration::from_millis(100);

impl EvmClient {
    /// `eth_getBlockReceipts`, by hash where one is given and the endpoint takes it. What fails is remembered.
    pub(super) async fn block_receipts(&self, number: u64, hash: Option<B256>) -> Result<Vec<Receipt>, NodeError> {
        let at = Some(number);
        if let Some(hash) = hash.filter(|_| !self.route.cannot(RECEIPTS_BY_HASH, at)) {
            match self.call_or_else(BLOCK_RECEIPTS, [hash.to_string()], at).await {
                Err(NodeError { kind: NodeErrorKind::Rpc(code, _), .. }) => {
                    let scope = if code == INVALID_PARAMS { Scope::All } else { Scope::Height(number) };
                    self.route.failed(RECEIPTS_BY_HASH, "rpc", scope);
                }
                outcome => return self.remembered(number, outcome),
            }
        }
        let outcome = self.call_or_else(BLOCK_RECEIPTS, [format!("0x{number:x}")], at).await;
        self.remembered(number, outcome)
    }

    fn remembered(&self, number: u64, outcome: Result<Vec<Receipt>, NodeError>) -> Result<Vec<Receipt>, NodeError> {
        match &outcome {
            Ok(_) => self.route.worked(BLOCK_RECEIPTS, Some(number)),
            Err(NodeError { kind: NodeErrorKind::Missing(Missing::Method, _), .. }) => {
                if self.route.failed(BLOCK_RECEIPTS, "missing", Scope::All) {
                    tracing::info!(endpoint = self.name(), "no eth_getBlockReceipts: receipts are fetched one by one");
                }
            }
            Err(NodeError { kind: NodeErrorKind::Rpc(..) | NodeErrorKind::TooLarge(_), .. }) => {
                self.route.failed(BLOCK_RECEIPTS, "rpc", Scope::Height(number));
            }
            Err(_) => {}
        }
        outcome
    }

    /// The receipts of block `number` with hash `block` in the order of its transactions, made whole from what the block's call
    /// gave. Receipts of another block only are given back as they are: they show that the chain changed meanwhile.
    pub(super) async fn whole_receipts(
        &self,
        number: u64,
        block: Option<B256>,
        hashes: &[B256],
        told: Result<Vec<Receipt>, NodeError>,
    ) -> Result<Vec<Receipt>, NodeError> {
        let told = match told {
            Ok(list) if list.is_empty() && self.others => {
                tokio::time::sleep(MOMENT).await;
                self.block_receipts(number, block).await
            }
            told => told,
        };
        let mut slots: Vec<Option<Receipt>> = hashes.iter().map(|_| None).collect();
        let mut others = Vec::new();
        let (reason, told) = match told {
            Ok(list) => match place(&mut slots, &mut others, block, hashes, list) {
                Placed::Whole => return Ok(slots.into_iter().flatten().chain(others).collect()),
                Placed::Other(list) => return Ok(list),
                Placed::Part if self.others => {
                    let found = slots.iter().flatten().count();
                    let lie = format!("receipts of {found} of the block's {} transactions", hashes.len());
                    return Err(self.error(BLOCK_RECEIPTS, Some(number), NodeErrorKind::Lying(lie)));
                }
                Placed::Part => ("incomplete", None),
            },
            Err(e) if singly_may_help(&e, self.others) => (e.label(), Some(e)),
            Err(e) => return Err(e),
        };
        let lacking: Vec<usize> = (0..slots.len()).filter(|i| slots[*i].is_none()).collect();
        let wanted: Vec<B256> = lacking.iter().map(|i| hashes[*i]).collect();
        tracing::debug!(
            endpoint = self.name(),
            number,
            reason,
            receipts = wanted.len(),
            error = told.as_ref().map(tracing::field::display),
            "receipts are fetched one by one for this block"
        );
        self.have_time_for(wanted.len())?;
        let (first, rest) = wanted.split_at(1.min(wanted.len()));
        let mut found = match self.single_receipts(number, first).await {
            Ok(found) => found,
            // That there are no single receipts at all says nothing of the block's.
            Err(e) if e.class() == Class::Missing => {
                return Err(told.filter(|t| t.class() != Class::Missing).unwrap_or(e));
            }
            Err(e) => return Err(e),
        };
        found.extend(self.single_receipts(number, rest).await?);
        metrics::receipts_singly(self.name(), reason);
        for (i, receipt) in lacking.into_iter().zip(found) {
            slots[i] = Some(receipt);
        }
        Ok(slots.into_iter().flatten().chain(others).collect())
    }

    /// Receipts of these transactions in their order: in batches as large as the endpoint takes them, else by single calls. One that
    /// closes the connection on a batch may still answer single calls. Where somebody else can be asked none is begun that its limits,
    /// as far as they are known, leave no time for.
    pub(super) async fn single_receipts(&self, number: u64, hashes: &[B256]) -> Result<Vec<Receipt>, NodeError> {
        self.have_time_for(hashes.len())?;
        let mut size = match self.route.cannot(BATCHES, Some(number)) {
            true => 1,
            false => self.route.batch(RECEIPT, limits::NODE_RECEIPTS_PER_BATCH).min(hashes.len()),
        };
        let (mut refused, mut closed) = (false, false);
        while size > 1 {
            match self.receipts_in_batches(number, hashes, size).await {
                Err(e) if matches!(e.kind, NodeErrorKind::Unreachable(_)) => (size, closed) = (1, true),
                Err(e) if smaller_may_help(&e) => {
                    tracing::debug!(endpoint = self.name(), size, error = %e, "smaller batches are tried");
                    (size, refused) = (size / 2, true);
                }
                Ok(found) => {
                    self.route.worked(BATCHES, Some(number));
                    self.remember(size, refused);
                    return Ok(found);
                }
                Err(e) => return Err(e),
            }
        }
        let calls: Vec<_> = hashes.iter().map(|hash| self.call(RECEIPT, [*hash], Some(number))).collect();
        let found = stream::iter(calls).buffered(limits::NODE_RECEIPT_BATCHES * 2).try_collect().await?;
        match closed {
            true if self.route.failed(BATCHES, "closed", Scope::Height(number)) => {
                tracing::debug!(endpoint = self.name(), number, "it closes the connection on batches: single calls");
            }
            true => {}
            false => self.remember(1, refused),
        }
        Ok(found)
    }

    /// Whether its limits, as far as they are known, leave time for so many calls. Whoever asks gives it more where nobody has it in this.
    fn have_time_for(&self, calls: usize) -> Result<(), NodeError> {
        match self.others {
            true => self.route.has_time_for(u32::try_from(calls).unwrap_or(u32::MAX)),
            false => Ok(()),
        }
    }

    fn remember(&self, size: usize, refused: bool) {
        if self.route.batch_worked(RECEIPT, size, refused) {
            tracing::info!(endpoint = self.name(), size, "JSON-RPC batches have at most this many calls from now on");
        }
    }

    async fn receipts_in_batches(&self, number: u64, hashes: &[B256], size: usize) -> Result<Vec<Receipt>, NodeError> {
        let chunks: Vec<Vec<[B256; 1]>> = hashes.chunks(size).map(|c| c.iter().map(|h| [*h]).collect()).collect();
        let calls: Vec<_> = chunks.iter().map(|params| self.batch(RECEIPT, params, number)).collect();
        let batches: Vec<Vec<Receipt>> =
            stream::iter(calls).buffered(limits::NODE_RECEIPT_BATCHES).try_collect().await?;
        Ok(batches.into_iter().flatten().collect())
    }
}

/// JSON-RPC 2.0, section 5.1.
pub(super) const INVALID_PARAMS: i64 = -32602;

/// What a list of receipts is for a block.
enum Placed {
    /// Each transaction has its receipt.
    Whole,
    /// Some have, or the list was empty.
    Part,
    /// None is of this block.
    Other(Vec<Receipt>),
}

/// Puts receipts where their transactions stand, and what belongs to the block but to none of them into `others`: whether that
/// may be is the chain's profile to say. One that occurs twice counts once.
fn place(
    slots: &mut [Option<Receipt>],
    others: &mut Vec<Receipt>,
    block: Option<B256>,
    hashes: &[B256],
    list: Vec<Receipt>,
) -> Placed {
    let in_order = list.len() == hashes.len() && list.iter().zip(hashes).all(|(r, h)| r.transaction_hash == Some(*h));
    let of_block = |r: &Receipt| r.block_hash.is_none() || block.is_none() || r.block_hash == block;
    if in_order && list.iter().all(of_block) {
        slots.iter_mut().zip(list).for_each(|(slot, receipt)| *slot = Some(receipt));
        return Placed::Whole;
    }
    let at: HashMap<B256, usize> = hashes.iter().enumerate().map(|(i, h)| (*h, i)).collect();
    let index = |r: &Receipt| at.get(&r.transaction_hash?).copied().filter(|_| of_block(r));
    if !list.is_empty() && list.iter().all(|r| index(r).is_none()) {
        return Placed::Other(list);
    }
    for receipt in list {
        match index(&receipt) {
            Some(i) => {
                slots[i].get_or_insert(receipt);
            }
            None => others.push(receipt),
        }
    }
    if slots.iter().all(Option::is_some) { Placed::Whole } else { Placed::Part }
}

/// The receipts of a block in the order of its transactions, and what belongs to none of them behind; `None` where that is not what they
/// are.
pub(super) fn in_order(block: Option<B256>, hashes: &[B256], list: Vec<Receipt>) -> Option<Vec<Receipt>> {
    let mut slots: Vec<Option<Receipt>> = hashes.iter().map(|_| None).collect();
    let mut others = Vec::new();
    match place(&mut slots, &mut others, block, hashes, list) {
        Placed::Whole => Some(slots.into_iter().flatten().chain(others).collect()),
        Placed::Part | Placed::Other(_) => None,
    }
}

/// Whether single receipts may come where the block's call failed so. An endpoint that is away, or says how long to wait, gets
/// no more calls; where `others` can be asked, neither does one that is slow or asks for fewer.
fn singly_may_help(e: &NodeError, others: bool) -> bool {
    match e.kind {
        NodeErrorKind::Unreachable(_) | NodeErrorKind::Throttled(Some(_), _) => false,
        NodeErrorKind::Timeout(_) | NodeErrorKind::Throttled(None, _) => !others,
        _ => true,
    }
}

/// Whether fewer calls in a batch may work where these failed. A refusal that has other reasons shows again on the single call. Who
/// says how long to wait gets no more calls either.
fn smaller_may_help(e: &NodeError) -> bool {
    use NodeErrorKind::{Empty, Throttled, Unreachable};
    !matches!(e.kind, Empty | Unreachable(_) | Throttled(Some(_), _) | NodeErrorKind::Missing(Missing::Pruned, _))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_how_long_to_wait_gets_no_more_calls() {
        let of = |kind| NodeError { endpoint: "a".into(), call: "eth_x".into(), kind };
        let asked = of(NodeErrorKind::Throttled(Some(Duration::from_secs(60)), String::new()));
        assert!(!singly_may_help(&asked, false) && !smaller_may_help(&asked));
        let too_many = of(NodeErrorKind::Throttled(None, "batch too large".into()));
        assert!(singly_may_help(&too_many, false) && smaller_may_help(&too_many));
        assert!(!singly_may_help(&too_many, true), "somebody else has it");
    }
}

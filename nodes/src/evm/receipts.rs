//! All receipts of a block: `eth_getBlockReceipts`, and what it does not give, by `eth_getTransactionReceipt`.
//!
//! Guarantee: whatever the block's call answered (an error, too large, one missing, one doubled, an empty list), the receipts
//! of *this* block are asked for singly before it is given up; one single call comes first, so that a node that has none costs
//! one call. A way that works for other blocks is not given up for that; only a method that is not there, and the size of a
//! refused batch, are remembered.

use std::collections::HashMap;

use alloy_primitives::B256;
use futures::{StreamExt, TryStreamExt, stream};
use schemas::limits;

use super::{client::EvmClient, way::Way, wire::Receipt};
use crate::{
    error::{Class, Missing, NodeError, NodeErrorKind},
    metrics,
};

impl EvmClient {
    /// `eth_getBlockReceipts`. When the endpoint has no such method this is remembered.
    pub(super) async fn block_receipts(&self, number: u64) -> Result<Vec<Receipt>, NodeError> {
        let outcome = self.call_or_else("eth_getBlockReceipts", [format!("0x{number:x}")], Some(number)).await;
        if let Err(NodeError { kind: NodeErrorKind::Missing(Missing::Method, _), .. }) = &outcome {
            tracing::info!(
                endpoint = self.name(),
                "no eth_getBlockReceipts: receipts are fetched one by one from now on"
            );
            self.way.set(Way::Each);
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
        let mut slots: Vec<Option<Receipt>> = hashes.iter().map(|_| None).collect();
        let mut others = Vec::new();
        let (reason, told) = match told {
            Ok(list) => match place(&mut slots, &mut others, block, hashes, list) {
                Placed::Whole => return Ok(slots.into_iter().flatten().chain(others).collect()),
                Placed::Other(list) => return Ok(list),
                Placed::Part => ("incomplete", None),
            },
            Err(e) if singly_may_help(&e) => (e.label(), Some(e)),
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

    /// Receipts of these transactions in their order: in batches as large as the endpoint takes them, else by single calls.
    pub(super) async fn single_receipts(&self, number: u64, hashes: &[B256]) -> Result<Vec<Receipt>, NodeError> {
        let mut size = self.way.batch().min(hashes.len());
        let mut refused = false;
        while size > 1 {
            match self.receipts_in_batches(number, hashes, size).await {
                Err(e) if smaller_may_help(&e) => {
                    tracing::debug!(endpoint = self.name(), size, error = %e, "smaller batches are tried");
                    (size, refused) = (size / 2, true);
                }
                Ok(found) => {
                    self.remember(size, refused);
                    return Ok(found);
                }
                Err(e) => return Err(e),
            }
        }
        let calls: Vec<_> =
            hashes.iter().map(|hash| self.call("eth_getTransactionReceipt", [*hash], Some(number))).collect();
        let found = stream::iter(calls).buffered(limits::NODE_RECEIPT_BATCHES * 2).try_collect().await?;
        self.remember(1, refused);
        Ok(found)
    }

    fn remember(&self, size: usize, refused: bool) {
        if self.way.batch_worked(size, refused) {
            tracing::info!(endpoint = self.name(), size, "JSON-RPC batches have at most this many calls from now on");
        }
    }

    async fn receipts_in_batches(&self, number: u64, hashes: &[B256], size: usize) -> Result<Vec<Receipt>, NodeError> {
        let chunks: Vec<Vec<[B256; 1]>> = hashes.chunks(size).map(|c| c.iter().map(|h| [*h]).collect()).collect();
        let calls: Vec<_> =
            chunks.iter().map(|params| self.batch("eth_getTransactionReceipt", params, number)).collect();
        let batches: Vec<Vec<Receipt>> =
            stream::iter(calls).buffered(limits::NODE_RECEIPT_BATCHES).try_collect().await?;
        Ok(batches.into_iter().flatten().collect())
    }
}

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

/// Whether single receipts may come where the block's call failed so. An endpoint that is away, or says how long to wait, gets
/// no more calls.
fn singly_may_help(e: &NodeError) -> bool {
    !matches!(e.kind, NodeErrorKind::Unreachable(_) | NodeErrorKind::Throttled(Some(_), _))
}

/// Whether fewer calls in a batch may work where these failed. A refusal that has other reasons shows again on the single call. Who
/// says how long to wait gets no more calls either.
fn smaller_may_help(e: &NodeError) -> bool {
    use NodeErrorKind::{Empty, Throttled, Unreachable};
    !matches!(e.kind, Empty | Unreachable(_) | Throttled(Some(_), _) | NodeErrorKind::Missing(Missing::Pruned, _))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_says_how_long_to_wait_gets_no_more_calls() {
        let of = |kind| NodeError { endpoint: "a".into(), call: "eth_x".into(), kind };
        let asked = of(NodeErrorKind::Throttled(Some(Duration::from_secs(60)), String::new()));
        assert!(!singly_may_help(&asked) && !smaller_may_help(&asked));
        let too_many = of(NodeErrorKind::Throttled(None, "batch too large".into()));
        assert!(singly_may_help(&too_many) && smaller_may_help(&too_many));
    }
}

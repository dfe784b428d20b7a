//! Blocks of one endpoint that are believed: each with all its receipts, checked before anybody sees it.

use std::time::Duration;

use alloy_primitives::B256;

use super::{
    assemble::assemble,
    client::EvmClient,
    receipts::INVALID_PARAMS,
    route::{BLOCK_BY_HASH, BLOCK_RECEIPTS, RECEIPTS_BY_HASH},
    types::{EvmBlock, EvmHead},
    verify::{Weight, senders, verify},
    wire,
};
use crate::{
    error::{Class, Missing, NodeError, NodeErrorKind},
    fleet::Scope,
    metrics,
    source::Finality,
};

/// Senders that are recovered in one go: a few milliseconds.
const SENDERS_AT_ONCE: usize = 16;
/// A node that announced a block may need a moment until it gives it.
const MOMENT: Duration = Duration::from_millis(75);
pub(super) const BLOCK: &str = "eth_getBlockByNumber";
/// From this try on, receipts that made a block unbelievable are asked for singly.
const SINGLY_FROM_TRY: usize = 3;

/// A block to be fetched.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    /// Its height.
    pub height: u64,
    /// Its hash, where one was told.
    pub hash: Option<B256>,
}

impl EvmClient {
    /// The block itself, by hash where one was told. One whose height is another than was told with the hash is none: the hint was
    /// wrong.
    async fn block_at(&self, at: At) -> Result<wire::Block, NodeError> {
        let height = Some(at.height);
        if let Some(hash) = at.hash.filter(|_| !self.route.cannot(BLOCK_BY_HASH, height)) {
            match self.call::<wire::Block>(BLOCK_BY_HASH, (hash, true), height).await {
                Ok(block) if block.hash != Some(hash) => {
                    let told = block.hash.map_or("no hash".into(), |h| h.to_string());
                    let lie = format!("asked for the block {hash}, got {told}");
                    return Err(self.error(BLOCK_BY_HASH, height, NodeErrorKind::Lying(lie)));
                }
                Ok(block) if block.number != height => {
                    return Err(self.error(BLOCK_BY_HASH, height, NodeErrorKind::Empty));
                }
                Err(NodeError { kind: NodeErrorKind::Missing(Missing::Method, _), .. }) => {
                    self.route.failed(BLOCK_BY_HASH, "missing", Scope::All);
                }
                Err(NodeError { kind: NodeErrorKind::Rpc(..), .. }) => {
                    self.route.failed(BLOCK_BY_HASH, "rpc", Scope::Height(at.height));
                }
                outcome => return outcome,
            }
        }
        self.call::<wire::Block>(BLOCK, (format!("0x{:x}", at.height), true), height).await
    }

    /// Block and receipts, once. The two calls run at the same time where the endpoint has `eth_getBlockReceipts`, unless the
    /// receipts are to come `singly`.
    async fn fetch_once(&self, at: At, singly: bool) -> Result<EvmBlock, NodeError> {
        let number = at.height;
        let (block, told) = if !singly && !self.route.cannot(BLOCK_RECEIPTS, Some(number)) {
            let (block, told) = tokio::join!(self.block_at(at), self.block_receipts(number, at.hash));
            (block?, Some(told))
        } else {
            (self.block_at(at).await?, None)
        };
        let transactions = block.transactions.as_deref().unwrap_or_default();
        let hashes: Option<Vec<B256>> = transactions.iter().map(|t| t.hash).collect();
        let nameless = || self.error(BLOCK, Some(number), NodeErrorKind::Malformed("a transaction has no hash".into()));
        let hashes = hashes.ok_or_else(nameless)?;
        let receipts = match told {
            // Some nodes have no receipts for a block without transactions.
            Some(Err(_)) | None if hashes.is_empty() => Vec::new(),
            Some(Ok(receipts)) if hashes.is_empty() => receipts,
            Some(told) => self.whole_receipts(number, block.hash, &hashes, told).await?,
            // What was remembered may be outdated: after a failure the whole block's receipts are asked for again.
            None => self.single_receipts(number, &hashes).await.inspect_err(|e| {
                // That there was no time for them says nothing about it.
                if !matches!(e.kind, NodeErrorKind::Throttled(..)) {
                    self.receipts_again(number);
                }
            })?,
        };
        self.believe(number, block, receipts).await
    }

    /// The block, once it and its receipts have passed all checks.
    pub(super) async fn believe(
        &self,
        number: u64,
        block: wire::Block,
        receipts: Vec<wire::Receipt>,
    ) -> Result<EvmBlock, NodeError> {
        let lying = |lie| {
            self.receipts_again(number);
            self.error("block and receipts", Some(number), NodeErrorKind::Lying(lie))
        };
        verify(&block, &receipts, number, &self.checks).map_err(lying)?;
        if self.checks.senders != Weight::Off {
            // Between two pieces others of this thread have their turn.
            for (i, piece) in block.transactions.as_deref().unwrap_or_default().chunks(SENDERS_AT_ONCE).enumerate() {
                senders(i * SENDERS_AT_ONCE, piece, &self.checks).map_err(lying)?;
                tokio::task::yield_now().await;
            }
        }
        assemble(block, receipts)
            .map_err(|e| self.error("block and receipts", Some(number), NodeErrorKind::Malformed(e.to_string())))
    }

    fn receipts_again(&self, number: u64) {
        self.route.worked(BLOCK_RECEIPTS, Some(number));
    }

    /// The block, from this endpoint, where somebody else can be asked when it fails: it gets a moment for what it does not have yet,
    /// and a second chance where its two answers may have been of two chains.
    pub(super) async fn fetch_among_others(&self, mut at: At) -> Result<EvmBlock, NodeError> {
        let outcome = self.fetch_once(at, false).await;
        match &outcome {
            Err(e) if e.class() == Class::Empty => tokio::time::sleep(MOMENT).await,
            // Block and receipts of one hash are of one chain. Where one of them came by number, it may have been of another: then
            // both are asked for by number, a moment later.
            Err(e)
                if matches!(e.kind, NodeErrorKind::Lying(_))
                    && (at.hash.is_none()
                        || self.route.cannot(BLOCK_BY_HASH, Some(at.height))
                        || self.route.cannot(RECEIPTS_BY_HASH, Some(at.height))) =>
            {
                tracing::debug!(error = %e, "fetching the block again");
                at.hash = None;
                tokio::time::sleep(MOMENT).await;
            }
            _ => return outcome,
        }
        self.fetch_once(at, false).await
    }

    /// The block, from the only endpoint there is.
    pub(super) async fn fetch_alone(&self, at: At) -> Result<EvmBlock, NodeError> {
        let (mut tries, mut at) = (0, at);
        loop {
            tries += 1;
            match self.fetch_once(at, tries >= SINGLY_FROM_TRY).await {
                // It does not have the hash that was told: what it has at that height is asked for.
                Err(e) if at.hash.is_some() && e.class() == Class::Empty => (at.hash, tries) = (None, tries - 1),
                // Block and receipts were of different chains, perhaps since one was just replaced: ask for both again.
                Err(e)
                    if matches!(e.kind, NodeErrorKind::Lying(_))
                        && tries < self.tuning.tries
                        && self.budget.spend() =>
                {
                    metrics::call_done(self.name(), "verify", Duration::ZERO, Err(&e));
                    tracing::warn!(error = %e, "fetching the block again");
                    tokio::time::sleep(self.tuning.backoff_min * tries as u32).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Safe and final heights. An endpoint that does not know the tags is one that cannot give them, where somebody else may.
    pub(super) async fn final_heights(&self) -> Result<Finality, NodeError> {
        let (safe, finalized) =
            tokio::join!(self.header_at("safe".into(), None), self.header_at("finalized".into(), None));
        if let (Err(safe), Err(finalized)) = (&safe, &finalized)
            && [safe, finalized].iter().all(|e| matches!(e.kind, NodeErrorKind::Rpc(INVALID_PARAMS, _)))
            && self.others
        {
            let missing = NodeErrorKind::Missing(Missing::Method, finalized.kind.to_string());
            return Err(self.error("eth_getBlockByNumber", None, missing));
        }
        // A chain without these tags answers null, or that it does not know them; any other error is no word on finality.
        let height = |outcome: Result<EvmHead, NodeError>| match outcome {
            Ok(head) => Ok(Some(head.number)),
            Err(e) if e.class() != Class::Failing || matches!(e.kind, NodeErrorKind::Rpc(INVALID_PARAMS, _)) => {
                Ok(None)
            }
            Err(e) => Err(e),
        };
        Ok(Finality { safe: height(safe)?, finalized: height(finalized)? })
    }
}

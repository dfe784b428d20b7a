//! A source of blocks that are believed: one endpoint, each block with all its receipts, checked before anybody sees it.

use std::time::Duration;

use alloy_primitives::{B256, U256};
use async_trait::async_trait;
use schemas::BlockHash;
use tokio::sync::watch;

use super::{
    assemble::assemble,
    client::EvmClient,
    heads,
    types::{EvmBlock, EvmHead},
    verify::{Weight, senders, verify},
    way::Way,
    wire,
};
use crate::{
    error::{Class, NodeError, NodeErrorKind},
    metrics,
    source::{ChainSource, Finality, Head, HeadView},
};

/// Senders that are recovered in one go: a few milliseconds.
const SENDERS_AT_ONCE: usize = 16;
/// From this try on, receipts that made a block unbelievable are asked for singly.
const SINGLY_FROM_TRY: usize = 3;

impl EvmClient {
    /// Block and receipts, once. The two calls run at the same time where the endpoint has `eth_getBlockReceipts`, unless the
    /// receipts are to come `singly`.
    async fn fetch_once(&self, number: u64, singly: bool) -> Result<EvmBlock, NodeError> {
        const BLOCK: &str = "eth_getBlockByNumber";
        let block = self.call::<wire::Block>(BLOCK, (format!("0x{number:x}"), true), Some(number));
        let (block, told) = if self.way.get() == Way::Block && !singly {
            let (block, told) = tokio::join!(block, self.block_receipts(number));
            (block?, Some(told))
        } else {
            (block.await?, None)
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
            None => self.single_receipts(number, &hashes).await.inspect_err(|_| self.way.set(Way::Block))?,
        };
        let lying = |lie| {
            self.way.set(Way::Block);
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
}

#[async_trait]
impl ChainSource for EvmClient {
    type Block = EvmBlock;

    fn endpoint(&self) -> String {
        self.name().to_owned()
    }

    async fn chain_id(&self) -> Result<String, NodeError> {
        const METHOD: &str = "eth_chainId";
        let id: U256 = self.call(METHOD, (), None).await?;
        Ok(id.to_string())
    }

    async fn head(&self) -> Result<Head, NodeError> {
        Ok(self.header_at("latest".into(), None).await?.into())
    }

    async fn header(&self, height: u64) -> Result<Head, NodeError> {
        Ok(self.header_at(format!("0x{height:x}"), Some(height)).await?.into())
    }

    async fn fetch(&self, height: u64, _: Option<&BlockHash>) -> Result<EvmBlock, NodeError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.fetch_once(height, tries >= SINGLY_FROM_TRY).await {
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

    async fn finality(&self) -> Result<Finality, NodeError> {
        let (safe, finalized) =
            tokio::join!(self.header_at("safe".into(), None), self.header_at("finalized".into(), None));
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

    fn heads(&self) -> watch::Receiver<HeadView> {
        heads::follow(self.clone())
    }
}

/// JSON-RPC 2.0, section 5.1: what most nodes say of a block tag that they do not know.
const INVALID_PARAMS: i64 = -32602;

//! All receipts of a block: `eth_getBlockReceipts`, else one by one, remembered per endpoint.

use std::{
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use alloy_primitives::B256;
use futures::{StreamExt, TryStreamExt, stream};
use schemas::limits;

use super::{client::EvmClient, wire::Receipt};
use crate::error::{Class, Missing, NodeError, NodeErrorKind};

/// How an endpoint gives receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Way {
    /// `eth_getBlockReceipts`.
    Block,
    /// `eth_getTransactionReceipt` in batches.
    Batches,
    /// `eth_getTransactionReceipt`, one per request.
    Singles,
}

/// The way that was found to work.
#[derive(Debug)]
pub struct Remembered(AtomicU8);

impl Default for Remembered {
    fn default() -> Self {
        Self(AtomicU8::new(Way::Block as u8))
    }
}

impl Remembered {
    pub fn get(&self) -> Way {
        match self.0.load(Ordering::Relaxed) {
            0 => Way::Block,
            1 => Way::Batches,
            _ => Way::Singles,
        }
    }
    /// Begins again with the best way.
    pub fn forget(&self) {
        self.set(Way::Block);
    }
    fn set(&self, way: Way) {
        self.0.store(way as u8, Ordering::Relaxed);
    }
}

impl EvmClient {
    /// `eth_getBlockReceipts`. When the endpoint has no such method this is remembered.
    pub(super) async fn block_receipts(&self, number: u64) -> Result<Vec<Receipt>, NodeError> {
        let outcome = self.call("eth_getBlockReceipts", [format!("0x{number:x}")], Some(number)).await;
        if let Err(NodeError { kind: NodeErrorKind::Missing(Missing::Method, _), .. }) = &outcome {
            tracing::info!(
                endpoint = self.name(),
                "no eth_getBlockReceipts: receipts are fetched one by one from now on"
            );
            self.way.set(Way::Batches);
        }
        outcome
    }

    /// Receipts of these transactions by single calls.
    pub(super) async fn single_receipts(&self, number: u64, hashes: &[B256]) -> Result<Vec<Receipt>, NodeError> {
        if self.way.get() == Way::Batches {
            let outcome = self.receipts_in_batches(number, hashes).await;
            match outcome {
                Err(e) if refuses_batches(&e) => {
                    tracing::info!(endpoint = self.name(), error = %e, "no JSON-RPC batches: one call per receipt from now on");
                    self.way.set(Way::Singles);
                }
                other => return other,
            }
        }
        let calls: Vec<_> =
            hashes.iter().map(|hash| self.call("eth_getTransactionReceipt", [*hash], Some(number))).collect();
        stream::iter(calls).buffered(limits::NODE_RECEIPT_BATCHES * 2).try_collect().await
    }

    async fn receipts_in_batches(&self, number: u64, hashes: &[B256]) -> Result<Vec<Receipt>, NodeError> {
        let chunks: Vec<Vec<[B256; 1]>> =
            hashes.chunks(limits::NODE_RECEIPTS_PER_BATCH).map(|c| c.iter().map(|h| [*h]).collect()).collect();
        let calls: Vec<_> =
            chunks.iter().map(|params| self.batch("eth_getTransactionReceipt", params, number)).collect();
        let batches: Vec<Vec<Receipt>> =
            stream::iter(calls).buffered(limits::NODE_RECEIPT_BATCHES).try_collect().await?;
        Ok(batches.into_iter().flatten().collect())
    }
}

/// Whether the endpoint takes single calls only. A refusal that has other reasons shows again on the single call.
fn refuses_batches(e: &NodeError) -> bool {
    e.class() == Class::Failing
        && matches!(e.kind, NodeErrorKind::Malformed(_) | NodeErrorKind::Refused(..) | NodeErrorKind::Rpc(..))
}

/// Deadline of a batch: that of a call and some more per receipt.
pub(super) fn batch_deadline(call: Duration, items: usize) -> Duration {
    call + Duration::from_millis(50) * items as u32
}

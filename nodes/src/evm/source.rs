//! The seam: a watcher sees one source per network.

use async_trait::async_trait;
use tokio::sync::watch;

use super::types::{EvmBlock, EvmHead, Finality, HeadView};
use crate::error::NodeError;

/// Where a network's blocks come from.
#[async_trait]
pub trait EvmSource: Send + Sync + 'static {
    /// Name of the endpoint in use, for people.
    fn endpoint(&self) -> String;

    /// `eth_chainId`.
    async fn chain_id(&self) -> Result<u64, NodeError>;

    /// The newest header.
    async fn head(&self) -> Result<EvmHead, NodeError>;

    /// The header at a height. Class `Empty` when the node's chain does not reach it.
    async fn header(&self, number: u64) -> Result<EvmHead, NodeError>;

    /// The block at a height with all its receipts, checked. Class `Empty` when it, or its receipts, are not there yet.
    async fn fetch(&self, number: u64) -> Result<EvmBlock, NodeError>;

    /// Safe and final heights.
    async fn finality(&self) -> Result<Finality, NodeError>;

    /// Hints of new heads from now on. They may be late, doubled, stale or wrong: fetch by number, check the parent.
    /// The following ends when all receivers are dropped.
    fn heads(&self) -> watch::Receiver<HeadView>;
}

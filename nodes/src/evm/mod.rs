//! EVM nodes: blocks with receipts, checked, and hints of new heads.
//!
//! [`EvmSource`] is the seam: a watcher sees one source per network. Today it is one endpoint ([`EvmClient`]); several behind
//! a router fit the same trait.

mod assemble;
mod client;
mod encode;
pub mod heads;
mod http;
mod keccak;
mod receipts;
mod sender;
mod trie;
pub mod verify;
pub mod wire;

use alloy_primitives::B256;
use async_trait::async_trait;
use schemas::{
    TimeMs,
    records::{EvmHeader, EvmTransaction},
};
use tokio::sync::watch;

pub use self::{
    assemble::assemble,
    client::{Endpoint, EvmClient, Tuning},
    heads::HeadView,
    verify::Checks,
};
use crate::error::NodeError;

/// A head: as much of a header as following the chain takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvmHead {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Parent's hash.
    pub parent_hash: B256,
    /// Its time stamp.
    pub time: TimeMs,
}

/// A block with its transactions and receipts, believed.
#[derive(Debug, Clone, PartialEq)]
pub struct EvmBlock {
    /// Place in the chain.
    pub head: EvmHead,
    /// The rest of the header.
    pub header: EvmHeader,
    /// Transactions with receipts and logs, in order.
    pub transactions: Vec<EvmTransaction>,
    /// Number of logs, those of no transaction included: more than the transactions have is a gap that the ledger shows.
    pub log_count: u32,
}

/// Heights that the chain calls safe and final; `None` where it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Finality {
    /// `safe`.
    pub safe: Option<u64>,
    /// `finalized`.
    pub finalized: Option<u64>,
}

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

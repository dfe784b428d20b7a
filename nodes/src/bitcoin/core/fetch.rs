//! Blocks of one node that are believed: each with what it spends, checked before anybody sees it.

use alloy_primitives::Bytes;
use futures::{StreamExt, stream};
use schemas::{BitcoinChain, BitcoinHash, limits};
use serde_json::json;

use super::{
    chain::CoreHeader,
    client::{Asked, CoreClient, REST_BLOCK},
    prevouts::Spent,
    wire::Hex,
};
use crate::{
    bitcoin::block::{BitcoinBlock, Body, Known},
    error::{Class, NodeError, NodeErrorKind},
};

pub(super) const BLOCK: &str = "getblock";
/// Calls that a block takes: its hash, its header, its bytes, what it spends.
pub const CALLS: u32 = 4;
/// Blocks under way at once, of those that are asked for together. Core serves with sixteen threads.
const AT_ONCE: usize = 4;

impl CoreClient {
    /// The block at a height, with what it spends. `hash` is the hash expected there, where one was told: where the node's best chain has
    /// another block there, that is the answer. Class `Empty` where it, or a part of it, is not there yet.
    pub async fn block(&self, height: u64, hash: Option<&BitcoinHash>) -> Result<BitcoinBlock, NodeError> {
        let header = self.placed(height, hash).await?;
        self.whole(header).await
    }

    /// The blocks of so many heights of its best chain from one on: those before the first that is not to be had, at least one, or why there
    /// is none. May be fewer.
    pub async fn blocks(&self, from: u64, count: usize) -> Result<Vec<BitcoinBlock>, NodeError> {
        let headers = self.headers(from, count).await?;
        let mut blocks = Vec::with_capacity(headers.len());
        let mut coming = stream::iter(headers.into_iter().map(|header| self.whole(header))).buffered(AT_ONCE);
        while let Some(block) = coming.next().await {
            match block {
                Ok(block) => blocks.push(block),
                Err(e) if blocks.is_empty() => return Err(e),
                // Whoever asks for it alone is told.
                Err(_) => break,
            }
        }
        Ok(blocks)
    }

    /// The header of the block that is to be fetched.
    async fn placed(&self, height: u64, hash: Option<&BitcoinHash>) -> Result<CoreHeader, NodeError> {
        if let Some(hash) = hash {
            match self.header(hash).await {
                Ok(header) if header.height == height && header.canonical() => return Ok(header),
                // The hint was wrong, or the block was replaced since.
                Ok(_) => {}
                Err(e) if e.class() == Class::Empty && !self.others => {}
                Err(e) => return Err(e),
            }
        }
        self.header_at(height).await
    }

    /// All of the block with this header.
    async fn whole(&self, header: CoreHeader) -> Result<BitcoinBlock, NodeError> {
        let (raw, spent) = tokio::try_join!(self.raw(&header), self.spent(&header))?;
        let block = believe(self.chain(), &header, raw, spent);
        // Others of this thread have their turn.
        tokio::task::yield_now().await;
        block.map_err(|kind| self.error("block", Some(header.height), kind))
    }

    /// The block's bytes.
    async fn raw(&self, header: &CoreHeader) -> Result<Bytes, NodeError> {
        let (hash, height) = (header.header.hash.to_string(), Some(header.height));
        let most = limits::bitcoin::BLOCK_BYTES;
        if let Some(bytes) = self.rest(Asked { method: REST_BLOCK, height }, &hash, most).await? {
            return Ok(bytes);
        }
        let Hex(bytes) = self.call_for_body(Asked { method: BLOCK, height }, json!([hash, 0])).await?;
        Ok(bytes)
    }
}

/// The block, once its bytes are those of its header, and what it spends fits them.
fn believe(chain: BitcoinChain, header: &CoreHeader, raw: Bytes, spent: Spent) -> Result<BitcoinBlock, NodeErrorKind> {
    let body = Body::read(raw, chain, header.height)?;
    if body.header().hash != header.header.hash {
        let lie = format!("asked for the block {}, got {}", header.header.hash, body.header().hash);
        return Err(NodeErrorKind::Lying(lie));
    }
    let prevouts = spent.read(&body)?;
    let CoreHeader { height, median_time, chain_work, .. } = *header;
    body.with(Known { chain, height, median_time, chain_work }, prevouts)
}

//! What stands between a client and its endpoint: limits and samples of each request, and the memory of what the endpoint can do.
//!
//! Guarantee: every request of a client passes here once, before it is sent and after it ended. Of an endpoint in a fleet it is the
//! fleet's [`Member`]; a client that stands alone has no limits, and a memory of its own.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::client::EvmClient;
use crate::{
    error::NodeError,
    fleet::{Admitted, Clock, Done, Member, Scope, capability::Capabilities},
};

/// The endpoint's call for all receipts of a block.
pub const BLOCK_RECEIPTS: &str = "eth_getBlockReceipts";
/// The same with the block's hash instead of its number.
pub const RECEIPTS_BY_HASH: &str = "eth_getBlockReceipts by hash";
/// Single receipts, whose batches have a size.
pub const RECEIPT: &str = "eth_getTransactionReceipt";
/// Several calls in one request.
pub const BATCHES: &str = "batches";
/// A block by its hash.
pub const BLOCK_BY_HASH: &str = "eth_getBlockByHash";

/// See the module.
#[async_trait]
pub trait Route: Send + Sync {
    /// Waits until so many calls may be sent in one request.
    async fn admit(&self, calls: u32) -> Result<Option<Admitted>, NodeError>;
    /// Whether so many calls more may go in the time that there is, as far as that is known.
    fn has_time_for(&self, calls: u32) -> Result<(), NodeError>;
    /// What became of it.
    fn done(&self, admitted: Option<Admitted>, done: Done<'_>);
    /// Whether something is known not to work, at a height where it has one.
    fn cannot(&self, what: &'static str, height: Option<u64>) -> bool;
    /// Something did not work, and how, and for what. True when that is news.
    fn failed(&self, what: &'static str, how: &'static str, scope: Scope) -> bool;
    /// Something worked: what is remembered to its contrary is forgotten.
    fn worked(&self, what: &'static str, height: Option<u64>);
    /// How many calls a batch may have, `most` at the most; 1 is single calls.
    fn batch(&self, what: &'static str, most: usize) -> usize;
    /// So many calls in a batch worked, after larger ones were `refused` or not. True when that is news.
    fn batch_worked(&self, what: &'static str, size: usize, refused: bool) -> bool;
    /// How many heights one request may ask for, each with so many calls; 1 is no batch.
    fn together(&self, calls: u32) -> usize;
    /// A batch of so many heights came whole, after so long.
    fn together_worked(&self, heights: usize, took: Duration);
    /// One did not, where single calls work. True when fewer are asked for from now on.
    fn together_failed(&self, how: &'static str, heights: usize) -> bool;
}

/// Of a client that stands alone.
pub struct Alone {
    capabilities: Mutex<Capabilities>,
    clock: Clock,
}

impl Default for Alone {
    fn default() -> Self {
        Self { capabilities: Mutex::default(), clock: Clock::system() }
    }
}

impl Alone {
    fn with<T>(&self, f: impl FnOnce(&mut Capabilities) -> T) -> T {
        f(&mut self.capabilities.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Route for Alone {
    async fn admit(&self, _: u32) -> Result<Option<Admitted>, NodeError> {
        Ok(None)
    }
    fn has_time_for(&self, _: u32) -> Result<(), NodeError> {
        Ok(())
    }
    fn done(&self, _: Option<Admitted>, _: Done<'_>) {}
    fn cannot(&self, what: &'static str, height: Option<u64>) -> bool {
        let now = self.clock.now();
        self.with(|c| c.cannot(what, height, now).is_some())
    }
    fn failed(&self, what: &'static str, how: &'static str, scope: Scope) -> bool {
        let now = self.clock.now();
        self.with(|c| c.failed(what, how, scope, now))
    }
    fn worked(&self, what: &'static str, height: Option<u64>) {
        self.with(|c| c.worked(what, height));
    }
    fn batch(&self, what: &'static str, most: usize) -> usize {
        self.with(|c| c.batch(what, most))
    }
    fn batch_worked(&self, what: &'static str, size: usize, refused: bool) -> bool {
        self.with(|c| c.batch_worked(what, size, refused))
    }
    fn together(&self, _: u32) -> usize {
        let now = self.clock.now();
        self.with(|c| c.together.most(now))
    }
    fn together_worked(&self, heights: usize, took: Duration) {
        self.with(|c| c.together.worked(heights, took));
    }
    fn together_failed(&self, how: &'static str, heights: usize) -> bool {
        let now = self.clock.now();
        self.with(|c| c.together.failed(how, heights, now))
    }
}

#[async_trait]
impl Route for Member<EvmClient> {
    async fn admit(&self, calls: u32) -> Result<Option<Admitted>, NodeError> {
        self.meter.admit(calls).await.map(Some)
    }
    fn has_time_for(&self, calls: u32) -> Result<(), NodeError> {
        self.meter.has_time_for(calls)
    }
    fn done(&self, admitted: Option<Admitted>, done: Done<'_>) {
        if let Some(admitted) = admitted {
            self.meter.done(admitted, done);
        }
    }
    fn cannot(&self, what: &'static str, height: Option<u64>) -> bool {
        Member::cannot(self, what, height).is_some()
    }
    fn failed(&self, what: &'static str, how: &'static str, scope: Scope) -> bool {
        Member::failed(self, what, how, scope)
    }
    fn worked(&self, what: &'static str, height: Option<u64>) {
        Member::worked(self, what, height);
    }
    fn batch(&self, what: &'static str, most: usize) -> usize {
        Member::batch(self, what, most)
    }
    fn batch_worked(&self, what: &'static str, size: usize, refused: bool) -> bool {
        Member::batch_worked(self, what, size, refused)
    }
    fn together(&self, calls: u32) -> usize {
        Member::together(self, calls)
    }
    fn together_worked(&self, heights: usize, took: Duration) {
        Member::together_worked(self, heights, took);
    }
    fn together_failed(&self, how: &'static str, heights: usize) -> bool {
        Member::together_failed(self, how, heights)
    }
}

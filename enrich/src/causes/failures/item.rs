//! A failed transaction that has no final record yet.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use alloy_primitives::{Address, Selector};
use decode::causes::Failed;
use schemas::{BlockHash, Network, TimeMs, records::EvmTransaction};
use tokio::time::Instant;

/// What one takes beside its calldata, about.
const BYTES: usize = 1_000;
/// Selector bytes of calldata.
const SELECTOR: usize = 4;

/// See the module.
#[derive(Debug)]
pub struct Item {
    /// The partition of the stream.
    pub partition: u32,
    /// Its record's place there.
    pub offset: u64,
    /// Its network.
    pub network: Network,
    /// The event that applied its block.
    pub sequence: u64,
    /// The block's height.
    pub height: u64,
    /// The block.
    pub block_hash: BlockHash,
    /// The block's time.
    pub block_time: TimeMs,
    /// The transaction, without its logs: a failed one has none.
    pub transaction: EvmTransaction,
    /// When it was read.
    pub since: Instant,
    /// Whether nodes were asked and had nothing.
    asked: AtomicBool,
}

/// What many failures have in common that can be told without evidence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// The network.
    pub network: Network,
    /// Who was called; `None` where a contract was to be made.
    pub contract: Option<Address>,
    /// The function.
    pub method: Option<Selector>,
    /// Whether all gas was used.
    pub spent: bool,
}

impl Item {
    /// One that was read now.
    pub fn new(at: (u32, u64), raw: schemas::ChildEnvelope, transaction: EvmTransaction) -> Arc<Self> {
        Arc::new(Self {
            partition: at.0,
            offset: at.1,
            network: raw.network,
            sequence: raw.sequence,
            height: raw.height,
            block_hash: raw.block_hash,
            block_time: raw.block_time,
            transaction,
            since: Instant::now(),
            asked: AtomicBool::new(false),
        })
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        BYTES + self.transaction.input.len()
    }

    /// The function that was called.
    pub fn method(&self) -> Option<Selector> {
        self.transaction.to_address?;
        self.transaction.input.get(..SELECTOR).map(Selector::from_slice)
    }

    /// What it is counted with.
    pub fn group(&self) -> Group {
        Group {
            network: self.network.clone(),
            contract: self.transaction.to_address,
            method: self.method(),
            spent: self.transaction.receipt_gas_used >= self.transaction.gas,
        }
    }

    /// As it is classed.
    pub fn failed(&self) -> Failed<'_> {
        Failed {
            from: self.transaction.from_address,
            to: self.transaction.to_address,
            value: self.transaction.value,
            input: &self.transaction.input,
            gas: self.transaction.gas,
            gas_used: self.transaction.receipt_gas_used,
            block_time: u64::try_from(self.block_time.0 / 1_000).ok(),
            same_call: None,
        }
    }

    /// Nodes were asked and had nothing.
    pub fn was_asked(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether they were.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

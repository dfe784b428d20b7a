//! A block in JSON.

use alloy_primitives::U256;
use schemas::{
    Envelope, Family, Origin, TimeMs,
    records::{Coverage, EnrichedBlock},
};
use serde::{Deserialize, Serialize};
use store::query::{BitcoinBlock, Block, BlockFees, TokenFees};
use utoipa::ToSchema;

use super::bitcoin::BitcoinBlockItem;

/// A canonical block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Block)]
pub struct BlockItem {
    /// The network's slug.
    pub network: String,
    /// `evm`, `bitcoin` or `stellar`.
    pub family: String,
    /// Height (number, ledger sequence).
    pub height: u64,
    /// Hash, as the chain's explorers print it.
    pub hash: String,
    /// Hash of the parent.
    pub parent_hash: String,
    /// The block's own time stamp.
    #[schema(format = DateTime)]
    pub block_time: String,
    /// `full`, or `header` where nothing is held of its transactions: no source of bodies is configured.
    #[serde(default = "full")]
    #[schema(pattern = "^(full|header)$")]
    pub coverage: String,
    /// Transactions; null where only the header is held.
    pub transaction_count: Option<u32>,
    /// Transactions with status `failed`; null where only the header is held.
    pub failed_count: Option<u32>,
    /// Logs.
    pub log_count: u32,
    /// Gas used, from the header; null on families without gas.
    pub gas_used: Option<u64>,
    /// Gas limit, from the header; null on families without gas.
    pub gas_limit: Option<u64>,
    /// Base fee per gas in wei (EIP-1559); null where the chain has none.
    #[schema(pattern = "^[0-9]+$")]
    pub base_fee: Option<String>,
    /// Sum of the fees really paid, in the chain's smallest unit; null where only the header is held.
    #[schema(pattern = "^[0-9]+$")]
    pub fee_total: Option<String>,
    /// On Bitcoin: median of the time stamps of this block and the ten before it (BIP-113). No later block has a time at or below it, so
    /// that windows are over up to here. Null on other chains, and where too few headers were to be had.
    #[schema(format = DateTime)]
    pub median_time: Option<String>,
    /// The network's total order: the event that applied this block.
    pub sequence: u64,
    /// `live` (it came as the head) or `backfill` (filled in on request: it may lie anywhere below the head).
    #[serde(default = "live")]
    pub origin: String,
    /// When Headwater first saw the block.
    #[schema(format = DateTime)]
    pub observed_at: String,
    /// When the store wrote it; null in live WebSocket frames, which may precede the store.
    #[schema(format = DateTime)]
    pub stored_at: Option<String>,
}

/// A canonical block with what its transactions paid, part by part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BlockDetail {
    /// What lists show too.
    #[serde(flatten)]
    pub block: BlockItem,
    /// Transactions with status `unknown`.
    pub unknown_count: u32,
    /// Transactions that could not be read: they are counted, and have no row.
    pub unreadable_count: u32,
    /// ERC-20 and ERC-721 transfers.
    pub token_transfer_count: u32,
    /// Sums of the parts of the fees; they add up to `fee_total`.
    pub fee_parts: FeeSumsItem,
    /// Transactions whose fee is not known, or was paid in a token: they are not in `fee_total`.
    pub fee_unknown: u64,
    /// What was paid in tokens; the 100 that most transactions paid with.
    pub fee_tokens: Vec<FeeTokenItem>,
    /// Who got the fees.
    pub miner: Option<String>,
    /// Bytes, as the node counts them.
    pub size: Option<u64>,
    /// Free bytes of the block's maker, hex.
    pub extra_data: String,
    /// Blob gas used (EIP-4844).
    pub blob_gas_used: Option<u64>,
    /// Excess blob gas (EIP-4844).
    pub excess_blob_gas: Option<u64>,
    /// Offset in the network's partition of the topic `contract.facts` before which all facts were used to decode its transactions; null:
    /// none was. What came later is applied on reading, and marked `late`.
    pub facts_position: Option<u64>,
    /// What only Bitcoin has; null on other chains.
    pub bitcoin: Option<BitcoinBlockItem>,
}

/// Sums over a block's transactions, in the chain's smallest unit; null where none of them has that part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = FeeSums)]
pub struct FeeSumsItem {
    /// For execution.
    #[schema(pattern = "^[0-9]+$")]
    pub execution: Option<String>,
    /// For data on L1.
    #[schema(pattern = "^[0-9]+$")]
    pub l1: Option<String>,
    /// OP-stack operator fees.
    #[schema(pattern = "^[0-9]+$")]
    pub operator: Option<String>,
    /// Blob fees (EIP-4844).
    #[schema(pattern = "^[0-9]+$")]
    pub blob: Option<String>,
}

/// What a block's transactions paid in one token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = FeeToken)]
pub struct FeeTokenItem {
    /// The token's address.
    pub token: String,
    /// Sum, in its smallest unit; null where no amount is known.
    #[schema(pattern = "^[0-9]+$")]
    pub amount: Option<String>,
    /// Transactions that paid with it.
    pub transactions: u64,
}

fn full() -> String {
    Coverage::Full.to_string()
}

fn live() -> String {
    Origin::Live.to_string()
}

/// A block that left the canonical chain (`op` = `revert`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockRevert {
    /// The network's slug.
    pub network: String,
    /// Height of the reverted block.
    pub height: u64,
    /// Its hash.
    pub hash: String,
    /// The event that is undone.
    pub reverts_sequence: u64,
    /// This event.
    pub sequence: u64,
    /// When Headwater saw the reorg.
    #[schema(format = DateTime)]
    pub observed_at: String,
}

impl BlockItem {
    /// From the store's row.
    pub fn from_row(row: &Block) -> Self {
        let has_gas = row.family == Family::Evm.as_str();
        let whole = row.coverage != Coverage::Header.as_str();
        Self {
            network: row.network.clone(),
            family: row.family.clone(),
            height: row.number,
            hash: row.hash.clone(),
            parent_hash: row.parent_hash.clone(),
            block_time: row.timestamp.rfc3339(),
            coverage: if whole { Coverage::Full } else { Coverage::Header }.to_string(),
            transaction_count: whole.then_some(row.transaction_count),
            failed_count: whole.then_some(row.failed_count),
            log_count: row.log_count,
            gas_used: has_gas.then_some(row.gas_used),
            gas_limit: has_gas.then_some(row.gas_limit),
            base_fee: row.base_fee_per_gas.map(|f| f.to_string()),
            fee_total: whole.then(|| row.fee_total.to_string()),
            median_time: row.median_time.map(TimeMs::rfc3339),
            sequence: row.sequence,
            origin: row.origin.clone(),
            observed_at: row.observed_at.rfc3339(),
            stored_at: Some(row.stored_at.rfc3339()),
        }
    }

    /// From the live record; `None` for reverts and finality.
    pub fn from_record(record: &EnrichedBlock) -> Option<Self> {
        let e = &record.envelope;
        let (summary, evm, bitcoin) = (record.summary.as_ref(), record.evm.as_deref(), record.bitcoin.as_deref());
        // Of a block without a summary only the header is held; reverts and finality have neither.
        let header = bitcoin.is_some_and(|header| header.coverage == Coverage::Header);
        if summary.is_none() && !header {
            return None;
        }
        let family = if bitcoin.is_some() { Family::Bitcoin } else { Family::Evm };
        let whole = summary.filter(|_| !header);
        Some(Self {
            network: e.network.to_string(),
            family: family.to_string(),
            height: e.height,
            hash: e.block_hash.to_string(),
            parent_hash: e.parent_hash.to_string(),
            block_time: e.block_time.rfc3339(),
            coverage: if header { Coverage::Header } else { Coverage::Full }.to_string(),
            transaction_count: whole.map(|_| e.tx_count),
            failed_count: whole.map(|summary| summary.failed),
            log_count: e.log_count,
            gas_used: evm.map(|h| h.gas_used),
            gas_limit: evm.map(|h| h.gas_limit),
            base_fee: evm.and_then(|h| h.base_fee_per_gas).map(|f| f.to_string()),
            fee_total: whole.map(|summary| summary.fee_total.to_string()),
            median_time: bitcoin.and_then(|header| header.median_time).map(TimeMs::rfc3339),
            sequence: e.sequence,
            origin: e.origin.to_string(),
            observed_at: e.observed_at.rfc3339(),
            stored_at: None,
        })
    }
}

impl BlockDetail {
    /// From the store's row, the sums over its transactions, and what its header says on Bitcoin.
    pub fn new(row: &Block, fees: &BlockFees, bitcoin: Option<&BitcoinBlock>) -> Self {
        let text = |sum: Option<U256>| sum.map(|sum| sum.to_string());
        let of_token = |paid: &TokenFees| FeeTokenItem {
            token: paid.token.clone(),
            amount: text(paid.amount),
            transactions: paid.transactions,
        };
        Self {
            block: BlockItem::from_row(row),
            unknown_count: row.unknown_count,
            unreadable_count: row.unreadable_count,
            token_transfer_count: row.token_transfer_count,
            fee_parts: FeeSumsItem {
                execution: text(fees.parts.execution),
                l1: text(fees.parts.l1),
                operator: text(fees.parts.operator),
                blob: text(fees.parts.blob),
            },
            fee_unknown: fees.parts.unknown,
            fee_tokens: fees.tokens.iter().map(of_token).collect(),
            miner: row.miner.clone(),
            size: row.size,
            extra_data: row.extra_data.clone(),
            blob_gas_used: row.blob_gas_used,
            excess_blob_gas: row.excess_blob_gas,
            facts_position: row.facts_position,
            bitcoin: bitcoin.map(BitcoinBlockItem::from_row),
        }
    }
}

impl BlockRevert {
    /// From a revert's envelope.
    pub fn from_envelope(e: &Envelope) -> Self {
        Self {
            network: e.network.to_string(),
            height: e.height,
            hash: e.block_hash.to_string(),
            reverts_sequence: e.reverts_sequence.unwrap_or_default(),
            sequence: e.sequence,
            observed_at: e.observed_at.rfc3339(),
        }
    }
}

//! `enriched.transactions`: the raw transaction and what `enrich` found out about it.

use alloy_primitives::{Selector, U256};

use super::{BitcoinDecoded, EvmTransaction, Payload};
use crate::{envelope::ChildEnvelope, primitives::Status};

/// A record of `enriched.transactions`.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrichedTransaction {
    /// Order and meaning.
    pub envelope: ChildEnvelope,
    /// The transaction with its enrichment, or why there is none.
    pub payload: Payload<(EvmTransaction, Enrichment), BitcoinDecoded>,
}

/// What enrich adds to a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Enrichment {
    /// Outcome.
    pub status: Status,
    /// What the sender really paid and its parts; `None` when the receipt does not allow to tell, or a token was paid.
    pub fee: Option<FeeParts>,
    /// Why there is no fee, one word; set exactly when `fee` is not. Records of the first version have none.
    pub fee_reason: Option<String>,
    /// What was paid in the transaction's `fee_currency`, in that token's smallest unit.
    pub fee_token_amount: Option<U256>,
    /// First four bytes of the call data of a call with at least four; `None` for plain transfers and contract creations.
    pub method: Option<Selector>,
    /// Why a failed transaction failed, as far as the records alone tell (`gas_limit`; records of before say `out_of_gas`).
    pub failure_cause: Option<String>,
    /// The failure in words.
    pub failure_reason: Option<String>,
    /// The function called; `None` where it is not known. Records before version 3 have none.
    pub call: Option<DecodedCall>,
    /// Calls inside the call, one level deep, as a JSON array; `None` where there are none. Records before version 3 have none.
    pub inner_calls: Option<String>,
    /// One entry per log, in the order of `EvmTransaction::logs`; `None` where the event is not known, or the transaction has no room for
    /// it ([`TRANSACTION_BYTES`](crate::limits::decoding::TRANSACTION_BYTES)).
    pub events: Vec<Option<DecodedEvent>>,
}

/// The fee really paid, in wei of the network's fee token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeeParts {
    /// Gas used × effective gas price; where L1's share is charged as gas, without it.
    pub execution: U256,
    /// L1's share: beside the gas on OP-stack, Scroll and Mantle since Arsia; a part of it on Arbitrum and Mantle before Arsia.
    pub l1: Option<U256>,
    /// OP-stack operator fee.
    pub operator: Option<U256>,
    /// Blob gas used × blob gas price (EIP-4844).
    pub blob: Option<U256>,
}

impl FeeParts {
    /// The sum of the parts. Saturates, which only made-up receipts can reach.
    pub fn total(&self) -> U256 {
        [self.l1, self.operator, self.blob].into_iter().flatten().fold(self.execution, U256::saturating_add)
    }
}

/// A decoded call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedCall {
    /// Signature with names, such as `transfer(address to, uint256 amount)`.
    pub signature: String,
    /// JSON object of the arguments, as those of [`DecodedEvent`]; `None` where they take more than
    /// [`ARGUMENTS_BYTES`](crate::limits::ARGUMENTS_BYTES), or the record would be too large with them.
    pub arguments: Option<String>,
}

/// A decoded event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedEvent {
    /// Signature with names, such as `Transfer(address indexed from, address indexed to, uint256 value)`. Records before version 3
    /// have the canonical form, `Transfer(address,address,uint256)`.
    pub event: String,
    /// JSON object of the arguments, by name (by position where unnamed): addresses and bytes lower-case hex, integers decimal strings.
    pub arguments: String,
}

//! Method selector (Solidity ABI specification, "Function selector").

use alloy_primitives::Selector;
use schemas::records::EvmTransaction;

/// First four bytes of the call data; `None` for contract creations and for calls with less.
pub fn of(tx: &EvmTransaction) -> Option<Selector> {
    tx.to_address?;
    tx.input.first_chunk::<4>().map(Selector::from)
}

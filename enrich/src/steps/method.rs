//! Method selector (Solidity ABI specification, "Function selector").

use alloy_primitives::Selector;
use schemas::records::Figures;

/// First four bytes of the call data; `None` for contract creations and for calls with less.
pub fn of(tx: &Figures) -> Option<Selector> {
    tx.to_address.and(tx.selector)
}

//! What is known of contracts while a block is worked up.
//!
//! Guarantee: a [`Known`] does not change, so that a block's records are a function of the block and of [`Known::position`] (rule 14).

use std::{fmt, sync::Arc};

use alloy_primitives::{Address, Selector};
use decode::Abi;

/// Facts of one network, as they were at one position of `contract.facts`.
pub trait Lookup: Send + Sync {
    /// Appends the ABIs of a contract at a height to `found`, those that count first before others: its own, then those of the
    /// implementation behind it at that height. `selector`: of the call, where a proxy has an implementation for each (EIP-2535); none
    /// of an event.
    fn abis<'a>(&'a self, address: Address, height: u64, selector: Option<Selector>, found: &mut Vec<&'a Abi>);
}

/// What is known of a network's contracts.
#[derive(Clone, Default)]
pub struct Known {
    /// Offset in the network's partition of `contract.facts` before which all facts are in it; `None` where there are none.
    pub position: Option<u64>,
    /// The facts.
    pub facts: Option<Arc<dyn Lookup>>,
}

impl Known {
    /// The ABIs of a contract, in the place of what is in `found`.
    pub(crate) fn abis<'a>(
        &'a self,
        address: Address,
        height: u64,
        selector: Option<Selector>,
        found: &mut Vec<&'a Abi>,
    ) {
        found.clear();
        if let Some(facts) = &self.facts {
            facts.abis(address, height, selector, found);
        }
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("position", &self.position).finish_non_exhaustive()
    }
}

//! What rows tell of contracts before anybody watched them: the seam to the store, which this stage reaches through it alone.

use std::{fmt, sync::Arc};

use alloy_primitives::{Address, U256};
use schemas::{Network, TimeMs};

/// What a contract did at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Did {
    /// The time of its block, milliseconds since 1970.
    pub at: i64,
    /// The block's height.
    pub height: u64,
    /// Transactions.
    pub transactions: u64,
    /// Of them failed.
    pub failed: u64,
    /// Gas that they used.
    pub gas_used: u64,
    /// Fees paid, in the chain's smallest unit.
    pub fee_total: U256,
    /// Sum of effective gas prices over those that paid gas.
    pub gas_price_sum: U256,
    /// Transactions in that sum.
    pub gas_price_count: u64,
}

/// Whoever has rows.
#[async_trait::async_trait]
pub trait Past: Send + Sync {
    /// All that a contract did at the times from the first on, the second left out, oldest first: only where the ledger is full over them
    /// (rule 31), and with all of the network's events up to `sequence` taken in: rows of a branch that was left before it are none.
    ///
    /// # Errors
    /// Why it is not known, or not now.
    async fn of(
        &self,
        network: &Network,
        contract: Address,
        times: (TimeMs, TimeMs),
        sequence: u64,
    ) -> Result<Vec<Did>, String>;
}

/// Whom to ask; nobody: then a contract's windows are whole only once they lie behind the time from which it was watched.
#[derive(Clone, Default)]
pub struct Keeper(pub Option<Arc<dyn Past>>);

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Keeper(somebody)" } else { "Keeper(nobody)" })
    }
}

//! What a contract did in a time of which no window tells: before anybody watched it.
//!
//! Guarantee: all of it, block by block, or why not (rule 31): the ledger is full from the block before that time to the block behind it. Reading
//! is bounded as that of steps is.

use schemas::{Network, TimeMs, limits::conditions::PAST_TIMES};

use super::{
    super::Figures,
    Ask, FIRST_MS, Refusal,
    lines::{Transactions, of_transactions},
};
use crate::{Store, StoreError};

/// What is known of it.
#[derive(Debug, Clone, PartialEq)]
pub enum ContractPast {
    /// All that it did, by the times of its blocks, oldest first; times at which it did nothing are left out.
    Whole(Vec<(TimeMs, Figures)>),
    /// Not all of it is known, for this reason.
    Unknown(String),
}

impl Store {
    /// What a contract did at the times from the first on, the second left out; a block at the second or later has to be held.
    ///
    /// # Errors
    /// The store is away, or says that something is wrong.
    pub async fn contract_past(
        &self,
        network: &Network,
        contract: &str,
        (from, to): (TimeMs, TimeMs),
    ) -> Result<ContractPast, StoreError> {
        let Some(last) = to.0.checked_sub(from.0).and_then(|ms| u64::try_from(ms).ok()?.checked_sub(1)) else {
            return Ok(ContractPast::Whole(Vec::new()));
        };
        let whole = Ask {
            network,
            contract: None,
            base: from.0,
            width: to.0 - from.0,
            steps: (0, 0),
            sketches: false,
            open: false,
        };
        if let Some(Err(refusal)) = self.computed(&whole).await?.remove(&0) {
            return Ok(ContractPast::Unknown(refusal.to_string()));
        }
        // A step for each millisecond: those at which the contract did nothing have no line.
        let each = Ask { contract: Some(contract), width: 1, steps: (0, last), ..whole };
        let read = self.read_steps::<Transactions>(&each, &of_transactions(true, false), FIRST_MS.1).await?;
        if read.from > 0 || read.lines.len() > PAST_TIMES {
            return Ok(ContractPast::Unknown(Refusal::TooMuch.to_string()));
        }
        let line = |line: Transactions| (line.s_last_time, line.figures());
        Ok(ContractPast::Whole(read.lines.into_values().map(line).collect()))
    }
}

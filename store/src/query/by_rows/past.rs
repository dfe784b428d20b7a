//! What a contract did in a time of which no window tells: before anybody watched it.
//!
//! Guarantee: all of it, block by block, or why not (rule 31): the ledger is full from the block before that time to the block behind it, and
//! all events up to the one that is asked for were taken in before anything is read: what a fork had removed by then is not there any more.
//! Reading is bounded as that of steps is, and in the lines that are held.

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
    /// What a contract did at the times from the first on, the second left out; a block at the second or later has to be held, and all that
    /// the network's events up to `sequence` did.
    ///
    /// # Errors
    /// The store is away, or says that something is wrong.
    pub async fn contract_past(
        &self,
        network: &Network,
        contract: &str,
        (from, to): (TimeMs, TimeMs),
        sequence: u64,
    ) -> Result<ContractPast, StoreError> {
        // Only EVM's are written so, and has rows of them.
        if !contract.starts_with("0x") {
            return Ok(ContractPast::Unknown(Refusal::NoContracts.to_string()));
        }
        let Some(last) = to.0.checked_sub(from.0).and_then(|ms| u64::try_from(ms).ok()?.checked_sub(1)) else {
            return Ok(ContractPast::Whole(Vec::new()));
        };
        let processed = self.processed_sequence(network.as_str()).await?;
        if processed < sequence {
            let why = format!("the store has the network's events up to {processed}, and is asked at {sequence}");
            return Ok(ContractPast::Unknown(why));
        }
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
        let most = u32::try_from(PAST_TIMES + 1).unwrap_or(u32::MAX);
        let sql = of_transactions(true, false);
        let read = self.read_steps::<Transactions>(&each, &sql, FIRST_MS.1, Some(most)).await?;
        if read.from > 0 || read.lines.len() > PAST_TIMES {
            return Ok(ContractPast::Unknown(Refusal::TooMuch.to_string()));
        }
        let line = |line: Transactions| (line.s_last_time, line.figures());
        Ok(ContractPast::Whole(read.lines.into_values().map(line).collect()))
    }
}

//! Figures of contracts, from what the blocks' rows say of watched ones.

use std::collections::HashMap;

use clickhouse::Row;
use schemas::{Network, TimeMs};
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, StoreErrorKind};

/// What transactions did at a contract within a time (rule 20: sent to it, creating it, or with a log of it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ContractFigures {
    /// Transactions.
    pub transactions: u64,
    /// Those with status `failed`.
    pub failed: u64,
}

#[derive(Row, Deserialize)]
struct Counted {
    contract: String,
    transactions: u64,
    failed: u64,
}

const ASKING: &str = "adding up contracts";

impl Store {
    /// Figures of contracts of one network, each from canonical blocks of its time (inclusive) on, in the order of what is asked. The
    /// addresses are `0x` and 40 lower-case hex digits. Reads the blocks since the earliest of these times.
    ///
    /// # Errors
    /// An address is none, or the store is away.
    pub async fn contract_figures(
        &self,
        network: &Network,
        contracts: &[(&str, TimeMs)],
    ) -> Result<Vec<ContractFigures>, StoreError> {
        let Some(earliest) = contracts.iter().map(|(_, since)| *since).min() else { return Ok(Vec::new()) };
        if let Some((bad, _)) = contracts.iter().find(|(address, _)| !is_address(address)) {
            let message = format!("`{bad}` is no address: 0x and 40 lower-case hex digits");
            return Err(StoreError::new(StoreErrorKind::BadRequest, ASKING, message));
        }
        let sql = "WITH arrayMap(a -> unhex(substring(a, 3)), {addresses:Array(String)}) AS addresses, {since:Array(Int64)} AS since \
                   SELECT concat('0x', lower(hex(address))) AS contract, sum(toUInt64(transactions)) AS transactions, \
                       sum(toUInt64(failed)) AS failed \
                   FROM (SELECT network, height, span, block_time, contract_addresses, contract_transactions, contract_failed \
                       FROM block_rows FINAL WHERE network = {network:String} \
                       AND block_time >= fromUnixTimestamp64Milli({earliest:Int64}, 'UTC') \
                       AND hasAny(contract_addresses, arrayMap(a -> toFixedString(a, 20), addresses))) AS b \
                   ARRAY JOIN contract_addresses AS address, contract_transactions AS transactions, contract_failed AS failed \
                   WHERE has(addresses, address) \
                       AND toUnixTimestamp64Milli(block_time) >= since[indexOf(addresses, address)] \
                       AND (network, intDiv(height, span)) NOT IN \
                       (SELECT network, arrayJoin(range(first_part, end_part)) FROM pruned_rows FINAL WHERE gone = 0) \
                   GROUP BY address";
        let (addresses, since): (Vec<&str>, Vec<i64>) =
            contracts.iter().map(|(address, since)| (*address, since.0)).unzip();
        let query = self.read(sql).param("network", network.as_str()).param("earliest", earliest.0);
        let query = query.param("addresses", addresses).param("since", since);
        let counted = self.within(ASKING, query.fetch_all::<Counted>()).await?;
        let figures = |c: Counted| (c.contract, ContractFigures { transactions: c.transactions, failed: c.failed });
        let found: HashMap<String, ContractFigures> = counted.into_iter().map(figures).collect();
        Ok(contracts.iter().map(|(address, _)| found.get(*address).copied().unwrap_or_default()).collect())
    }
}

fn is_address(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

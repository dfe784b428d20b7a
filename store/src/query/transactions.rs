//! Lists of transactions, with filters.

use alloy_primitives::U256;
use clickhouse::Row;
use schemas::{Network, Status, TimeMs, limits};
use serde::{Deserialize, Serialize};

use super::{
    Page, Sort,
    windows::{End, Looked, Windows, look},
    wire,
};
use crate::{Store, StoreError};

/// A canonical transaction as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Transaction {
    /// Slug of the network.
    pub network: String,
    /// Chain family.
    pub family: String,
    /// Height of the block.
    pub block_number: u64,
    /// Hash of the block.
    pub block_hash: String,
    /// The block's own time.
    pub block_timestamp: TimeMs,
    /// Position in the block.
    pub transaction_index: u32,
    /// Hash.
    pub hash: String,
    /// Sender.
    pub from_address: String,
    /// Receiver; `None` when a contract is created.
    pub to_address: Option<String>,
    /// Value moved, wei.
    #[serde(with = "wire::u256")]
    pub value: U256,
    /// `success`, `failed` or `unknown`.
    pub status: String,
    /// Why it failed, one word.
    pub failure_cause: Option<String>,
    /// Why it failed, in words.
    pub failure_reason: Option<String>,
    /// What the final cause was found by: `trace`, `call`, `receipt` or `budget`; `None` while none is known.
    pub found_by: Option<String>,
    /// First four bytes of the call data.
    pub method: Option<String>,
    /// Signature of the called function with names, where it is known.
    pub call: Option<String>,
    /// Gas used.
    pub gas_used: u64,
    /// Effective gas price, wei per gas.
    #[serde(with = "wire::u256_option")]
    pub gas_price: Option<U256>,
    /// Fee really paid, wei.
    #[serde(with = "wire::u256_option")]
    pub fee: Option<U256>,
    /// Logs.
    pub log_count: u32,
    /// Sequence of the event that applied the block.
    pub sequence: u64,
    /// Receiver, created contract and emitters of logs, each once; only where they are asked for: of a replay's transactions.
    pub touched: Vec<String>,
}

/// Its columns, with this for [`Transaction::touched`], which few need.
macro_rules! columns {
    ($touched:literal) => {
        concat!(
            "network, family, block_number, block_hash, block_timestamp, transaction_index, hash, from_address, to_address, value, \
             status, failure_cause, failure_reason, found_by, method, call, gas_used, gas_price, fee, log_count, sequence, ",
            $touched
        )
    };
}

/// Columns of a list.
pub(super) const COLUMNS: &str = columns!("emptyArrayString() AS touched");
/// Columns of a replay's transactions.
pub(super) const COLUMNS_OF_REPLAYS: &str = columns!("contracts AS touched");

/// Which transactions. All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct TransactionFilter {
    /// Of this network only; without it of all, sorted by time.
    pub network: Option<Network>,
    /// Sent to this contract, creating it, or with a log from it. Lower-case hex with `0x` on EVM.
    pub contract: Option<String>,
    /// The same for an address, or sent by it.
    pub address: Option<String>,
    /// With this outcome.
    pub status: Option<Status>,
    /// With one of these failure causes. Empty: whatever it is.
    pub causes: Vec<String>,
    /// With a final cause that was found by this.
    pub found_by: Option<String>,
    /// Calling one of these functions: selectors, `0x` and 8 lower-case hex digits. Empty: whatever they call.
    pub methods: Vec<String>,
    /// In the block of this height. Goes with a network.
    pub block: Option<u64>,
    /// In blocks not earlier than this.
    pub from: Option<TimeMs>,
    /// In blocks earlier than this.
    pub to: Option<TimeMs>,
    /// Order.
    pub sort: Sort,
    /// Where the former page ended.
    pub cursor: Option<TransactionCursor>,
    /// At most this many; cut to [`limits::PAGE_ITEMS_MAX`].
    pub limit: u32,
}

/// The last transaction of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionCursor {
    /// Time of its block.
    pub block_timestamp: TimeMs,
    /// Its network.
    pub network: String,
    /// Height of its block.
    pub block_number: u64,
    /// Its position in the block.
    pub transaction_index: u32,
}

/// Width of the first window of heights of a list.
const FIRST_HEIGHTS: u64 = 16;
/// Width of the first window of times of a list, in milliseconds.
const FIRST_MS: u64 = 10_000;
/// The same of an export, which wants more rows at once: so many times as wide.
const OF_EXPORT: u64 = 8;

impl Store {
    /// Transactions of one network by height and position, or of all networks by time.
    pub async fn transactions(
        &self,
        filter: &TransactionFilter,
    ) -> Result<Page<Transaction, TransactionCursor>, StoreError> {
        self.page(filter, filter.limit.clamp(1, limits::PAGE_ITEMS_MAX), 1).await
    }

    /// The same in larger pages, of up to [`limits::EXPORT_PART_ROWS`], for who wants everything.
    pub async fn export(&self, filter: &TransactionFilter) -> Result<Page<Transaction, TransactionCursor>, StoreError> {
        self.page(filter, filter.limit.clamp(1, limits::EXPORT_PART_ROWS), OF_EXPORT).await
    }

    async fn page(
        &self,
        filter: &TransactionFilter,
        limit: u32,
        wider: u64,
    ) -> Result<Page<Transaction, TransactionCursor>, StoreError> {
        let Some((low, high)) = self.transaction_bounds(filter).await? else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let first = wider * if filter.network.is_some() { FIRST_HEIGHTS } else { FIRST_MS };
        let sql = sql(filter);
        let looked =
            look(Windows::new(low, high, first, filter.sort), limit, self.list_time(), |(from, to), missing| {
                let query = self.read_window(&sql).param("w_from", from).param("w_to", to).param("limit", missing);
                self.within("listing transactions", bind(query, filter).fetch_all::<Transaction>())
            });
        let Looked { items, end } = looked.await?;
        let next = match end {
            End::Over => None,
            End::OutOfTime((from, to)) => Some(edge(filter, from, to)),
            End::Full => items.last().map(|t| TransactionCursor {
                block_timestamp: t.block_timestamp,
                network: t.network.clone(),
                block_number: t.block_number,
                transaction_index: t.transaction_index,
            }),
        };
        Ok(Page { items, next })
    }

    /// The range of heights (of one network) or of times (of all) in which the filter's transactions can lie.
    async fn transaction_bounds(&self, filter: &TransactionFilter) -> Result<Option<(u64, u64)>, StoreError> {
        let bounds = match &filter.network {
            Some(network) if filter.from.is_some() || filter.to.is_some() => {
                self.heights_of_times(network, filter.from, filter.to).await?
            }
            Some(network) => self.height_bounds(network.as_str()).await?,
            None => self.time_bounds().await?,
        };
        let Some((mut low, mut high)) = bounds else { return Ok(None) };
        if let (Some(block), true) = (filter.block, filter.network.is_some()) {
            (low, high) = (low.max(block), high.min(block));
        }
        if filter.network.is_none() {
            low = low.max(filter.from.map_or(0, |t| t.0.max(0) as u64));
            high = high.min(filter.to.map_or(u64::MAX, |t| (t.0.max(1) as u64) - 1));
        }
        if let Some(c) = &filter.cursor {
            let at = if filter.network.is_some() { c.block_number } else { c.block_timestamp.0.max(0) as u64 };
            match filter.sort {
                Sort::Newest => high = high.min(at),
                Sort::Oldest => low = low.max(at),
            }
        }
        Ok((low <= high).then_some((low, high)))
    }

    /// Lowest and highest height whose block time lies in `from..to`.
    async fn heights_of_times(
        &self,
        network: &Network,
        from: Option<TimeMs>,
        to: Option<TimeMs>,
    ) -> Result<Option<(u64, u64)>, StoreError> {
        // In the key's order, so that the index on time leads to the first and to the last.
        let edge = |direction: &str| {
            let sql = format!(
                "SELECT height FROM block_rows WHERE network = {{network:String}} AND is_deleted = 0 \
                 AND block_time >= fromUnixTimestamp64Milli({{from:Int64}}, 'UTC') \
                 AND block_time < fromUnixTimestamp64Milli({{to:Int64}}, 'UTC') \
                 ORDER BY network {direction}, height {direction} LIMIT 1"
            );
            self.read(&sql)
                .param("network", network.as_str())
                .param("from", from.unwrap_or(TimeMs(0)).0.clamp(0, limits::BLOCK_TIME_END_MS))
                .param("to", to.unwrap_or(TimeMs(limits::BLOCK_TIME_END_MS)).0.clamp(0, limits::BLOCK_TIME_END_MS))
                .fetch_optional::<u64>()
        };
        let both = futures::future::try_join(edge("ASC"), edge("DESC"));
        let (low, high) = self.within("looking up heights by time", both).await?;
        Ok(low.zip(high))
    }
}

/// The statement for one window. Only the *presence* of filters shapes the text; their values are parameters.
fn sql(filter: &TransactionFilter) -> String {
    let (before, direction) = match filter.sort {
        Sort::Newest => ("<", "DESC"),
        Sort::Oldest => (">", "ASC"),
    };
    let mut conditions: Vec<String> = Vec::new();
    let order = if filter.network.is_some() {
        conditions.push("network = {network:String} AND block_number BETWEEN {w_from:UInt64} AND {w_to:UInt64}".into());
        if filter.cursor.is_some() {
            conditions
                .push(format!("(block_number, transaction_index) {before} ({{c_number:UInt64}}, {{c_index:UInt32}})"));
        }
        format!("block_number {direction}, transaction_index {direction}")
    } else {
        conditions.push(
            "block_timestamp BETWEEN fromUnixTimestamp64Milli({w_from:Int64}, 'UTC') \
             AND fromUnixTimestamp64Milli({w_to:Int64}, 'UTC')"
                .into(),
        );
        if filter.cursor.is_some() {
            conditions.push(format!(
                "(toUnixTimestamp64Milli(block_timestamp), network, block_number, transaction_index) {before} \
                 ({{c_time:Int64}}, {{c_network:String}}, {{c_number:UInt64}}, {{c_index:UInt32}})"
            ));
        }
        format!(
            "block_timestamp {direction}, network {direction}, block_number {direction}, transaction_index {direction}"
        )
    };
    let mut add = |present: bool, condition: &str| {
        if present {
            conditions.push(condition.into());
        }
    };
    add(filter.contract.is_some(), "has(contracts, {contract:String})");
    add(filter.address.is_some(), "(from_address = {address:String} OR has(contracts, {address:String}))");
    add(filter.status.is_some(), "status = {status:String}");
    add(!filter.causes.is_empty(), "failure_cause IN {causes:Array(String)}");
    add(filter.found_by.is_some(), "found_by = {found_by:String}");
    add(!filter.methods.is_empty(), "method IN {methods:Array(String)}");
    add(filter.from.is_some(), "block_timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')");
    add(filter.to.is_some(), "block_timestamp < fromUnixTimestamp64Milli({to:Int64}, 'UTC')");
    let conditions = conditions.join(" AND ");
    format!("SELECT {COLUMNS} FROM transactions WHERE {conditions} ORDER BY {order} LIMIT {{limit:UInt32}}")
}

fn bind(mut query: clickhouse::query::Query, filter: &TransactionFilter) -> clickhouse::query::Query {
    if let Some(network) = &filter.network {
        query = query.param("network", network.as_str());
    }
    if let Some(c) = &filter.cursor {
        query = query
            .param("c_number", c.block_number)
            .param("c_index", c.transaction_index)
            .param("c_time", c.block_timestamp.0)
            .param("c_network", c.network.as_str());
    }
    let texts = [("contract", &filter.contract), ("address", &filter.address), ("found_by", &filter.found_by)];
    for (name, value) in texts {
        if let Some(value) = value {
            query = query.param(name, value.as_str());
        }
    }
    if let Some(status) = filter.status {
        query = query.param("status", status.as_str());
    }
    if !filter.methods.is_empty() {
        query = query.param("methods", filter.methods.as_slice());
    }
    if !filter.causes.is_empty() {
        query = query.param("causes", filter.causes.as_slice());
    }
    for (name, value) in [("from", filter.from), ("to", filter.to)] {
        if let Some(time) = value {
            query = query.param(name, time.0.clamp(0, limits::BLOCK_TIME_END_MS));
        }
    }
    query
}

/// Where a list goes on that ran out of time after the window `from..=to`: a position that sorts after all of it.
fn edge(filter: &TransactionFilter, from: u64, to: u64) -> TransactionCursor {
    let newest = filter.sort == Sort::Newest;
    let at = if newest { from } else { to };
    let transaction_index = if newest { 0 } else { u32::MAX };
    match &filter.network {
        Some(network) => TransactionCursor {
            block_timestamp: TimeMs(0),
            network: network.as_str().into(),
            block_number: at,
            transaction_index,
        },
        None => TransactionCursor {
            block_timestamp: TimeMs(at as i64),
            network: if newest { String::new() } else { "~".into() },
            block_number: if newest { 0 } else { u64::MAX },
            transaction_index,
        },
    }
}

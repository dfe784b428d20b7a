//! Failed transactions, grouped by what they called and why they failed, and those like a given one.
//!
//! Guarantee: no answer reads more than its time allows, however many transactions fail: groups are counted from the newest on, in windows
//! of time like those of lists, and the answer says how far back that went. What is nearest to a transaction is looked for in windows of
//! heights that grow from it.

use std::collections::HashMap;

use clickhouse::Row;
use schemas::{
    Network, TimeMs,
    limits::{
        self,
        causes::{GROUPS, TREND_PARTS},
    },
};
use serde::Deserialize;

use super::{
    Sort, Transaction, TransactionDetail, transactions,
    windows::{End, Looked, Windows, look},
};
use crate::{Store, StoreError};

/// Which failed transactions. All that is given must hold.
#[derive(Debug, Clone)]
pub struct FailuresFilter {
    /// Of these networks only; empty: of all.
    pub networks: Vec<Network>,
    /// Sent to this contract: lower-case hex with `0x`.
    pub contract: Option<String>,
    /// With one of these causes. Empty: whatever it is.
    pub causes: Vec<String>,
    /// Calling one of these functions: selectors, `0x` and 8 lower-case hex digits. Empty: whatever they call.
    pub methods: Vec<String>,
    /// In blocks not earlier than this …
    pub from: TimeMs,
    /// … and earlier than this.
    pub to: TimeMs,
    /// At most so many groups, the largest first; cut to [`limits::PAGE_ITEMS_MAX`].
    pub limit: u32,
}

/// Failed transactions of a time, in groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failures {
    /// The largest first.
    pub groups: Vec<FailureGroup>,
    /// How many groups there are; at least so many, where there are more than [`GROUPS`] in a part of the time.
    pub total: u64,
    /// How many transactions failed, in all groups.
    pub failed: u64,
    /// From when on they were counted: later than was asked where the time did not suffice for more.
    pub from: TimeMs,
}

/// Transactions that failed in the same call for the same cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureGroup {
    /// Slug of their network.
    pub network: String,
    /// Why they failed, one word.
    pub cause: Option<String>,
    /// Selector of the called function.
    pub method: Option<String>,
    /// Their receiver; `None`: they create contracts.
    pub contract: Option<String>,
    /// First four bytes that the failing frame gave back.
    pub error_selector: Option<String>,
    /// Signature of the called function with names, where it is known.
    pub call: Option<String>,
    /// Signature of the error with names, where it is known.
    pub error_signature: Option<String>,
    /// The newest one's sentence.
    pub reason: Option<String>,
    /// How many.
    pub count: u64,
    /// How many in each of [`TREND_PARTS`] equal parts of the time that was asked for, the oldest first.
    pub trend: Vec<u64>,
    /// Hash of the newest.
    pub example: String,
    /// Time of its block.
    pub last_at: TimeMs,
}

/// A group within one window of time.
#[derive(Debug, Clone, Row, Deserialize)]
struct Counted {
    network: String,
    cause: Option<String>,
    method: Option<String>,
    contract: Option<String>,
    error_selector: Option<String>,
    newest_call: Option<String>,
    newest_signature: Option<String>,
    newest_reason: Option<String>,
    count: u64,
    trend: Vec<u64>,
    example: String,
    last_at: TimeMs,
    /// In the first row all that failed in the window, in the others 0.
    failed: u64,
}

type Key = (String, Option<String>, Option<String>, Option<String>, Option<String>);

impl Counted {
    fn key(&self) -> Key {
        (
            self.network.clone(),
            self.cause.clone(),
            self.method.clone(),
            self.contract.clone(),
            self.error_selector.clone(),
        )
    }

    fn group(self) -> FailureGroup {
        FailureGroup {
            network: self.network,
            cause: self.cause,
            method: self.method,
            contract: self.contract,
            error_selector: self.error_selector,
            call: self.newest_call,
            error_signature: self.newest_signature,
            reason: self.newest_reason,
            count: self.count,
            trend: self.trend,
            example: self.example,
            last_at: self.last_at,
        }
    }
}

/// Adds the windows up, given from the newest to the oldest.
fn sum(windows: Vec<Counted>) -> (Vec<FailureGroup>, u64) {
    let mut groups: HashMap<Key, FailureGroup> = HashMap::new();
    let mut failed = 0;
    for counted in windows {
        failed += counted.failed;
        match groups.entry(counted.key()) {
            std::collections::hash_map::Entry::Vacant(empty) => drop(empty.insert(counted.group())),
            std::collections::hash_map::Entry::Occupied(mut group) => {
                let group = group.get_mut();
                group.count += counted.count;
                group.trend.iter_mut().zip(&counted.trend).for_each(|(all, more)| *all += more);
            }
        }
    }
    let mut groups: Vec<FailureGroup> = groups.into_values().collect();
    groups.sort_by(|a, b| b.count.cmp(&a.count).then(b.last_at.cmp(&a.last_at)).then(a.example.cmp(&b.example)));
    (groups, failed)
}

/// Width of the first window of times, in milliseconds.
const FIRST_MS: u64 = 60_000;
/// Width of the first window of heights.
const FIRST_HEIGHTS: u64 = 64;

/// The statement for one window of times. Only the *presence* of filters shapes the text; their values are parameters.
fn sql(filter: &FailuresFilter) -> String {
    let mut conditions = vec![
        "status = 'failed'",
        "block_timestamp BETWEEN fromUnixTimestamp64Milli({w_from:Int64}, 'UTC') AND fromUnixTimestamp64Milli({w_to:Int64}, 'UTC')",
    ];
    let mut add = |present: bool, condition: &'static str| {
        if present {
            conditions.push(condition);
        }
    };
    add(!filter.networks.is_empty(), "network IN {networks:Array(String)}");
    // The first has an index, the second says which of those are meant.
    add(filter.contract.is_some(), "has(contracts, {contract:String}) AND to_address = {contract:String}");
    add(!filter.causes.is_empty(), "failure_cause IN {causes:Array(String)}");
    add(!filter.methods.is_empty(), "method IN {methods:Array(String)}");
    let conditions = conditions.join(" AND ");
    format!(
        "SELECT *, if(row_number() OVER (ORDER BY count DESC) = 1, sum(count) OVER (), 0) AS failed FROM ( \
         SELECT network, failure_cause AS cause, method, to_address AS contract, error_selector, \
             tupleElement(argMax(tuple(CAST(call, 'Nullable(String)')), place), 1) AS newest_call, \
             tupleElement(argMax(tuple(error_signature), place), 1) AS newest_signature, \
             tupleElement(argMax(tuple(failure_reason), place), 1) AS newest_reason, \
             count() AS count, sumForEach(arrayMap(part -> toUInt64(part = at_part), range({TREND_PARTS}))) AS trend, \
             argMax(hash, place) AS example, max(block_timestamp) AS last_at \
         FROM (SELECT network, failure_cause, method, to_address, error_selector, call, error_signature, failure_reason, hash, \
                 block_timestamp, (block_timestamp, block_number, transaction_index) AS place, \
                 least(intDiv((toUnixTimestamp64Milli(block_timestamp) - {{from:Int64}}) * {TREND_PARTS}, {{width:Int64}}), {last}) \
                     AS at_part \
             FROM evm_transactions WHERE {conditions}) \
         GROUP BY network, failure_cause, method, to_address, error_selector) \
         ORDER BY failed DESC, count DESC LIMIT {GROUPS}",
        last = TREND_PARTS - 1
    )
}

impl Store {
    /// Failed transactions of a time in groups of equal network, cause, function, receiver and error.
    ///
    /// # Errors
    /// The store is away.
    pub async fn failures(&self, filter: &FailuresFilter) -> Result<Failures, StoreError> {
        let clamp = |at: TimeMs| at.0.clamp(0, limits::BLOCK_TIME_END_MS);
        let (from, to) = (clamp(filter.from), clamp(filter.to));
        let nothing = Failures { from: filter.from, ..Failures::default() };
        let Some((oldest, newest)) = self.time_bounds().await? else { return Ok(nothing) };
        let (low, high) = ((from as u64).max(oldest), ((to - 1).max(0) as u64).min(newest));
        if from >= to || low > high {
            return Ok(nothing);
        }
        let (sql, width) = (sql(filter), (to - from).max(1));
        let windows = Windows::new(low, high, FIRST_MS, Sort::Newest);
        let looked = look(windows, u32::MAX, self.list_time(), |(w_from, w_to), _| {
            let query = self.read_window(&sql).param("w_from", w_from).param("w_to", w_to);
            let mut query = query.param("from", from).param("width", width);
            if !filter.networks.is_empty() {
                query = query.param("networks", filter.networks.iter().map(Network::as_str).collect::<Vec<_>>());
            }
            if let Some(contract) = &filter.contract {
                query = query.param("contract", contract.as_str());
            }
            for (name, values) in [("causes", &filter.causes), ("methods", &filter.methods)] {
                if !values.is_empty() {
                    query = query.param(name, values.as_slice());
                }
            }
            self.within("counting failures", query.fetch_all::<Counted>())
        });
        let Looked { items, end } = looked.await?;
        let (mut groups, failed) = sum(items);
        let total = groups.len() as u64;
        groups.truncate(filter.limit.clamp(1, limits::PAGE_ITEMS_MAX) as usize);
        let from = match end {
            End::OutOfTime((read_from, _)) => TimeMs(read_from as i64),
            End::Full | End::Over => filter.from,
        };
        Ok(Failures { groups, total, failed, from })
    }

    /// Failed transactions like this one, without itself: of the same receiver with the same error's selector, or without one of the same
    /// cause; the nearest to it first. At most so many (cut to [`limits::PAGE_ITEMS_MAX`]), or what is found in time.
    ///
    /// # Errors
    /// The store is away.
    pub async fn similar_failures(
        &self,
        network: &Network,
        of: &TransactionDetail,
        limit: u32,
    ) -> Result<Vec<Transaction>, StoreError> {
        let t = &of.transaction;
        let limit = limit.clamp(1, limits::PAGE_ITEMS_MAX);
        let selector = of.failure.as_ref().and_then(|failure| failure.error_selector.as_deref());
        let same = match (selector, &t.failure_cause) {
            (Some(_), _) => "error_selector = {same:String}",
            (None, Some(_)) => "error_selector IS NULL AND failure_cause = {same:String}",
            (None, None) => return Ok(Vec::new()),
        };
        let same_value = selector.or(t.failure_cause.as_deref()).unwrap_or_default();
        let receiver = match &t.to_address {
            Some(_) => "has(contracts, {contract:String}) AND to_address = {contract:String}",
            None => "to_address IS NULL",
        };
        let Some((low, high)) = self.height_bounds(network.as_str()).await? else { return Ok(Vec::new()) };
        let at = t.block_number.clamp(low, high);
        let towards = |sort: Sort| {
            let (direction, windows) = match sort {
                Sort::Newest => ("DESC", Windows::new(low, at, FIRST_HEIGHTS, sort)),
                Sort::Oldest => ("ASC", Windows::new(at.saturating_add(1), high, FIRST_HEIGHTS, sort)),
            };
            let sql = format!(
                "SELECT {} FROM transactions WHERE network = {{network:String}} \
                 AND block_number BETWEEN {{w_from:UInt64}} AND {{w_to:UInt64}} AND status = 'failed' AND {receiver} AND {same} \
                 AND (block_number, transaction_index) != ({{number:UInt64}}, {{index:UInt32}}) \
                 ORDER BY block_number {direction}, transaction_index {direction} LIMIT {{limit:UInt32}}",
                transactions::COLUMNS
            );
            let time = self.list_time();
            async move {
                let step = |(from, to), missing: u32| {
                    let query = self.read_window(&sql).param("network", network.as_str()).param("limit", missing);
                    let query = query.param("w_from", from).param("w_to", to).param("same", same_value);
                    let query = query.param("number", t.block_number).param("index", t.transaction_index);
                    let query = match &t.to_address {
                        Some(contract) => query.param("contract", contract.as_str()),
                        None => query,
                    };
                    self.within("looking for similar failures", query.fetch_all::<Transaction>())
                };
                look(windows, limit, time, step).await
            }
        };
        let (before, after) = futures::future::try_join(towards(Sort::Newest), towards(Sort::Oldest)).await?;
        let mut found: Vec<Transaction> = before.items.into_iter().chain(after.items).collect();
        let apart = |other: &Transaction| {
            let blocks = other.block_number.abs_diff(t.block_number);
            (
                other.block_timestamp.0.abs_diff(t.block_timestamp.0),
                blocks,
                other.transaction_index.abs_diff(t.transaction_index),
            )
        };
        found.sort_by_key(apart);
        found.truncate(limit as usize);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(cause: &str, count: u64, last_at: i64) -> Counted {
        let mut trend = vec![0; TREND_PARTS];
        trend[(last_at % TREND_PARTS as i64) as usize] = count;
        Counted {
            network: "a".into(),
            cause: Some(cause.into()),
            method: None,
            contract: None,
            error_selector: None,
            newest_call: None,
            newest_signature: None,
            newest_reason: Some(format!("because of {last_at}")),
            count,
            trend,
            example: format!("0x{last_at}"),
            last_at: TimeMs(last_at),
            failed: 0,
        }
    }

    #[test]
    fn windows_add_up_to_groups_with_the_newest_as_example() {
        let mut windows = vec![counted("slippage", 2, 9), counted("deadline", 4, 8), counted("slippage", 3, 5)];
        // A group that has no row there is counted all the same.
        (windows[0].failed, windows[2].failed) = (7, 3);
        let (groups, failed) = sum(windows);
        assert_eq!((groups.len(), failed), (2, 10));
        assert_eq!(
            (groups[0].cause.as_deref(), groups[0].count, groups[0].example.as_str()),
            (Some("slippage"), 5, "0x9")
        );
        assert_eq!((groups[0].trend[9], groups[0].trend[5], groups[0].trend.iter().sum::<u64>()), (2, 3, 5));
        assert_eq!(groups[0].reason.as_deref(), Some("because of 9"));
        assert_eq!((groups[1].count, groups[1].last_at), (4, TimeMs(8)));
    }
}

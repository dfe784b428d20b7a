//! Windows as the store has them: rows of `window_rows`, and what they say about each other.
//!
//! Guarantee: what is read is bounded by the windows that are asked for and by the parts that they lie in, whatever the table holds. Of a
//! window the row of the highest sequence counts, of two of one sequence that which is not complete; that is found here: a `FINAL` over some
//! rows takes the engine longer to plan than all else. What `keep_windows` removed is hidden from the moment at which that is told: it is asked for
//! with every answer.

use std::collections::{BTreeMap, btree_map::Entry};

use alloy_primitives::U256;
use clickhouse::Row;
use schemas::{
    Network, TimeMs,
    records::{Mark, Partial},
    sketch::{Bins, Distinct},
};
use serde::Deserialize;

use super::{Figures, Step, heads::Heads, wire};
use crate::{Store, StoreError, StoreErrorKind};

/// Windows of a network and of one of its contracts, by their beginning.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub network: BTreeMap<i64, Window>,
    pub contract: BTreeMap<i64, Window>,
}

/// A window.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    pub partial: Partial,
    /// What it tells by itself: of one window without sketches they cannot be told from the partial.
    pub prices: (Option<U256>, Option<U256>),
    pub senders: Option<u64>,
    pub complete: bool,
    pub reason: Option<String>,
    pub sequence: u64,
}

/// Times (first included, last not) in which windows of a length begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub step: Step,
    pub from: i64,
    pub to: i64,
}

#[derive(Row, Deserialize)]
struct Line {
    window_seconds: u32,
    contract: String,
    window_start: TimeMs,
    sequence: u64,
    complete: u8,
    reason: String,
    blocks: u64,
    transactions: u64,
    failed: u64,
    unknown: u64,
    unreadable: u64,
    logs: u64,
    token_transfers: u64,
    contracts_created: u64,
    contracts_left_out: u64,
    gas_used: u64,
    #[serde(with = "wire::u256")]
    gas_limit: U256,
    #[serde(with = "wire::u256")]
    base_fee_sum: U256,
    base_fee_count: u64,
    #[serde(with = "wire::u256_option")]
    base_fee_min: Option<U256>,
    #[serde(with = "wire::u256_option")]
    base_fee_max: Option<U256>,
    #[serde(with = "wire::u256")]
    fee_total: U256,
    fee_unknown: u64,
    #[serde(with = "wire::u256")]
    value_total: U256,
    #[serde(with = "wire::u256")]
    gas_price_sum: U256,
    gas_price_count: u64,
    #[serde(with = "wire::u256_option")]
    gas_price_min: Option<U256>,
    #[serde(with = "wire::u256_option")]
    gas_price_max: Option<U256>,
    #[serde(with = "wire::u256_option")]
    gas_price_p50: Option<U256>,
    #[serde(with = "wire::u256_option")]
    gas_price_p95: Option<U256>,
    senders: Option<u64>,
    first_height: Option<u64>,
    first_time: Option<TimeMs>,
    last_height: Option<u64>,
    last_time: Option<TimeMs>,
    price_hex: Option<String>,
    sender_hex: Option<String>,
}

const COLUMNS: &str = "window_seconds, contract, window_start, sequence, complete, reason, blocks, transactions, failed, unknown, unreadable, logs, \
    token_transfers, contracts_created, contracts_left_out, gas_used, gas_limit, base_fee_sum, base_fee_count, base_fee_min, base_fee_max, fee_total, \
    fee_unknown, value_total, gas_price_sum, gas_price_count, gas_price_min, gas_price_max, gas_price_p50, gas_price_p95, senders, \
    first_height, first_time, last_height, last_time";

fn mark(height: Option<u64>, time: Option<TimeMs>) -> Option<Mark> {
    height.zip(time).map(|(height, time)| Mark { height, time })
}

impl Line {
    fn window(self) -> Window {
        // What cannot be read is not known.
        let bytes = |hex: Option<String>| const_hex::decode(hex?).ok();
        let partial = Partial {
            blocks: self.blocks,
            transactions: self.transactions,
            failed: self.failed,
            unknown: self.unknown,
            unreadable: self.unreadable,
            logs: self.logs,
            token_transfers: self.token_transfers,
            contracts_created: self.contracts_created,
            contracts_left_out: self.contracts_left_out,
            gas_used: self.gas_used,
            gas_limit: self.gas_limit,
            base_fee_sum: self.base_fee_sum,
            base_fee_count: self.base_fee_count,
            base_fee_min: self.base_fee_min,
            base_fee_max: self.base_fee_max,
            fee_total: self.fee_total,
            fee_unknown: self.fee_unknown,
            fees: None,
            value_total: self.value_total,
            gas_price_sum: self.gas_price_sum,
            gas_price_count: self.gas_price_count,
            gas_price_min: self.gas_price_min,
            gas_price_max: self.gas_price_max,
            bins: bytes(self.price_hex).and_then(|bytes| Bins::decode(&bytes).ok()),
            senders: bytes(self.sender_hex).and_then(|bytes| Distinct::decode(&bytes).ok()),
            first: mark(self.first_height, self.first_time),
            last: mark(self.last_height, self.last_time),
        };
        Window {
            partial,
            prices: (self.gas_price_p50, self.gas_price_p95),
            senders: self.senders,
            complete: self.complete != 0,
            reason: Some(self.reason).filter(|reason| !reason.is_empty()),
            sequence: self.sequence,
        }
    }
}

impl Window {
    /// Its figures, with what it tells by itself.
    pub fn figures(&self) -> Figures {
        Figures {
            gas_price_p50: self.prices.0,
            gas_price_p95: self.prices.1,
            senders: self.senders,
            ..figures(&self.partial)
        }
    }
}

/// The figures of a partial.
pub(super) fn figures(p: &Partial) -> Figures {
    Figures {
        blocks: p.blocks,
        transactions: p.transactions,
        failed: p.failed,
        unknown: p.unknown,
        unreadable: p.unreadable,
        logs: Some(p.logs),
        token_transfers: Some(p.token_transfers),
        gas_used: p.gas_used,
        gas_limit: u128::try_from(p.gas_limit).unwrap_or(u128::MAX),
        base_fee_sum: p.base_fee_sum,
        base_fee_count: p.base_fee_count,
        base_fee_min: p.base_fee_min,
        base_fee_max: p.base_fee_max,
        fee_total: p.fee_total,
        fee_unknown: p.fee_unknown,
        value_total: p.value_total,
        gas_price_sum: p.gas_price_sum,
        gas_price_count: p.gas_price_count,
        gas_price_min: p.gas_price_min,
        gas_price_max: p.gas_price_max,
        gas_price_p50: p.gas_price(500),
        gas_price_p95: p.gas_price(950),
        senders: p.senders(),
        first: p.first.map(|mark| (mark.height, mark.time)),
        last: p.last.map(|mark| (mark.height, mark.time)),
    }
}

/// A contract's name is never empty: that is the network's own.
pub(super) fn check_contract(contract: Option<&str>, doing: &'static str) -> Result<(), StoreError> {
    match contract {
        Some("") => Err(StoreError::new(StoreErrorKind::BadRequest, doing, "an empty text is no contract's address")),
        _ => Ok(()),
    }
}

impl Told {
    /// Takes a row in: of a window that is there already the one of the higher sequence stays. What was complete is given once more at the same
    /// sequence when it becomes uncertain, and parts are read in any order.
    fn take(&mut self, of_network: bool, start: i64, window: Window) {
        let windows = if of_network { &mut self.network } else { &mut self.contract };
        match windows.entry(start) {
            Entry::Vacant(vacant) => {
                vacant.insert(window);
            }
            Entry::Occupied(mut there) => {
                let before = there.get().sequence;
                if before < window.sequence || before == window.sequence && !window.complete {
                    there.insert(window);
                }
            }
        }
    }

    /// Hides what begins before.
    fn hide_before(&mut self, time: i64) {
        for windows in [&mut self.network, &mut self.contract] {
            *windows = windows.split_off(&time);
        }
    }
}

impl Store {
    /// Windows that begin in these times, by their length, and how far windows go; of the contract none that begins before the time beside it.
    /// With their sketches where those are to be merged: the contract's, or else the network's.
    pub(super) async fn told(
        &self,
        network: &Network,
        contract: Option<(&str, TimeMs)>,
        ranges: &[Range],
        sketches: bool,
    ) -> Result<(BTreeMap<Step, Told>, Heads), StoreError> {
        let lines = self.window_lines(network, contract, ranges, sketches);
        let (mut told, heads) = futures::future::try_join(lines, self.window_heads(network, contract)).await?;
        told.values_mut().for_each(|told| told.hide_before(heads.kept_from));
        Ok((told, heads))
    }

    /// The same without asking again how far they go.
    pub(super) async fn told_more(
        &self,
        network: &Network,
        contract: Option<(&str, TimeMs)>,
        ranges: &[Range],
        heads: &Heads,
    ) -> Result<BTreeMap<Step, Told>, StoreError> {
        let mut told = self.window_lines(network, contract, ranges, true).await?;
        told.values_mut().for_each(|told| told.hide_before(heads.kept_from));
        Ok(told)
    }

    async fn window_lines(
        &self,
        network: &Network,
        contract: Option<(&str, TimeMs)>,
        ranges: &[Range],
        sketches: bool,
    ) -> Result<BTreeMap<Step, Told>, StoreError> {
        if ranges.is_empty() {
            return Ok(BTreeMap::new());
        }
        // A contract's question is about its own; of the network's windows it is told only whether they are whole.
        let sketches = match (sketches, contract.is_some()) {
            (true, false) => "hex(price_sketch) AS price_hex, hex(sender_sketch) AS sender_hex",
            (true, true) => {
                "if(contract = '', NULL, hex(price_sketch)) AS price_hex, if(contract = '', NULL, hex(sender_sketch)) AS sender_hex"
            }
            (false, _) => "CAST(NULL, 'Nullable(String)') AS price_hex, CAST(NULL, 'Nullable(String)') AS sender_hex",
        };
        let whose = match contract {
            Some(_) => "contract IN ('', {contract:String})",
            None => "contract = ''",
        };
        let wanted = ranges.iter().enumerate().map(|(i, range)| {
            format!(
                "(window_seconds = {} AND window_start >= fromUnixTimestamp64Milli({{f{i}:Int64}}, 'UTC') \
                 AND window_start < fromUnixTimestamp64Milli({{t{i}:Int64}}, 'UTC'))",
                range.step.seconds()
            )
        });
        let wanted = wanted.collect::<Vec<_>>().join(" OR ");
        let sql = format!(
            "SELECT {COLUMNS}, {sketches} FROM window_rows WHERE network = {{network:String}} AND {whose} AND ({wanted})"
        );
        let mut query = self.read_few(&sql).param("network", network.as_str());
        if let Some((contract, _)) = contract {
            query = query.param("contract", contract);
        }
        for (i, range) in ranges.iter().enumerate() {
            query = query.param(&format!("f{i}"), range.from).param(&format!("t{i}"), range.to);
        }
        let lines = self.within("reading windows", query.fetch_all::<Line>()).await?;
        let mut told: BTreeMap<Step, Told> = BTreeMap::new();
        for line in lines {
            let (of_network, start) = (line.contract.is_empty(), line.window_start.0);
            let Some(step) = Step::of_seconds(line.window_seconds) else { continue };
            if of_network || contract.is_some_and(|(_, from)| from.0 <= start) {
                told.entry(step).or_default().take(of_network, start, line.window());
            }
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_window_the_row_of_the_highest_sequence_counts_in_every_order() {
        let window = |sequence| Window { sequence, ..Window::default() };
        for order in [[3, 5, 4], [5, 3, 4], [4, 3, 5], [5, 5, 3]] {
            let mut told = Told::default();
            for sequence in order {
                told.take(true, 60_000, window(sequence));
                told.take(false, 60_000, window(sequence + 1));
            }
            told.take(true, 0, window(9));
            assert_eq!((told.network[&60_000].sequence, told.contract[&60_000].sequence), (5, 6), "{order:?}");
            told.hide_before(60_000);
            assert_eq!(told.network.len(), 1, "what begins before is hidden");
        }
    }

    #[test]
    fn of_two_rows_of_one_sequence_the_uncertain_one_counts() {
        let window = |sequence, complete| Window { sequence, complete, ..Window::default() };
        let (whole, uncertain, later) = (window(5, true), window(5, false), window(6, true));
        for order in [[&whole, &uncertain], [&uncertain, &whole]] {
            let mut told = Told::default();
            order.into_iter().for_each(|row| told.take(true, 0, row.clone()));
            assert!(!told.network[&0].complete);
            told.take(true, 0, later.clone());
            assert!(told.network[&0].complete, "a later one counts");
        }
    }
}

//! Figures of steps of time that no window tells of, from the rows of blocks and transactions.
//!
//! Guarantee: a step is answered only where the ledger is full over it (rule 31): from the block before its first to the block behind its
//! last every transaction and log has its row, without a gap. Reading is bounded as that of lists is ([`super::windows`]): the newest steps come
//! first, and what the time does not suffice for is said, not left out.

use std::{collections::BTreeMap, fmt};

use alloy_primitives::U256;
use clickhouse::Row;
use schemas::{Network, TimeMs, limits::AUDIT_BUCKET_HEIGHTS};
use serde::Deserialize;

use super::{
    Bucket, Coverage, Figures, Sort,
    held::{Piece, answer},
    remembered::short,
    windows::{End, Looked, Windows, look},
    wire,
};
use crate::{Store, StoreError, StoreErrorKind};

/// Steps of equal length, some of which are to be computed.
#[derive(Debug, Clone)]
pub(super) struct Ask<'a> {
    pub network: &'a Network,
    pub contract: Option<&'a str>,
    /// Where the first step begins, milliseconds since 1970.
    pub base: i64,
    /// Length of a step, milliseconds.
    pub width: i64,
    /// Steps, the first and the last; those between are computed too.
    pub steps: (u64, u64),
    /// Whether quantiles and senders are wanted, for which every transaction is read.
    pub sketches: bool,
    /// Whether the last step may reach beyond the last block: it is whole up to there then.
    pub open: bool,
}

/// What was computed of a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Computed {
    pub figures: Figures,
    /// The last event that applied a block of it.
    pub sequence: u64,
}

/// Why a step cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Blocks around it are not all held, or rows are missing.
    NotFull,
    /// Rows of it were removed.
    Pruned(TimeMs),
    /// It would read too much.
    TooMuch,
    /// No block behind it is held.
    Open,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFull => f.write_str("not all blocks of it are held with all their rows, see completeness"),
            Self::Pruned(until) => {
                write!(f, "rows up to {} were removed by [store] keep or max_bytes", until.rfc3339())
            }
            Self::TooMuch => f.write_str("its rows are more than one question reads: ask for less time at once"),
            Self::Open => f.write_str("no later block is held yet"),
        }
    }
}

/// Blocks of a step.
#[derive(Debug, Clone, Row, Deserialize)]
struct Blocks {
    step: u64,
    s_blocks: u64,
    s_first: u64,
    s_last: u64,
    s_first_time: TimeMs,
    s_last_time: TimeMs,
    s_sequence: u64,
    s_transactions: u64,
    s_failed: u64,
    s_unknown: u64,
    s_unreadable: u64,
    s_logs: u64,
    s_transfers: u64,
    s_gas_used: u64,
    #[serde(with = "wire::u256")]
    s_gas_limit: U256,
    #[serde(with = "wire::u256")]
    s_base_fee: U256,
    s_base_fees: u64,
    #[serde(with = "wire::u256_option")]
    s_base_fee_min: Option<U256>,
    #[serde(with = "wire::u256_option")]
    s_base_fee_max: Option<U256>,
    #[serde(with = "wire::u256")]
    s_fee: U256,
    s_fee_unknown: u64,
    #[serde(with = "wire::u256")]
    s_value: U256,
    #[serde(with = "wire::u256")]
    s_price: U256,
    s_prices: u64,
    #[serde(with = "wire::u256_option")]
    s_price_min: Option<U256>,
    #[serde(with = "wire::u256_option")]
    s_price_max: Option<U256>,
}

const BLOCKS: &str = "SELECT toUInt64(intDiv(toUnixTimestamp64Milli(b.block_time) - {base:Int64}, {width:Int64})) AS step, \
    count() AS s_blocks, min(b.height) AS s_first, max(b.height) AS s_last, argMin(b.block_time, b.height) AS s_first_time, \
    argMax(b.block_time, b.height) AS s_last_time, max(intDiv(b.version, 256)) AS s_sequence, \
    sum(b.transaction_count) AS s_transactions, sum(b.failed_count) AS s_failed, sum(b.unknown_count) AS s_unknown, \
    sum(b.unreadable_count) AS s_unreadable, sum(b.log_count) AS s_logs, sum(b.token_transfer_count) AS s_transfers, \
    sum(b.receipt_gas_used) AS s_gas_used, sum(toUInt256(b.gas_limit)) AS s_gas_limit, \
    sum(ifNull(b.base_fee_per_gas, toUInt256(0))) AS s_base_fee, countIf(isNotNull(b.base_fee_per_gas)) AS s_base_fees, \
    min(b.base_fee_per_gas) AS s_base_fee_min, max(b.base_fee_per_gas) AS s_base_fee_max, sum(b.fee_total) AS s_fee, \
    sum(b.fee_unknown_count) AS s_fee_unknown, sum(b.value_total) AS s_value, sum(b.gas_price_sum) AS s_price, \
    sum(b.gas_price_count) AS s_prices, min(b.gas_price_min) AS s_price_min, max(b.gas_price_max) AS s_price_max \
    FROM block_rows AS b FINAL WHERE b.network = {network:String} \
    AND b.block_time >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND b.block_time < fromUnixTimestamp64Milli({to:Int64}, 'UTC') \
    GROUP BY step ORDER BY step DESC";

/// Transactions of a step, one by one.
#[derive(Debug, Clone, Row, Deserialize)]
struct Transactions {
    step: u64,
    s_blocks: u64,
    s_first: u64,
    s_last: u64,
    s_first_time: TimeMs,
    s_last_time: TimeMs,
    s_sequence: u64,
    s_transactions: u64,
    s_failed: u64,
    s_unknown: u64,
    s_gas_used: u64,
    #[serde(with = "wire::u256")]
    s_fee: U256,
    s_fee_unknown: u64,
    #[serde(with = "wire::u256")]
    s_value: U256,
    #[serde(with = "wire::u256")]
    s_price: U256,
    s_prices: u64,
    #[serde(with = "wire::u256_option")]
    s_price_min: Option<U256>,
    #[serde(with = "wire::u256_option")]
    s_price_max: Option<U256>,
    #[serde(with = "wire::u256_option")]
    s_price_p50: Option<U256>,
    #[serde(with = "wire::u256_option")]
    s_price_p95: Option<U256>,
    s_senders: Option<u64>,
}

/// The statement over transactions. As block summaries count: the value of what did not fail; prices of what paid gas (rule 20).
fn of_transactions(contract: bool, sketches: bool) -> String {
    let touched = if contract { " AND has(t.contracts, {contract:String})" } else { "" };
    let sketches = match sketches {
        // Ranks as those of sketches: ⌈n × q⌉.
        true => {
            "if(s_prices = 0, NULL, sorted[intDiv(s_prices * 500 + 999, 1000)]) AS s_price_p50, \
             if(s_prices = 0, NULL, sorted[intDiv(s_prices * 950 + 999, 1000)]) AS s_price_p95, \
             CAST(uniqExact(sender), 'Nullable(UInt64)') AS s_senders, arraySort(groupArrayIf(assumeNotNull(price), paid)) AS sorted"
        }
        false => {
            "CAST(NULL, 'Nullable(UInt256)') AS s_price_p50, CAST(NULL, 'Nullable(UInt256)') AS s_price_p95, \
             CAST(NULL, 'Nullable(UInt64)') AS s_senders"
        }
    };
    format!(
        "SELECT step, s_blocks, s_first, s_last, s_first_time, s_last_time, s_sequence, s_transactions, s_failed, s_unknown, s_gas_used, \
            s_fee, s_fee_unknown, s_value, s_price, s_prices, s_price_min, s_price_max, s_price_p50, s_price_p95, s_senders FROM \
         (SELECT step, uniqExact(number) AS s_blocks, min(number) AS s_first, max(number) AS s_last, argMin(time, number) AS s_first_time, \
            argMax(time, number) AS s_last_time, max(event) AS s_sequence, count() AS s_transactions, countIf(outcome = 'failed') AS s_failed, \
            countIf(outcome = 'unknown') AS s_unknown, sum(gas) AS s_gas_used, sum(ifNull(cost, toUInt256(0))) AS s_fee, \
            countIf(isNull(cost)) AS s_fee_unknown, sumIf(moved, outcome != 'failed') AS s_value, \
            sumIf(assumeNotNull(price), paid) AS s_price, countIf(paid) AS s_prices, \
            minOrNullIf(assumeNotNull(price), paid) AS s_price_min, maxOrNullIf(assumeNotNull(price), paid) AS s_price_max, {sketches} \
          FROM (SELECT toUInt64(intDiv(toUnixTimestamp64Milli(t.block_timestamp) - {{base:Int64}}, {{width:Int64}})) AS step, \
                t.block_number AS number, t.block_timestamp AS time, t.sequence AS event, t.status AS outcome, t.receipt_gas_used AS gas, \
                t.fee AS cost, t.value AS moved, t.from_address AS sender, \
                coalesce(t.receipt_effective_gas_price, if(isNull(t.max_fee_per_gas), t.gas_price, NULL)) AS price, \
                ifNull(t.execution_fee > 0, 0) AND isNotNull(price) AS paid \
            FROM evm_transactions AS t WHERE t.network = {{network:String}} \
            AND t.block_timestamp >= fromUnixTimestamp64Milli({{from:Int64}}, 'UTC') \
            AND t.block_timestamp < fromUnixTimestamp64Milli({{to:Int64}}, 'UTC'){touched}) \
          GROUP BY step) ORDER BY step DESC"
    )
}

impl Blocks {
    fn figures(&self) -> Figures {
        Figures {
            blocks: self.s_blocks,
            transactions: self.s_transactions,
            failed: self.s_failed,
            unknown: self.s_unknown,
            unreadable: self.s_unreadable,
            logs: Some(self.s_logs),
            token_transfers: Some(self.s_transfers),
            gas_used: self.s_gas_used,
            gas_limit: u128::try_from(self.s_gas_limit).unwrap_or(u128::MAX),
            base_fee_sum: self.s_base_fee,
            base_fee_count: self.s_base_fees,
            base_fee_min: self.s_base_fee_min,
            base_fee_max: self.s_base_fee_max,
            fee_total: self.s_fee,
            fee_unknown: self.s_fee_unknown,
            value_total: self.s_value,
            gas_price_sum: self.s_price,
            gas_price_count: self.s_prices,
            gas_price_min: self.s_price_min,
            gas_price_max: self.s_price_max,
            first: Some((self.s_first, self.s_first_time)),
            last: Some((self.s_last, self.s_last_time)),
            ..Figures::default()
        }
    }
}

impl Transactions {
    fn figures(&self) -> Figures {
        Figures {
            blocks: self.s_blocks,
            transactions: self.s_transactions,
            failed: self.s_failed,
            unknown: self.s_unknown,
            gas_used: self.s_gas_used,
            fee_total: self.s_fee,
            fee_unknown: self.s_fee_unknown,
            value_total: self.s_value,
            gas_price_sum: self.s_price,
            gas_price_count: self.s_prices,
            gas_price_min: self.s_price_min,
            gas_price_max: self.s_price_max,
            gas_price_p50: self.s_price_p50,
            gas_price_p95: self.s_price_p95,
            senders: self.s_senders,
            first: Some((self.s_first, self.s_first_time)),
            last: Some((self.s_last, self.s_last_time)),
            ..Figures::default()
        }
    }
}

/// What was read, by step; of steps below the first nothing was.
struct Read<T> {
    lines: BTreeMap<u64, T>,
    from: u64,
}

/// The ledger around the steps.
#[derive(Debug, Default)]
struct Around {
    /// The highest block before them, and the lowest behind them.
    before: Option<u64>,
    behind: Option<u64>,
    /// Heights that are held whole without a gap.
    full: Vec<(u64, u64)>,
    /// Rows below this height were removed, until this time.
    pruned: Option<(u64, TimeMs)>,
}

impl Around {
    /// Whether a step is whole: `first` and `last` are its own blocks, if it has any, `before` and `behind` the nearest of other steps.
    fn judge(
        &self,
        own: Option<(u64, u64)>,
        before: Option<u64>,
        behind: Option<u64>,
        open: bool,
    ) -> Result<(), Refusal> {
        let before = before.or(self.before);
        let behind = behind.or(self.behind);
        // A chain begins with block 0 or 1.
        let low = before.or(own.map(|(first, _)| first).filter(|first| *first <= 1));
        // What lies behind the last block is not known, whoever asks.
        let high = behind.or(own.map(|(_, last)| last).filter(|_| open));
        if let Some((_, until)) =
            self.pruned.filter(|(below, _)| low.or(own.map(|own| own.0)).is_none_or(|low| low < *below))
        {
            return Err(Refusal::Pruned(until));
        }
        let (Some(low), Some(high)) = (low, high) else {
            return Err(if low.is_some() { Refusal::Open } else { Refusal::NotFull });
        };
        let full = self.full.iter().any(|(from, to)| *from <= low.min(high) && high.max(low) <= *to);
        if full { Ok(()) } else { Err(Refusal::NotFull) }
    }
}

/// Marked buckets of a range that one question counts from their rows, at most.
const OPEN_BUCKETS: usize = 2;
/// Time of a first window over blocks, and over transactions, in milliseconds.
const FIRST_MS: (i64, i64) = (86_400_000, 600_000);

impl Store {
    /// Computes steps from rows: by step what it has, or why not.
    pub(super) async fn computed(&self, ask: &Ask<'_>) -> Result<BTreeMap<u64, Result<Computed, Refusal>>, StoreError> {
        let (first, last) = ask.steps;
        let around = self.around(ask).await?;
        if around.full.is_empty() {
            let refusal = around.judge(None, None, None, ask.open).err().unwrap_or(Refusal::NotFull);
            return Ok((first..=last).map(|step| (step, Err(refusal))).collect());
        }
        let singly = ask.contract.is_some() || ask.sketches;
        let of_blocks = self.read_steps::<Blocks>(ask, BLOCKS, FIRST_MS.0);
        let of_transactions = async {
            if !singly {
                return Ok(Read { lines: BTreeMap::new(), from: first });
            }
            self.read_steps::<Transactions>(ask, &of_transactions(ask.contract.is_some(), ask.sketches), FIRST_MS.1)
                .await
        };
        let (blocks, transactions) = futures::future::try_join(of_blocks, of_transactions).await?;
        let mut computed = BTreeMap::new();
        for step in first..=last {
            let own = blocks.lines.get(&step);
            // What was not read lies before what was.
            let unread = step < blocks.from || (ask.contract.is_some() && step < transactions.from);
            let before = blocks.lines.range(..step).map(|(_, b)| b.s_last).max();
            let behind = blocks.lines.range(step + 1..).map(|(_, b)| b.s_first).min();
            // The step before the first that was read is not known to be its neighbour.
            let edge = before.is_none() && blocks.from > first;
            let whole = match unread || edge {
                true => Err(Refusal::TooMuch),
                false => around.judge(own.map(|b| (b.s_first, b.s_last)), before, behind, ask.open && step == last),
            };
            computed.insert(step, whole.map(|()| put_together(ask, own, transactions.lines.get(&step))));
        }
        Ok(computed)
    }

    /// Reads lines of steps, the newest first, as far as the time suffices.
    async fn read_steps<T>(&self, ask: &Ask<'_>, sql: &str, first_ms: i64) -> Result<Read<T>, StoreError>
    where
        T: clickhouse::RowOwned + clickhouse::RowRead + Step,
    {
        let (first, last) = ask.steps;
        let width = u64::try_from(first_ms / ask.width.max(1)).unwrap_or_default();
        let looked = look(Windows::new(first, last, width, Sort::Newest), u32::MAX, self.list_time(), |(a, b), _| {
            let (from, to) = (ask.start_of(a), ask.start_of(b.saturating_add(1)));
            let query = self.read_window(sql).param("network", ask.network.as_str()).param("base", ask.base);
            let query = query.param("width", ask.width).param("from", from.max(0)).param("to", to.max(0));
            let query = match ask.contract {
                Some(contract) => query.param("contract", contract),
                None => query,
            };
            self.within("computing figures from rows", query.fetch_all::<T>())
        });
        match looked.await {
            Ok(Looked { items, end }) => {
                let from = match end {
                    End::OutOfTime((from, _)) => from,
                    End::Full | End::Over => first,
                };
                Ok(Read { lines: items.into_iter().map(|line| (line.step(), line)).collect(), from })
            }
            Err(error) if matches!(error.kind, StoreErrorKind::TooLarge | StoreErrorKind::Timeout) => {
                Ok(Read { lines: BTreeMap::new(), from: last.saturating_add(1) })
            }
            Err(error) => Err(error),
        }
    }

    /// The ledger around the steps, as far as it concerns them.
    async fn around(&self, ask: &Ask<'_>) -> Result<Around, StoreError> {
        let (from, to) = (ask.start_of(ask.steps.0), ask.start_of(ask.steps.1.saturating_add(1)));
        // In the key's order, so that the index on time leads there.
        let edge = |condition: &str, direction: &str| {
            let sql = format!(
                "SELECT height FROM block_rows WHERE network = {{network:String}} AND is_deleted = 0 AND block_time {condition} \
                 ORDER BY network {direction}, height {direction} LIMIT 1"
            );
            let query = self.read(&sql).param("network", ask.network.as_str());
            query.param("from", from.max(0)).param("to", to.max(0)).fetch_optional::<u64>()
        };
        let (at_from, at_to) =
            ("fromUnixTimestamp64Milli({from:Int64}, 'UTC')", "fromUnixTimestamp64Milli({to:Int64}, 'UTC')");
        let within = format!(">= {at_from} AND block_time < {at_to}");
        let edges = futures::future::try_join4(
            edge(&format!("< {at_from}"), "DESC"),
            edge(&format!(">= {at_to}"), "ASC"),
            edge(&within, "ASC"),
            edge(&within, "DESC"),
        );
        let (before, behind, low, high) = self.within("looking up heights by time", edges).await?;
        let pruned = self.pruned_below(ask.network).await?.map(|pruned| (pruned.below, pruned.newest_time));
        let mut around = Around { before, behind, full: Vec::new(), pruned };
        let low = [before, low, behind].into_iter().flatten().min();
        let high = [behind, high, before].into_iter().flatten().max();
        if let Some((low, high)) = low.zip(high) {
            around.full = self.full(ask.network, low, high, pruned.map_or(0, |(below, _)| below)).await?;
        }
        Ok(around)
    }

    /// Ranges of heights between two, both ends included, that are held whole. Of buckets that the sink has not counted only the newest are
    /// counted here.
    async fn full(&self, network: &Network, low: u64, high: u64, below: u64) -> Result<Vec<(u64, u64)>, StoreError> {
        let to_come = self.to_come(network).await?;
        let copied_from = to_come.map_or(0, |range| range.to_number.saturating_add(1));
        let low = low.max(below).max(copied_from);
        if low > high {
            return Ok(Vec::new());
        }
        let bucket = |height: u64| height - height % AUDIT_BUCKET_HEIGHTS;
        let (mut pieces, marked) = self.counted(network, (bucket(low), high), copied_from).await?;
        for (from, _) in marked.iter().rev().take(OPEN_BUCKETS) {
            let to = from.saturating_add(AUDIT_BUCKET_HEIGHTS - 1).min(high);
            let blocks = self.blocks_between(network, (*from).max(low), to).await?;
            let blocks: Vec<_> = blocks.into_iter().map(|block| short(block).1).collect();
            pieces.push(Piece::of(*from, Bucket::of(&blocks)));
        }
        let held = answer(pieces, Vec::new());
        let full = held.ranges.into_iter().filter(|range| range.complete && range.coverage == Coverage::Full);
        Ok(full.map(|range| (range.from_number, range.to_number)).collect())
    }
}

impl Ask<'_> {
    /// Where a step begins.
    fn start_of(&self, step: u64) -> i64 {
        self.base.saturating_add(self.width.saturating_mul(i64::try_from(step).unwrap_or(i64::MAX)))
    }
}

/// A line of a step.
trait Step {
    fn step(&self) -> u64;
}

impl Step for Blocks {
    fn step(&self) -> u64 {
        self.step
    }
}

impl Step for Transactions {
    fn step(&self) -> u64 {
        self.step
    }
}

/// A step without lines had nothing in it.
fn put_together(ask: &Ask<'_>, blocks: Option<&Blocks>, transactions: Option<&Transactions>) -> Computed {
    let sequence = blocks.map_or(0, |b| b.s_sequence).max(transactions.map_or(0, |t| t.s_sequence));
    if ask.contract.is_some() {
        let none = Figures { senders: ask.sketches.then_some(0), ..Figures::default() };
        return Computed { figures: transactions.map_or(none, Transactions::figures), sequence };
    }
    let mut figures = blocks
        .map_or_else(|| Figures { logs: Some(0), token_transfers: Some(0), ..Figures::default() }, Blocks::figures);
    if let Some(singly) = transactions {
        figures.gas_price_p50 = singly.s_price_p50;
        figures.gas_price_p95 = singly.s_price_p95;
        figures.senders = singly.s_senders;
    } else if ask.sketches && figures.transactions == 0 {
        figures.senders = Some(0);
    }
    Computed { figures, sequence }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_whole_where_the_ledger_is_full_from_the_block_before_to_the_block_behind() {
        let around = Around { before: Some(99), behind: Some(131), full: vec![(50, 109), (111, 140)], pruned: None };
        // Before, inside and behind a gap at 110.
        assert_eq!(around.judge(Some((100, 104)), None, Some(105), false), Ok(()));
        assert_eq!(around.judge(Some((105, 109)), Some(104), Some(111), false), Err(Refusal::NotFull));
        assert_eq!(around.judge(Some((111, 115)), Some(109), Some(116), false), Err(Refusal::NotFull));
        assert_eq!(around.judge(Some((116, 120)), Some(115), Some(121), false), Ok(()));
        // A step without blocks is empty where its neighbours are linked.
        assert_eq!(around.judge(None, Some(120), Some(121), false), Ok(()));
        assert_eq!(around.judge(None, Some(109), Some(111), false), Err(Refusal::NotFull));
    }

    #[test]
    fn nothing_is_whole_at_an_end_but_the_chains_own_and_a_head_that_may_be_open() {
        let mut around = Around { before: None, behind: None, full: vec![(1, 40)], pruned: None };
        assert_eq!(around.judge(Some((1, 9)), None, Some(10), false), Ok(()), "the chain's first");
        assert_eq!(around.judge(Some((30, 40)), Some(29), None, false), Err(Refusal::Open));
        assert_eq!(around.judge(Some((30, 40)), Some(29), None, true), Ok(()));
        assert_eq!(around.judge(None, Some(40), None, true), Err(Refusal::Open), "nothing came since");
        around.full = vec![(20, 40)];
        assert_eq!(
            around.judge(Some((20, 25)), None, Some(26), false),
            Err(Refusal::NotFull),
            "the first that is held"
        );
        around.pruned = Some((20, TimeMs(7)));
        assert_eq!(around.judge(Some((20, 25)), None, Some(26), false), Err(Refusal::NotFull));
        assert_eq!(around.judge(None, None, Some(20), false), Err(Refusal::Pruned(TimeMs(7))));
        let words = Refusal::Pruned(TimeMs(0)).to_string();
        assert_eq!(words, "rows up to 1970-01-01T00:00:00.000Z were removed by [store] keep or max_bytes");
    }
}

//! The ledger around steps, and whether it is full over one (rule 31).
//!
//! Bitcoin's time stamps do not rise with height, so that blocks of a step may lie among those of its neighbours, and a later one may still
//! come: a step is whole from when the median time past has reached its end (rule 15, BIP-113), and where the ledger is full for
//! [`MARGIN`] more heights on either side.

use std::fmt;

use schemas::{
    Family, Network, TimeMs,
    limits::{AUDIT_BUCKET_HEIGHTS, REORG_LIMIT_BLOCKS},
};

use super::{
    super::{
        Bucket, Coverage,
        held::{Piece, answer},
        remembered::short,
    },
    Ask,
};
use crate::{Store, StoreError};

/// Why a step cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) enum Refusal {
    /// Blocks around it are not all held, or rows are missing.
    NotFull,
    /// Rows of it were removed.
    Pruned(TimeMs),
    /// It would read too much.
    TooMuch,
    /// No block behind it is held.
    Open,
    /// On Bitcoin: the median time past, which is this, has not reached its end.
    Unsettled(TimeMs),
    /// The chain has no contracts: their rows cannot tell of one.
    NoContracts,
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
            Self::NoContracts => f.write_str(
                "the chain has no contracts, and figures of its addresses are not computed: list what one did with /txs?address=",
            ),
            Self::Unsettled(median) => {
                write!(f, "its end is not reached: the median time past is {}", median.rfc3339())
            }
        }
    }
}

/// The ledger around the steps.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// The highest block before them, and the lowest behind them.
    before: Option<u64>,
    behind: Option<u64>,
    /// Heights that are held whole without a gap.
    pub(super) full: Vec<(u64, u64)>,
    /// Rows below this height were removed, until this time.
    pruned: Option<(u64, TimeMs)>,
    /// Of a chain whose time stamps do not rise.
    unordered: Option<Unordered>,
}

/// A chain whose time stamps do not rise, as far as it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unordered {
    /// Its highest block.
    tip: u64,
    /// What no later block's time lies at or below; the beginning of time where that is not known.
    median: TimeMs,
}

/// Heights on either side of a step's blocks among which others of it may lie: a day of Bitcoin's. A block's time is later than the median of
/// the eleven before it, and no node takes one that is more than two hours ahead of its clock.
const MARGIN: u64 = 144;

impl Unordered {
    /// Heights with those on either side, as far as there are any.
    fn widened(self, low: u64, high: u64) -> (u64, u64) {
        (low.saturating_sub(MARGIN), high.saturating_add(MARGIN).min(self.tip.max(high)))
    }
}

impl Around {
    /// Whether its chain's time stamps do not rise.
    pub(super) fn is_unordered(&self) -> bool {
        self.unordered.is_some()
    }

    /// Whether no block can come any more whose time lies before this, milliseconds since 1970.
    pub(super) fn settles(&self, end: i64) -> Result<(), Refusal> {
        match self.unordered.filter(|chain| chain.median.0 < end) {
            Some(chain) => Err(Refusal::Unsettled(chain.median)),
            None => Ok(()),
        }
    }

    /// Why no step of these can be computed, whatever its rows are.
    pub(super) fn refuses(&self, of_contract: bool) -> Option<Refusal> {
        (of_contract && self.is_unordered()).then_some(Refusal::NoContracts)
    }

    /// Whether a step is whole: `first` and `last` are its own blocks, if it has any, `before` and `behind` the nearest of other steps.
    pub(super) fn judge(
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
        let (mut low, mut high) = (low.min(high), low.max(high));
        if let Some(chain) = self.unordered {
            let (first, last) = own.unwrap_or((low, high));
            (low, high) = chain.widened(low.min(first), high.max(last));
        }
        let full = self.full.iter().any(|(from, to)| *from <= low && high <= *to);
        if full { Ok(()) } else { Err(Refusal::NotFull) }
    }
}

/// Marked buckets of a range that one question counts from their rows, at most.
const OPEN_BUCKETS: usize = 2;

impl Store {
    /// The ledger around the steps, as far as it concerns them.
    pub(super) async fn around(&self, ask: &Ask<'_>) -> Result<Around, StoreError> {
        let (from, to) = (ask.start_of(ask.steps.0), ask.start_of(ask.steps.1.saturating_add(1)));
        // In the key's order, so that the index on time leads there.
        let edge = |condition: &str, direction: &str| {
            let sql = format!(
                "SELECT height, family FROM block_rows WHERE network = {{network:String}} AND is_deleted = 0 AND block_time {condition} \
                 ORDER BY network {direction}, height {direction} LIMIT 1"
            );
            let query = self.read(&sql).param("network", ask.network.as_str());
            query.param("from", from.max(0)).param("to", to.max(0)).fetch_optional::<(u64, String)>()
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
        let all = [&before, &behind, &low, &high];
        let is_bitcoin = all.into_iter().flatten().any(|(_, family)| family == Family::Bitcoin.as_str());
        let height = |edge: Option<(u64, String)>| edge.map(|(height, _)| height);
        let (before, behind, low, high) = (height(before), height(behind), height(low), height(high));
        let unordered = if is_bitcoin { self.unordered(ask.network).await? } else { None };
        let pruned = self.pruned_below(ask.network).await?.map(|pruned| (pruned.below, pruned.newest_time));
        let mut around = Around { before, behind, full: Vec::new(), pruned, unordered };
        let low = [before, low, behind].into_iter().flatten().min();
        let high = [behind, high, before].into_iter().flatten().max();
        if let Some((low, high)) = low.zip(high) {
            let (low, high) = unordered.map_or((low, high), |chain| chain.widened(low, high));
            around.full = self.full(ask.network, low, high, pruned.map_or(0, |(below, _)| below)).await?;
        }
        Ok(around)
    }

    /// The highest block of a chain whose time stamps do not rise, and its median time past. A reverted one may be told for as long as its row
    /// is being deleted.
    async fn unordered(&self, network: &Network) -> Result<Option<Unordered>, StoreError> {
        let sql = "SELECT height, ifNull(toUnixTimestamp64Milli(median_time), 0) FROM block_rows FINAL WHERE network = {network:String} \
                   AND height >= (SELECT height FROM block_rows WHERE network = {network:String} AND is_deleted = 0 \
                   ORDER BY network DESC, height DESC LIMIT 1) - {depth:UInt64} ORDER BY height DESC LIMIT 1";
        let query = self.read(sql).param("network", network.as_str()).param("depth", REORG_LIMIT_BLOCKS);
        let tip = self.within("reading the median time past", query.fetch_optional::<(u64, i64)>()).await?;
        Ok(tip.map(|(tip, median)| Unordered { tip, median: TimeMs(median) }))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_whole_where_the_ledger_is_full_from_the_block_before_to_the_block_behind() {
        let around = Around {
            before: Some(99),
            behind: Some(131),
            full: vec![(50, 109), (111, 140)],
            pruned: None,
            unordered: None,
        };
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
    fn where_time_stamps_do_not_rise_more_is_looked_at_and_the_median_decides() {
        let chain = Unordered { tip: 1_000, median: TimeMs(60_000) };
        let around = |full| Around { full: vec![full], unordered: Some(chain), ..Around::default() };
        // Blocks 500 to 505 with one of the neighbour's among them.
        let judge = |full| around(full).judge(Some((500, 505)), Some(502), Some(501), false);
        assert_eq!(judge((356, 649)), Ok(()));
        assert_eq!(judge((357, 649)), Err(Refusal::NotFull));
        assert_eq!(judge((356, 648)), Err(Refusal::NotFull));
        // Near the tip there is nothing more to be held, and near the beginning neither.
        assert_eq!(around((700, 1_000)).judge(Some((900, 990)), Some(899), Some(991), false), Ok(()));
        assert_eq!(around((0, 300)).judge(Some((20, 30)), Some(19), Some(31), false), Ok(()));
        assert_eq!(around((0, 1_000)).settles(60_000), Ok(()));
        assert!(around((0, 1_000)).is_unordered() && !Around::default().is_unordered());
        let refusal = around((0, 1_000)).settles(60_001).expect_err("a block may still come");
        assert_eq!(refusal.to_string(), "its end is not reached: the median time past is 1970-01-01T00:01:00.000Z");
        assert_eq!(around((0, 1_000)).refuses(false), None);
        assert_eq!(around((0, 1_000)).refuses(true), Some(Refusal::NoContracts), "its rows know none");
        assert_eq!(Around::default().refuses(true), None, "on other chains they do");
        assert_eq!(Around::default().settles(i64::MAX), Ok(()), "on other chains the next block decides");
    }

    #[test]
    fn nothing_is_whole_at_an_end_but_the_chains_own_and_a_head_that_may_be_open() {
        let mut around = Around { before: None, behind: None, full: vec![(1, 40)], pruned: None, unordered: None };
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

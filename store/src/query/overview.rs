//! What happened in a time, as one set of figures.

use schemas::{
    Network, TimeMs,
    limits::windows::{OVERVIEW_MS, WINDOWS_LATE_MS},
    records::Partial,
    sketch::{Bins, Distinct},
};

use super::{
    Figures, Source, Step,
    by_rows::Ask,
    heads::Heads,
    steps::{Word, reason, word},
    told::{Range, Window, check_contract, figures},
};
use crate::{Store, StoreError, StoreErrorKind};

/// Of whom, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverviewFilter {
    /// The network.
    pub network: Network,
    /// A contract of it: `0x` and 40 lower-case hex digits on EVM. `None`: the whole network.
    pub contract: Option<String>,
    /// From which beginning on windows of the contract may tell of it: that one exists tells that somebody watches it. Else it is read from rows
    /// alone.
    pub contract_windows: Option<TimeMs>,
    /// From this time on; cut down to a whole minute.
    pub from: TimeMs,
    /// Before this time; rounded up to a whole minute.
    pub to: TimeMs,
}

/// What happened in a time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    /// The first minute that is in it.
    pub from: TimeMs,
    /// The end of the last.
    pub to: TimeMs,
    /// The figures.
    pub figures: Figures,
    /// Whether all minutes that are over are in it, whole. The one at the network's head is still open, and counts with what it has; on Bitcoin
    /// so is every minute that the median time past has not reached the end of.
    pub complete: bool,
    /// What is missing, in words, where it is not complete.
    pub reason: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// The last event of the network that is in it; 0 before the first.
    pub sequence: u64,
}

const ASKING: &str = "adding up windows";
/// Up to this length minutes are added up, beyond it hours, with minutes at the ends: less to read.
const MINUTES_MS: i64 = 2 * 3_600_000;
/// Hours that are taken apart into their minutes, at most.
const HOURS_APART: usize = 26;

impl Store {
    /// What happened at a network or a contract in a time: from windows, or where those do not tell all of it from rows, if the ledger is
    /// full there.
    ///
    /// # Errors
    /// The time is empty or too long, or the store is away.
    pub async fn overview(&self, filter: &OverviewFilter) -> Result<Overview, StoreError> {
        let contract = filter.contract.as_deref();
        check_contract(contract, ASKING)?;
        let (from, to) = (Step::Minute.start(filter.from.0.max(0)), Step::Minute.ceil(filter.to.0.max(0)));
        if from >= to || to - from > OVERVIEW_MS {
            let message = "the time must be at least a minute and at most 32 days: mend `from` and `to`";
            return Err(StoreError::new(StoreErrorKind::BadRequest, ASKING, message));
        }
        let windows = contract.is_none() || filter.contract_windows.is_some();
        let (added, heads) = self.added(filter, (from, to)).await?;
        let mut overview = Overview {
            from: TimeMs(from),
            to: TimeMs(to),
            figures: added.figures(),
            complete: added.missing.is_none(),
            reason: added.missing,
            source: Source::Windows,
            sequence: added.sequence.max(heads.network.map_or(0, |(_, sequence)| sequence)),
        };
        if overview.complete && windows {
            return Ok(overview);
        }
        // Rows tell all of it or nothing: quantiles of a part and of another cannot be put together.
        let ask = Ask {
            network: &filter.network,
            contract,
            base: from,
            width: to - from,
            steps: (0, 0),
            sketches: true,
            open: true,
        };
        match self.computed(&ask).await?.remove(&0) {
            Some(Ok(computed)) => {
                overview.figures = computed.figures;
                (overview.complete, overview.reason, overview.source) = (true, None, Source::Rows);
                overview.sequence = overview.sequence.max(computed.sequence);
            }
            Some(Err(refusal)) => overview.reason = Some(reason(overview.reason.as_deref(), refusal)),
            None => {}
        }
        Ok(overview)
    }

    /// Windows of the time, added up.
    async fn added(&self, filter: &OverviewFilter, (from, to): (i64, i64)) -> Result<(Added, Heads), StoreError> {
        let contract = filter.contract.as_deref();
        let windows = contract.is_none() || filter.contract_windows.is_some();
        let whose = contract.zip(filter.contract_windows);
        if !windows {
            return Ok((Added { missing: Some("no window tells of it".into()), ..Added::default() }, Heads::default()));
        }
        let hours = (Step::Hour.ceil(from), Step::Hour.start(to));
        let apart = to - from <= MINUTES_MS || hours.0 >= hours.1;
        let (hours, edges) = match apart {
            true => ((from, from), vec![(from, to)]),
            false => (hours, [(from, hours.0), (hours.1, to)].into_iter().filter(|(a, b)| a < b).collect::<Vec<_>>()),
        };
        let of_hours = (hours.0 < hours.1).then_some(Range { step: Step::Hour, from: hours.0, to: hours.1 });
        let minutes = |(from, to): &(i64, i64)| Range { step: Step::Minute, from: *from, to: *to };
        let ranges: Vec<Range> = of_hours.into_iter().chain(edges.iter().map(minutes)).collect();
        let told = self.told(&filter.network, whose, &ranges, true);
        let ((mut told, heads), head) = futures::future::try_join(told, self.head_times(&filter.network)).await?;
        let mut of = |step| told.remove(&step).unwrap_or_default();
        let (of_hours, mut of_minutes) = (of(Step::Hour), of(Step::Minute));
        let is_contract = contract.is_some();
        let starts =
            |step: Step, (from, to): (i64, i64)| (0..(to - from) / step.ms()).map(move |i| from + i * step.ms());
        // An hour that is not whole may be whole in all minutes that are over: the one that is still open is.
        let whole = |at: &i64| word(&of_hours, &heads, is_contract, windows, *at).step(*at).complete;
        let (mut whole_hours, torn): (Vec<i64>, Vec<i64>) = starts(Step::Hour, hours).partition(whole);
        let windows_to = heads.network.map(|(at, _)| at);
        let (time, median) = head.map_or((None, None), |head| (Some(head.own.0), head.median.map(|time| time.0)));
        let reach = open_from(windows_to, time);
        let newest = unsettled_from(reach, windows_to, median);
        let take_apart: Vec<(i64, i64)> = torn.iter().map(|at| (*at, at + Step::Hour.ms())).collect();
        let mut edges = edges;
        if take_apart.len() <= HOURS_APART {
            let ranges: Vec<Range> = take_apart.iter().map(minutes).collect();
            for more in self.told_more(&filter.network, whose, &ranges, &heads).await?.into_values() {
                of_minutes.network.extend(more.network);
                of_minutes.contract.extend(more.contract);
            }
            edges.extend(take_apart);
        } else {
            whole_hours.extend(torn);
        }
        let mut added = Added::default();
        for at in whole_hours {
            added.add(&word(&of_hours, &heads, is_contract, windows, at), (at, Step::Hour), newest);
        }
        edges.sort_unstable();
        for at in edges.into_iter().flat_map(|edge| starts(Step::Minute, edge)) {
            added.add(&word(&of_minutes, &heads, is_contract, windows, at), (at, Step::Minute), newest);
        }
        if reach < from && added.missing.is_none() {
            added.missing = Some("no window tells of it".into());
        }
        Ok((added, heads))
    }
}

/// From where on what is not told by windows is not missing: the minute at the head, of windows, and where these are behind the network's
/// newest block by more than a minute and [`WINDOWS_LATE_MS`], that block's.
fn open_from(windows: Option<i64>, block: Option<i64>) -> i64 {
    match (windows, block) {
        (Some(at), Some(block)) if block >= at + Step::Minute.ms() + WINDOWS_LATE_MS => Step::Minute.start(block),
        (Some(at), _) => at,
        (None, _) => i64::MIN,
    }
}

/// The same on a chain whose time stamps do not rise: what the median time past has not reached the end of is open as well, as far as windows
/// go. Where they are behind, what they lack is missing.
fn unsettled_from(reach: i64, windows: Option<i64>, median: Option<i64>) -> i64 {
    match median {
        Some(median) if windows == Some(reach) => reach.min(Step::Minute.start(median)),
        _ => reach,
    }
}

/// Windows, added up.
#[derive(Debug, Default)]
struct Added {
    partial: Partial,
    /// The only one of them that has blocks, if it is.
    alone: Option<Window>,
    /// What the earliest that is not whole lacks.
    missing: Option<String>,
    missing_at: Option<i64>,
    sequence: u64,
}

impl Added {
    /// What is open is told without sketches: quantiles and senders are of what is over then, but where there is nothing else.
    fn take(&mut self, window: &Window, open: bool) {
        self.alone = (self.partial.blocks == 0).then(|| window.clone());
        self.sequence = self.sequence.max(window.sequence);
        if open && window.partial.bins.is_none() {
            let over = (Some(Bins::default()), Some(Distinct::default()));
            self.partial.merge(&Partial { bins: over.0, senders: over.1, ..window.partial.clone() });
        } else {
            self.partial.merge(&window.partial);
        }
    }

    fn figures(&self) -> Figures {
        self.alone.as_ref().map_or_else(|| figures(&self.partial), Window::figures)
    }

    /// Adds a step as windows tell it. What lies behind the head is not missing, and the minute at the head is still open.
    fn add(&mut self, word: &Word<'_>, (at, length): (i64, Step), newest: i64) {
        let open = at.saturating_add(length.ms()) > newest;
        if let Word::Window(window) = word {
            self.take(window, open);
        }
        let whole = match word {
            Word::Window(window) | Word::Nothing(window) => window.complete,
            Word::None(_) => false,
        };
        if whole || open || self.missing_at.is_some_and(|other| other <= at) {
            return;
        }
        let words = word.step(at).reason.unwrap_or_else(|| "it is not whole".to_owned());
        self.missing = Some(format!("from {}: {words}", TimeMs(at).rfc3339()));
        self.missing_at = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    #[test]
    fn the_earliest_that_is_missing_is_named_and_the_open_minute_is_not() {
        let one = |complete, transactions| Window {
            partial: Partial { transactions, ..Partial::default() },
            complete,
            reason: (!complete).then(|| "a gap".to_owned()),
            sequence: transactions,
            ..Window::default()
        };
        let (whole, torn) = (one(true, 2), one(false, 3));
        let newest = 180_000;
        let mut added = Added::default();
        added.add(&Word::Window(&torn), (newest, Step::Minute), newest);
        added.add(&Word::None("none"), (newest + 60_000, Step::Minute), newest);
        added.add(&Word::Window(&whole), (0, Step::Minute), newest);
        assert_eq!((added.partial.transactions, added.missing.as_deref(), added.sequence), (5, None, 3));
        added.add(&Word::None("none"), (120_000, Step::Minute), newest);
        added.add(&Word::Nothing(&torn), (60_000, Step::Minute), newest);
        assert_eq!(added.missing.as_deref(), Some("from 1970-01-01T00:01:00.000Z: a gap"));
        assert_eq!(added.partial.transactions, 5);
    }

    #[test]
    fn what_windows_lack_behind_blocks_is_missing() {
        let minute = 60_000;
        assert_eq!(open_from(Some(2 * minute), Some(2 * minute + 5_000)), 2 * minute);
        assert_eq!(open_from(Some(2 * minute), Some(3 * minute + 9_000)), 2 * minute, "they are on their way");
        assert_eq!(open_from(Some(2 * minute), Some(4 * minute + 1_000)), 4 * minute);
        assert_eq!((open_from(Some(minute), None), open_from(None, Some(minute))), (minute, i64::MIN));
        let whole = Window { complete: true, ..Window::default() };
        let newest = open_from(Some(0), Some(10 * minute));
        let mut added = Added::default();
        added.add(&Word::Window(&whole), (0, Step::Minute), newest);
        added.add(&Word::None("none"), (minute, Step::Minute), newest);
        assert_eq!(added.missing.as_deref(), Some("from 1970-01-01T00:01:00.000Z: none"));
    }

    #[test]
    fn what_the_median_time_has_not_passed_is_open_with_all_that_it_has() {
        let minute = 60_000;
        // The head's minute is the 40th; the median time past lies in the 5th.
        let newest =
            |windows, block| unsettled_from(open_from(Some(windows), Some(block)), Some(windows), Some(5 * minute + 1));
        assert_eq!(newest(40 * minute, 40 * minute + 1), 5 * minute);
        assert_eq!(newest(4 * minute, 4 * minute + 1), 4 * minute);
        // Windows that are late are missing all the same.
        assert_eq!(newest(20 * minute, 40 * minute), 40 * minute);
        assert_eq!(unsettled_from(40 * minute, Some(40 * minute), None), 40 * minute, "other chains");
        let mut bins = Bins::default();
        bins.add(U256::from(8));
        let mut senders = Distinct::default();
        senders.add(b"a script");
        let partial = Partial { blocks: 1, bins: Some(bins), senders: Some(senders), ..Partial::default() };
        let (open, whole) = (Window { partial, ..Window::default() }, Window { complete: true, ..Window::default() });
        let newest = newest(40 * minute, 40 * minute + 1);
        let mut added = Added::default();
        added.add(&Word::Window(&whole), (4 * minute, Step::Minute), newest);
        added.add(&Word::Window(&open), (5 * minute, Step::Minute), newest);
        added.add(&Word::None("none"), (6 * minute, Step::Minute), newest);
        added.add(&Word::Window(&open), (40 * minute, Step::Minute), newest);
        let figures = added.figures();
        assert_eq!((added.missing.as_deref(), figures.blocks, figures.senders), (None, 2, Some(1)));
        assert!(figures.gas_price_p50.is_some());
        added.add(&Word::None("none"), (3 * minute, Step::Minute), newest);
        assert!(added.missing.is_some(), "what it has passed is missing");
    }

    #[test]
    fn quantiles_are_of_what_is_over_and_of_what_is_open_where_there_is_nothing_else() {
        let price = |price: u64| {
            let mut bins = Bins::default();
            bins.add(U256::from(price));
            Window {
                partial: Partial { blocks: 1, transactions: 1, bins: Some(bins), ..Partial::default() },
                prices: (Some(U256::from(price)), None),
                complete: true,
                ..Window::default()
            }
        };
        let mut open = price(900);
        (open.partial.bins, open.partial.senders, open.complete) = (None, None, false);
        let newest = 60_000;
        let mut added = Added::default();
        added.add(&Word::Window(&open), (newest, Step::Minute), newest);
        assert_eq!(added.figures().gas_price_p50, Some(U256::from(900)));
        added.add(&Word::Window(&price(8)), (0, Step::Minute), newest);
        let figures = added.figures();
        assert_eq!((figures.transactions, figures.gas_price_p50, figures.senders), (2, Some(U256::from(8)), Some(0)));
        // One that is over and has none leaves them unknown.
        added.add(&Word::Window(&open), (0, Step::Minute), newest);
        assert_eq!(added.figures().gas_price_p50, None);
    }
}

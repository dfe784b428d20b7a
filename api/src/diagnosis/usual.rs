//! What is usual, and whether a figure is beyond it by more than chance.
//!
//! What is usual lies between the 5th and the 95th percentile of the day before, in windows of five minutes. A share of few transactions
//! jumps by chance alone: it stands out only if the lower end of its 99 % Wilson score interval (E. B. Wilson, 1927: the interval for a
//! share that is right for few samples and near 0 too) lies above what is usual.

use store::query::Figures;

/// Windows that what is usual is told from, at least: an hour of them.
pub const WINDOWS: usize = 12;
/// Transactions of a window whose share counts, at least.
pub const WINDOW_TRANSACTIONS: u64 = 10;
/// Transactions of the last minutes whose share is judged, at least.
pub const TRANSACTIONS: u64 = 10;
/// A share that stands out is higher than usual by this, at least.
const HIGHER: f64 = 0.02;
/// Standard deviations of a 99 % interval.
const Z: f64 = 2.576;

/// What is usual: from, to.
pub type Range = (f64, f64);

/// The middle nine tenths of what there was; `None` of fewer than [`WINDOWS`].
pub fn range(values: impl Iterator<Item = f64>) -> Option<Range> {
    let mut sorted: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    if sorted.len() < WINDOWS {
        return None;
    }
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (share * (sorted.len() - 1) as f64).round() as usize;
        sorted.get(place).copied()
    };
    Some((at(0.05)?, at(0.95)?))
}

/// The share of a part, 0 to 1; `None` of nothing.
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// What share of a window's transactions failed, where that were enough.
pub fn failure_rate(sums: &Figures) -> Option<f64> {
    (sums.transactions >= WINDOW_TRANSACTIONS).then(|| sums.failure_rate()).flatten()
}

/// What is usual of failure rates. Where windows have too few transactions each, all of them together are one figure, and what chance
/// makes of it in the last minutes is usual.
pub fn failure_rates(windows: &[Figures], transactions_now: u64) -> Option<Range> {
    if let Some(range) = range(windows.iter().filter_map(failure_rate)) {
        return Some(range);
    }
    let all =
        windows.iter().fold((0u64, 0u64), |(t, f), s| (t.saturating_add(s.transactions), f.saturating_add(s.failed)));
    let enough = windows.len() >= WINDOWS && all.0 >= WINDOW_TRANSACTIONS * WINDOWS as u64;
    let rate = share(all.1, all.0).filter(|_| enough)?;
    let by_chance = interval(rate * transactions_now as f64, transactions_now.max(1) as f64);
    Some((by_chance.0, by_chance.1))
}

/// Whether a share of the last minutes is higher than is usual.
pub fn is_high_share(part: u64, whole: u64, usual: Range) -> bool {
    let Some(share) = share(part, whole) else { return false };
    whole >= TRANSACTIONS && share >= usual.1 + HIGHER && interval(part as f64, whole as f64).0 > usual.1
}

/// Whether one share is higher than another: their intervals do not touch.
pub fn is_higher((part, whole): (u64, u64), (other, of): (u64, u64)) -> bool {
    whole >= TRANSACTIONS
        && of >= TRANSACTIONS
        && interval(part as f64, whole as f64).0 > interval(other as f64, of as f64).1
}

/// The Wilson score interval of a share.
fn interval(part: f64, whole: f64) -> Range {
    let (share, square) = (part / whole, Z * Z / whole);
    let middle = share + square / 2.0;
    let half = Z * (share * (1.0 - share) / whole + square / (4.0 * whole)).max(0.0).sqrt();
    (((middle - half) / (1.0 + square)).max(0.0), ((middle + half) / (1.0 + square)).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(transactions: u64, failed: u64) -> Figures {
        Figures { transactions, failed, ..Figures::default() }
    }

    #[test]
    fn usual_is_the_middle_of_an_hour_at_least() {
        assert_eq!(range((0..11).map(f64::from)), None);
        assert_eq!(range((0..101).map(f64::from)), Some((5.0, 95.0)));
        assert_eq!(range(std::iter::repeat_n(f64::NAN, 50)), None);
    }

    #[test]
    fn the_interval_is_wilsons() {
        // 1 of 10 at 95 % is 0.0179 to 0.4042 in the literature; at 99 % it is wider.
        let (low, high) = interval(1.0, 10.0);
        assert!((0.010..0.018).contains(&low) && (0.41..0.52).contains(&high), "{low} {high}");
        let (low, high) = interval(0.0, 1e9);
        assert!(low == 0.0 && high < 1e-8);
    }

    #[test]
    fn few_transactions_prove_nothing() {
        let usual = (0.01, 0.03);
        assert!(!is_high_share(3, 9, usual), "too few");
        assert!(!is_high_share(2, 20, usual), "chance");
        assert!(is_high_share(12, 20, usual));
        assert!(!is_high_share(310, 10_000, (0.0, 0.03)), "certain, and of no weight");
        assert!(is_higher((50, 100), (50, 1_000)) && !is_higher((5, 10), (4, 10)) && !is_higher((9, 9), (0, 100)));
    }

    #[test]
    fn quiet_contracts_are_judged_by_their_whole_day() {
        let quiet = vec![sums(3, 0); 100];
        let (_, high) = failure_rates(&quiet, 20).expect("300 transactions");
        assert!(is_high_share(18, 20, (0.0, high)) && !is_high_share(1, 20, (0.0, high)), "{high}");
        assert_eq!(failure_rates(&vec![sums(3, 0); 20], 20), None, "60 are not enough");
        assert_eq!(failure_rates(&vec![sums(100, 2); 20], 20), Some((0.02, 0.02)));
    }
}

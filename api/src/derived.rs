//! Figures that follow from sums: rates, means, shares. Pure.
//!
//! Guarantee: what there was nothing to make of is `None`, never zero; means of amounts are integers, rounded down (rule 20); shares lie
//! between 0 and 1.

use alloy_primitives::U256;

/// Digits behind the point that are given.
const PLACES: f64 = 1e6;

fn rounded(value: f64) -> f64 {
    (value * PLACES).round() / PLACES
}

/// The share of `part` in `whole`, 0 to 1; `None` of nothing.
pub fn share(part: u128, whole: u128) -> Option<f64> {
    (whole > 0).then(|| rounded((part as f64 / whole as f64).clamp(0.0, 1.0)))
}

/// So many within so many milliseconds, per second; 0 of no time.
pub fn per_second(count: u64, ms: i64) -> f64 {
    if ms <= 0 { 0.0 } else { rounded(count as f64 * 1_000.0 / ms as f64) }
}

/// A mean of amounts, rounded down; `None` of nothing.
pub fn mean(sum: U256, count: u64) -> Option<U256> {
    sum.checked_div(U256::from(count))
}

/// A height and the time of its block, milliseconds.
pub type Place = (u64, i64);

/// Mean time from one block to the next, milliseconds, rounded; `None` of fewer than two heights. Times that fall count as standing still.
pub fn interval_ms(first: Option<Place>, last: Option<Place>) -> Option<u64> {
    let ((low, from), (high, to)) = (first?, last?);
    let steps = high.checked_sub(low).filter(|steps| *steps > 0)?;
    let time = u64::try_from(to.saturating_sub(from)).unwrap_or(0);
    Some((time.saturating_add(steps / 2)) / steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_nothing_there_is_no_figure() {
        assert_eq!((share(0, 0), mean(U256::from(7), 0)), (None, None));
        assert_eq!((per_second(9, 0), per_second(9, -5)), (0.0, 0.0));
        for (first, last) in [(None, Some((1, 1))), (Some((1, 1)), None), (Some((5, 1)), Some((5, 9))), (Some((6, 1)), Some((5, 9)))]
        {
            assert_eq!(interval_ms(first, last), None, "{first:?} {last:?}");
        }
    }

    #[test]
    fn figures_are_what_they_say() {
        assert_eq!((share(1, 3), share(3, 3), share(9, 3)), (Some(0.333_333), Some(1.0), Some(1.0)));
        // The gas limits of a day of a chain with a block every quarter of a second are beyond 64 bits.
        assert_eq!(share(1 << 68, 1 << 69), Some(0.5));
        assert_eq!((per_second(90, 60_000), per_second(1, 86_400_000)), (1.5, 0.000_012));
        assert_eq!(mean(U256::from(11), 4), Some(U256::from(2)), "rounded down");
        assert_eq!(mean(U256::MAX, 1), Some(U256::MAX));
        assert_eq!(interval_ms(Some((10, 1_000)), Some((14, 49_000))), Some(12_000));
        assert_eq!(interval_ms(Some((10, 0)), Some((13, 1_000))), Some(333));
        assert_eq!(interval_ms(Some((10, 5_000)), Some((13, 1_000))), Some(0), "times may fall");
    }
}

//! Figures in words for people.

use alloy_primitives::U256;

/// A share in percent: `41 %`, `2.5 %`, `0.3 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 || percent >= 9.95 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

/// A range of shares.
pub fn percents((low, high): (f64, f64)) -> String {
    let (low, high) = (percent(low), percent(high));
    if low == high { low } else { format!("{} to {high}", low.trim_end_matches(" %")) }
}

/// Milliseconds: `400 ms`, `12 s`, `3 min`, `5 h`.
pub fn time(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{:.1} s", ms as f64 / 1e3),
        10_000..120_000 => format!("{:.0} s", ms as f64 / 1e3),
        120_000..7_200_000 => format!("{:.0} min", ms as f64 / 60e3),
        _ => format!("{:.0} h", ms as f64 / 3_600e3),
    }
}

/// A price in wei as people say it: `31.4 gwei`, `120 wei`.
pub fn price(wei: f64) -> String {
    match wei {
        wei if wei >= 1e16 => format!("{:.3} ether", wei / 1e18),
        wei if wei >= 9.95e9 => format!("{:.0} gwei", wei / 1e9),
        wei if wei >= 1e8 => format!("{:.1} gwei", wei / 1e9),
        wei if wei >= 1e5 => format!("{:.4} gwei", wei / 1e9),
        wei => format!("{wei:.0} wei"),
    }
}

/// A fee rate in satoshi per 1,000 virtual bytes as people say it: `31 sat/vB`, `2.5 sat/vB`.
pub fn fee_rate(rate: f64) -> String {
    let rate = rate / 1e3;
    if rate >= 9.95 { format!("{rate:.0} sat/vB") } else { format!("{rate:.1} sat/vB") }
}

/// An amount as a number; as near as a `f64` is.
pub fn number(amount: U256) -> f64 {
    amount.to_string().parse().unwrap_or(f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(
            ["0 %", "0.4 %", "2.5 %", "41 %", "100 %"].map(str::to_owned),
            [0.0, 0.004, 0.025, 0.41, 1.0].map(percent)
        );
        assert_eq!((percents((0.01, 0.03)), percents((0.02, 0.02))), ("1.0 to 3.0 %".to_owned(), "2.0 %".to_owned()));
        assert_eq!([400, 2_400, 12_000, 180_000, 18_000_000].map(time), ["400 ms", "2.4 s", "12 s", "3 min", "5 h"]);
        assert_eq!([120.0, 31.4e9, 7e9, 5e6].map(price), ["120 wei", "31 gwei", "7.0 gwei", "0.0050 gwei"]);
        assert_eq!([31_400.0, 2_500.0, 100.0].map(fee_rate), ["31 sat/vB", "2.5 sat/vB", "0.1 sat/vB"]);
        assert_eq!(number(U256::from(1_000u64)), 1_000.0);
    }
}

//! How far the copy is. Pure.

use std::time::Duration;

/// Rows that were copied, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Progress {
    /// Rows that are copied.
    pub done: u64,
    /// Rows of the former layout when the copy began.
    pub all: u64,
    /// Rows that this process has copied, and in which time.
    pub here: (u64, Duration),
}

impl Progress {
    /// Whole per cent; 100 only when everything is done.
    pub fn percent(&self) -> u64 {
        if self.done >= self.all {
            return 100;
        }
        ((u128::from(self.done) * 100 / u128::from(self.all)) as u64).min(99)
    }

    /// Time left at the pace of this process; `None` before there is one.
    pub fn left(&self) -> Option<Duration> {
        let (rows, took) = self.here;
        let left = self.all.saturating_sub(self.done);
        (rows > 0).then(|| took.mul_f64(left as f64 / rows as f64))
    }

    /// In words, for people.
    pub fn words(&self) -> String {
        let left = match self.left() {
            Some(left) => format!("about {} left", time(left)),
            None => "the time left is not known yet".to_owned(),
        };
        format!("{} % ({} of {} rows), {left}", self.percent(), thousands(self.done.min(self.all)), thousands(self.all))
    }
}

/// A time as people say it.
fn time(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..=90 => format!("{} s", s.max(1)),
        s @ 91..=5_400 => format!("{} min", s.div_ceil(60)),
        s => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
    }
}

fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(done: u64, all: u64, rows: u64, seconds: u64) -> Progress {
        Progress { done, all, here: (rows, Duration::from_secs(seconds)) }
    }

    #[test]
    fn per_cent_and_time_left_are_told_and_never_too_early() {
        let words = |p: Progress| p.words();
        assert_eq!(words(progress(0, 1_234_567, 0, 0)), "0 % (0 of 1,234,567 rows), the time left is not known yet");
        assert_eq!(words(progress(400, 1_000, 200, 10)), "40 % (400 of 1,000 rows), about 30 s left");
        assert_eq!(words(progress(999_999, 1_000_000, 10, 10)), "99 % (999,999 of 1,000,000 rows), about 1 s left");
        assert_eq!(words(progress(1_000, 1_000, 10, 10)), "100 % (1,000 of 1,000 rows), about 1 s left");
        // Merges make rows fewer while they are copied.
        assert_eq!(progress(1_010, 1_000, 10, 10).percent(), 100);
        assert_eq!(progress(0, 0, 0, 0).percent(), 100);
        assert_eq!(progress(u64::MAX - 1, u64::MAX, 1, 1).percent(), 99);
        let left = |seconds: u64| time(Duration::from_secs(seconds));
        assert_eq!(
            (left(90), left(91), left(5_400), left(7_260)),
            ("90 s".into(), "2 min".into(), "90 min".into(), "2 h 1 min".into())
        );
    }
}

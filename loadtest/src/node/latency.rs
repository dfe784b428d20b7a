//! How long an endpoint takes for an answer: a distribution, sampled so that the n-th request of a seed always takes the same.
//!
//! Written as `80ms`, `uniform:20ms..120ms` or `lognormal:80ms:0.5` (median, and deviation of the logarithm).

use super::dice;
use super::error::Error;
use schemas::limits::simulator::LATENCY;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A distribution of times. What it gives is at most [`LATENCY`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Latency {
    /// Always the same.
    Fixed(Duration),
    /// Evenly between both, ends included.
    Uniform { from: Duration, to: Duration },
    /// The median times e to the power of a normal number of this deviation: most answers near the median, a few much later.
    LogNormal { median: Duration, sigma: f64 },
}

impl Latency {
    /// How long request `n` of `seed` takes.
    #[must_use]
    pub fn of(&self, seed: u64, n: u64) -> Duration {
        let time = match *self {
            Self::Fixed(time) => time,
            Self::Uniform { from, to } => from + to.saturating_sub(from).mul_f64(dice::unit(seed, n)),
            Self::LogNormal { median, sigma } => {
                let seconds = median.as_secs_f64() * (sigma * dice::normal(seed, n)).exp();
                Duration::from_secs_f64(seconds.min(LATENCY.as_secs_f64()))
            }
        };
        time.min(LATENCY)
    }
}

/// A time: `250ms`, `2s`, `1.5s`; at most a day.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s')?, 1.0),
    };
    let seconds = number.parse::<f64>().ok()? * unit;
    (0.0..=86_400.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// As [`duration`] reads it.
pub(crate) struct Shown(pub Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.subsec_nanos() == 0 && !self.0.is_zero() {
            write!(f, "{}s", self.0.as_secs())
        } else {
            write!(f, "{}ms", self.0.as_secs_f64() * 1e3)
        }
    }
}

impl FromStr for Latency {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || {
            Error::Setting(format!(
                "latency {text:?}: write a time such as 80ms, uniform:20ms..120ms, or lognormal:80ms:0.5 (median, sigma)"
            ))
        };
        let (kind, rest) = text.split_once(':').unwrap_or(("fixed", text));
        match kind {
            "fixed" => Ok(Self::Fixed(duration(rest).ok_or_else(bad)?)),
            "uniform" => {
                let (from, to) = rest.split_once("..").ok_or_else(bad)?;
                let (from, to) = (duration(from).ok_or_else(bad)?, duration(to).ok_or_else(bad)?);
                if from <= to { Ok(Self::Uniform { from, to }) } else { Err(bad()) }
            }
            "lognormal" => {
                let (median, sigma) = rest.split_once(':').ok_or_else(bad)?;
                let sigma = sigma.parse().ok().filter(|sigma| (0.0..=5.0).contains(sigma)).ok_or_else(bad)?;
                Ok(Self::LogNormal { median: duration(median).ok_or_else(bad)?, sigma })
            }
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(time) => write!(f, "{}", Shown(*time)),
            Self::Uniform { from, to } => write!(f, "uniform:{}..{}", Shown(*from), Shown(*to)),
            Self::LogNormal { median, sigma } => write!(f, "lognormal:{}:{sigma}", Shown(*median)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["80ms", "2s", "0ms", "1500ms", "uniform:20ms..120ms", "lognormal:80ms:0.5"] {
            assert_eq!(text.parse::<Latency>().expect(text).to_string(), text);
        }
        for text in
            ["", "80", "-1ms", "nan", "NaNms", "uniform:5ms", "uniform:9ms..5ms", "lognormal:80ms", "normal:1ms"]
        {
            assert!(text.parse::<Latency>().is_err(), "{text}");
        }
    }

    #[test]
    fn distributions_are_what_they_say_and_follow_from_the_seed() {
        let sorted = |text: &str, seed| {
            let latency: Latency = text.parse().expect(text);
            let mut all: Vec<u128> = (0..4_000).map(|n| latency.of(seed, n).as_micros()).collect();
            assert_eq!(all, (0..4_000).map(|n| latency.of(seed, n).as_micros()).collect::<Vec<_>>());
            all.sort_unstable();
            all
        };
        assert!(sorted("80ms", 1).iter().all(|time| *time == 80_000));
        let uniform = sorted("uniform:20ms..120ms", 1);
        assert!(uniform[0] >= 20_000 && uniform[3_999] <= 120_000);
        assert!((66_000..74_000).contains(&uniform[2_000]), "{}", uniform[2_000]);
        // 84 % of a log-normal distribution lie below median times e to the sigma.
        let skewed = sorted("lognormal:80ms:0.5", 1);
        assert!((77_000..83_000).contains(&skewed[2_000]), "{}", skewed[2_000]);
        assert!((125_000..139_000).contains(&skewed[3_365]), "{}", skewed[3_365]);
        assert_ne!(skewed, sorted("lognormal:80ms:0.5", 2));
        let wild: Latency = "lognormal:10s:5".parse().expect("valid");
        assert!((0..1_000).all(|n| wild.of(1, n) <= LATENCY));
    }
}

//! What an endpoint lets through: so many calls a second, each call of a batch counted, and how it refuses the others.
//!
//! Guarantee: over any span of t seconds at most rate × t + burst calls are let through; a refused one costs nothing.
//!
//! Written as `RATE/s[+BURST][:WAY]`; ways are `after` (429 with `Retry-After`, the default), `bare` (429 without), `body[=CODE]`
//! (a JSON-RPC error inside HTTP 200, -32005 by default, EIP-1474).

use super::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How a call over the limit is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// HTTP 429 with `Retry-After` in whole seconds (RFC 9110, 10.2.3).
    After,
    /// HTTP 429 alone.
    Bare,
    /// HTTP 200 with a JSON-RPC error of this code for each call.
    Body(i64),
}

/// A limit on calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Calls a second, above 0.
    pub per_second: f64,
    /// Calls at once after a rest; at least 1.
    pub burst: u32,
    /// What happens to the others.
    pub refusal: Refusal,
}

impl FromStr for Limit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || {
            Error::Setting(format!(
                "limit {text:?}: write RATE/s[+BURST][:after|:bare|:body[=CODE]], such as 10/s:bare"
            ))
        };
        let (amount, way) = text.split_once(':').unwrap_or((text, "after"));
        let (rate, burst) = amount.split_once('+').map_or((amount, None), |(rate, burst)| (rate, Some(burst)));
        let per_second = rate.strip_suffix("/s").and_then(|rate| rate.parse::<f64>().ok());
        let per_second = per_second.filter(|rate| (1e-3..=1e6).contains(rate)).ok_or_else(bad)?;
        let burst = match burst {
            None => per_second.ceil() as u32,
            Some(burst) => burst.parse().ok().filter(|burst| *burst > 0).ok_or_else(bad)?,
        };
        let refusal = match way.split_once('=') {
            None if way == "after" => Refusal::After,
            None if way == "bare" => Refusal::Bare,
            None if way == "body" => Refusal::Body(-32_005),
            Some(("body", code)) => Refusal::Body(code.parse().map_err(|_| bad())?),
            _ => return Err(bad()),
        };
        Ok(Self { per_second, burst, refusal })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s+{}", self.per_second, self.burst)?;
        match self.refusal {
            Refusal::After => f.write_str(":after"),
            Refusal::Bare => f.write_str(":bare"),
            Refusal::Body(code) => write!(f, ":body={code}"),
        }
    }
}

/// A limit and what is left of it.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) limit: Limit,
    left: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn full(limit: Limit, now: Instant) -> Self {
        Self { limit, left: f64::from(limit.burst), at: now }
    }

    /// Lets `calls` through, or says after how long it would. More than the burst counts as the burst.
    pub(crate) fn take(&mut self, calls: usize, now: Instant) -> Result<(), Duration> {
        let burst = f64::from(self.limit.burst);
        let grown = now.saturating_duration_since(self.at).as_secs_f64() * self.limit.per_second;
        (self.left, self.at) = ((self.left + grown).min(burst), now);
        let wanted = (calls as f64).min(burst);
        if self.left >= wanted {
            self.left -= wanted;
            return Ok(());
        }
        Err(Duration::from_secs_f64((wanted - self.left) / self.limit.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (text, shown) in [
            ("10/s", "10/s+10:after"),
            ("0.5/s", "0.5/s+1:after"),
            ("3/s+20:bare", "3/s+20:bare"),
            ("10/s:body", "10/s+10:body=-32005"),
            ("10/s:body=429", "10/s+10:body=429"),
        ] {
            let limit: Limit = text.parse().expect(text);
            assert_eq!(limit.to_string(), shown);
            assert_eq!(shown.parse::<Limit>().expect(shown), limit);
        }
        for text in ["", "10", "0/s", "-1/s", "NaN/s", "10/s+0", "10/s:later", "10/s:body=x", "10/s:bare=1"] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
    }

    #[test]
    fn never_more_than_the_rate_and_the_burst_and_the_wait_is_right() {
        let begun = Instant::now();
        let mut bucket = Bucket::full("10/s+5".parse().expect("valid"), begun);
        let mut through = 0;
        for ms in 0..3_000 {
            let now = begun + Duration::from_millis(ms);
            match bucket.take(1, now) {
                Ok(()) => through += 1,
                Err(wait) => {
                    assert!(wait <= Duration::from_millis(100), "{wait:?}");
                    let early = now + wait.saturating_sub(Duration::from_millis(1));
                    let mut copy = Bucket { limit: bucket.limit, left: bucket.left, at: bucket.at };
                    assert!(wait.is_zero() || copy.take(1, early).is_err() || wait <= Duration::from_millis(1));
                    assert_eq!(copy.take(1, now + wait + Duration::from_micros(1)), Ok(()));
                }
            }
        }
        assert!((33..=35).contains(&through), "{through}");
    }

    #[test]
    fn a_batch_counts_its_calls_and_one_beyond_the_burst_empties_it() {
        let begun = Instant::now();
        let mut bucket = Bucket::full("10/s+20".parse().expect("valid"), begun);
        assert_eq!(bucket.take(15, begun), Ok(()));
        assert_eq!(bucket.take(15, begun), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(5, begun), Ok(()));
        assert_eq!(bucket.take(200, begun + Duration::from_secs(2)), Ok(()));
        assert!(bucket.take(1, begun + Duration::from_secs(2)).is_err());
    }
}

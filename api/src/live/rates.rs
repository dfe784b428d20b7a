//! Transactions per second of the trailing minute, per network, in sixty one-second buckets.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use schemas::Network;

const SECONDS: u64 = 60;

/// What passed on the live edge in the last minute.
pub struct Rates {
    started: Instant,
    buckets: Mutex<HashMap<Network, Buckets>>,
}

#[derive(Clone)]
struct Buckets {
    /// Second (since start) that each bucket counts; a bucket of another minute is stale.
    second: [u64; SECONDS as usize],
    count: [u64; SECONDS as usize],
}

impl Rates {
    /// Begins to count.
    pub fn new() -> Self {
        Self { started: Instant::now(), buckets: Mutex::default() }
    }

    /// A block with so many transactions passed.
    pub fn add(&self, network: &Network, transactions: u32) {
        self.add_at(network, transactions, self.started.elapsed());
    }

    /// Transactions per second in the last minute, or since the start if that is shorter.
    pub fn per_second(&self, network: &Network) -> f64 {
        self.per_second_at(network, self.started.elapsed())
    }

    fn add_at(&self, network: &Network, transactions: u32, at: Duration) {
        let second = at.as_secs();
        let slot = (second % SECONDS) as usize;
        let mut all = self.buckets.lock().unwrap_or_else(|e| e.into_inner());
        let buckets = all
            .entry(network.clone())
            .or_insert_with(|| Buckets { second: [u64::MAX; SECONDS as usize], count: [0; SECONDS as usize] });
        if buckets.second[slot] != second {
            buckets.second[slot] = second;
            buckets.count[slot] = 0;
        }
        buckets.count[slot] += u64::from(transactions);
    }

    fn per_second_at(&self, network: &Network, at: Duration) -> f64 {
        let now = at.as_secs();
        let all = self.buckets.lock().unwrap_or_else(|e| e.into_inner());
        let Some(buckets) = all.get(network) else { return 0.0 };
        let fresh = |second: u64| second <= now && now - second < SECONDS;
        let sum: u64 = buckets.second.iter().zip(&buckets.count).filter(|(s, _)| fresh(**s)).map(|(_, c)| c).sum();
        let span = at.as_secs_f64().clamp(1.0, SECONDS as f64);
        (sum as f64 / span * 100.0).round() / 100.0
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_a_minute() {
        let rates = Rates::new();
        let n: Network = "a".parse().expect("slug");
        let s = Duration::from_secs;
        assert_eq!(rates.per_second_at(&n, s(5)), 0.0);
        rates.add_at(&n, 100, s(10));
        assert_eq!(rates.per_second_at(&n, s(10)), 10.0, "since the start, while that is shorter");
        rates.add_at(&n, 500, s(65));
        assert_eq!(rates.per_second_at(&n, s(65)), 10.0, "600 in the last 60 s");
        assert_eq!(rates.per_second_at(&n, s(72)), 8.33, "the first hundred is gone");
        assert_eq!(rates.per_second_at(&n, s(200)), 0.0);
        rates.add_at(&n, 60, s(190));
        rates.add_at(&n, 60, s(250));
        assert_eq!(rates.per_second_at(&n, s(250)), 1.0, "a bucket is used again in the next minute");
    }
}

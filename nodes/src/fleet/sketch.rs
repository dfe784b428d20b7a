//! Quantiles of latencies in little room: an integer map from logarithmic buckets to counts (DDSketch), merged by adding.
//!
//! Guarantee: a quantile is within 2.5 % of the value at that rank; equal in every order of adding and merging. From 1 ms to an
//! hour there are at most 310 buckets, of which a healthy endpoint fills a few dozen.

use std::{collections::BTreeMap, time::Duration};

/// The ratio of two neighbouring buckets: 2.5 % to either side of a bucket's middle.
const RATIO: f64 = 1.05;

/// Counts of latencies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    buckets: BTreeMap<u16, u32>,
    count: u64,
}

impl Sketch {
    /// Adds a latency.
    pub fn add(&mut self, latency: Duration) {
        let ms = (latency.as_secs_f64() * 1e3).clamp(1.0, 3_600_000.0);
        *self.buckets.entry((ms.ln() / RATIO.ln()).round() as u16).or_default() += 1;
        self.count += 1;
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, n) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += n;
        }
        self.count += other.count;
    }

    /// How many were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The latency at a rank, 0 the least and 1 the largest; `None` of nothing.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let rank = (q.clamp(0.0, 1.0) * self.count.saturating_sub(1) as f64).round() as u64;
        let mut below = 0;
        self.buckets.iter().find_map(|(bucket, n)| {
            below += u64::from(*n);
            (below > rank).then(|| Duration::from_secs_f64(RATIO.powi(i32::from(*bucket)) / 1e3))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Sketch::default().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn a_quantile_is_near_the_value_of_its_rank(mut ms in prop::collection::vec(1u64..60_000, 1..200), q in 0.0f64..=1.0) {
            let mut sketch = Sketch::default();
            for v in &ms {
                sketch.add(Duration::from_millis(*v));
            }
            ms.sort_unstable();
            let exact = ms[(q * (ms.len() - 1) as f64).round() as usize] as f64;
            let found = sketch.quantile(q).expect("not empty").as_secs_f64() * 1e3;
            prop_assert!((found / exact - 1.0).abs() < 0.026, "{} for {}", found, exact);
        }

        #[test]
        fn the_order_of_merging_does_not_matter(ms in prop::collection::vec(1u64..60_000, 0..60), cut in 0usize..60) {
            let all = |part: &[u64]| {
                let mut s = Sketch::default();
                part.iter().for_each(|v| s.add(Duration::from_millis(*v)));
                s
            };
            let (a, b) = ms.split_at(cut.min(ms.len()));
            let (mut ab, mut ba) = (all(a), all(b));
            ab.merge(&all(b));
            ba.merge(&all(a));
            prop_assert_eq!(&ab, &ba);
            prop_assert_eq!(ab, all(&ms));
        }
    }
}

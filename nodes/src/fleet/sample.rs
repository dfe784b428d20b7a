//! What is written down of calls: at most one record a second and method, and sums of every minute over all calls.
//!
//! Guarantee: a minute's sum counts every call that ended in it, sampled or not, once; its quantiles are of all successful ones.
//! Pure: no clock, no I/O.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use schemas::{
    TimeMs, limits,
    records::{MinuteSample, Outcome, Usage},
};

use super::{clock::Moment, sketch::Sketch};

/// Between two records of calls of one method.
const EVERY: Duration = Duration::from_secs(1);
const MINUTE_MS: i64 = 60_000;

/// A call that ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes of the answer.
    pub bytes: u64,
}

/// The sums of one endpoint, by method.
#[derive(Debug, Default)]
pub struct Sampler {
    methods: BTreeMap<&'static str, Method>,
}

#[derive(Debug, Default)]
struct Method {
    sampled: Option<Moment>,
    began: TimeMs,
    calls: u64,
    failures: u64,
    latencies: Sketch,
    bytes: u64,
}

impl Method {
    fn take(&mut self, name: &str) -> (TimeMs, MinuteSample) {
        let ms = |q: f64, s: &Sketch| s.quantile(q).map(|d| d.as_millis() as u64);
        let sum = MinuteSample {
            method: name.to_owned(),
            calls: self.calls,
            failures: self.failures,
            latency_p50_ms: ms(0.5, &self.latencies),
            latency_p95_ms: ms(0.95, &self.latencies),
            bytes: self.bytes,
        };
        let began = self.began;
        *self = Self { sampled: self.sampled, ..Self::default() };
        (began, sum)
    }
}

impl Sampler {
    /// Takes a call in. Gives the sum of a former minute where this is the first call of another one, and whether the call is to
    /// be written down itself.
    pub fn call(
        &mut self,
        method: &'static str,
        ended: Ended,
        now: Moment,
        at: TimeMs,
    ) -> (Option<(TimeMs, MinuteSample)>, bool) {
        let m = self.methods.entry(method).or_default();
        let other = m.calls > 0 && m.began.0.div_euclid(MINUTE_MS) != at.0.div_euclid(MINUTE_MS);
        let former = other.then(|| m.take(method));
        if m.calls == 0 {
            m.began = at;
        }
        m.calls += 1;
        m.bytes += ended.bytes;
        match ended.outcome {
            Outcome::Ok => m.latencies.add(ended.took),
            _ => m.failures += 1,
        }
        let sample = m.sampled.is_none_or(|last| now.saturating_sub(last) >= EVERY);
        if sample {
            m.sampled = Some(now);
        }
        (former, sample)
    }

    /// The sums of minutes that are over.
    pub fn minutes(&mut self, at: TimeMs) -> Vec<(TimeMs, MinuteSample)> {
        let minute = at.0.div_euclid(MINUTE_MS);
        let over = self.methods.iter_mut().filter(|(_, m)| m.calls > 0 && m.began.0.div_euclid(MINUTE_MS) < minute);
        over.map(|(name, m)| m.take(name)).collect()
    }

    /// Everything that was not given yet, at the end.
    pub fn rest(&mut self) -> Vec<(TimeMs, MinuteSample)> {
        self.methods.iter_mut().filter(|(_, m)| m.calls > 0).map(|(name, m)| m.take(name)).collect()
    }
}

/// Calls, bytes and blocks of the last hour.
#[derive(Debug, Default)]
pub struct Hour {
    minutes: VecDeque<(u64, Usage)>,
}

impl Hour {
    /// Adds to the present minute.
    pub fn add(&mut self, now: Moment, calls: u64, bytes: u64, blocks: u64) {
        let minute = now.as_secs() / 60;
        if self.minutes.back().is_none_or(|(m, _)| *m < minute) {
            self.minutes.push_back((minute, Usage::default()));
        }
        while self.minutes.front().is_some_and(|(m, _)| m + 60 <= minute) {
            self.minutes.pop_front();
        }
        if let Some((_, usage)) = self.minutes.back_mut() {
            usage.hour_calls += calls;
            usage.hour_bytes += bytes;
            usage.hour_blocks += blocks;
        }
    }

    /// The sums; nothing of the day in them.
    pub fn sum(&self, now: Moment) -> Usage {
        let minute = now.as_secs() / 60;
        let within = self.minutes.iter().filter(|(m, _)| m + 60 > minute);
        within.fold(Usage::default(), |a, (_, b)| Usage {
            hour_calls: a.hour_calls + b.hour_calls,
            hour_bytes: a.hour_bytes + b.hour_bytes,
            hour_blocks: a.hour_blocks + b.hour_blocks,
            ..a
        })
    }
}

/// A text that fits a sample.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(limits::SAMPLE_TEXT_CHARACTERS - 1) {
        Some((end, _)) if text.len() > end => format!("{}…", &text[..end]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ended(ms: u64, outcome: Outcome) -> Ended {
        Ended { took: Duration::from_millis(ms), outcome, bytes: 10 }
    }

    #[test]
    fn one_record_a_second_and_method_while_sums_count_all() {
        let mut sampler = Sampler::default();
        let mut written = 0;
        for n in 0..300u64 {
            let (now, at) = (Duration::from_millis(n * 100), TimeMs(n as i64 * 100));
            for method in ["a", "b"] {
                let (former, sample) = sampler.call(method, ended(100, Outcome::Ok), now, at);
                assert!(former.is_none());
                written += u32::from(sample);
            }
        }
        assert_eq!(written, 60);
        sampler.call("a", ended(9_000, Outcome::Failing), Duration::from_secs(30), TimeMs(59_999));
        assert!(sampler.minutes(TimeMs(59_999)).is_empty(), "it is not over");
        let sums = sampler.minutes(TimeMs(60_000));
        assert_eq!(sums.len(), 2);
        let (began, a) = &sums[0];
        assert_eq!((began.0, a.calls, a.failures, a.bytes), (0, 301, 1, 3_010));
        assert!(a.latency_p95_ms.is_some_and(|p| (97..=103).contains(&p)), "failures are no latency: {a:?}");
        assert!(sampler.rest().is_empty());
    }

    #[test]
    fn long_texts_are_cut_at_characters() {
        let long = "ä".repeat(5_000);
        assert_eq!(cut(&long).chars().count(), limits::SAMPLE_TEXT_CHARACTERS);
        assert_eq!(cut("short"), "short");
    }

    #[test]
    fn an_hour_is_looked_back_on() {
        let mut hour = Hour::default();
        hour.add(Duration::ZERO, 5, 50, 1);
        hour.add(Duration::from_secs(3_599), 1, 10, 1);
        assert_eq!(hour.sum(Duration::from_secs(3_599)).hour_calls, 6);
        assert_eq!(hour.sum(Duration::from_secs(3_600)).hour_calls, 1);
        hour.add(Duration::from_secs(9_999), 1, 10, 0);
        assert_eq!(hour.minutes.len(), 1);
    }

    proptest! {
        #[test]
        fn every_call_is_counted_once(steps in prop::collection::vec((0i64..40_000, any::<bool>(), any::<bool>()), 1..200)) {
            let (mut sampler, mut at, mut sums, mut failed) = (Sampler::default(), 0, Vec::new(), 0u64);
            for (wait, good, timer) in &steps {
                at += wait;
                let outcome = if *good { Outcome::Ok } else { Outcome::Empty };
                failed += u64::from(!good);
                sums.extend(sampler.call("a", ended(5, outcome), Duration::from_millis(at as u64), TimeMs(at)).0);
                if *timer { sums.extend(sampler.minutes(TimeMs(at))); }
            }
            sums.extend(sampler.rest());
            prop_assert_eq!(sums.iter().map(|(_, s)| s.calls).sum::<u64>(), steps.len() as u64);
            prop_assert_eq!(sums.iter().map(|(_, s)| s.failures).sum::<u64>(), failed);
            let minutes: std::collections::BTreeSet<i64> = sums.iter().map(|(b, _)| b.0 / MINUTE_MS).collect();
            prop_assert_eq!(minutes.len(), sums.len(), "one sum a minute");
        }
    }
}

//! Plays endpoints that count requests in several ways against a pace, with a clock of its own.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use super::{clock::Moment, config::Role, pace::Pace};

/// How an endpoint counts.
#[derive(Debug, Clone, Copy)]
enum Counting {
    /// So many in each second of the clock.
    Windows,
    /// So many in any second.
    Sliding,
    /// A bucket of that size that is filled at that rate.
    Bucket,
}

#[derive(Debug)]
struct Endpoint {
    counting: Counting,
    limit: f64,
    names_wait: bool,
    taken: Vec<Moment>,
    tokens: f64,
    filled: Moment,
}

impl Endpoint {
    fn new(counting: Counting, limit: f64, names_wait: bool) -> Self {
        Self { counting, limit, names_wait, taken: Vec::new(), tokens: limit, filled: Duration::ZERO }
    }

    fn lets_through(&mut self, now: Moment) -> Result<(), Option<Duration>> {
        let second = Duration::from_secs(1);
        self.taken.retain(|t| now - *t < second);
        let full = match self.counting {
            Counting::Windows => {
                self.taken.iter().filter(|t| t.as_secs() == now.as_secs()).count() as f64 + 1.0 > self.limit
            }
            Counting::Sliding => self.taken.len() as f64 + 1.0 > self.limit,
            Counting::Bucket => {
                self.tokens = (self.tokens + (now - self.filled).as_secs_f64() * self.limit).min(self.limit);
                self.filled = now;
                let full = self.tokens < 1.0;
                self.tokens -= if full { 0.0 } else { 1.0 };
                full
            }
        };
        if full {
            return Err(self.names_wait.then_some(second));
        }
        self.taken.push(now);
        Ok(())
    }
}

/// Requests that were let through, and refused.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    good: u32,
    refused: u32,
}

impl Tally {
    fn share_refused(self) -> f64 {
        f64::from(self.refused) / f64::from((self.good + self.refused).max(1))
    }
}

/// Somebody wants `demand` requests a second from `from` to `to` and has at most 30 under way; each takes `latency`.
fn play(
    pace: &mut Pace,
    endpoint: &mut Endpoint,
    from: u64,
    to: u64,
    demand: f64,
    latency: impl Fn(u64) -> u64,
) -> Tally {
    let (mut now, end) = (Duration::from_secs(from), Duration::from_secs(to));
    let (mut wanted, mut tally, mut sent) = (0.0, Tally::default(), 0u64);
    let mut under_way: BinaryHeap<Reverse<(Moment, Moment, bool, Option<Duration>)>> = BinaryHeap::new();
    let tick = Duration::from_millis(5);
    while now < end {
        while let Some(Reverse((ends, began, good, wait))) = under_way.peek().copied().filter(|r| r.0.0 <= now) {
            under_way.pop();
            if good {
                tally.good += 1;
                pace.accepted(ends, 1);
            } else {
                tally.refused += 1;
                pace.refused(began, ends, wait);
            }
        }
        wanted = (wanted + demand * tick.as_secs_f64()).min(100.0);
        while wanted >= 1.0 && under_way.len() < 30 && pace.take(Role::Stream, now).is_ok() {
            wanted -= 1.0;
            sent += 1;
            let outcome = endpoint.lets_through(now);
            let ends = now + Duration::from_millis(latency(sent));
            under_way.push(Reverse((ends, now, outcome.is_ok(), outcome.err().flatten())));
        }
        now += tick;
    }
    tally
}

fn latency(n: u64) -> u64 {
    40 + n * 7_919 % 160
}

fn endpoints() -> Vec<(Counting, bool)> {
    let all = [Counting::Windows, Counting::Sliding, Counting::Bucket];
    all.into_iter().flat_map(|c| [(c, false), (c, true)]).collect()
}

#[test]
fn a_limit_is_found_out_and_found_out_again_when_it_changes() {
    for (counting, names_wait) in endpoints() {
        let (mut pace, mut endpoint) = (Pace::new(None), Endpoint::new(counting, 10.0, names_wait));
        let first = play(&mut pace, &mut endpoint, 0, 60, 50.0, latency);
        let learned = play(&mut pace, &mut endpoint, 60, 660, 50.0, latency);
        let rate = f64::from(learned.good) / 600.0;
        println!(
            "{counting:?} {names_wait}: first {first:?}, then {rate}/s, {:.2} % refused, pace {:?}",
            learned.share_refused() * 100.0,
            pace.rate()
        );
        assert!((8.0..=10.0).contains(&rate), "{counting:?}: {rate} a second");
        assert!(learned.share_refused() < 0.01, "{counting:?}: {learned:?}");
        endpoint.limit = 3.0;
        let change = play(&mut pace, &mut endpoint, 660, 720, 50.0, latency);
        let learned = play(&mut pace, &mut endpoint, 720, 1_320, 50.0, latency);
        let rate = f64::from(learned.good) / 600.0;
        println!("   change {change:?}, then {rate}/s, {:.2} % refused", learned.share_refused() * 100.0);
        assert!((2.4..=3.0).contains(&rate), "{counting:?}: {rate} a second");
        assert!(learned.share_refused() < 0.01, "{counting:?}: {learned:?}");
        endpoint.limit = 30.0;
        play(&mut pace, &mut endpoint, 1_320, 3_000, 50.0, latency);
        let more = play(&mut pace, &mut endpoint, 3_000, 3_060, 50.0, latency);
        println!("   more {more:?}");
        assert!(more.good > 24 * 60 && more.share_refused() < 0.02, "{counting:?}: more is found out too: {more:?}");
    }
}

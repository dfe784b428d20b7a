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

/// A request under way: when it ends and began, whether it is let through, and else the wait that is named.
type Way = (Moment, Moment, bool, Option<Duration>);

/// Somebody wants `demand` requests a second from `from` to `to` and has at most 30 under way; a refusal takes `refusal_ms`.
fn play(pace: &mut Pace, endpoint: &mut Endpoint, from: u64, to: u64, demand: f64, refusal_ms: u64) -> Tally {
    let (mut now, end) = (Duration::from_secs(from), Duration::from_secs(to));
    // They all come at once at first.
    let (mut wanted, mut tally, mut sent) = (if from == 0 { 40.0 } else { 0.0 }, Tally::default(), 0u64);
    let mut under_way: BinaryHeap<Reverse<Way>> = BinaryHeap::new();
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
            let takes = if outcome.is_ok() { latency(sent) } else { refusal_ms };
            let ends = now + Duration::from_millis(takes);
            under_way.push(Reverse((ends, now, outcome.is_ok(), outcome.err().flatten())));
        }
        now += tick;
    }
    tally
}

fn latency(n: u64) -> u64 {
    40 + n * 7_919 % 160
}

fn endpoints() -> impl Iterator<Item = (Counting, bool, u64)> {
    let all = [Counting::Windows, Counting::Sliding, Counting::Bucket];
    all.into_iter().flat_map(|c| [(c, false, 5), (c, true, 100), (c, true, 300)])
}

#[test]
fn a_limit_is_found_out_and_found_out_again_when_it_changes() {
    for (counting, names_wait, refusal_ms) in endpoints() {
        let (mut pace, mut endpoint) = (Pace::new(None), Endpoint::new(counting, 10.0, names_wait));
        let mut play = |endpoint: &mut Endpoint, from, to| play(&mut pace, endpoint, from, to, 50.0, refusal_ms);
        let within = |tally: Tally, secs: u32, least: f64, most: f64| {
            let rate = f64::from(tally.good) / f64::from(secs);
            assert!((least..=most).contains(&rate), "{counting:?}: {rate} a second");
            assert!(tally.share_refused() < 0.01, "{counting:?}: {tally:?}");
        };
        play(&mut endpoint, 0, 60);
        within(play(&mut endpoint, 60, 660), 600, 8.0, 10.0);
        endpoint.limit = 3.0;
        play(&mut endpoint, 660, 720);
        within(play(&mut endpoint, 720, 1_320), 600, 2.4, 3.0);
        // More is found out too, at leisure.
        endpoint.limit = 30.0;
        play(&mut endpoint, 1_320, 3_000);
        within(play(&mut endpoint, 3_000, 3_600), 600, 24.0, 30.0);
    }
}

#[test]
fn a_configured_limit_is_never_passed_and_a_lower_one_is_found_out() {
    let (mut pace, mut endpoint) = (Pace::new(Some(10.0)), Endpoint::new(Counting::Sliding, 10.0, false));
    let tally = play(&mut pace, &mut endpoint, 0, 600, 50.0, 100);
    assert_eq!(tally.refused, 0);
    assert!(tally.good > 9 * 600, "{tally:?}");
    endpoint.limit = 5.0;
    play(&mut pace, &mut endpoint, 600, 660, 50.0, 100);
    let tally = play(&mut pace, &mut endpoint, 660, 1_260, 50.0, 100);
    assert!(tally.good > 4 * 600 && tally.share_refused() < 0.01, "{tally:?}");
    endpoint.limit = 100.0;
    play(&mut pace, &mut endpoint, 1_260, 3_000, 50.0, 100);
    assert!(pace.rate().is_some_and(|r| r <= 10.0), "{:?}", pace.rate());
}

#[test]
fn nothing_goes_before_the_wait_is_over_and_one_refusal_counts_once() {
    let mut pace = Pace::new(None);
    let s = Duration::from_secs;
    assert_eq!(pace.take(Role::Stream, s(1)), Ok(()));
    (0..50).for_each(|_| pace.accepted(s(1), 1));
    pace.refused(s(1), s(2), Some(s(7)));
    let rate = pace.rate();
    // What was sent before says nothing about the new rate.
    (0..20).for_each(|_| pace.refused(s(1), s(2), None));
    assert_eq!((pace.rate(), rate.is_some()), (rate, true));
    assert_eq!(pace.take(Role::Stream, s(8)), Err(s(1)));
    assert_eq!(pace.take(Role::Stream, s(9)), Ok(()));
}

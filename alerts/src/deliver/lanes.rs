//! A lane for each credential: how many attempts at once and how fast, how long a service wants to be left alone, and a breaker.
//!
//! Guarantee: pure. What one destination does holds up no other. After [`BREAK_AFTER`] failures in a row a destination is asked by one attempt
//! at a time, with a pause in between that grows up to a minute; what waits for it uses up no attempts meanwhile. Whoever is parked is woken by a
//! free place, the oldest first, and nobody else with it; who was woken and did not come is replaced by [`Lanes::stuck`]. Destinations that failed
//! twice in a row have a quarter of all places together, those of one tenant a quarter of these; where they are all taken, whoever was tried
//! longest ago has the next one.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use conditions::ChannelKind;
use schemas::{TimeMs, limits::alerts as limits};

use super::{channels::Verdict, queue::Key};

/// Failures in a row after which a breaker opens.
pub const BREAK_AFTER: u32 = 5;
/// The first pause of a breaker; each further one is twice as long …
pub const BREAK_FIRST: Duration = Duration::from_secs(5);
/// … up to so many times the first one.
const BREAK_MOST: u32 = 12;
/// Failures in a row after which a destination is one that fails: once is anybody's lot.
const FAILS_AFTER: u32 = 2;
/// Attempts at the same time to all destinations that fail: the places of the others are not theirs.
const FAILING_AT_ONCE: usize = limits::ATTEMPTS_AT_ONCE.0 / 4;
/// … and to those of one tenant.
const FAILING_OF_TENANT: usize = FAILING_AT_ONCE / 4;
/// Lanes that are remembered though nothing goes on in them.
const IDLE_LANES: usize = 10_000;

/// What a lane is known by: a digest of the credential, never the credential itself.
pub type Credential = Arc<str>;

/// How fast a type of channel may be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Attempts at the same time.
    pub at_once: usize,
    /// Between two of them.
    pub every: Duration,
}

impl Pace {
    /// Of a type, as its service documents it, or a little slower. Discord tells by headers.
    pub fn of(kind: ChannelKind) -> Self {
        let (at_once, ms) = match kind {
            ChannelKind::Slack | ChannelKind::Telegram => (1, 1_050),
            ChannelKind::Pagerduty => (1, 500),
            ChannelKind::Discord | ChannelKind::Email => (1, 0),
            ChannelKind::Script => (2, 0),
            ChannelKind::Webhook | ChannelKind::Alertmanager => (limits::ATTEMPTS_AT_ONCE.1, 0),
        };
        Self { at_once, every: Duration::from_millis(ms) }
    }
}

/// Whether an attempt may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It may; [`Lanes::ended`] must follow.
    Go,
    /// Not before then.
    Wait(TimeMs),
    /// When another one has ended; the lane remembers it.
    Parked,
}

#[derive(Debug)]
struct Lane {
    tenant: Arc<str>,
    flying: usize,
    /// So many of them began while it failed.
    failing: usize,
    /// Attempts at the same time, as the type of channel has it.
    at_once: usize,
    /// Of one tenant all of them: by age.
    parked: BTreeSet<Key>,
    /// Not before this: the service's word, the pace, or the breaker's.
    not_before: TimeMs,
    failures: u32,
    /// Until when the breaker is open.
    open_until: TimeMs,
    /// When it was last tried.
    tried: TimeMs,
}

impl Lane {
    fn free(&self) -> usize {
        let at_once = if self.failures >= BREAK_AFTER { 1 } else { self.at_once };
        at_once.saturating_sub(self.flying)
    }

    fn fails(&self) -> bool {
        self.failures >= FAILS_AFTER
    }

    /// As many of those who still wait as have a place.
    fn wake(&mut self, waits: impl Fn(&Key) -> bool) -> Vec<Key> {
        let free = self.free();
        std::iter::from_fn(|| self.parked.pop_first()).filter(|key| waits(key)).take(free).collect()
    }
}

/// Attempts under way to destinations that fail.
#[derive(Debug, Default)]
struct Failing {
    all: usize,
    of_tenant: HashMap<Arc<str>, usize>,
}

impl Failing {
    fn is_full(&self, tenant: &str) -> bool {
        let of_tenant = self.of_tenant.get(tenant).copied().unwrap_or(0);
        self.all >= FAILING_AT_ONCE || of_tenant >= FAILING_OF_TENANT
    }

    fn begins(&mut self, tenant: &Arc<str>) {
        self.all += 1;
        *self.of_tenant.entry(tenant.clone()).or_default() += 1;
    }

    fn ends(&mut self, tenant: &str) {
        self.all = self.all.saturating_sub(1);
        if let Some(count) = self.of_tenant.get_mut(tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of_tenant.remove(tenant);
            }
        }
    }
}

/// All lanes.
#[derive(Debug)]
pub struct Lanes {
    lanes: HashMap<Credential, Lane>,
    failing: Failing,
    pause: Duration,
}

impl Lanes {
    /// With this first pause of a breaker.
    pub fn new(pause: Duration) -> Self {
        Self { lanes: HashMap::new(), failing: Failing::default(), pause }
    }

    /// Asks for an attempt's turn.
    pub fn ask(&mut self, credential: &Credential, key: &Key, pace: Pace, now: TimeMs) -> Turn {
        let lane = self.lanes.entry(credential.clone()).or_insert_with(|| Lane {
            tenant: key.as_str().split_once('/').map_or("", |(tenant, _)| tenant).into(),
            flying: 0,
            failing: 0,
            at_once: pace.at_once,
            parked: BTreeSet::new(),
            not_before: now,
            failures: 0,
            open_until: now,
            tried: now,
        });
        let fails = lane.fails();
        if lane.free() == 0 || (fails && self.failing.is_full(&lane.tenant)) {
            lane.parked.insert(key.clone());
            return Turn::Parked;
        }
        lane.parked.remove(key);
        let not_before = lane.not_before.max(lane.open_until);
        if now < not_before {
            return Turn::Wait(not_before);
        }
        lane.flying += 1;
        lane.tried = now;
        if fails {
            lane.failing += 1;
            self.failing.begins(&lane.tenant);
        }
        lane.not_before = after(now, pace.every);
        Turn::Go
    }

    /// An attempt has ended: who was parked and may ask again, one for each free place.
    pub fn ended(
        &mut self,
        credential: &Credential,
        verdict: &Verdict,
        now: TimeMs,
        waits: impl Fn(&Key) -> bool,
    ) -> Vec<Key> {
        let Some(lane) = self.lanes.get_mut(credential) else { return Vec::new() };
        lane.flying = lane.flying.saturating_sub(1);
        let was_full = self.failing.is_full(&lane.tenant);
        if lane.failing > 0 {
            lane.failing -= 1;
            self.failing.ends(&lane.tenant);
        }
        let hold = match verdict {
            Verdict::Sent { hold, .. } => {
                (lane.failures, lane.open_until) = (0, now);
                *hold
            }
            Verdict::Final { .. } => {
                (lane.failures, lane.open_until) = (0, now);
                None
            }
            Verdict::Retry { hold, .. } => {
                lane.failures = lane.failures.saturating_add(1);
                if let Some(times) = lane.failures.checked_sub(BREAK_AFTER) {
                    let pause = self.pause.saturating_mul(BREAK_MOST.min(1 << times.min(8)));
                    lane.open_until = after(now, pause);
                }
                *hold
            }
        };
        if let Some(hold) = hold {
            lane.not_before = lane.not_before.max(after(now, hold));
        }
        // Where others that fail may wait for the place, it is theirs: see `stuck`.
        let woken = if was_full && lane.fails() { Vec::new() } else { lane.wake(waits) };
        let idle = lane.flying == 0 && lane.failures == 0 && lane.not_before <= now && lane.parked.is_empty();
        if idle && self.lanes.len() > IDLE_LANES {
            self.lanes.remove(credential);
        }
        woken
    }

    /// Who is parked in a lane in which nothing goes on: those who were woken before them were given up meanwhile, or have to wait elsewhere.
    /// In the order in which they are to ask: first those of the lane that was tried longest ago.
    pub fn stuck(&mut self, now: TimeMs, waits: impl Fn(&Key) -> bool) -> Vec<Key> {
        let mut woken = Vec::new();
        for lane in self.lanes.values_mut() {
            // Those who were given up are not kept for long.
            if lane.parked.len() > limits::WAITING_OF_CHANNEL {
                lane.parked.retain(&waits);
            }
            if lane.flying == 0 && !lane.parked.is_empty() && lane.not_before.max(lane.open_until) <= now {
                let tried = lane.tried;
                woken.extend(lane.wake(&waits).into_iter().map(|key| (tried, key)));
            }
        }
        woken.sort_unstable();
        woken.into_iter().map(|(_, key)| key).collect()
    }

    /// Destinations whose breaker is open.
    pub fn open(&self) -> usize {
        self.lanes.values().filter(|lane| lane.failures >= BREAK_AFTER).count()
    }
}

/// A time so much later.
pub fn after(now: TimeMs, wait: Duration) -> TimeMs {
    TimeMs(now.0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Pace = Pace { at_once: 4, every: Duration::ZERO };

    fn all(_: &Key) -> bool {
        true
    }

    fn lane(name: &str) -> Credential {
        name.into()
    }

    #[test]
    fn a_dead_destination_is_asked_by_one_at_a_time_and_holds_up_nobody() {
        let (mut lanes, dead, key) = (Lanes::new(BREAK_FIRST), lane("dead"), Key::of("t", "m"));
        let mut now = TimeMs(0);
        for _ in 0..BREAK_AFTER {
            assert_eq!(lanes.ask(&dead, &key, FAST, now), Turn::Go);
            lanes.ended(&dead, &Verdict::retry("away"), now, all);
        }
        assert_eq!(lanes.ask(&dead, &key, FAST, now), Turn::Wait(TimeMs(5_000)));
        assert_eq!(lanes.ask(&lane("other"), &key, FAST, now), Turn::Go);
        for pause in [5, 10, 20, 40, 60, 60] {
            now = after(now, Duration::from_secs(pause));
            assert_eq!(lanes.ask(&dead, &key, FAST, now), Turn::Go, "{pause}");
            assert_eq!(lanes.ask(&dead, &Key::of("t", "n"), FAST, now), Turn::Parked);
            assert_eq!(lanes.ended(&dead, &Verdict::retry("away"), now, all), [Key::of("t", "n")]);
        }
        assert_eq!(lanes.open(), 1);
        now = after(now, Duration::from_secs(60));
        assert_eq!(lanes.ask(&dead, &key, FAST, now), Turn::Go);
        lanes.ended(&dead, &Verdict::Sent { thread: None, hold: None }, now, all);
        for _ in 0..4 {
            assert_eq!(lanes.ask(&dead, &key, FAST, now), Turn::Go);
        }
        assert_eq!(lanes.ask(&dead, &key, FAST, now), Turn::Parked);
    }

    #[test]
    fn a_free_place_wakes_one_and_the_oldest() {
        let (mut lanes, to) = (Lanes::new(BREAK_FIRST), lane("busy"));
        let key = |n: u32| Key::of("t", &format!("{n:04}"));
        let sent = Verdict::Sent { thread: None, hold: None };
        for n in 0..4 {
            assert_eq!(lanes.ask(&to, &key(n), FAST, TimeMs(0)), Turn::Go);
        }
        // In whatever order they ask, and how often.
        for n in (4..1_000).rev().chain(4..10) {
            assert_eq!(lanes.ask(&to, &key(n), FAST, TimeMs(0)), Turn::Parked);
        }
        assert!(lanes.stuck(TimeMs(0), all).is_empty());
        assert_eq!(lanes.ended(&to, &sent, TimeMs(1), all), [key(4)]);
        assert_eq!(lanes.ask(&to, &key(4), FAST, TimeMs(1)), Turn::Go);
        assert_eq!(lanes.ended(&to, &sent, TimeMs(2), all), [key(5)]);
        // It does not come: the next end has two places to give.
        assert_eq!(lanes.ended(&to, &sent, TimeMs(3), all), [key(6), key(7)]);
        assert_eq!(lanes.ended(&to, &sent, TimeMs(4), all), [key(8), key(9), key(10)]);
        assert!(lanes.stuck(TimeMs(5), all).is_empty());
        // None of those comes either, and nothing goes on any more.
        assert_eq!(lanes.ended(&to, &sent, TimeMs(6), all).len(), 4);
        assert_eq!(lanes.stuck(TimeMs(7), all), [key(15), key(16), key(17), key(18)]);
        // Not while the service wants to be left alone.
        let wait = Some(Duration::from_secs(30));
        assert_eq!(lanes.ask(&to, &key(15), FAST, TimeMs(8)), Turn::Go);
        lanes.ended(&to, &Verdict::Retry { at_least: wait, hold: wait, why: String::new() }, TimeMs(8), all);
        assert!(lanes.stuck(TimeMs(30_007), all).is_empty());
        // Whoever was given up takes nobody's place, and is not kept.
        let odd = |key: &Key| key.as_str().bytes().last().is_some_and(|digit| digit % 2 == 1);
        assert_eq!(lanes.stuck(TimeMs(30_008), odd), [key(23), key(25), key(27), key(29)]);
        let none = |_: &Key| false;
        assert!(lanes.stuck(TimeMs(30_009), none).is_empty());
        assert!(lanes.stuck(TimeMs(30_010), all).is_empty(), "nobody is left");
    }

    #[test]
    fn those_that_fail_have_few_places_together() {
        let mut lanes = Lanes::new(BREAK_FIRST);
        let lane_of = |n: usize| lane(&format!("dead{n}"));
        let key_of = |n: usize| Key::of(&format!("t{n:02}"), "m");
        let at = |ms: usize| TimeMs(i64::try_from(ms).unwrap());
        for round in [0, 1_000] {
            for n in 0..100 {
                assert_eq!(lanes.ask(&lane_of(n), &key_of(n), FAST, at(round + n)), Turn::Go, "once is no sign");
            }
            for n in 0..100 {
                lanes.ended(&lane_of(n), &Verdict::retry("away"), at(round + 100), all);
            }
        }
        // Whoever asks first.
        let turns: Vec<Turn> = (0..100).map(|n| lanes.ask(&lane_of(n), &key_of(n), FAST, at(2_000))).collect();
        assert!(turns.iter().take(FAILING_AT_ONCE).all(|turn| *turn == Turn::Go));
        assert!(turns.iter().skip(FAILING_AT_ONCE).all(|turn| *turn == Turn::Parked));
        assert_eq!(lanes.ask(&lane("other"), &key_of(0), FAST, at(2_000)), Turn::Go);
        // The place of one is not its own again while others wait: they ask in the order in which they were tried.
        assert_eq!(lanes.ask(&lane_of(0), &key_of(0), FAST, at(2_001)), Turn::Parked);
        assert!(lanes.ended(&lane_of(0), &Verdict::retry("away"), at(2_002), all).is_empty());
        let wanted: Vec<Key> = (FAILING_AT_ONCE..100).chain([0]).map(key_of).collect();
        assert_eq!(lanes.stuck(at(2_003), all), wanted);
        assert_eq!(lanes.ask(&lane_of(99), &key_of(99), FAST, at(2_004)), Turn::Go);
        assert_eq!(lanes.ask(&lane_of(98), &key_of(98), FAST, at(2_004)), Turn::Parked);
        // Whoever is well again has his own places.
        for n in 1..FAILING_AT_ONCE {
            lanes.ended(&lane_of(n), &Verdict::Sent { thread: None, hold: None }, at(2_005), all);
            assert_eq!(lanes.ask(&lane_of(n), &key_of(n), FAST, at(2_005)), Turn::Go);
        }
        assert_eq!((lanes.failing.all, lanes.failing.of_tenant.len()), (1, 1));
    }

    #[test]
    fn what_fails_of_one_tenant_leaves_places_to_what_fails_of_another() {
        let mut lanes = Lanes::new(BREAK_FIRST);
        let lane_of = |tenant: &str, n: usize| lane(&format!("{tenant}{n}"));
        let key_of = |tenant: &str| Key::of(tenant, "m");
        let mut go = |tenant: &str| {
            for _ in 0..FAILS_AFTER {
                for n in 0..50 {
                    assert_eq!(lanes.ask(&lane_of(tenant, n), &key_of(tenant), FAST, TimeMs(0)), Turn::Go);
                    lanes.ended(&lane_of(tenant, n), &Verdict::retry("away"), TimeMs(0), all);
                }
            }
            let turns = (0..50).map(|n| lanes.ask(&lane_of(tenant, n), &key_of(tenant), FAST, TimeMs(1)));
            turns.filter(|turn| *turn == Turn::Go).count()
        };
        assert_eq!((go("a"), go("b")), (FAILING_OF_TENANT, FAILING_OF_TENANT));
    }

    #[test]
    fn a_service_is_left_alone_as_long_as_it_wants_and_its_pace_is_kept() {
        let (mut lanes, slow, key) = (Lanes::new(BREAK_FIRST), lane("slow"), Key::of("t", "m"));
        let pace = Pace::of(ChannelKind::Slack);
        assert_eq!(lanes.ask(&slow, &key, pace, TimeMs(0)), Turn::Go);
        lanes.ended(&slow, &Verdict::Sent { thread: None, hold: None }, TimeMs(10), all);
        assert_eq!(lanes.ask(&slow, &key, pace, TimeMs(10)), Turn::Wait(TimeMs(1_050)));
        assert_eq!(lanes.ask(&slow, &key, pace, TimeMs(1_050)), Turn::Go);
        let wait = Some(Duration::from_secs(30));
        lanes.ended(&slow, &Verdict::Retry { at_least: wait, hold: wait, why: String::new() }, TimeMs(1_100), all);
        assert_eq!(lanes.ask(&slow, &key, pace, TimeMs(2_000)), Turn::Wait(TimeMs(31_100)));
    }
}

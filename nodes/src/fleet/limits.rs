//! The limits of endpoints, shared by all fleets of a process (rule 33): requests a second, under way, and a day.
//!
//! Guarantee: nobody in this process asks an endpoint but through its [`Gate`], of which there is one per account however many
//! fleets there are. Those who wait go in the order in which they came, per role; a place is given back when its holder is
//! dropped. Counts of several processes would come together here, where [`Limits::gate`] is the only way to a gate: today each
//! process finds out for itself what the endpoint leaves to it, and takes over what others say that they have spent of a day.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schemas::TimeMs;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::{
    clock::{Clock, Moment},
    config::{MemberConfig, Role},
    day::{Count, Day},
    flight::Flight,
    pace::Pace,
};

/// What an endpoint's limits are counted by: whoever has the same URL and credentials shares them. It shows neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Account(u64);

impl Account {
    /// The account of a URL and of what is sent along.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hasher = DefaultHasher::new();
        for part in parts {
            part.hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

/// The gates of a process. Clones are the same.
#[derive(Debug, Clone)]
pub struct Limits {
    gates: Arc<Mutex<HashMap<Account, Arc<Gate>>>>,
    clock: Clock,
    /// Answers that take memory, and may be read at a time.
    large: Arc<Semaphore>,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(Clock::system())
    }
}

impl Limits {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        Self { gates: Arc::default(), clock, large: Arc::new(Semaphore::new(schemas::limits::evidence::AT_ONCE)) }
    }

    /// Waits until one more answer that takes memory may be read; `None` never comes.
    pub async fn large_answer(&self) -> Option<OwnedSemaphorePermit> {
        self.large.clone().acquire_owned().await.ok()
    }

    /// The gate of an endpoint; made with the limits of who comes first.
    pub(super) fn gate(&self, member: &MemberConfig) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.entry(member.account).or_insert_with(|| Arc::new(Gate::new(member, self.clock.clone()))).clone()
    }

    /// Whether it is the same set.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.gates, &other.gates)
    }

    /// From now on the endpoints' limits are those of `members`, who are all that there are; of several of one account the first
    /// counts. What was spent of a day stays spent, also of an account that is left out and comes back.
    pub fn settle<'a>(&self, members: impl IntoIterator<Item = &'a MemberConfig>) {
        let wall = self.clock.wall();
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = HashSet::new();
        for member in members.into_iter().filter(|m| seen.insert(m.account)) {
            if let Some(gate) = gates.get(&member.account) {
                gate.settle(member);
            }
        }
        // Whose account nobody names any more, and who has counted nothing today, is forgotten.
        gates.retain(|account, gate| {
            seen.contains(account) || Arc::strong_count(gate) > 1 || gate.lock().day.counts(wall)
        });
    }
}

/// The way to one endpoint.
#[derive(Debug)]
pub(super) struct Gate {
    clock: Clock,
    state: Mutex<State>,
    given_back: Notify,
    /// The limits are others now: whoever waits reckons anew.
    settled: Notify,
    /// Who is next, by role; history's is the last.
    turns: [tokio::sync::Mutex<()>; 4],
}

#[derive(Debug)]
struct State {
    pace: Pace,
    flight: Flight,
    day: Day,
    waiting: u32,
    /// Requests that follow the chain and wait for their turn: history waits for them.
    streams: u32,
}

/// Why a request did not go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Closed {
    /// It would have had to wait longer than it may.
    TooLong {
        /// The rate that is kept to, requests a second, where one is.
        rate: Option<f64>,
    },
    /// The day's cap.
    Day(u64),
}

/// A place under way; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    gate: Arc<Gate>,
    role: Role,
    calls: u32,
    sent: Moment,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.lock().flight.give(self.role);
        self.gate.given_back.notify_waiters();
    }
}

/// Between two looks of history at whether those that follow the chain still wait.
const YIELDS: Duration = Duration::from_millis(5);

/// Whose turn a request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// That of a role.
    Role(Role),
    /// What is fetched of the past beside the stream: it has its own part of the rate, and goes only where nobody who follows the chain
    /// waits.
    History,
}

impl Way {
    /// The role that its place under way and its day are counted by.
    fn role(self) -> Role {
        match self {
            Self::Role(role) => role,
            Self::History => Role::Serve,
        }
    }

    fn turn(self) -> usize {
        match self {
            Self::Role(role) => role as usize,
            Self::History => 3,
        }
    }
}

/// Somebody waits; over when dropped.
struct Waiting<'a>(&'a Gate, Way);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.waiting = state.waiting.saturating_sub(1);
        if self.1 == Way::Role(Role::Stream) {
            state.streams = state.streams.saturating_sub(1);
        }
    }
}

impl Gate {
    fn new(member: &MemberConfig, clock: Clock) -> Self {
        let day = Day::new(member.per_day, clock.wall());
        let state = State { pace: Pace::new(member.limit), flight: Flight::default(), day, waiting: 0, streams: 0 };
        Self {
            clock,
            state: Mutex::new(state),
            given_back: Notify::new(),
            settled: Notify::new(),
            turns: Default::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Gate::enter_by`], in the turn of a role.
    #[cfg(test)]
    async fn enter(
        self: &Arc<Self>,
        observer: &str,
        role: Role,
        calls: u32,
        within: Duration,
    ) -> Result<Place, Closed> {
        self.enter_by(observer, Way::Role(role), calls, within).await
    }

    /// Waits, at most `within`, until so many requests may go at once.
    pub async fn enter_by(
        self: &Arc<Self>,
        observer: &str,
        way: Way,
        calls: u32,
        within: Duration,
    ) -> Result<Place, Closed> {
        let entering = self.enter_unbounded(observer, way, calls);
        match tokio::time::timeout(within, entering).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Closed::TooLong { rate: self.lock().pace.rate() }),
        }
    }

    async fn enter_unbounded(self: &Arc<Self>, observer: &str, way: Way, calls: u32) -> Result<Place, Closed> {
        let role = way.role();
        let _waiting = {
            let mut state = self.lock();
            state.waiting += 1;
            state.streams += u32::from(way == Way::Role(Role::Stream));
            Waiting(self, way)
        };
        let _turn = self.turns[way.turn()].lock().await;
        let place = loop {
            let given_back = self.given_back.notified();
            tokio::pin!(given_back);
            given_back.as_mut().enable();
            if self.lock().flight.take(role) {
                break Place { gate: self.clone(), role, calls, sent: Duration::ZERO };
            }
            given_back.await;
        };
        for _ in 0..calls {
            loop {
                let settled = self.settled.notified();
                tokio::pin!(settled);
                settled.as_mut().enable();
                let wait = {
                    let mut state = self.lock();
                    let wall = self.clock.wall();
                    if !state.day.allows(role, u64::from(calls), wall) {
                        return Err(Closed::Day(state.day.cap().unwrap_or_default()));
                    }
                    match way {
                        Way::History if state.streams > 0 => Some(YIELDS),
                        Way::History => state.pace.take_history(self.clock.now()).err(),
                        Way::Role(role) => state.pace.take(role, self.clock.now()).err(),
                    }
                };
                match wait {
                    None => break,
                    Some(wait) => tokio::select! { () = tokio::time::sleep(wait) => {}, () = settled => {} },
                }
            }
        }
        self.lock().day.add(observer, u64::from(calls), 0, self.clock.wall());
        let sent = self.clock.now();
        // `place` is given back on drop, so it is changed and not made anew.
        let mut place = place;
        place.sent = sent;
        Ok(place)
    }

    /// From now on these are its limits.
    fn settle(&self, member: &MemberConfig) {
        let mut state = self.lock();
        state.pace.configure(member.limit, self.clock.now());
        state.day.set_cap(member.per_day);
        drop(state);
        self.settled.notify_waiters();
    }

    /// The endpoint let a request through, whatever it answered.
    pub fn through(&self, place: &Place) {
        let mut state = self.lock();
        state.pace.accepted(self.clock.now(), place.calls);
        state.flight.good();
    }

    /// It refused one for being too many.
    pub fn refused(&self, place: &Place, wait: Option<Duration>) {
        self.lock().pace.refused(place.sent, self.clock.now(), wait);
    }

    /// It asked to be left alone for another reason.
    pub fn pause(&self, wait: Duration) {
        let now = self.clock.now();
        self.lock().pace.pause(now, wait);
    }

    /// The connection was refused or broke.
    pub fn broke(&self) {
        let now = self.clock.now();
        self.lock().flight.broke(now);
    }

    /// Requests a second that are kept to, where there is a limit.
    pub fn rate(&self) -> Option<f64> {
        self.lock().pace.rate()
    }

    /// Whether so many requests more may go within a time, by the rate that is kept to: what is known of it now, and no promise.
    pub fn has_room(&self, way: Way, calls: u32, within: Duration) -> Result<(), Closed> {
        let state = self.lock();
        let role = match way {
            Way::Role(role) => Some(role),
            Way::History => None,
        };
        match state.pace.rate_of(role) {
            Some(rate) if f64::from(calls) / rate > within.as_secs_f64() => Err(Closed::TooLong { rate: Some(rate) }),
            _ => Ok(()),
        }
    }

    /// Counts bytes of answers.
    pub fn bytes(&self, observer: &str, bytes: u64) {
        self.lock().day.add(observer, 0, bytes, self.clock.wall());
    }

    /// What an observer says that it has counted today.
    pub fn heard(&self, observer: &str, ours: bool, said: Count, at: TimeMs) {
        self.lock().day.heard(observer, ours, said, at);
    }

    /// How it stands.
    pub fn standing(&self, observer: &str, role: Role) -> Standing {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let mut state = self.lock();
        let rate = state.pace.rate();
        let queue = rate.map_or(0.0, |r| f64::from(state.waiting) / r);
        let paused = state.pace.paused(now).map_or(Duration::ZERO, |until| until - now);
        Standing {
            rate,
            paused,
            wait: paused + Duration::from_secs_f64(queue),
            under_way: state.flight.under_way(),
            refused: state.pace.refused_at().map(|at| now.saturating_sub(at)),
            day: state.day.of(observer, wall),
            day_open: state.day.allows(role, 1, wall),
            day_total: state.day.total(),
            per_day: state.day.cap(),
        }
    }
}

/// How a gate stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Requests a second that are kept to.
    pub rate: Option<f64>,
    /// How long nothing may go, since the endpoint asked for it.
    pub paused: Duration,
    /// About how long a request would wait.
    pub wait: Duration,
    /// Requests under way.
    pub under_way: u32,
    /// How long ago a request was refused.
    pub refused: Option<Duration>,
    /// The observer's day.
    pub day: Count,
    /// Whether the day's cap leaves something.
    pub day_open: bool,
    /// Everybody's requests of the day.
    pub day_total: u64,
    /// The cap.
    pub per_day: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(limit: Option<f64>, per_day: Option<u64>) -> Arc<Gate> {
        let member = MemberConfig { limit, per_day, ..MemberConfig::new("a", "http://a") };
        let limits = Limits::new(Clock::fixed(TimeMs(1_000)));
        let same = limits.clone().gate(&member);
        assert!(Arc::ptr_eq(&limits.gate(&member), &same), "all stages share it");
        same
    }

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn a_configured_limit_is_kept_to_by_everybody_together() {
        let gate = gate(Some(10.0), None);
        let began = gate.clock.now();
        let asking = (0..40).map(|n| {
            let gate = gate.clone();
            let role = if n % 2 == 0 { Role::Stream } else { Role::Trace };
            async move { gate.enter("x", role, 2, LONG).await.map(|place| gate.through(&place)) }
        });
        let outcomes = futures::future::join_all(asking).await;
        assert!(outcomes.iter().all(Result::is_ok));
        let took = (gate.clock.now() - began).as_secs_f64();
        assert!((7.9..20.0).contains(&took), "80 requests at 10 a second, half of them with a quarter of it: {took} s");
        assert_eq!(gate.standing("x", Role::Stream).day.calls, 80);
    }

    #[tokio::test(start_paused = true)]
    async fn history_takes_what_the_stream_leaves() {
        let gate = gate(Some(20.0), None);
        let history = |gate: Arc<Gate>| async move {
            loop {
                let place = gate.enter_by("x", Way::History, 2, LONG).await.expect("in time");
                gate.through(&place);
            }
        };
        let filling: Vec<_> = (0..8).map(|_| tokio::spawn(history(gate.clone()))).collect();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let alone = gate.standing("x", Role::Stream).day.calls;
        assert!((120..=160).contains(&alone), "most of the rate where nobody else asks: {alone}");
        // Whoever follows the chain waits for a request or two, however many of history wait.
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            let asked = gate.clock.now();
            gate.through(&gate.enter("x", Role::Stream, 2, LONG).await.expect("in time"));
            longest = longest.max(gate.clock.now() - asked);
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        assert!(
            longest <= Duration::from_millis(220),
            "two requests at 20 a second, and one that was under way: {longest:?}"
        );
        // And where those that follow the chain ask without a pause, nothing of the past goes.
        let before = gate.standing("x", Role::Stream).day.calls;
        let mut streams = Vec::new();
        for _ in 0..100 {
            let gate = gate.clone();
            streams.push(async move { gate.enter("x", Role::Stream, 1, LONG).await.map(|place| gate.through(&place)) });
        }
        futures::future::join_all(streams).await;
        let after = gate.standing("x", Role::Stream).day.calls;
        assert!(after - before <= 104, "{before} {after}");
        filling.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_goes_before_the_wait_that_was_asked_for() {
        let gate = gate(None, None);
        let place = gate.enter("x", Role::Stream, 1, LONG).await.expect("free");
        gate.refused(&place, Some(Duration::from_secs(7)));
        drop(place);
        assert_eq!(gate.standing("x", Role::Stream).paused, Duration::from_secs(7));
        assert!(matches!(gate.enter("x", Role::Stream, 1, Duration::from_secs(6)).await, Err(Closed::TooLong { .. })));
        assert!(gate.enter("x", Role::Stream, 1, Duration::from_secs(2)).await.is_ok());
        assert_eq!(gate.standing("x", Role::Stream).under_way, 0, "who waited in vain holds nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_given_back_when_its_holder_is_dropped() {
        let gate = gate(None, Some(1_000));
        let mut held = Vec::new();
        for _ in 0..super::super::flight::FIRST {
            held.push(gate.enter("x", Role::Stream, 1, LONG).await.expect("free"));
        }
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter("x", Role::Stream, 1, LONG).await.is_ok() }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        held.pop();
        assert!(waiting.await.expect("no panic"));
        let capped = Closed::Day(1_000);
        assert_eq!(gate.enter("x", Role::Stream, 1_000, LONG).await.map(drop), Err(capped));
    }

    #[tokio::test(start_paused = true)]
    async fn other_limits_hold_at_once_for_those_who_wait_too() {
        let member = |limit, per_day| MemberConfig { limit, per_day, ..MemberConfig::new("a", "http://a") };
        let limits = Limits::new(Clock::fixed(TimeMs(1_000)));
        let (slow, fast) = (member(Some(0.01), None), member(Some(100.0), Some(50)));
        let gate = limits.gate(&slow);
        drop(gate.enter("x", Role::Stream, 1, LONG).await.expect("the first"));
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter("x", Role::Stream, 1, LONG).await.is_ok() }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = gate.clock.now();
        limits.settle([&fast, &slow]);
        assert!(waiting.await.expect("no panic") && gate.clock.now() - began < Duration::from_secs(1));
        assert_eq!(gate.standing("x", Role::Stream).per_day, Some(50), "of two of one account the first counts");
        for _ in 0..48 {
            drop(gate.enter("x", Role::Stream, 1, LONG).await.expect("within the cap"));
        }
        assert_eq!(gate.enter("x", Role::Stream, 1, LONG).await.map(drop), Err(Closed::Day(50)));
        let took = (gate.clock.now() - began).as_secs_f64();
        assert!((0.3..2.0).contains(&took), "49 at 100 a second: {took} s");
        // Left out and back again, the day is what it was.
        limits.settle([]);
        drop(gate);
        limits.settle([]);
        assert_eq!(limits.gate(&slow).standing("x", Role::Stream).day_total, 50);
    }
}

//! An endpoint as whoever asks it sees it: its client, and the meter through which every single request to it goes.
//!
//! Guarantee: no request goes but after [`Meter::admit`], which waits for the endpoint's limits; each admitted one ends in
//! exactly one of [`Meter::done`] and a drop, either of which gives its place back. One that is dropped after it was
//! under way for the patience of its question counts as a timeout, and so does one that was for half of it when the question's
//! time is over; otherwise it says nothing about the endpoint (whoever asked went away, or another endpoint was quicker). What
//! it waited for its limits before is our own doing.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use schemas::records::{Link, SUBSCRIBED_AGAIN};

use super::{
    capability::{Cannot, Scope},
    clock::Moment,
    config::Role,
    limits::{Closed, Place, Way},
    metrics,
    seat::{Request, Seat},
};
use crate::error::{NodeError, NodeErrorKind};

/// What a request is for, counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// What was wanted in the first place.
    Read,
    /// A block of the past, fetched beside the stream: it yields the endpoint's limits to all that follows the chain.
    History,
    /// A second opinion on it.
    SecondWord,
    /// To know how the endpoint is.
    Probe,
}

impl Purpose {
    /// A word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::History => "history",
            Self::SecondWord => "second_word",
            Self::Probe => "probe",
        }
    }
}

/// A request that ended.
#[derive(Debug)]
pub struct Done<'a> {
    /// The method, as its protocol names it.
    pub method: &'static str,
    /// From sending to the end of the answer.
    pub took: Duration,
    /// Bytes of the answer's body.
    pub bytes: usize,
    /// Head that the answer told of, where it did: the newest block that the endpoint has, not one that was asked for.
    pub height: Option<u64>,
    /// How it failed, where it did.
    pub error: Option<&'a NodeError>,
}

/// The way of every request to an endpoint.
#[async_trait]
pub trait Meter: Send + Sync + fmt::Debug {
    /// Waits until so many requests may go to the endpoint at once (a batch counts each of its calls). Fails when that would
    /// take longer than the question may, and where the day's cap leaves nothing; that is no failure of the endpoint.
    async fn admit(&self, calls: u32) -> Result<Admitted, NodeError>;

    /// Whether so many requests more may be let through in the time that the question has, as far as its limits are known. What there is
    /// no time for is not begun.
    fn has_time_for(&self, calls: u32) -> Result<(), NodeError>;

    /// An admitted request ended.
    fn done(&self, admitted: Admitted, done: Done<'_>);

    /// The way to the endpoint is this now: people are shown it with the endpoint's state. Told at each probe, and when it changes.
    fn linked(&self, _link: Link) {}
}

/// The way of a client's requests: through a meter, or through none where the client stands alone.
#[derive(Debug, Clone, Default)]
pub struct Metered(Option<Arc<dyn Meter>>);

impl Metered {
    /// Through this one.
    pub fn through(meter: Arc<dyn Meter>) -> Self {
        Self(Some(meter))
    }

    /// As [`Meter::admit`].
    pub async fn admit(&self, calls: u32) -> Result<Option<Admitted>, NodeError> {
        match &self.0 {
            Some(meter) => meter.admit(calls).await.map(Some),
            None => Ok(None),
        }
    }

    /// As [`Meter::done`].
    pub fn done(&self, admitted: Option<Admitted>, done: Done<'_>) {
        if let (Some(meter), Some(admitted)) = (&self.0, admitted) {
            meter.done(admitted, done);
        }
    }

    /// As [`Meter::linked`], where somebody is to be told.
    pub fn linked(&self, link: impl FnOnce() -> Link) {
        if let Some(meter) = &self.0 {
            meter.linked(link());
        }
    }
}

/// A place among the requests under way.
#[derive(Debug)]
pub struct Admitted {
    seat: Arc<Seat>,
    place: Option<Place>,
    turn: Arc<Turn>,
    calls: u32,
    sent: Moment,
}

impl Admitted {
    /// When it was let go, on the fleet's clock.
    pub fn sent(&self) -> Moment {
        self.sent
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let now = self.seat.clock.now();
        let took = now.saturating_sub(self.sent.max(self.turn.began));
        let over = self.turn.ends.is_some_and(|ends| now >= ends);
        if took < if over { self.turn.patience / 2 } else { self.turn.patience } {
            return;
        }
        let kind = NodeErrorKind::Timeout(took);
        let error = NodeError { endpoint: self.seat.name.clone(), call: self.turn.method.to_owned(), kind };
        self.turn.recorded.store(true, Ordering::Relaxed);
        let request = Request {
            method: self.turn.method,
            purpose: self.turn.purpose,
            calls: self.calls,
            took,
            bytes: 0,
            height: None,
            error: Some(&error),
        };
        self.seat.ended(Some(&place), &request);
    }
}

/// One endpoint's part in answering a question.
#[derive(Debug)]
pub(super) struct Turn {
    pub method: &'static str,
    pub role: Role,
    pub purpose: Purpose,
    pub began: Moment,
    pub patience: Duration,
    /// When the whole question must be answered; `None`: this long after each request.
    pub ends: Option<Moment>,
    /// Whether the endpoint's failure was taken in already.
    pub recorded: AtomicBool,
    /// Requests that wait for the endpoint's limits.
    pub waiting: AtomicU32,
}

impl Turn {
    /// Whether it is our own waiting that lasts, and not the endpoint.
    pub fn waits(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// A request waits for limits; over when dropped.
struct Waiting<'a>(&'a Turn);

impl<'a> Waiting<'a> {
    fn new(turn: &'a Turn) -> Self {
        turn.waiting.fetch_add(1, Ordering::Relaxed);
        Self(turn)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turn {
    fn way(&self) -> Way {
        match self.purpose {
            Purpose::History => Way::History,
            Purpose::Read | Purpose::SecondWord | Purpose::Probe => Way::Role(self.role),
        }
    }
}

/// What goes by an endpoint's rate in this time may go as one batch.
const BATCH_OF: Duration = Duration::from_millis(500);
/// How long a request outside of a question waits for its limit.
const WITHIN: Duration = Duration::from_secs(10);

/// The meter of an endpoint within a question.
#[derive(Debug)]
pub(super) struct SeatMeter {
    pub seat: Arc<Seat>,
    pub turn: Arc<Turn>,
}

#[async_trait]
impl Meter for SeatMeter {
    async fn admit(&self, calls: u32) -> Result<Admitted, NodeError> {
        let (seat, turn) = (&self.seat, &self.turn);
        let asked = seat.clock.now();
        let within = turn.ends.map_or(WITHIN, |ends| ends.saturating_sub(asked));
        let waiting = Waiting::new(turn);
        let entered = seat.gate.enter_by(&seat.hub.observer, turn.way(), calls.max(1), within).await;
        drop(waiting);
        let place = entered.map_err(|closed| NodeError {
            endpoint: seat.name.clone(),
            call: turn.method.to_owned(),
            kind: refusal(closed),
        })?;
        let sent = seat.clock.now();
        let waited = sent.saturating_sub(asked);
        if !waited.is_zero() {
            metrics::waited(seat.hub.network.as_str(), &seat.name, waited);
        }
        Ok(Admitted { seat: seat.clone(), place: Some(place), turn: turn.clone(), calls: calls.max(1), sent })
    }

    fn has_time_for(&self, calls: u32) -> Result<(), NodeError> {
        let (seat, turn) = (&self.seat, &self.turn);
        let Some(ends) = turn.ends else { return Ok(()) };
        let left = ends.saturating_sub(seat.clock.now());
        seat.gate.has_room(turn.way(), calls, left).map_err(|closed| NodeError {
            endpoint: seat.name.clone(),
            call: turn.method.to_owned(),
            kind: refusal(closed),
        })
    }

    fn done(&self, mut admitted: Admitted, done: Done<'_>) {
        let place = admitted.place.take();
        if done.error.is_some() {
            self.turn.recorded.store(true, Ordering::Relaxed);
        }
        let request = Request {
            method: done.method,
            purpose: self.turn.purpose,
            calls: admitted.calls,
            took: done.took,
            bytes: done.bytes as u64,
            height: done.height,
            error: done.error,
        };
        self.seat.ended(place.as_ref(), &request);
    }

    fn linked(&self, link: Link) {
        self.seat.state().link = Some(link);
    }
}

/// Why we ourselves let nothing go.
fn refusal(closed: Closed) -> NodeErrorKind {
    match closed {
        Closed::TooLong { rate: Some(rate) } => {
            NodeErrorKind::Throttled(None, format!("its limit of {rate:.1} requests a second leaves no room in time"))
        }
        Closed::TooLong { rate: None } => {
            NodeErrorKind::Throttled(None, "it asked to be left alone, or all places under way are taken".into())
        }
        Closed::Day(cap) => {
            NodeErrorKind::Throttled(None, format!("the {cap} requests of its day (`per_day`) are used up"))
        }
    }
}

/// An endpoint: its client, and the way to it.
#[derive(Debug, Clone)]
pub struct Member<C> {
    /// The client.
    pub client: C,
    /// What each request goes through.
    pub meter: Arc<dyn Meter>,
    pub(super) seat: Arc<Seat>,
}

impl<C> Member<C> {
    /// Its name.
    pub fn name(&self) -> Arc<str> {
        self.seat.name.clone()
    }

    /// Whose it is.
    pub fn operator(&self) -> Arc<str> {
        self.seat.operator.clone()
    }

    /// Whether it is to be believed and asked, were it alone: not in quarantine, nor declared unusable.
    pub fn usable(&self) -> bool {
        self.seat.state().is_believed()
    }

    /// Whether it is configured for this.
    pub fn serves(&self, role: Role) -> bool {
        self.seat.config.roles.contains(&role)
    }

    /// Whether it lied and is in quarantine.
    pub fn quarantined(&self) -> bool {
        self.seat.state().quarantine.holds()
    }

    /// It was subscribed to again, after a subscription had ended: that is counted in the sums of minutes.
    pub fn subscribed_again(&self, took: Duration) {
        self.seat.counted(SUBSCRIBED_AGAIN, took);
    }

    /// Its height as last seen.
    pub fn height(&self) -> Option<u64> {
        self.seat.state().height.map(|h| h.height)
    }

    /// Why it should not be asked for `what`, as far as it has shown.
    pub fn cannot(&self, what: &str, height: Option<u64>) -> Option<Cannot> {
        let now = self.seat.clock.now();
        self.seat.state().capabilities.cannot(what, height, now)
    }

    /// `what` failed in a way that will come again. True when that is news.
    pub fn failed(&self, what: &'static str, how: &'static str, scope: Scope) -> bool {
        let now = self.seat.clock.now();
        self.seat.state().capabilities.failed(what, how, scope, now)
    }

    /// `what` worked.
    pub fn worked(&self, what: &str, height: Option<u64>) {
        self.seat.state().capabilities.worked(what, height);
    }

    /// How many calls of `what` a batch may have, at most `most`.
    pub fn batch(&self, what: &'static str, most: usize) -> usize {
        self.seat.state().capabilities.batch(what, most)
    }

    /// How many heights one request may ask for, each with so many calls; 1 is no batch. A batch goes at once, so that it never has more
    /// calls than go in [`BATCH_OF`].
    pub fn together(&self, calls: u32) -> usize {
        let most = self.seat.state().capabilities.together.most(self.seat.clock.now());
        let go = |rate: f64| (rate * BATCH_OF.as_secs_f64() / f64::from(calls.max(1))) as usize;
        self.seat.gate.rate().map_or(most, |rate| go(rate).min(most)).max(1)
    }

    /// A batch of so many heights came whole, after so long.
    pub fn together_worked(&self, heights: usize, took: Duration) {
        self.seat.state().capabilities.together.worked(heights, took);
    }

    /// One did not, where single calls work. True when fewer are asked for from now on.
    pub fn together_failed(&self, how: &'static str, heights: usize) -> bool {
        let now = self.seat.clock.now();
        self.seat.state().capabilities.together.failed(how, heights, now)
    }

    /// So many calls of `what` in a batch worked, after larger batches were `refused` or not. True when that is news.
    pub fn batch_worked(&self, what: &'static str, size: usize, refused: bool) -> bool {
        self.seat.state().capabilities.batch_worked(what, size, refused)
    }
}

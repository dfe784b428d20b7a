//! A question to the endpoints of a network: who is asked, for how long, and who is asked next.
//!
//! Guarantee: the first good answer is given, from the endpoint in use as long as that is well; an endpoint that fails is
//! followed by the next at once, and one that takes longer than its patience by the next *beside* it, so that one slow or dead
//! endpoint costs a question that patience and no more. Nobody is asked twice for one question, and nobody who is not believed.
//! Each endpoint's failure is taken in once. Where an answer contradicted itself and another operator then gave a good one, the
//! former is named a liar; where nobody gives a good one, nobody is, and whoever asked is told to wait no longer than until
//! somebody who may have it can be asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};

use super::{
    capability::Scope,
    clock::Moment,
    config::Role,
    fleet::Fleet,
    member::{Member, Purpose, Turn},
    metrics,
    quarantine::Lie,
    seat::{Request, Seat},
};
use crate::error::{Class, Missing, NodeError, NodeErrorKind, Retry};

/// What is asked, as far as choosing an endpoint takes.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// What it is about, in a word: for people, metrics, and what an endpoint is known not to be able to do.
    pub method: &'static str,
    /// Who wants it.
    pub role: Role,
    /// What it is for.
    pub purpose: Purpose,
    /// The height that it is about: endpoints that are known not to have it come last.
    pub height: Option<u64>,
    /// How long all of it may take.
    pub within: Duration,
    /// How long one endpoint may take before the next is asked as well; `None`: by what it usually takes.
    pub patience: Option<Duration>,
    /// The endpoint in use first (at the head); otherwise equals share.
    pub sticky: bool,
    /// It is known to be there, so that an endpoint that says it is not is followed by the next.
    pub expected: bool,
    /// It is something of which one endpoint told, and that may not be: who does not have it is behind only when that is known.
    pub told: bool,
}

impl Ask {
    /// Something at the head, within 15 s.
    pub fn new(method: &'static str) -> Self {
        Self {
            method,
            role: Role::Stream,
            purpose: Purpose::Read,
            height: None,
            within: Duration::from_secs(15),
            patience: None,
            sticky: true,
            expected: false,
            told: false,
        }
    }
}

/// An answer, and whose it is.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    /// What was answered.
    pub value: T,
    /// Who answered.
    pub endpoint: Arc<str>,
    /// Whose that is.
    pub operator: Arc<str>,
    /// Endpoints that had nothing there, where it was only [told](Ask::told) that there is something.
    pub lacked: Vec<Arc<str>>,
}

/// One endpoint's outcome within a question.
struct Outcome<T> {
    seat: Arc<Seat>,
    turn: Arc<Turn>,
    outcome: Result<T, NodeError>,
}

impl<C: Clone + Send + Sync + 'static> Fleet<C> {
    /// Asks, until somebody gives a good answer or nobody is left.
    pub async fn ask<T, F, Fut>(&self, ask: Ask, call: F) -> Result<Answer<T>, NodeError>
    where
        F: Fn(Member<C>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, NodeError>> + Send,
        T: Send,
    {
        let (allowed, order) = self.table().among(&ask, |_| true);
        self.ask_in_turn(ask, allowed, order, call).await
    }

    /// Asks others than these operators.
    pub async fn ask_other<T, F, Fut>(&self, ask: Ask, not_operators: &[&str], call: F) -> Result<Answer<T>, NodeError>
    where
        F: Fn(Member<C>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, NodeError>> + Send,
        T: Send,
    {
        let (allowed, order) = self.table().among(&ask, |s| !not_operators.contains(&&*s.operator));
        self.ask_in_turn(ask, allowed, order, call).await
    }

    /// Asks those alone whose clients are such that they may have it.
    pub async fn ask_able<T, F, Fut>(
        &self,
        ask: Ask,
        able: impl Fn(&C) -> bool + Send + Sync,
        call: F,
    ) -> Result<Answer<T>, NodeError>
    where
        F: Fn(Member<C>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, NodeError>> + Send,
        T: Send,
    {
        let (allowed, order) = self.table().among(&ask, |s| self.client_of(s).is_some_and(&able));
        self.ask_in_turn(ask, allowed, order, call).await
    }

    /// Asks one endpoint, whatever state it is in; nobody else.
    pub async fn ask_at<T, F, Fut>(&self, name: &str, ask: Ask, call: F) -> Result<Answer<T>, NodeError>
    where
        F: Fn(Member<C>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, NodeError>> + Send,
        T: Send,
    {
        let order: Vec<Arc<Seat>> = self.table().seat(name).cloned().into_iter().collect();
        self.ask_in_turn(Ask { patience: Some(ask.within), ..ask }, order.clone(), order, call).await
    }

    /// Asks those in `order`, which are those of `allowed` that may be asked now.
    async fn ask_in_turn<T, F, Fut>(
        &self,
        ask: Ask,
        allowed: Vec<Arc<Seat>>,
        order: Vec<Arc<Seat>>,
        call: F,
    ) -> Result<Answer<T>, NodeError>
    where
        F: Fn(Member<C>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, NodeError>> + Send,
        T: Send,
    {
        let table = self.table();
        if order.is_empty() {
            return Err(table.nobody(&ask, &allowed));
        }
        let clock = &table.clock;
        let ends = clock.now() + ask.within;
        let mut running: FuturesUnordered<BoxFuture<'_, Outcome<T>>> = FuturesUnordered::new();
        let (mut turns, mut failed): (Vec<Arc<Turn>>, Vec<Failed>) = Default::default();
        let mut rest = order.iter();
        let mut next_at = clock.now();
        loop {
            if clock.now() >= next_at {
                next_at = match rest.next() {
                    Some(seat) => {
                        let patience = table.patience(&ask, seat, rest.as_slice());
                        let turn = self.turn(&ask, patience, ends);
                        turns.push(turn.clone());
                        running.push(self.one(seat, turn, &call));
                        clock.now() + patience
                    }
                    None => ends,
                };
            }
            if running.is_empty() && rest.len() == 0 {
                return Err(self.worst(&ask, &allowed, &failed).unwrap_or_else(|| table.nobody(&ask, &allowed)));
            }
            let came = tokio::select! {
                came = running.next(), if !running.is_empty() => came,
                () = clock.until(next_at.min(ends)) => None,
            };
            let Some(Outcome { seat, turn, outcome }) = came else {
                if clock.now() >= ends {
                    let last = order.first().map_or_else(|| table.hub.network.as_str().into(), |s| s.name.clone());
                    let error = |kind| NodeError { endpoint: last, call: ask.method.to_owned(), kind };
                    if turns.iter().any(|turn| turn.waits()) {
                        let said = format!("limits leave no room for it within {} s", ask.within.as_secs());
                        return Err(error(NodeErrorKind::Throttled(None, said)));
                    }
                    let timeout = || error(NodeErrorKind::Timeout(ask.within));
                    return Err(self.worst(&ask, &allowed, &failed).unwrap_or_else(timeout));
                }
                if let Some(slow) = order.get(order.len() - rest.len() - 1).filter(|_| rest.len() > 0) {
                    metrics::failed_over(table.hub.network.as_str(), &slow.name, "late");
                }
                continue;
            };
            match outcome {
                Ok(value) => {
                    let lacked = self.settle(&ask, &seat, &failed);
                    return Ok(Answer { value, endpoint: seat.name.clone(), operator: seat.operator.clone(), lacked });
                }
                Err(e) if is_final(&ask, &e) => return Err(e),
                Err(e) => {
                    self.take_in(&ask, &seat, &turn, &e);
                    if rest.len() > 0 {
                        metrics::failed_over(table.hub.network.as_str(), &seat.name, e.outcome().as_str());
                    }
                    failed.push((seat, turn, e));
                    next_at = clock.now();
                }
            }
        }
    }

    fn turn(&self, ask: &Ask, patience: Duration, ends: Moment) -> Arc<Turn> {
        Arc::new(Turn {
            method: ask.method,
            role: ask.role,
            purpose: ask.purpose,
            began: self.table().clock.now(),
            patience,
            ends: Some(ends),
            recorded: AtomicBool::new(false),
            waiting: AtomicU32::new(0),
        })
    }

    /// One endpoint's part.
    fn one<'a, T, F, Fut>(&self, seat: &Arc<Seat>, turn: Arc<Turn>, call: &'a F) -> BoxFuture<'a, Outcome<T>>
    where
        F: Fn(Member<C>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, NodeError>> + Send + 'a,
        T: Send + 'a,
    {
        if seat.state().breaker.is_open() {
            seat.state().breaker.begin_trial(turn.began);
        }
        let member = self.member(seat, turn.clone());
        let seat = seat.clone();
        async move { Outcome { outcome: call(member).await, seat, turn } }.boxed()
    }

    /// Takes in what an endpoint's failure says about it, beyond what its requests said.
    fn take_in(&self, ask: &Ask, seat: &Seat, turn: &Turn, e: &NodeError) {
        if let NodeErrorKind::Missing(missing, _) = &e.kind {
            let (how, scope) = match (missing, ask.height) {
                (Missing::Method, _) | (Missing::Pruned, None) => ("missing", Scope::All),
                (Missing::Pruned, Some(height)) => ("pruned", Scope::Below(height)),
            };
            let now = self.table().clock.now();
            seat.state().capabilities.failed(ask.method, how, scope, now);
        }
        // What is judged of several answers together was not told by a meter.
        let judged = matches!(e.kind, NodeErrorKind::Lying(_) | NodeErrorKind::Stale(_));
        if judged && !turn.recorded.swap(true, Ordering::Relaxed) {
            let took = self.table().clock.now().saturating_sub(turn.began);
            seat.ended(None, &judgement(ask.method, ask.purpose, took, e));
        }
    }

    /// The failure that says most to whoever asked: that it is not there yet, then that more time would have helped, then of the first
    /// endpoint that should have had it. It asks for no longer a wait than until another one may be asked.
    fn worst(&self, ask: &Ask, allowed: &[Arc<Seat>], failed: &[Failed]) -> Option<NodeError> {
        let seldom = |e: &NodeError| e.retry() == Retry::Seldom;
        let rank = |e: &&NodeError| match e.class() {
            Class::Empty | Class::NoBlock => 0,
            Class::Failing if matches!(e.kind, NodeErrorKind::Throttled(None, _)) => 1,
            Class::Failing if !seldom(e) => 2,
            Class::Failing => 3,
            Class::Missing => 4,
        };
        let mut worst = failed.iter().map(|(_, _, e)| e).min_by_key(rank)?.clone();
        if allowed.len() < 2 {
            return Some(worst);
        }
        let now = self.table().clock.now();
        // Who cannot give it is no reason to ask again soon.
        let able = |s: &&Arc<Seat>| {
            !failed.iter().any(|(f, _, e)| f.index == s.index && seldom(e))
                && s.state().capabilities.cannot(ask.method, ask.height, now).is_none()
        };
        let Some(soonest) = self.table().soonest(ask, allowed.iter().filter(able)) else { return Some(worst) };
        // That nobody who could be asked has a method is an answer, where no certain thing was wanted.
        let certain = ask.height.is_some() || ask.expected;
        match &mut worst.kind {
            NodeErrorKind::Throttled(Some(wait), _) | NodeErrorKind::Server(_, Some(wait), _) => {
                *wait = soonest.min(*wait);
            }
            kind @ (NodeErrorKind::Missing(..) | NodeErrorKind::TooLarge(_)) if certain => {
                let said = format!("{kind}; those who may have it cannot be asked now");
                *kind = NodeErrorKind::Throttled(Some(soonest), said);
            }
            _ => {}
        }
        Some(worst)
    }

    /// An endpoint gave a good answer: what does that say of those who did not? Gives those of whom that is not known yet.
    fn settle(&self, ask: &Ask, right: &Seat, failed: &[Failed]) -> Vec<Arc<str>> {
        let (table, mut lacked) = (self.table(), Vec::new());
        right.state().capabilities.worked(ask.method, ask.height);
        right.had();
        for (seat, turn, e) in failed {
            match &e.kind {
                NodeErrorKind::Lying(said) if seat.operator != right.operator => {
                    let what = ask.height.map(|h| format!(" of block {h}")).unwrap_or_default();
                    let right =
                        format!("what {} ({}) gave for the same question, which holds", right.name, right.operator);
                    let said = format!("this in answer to {}{what}: {said}", ask.method);
                    table.quarantine(seat, &Lie { said, right });
                }
                NodeErrorKind::Empty if ask.told => lacked.push(seat.name.clone()),
                // It does not reach back so far, which says nothing of how it follows the chain.
                NodeErrorKind::Empty if ask.purpose == Purpose::History => {
                    let scope = ask.height.map_or(Scope::All, Scope::Below);
                    seat.state().capabilities.failed(ask.method, "no_history", scope, table.clock.now());
                }
                NodeErrorKind::Empty => {
                    let said = format!("it has nothing where {} has something", right.name);
                    let stale = NodeError { kind: NodeErrorKind::Stale(said), ..e.clone() };
                    turn.recorded.store(false, Ordering::Relaxed);
                    self.take_in(ask, seat, turn, &stale);
                }
                _ => {}
            }
        }
        lacked
    }

    /// An endpoint had nothing in answer to a question, and it is known by now that there was something.
    pub fn stale(&self, endpoint: &str, method: &'static str, said: String) {
        let Some(seat) = self.table().seat(endpoint) else { return };
        let error =
            NodeError { endpoint: seat.name.clone(), call: method.to_owned(), kind: NodeErrorKind::Stale(said) };
        seat.ended(None, &judgement(method, Purpose::Read, Duration::ZERO, &error));
    }
}

/// What is judged of answers, as an outcome of no request.
fn judgement<'a>(method: &'static str, purpose: Purpose, took: Duration, error: &'a NodeError) -> Request<'a> {
    Request { method, purpose, calls: 0, took, bytes: 0, height: None, error: Some(error) }
}

type Failed = (Arc<Seat>, Arc<Turn>, NodeError);

/// Whether nobody else is asked after this.
fn is_final(ask: &Ask, e: &NodeError) -> bool {
    match e.class() {
        Class::Empty => !ask.expected,
        Class::NoBlock => true,
        Class::Missing | Class::Failing => false,
    }
}

//! Heads of a network over all its endpoints.
//!
//! Guarantee: each endpoint that has a subscription is listened to, and the first word on a block is the hint; the endpoint in use is
//! polled only while it has none. With a live subscription nobody is polled, unless it is silent for longer than blocks ever took.
//! No question and no wait that an endpoint asks for keeps another's head from being heard: whoever comes back meanwhile is polled.
//! A lower head of one endpoint hides no higher one of another, and a head far above what everybody else shows is no hint. While
//! the endpoint in use shows nothing new though a block is due, another operator is asked whether there is one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::{BoxFuture, join_all};
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};

use super::{EvmFleet, Prober, chain::NOT_READY};
use crate::{
    error::NodeError,
    evm::{
        client::EvmClient,
        heads::Pace,
        subscribe::{Push, next_head, reconnect_waits, subscribe},
        types::EvmHead,
    },
    fleet::{Ask, Member, Purpose},
    metrics,
    source::HeadView,
};

/// Between two questions for the sake of heads that are far above all others.
const ODD: Duration = Duration::from_secs(1);
/// Words of the subscriptions that wait for the hub.
const QUEUE: usize = 64;

/// Follows the heads in a task that ends with its last receiver; so do the subscriptions and the fleet's probes.
pub(super) fn follow(fleet: EvmFleet) -> watch::Receiver<HeadView> {
    let (tx, rx) = watch::channel(HeadView::default());
    tokio::spawn(async move {
        let ended = tx.clone();
        let (events_tx, events) = mpsc::channel(QUEUE);
        let listeners = fleet.fleet.members().into_iter().filter(|m| fleet.listened.contains(&*m.name()));
        let listeners: Vec<_> = listeners.map(|m| listen(fleet.clone(), m, events_tx.clone())).collect();
        let probes = fleet.fleet.run(Arc::new(Prober(fleet.clone())));
        let hub = Hub::new(fleet.clone(), tx, events);
        // The queue stays open where nobody listens.
        let _events = events_tx;
        tokio::select! {
            _ = async { tokio::join!(hub.run(), join_all(listeners), probes) } => {}
            () = ended.closed() => fleet.live().clear(),
        }
    });
    rx
}

/// What a subscription says.
enum Event {
    Live(Member<EvmClient>),
    Head(Member<EvmClient>, EvmHead, usize),
    /// Something that is no header.
    Unreadable,
    Lost(Member<EvmClient>),
}

/// Listens to one endpoint, for ever.
async fn listen(fleet: EvmFleet, member: Member<EvmClient>, events: mpsc::Sender<Event>) {
    let (mut waits, mut had_one) = (reconnect_waits(), false);
    loop {
        let begun = Instant::now();
        let ready = if fleet.others() { fleet.on_chain(&member).await } else { Ok(()) };
        let subscribed = match ready {
            Ok(()) => subscribe(&fleet.client(&member)).await,
            Err(e) => Err(e),
        };
        let wait = match subscribed {
            Ok(subscription) => {
                waits = reconnect_waits();
                if std::mem::replace(&mut had_one, true) {
                    member.subscribed_again(begun.elapsed());
                }
                let mut socket = Some(subscription);
                let _ = events.send(Event::Live(member.clone())).await;
                loop {
                    let event = match next_head(&mut socket).await {
                        Push::Head(head, bytes) => Event::Head(member.clone(), head, bytes),
                        Push::Unreadable => Event::Unreadable,
                        Push::Ended => break,
                    };
                    let _ = events.send(event).await;
                }
                metrics::heads_lost(&member.name());
                tracing::warn!(endpoint = %member.name(), "the subscription to new heads ended");
                // Behind the name may be another node next time.
                fleet.chains.forget(&member.name());
                let _ = events.send(Event::Lost(member.clone())).await;
                waits.next().unwrap_or(Duration::from_secs(1))
            }
            Err(error) => {
                let wait = waits.next().unwrap_or(Duration::from_secs(60));
                tracing::warn!(%error, ?wait, "no subscription to new heads meanwhile");
                wait
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// When another operator is asked whether there is a block that the endpoint in use does not show.
#[derive(Debug)]
struct Cross {
    last: Option<Instant>,
    wait: Duration,
}

impl Default for Cross {
    fn default() -> Self {
        Self { last: None, wait: Self::FIRST }
    }
}

impl Cross {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(10);

    /// Whether it is time, `overdue` as a block is. In vain it is asked less and less often.
    fn due(&mut self, overdue: Option<Duration>, now: Instant) -> bool {
        let rested = self.last.is_none_or(|last| now - last >= self.wait);
        if overdue.is_none() || !rested {
            return false;
        }
        self.wait = if self.last.is_some() { (self.wait * 2).min(Self::LONGEST) } else { Self::FIRST };
        self.last = Some(now);
        true
    }
}

struct Hub {
    fleet: EvmFleet,
    pace: Pace,
    tx: watch::Sender<HeadView>,
    events: mpsc::Receiver<Event>,
    cross: Cross,
    /// A question for the head that is under way; subscriptions are heard meanwhile.
    polling: Option<BoxFuture<'static, Polled>>,
    /// When the last one ended.
    polled_at: Instant,
    /// Whether it failed; before the first, true.
    failing: bool,
    /// After a failure none begins before.
    rests_until: Instant,
}

/// What became of a head that was pushed.
#[derive(PartialEq, Eq)]
enum Pushed {
    Taken,
    /// It is far above what the others showed, who may be dead: whoever is in use is asked.
    Odd,
}

/// What a question for the head brought.
enum Polled {
    /// The newest head, and whether anybody showed it before.
    Newest(Result<(EvmHead, bool), NodeError>),
    /// That of another operator than the one in use.
    Another(Option<EvmHead>),
}

/// When what runs beside has ended; never when nothing does.
async fn ended<T>(beside: &mut Option<BoxFuture<'static, T>>) -> T {
    match beside {
        Some(beside) => beside.await,
        None => std::future::pending().await,
    }
}

impl Hub {
    fn new(fleet: EvmFleet, tx: watch::Sender<HeadView>, events: mpsc::Receiver<Event>) -> Self {
        let (pace, cross, now) = (Pace::default(), Cross::default(), Instant::now());
        Self { fleet, pace, tx, events, cross, polling: None, polled_at: now, failing: true, rests_until: now }
    }

    async fn run(mut self) {
        let mut primary = self.fleet.fleet.primary_watch();
        let mut again = tokio::time::interval(NOT_READY);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Questions to endpoints that are not well go beside the heads, so that these do not wait for them.
        let mut beside: Option<BoxFuture<'static, ()>> = None;
        let mut trusted = 0;
        loop {
            let now = Instant::now();
            let wait = if self.failing { self.rests_until.saturating_duration_since(now) } else { self.poll_in(now) };
            let waiting = !self.fleet.chains.waiting().is_empty();
            let judge_in = self.fleet.suspects().next_in(now);
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.take(event),
                    None => return,
                },
                Ok(()) = primary.changed(), if self.fleet.others() => {
                    primary.borrow_and_update();
                    self.tx.send_modify(HeadView::connected);
                }
                polled = ended(&mut self.polling) => {
                    self.polling = None;
                    self.polled(polled);
                }
                () = ended(&mut beside) => {
                    beside = None;
                    if self.failing && self.fleet.trusted().len() > trusted {
                        // Whoever came back did not ask to be left alone, and is no part of a question that began before.
                        (self.polling, self.rests_until) = (None, Instant::now());
                        self.poll();
                    }
                }
                _ = again.tick(), if waiting && beside.is_none() => {
                    trusted = self.fleet.trusted().len();
                    let fleet = self.fleet.clone();
                    beside = Some(Box::pin(async move { fleet.ask_again().await }));
                }
                () = tokio::time::sleep(judge_in.unwrap_or_default()), if judge_in.is_some() && beside.is_none() => {
                    trusted = self.fleet.trusted().len();
                    let fleet = self.fleet.clone();
                    beside = Some(Box::pin(async move { fleet.judge().await }));
                }
                () = tokio::time::sleep(wait), if self.polling.is_none() => self.poll(),
            }
        }
    }

    /// Takes in what a subscription says.
    fn take(&mut self, event: Event) {
        match event {
            Event::Head(member, head, bytes) => {
                if self.pushed(&member, head, bytes) == Pushed::Odd && self.polled_at.elapsed() > ODD {
                    self.poll();
                }
            }
            Event::Live(member) => {
                self.fleet.live().insert(member.name(), member.operator());
                if self.in_use(&member) {
                    self.tx.send_modify(HeadView::connected);
                }
            }
            // What it is about, or what was missed, shows by asking.
            Event::Unreadable => self.poll(),
            Event::Lost(member) => {
                self.fleet.live().remove(&member.name());
                if self.in_use(&member) {
                    self.poll();
                }
            }
        }
    }

    fn in_use(&self, member: &Member<EvmClient>) -> bool {
        self.fleet.fleet.primary().is_none_or(|primary| primary.name() == member.name())
    }

    /// How long until the next poll.
    fn poll_in(&self, now: Instant) -> Duration {
        let tuning = &self.fleet.config.tuning;
        let members = self.fleet.fleet.members();
        let live = self.fleet.live();
        if !members.iter().any(|m| live.contains_key(&m.name()) && m.usable()) {
            return self.pace.wait(now, tuning);
        }
        // Somebody pushes: only silence is a reason to ask.
        let since =
            now.saturating_duration_since(self.pace.last_at().map_or(self.polled_at, |at| at.max(self.polled_at)));
        self.pace.silence(tuning).saturating_sub(since)
    }

    fn pushed(&mut self, member: &Member<EvmClient>, head: EvmHead, bytes: usize) -> Pushed {
        self.fleet.fleet.bytes(&member.name(), bytes);
        self.fleet.came_round(&member.name(), &head);
        if member.quarantined() || (self.fleet.others() && !member.usable()) {
            return Pushed::Taken;
        }
        let operator = member.operator();
        if !self.fleet.words().plausible(&operator, head.number) {
            tracing::warn!(endpoint = %member.name(), height = head.number, "a head far above all others is passed over");
            return Pushed::Odd;
        }
        let known = self.fleet.words().known(head.number, head.hash);
        self.fleet.heard(&operator, &member.name(), &head, None);
        if self.is_higher(&head) || (self.in_use(member) && (!known || !self.fleet.others())) {
            self.saw(head);
        }
        Pushed::Taken
    }

    /// Whether it is above all that was seen.
    fn is_higher(&self, head: &EvmHead) -> bool {
        self.tx.borrow().highest.as_ref().is_none_or(|highest| head.number > highest.height)
    }

    fn saw(&mut self, head: EvmHead) {
        self.pace.saw(head.number, Instant::now());
        let news = self.tx.send_if_modified(|view| view.saw(head.into()));
        if news {
            self.cross = Cross::default();
        }
    }

    /// Asks for the head, unless that is under way, or failed and is to rest.
    fn poll(&mut self) {
        if self.polling.is_none() && (!self.failing || Instant::now() >= self.rests_until) {
            let fleet = self.fleet.clone();
            self.polling = Some(Box::pin(async move { Polled::Newest(fleet.newest().await) }));
        }
    }

    /// Takes in what a question for the head brought.
    fn polled(&mut self, polled: Polled) {
        let now = Instant::now();
        self.polled_at = now;
        match polled {
            Polled::Newest(Ok((head, known))) => {
                if std::mem::take(&mut self.failing) {
                    self.tx.send_modify(HeadView::connected);
                }
                if self.is_higher(&head) || !known || !self.fleet.others() || self.tx.borrow().head.is_none() {
                    self.saw(head);
                } else if self.tx.borrow().error.is_some() {
                    self.tx.send_modify(|view| view.error = None);
                }
                if self.fleet.others() && self.cross.due(self.pace.overdue(now), now) {
                    self.ask_another();
                }
            }
            Polled::Newest(Err(e)) => {
                let pause = e.asked_wait().unwrap_or_default().max(self.fleet.config.tuning.poll_max / 5);
                (self.failing, self.rests_until) = (true, now + pause);
                self.tx.send_modify(|view| view.error = Some(e));
            }
            Polled::Another(head) => {
                if let Some(head) = head.filter(|head| self.is_higher(head)) {
                    self.saw(head);
                }
            }
        }
    }

    /// Asks whether another operator has a block that the endpoint in use does not show.
    fn ask_another(&mut self) {
        let Some(primary) = self.fleet.fleet.primary() else { return };
        let ask = Ask {
            purpose: Purpose::SecondWord,
            within: self.fleet.config.confirm_within,
            expected: true,
            ..Ask::new("head")
        };
        let (fleet, operator) = (self.fleet.clone(), primary.operator());
        self.polling = Some(Box::pin(async move {
            let another = fleet.head_of_another(ask, &[&operator]).await;
            Polled::Another(another.ok().map(|(head, _)| head))
        }));
    }
}

//! Heads of a network over all its endpoints.
//!
//! Guarantee: each endpoint that has a subscription is listened to, and the first word on a block is the hint; the endpoint in use is
//! polled only while it has none. With a live subscription nobody is polled, unless it is silent for longer than blocks ever took.
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
    error::{NodeError, NodeErrorKind},
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

/// So many blocks behind another operator's a head is not yet stale.
const BEHIND: u64 = 1;
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
        let hub = Hub { pace: Pace::default(), tx, events, cross: Cross::default(), fleet: fleet.clone() };
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
    let mut waits = reconnect_waits();
    loop {
        let ready = if fleet.others() { fleet.on_chain(&member).await } else { Ok(()) };
        let subscribed = match ready {
            Ok(()) => subscribe(&fleet.client(&member)).await,
            Err(e) => Err(e),
        };
        let wait = match subscribed {
            Ok(subscription) => {
                waits = reconnect_waits();
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
}

/// What became of a head that was pushed.
#[derive(PartialEq, Eq)]
enum Pushed {
    Taken,
    /// It is far above what the others showed, who may be dead: whoever is in use is asked.
    Odd,
}

/// When what runs beside has ended; never when nothing does.
async fn ended(beside: &mut Option<BoxFuture<'static, ()>>) {
    match beside {
        Some(beside) => beside.await,
        None => std::future::pending().await,
    }
}

impl Hub {
    async fn run(mut self) {
        let mut primary = self.fleet.fleet.primary_watch();
        let mut again = tokio::time::interval(NOT_READY);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut failing, mut polled_at) = (true, Instant::now());
        // Questions to endpoints that are not well go beside the heads, so that these do not wait for them.
        let mut beside: Option<BoxFuture<'static, ()>> = None;
        loop {
            let now = Instant::now();
            let wait = if failing { Duration::ZERO } else { self.poll_in(now, polled_at) };
            let waiting = !self.fleet.chains.waiting().is_empty();
            let judge_in = self.fleet.suspects().next_in(now);
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(Event::Head(member, head, bytes)) => {
                        if self.pushed(&member, head, bytes) == Pushed::Odd && now.saturating_duration_since(polled_at) > ODD {
                            (failing, polled_at) = (self.poll(failing).await, Instant::now());
                        }
                    }
                    Some(Event::Live(member)) => {
                        self.fleet.live().insert(member.name(), member.operator());
                        if self.in_use(&member) {
                            self.tx.send_modify(HeadView::connected);
                        }
                    }
                    // What it is about, or what was missed, shows by asking.
                    Some(Event::Unreadable) => (failing, polled_at) = (self.poll(failing).await, Instant::now()),
                    Some(Event::Lost(member)) => {
                        self.fleet.live().remove(&member.name());
                        if self.in_use(&member) {
                            (failing, polled_at) = (self.poll(failing).await, Instant::now());
                        }
                    }
                    None => return,
                },
                Ok(()) = primary.changed(), if self.fleet.others() => {
                    primary.borrow_and_update();
                    self.tx.send_modify(HeadView::connected);
                }
                () = ended(&mut beside) => beside = None,
                _ = again.tick(), if waiting && beside.is_none() => {
                    let fleet = self.fleet.clone();
                    beside = Some(Box::pin(async move { fleet.ask_again().await }));
                }
                () = tokio::time::sleep(judge_in.unwrap_or_default()), if judge_in.is_some() && beside.is_none() => {
                    let fleet = self.fleet.clone();
                    beside = Some(Box::pin(async move { fleet.judge().await }));
                }
                () = tokio::time::sleep(wait) => (failing, polled_at) = (self.poll(failing).await, Instant::now()),
            }
        }
    }

    fn in_use(&self, member: &Member<EvmClient>) -> bool {
        self.fleet.fleet.primary().is_none_or(|primary| primary.name() == member.name())
    }

    /// How long until the next poll.
    fn poll_in(&self, now: Instant, polled_at: Instant) -> Duration {
        let tuning = &self.fleet.config.tuning;
        let members = self.fleet.fleet.members();
        let live = self.fleet.live();
        if !members.iter().any(|m| live.contains_key(&m.name()) && m.usable()) {
            return self.pace.wait(now, tuning);
        }
        // Somebody pushes: only silence is a reason to ask.
        let since = now.saturating_duration_since(self.pace.last_at().map_or(polled_at, |at| at.max(polled_at)));
        self.pace.silence(tuning).saturating_sub(since)
    }

    fn pushed(&mut self, member: &Member<EvmClient>, head: EvmHead, bytes: usize) -> Pushed {
        self.fleet.fleet.bytes(&member.name(), bytes);
        if member.quarantined() || (self.fleet.others() && !member.usable()) {
            return Pushed::Taken;
        }
        let operator = member.operator();
        if !self.fleet.words().plausible(&operator, head.number) {
            tracing::warn!(endpoint = %member.name(), height = head.number, "a head far above all others is passed over");
            return Pushed::Odd;
        }
        let known = self.fleet.words().known(head.number, head.hash);
        self.fleet.heard(&operator, &member.name(), &head);
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

    /// Asks for the head. Returns whether it failed; then a pause was made already.
    async fn poll(&mut self, was_failing: bool) -> bool {
        match self.fleet.newest().await {
            Ok((head, known)) => {
                if was_failing {
                    self.tx.send_modify(HeadView::connected);
                }
                if self.is_higher(&head) || !known || !self.fleet.others() || self.tx.borrow().head.is_none() {
                    self.saw(head);
                } else if self.tx.borrow().error.is_some() {
                    self.tx.send_modify(|view| view.error = None);
                }
                let now = Instant::now();
                if self.fleet.others() && self.cross.due(self.pace.overdue(now), now) {
                    self.ask_another().await;
                }
                false
            }
            Err(e) => {
                let pause = e.asked_wait().unwrap_or_default().max(self.fleet.config.tuning.poll_max / 5);
                self.tx.send_modify(|view| view.error = Some(e));
                tokio::time::sleep(pause).await;
                true
            }
        }
    }

    /// Whether another operator has a block that the endpoint in use does not show.
    async fn ask_another(&mut self) {
        let Some(primary) = self.fleet.fleet.primary() else { return };
        let ask = Ask {
            purpose: Purpose::SecondWord,
            within: self.fleet.config.confirm_within,
            expected: true,
            ..Ask::new("head")
        };
        if let Ok((head, ..)) = self.fleet.head_of_another(ask, &[&primary.operator()]).await
            && self.is_higher(&head)
        {
            self.saw(head);
        }
    }
}

impl EvmFleet {
    /// The newest head, of the endpoint in use, and whether anybody showed it before. One that is behind what other operators showed is
    /// stale, and the next is asked.
    pub(super) async fn newest(&self) -> Result<(EvmHead, bool), NodeError> {
        let this = self.clone();
        let answer = self
            .ask(Ask { expected: true, ..self.question("head", None) }, move |client| {
                let this = this.clone();
                async move {
                    let head = client.header_at("latest".into(), None).await?;
                    this.fresh(client.name(), &head)
                        .map_err(|kind| client.error("eth_getBlockByNumber", None, kind))?;
                    Ok(head)
                }
            })
            .await?;
        let head = answer.value;
        let known = self.words().known(head.number, head.hash);
        self.heard(&answer.operator, &answer.endpoint, &head);
        Ok((head, known))
    }

    /// Whether a head is as new as what others show, but for what blocks take to get around.
    fn fresh(&self, endpoint: &str, head: &EvmHead) -> Result<(), NodeErrorKind> {
        if !self.others() {
            return Ok(());
        }
        let Some(member) = self.fleet.named(endpoint) else { return Ok(()) };
        let mut newest: Vec<u64> = {
            let (words, trusted) = (self.words(), self.trusted());
            trusted.iter().filter(|o| ***o != *member.operator()).filter_map(|o| words.newest(o)).collect()
        };
        newest.sort_unstable_by_key(|height| std::cmp::Reverse(*height));
        // Where there are more, one alone does not decide.
        let newest = newest.get(1).or(newest.first()).copied();
        match newest {
            Some(newest) if newest > head.number + BEHIND => {
                Err(NodeErrorKind::Stale(format!("its newest block is {}, another has {newest}", head.number)))
            }
            _ => Ok(()),
        }
    }

    /// The newest head of another operator.
    pub(super) async fn head_of_another(&self, ask: Ask, but: &[&str]) -> Result<(EvmHead, Arc<str>), NodeError> {
        let this = self.clone();
        let answer = self
            .fleet
            .ask_other(ask, but, move |member| {
                let this = this.clone();
                async move {
                    this.on_chain(&member).await?;
                    this.client(&member).header_at("latest".into(), None).await
                }
            })
            .await?;
        self.heard(&answer.operator, &answer.endpoint, &answer.value);
        Ok((answer.value, answer.operator))
    }
}

//! One WebSocket connection: a single task that reads operations, copies frames from the rings at the reader's own pace, and
//! runs one replay step at a time. It holds no queue of its own: what it has not sent yet stays in the shared rings and pages.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::extract::ws::{Message, WebSocket, close_code};
use control::Networks;
use futures::{StreamExt, future::BoxFuture, stream::SplitStream};
use schemas::{Network, Op, limits};
use store::query::Whose;

use super::{
    alerts::ComingAlerts,
    causes::ComingCauses,
    end::End,
    endpoints::Endpoints,
    filter::Filter,
    follows::Follows,
    outgoing::Outgoing,
    protocol::{Answer, Id, Operation, Topics},
    replay::{Replaying, Step},
    subscriptions::Subscriptions,
    windows::ComingWindows,
};
use crate::{
    alerts::whose,
    app::App,
    door::{self, Asking, Credential},
    error::ApiError,
    live::{LiveEvent, LiveWindow, Next, Ring, event::Frames},
    methods, metrics,
};

mod past;
mod reach;

/// Events copied from a ring before the client is listened to again.
const BATCH: usize = 64;
/// A page that is taken within this time was no burden.
const WELL: Duration = Duration::from_secs(1);

/// One connection.
pub struct Connection {
    app: Arc<App>,
    out: Outgoing,
    stream: SplitStream<WebSocket>,
    subscriptions: Subscriptions,
    follows: Follows,
    /// Networks whose live frames wait until the past has been sent; the front one is being worked on.
    replays: VecDeque<Replaying>,
    step: Option<BoxFuture<'static, Step>>,
    overtaken: VecDeque<Instant>,
    heard: Instant,
    endpoints: Endpoints,
    causes: ComingCauses,
    windows: ComingWindows,
    alerts: ComingAlerts,
    /// Who opened it.
    asking: Asking,
    /// Whose alerts it is told of.
    whose: Option<Whose>,
    /// Networks that whoever opened it reaches.
    reach: Networks,
    /// What it was opened with.
    credential: Option<Credential>,
}

impl Connection {
    /// A connection that follows nothing yet.
    pub fn new(app: Arc<App>, socket: WebSocket, asking: Asking, credential: Option<Credential>) -> Self {
        let (sink, stream) = socket.split();
        let out = Outgoing::new(sink, app.config.ws.write_deadline);
        let subscriptions = Subscriptions::new(app.config.ws.subscriptions);
        Self {
            app,
            out,
            stream,
            subscriptions,
            follows: Follows::default(),
            replays: VecDeque::new(),
            step: None,
            overtaken: VecDeque::new(),
            heard: Instant::now(),
            endpoints: Endpoints::default(),
            causes: ComingCauses::default(),
            windows: ComingWindows::default(),
            alerts: ComingAlerts::default(),
            whose: asking.tenant().map(whose),
            reach: asking.tenant().map_or(Networks::All, |tenant| tenant.reach().clone()),
            asking,
            credential,
        }
    }

    /// Until the client goes, the service stops, or the reader is hopeless.
    pub async fn run(mut self) {
        let end = match self.serve().await {
            Ok(()) => End::Gone,
            Err(end) => end,
        };
        // What is held for the client is given back before it is waited for.
        self.step = None;
        self.replays.clear();
        self.out.close(end).await;
    }

    async fn serve(&mut self) -> Result<(), End> {
        let shutdown = self.app.shutdown.clone();
        let app = Arc::clone(&self.app);
        let had = self.asking.who.clone();
        let ended = door::until_ended(&app, self.credential.take(), had);
        tokio::pin!(ended);
        let mut tick = tokio::time::interval(self.app.config.ws.ping_every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.tick().await;
        let mut look = tokio::time::interval(limits::metrics::CONTRACTS_LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut more = false;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Err(End::Close(close_code::AWAY, "the server stops")),
                () = &mut ended => return Err(End::Close(close_code::POLICY, "the credential is not good any more, or not for this")),
                _ = tick.tick() => self.keep_alive().await?,
                _ = look.tick(), if self.subscriptions.has_contracts() => self.end_lost().await?,
                message = self.stream.next() => match message {
                    Some(Ok(message)) => self.hear(message).await?,
                    Some(Err(error)) => return Err(End::of_read(error)),
                    None => return Err(End::Gone),
                },
                step = next_step(&mut self.step) => {
                    self.step = None;
                    self.replayed(step).await?;
                }
                () = std::future::ready(()), if more => {}
                () = self.follows.changed() => self.follows.take_up(&self.app.rings),
                () = self.causes.changed() => {}
                () = self.windows.changed() => {
                    let frames = self.windows.new_ones(&self.app.windows, &self.subscriptions);
                    self.out.send(frames).await?;
                }
                frames = self.alerts.changed(&self.subscriptions) => self.out.send(frames).await?,
                () = self.endpoints.changed() => {
                    let frames = self.endpoints.new_ones(&self.app.providers, &self.subscriptions);
                    self.out.send(frames).await?;
                }
            }
            more = self.pump().await?;
            let causes = self.causes.due(&self.app.causes, &self.subscriptions);
            self.out.send(causes).await?;
            if let Some(whose) = &self.whose {
                let alerts = self.alerts.new_ones(&self.app, whose, &self.subscriptions);
                self.out.send(alerts).await?;
            }
            self.start_step();
        }
    }

    async fn keep_alive(&mut self) -> Result<(), End> {
        if self.heard.elapsed() > self.app.config.ws.idle {
            return Err(End::Close(close_code::POLICY, "no pong in time"));
        }
        self.out.send(vec![Message::Ping(Default::default())]).await
    }

    async fn hear(&mut self, message: Message) -> Result<(), End> {
        self.heard = Instant::now();
        match message {
            Message::Text(text) => match Operation::parse(text.as_str()) {
                Ok(operation) => self.carry_out(operation).await,
                Err((id, error)) => self.refuse(id.as_ref(), &error).await,
            },
            Message::Binary(_) => {
                let problem = "operations are JSON in text frames; this one was binary".to_owned();
                self.refuse(None, &ApiError::InvalidOperation { problem }).await
            }
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => Err(End::Closed),
        }
    }

    async fn refuse(&mut self, id: Option<&Id>, error: &ApiError) -> Result<(), End> {
        metrics::refused(error.kind().name);
        self.answer(&Answer::Error { id, problem: error.problem() }).await
    }

    async fn answer(&mut self, answer: &Answer<'_>) -> Result<(), End> {
        self.out.send(vec![Message::Text(answer.text())]).await
    }

    async fn carry_out(&mut self, operation: Operation) -> Result<(), End> {
        match operation {
            Operation::Ping { id } => self.answer(&Answer::Pong { id: id.as_ref() }).await,
            Operation::Subscribe { id, topics, network, after, mut filter, method, alerts_after } => {
                let network = match self.reached(network) {
                    Ok(network) => network,
                    Err(error) => return self.refuse(Some(&id), &error).await,
                };
                if let Some(method) = method {
                    match methods::named(&self.app, &self.asking, "method", &method).await {
                        Ok(methods) => filter.methods = methods,
                        Err(error) => return self.refuse(Some(&id), &error).await,
                    }
                }
                let whom = (&*self.app, &self.asking);
                if let Err(error) = reach::may_watch(whom, topics, network.as_ref(), &mut filter).await {
                    return self.refuse(Some(&id), &error).await;
                }
                let alerts_from = match self.alerts_from(topics, alerts_after.as_deref()) {
                    Ok(from) => from,
                    Err(error) => return self.refuse(Some(&id), &error).await,
                };
                match self.subscribe(&id, topics, network.as_ref(), after, &filter) {
                    Ok(begins) => {
                        let alerts =
                            if topics.alerts { self.alerts.begin(&self.app.alerts, alerts_from) } else { None };
                        let answer = Answer::subscribed(&id, topics, network.as_ref(), begins, &filter, alerts);
                        self.answer(&answer).await?;
                        if topics.transactions {
                            self.causes.begin(&self.app.causes, network.as_ref(), after);
                        }
                        if topics.windows {
                            let wanted = |window: &LiveWindow| filter.takes_window(network.as_ref(), window);
                            let frames = self.windows.begin(&self.app.windows, wanted);
                            self.out.send(frames).await?;
                        }
                        if topics.providers {
                            let frames = self.endpoints.begin(&self.app.providers, network.as_ref());
                            self.out.send(frames).await?;
                        }
                        Ok(())
                    }
                    Err(error) => self.refuse(Some(&id), &error).await,
                }
            }
            Operation::Unsubscribe { id, what } => match self.subscriptions.remove(&id, what.as_ref()) {
                Ok(()) => {
                    self.follows.set(&self.app.rings, self.subscriptions.wanted());
                    let before = self.replays.front().map(|r| r.network().clone());
                    let subscriptions = &self.subscriptions;
                    self.replays.retain(|r| subscriptions.topics(r.network()).has_chain());
                    self.endpoints.end_without(subscriptions);
                    self.causes.end_without(subscriptions);
                    self.windows.end_without(subscriptions);
                    self.alerts.end_without(subscriptions);
                    if self.replays.front().map(Replaying::network) != before.as_ref() {
                        self.step = None;
                    }
                    self.answer(&Answer::Unsubscribed { id: &id }).await
                }
                Err(error) => self.refuse(Some(&id), &error).await,
            },
        }
    }

    /// Adds a subscription and says where it begins, if that can be said.
    fn subscribe(
        &mut self,
        id: &Id,
        topics: Topics,
        network: Option<&Network>,
        after: Option<u64>,
        filter: &Filter,
    ) -> Result<Option<u64>, ApiError> {
        if let Some(n) = network {
            if !self.app.knows(n) {
                return Err(ApiError::NetworkNotFound { network: n.to_string() });
            }
            // What the ring has not seen is looked up by the first step of the replay.
            if let (Some(after), Some(span)) = (after, self.app.rings.span(n))
                && after > span.newest.saturating_add(limits::WS_AHEAD_SEQUENCES)
            {
                return Err(ApiError::PositionUnknown { network: n.to_string(), after, newest: span.newest });
            }
        }
        self.subscriptions.add(id.clone(), topics, network.cloned(), filter.clone(), after.is_some())?;
        self.follows.set(&self.app.rings, self.subscriptions.wanted());
        if !topics.has_chain() {
            return Ok(None);
        }
        match (network, after) {
            (Some(n), Some(after)) => {
                self.subscriptions.begin(n, after);
                self.replays.push_back(Replaying::new(id.clone(), self.app.rings.of(n)));
                Ok(Some(after))
            }
            (Some(n), None) => {
                if let Some(span) = self.app.rings.span(n) {
                    self.subscriptions.begin(n, span.newest);
                }
                Ok(self.subscriptions.floor(n))
            }
            (None, _) => {
                for ring in self.app.rings.all() {
                    if let Some(span) = ring.span() {
                        self.subscriptions.begin(ring.network(), span.newest);
                    }
                }
                Ok(None)
            }
        }
    }

    /// Copies what the rings have, at most a batch of each; true when there may be more.
    async fn pump(&mut self) -> Result<bool, End> {
        let mut more = false;
        let moved: Vec<Arc<Ring>> = self
            .follows
            .rings()
            .filter(|ring| ring.newest() > self.subscriptions.floor(ring.network()).unwrap_or(0))
            .filter(|ring| self.replays.iter().all(|r| r.network() != ring.network()))
            .cloned()
            .collect();
        for ring in moved {
            let Some(span) = ring.span() else { continue };
            self.subscriptions.begin(ring.network(), span.began - 1);
            let floor = self.subscriptions.floor(ring.network()).unwrap_or_default();
            match ring.after(floor, BATCH) {
                Next::Empty => {}
                Next::Behind { slow } => self.fell_behind(ring, slow)?,
                Next::Events(events) => {
                    more |= events.len() == BATCH;
                    for event in events {
                        self.live(&event).await?;
                    }
                }
            }
        }
        Ok(more)
    }

    /// Sends a live event, as far as this connection wants and has not had it.
    async fn live(&mut self, event: &LiveEvent) -> Result<(), End> {
        if self.subscriptions.floor(&event.network).is_some_and(|floor| event.sequence <= floor) {
            return Ok(());
        }
        let apply = event.op == Op::Apply;
        let of = if apply { Some(event.sequence) } else { event.reverts_sequence };
        let told = !of.is_some_and(|of| self.subscriptions.is_left_out(&event.network, of));
        let chosen = self.frames(&event.network, event.frames(), told, None);
        self.out.send(chosen.frames).await?;
        self.passed(&event.network, event.sequence, event.reverts_sequence);
        Ok(())
    }

    /// The frames of an event that are wanted, from its `begun`th transaction on. One that is left out has its position only.
    fn frames(&self, network: &Network, made: &Frames, told: bool, begun: Option<usize>) -> Chosen {
        let wants = self.subscriptions.wants(network);
        let block = made.block.clone().filter(|_| wants.blocks && told && begun.is_none());
        let places = if told { wants.chosen(made, begun.unwrap_or(0)) } else { Vec::new() };
        let transactions = places.iter().map(|place| made.transactions[*place].clone());
        let before = usize::from(block.is_some());
        let texts = block.into_iter().chain(transactions).chain([made.position.clone()]);
        Chosen { frames: texts.map(Message::Text).collect(), before, places, after: made.transactions.len() }
    }

    /// All frames of an event were sent.
    fn passed(&mut self, network: &Network, sequence: u64, reverts: Option<u64>) {
        self.subscriptions.advance(network, sequence);
        if let Some(reverts) = reverts {
            self.subscriptions.forget_left_out(network, reverts);
        }
    }

    /// A ring does not have what this connection needs next: it gets it from the store, unless that happens too often.
    fn fell_behind(&mut self, ring: Arc<Ring>, slow: bool) -> Result<(), End> {
        if slow {
            metrics::ws_overtaken();
            let now = Instant::now();
            self.overtaken.retain(|t| now - *t < Duration::from_secs(60));
            self.overtaken.push_back(now);
            if self.overtaken.len() > self.app.config.ws.overtaken_per_minute as usize {
                return Err(End::Close(close_code::AGAIN, "too slow: overtaken again and again"));
            }
        }
        if let Some(id) = self.subscriptions.id(ring.network()).cloned() {
            self.replays.push_back(Replaying::new(id, ring));
        }
        Ok(())
    }

    /// Begins the next step of the front replay, unless one is running.
    fn start_step(&mut self) {
        let alone = self.replays.len() == 1;
        let (Some(front), None) = (self.replays.front_mut(), &self.step) else { return };
        let floor = self.subscriptions.floor(front.network()).unwrap_or_default();
        let transactions = self.subscriptions.topics(front.network()).transactions;
        self.step = Some(front.step(&self.app, floor, transactions, alone));
    }
}

/// What is sent of an event.
struct Chosen {
    frames: Vec<Message>,
    /// Frames before the first transaction's.
    before: usize,
    /// Whose the transactions' frames are: places in the event.
    places: Vec<usize>,
    /// The place behind the last transaction.
    after: usize,
}

impl Chosen {
    /// The first transaction's place that is still to be sent when so many frames were.
    fn next(&self, taken: usize) -> usize {
        self.places.get(taken.saturating_sub(self.before)).copied().unwrap_or(self.after)
    }
}

/// Waits for the running step; for ever when there is none. Safe to drop and call again.
async fn next_step(step: &mut Option<BoxFuture<'static, Step>>) -> Step {
    match step {
        Some(step) => step.await,
        None => std::future::pending().await,
    }
}

//! One WebSocket connection: a single task that reads operations, copies frames from the ring at the reader's own pace, and
//! runs one replay step at a time. It holds no queue of its own: what it has not sent yet stays in the shared ring.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::extract::ws::{Message, WebSocket, close_code};
use futures::{
    SinkExt, StreamExt,
    future::BoxFuture,
    stream::{SplitSink, SplitStream},
};
use schemas::{Network, Op};

use super::{
    end::End,
    protocol::{Answer, Id, Operation, Topics},
    replay::{self, Step},
    subscriptions::{Admission, Subscriptions},
};
use crate::{
    app::App,
    error::ApiError,
    live::{LiveEvent, Next},
    metrics,
};

/// Events copied from the ring before the client is listened to again.
const BATCH: usize = 64;

/// A network that is being replayed to this connection.
struct Replaying {
    id: Id,
    network: Network,
    /// The client was told that the store is away.
    told_away: bool,
}

/// One connection.
pub struct Connection {
    app: Arc<App>,
    sink: SplitSink<WebSocket, Message>,
    stream: SplitStream<WebSocket>,
    subscriptions: Subscriptions,
    /// Next ordinal of the ring.
    place: u64,
    /// Networks whose live frames wait until the past has been sent; the front one is being worked on.
    replays: VecDeque<Replaying>,
    step: Option<BoxFuture<'static, Step>>,
    overtaken: VecDeque<Instant>,
    heard: Instant,
}

impl Connection {
    /// A connection that follows nothing yet.
    pub fn new(app: Arc<App>, socket: WebSocket) -> Self {
        let (sink, stream) = socket.split();
        let place = app.ring.end();
        let subscriptions = Subscriptions::new(app.config.ws.subscriptions);
        Self {
            app,
            sink,
            stream,
            subscriptions,
            place,
            replays: VecDeque::new(),
            step: None,
            overtaken: VecDeque::new(),
            heard: Instant::now(),
        }
    }

    /// Until the client goes, the service stops, or the reader is hopeless.
    pub async fn run(mut self) {
        let end = match self.serve().await {
            Ok(()) => End::Gone,
            Err(end) => end,
        };
        end.say(&mut self.sink).await;
    }

    async fn serve(&mut self) -> Result<(), End> {
        let mut changes = self.app.ring.changes();
        let shutdown = self.app.shutdown.clone();
        let mut tick = tokio::time::interval(self.app.config.ws.ping_every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.tick().await;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Err(End::Close(close_code::AWAY, "the server stops")),
                _ = tick.tick() => self.keep_alive().await?,
                message = self.stream.next() => match message {
                    Some(Ok(message)) => self.hear(message).await?,
                    Some(Err(error)) => return Err(End::of_read(error)),
                    None => return Err(End::Gone),
                },
                step = next_step(&mut self.step) => {
                    self.step = None;
                    self.replayed(step).await?;
                }
                changed = changes.changed(), if !self.subscriptions.is_empty() => {
                    if changed.is_err() {
                        return Err(End::Close(close_code::AWAY, "the server stops"));
                    }
                }
            }
            if self.pump().await? {
                changes.mark_changed();
            }
            self.start_step();
        }
    }

    async fn keep_alive(&mut self) -> Result<(), End> {
        if self.heard.elapsed() > self.app.config.ws.idle {
            return Err(End::Close(close_code::POLICY, "no pong in time"));
        }
        self.send(vec![Message::Ping(Default::default())]).await
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
        self.send(vec![Message::Text(answer.text())]).await
    }

    async fn carry_out(&mut self, operation: Operation) -> Result<(), End> {
        match operation {
            Operation::Ping { id } => self.answer(&Answer::Pong { id: id.as_ref() }).await,
            Operation::Subscribe { id, topics, network, after } => {
                match self.subscribe(&id, topics, network.as_ref(), after) {
                    Ok(begins) => self.answer(&Answer::subscribed(&id, topics, network.as_ref(), begins)).await,
                    Err(error) => self.refuse(Some(&id), &error).await,
                }
            }
            Operation::Unsubscribe { id, what } => match self.subscriptions.remove(&id, what.as_ref()) {
                Ok(()) => {
                    let before = self.replays.front().map(|r| r.network.clone());
                    let subscriptions = &self.subscriptions;
                    self.replays.retain(|r| !subscriptions.topics(&r.network).is_empty());
                    if self.replays.front().map(|r| &r.network) != before.as_ref() {
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
    ) -> Result<Option<u64>, ApiError> {
        if let Some(n) = network {
            if !self.app.knows(n) {
                return Err(ApiError::NetworkNotFound { network: n.to_string() });
            }
            // What the ring has not seen is looked up by the first step of the replay.
            if let (Some(after), Some(span)) = (after, self.app.ring.span(n))
                && after > span.newest.saturating_add(schemas::limits::WS_AHEAD_SEQUENCES)
            {
                return Err(ApiError::PositionUnknown { network: n.to_string(), after, newest: span.newest });
            }
        }
        if self.subscriptions.is_empty() {
            self.place = self.app.ring.end();
        }
        self.subscriptions.add(id.clone(), topics, network.cloned(), after.is_some())?;
        match (network, after) {
            (Some(n), Some(after)) => {
                self.subscriptions.begin(n, after);
                self.replays.push_back(Replaying { id: id.clone(), network: n.clone(), told_away: false });
                Ok(Some(after))
            }
            (Some(n), None) => {
                if let Some(span) = self.app.ring.span(n) {
                    self.subscriptions.begin(n, span.newest);
                }
                Ok(self.subscriptions.floor(n))
            }
            (None, _) => {
                for (n, span) in self.app.ring.spans() {
                    self.subscriptions.begin(&n, span.newest);
                }
                Ok(None)
            }
        }
    }

    /// Copies what the ring has, at most a batch; true when there may be more.
    async fn pump(&mut self) -> Result<bool, End> {
        if self.subscriptions.is_empty() {
            return Ok(false);
        }
        let app = Arc::clone(&self.app);
        match app.ring.next(&mut self.place, BATCH) {
            Next::Empty => Ok(false),
            Next::Overtaken => {
                self.overtaken().await?;
                Ok(true)
            }
            Next::Events(events) => {
                for event in events {
                    if self.replays.iter().all(|r| r.network != event.network) {
                        let frames = self.live(&event);
                        self.send(frames).await?;
                    }
                }
                Ok(true)
            }
        }
    }

    /// The frames of a live event, as far as this connection wants and has not had them.
    fn live(&mut self, event: &LiveEvent) -> Vec<Message> {
        let Admission::Send { topics, gap } = self.subscriptions.admit(&event.network, event.sequence) else {
            return Vec::new();
        };
        let mut frames = Vec::new();
        if let Some((from, to)) = gap {
            frames.push(Message::Text(Answer::Gap { network: &event.network, from, to }.text()));
        }
        let left_out =
            event.op == Op::Revert && self.subscriptions.was_left_out(&event.network, event.reverts_sequence);
        let made = event.frames();
        if topics.blocks && !left_out {
            frames.extend(made.block.clone().map(Message::Text));
        }
        if topics.transactions && !left_out {
            frames.extend(made.transactions.iter().cloned().map(Message::Text));
        }
        frames.push(Message::Text(made.position.clone()));
        frames
    }

    /// The ring went on without us: says what is lost, or gives up.
    async fn overtaken(&mut self) -> Result<(), End> {
        metrics::ws_overtaken();
        let now = Instant::now();
        self.overtaken.retain(|t| now - *t < Duration::from_secs(60));
        self.overtaken.push_back(now);
        if self.overtaken.len() > self.app.config.ws.overtaken_per_minute as usize {
            return Err(End::Close(close_code::AGAIN, "too slow: overtaken again and again"));
        }
        let mut frames = Vec::new();
        for (network, span) in self.app.ring.spans() {
            let followed = !self.subscriptions.topics(&network).is_empty();
            let (true, Some(dropped)) = (followed && self.replays.iter().all(|r| r.network != network), span.dropped)
            else {
                continue;
            };
            let from = self.subscriptions.floor(&network).map_or(span.first, |f| f + 1);
            if from <= dropped {
                frames.push(Message::Text(Answer::Gap { network: &network, from, to: dropped }.text()));
                self.subscriptions.advance(&network, dropped);
            }
        }
        self.send(frames).await
    }

    /// Begins the next step of the front replay, unless one is running.
    fn start_step(&mut self) {
        let Some(front) = self.replays.front() else { return };
        if self.step.is_some() {
            return;
        }
        let network = front.network.clone();
        let floor = self.subscriptions.floor(&network).unwrap_or_default();
        let topics = self.subscriptions.topics(&network);
        self.step = Some(Box::pin(replay::step(Arc::clone(&self.app), network, floor, topics)));
    }

    async fn replayed(&mut self, step: Step) -> Result<(), End> {
        let Some(mut front) = self.replays.pop_front() else { return Ok(()) };
        let network = front.network.clone();
        match step {
            Step::Joined => {
                // What the pump passed by meanwhile, without what was undone meanwhile.
                let floor = self.subscriptions.floor(&network).unwrap_or_default();
                let events = self.app.ring.since(&network, floor, self.place);
                for undone in replay::undone(&events) {
                    self.subscriptions.leave_out(&network, undone);
                }
                for event in events {
                    let left_out = event.op == Op::Apply && self.subscriptions.is_left_out(&network, event.sequence);
                    let frames = match left_out {
                        true => {
                            self.subscriptions.advance(&network, event.sequence);
                            vec![Message::Text(event.frames().position.clone())]
                        }
                        false => self.live(&event),
                    };
                    self.send(frames).await?;
                }
                return Ok(());
            }
            Step::Past { events, gap, position, permit } => {
                metrics::ws_replayed(events.len() as u64);
                if let Some((from, to)) = gap {
                    self.answer(&Answer::Gap { network: &network, from, to }).await?;
                    self.subscriptions.advance(&network, to);
                }
                for event in events {
                    self.past(&network, event).await?;
                }
                // Reverts that were left out with their applies have no frame; the token moves past them all the same.
                if self.subscriptions.floor(&network) < Some(position) {
                    self.subscriptions.advance(&network, position);
                    self.answer(&Answer::Position { network: &network, sequence: position }).await?;
                }
                drop(permit);
            }
            Step::Wait => {}
            Step::Away(error) => {
                if !front.told_away {
                    front.told_away = true;
                    let id = front.id.clone();
                    self.refuse(Some(&id), &error).await?;
                }
            }
            Step::Refused(error) => {
                let id = front.id.clone();
                drop(self.subscriptions.remove(&id, None));
                return self.refuse(Some(&id), &error).await;
            }
        }
        self.replays.push_back(front);
        Ok(())
    }

    async fn past(&mut self, network: &Network, event: replay::Past) -> Result<(), End> {
        let sequence = event.sequence;
        let mut frames = Vec::with_capacity(event.frames.len() + 2);
        if event.left_out {
            self.subscriptions.leave_out(network, sequence);
        }
        if !self.subscriptions.was_left_out(network, event.reverts_sequence) {
            frames.extend(event.frames.into_iter().map(Message::Text));
        }
        frames.push(Message::Text(Answer::Position { network, sequence }.text()));
        self.subscriptions.advance(network, sequence);
        self.send(frames).await
    }

    /// Hands frames to the socket. A reader that takes nothing for the write deadline is given up.
    async fn send(&mut self, frames: Vec<Message>) -> Result<(), End> {
        if frames.is_empty() {
            return Ok(());
        }
        metrics::ws_frames(frames.len() as u64);
        let deadline = self.app.config.ws.write_deadline;
        let mut frames = frames.into_iter().peekable();
        while frames.peek().is_some() {
            let sink = &mut self.sink;
            let some = frames.by_ref().take(BATCH);
            let fed = async move {
                for frame in some {
                    sink.feed(frame).await?;
                }
                sink.flush().await
            };
            match tokio::time::timeout(deadline, fed).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(End::Gone),
                Err(_) => return Err(End::Close(close_code::AGAIN, "too slow: nothing was read in time")),
            }
        }
        Ok(())
    }
}

/// Waits for the running step; for ever when there is none. Safe to drop and call again.
async fn next_step(step: &mut Option<BoxFuture<'static, Step>>) -> Step {
    match step {
        Some(step) => step.await,
        None => std::future::pending().await,
    }
}

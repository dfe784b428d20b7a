//! `alerts.events`, followed: the last transitions of all alerts, each decoded and serialised once for all connections.
//!
//! Guarantee: what is held is bounded by number and bytes, and holds no place between two others open: from [`Alerts::after`] a reader gets
//! every transition of its tenant after a place, in the topic's order, or is told that they have to be read back ([`Alerts::back`]). A
//! transition is given to its own tenant alone ([`Whose`]). Whatever becomes of the topic ends nothing else.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::extract::ws::Utf8Bytes;
use runtime::log::{Log, LogError, LogErrorKind, PollLimits, Polled, Record, TopicPartition};
use schemas::{
    Network, Op,
    codec::Codec,
    limits::alerts as limits,
    records::{Alert, AlertEvent, AlertEventKind},
    topics::ALERTS_EVENTS,
};
use serde::Serialize;
use store::query::Whose;
use tokio::sync::{Semaphore, watch};

use crate::{
    cursor,
    items::{AlertEventItem, AlertItem},
};

/// Pause before a log that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(2);
const POLL: PollLimits = PollLimits { records: 1_024, bytes: 4 << 20, wait: Duration::from_millis(500) };
/// The topic's one partition.
const PLACE: TopicPartition = TopicPartition { topic: ALERTS_EVENTS.name, partition: 0 };
/// Transitions of one step back.
const STEP: usize = 1_000;
/// How long a step back goes on.
const STEP_TIME: Duration = Duration::from_secs(2);

/// What cursors of alerts are bound to.
const LIST: &str = "live alerts";

/// The cursor of a place in the topic: all transitions up to it are known.
pub fn cursor_of(place: u64) -> String {
    cursor::encode(LIST, &place)
}

/// The place of a cursor.
///
/// # Errors
/// It is none of ours.
pub fn place_of(text: &str) -> Result<u64, crate::error::ApiError> {
    cursor::decode(LIST, text)
}

/// A transition, as connections send it.
pub struct LiveAlert {
    /// Its place in the topic.
    pub place: u64,
    /// Its record.
    pub event: Arc<AlertEvent>,
    /// The frame.
    pub frame: Utf8Bytes,
}

/// A frame of an alert.
#[derive(Serialize)]
struct Frame<'a> {
    r#type: &'static str,
    network: &'a str,
    sequence: Option<u64>,
    op: Op,
    cursor: String,
    kind: &'static str,
    data: AlertItem,
}

impl LiveAlert {
    /// From a record; `None` where it cannot be read.
    fn of(place: u64, event: AlertEvent, base: &str) -> Option<Self> {
        let alert: Alert = serde_json::from_str(&event.alert).ok()?;
        let frame = Frame {
            r#type: "alert",
            network: event.network.as_str(),
            sequence: event.sequence,
            op: if event.kind == AlertEventKind::Retracted { Op::Revert } else { Op::Apply },
            cursor: cursor_of(place),
            kind: event.kind.as_str(),
            // Nobody in particular reads it: there is no link to press in it.
            data: AlertItem::new(alert, vec![AlertEventItem::of(&event)], base, |_| None),
        };
        let frame = serde_json::to_string(&frame).ok()?.into();
        Some(Self { place, event: Arc::new(event), frame })
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.frame.len() + self.event.alert.len() + self.event.matches.len()
    }

    /// Whether it is theirs.
    pub fn is_of(&self, whose: &Whose) -> bool {
        is_of(&self.event, whose)
    }

    /// Its network.
    pub fn network(&self) -> &Network {
        &self.event.network
    }
}

fn is_of(event: &AlertEvent, whose: &Whose) -> bool {
    event.tenant == whose.tenant && whose.networks.as_ref().is_none_or(|reached| reached.contains(&event.network))
}

/// The last transitions.
pub struct Alerts {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    base: String,
    inner: Mutex<Inner>,
    /// The place behind the newest that was read.
    next: watch::Sender<u64>,
    /// Who reads back.
    back: Arc<Semaphore>,
}

#[derive(Default)]
struct Inner {
    /// By place.
    recent: VecDeque<Arc<LiveAlert>>,
    bytes: usize,
    /// All transitions from this place on are held.
    from: u64,
    /// Up to this one.
    next: u64,
    /// Where the topic ended when it was found: until that was read, nothing is told. `None`: it was not found yet.
    end: Option<u64>,
}

impl Inner {
    fn is_ready(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }
}

/// What was found further back than what is held.
pub struct Back {
    /// Transitions that are wanted, in order.
    pub found: Vec<Arc<LiveAlert>>,
    /// Behind what was read.
    pub next: u64,
    /// Places that are gone, both included.
    pub gap: Option<(u64, u64)>,
}

impl Alerts {
    /// None yet. `base`: where people reach us.
    pub fn new(log: Arc<dyn Log>, codec: Arc<Codec>, base: String) -> Self {
        Self {
            log,
            codec,
            base,
            inner: Mutex::default(),
            next: watch::Sender::new(0),
            back: Arc::new(Semaphore::new(limits::READ_BACK.1)),
        }
    }

    /// Where people reach us.
    pub fn base(&self) -> &str {
        &self.base
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Tells of new ones.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    /// The place behind the newest; `None`: the topic was not read to its end yet.
    pub fn next(&self) -> Option<u64> {
        let inner = self.lock();
        inner.is_ready().then_some(inner.next)
    }

    /// Those of a tenant from this place on, and the place behind them; `None`: they are not all held any more.
    pub fn after(&self, from: u64, whose: &Whose) -> Option<(Vec<Arc<LiveAlert>>, u64)> {
        let inner = self.lock();
        if !inner.is_ready() || from < inner.from {
            return None;
        }
        let skip = inner.recent.partition_point(|held| held.place < from);
        let wanted = inner.recent.iter().skip(skip).filter(|held| held.is_of(whose));
        Some((wanted.cloned().collect(), inner.next.max(from)))
    }

    /// Those of one alert that are held, in order.
    pub fn of(&self, whose: &Whose, id: &str) -> Vec<Arc<AlertEvent>> {
        let inner = self.lock();
        let wanted = inner.recent.iter().filter(|held| held.event.alert_id == id && held.is_of(whose));
        wanted.map(|held| Arc::clone(&held.event)).collect()
    }

    /// Reads back what is not held any more, from a place on: a step of it.
    ///
    /// # Errors
    /// The log does not answer.
    pub async fn back(&self, from: u64, whose: &Whose) -> Result<Back, LogError> {
        let _turn = self.back.acquire().await;
        let marks = self.log.watermarks(PLACE).await?;
        let end = {
            let inner = self.lock();
            inner.end.map_or(marks.high, |_| inner.from)
        };
        // No further back than there is, and than anybody is given.
        let begin = from.max(marks.low).max(marks.high.saturating_sub(limits::READ_BACK.0));
        let gap = (begin > from).then(|| (from, begin - 1));
        let mut back = Back { found: Vec::new(), next: begin, gap };
        if begin >= end {
            return Ok(back);
        }
        let mut reader = self.log.reader(&[(PLACE, begin)]).await?;
        let until = tokio::time::Instant::now() + STEP_TIME;
        while back.next < end && back.found.len() < STEP && tokio::time::Instant::now() < until {
            match reader.poll(POLL).await? {
                Polled::Records(records) => {
                    for record in &records {
                        if back.found.len() >= STEP {
                            return Ok(back);
                        }
                        back.next = record.offset + 1;
                        let event =
                            record.value.as_deref().and_then(|value| self.codec.decode::<AlertEvent>(value).ok());
                        let Some(event) = event.filter(|event| is_of(event, whose)) else { continue };
                        back.found.extend(LiveAlert::of(record.offset, event, &self.base).map(Arc::new));
                    }
                    // Behind the last record there may be holes.
                    back.next = back.next.max(reader.reached(PLACE));
                }
                Polled::OutOfRange { oldest, .. } => {
                    back.gap = Some((from, oldest.saturating_sub(1)));
                    back.next = back.next.max(oldest);
                    reader.seek(PLACE, oldest).await?;
                }
                Polled::Assigned(_) | Polled::Revoked(_) => {}
            }
        }
        Ok(back)
    }

    fn take(&self, record: &Record) {
        let decoded = record.value.as_deref().map(|value| self.codec.decode::<AlertEvent>(value));
        let live = match decoded {
            Some(Ok(event)) => LiveAlert::of(record.offset, event, &self.base),
            // Another program's, or of a version that this one does not know (rule 13).
            Some(Err(error)) => {
                tracing::debug!(%error, offset = record.offset, "what became of an alert cannot be shown live");
                None
            }
            None => None,
        };
        let mut inner = self.lock();
        if let Some(live) = live {
            inner.bytes += live.bytes();
            inner.recent.push_back(Arc::new(live));
        }
        while inner.recent.len() > limits::RECENT_EVENTS.0 || inner.bytes > limits::RECENT_EVENTS.1 {
            let Some(oldest) = inner.recent.pop_front() else { break };
            inner.from = oldest.place + 1;
            inner.bytes -= oldest.bytes();
        }
    }

    /// All up to a place was read.
    fn reached(&self, next: u64) {
        let mut inner = self.lock();
        inner.next = inner.next.max(next);
        let next = inner.next;
        drop(inner);
        self.next.send_if_modified(|held| std::mem::replace(held, next) != next);
    }

    /// Begins anew at a place: what was held before it has a hole behind it, or is another log's.
    fn begin(&self, from: u64, end: u64) {
        *self.lock() = Inner { from, next: from, end: Some(end), ..Inner::default() };
        self.next.send_replace(from);
    }

    /// Follows the topic for ever.
    pub async fn follow(&self) {
        loop {
            let Err(error) = self.read().await else { continue };
            if error.kind == LogErrorKind::Denied {
                tracing::warn!(%error, "what becomes of alerts may not be read; trying again");
            } else {
                tracing::debug!(%error, "what becomes of alerts cannot be read; trying again");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Reads from a little before the end, or from where it was read to, until the log fails.
    async fn read(&self) -> Result<(), LogError> {
        let from = match self.next() {
            Some(next) => next,
            None => {
                let back = u64::try_from(limits::RECENT_EVENTS.0).unwrap_or(u64::MAX);
                let (places, ends) = runtime::log::last(&*self.log, &[PLACE], back).await?;
                let from = places.first().map_or(0, |(_, from)| *from);
                self.begin(from, ends.get(&PLACE).copied().unwrap_or(from));
                from
            }
        };
        let mut reader = self.log.reader(&[(PLACE, from)]).await?;
        loop {
            match reader.poll(POLL).await? {
                Polled::Records(records) => {
                    records.iter().for_each(|record| self.take(record));
                    self.reached(reader.reached(PLACE));
                }
                Polled::OutOfRange { oldest, .. } => {
                    self.begin(oldest, oldest);
                    reader.seek(PLACE, oldest).await?;
                }
                Polled::Assigned(_) | Polled::Revoked(_) => {}
            }
        }
    }
}

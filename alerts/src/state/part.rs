//! One partition: the alerts of its tenants.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use runtime::log::{
    Log, LogError, Record, TopicPartition,
    compacted::{Found, judge},
    fold,
    membership::decided,
    pass_over,
};
use schemas::{
    Codec, Network, TimeMs,
    limits::alerts as limits,
    records::{AlertCommand, AlertDelivery, AlertMatch, AlertOutbox, AlertState, Command, DeliveryState, MatchOp},
    topics, ulid_of,
};

use super::settings;
use crate::{
    definitions::Definitions,
    deliver::heartbeat,
    life::{Book, Changed, Clock, Output, Said, after},
    metrics,
};

/// What somebody has just defined is published within this time.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(10);

/// A record of the group's topics.
#[derive(Debug)]
pub enum Heard {
    /// Of `alerts.matches`.
    Match(Box<AlertMatch>),
    /// Of `alerts.commands`.
    Command(AlertCommand),
}

impl Heard {
    /// Reads one; `None`: it is another program's, and passed over.
    pub fn read(codec: &Codec, record: &Record) -> Option<Self> {
        let value = record.value.as_ref()?;
        let heard = match record.from.topic == topics::ALERTS_COMMANDS.name {
            true => codec.decode(value).map(Self::Command),
            false => codec.decode(value).map(Box::new).map(Self::Match),
        };
        heard.map_err(|error| pass_over(record, &error)).ok()
    }
}

/// See the module.
#[derive(Default)]
pub struct Part {
    books: BTreeMap<String, Book>,
    clock: Clock,
    /// Commands that were carried out of late, so that one that was written twice is done once.
    done: VecDeque<String>,
    /// Commands about what is not defined yet, with their offsets.
    waiting: VecDeque<(u64, AlertCommand)>,
    /// The definitions that the books know.
    changes: Option<u64>,
}

impl Part {
    /// What stands in the log.
    pub async fn restore(log: &dyn Log, codec: &Codec, partition: u32) -> Result<Self, LogError> {
        let at = TopicPartition { topic: topics::ALERTS_STATE.name, partition };
        decided(log, at).await?;
        // A key's newest record counts: compaction may not have been here yet.
        let mut states: BTreeMap<String, AlertState> = BTreeMap::new();
        fold(log, at, |record| {
            let Some(key) = runtime::log::compacted::key(&record).map(str::to_owned) else { return Ok(()) };
            match judge::<AlertState>(codec, &record) {
                // Whoever was fenced too late wrote an old one behind a newer one.
                Found::Ours(state) if states.get(&key).is_some_and(|known| known.revision > state.revision) => {}
                Found::Ours(state) => drop(states.insert(key, state)),
                Found::Removed => drop(states.remove(&key)),
                Found::Foreign => {}
                Found::Unreadable(why) => {
                    metrics::lost_state();
                    tracing::error!(key, why, "an alert's state cannot be read: what it says now begins anew");
                    states.remove(&key);
                }
            }
            Ok::<(), LogError>(())
        })
        .await?;
        let mut part = Self::default();
        let count = states.len();
        for (key, state) in states {
            if let Err(why) = part.book(&state.tenant).restore(&state) {
                metrics::lost_state();
                tracing::error!(key, why, "an alert's state cannot be read: what it says now begins anew");
            }
        }
        tracing::info!(partition, states = count, "alerts as they stand were read");
        Ok(part)
    }

    fn book(&mut self, tenant: &str) -> &mut Book {
        self.books.entry(tenant.to_owned()).or_insert_with(|| Book::new(tenant))
    }

    /// Which time it is; whether everything that was found has been read, of all networks and of each.
    pub fn set(&mut self, now: TimeMs, level: bool, networks: BTreeMap<Network, bool>) {
        self.clock.set(now, level);
        self.clock.set_networks(networks);
    }

    /// Takes what tenants have defined, where that changed.
    pub fn define(&mut self, definitions: &Arc<Definitions>, out: &mut Output) {
        if self.changes == Some(definitions.changes) {
            return;
        }
        self.changes = Some(definitions.changes);
        for tenant in definitions.tenants.keys() {
            self.book(tenant);
        }
        for (tenant, book) in &mut self.books {
            let settings = definitions.of(tenant).map(|of| settings::of(of)).unwrap_or_default();
            book.define(settings, &self.clock, out);
        }
    }

    /// Whether a record speaks of what is not defined here yet: whoever wrote it knew more.
    pub fn lacks(&self, heard: &Heard) -> bool {
        match heard {
            Heard::Match(found) => {
                let says = !matches!(found.op, MatchOp::Retract | MatchOp::Amend | MatchOp::Settled);
                let knows = |book: &Book| book.knows(&found.source);
                says && found.tenant != heartbeat::TENANT && !self.books.get(&found.tenant).is_some_and(knows)
            }
            Heard::Command(AlertCommand { tenant, what: Command::TestChannel { channel_id, .. }, .. }) => {
                !self.books.get(tenant).is_some_and(|book| book.has_channel(channel_id))
            }
            Heard::Command(_) => false,
        }
    }

    /// Takes a record of the group's topics.
    pub fn take(&mut self, offset: u64, heard: Heard, out: &mut Output) {
        match heard {
            Heard::Command(command) => self.command(offset, command, out),
            Heard::Match(found) if found.tenant == heartbeat::TENANT => out.outbox.push(self_test(&found)),
            Heard::Match(found) => {
                self.clock.hears(&found.network, found.observed_at);
                let book = self.books.entry(found.tenant.clone()).or_insert_with(|| Book::new(&found.tenant));
                book.take(&found, &self.clock, out);
            }
        }
    }

    fn command(&mut self, offset: u64, command: AlertCommand, out: &mut Output) {
        if self.done.contains(&command.id) {
            return;
        }
        let book = self.books.get_mut(&command.tenant);
        match &command.what {
            Command::Acknowledge { alert_id, note } => {
                let note = note.as_deref().map(|note| note.chars().take(limits::NOTE_CHARACTERS).collect::<String>());
                let said = Said { at: command.at, by: Some(&command.by), note: note.as_deref() };
                if let Some(book) = book {
                    book.acknowledge(alert_id, &said, &self.clock, out);
                }
            }
            Command::TestChannel { channel_id, delivery_id } => {
                match book.and_then(|book| book.test(channel_id, delivery_id, &command.by, command.at)) {
                    Some(message) => out.outbox.push(message),
                    // It was made a moment ago, and is not published yet.
                    None if self.clock.wall() < after(command.at, PUBLISHED_WITHIN)
                        && self.waiting.len() < limits::COMMANDS_REMEMBERED =>
                    {
                        self.waiting.push_back((offset, command));
                        return;
                    }
                    None => out.deliveries.push(nowhere(&command, channel_id, delivery_id, self.clock.wall())),
                }
            }
            // Those who deliver do this: they have what was sent.
            Command::ReplayDelivery { .. } | Command::ReplayChannel { .. } => {}
        }
        self.done.push_back(command.id);
        if self.done.len() > limits::COMMANDS_REMEMBERED {
            self.done.pop_front();
        }
    }

    /// Commands that wait are tried again. Says whether there were any.
    pub fn retry(&mut self, out: &mut Output) -> bool {
        let waiting = std::mem::take(&mut self.waiting);
        let any = !waiting.is_empty();
        for (offset, command) in waiting {
            self.command(offset, command, out);
        }
        any
    }

    /// The offset of the first command that waits: from there on they are read again after a kill.
    pub fn waits_from(&self) -> Option<u64> {
        self.waiting.front().map(|(offset, _)| *offset)
    }

    /// Does what is due.
    pub fn tick(&mut self, out: &mut Output) {
        let now = self.clock.wall();
        for book in self.books.values_mut() {
            if book.due().is_some_and(|at| at <= now) {
                book.tick(&self.clock, out);
            }
        }
    }

    /// States that changed.
    pub fn changes(&mut self) -> Vec<Changed> {
        self.books.values_mut().flat_map(Book::changes).collect()
    }

    /// Alerts that are not over.
    pub fn open(&self) -> usize {
        self.books.values().map(Book::open).sum()
    }
}

/// A test message to a channel that is not there: told, and not kept.
fn nowhere(command: &AlertCommand, channel: &str, delivery: &str, at: TimeMs) -> AlertDelivery {
    AlertDelivery {
        tenant: command.tenant.clone(),
        id: delivery.to_owned(),
        alert_id: None,
        channel_id: channel.to_owned(),
        channel_type: String::new(),
        kind: "channel.test".to_owned(),
        state: DeliveryState::Failed,
        at,
        attempt: 0,
        status: None,
        latency_ms: None,
        error: Some("the channel is not there".to_owned()),
        next_attempt_at: None,
        thread: None,
    }
}

/// The way of a self-test: it came through the rules, is written down here, and is delivered.
fn self_test(found: &AlertMatch) -> AlertOutbox {
    AlertOutbox {
        id: ulid_of(found.observed_at, format!("{}/{}", heartbeat::RULE, found.sequence).as_bytes()),
        body: "{}".to_owned(),
        ..AlertOutbox::new(&found.tenant, heartbeat::CHANNEL, "channel.test", found.observed_at)
    }
}

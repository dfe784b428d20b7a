//! All alerts of one tenant, and what its channels were sent of late.
//!
//! Guarantee: everything is reached by its key or by the time at which something is due in it, so that a step costs what it changes. What
//! changed since it was last asked is given as records: [`Book::changes`].

mod summaries;

use std::collections::{BTreeMap, BTreeSet};

use schemas::{
    TimeMs,
    limits::alerts as limits,
    records::{AlertMatch, AlertOutbox, AlertSource, AlertState, MatchOp},
};
use serde_json::json;

use super::{Clock, Entry, Hour, Key, Output, Settings, World, alert::Said, clock::after, left_out::LeftOut};

/// What stands before a channel's id where a rule's id would stand.
const CHANNEL: &str = "channel:";
/// What stands before a monitor's id and a network where nothing but what was left out of it there is kept.
const LEFT_OUT: &str = "left_out:";
/// What is due by a clock that does not go on is looked at again after so long.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub struct Book {
    tenant: String,
    settings: Settings,
    entries: BTreeMap<Key, Entry>,
    hours: BTreeMap<String, Hour>,
    /// By monitor, or all of them, and network: see [`LeftOut::key`].
    left_out: BTreeMap<String, LeftOut>,
    /// The group of each alert.
    alerts: BTreeMap<String, Key>,
    /// Alerts that are not over, by rule or monitor; and all of them.
    open: BTreeMap<String, usize>,
    open_of_all: usize,
    /// When something is due in a group.
    wake: BTreeSet<(TimeMs, Key)>,
    woken_at: BTreeMap<Key, TimeMs>,
    /// When a silence begins or ends.
    silences_at: Option<TimeMs>,
    /// What is to be written.
    changed: BTreeSet<Key>,
    changed_hours: BTreeSet<String>,
    changed_left_out: BTreeSet<String>,
}

/// What is known of a step beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// It changes something: nothing is compared.
    Changed,
    /// Mostly it changes nothing.
    Whole,
}

/// A state that is to be written: `None` that it is forgotten.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// Its key in the log.
    pub key: String,
    /// The record.
    pub state: Option<AlertState>,
}

impl Book {
    /// Of a tenant, empty.
    pub fn new(tenant: impl Into<String>) -> Self {
        Self { tenant: tenant.into(), ..Self::default() }
    }

    /// Takes a state in that was written. Says what is wrong where it cannot be read.
    ///
    /// # Errors
    /// The reader's words.
    pub fn restore(&mut self, record: &AlertState) -> Result<(), String> {
        if let Some(channel) = record.source_id.strip_prefix(CHANNEL) {
            let hour = serde_json::from_str(&record.state).map_err(|e| e.to_string())?;
            self.hours.insert(channel.to_owned(), hour);
            return Ok(());
        }
        if let Some(key) = record.source_id.strip_prefix(LEFT_OUT) {
            let left_out = serde_json::from_str(&record.state).map_err(|e| e.to_string())?;
            self.left_out.insert(key.to_owned(), left_out);
            return Ok(());
        }
        let key = Key::read(&record.source_id, &record.group).ok_or_else(|| "its group is none".to_owned())?;
        let entry: Entry = serde_json::from_str(&record.state).map_err(|e| e.to_string())?;
        self.count(&key, 0, entry.open());
        for life in entry.lives() {
            self.alerts.insert(life.id.clone(), key.clone());
        }
        // What was due while nobody was there is due now.
        self.wake_at(&key, Some(TimeMs(0)));
        self.entries.insert(key, entry);
        Ok(())
    }

    /// Takes what the tenant has defined, and does what follows.
    pub fn define(&mut self, settings: Settings, clock: &Clock, out: &mut Output) {
        if self.settings == settings {
            return;
        }
        self.settings = settings;
        self.all(clock, out);
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.hours.is_empty() && self.left_out.is_empty()
    }

    /// The groups.
    pub fn entries(&self) -> &BTreeMap<Key, Entry> {
        &self.entries
    }

    /// Alerts that are not over.
    pub fn open(&self) -> usize {
        self.open_of_all
    }

    /// Takes a record of `alerts.matches`.
    pub fn take(&mut self, record: &AlertMatch, clock: &Clock, out: &mut Output) {
        if record.op == MatchOp::Settled {
            return self.settled(record, clock, out);
        }
        if record.op == MatchOp::LeftOut {
            let key = LeftOut::key(record);
            let left_out = self.left_out.entry(key.clone()).or_insert_with(|| LeftOut::of(record));
            left_out.add(record, clock.wall());
            self.changed_left_out.insert(key);
            return self.tell_left_out(clock.wall(), out);
        }
        let key = self.place(record);
        self.step(&key, clock, out, Looked::Changed, |entry, world, out| entry.take(record, world, out));
    }

    /// Somebody takes an alert on. One that is not there is left alone.
    pub fn acknowledge(&mut self, alert: &str, said: &Said<'_>, clock: &Clock, out: &mut Output) -> bool {
        let Some(key) = self.alerts.get(alert).cloned() else { return false };
        let mut done = false;
        self.step(&key, clock, out, Looked::Changed, |entry, world, out| {
            done = entry.acknowledge(alert, said, world, out);
        });
        done
    }

    /// Whether a rule or monitor is known here as it was when it found something, or newer.
    pub fn knows(&self, source: &AlertSource) -> bool {
        self.settings.policies.get(&source.id).is_some_and(|policy| policy.version >= source.version)
    }

    /// Whether a channel is known here.
    pub fn has_channel(&self, channel: &str) -> bool {
        self.settings.channels.contains_key(channel)
    }

    /// A test message to a channel, whatever its cap.
    pub fn test(&self, channel: &str, id: &str, by: &str, at: TimeMs) -> Option<AlertOutbox> {
        let facts = self.settings.channels.get(channel)?;
        Some(AlertOutbox {
            id: id.to_owned(),
            body: json!({ "channel": { "id": channel, "name": facts.name }, "by": by }).to_string(),
            ..self.message(channel, "channel.test", at)
        })
    }

    fn message(&self, channel: &str, kind: &str, at: TimeMs) -> AlertOutbox {
        AlertOutbox::new(&self.tenant, channel, kind, at)
    }

    /// Does what is due.
    pub fn tick(&mut self, clock: &Clock, out: &mut Output) {
        let now = clock.wall();
        if self.silences_at.is_some_and(|at| at <= now) {
            self.all(clock, out);
        }
        // In the order of their keys: the same again after a restart.
        let due: BTreeSet<Key> =
            self.wake.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| key.clone()).collect();
        for key in due {
            self.step(&key, clock, out, Looked::Whole, Entry::tick);
            // Due by a clock that stands still.
            if let Some(at) = self.woken_at.get(&key).copied().filter(|at| *at <= now) {
                self.wake_at(&key, Some(after(at.max(now), AGAIN)));
            }
        }
        self.tell_left_out(now, out);
        let channels: Vec<String> = self.hours.keys().cloned().collect();
        for channel in channels {
            let Some(hour) = self.hours.get_mut(&channel) else { continue };
            if let Some(summary) = hour.summary(&self.tenant, &channel, now) {
                self.changed_hours.insert(channel.clone());
                if self.settings.channels.get(&channel).is_some_and(|facts| facts.active) {
                    out.outbox.push(summary);
                }
            } else if hour.is_empty(now) {
                self.hours.remove(&channel);
                self.changed_hours.insert(channel);
            }
        }
    }

    /// When something is due.
    pub fn due(&self) -> Option<TimeMs> {
        let group = self.wake.first().map(|(at, _)| *at);
        let summary = self.hours.values().filter_map(Hour::due).min();
        let left_out = self.left_out.values().map(LeftOut::due).min();
        [group, summary, left_out, self.silences_at].into_iter().flatten().min()
    }

    /// What changed since this was asked last.
    pub fn changes(&mut self) -> Vec<Changed> {
        let mut changes = Vec::with_capacity(self.changed.len() + self.changed_hours.len());
        for key in std::mem::take(&mut self.changed) {
            let (source_id, group) = (key.source_id.clone(), key.text());
            let state = self.entries.get(&key).map(|entry| (entry.revision, serde_json::to_string(entry)));
            changes.push(self.change(source_id, group, state));
        }
        for channel in std::mem::take(&mut self.changed_hours) {
            let state = self.hours.get(&channel).map(|hour| (hour.revision, serde_json::to_string(hour)));
            changes.push(self.change(format!("{CHANNEL}{channel}"), String::new(), state));
        }
        for key in std::mem::take(&mut self.changed_left_out) {
            let state = self.left_out.get(&key).map(|of| (of.revision, serde_json::to_string(of)));
            changes.push(self.change(format!("{LEFT_OUT}{key}"), String::new(), state));
        }
        changes
    }

    fn change(
        &self,
        source_id: String,
        group: String,
        state: Option<(u64, Result<String, serde_json::Error>)>,
    ) -> Changed {
        let key = AlertState::key_of(&self.tenant, &source_id, &group);
        let tenant = self.tenant.clone();
        // What these types say always is JSON.
        let state = state
            .and_then(|(revision, state)| Some(AlertState { tenant, source_id, group, revision, state: state.ok()? }));
        Changed { key, state }
    }

    /// The group that a record belongs to: its own, or that of all others where there are too many.
    fn place(&self, record: &AlertMatch) -> Key {
        let key = Key::of(record);
        if self.entries.contains_key(&key) {
            return key;
        }
        let others = key.others();
        let too_many = self.open.get(&key.source_id).is_some_and(|open| *open >= limits::OPEN_OF_SOURCE)
            || self.open_of_all >= limits::OPEN_OF_TENANT;
        let of_old = matches!(record.op, MatchOp::Retract | MatchOp::Amend);
        let is_there = self.entries.get(&others).is_some_and(|entry| of_old && entry.knows(record));
        if too_many || is_there { others } else { key }
    }

    /// Every group, since something changed that may concern each.
    fn all(&mut self, clock: &Clock, out: &mut Output) {
        self.silences_at = self.settings.changes_at(clock.wall());
        let keys: Vec<Key> = self.entries.keys().cloned().collect();
        for key in keys {
            self.step(&key, clock, out, Looked::Whole, Entry::tick);
        }
    }

    /// A step of one group, and all that follows from it.
    fn step(
        &mut self,
        key: &Key,
        clock: &Clock,
        out: &mut Output,
        looked: Looked,
        step: impl FnOnce(&mut Entry, &World<'_>, &mut Output),
    ) {
        let mut entry = self.entries.remove(key).unwrap_or_default();
        let before = (looked == Looked::Whole).then(|| entry.clone());
        let (open, was_empty) = (entry.open(), entry.is_empty());
        let ids: Vec<String> = entry.lives().iter().map(|life| life.id.clone()).collect();
        let world = World { tenant: &self.tenant, key, settings: &self.settings, clock };
        let from = out.messages.len();
        step(&mut entry, &world, out);
        let due = entry.due(&world);
        let sent: Vec<_> = out.messages.drain(from..).collect();
        for message in sent {
            if !message.capped {
                out.outbox.push(message.record(&self.tenant));
                continue;
            }
            let per_hour = self.per_hour(&message.channel, clock.wall());
            let hour = self.hours.entry(message.channel.clone()).or_default();
            if hour.takes(&message, per_hour, clock.wall()) {
                out.outbox.push(message.record(&self.tenant));
                entry.is_heard(&message);
            } else {
                entry.is_summed(&message);
            }
            self.changed_hours.insert(message.channel);
        }
        self.count(key, open, entry.open());
        for id in ids {
            if !entry.lives().iter().any(|now| now.id == id) {
                self.alerts.remove(&id);
            }
        }
        for life in entry.lives() {
            if !self.alerts.contains_key(&life.id) {
                self.alerts.insert(life.id.clone(), key.clone());
            }
        }
        self.wake_at(key, due.filter(|_| !entry.is_empty()));
        if before.map_or(!was_empty || !entry.is_empty(), |before| entry != before) {
            entry.revision += 1;
            self.changed.insert(key.clone());
        }
        if !entry.is_empty() {
            self.entries.insert(key.clone(), entry);
        }
    }

    /// Messages that a channel may have had of this hour, with one more: its own cap, and what the others leave of that of all.
    fn per_hour(&self, channel: &str, now: TimeMs) -> u32 {
        let own = self.settings.channels.get(channel).map_or(0, |facts| facts.per_hour);
        let Some(of_all) = self.settings.per_hour else { return own };
        let others = self.hours.iter().filter(|(id, _)| *id != channel).map(|(_, hour)| hour.sent(now)).sum::<u64>();
        own.min(of_all.saturating_sub(u32::try_from(others).unwrap_or(u32::MAX)))
    }

    fn count(&mut self, key: &Key, before: usize, now: usize) {
        let open = self.open.entry(key.source_id.clone()).or_default();
        *open = (*open + now).saturating_sub(before);
        self.open_of_all = (self.open_of_all + now).saturating_sub(before);
        if *open == 0 {
            self.open.remove(&key.source_id);
        }
    }

    fn wake_at(&mut self, key: &Key, at: Option<TimeMs>) {
        if let Some(former) = self.woken_at.remove(key) {
            self.wake.remove(&(former, key.clone()));
        }
        if let Some(at) = at {
            self.woken_at.insert(key.clone(), at);
            self.wake.insert((at, key.clone()));
        }
    }
}

//! What waits to be sent, and what was sent of late.
//!
//! Guarantee: pure: a function of the records and of what is said of attempts. Of one alert at most one message is on its way to a channel, in
//! the order of its transitions; a later one takes the place of an earlier one that waits. What waits is bounded by channel and in bytes:
//! the oldest of what is more is given up, and can be sent again. Of what is done no body is held, only where it stands (`past.rs`).

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use schemas::{TimeMs, limits::alerts as limits, records::AlertOutbox};

pub use super::past::Done;
use super::past::{ChannelOf, Past};

/// The key of a message: `TENANT/ID`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// Of a message.
    pub fn of(tenant: &str, id: &str) -> Self {
        Self(AlertOutbox::key_of(tenant, id).into())
    }
    /// As it stands in the log.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An alert on a channel.
type ThreadOf = (String, String, String);

/// Why a message ends without another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// A later one of its alert goes in its place.
    Replaced,
    /// Too much waits.
    TooMany,
}

#[derive(Debug)]
struct Waiting {
    record: AlertOutbox,
    flying: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: HashMap<Key, Waiting>,
    /// What may be tried, by when.
    due: BTreeSet<(TimeMs, Key)>,
    /// What waits of each channel, the oldest first.
    of_channel: HashMap<ChannelOf, BTreeSet<(TimeMs, Key)>>,
    /// What waits or flies of each alert and channel, by its order.
    of_thread: HashMap<ThreadOf, BTreeSet<(u64, Key)>>,
    bytes: usize,
    past: Past,
}

fn thread_of(record: &AlertOutbox) -> Option<ThreadOf> {
    Some((record.tenant.clone(), record.channel_id.clone(), record.alert_id.clone()?))
}

fn channel_of(record: &AlertOutbox) -> ChannelOf {
    (record.tenant.clone(), record.channel_id.clone())
}

fn size(record: &AlertOutbox) -> usize {
    record.body.len() + 512
}

impl Queue {
    /// Takes a record of the outbox in, as it stands at this offset. What has to make room is told.
    pub fn take(&mut self, record: AlertOutbox, offset: u64) -> Vec<(AlertOutbox, GivenUp)> {
        let key = Key::of(&record.tenant, &record.id);
        if let (Some(thread), Some(alert)) = (&record.thread, &record.alert_id) {
            self.past.put_thread(channel_of(&record), alert, thread, record.created_at);
        }
        if let Some(done_at) = record.done_at {
            self.drop_waiting(&key);
            let done = Done { channel_id: record.channel_id, created_at: record.created_at, done_at, offset };
            self.past.put(key, done);
            return Vec::new();
        }
        self.past.remove(&key);
        if let Some(there) = self.waiting.get_mut(&key) {
            // Another word on what waits: it is to be sent now. On its way it already is.
            if !there.flying {
                let due = (there.record.next_attempt_at, key.clone());
                (there.record.next_attempt_at, there.record.attempts) = (record.next_attempt_at, record.attempts);
                self.due.remove(&due);
                self.make_due(&key);
            }
            return Vec::new();
        }
        let mut gone = Vec::new();
        if let Some(of) = thread_of(&record) {
            let there = self.of_thread.entry(of).or_default();
            // It was written before the later one was seen. What is sent again has no order, and takes nobody's place.
            if record.order > 0 && there.iter().any(|(order, _)| *order > record.order) {
                return vec![(record, GivenUp::Replaced)];
            }
            let earlier: Vec<Key> =
                there.iter().filter(|(order, _)| *order < record.order).map(|(_, key)| key.clone()).collect();
            there.insert((record.order, key.clone()));
            for key in earlier {
                if self.waiting.get(&key).is_some_and(|waiting| !waiting.flying) {
                    gone.extend(self.drop_waiting(&key).map(|record| (record, GivenUp::Replaced)));
                }
            }
        }
        let of = self.of_channel.entry(channel_of(&record)).or_default();
        of.insert((record.created_at, key.clone()));
        let full = of.len() > limits::WAITING_OF_CHANNEL;
        self.bytes += size(&record);
        let channel = channel_of(&record);
        self.waiting.insert(key.clone(), Waiting { record, flying: false });
        self.make_due(&key);
        if full {
            gone.extend(self.oldest_of(Some(&channel)).map(|record| (record, GivenUp::TooMany)));
        }
        while self.bytes > limits::WAITING_BYTES {
            let Some(record) = self.oldest_of(None) else { break };
            gone.push((record, GivenUp::TooMany));
        }
        gone
    }

    /// Takes the oldest message out that does not fly: of this channel, or of the one that has the most.
    fn oldest_of(&mut self, channel: Option<&ChannelOf>) -> Option<AlertOutbox> {
        let of = match channel {
            Some(channel) => self.of_channel.get(channel),
            None => self.of_channel.values().max_by_key(|of| of.len()),
        };
        let flies = |key: &Key| self.waiting.get(key).is_none_or(|waiting| waiting.flying);
        let key = of?.iter().map(|(_, key)| key).find(|key| !flies(key))?.clone();
        self.drop_waiting(&key)
    }

    /// A tombstone: nothing is known of it any more. One that flies goes on.
    pub fn forget(&mut self, key: &Key) {
        if self.waiting.get(key).is_some_and(|waiting| !waiting.flying) {
            self.drop_waiting(key);
        }
        self.past.remove(key);
    }

    /// The next message that is due. It is neither due nor flying until [`Self::fly`] or [`Self::put_back`] says so.
    pub fn next(&mut self, now: TimeMs) -> Option<Key> {
        loop {
            if self.due.first()?.0 > now {
                return None;
            }
            let (_, key) = self.due.pop_first()?;
            // One that was put back may be gone by now, or on its way.
            if self.waiting.get(&key).is_some_and(|waiting| !waiting.flying && self.is_free(&key, &waiting.record)) {
                return Some(key);
            }
        }
    }

    /// When the next one is due.
    pub fn next_at(&self) -> Option<TimeMs> {
        self.due.first().map(|(at, _)| *at)
    }

    /// A message that waits or flies.
    pub fn record(&self, key: &Key) -> Option<&AlertOutbox> {
        self.waiting.get(key).map(|waiting| &waiting.record)
    }

    /// The receiver's id of an alert's first message on a channel.
    pub fn thread(&self, record: &AlertOutbox) -> Option<&str> {
        self.past.thread(&channel_of(record), record.alert_id.as_deref()?)
    }

    /// An attempt begins.
    pub fn fly(&mut self, key: &Key) {
        if let Some(waiting) = self.waiting.get_mut(key) {
            waiting.flying = true;
        }
    }

    /// It is to be looked at again at a time; its attempts stay.
    pub fn put_back(&mut self, key: &Key, at: TimeMs) {
        let Some(waiting) = self.waiting.get_mut(key) else { return };
        if !waiting.flying {
            self.due.insert((at, key.clone()));
        }
    }

    /// An attempt has failed, and the next one is at a time. `Err`: a later message of the alert waits and goes in its place.
    pub fn failed(&mut self, key: &Key, at: TimeMs) -> Option<Result<AlertOutbox, AlertOutbox>> {
        let waiting = self.waiting.get_mut(key)?;
        waiting.flying = false;
        waiting.record.attempts = waiting.record.attempts.saturating_add(1);
        waiting.record.next_attempt_at = at;
        let record = waiting.record.clone();
        let later = thread_of(&record).and_then(|of| self.of_thread.get(&of));
        if later.is_some_and(|all| all.iter().any(|(order, _)| *order > record.order)) {
            self.drop_waiting(key);
            return Some(Err(record));
        }
        self.make_due(key);
        // Replays of the same alert may have waited for its end.
        thread_of(&record).iter().for_each(|of| self.make_thread_due(of));
        Some(Ok(record))
    }

    /// It is done, and stands at no offset yet. What waited behind it is due.
    pub fn end(&mut self, key: &Key) -> Option<AlertOutbox> {
        self.drop_waiting(key)
    }

    /// Says which thread an alert has on a channel.
    pub fn put_thread(&mut self, record: &AlertOutbox, thread: &str) {
        if let Some(alert) = &record.alert_id {
            self.past.put_thread(channel_of(record), alert, thread, record.created_at);
        }
    }

    /// Something that is done.
    pub fn is_done(&self, key: &Key) -> Option<&Done> {
        self.past.get(key)
    }

    /// What is done of a channel, and came about since then, the oldest first.
    pub fn done_since(&self, tenant: &str, channel_id: &str, since: TimeMs) -> Vec<(Key, Done)> {
        self.past.since(tenant, channel_id, since)
    }

    /// What was done before a time, or is more than is remembered, and is to be forgotten: some of it. What waits is not among it.
    pub fn done_before(&mut self, time: TimeMs, most: usize) -> Vec<Key> {
        let mut old = self.past.forgotten(time, most);
        old.retain(|key| !self.waiting.contains_key(key));
        old
    }

    /// Whether more is done than is remembered, and [`Self::done_before`] has some of it.
    pub fn is_over(&self) -> bool {
        self.past.is_over()
    }

    /// Messages that wait, their bytes, and how many are done.
    pub fn held(&self) -> (usize, usize, usize) {
        (self.waiting.len(), self.bytes, self.past.count())
    }

    /// Notes where something done stands.
    pub fn put_done(&mut self, key: Key, done: Done) {
        self.past.put(key, done);
    }

    /// Due, unless another message of its alert flies.
    fn make_due(&mut self, key: &Key) {
        let Some(waiting) = self.waiting.get(key) else { return };
        if self.is_free(key, &waiting.record) {
            self.due.insert((waiting.record.next_attempt_at, key.clone()));
        }
    }

    fn is_free(&self, key: &Key, record: &AlertOutbox) -> bool {
        let of = thread_of(record).and_then(|of| self.of_thread.get(&of));
        let flies = |other: &Key| other != key && self.waiting.get(other).is_some_and(|waiting| waiting.flying);
        !of.is_some_and(|all| all.iter().any(|(_, other)| flies(other)))
    }

    fn make_thread_due(&mut self, of: &ThreadOf) {
        let all: Vec<Key> = self.of_thread.get(of).into_iter().flatten().map(|(_, key)| key.clone()).collect();
        for key in all {
            if self.waiting.get(&key).is_some_and(|waiting| !waiting.flying) {
                self.make_due(&key);
            }
        }
    }

    fn drop_waiting(&mut self, key: &Key) -> Option<AlertOutbox> {
        let Waiting { record, .. } = self.waiting.remove(key)?;
        self.due.remove(&(record.next_attempt_at, key.clone()));
        self.bytes = self.bytes.saturating_sub(size(&record));
        let channel = channel_of(&record);
        if let Some(of) = self.of_channel.get_mut(&channel) {
            of.remove(&(record.created_at, key.clone()));
            if of.is_empty() {
                self.of_channel.remove(&channel);
            }
        }
        if let Some(of) = thread_of(&record) {
            if let Some(all) = self.of_thread.get_mut(&of) {
                all.remove(&(record.order, key.clone()));
                if all.is_empty() {
                    self.of_thread.remove(&of);
                }
            }
            self.make_thread_due(&of);
        }
        Some(record)
    }
}

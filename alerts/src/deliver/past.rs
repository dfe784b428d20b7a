//! What was sent of late: where it stands in the outbox, so that it can be sent again, and which thread an alert has on a channel.
//!
//! Guarantee: pure. Of a channel at most so many are remembered as [`limits::DONE_OF_CHANNEL`] says, of all at most [`limits::DONE`]: the oldest of the
//! channel, or of the one that has the most, are forgotten. They are named once ([`Past::forgotten`]), so that they leave the outbox, too.

use std::collections::{BTreeSet, HashMap, VecDeque};

use schemas::{TimeMs, limits::alerts as limits};

use super::queue::Key;

/// A tenant's channel.
pub(super) type ChannelOf = (String, String);

/// Where something that is done stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The channel.
    pub channel_id: String,
    /// When the message came about.
    pub created_at: TimeMs,
    /// When it was done.
    pub done_at: TimeMs,
    /// Offset of its newest record.
    pub offset: u64,
}

/// The alerts of a channel that have threads.
#[derive(Debug, Default)]
struct Threads {
    of_alert: HashMap<String, (String, TimeMs)>,
    by_time: BTreeSet<(TimeMs, String)>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Past {
    done: HashMap<Key, Done>,
    by_time: BTreeSet<(TimeMs, Key)>,
    of_channel: HashMap<ChannelOf, BTreeSet<(TimeMs, Key)>>,
    /// Forgotten since there were too many, and not named yet.
    over: VecDeque<Key>,
    threads: HashMap<ChannelOf, Threads>,
}

fn channel_of(key: &Key, done: &Done) -> ChannelOf {
    let tenant = key.as_str().split_once('/').map_or("", |(tenant, _)| tenant);
    (tenant.to_owned(), done.channel_id.clone())
}

impl Past {
    /// Something that is done.
    pub(super) fn get(&self, key: &Key) -> Option<&Done> {
        self.done.get(key)
    }

    /// How many are known.
    pub(super) fn count(&self) -> usize {
        self.done.len()
    }

    /// Notes where something done stands.
    pub(super) fn put(&mut self, key: Key, done: Done) {
        self.remove(&key);
        let of = channel_of(&key, &done);
        self.by_time.insert((done.done_at, key.clone()));
        let all = self.of_channel.entry(of.clone()).or_default();
        all.insert((done.done_at, key.clone()));
        let full = all.len() > limits::DONE_OF_CHANNEL;
        self.done.insert(key, done);
        if full {
            self.drop_oldest(&of);
        } else if self.done.len() > limits::DONE {
            let most = self.of_channel.iter().max_by_key(|(_, all)| all.len()).map(|(of, _)| of.clone());
            most.iter().for_each(|of| self.drop_oldest(of));
        }
    }

    fn drop_oldest(&mut self, of: &ChannelOf) {
        let oldest = self.of_channel.get(of).and_then(|all| all.first()).map(|(_, key)| key.clone());
        if let Some(key) = oldest {
            self.remove(&key);
            self.over.push_back(key);
        }
    }

    /// It is not done any more, or not known.
    pub(super) fn remove(&mut self, key: &Key) {
        let Some(done) = self.done.remove(key) else { return };
        self.by_time.remove(&(done.done_at, key.clone()));
        let of = channel_of(key, &done);
        if let Some(all) = self.of_channel.get_mut(&of) {
            all.remove(&(done.done_at, key.clone()));
            if all.is_empty() {
                self.of_channel.remove(&of);
            }
        }
    }

    /// What is done of a channel, and came about since then, the oldest first.
    pub(super) fn since(&self, tenant: &str, channel_id: &str, since: TimeMs) -> Vec<(Key, Done)> {
        let of = (tenant.to_owned(), channel_id.to_owned());
        let all = self.of_channel.get(&of).into_iter().flatten();
        let known = all.filter_map(|(_, key)| self.done.get(key).map(|done| (key.clone(), done.clone())));
        let mut found: Vec<(Key, Done)> = known.filter(|(_, done)| done.created_at >= since).collect();
        found.sort_by(|(a, x), (b, y)| (x.created_at, a).cmp(&(y.created_at, b)));
        found
    }

    /// Whether something was forgotten that is not named yet.
    pub(super) fn is_over(&self) -> bool {
        !self.over.is_empty()
    }

    /// Forgets what was done before a time, and names it and what was too much, some of it.
    pub(super) fn forgotten(&mut self, time: TimeMs, most: usize) -> Vec<Key> {
        let mut named = Vec::new();
        while named.len() < most
            && let Some(key) = self.over.pop_front()
        {
            // It was sent once more meanwhile.
            if !self.done.contains_key(&key) {
                named.push(key);
            }
        }
        while named.len() < most
            && let Some((_, key)) = self.by_time.first().filter(|(at, _)| *at < time).cloned()
        {
            self.remove(&key);
            named.push(key);
        }
        self.threads.retain(|_, threads| {
            threads.forget(time);
            !threads.of_alert.is_empty()
        });
        named
    }

    /// The thread of an alert on a channel.
    pub(super) fn thread(&self, of: &ChannelOf, alert_id: &str) -> Option<&str> {
        self.threads.get(of)?.of_alert.get(alert_id).map(|(thread, _)| thread.as_str())
    }

    /// Says which thread an alert has, by a message that came about then.
    pub(super) fn put_thread(&mut self, of: ChannelOf, alert_id: &str, thread: &str, at: TimeMs) {
        self.threads.entry(of).or_default().put(alert_id, thread, at);
    }
}

impl Threads {
    fn put(&mut self, alert_id: &str, thread: &str, at: TimeMs) {
        if let Some((_, before)) = self.of_alert.insert(alert_id.to_owned(), (thread.to_owned(), at)) {
            self.by_time.remove(&(before, alert_id.to_owned()));
        }
        self.by_time.insert((at, alert_id.to_owned()));
        if self.by_time.len() > limits::DONE_OF_CHANNEL
            && let Some((_, oldest)) = self.by_time.pop_first()
        {
            self.of_alert.remove(&oldest);
        }
    }

    fn forget(&mut self, time: TimeMs) {
        while self.by_time.first().is_some_and(|(at, _)| *at < time)
            && let Some((_, oldest)) = self.by_time.pop_first()
        {
            self.of_alert.remove(&oldest);
        }
    }
}

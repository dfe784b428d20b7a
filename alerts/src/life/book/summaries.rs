//! What channels are told of no single alert: that a reorg is over, and what was left out.

use std::collections::BTreeSet;

use schemas::{
    TimeMs,
    records::{AlertMatch, AlertOutbox},
};
use serde_json::json;

use super::{
    super::{Clock, Entry, Key, Output, Policy},
    Book, Looked,
};

impl Book {
    /// A reorg of a network is over: what was taken back in it is, and every channel that heard of an alert there hears so.
    pub(super) fn settled(&mut self, record: &AlertMatch, clock: &Clock, out: &mut Output) {
        let of_network = |(key, entry): (&Key, &Entry)| {
            (key.network == record.network && entry.lives().iter().any(|life| life.in_reorg)).then(|| key.clone())
        };
        let keys: Vec<Key> = self.entries.iter().filter_map(of_network).collect();
        let mut channels = BTreeSet::new();
        for key in keys {
            if let Some(entry) = self.entries.get(&key) {
                let touched = entry.lives().iter().filter(|life| life.in_reorg);
                channels.extend(touched.flat_map(|life| life.told.keys().cloned()));
            }
            self.step(&key, clock, out, Looked::Changed, |entry, world, out| entry.take(record, world, out));
        }
        for channel in channels {
            if !self.settings.channels.get(&channel).is_some_and(|facts| facts.active) {
                continue;
            }
            let of = format!("settled/{}/{}/{channel}", record.network, record.sequence);
            out.outbox.push(AlertOutbox {
                id: schemas::ulid_of(record.observed_at, of.as_bytes()),
                body: json!({ "network": record.network, "sequence": record.sequence, "height": record.height })
                    .to_string(),
                ..self.message(&channel, "alerts.settled", record.observed_at)
            });
        }
    }

    /// Tells the channels of monitors what was left out, where that is due: of one its own, of all those of all.
    pub(super) fn tell_left_out(&mut self, now: TimeMs, out: &mut Output) {
        let due: Vec<String> =
            self.left_out.iter().filter(|(_, of)| of.due() <= now).map(|(key, _)| key.clone()).collect();
        for key in due {
            let Some(left_out) = self.left_out.get_mut(&key) else { continue };
            self.changed_left_out.insert(key.clone());
            let concerned: Vec<&Policy> = match left_out.monitor() {
                Some(monitor) => self.settings.policies.get(monitor).into_iter().collect(),
                // Which of them would have found something nobody knows.
                None => self.settings.policies.values().filter(|policy| policy.scope.is_none()).collect(),
            };
            let severity = concerned.iter().map(|policy| policy.severity).max();
            let Some(severity) = severity.filter(|_| !left_out.is_told()) else {
                self.left_out.remove(&key);
                continue;
            };
            let (body, of) = left_out.take(severity, now);
            let mut channels: BTreeSet<String> = BTreeSet::new();
            for policy in concerned {
                let named = policy.channels_at(policy.severity, false, now);
                let heard = named
                    .filter_map(|channel| self.settings.channel(channel))
                    .filter(|(_, facts)| facts.active && policy.severity >= facts.min_severity);
                channels.extend(heard.map(|(id, _)| id.to_owned()));
            }
            for channel in channels {
                let of = format!("{}/{of}/{channel}", self.tenant);
                out.outbox.push(AlertOutbox {
                    id: schemas::ulid_of(now, of.as_bytes()),
                    body: body.to_string(),
                    ..self.message(&channel, "channel.summary", now)
                });
            }
        }
    }
}

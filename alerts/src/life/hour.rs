//! What a channel has been sent of late, and what was over its cap.
//!
//! Guarantee: in sixty minutes a channel is sent no more firings, repeats and amendments than its cap, and one summary in
//! [`limits::SUMMARY_WITHIN`]; what is over the cap is counted and named in that summary, never dropped without a word. What becomes of an
//! alert that the channel was told of (acknowledged, resolved, retracted, included again) is not asked about here, and always goes: else an incident that was opened at
//! the receiver would stay open.

use std::collections::BTreeMap;

use schemas::{TimeMs, limits::alerts as limits, records::AlertOutbox, ulid_of};
use serde_json::{Value, json};

use super::{Message, clock::after};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Hour {
    /// Messages by the minute in which they came about.
    minutes: BTreeMap<i64, u32>,
    /// What was over the cap and is not told yet.
    over: Option<Over>,
    /// Rises with every change.
    pub(super) revision: u64,
}

#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct Over {
    since: i64,
    count: u64,
    kinds: BTreeMap<String, u64>,
    alerts: Vec<Value>,
}

/// Minutes in an hour.
const MINUTES: i64 = 60;

impl Hour {
    /// Whether a message that is under the cap may go now. One that may not is counted for the summary.
    pub fn takes(&mut self, message: &Message, per_hour: u32, now: TimeMs) -> bool {
        self.revision += 1;
        let minute = now.0.div_euclid(60_000);
        self.minutes.retain(|at, _| *at > minute - MINUTES);
        let sent = self.sent(now);
        // While a summary is due, what comes belongs into it: it would overtake what is in there.
        if sent < u64::from(per_hour) && self.over.is_none() {
            *self.minutes.entry(minute).or_default() += 1;
            return true;
        }
        let over = self.over.get_or_insert_with(|| Over { since: now.0, ..Over::default() });
        over.count += 1;
        *over.kinds.entry(message.kind.to_owned()).or_default() += 1;
        let id = message.body.get("id");
        let brief = brief(&message.body);
        if let Some(known) = over.alerts.iter_mut().find(|alert| alert.get("id") == id) {
            *known = brief;
        } else if over.alerts.len() < limits::SUMMARY_ALERTS {
            over.alerts.push(brief);
        }
        false
    }

    /// Messages under the cap in the hour until now.
    pub fn sent(&self, now: TimeMs) -> u64 {
        let minute = now.0.div_euclid(60_000);
        self.minutes.range(minute - MINUTES + 1..).map(|(_, n)| u64::from(*n)).sum()
    }

    /// When a summary is due.
    pub fn due(&self) -> Option<TimeMs> {
        self.over.as_ref().map(|over| after(TimeMs(over.since), limits::SUMMARY_WITHIN))
    }

    /// The summary, when it is due.
    pub fn summary(&mut self, tenant: &str, channel: &str, now: TimeMs) -> Option<AlertOutbox> {
        if self.due()? > now {
            return None;
        }
        let over = self.over.take()?;
        self.revision += 1;
        let (since, until) = (TimeMs(over.since), now);
        let body = json!({
            "count": over.count,
            "since": since.rfc3339(),
            "until": until.rfc3339(),
            "kinds": over.kinds,
            "alerts": over.alerts,
        });
        Some(AlertOutbox {
            id: ulid_of(since, format!("summary/{tenant}/{channel}/{}", over.count).as_bytes()),
            body: body.to_string(),
            ..AlertOutbox::new(tenant, channel, "channel.summary", now)
        })
    }

    /// Whether there is nothing to remember.
    pub fn is_empty(&self, now: TimeMs) -> bool {
        let minute = now.0.div_euclid(60_000);
        self.over.is_none() && self.minutes.keys().all(|at| *at <= minute - MINUTES)
    }
}

fn brief(alert: &Value) -> Value {
    let of = |key: &str| alert.get(key).cloned().unwrap_or_default();
    json!({
        "id": of("id"),
        "source": of("source"),
        "network": of("network"),
        "contract": of("contract"),
        "state": of("state"),
        "severity": of("severity"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(alert: &str) -> Message {
        Message {
            channel: "C".into(),
            capped: true,
            kind: "alert.firing",
            alert_id: alert.into(),
            at: TimeMs(0),
            order: 1,
            body: json!({"id": alert, "state": "firing"}),
        }
    }

    #[test]
    fn what_is_over_the_cap_comes_as_one_summary() {
        let (mut hour, minute) = (Hour::default(), 60_000);
        let takes = |hour: &mut Hour, alert: &str, at| hour.takes(&message(alert), 2, TimeMs(at));
        assert!(takes(&mut hour, "a", 0) && takes(&mut hour, "b", minute));
        assert!(!takes(&mut hour, "c", 2 * minute) && !takes(&mut hour, "c", 2 * minute + 1));
        assert_eq!(hour.due(), Some(after(TimeMs(2 * minute), limits::SUMMARY_WITHIN)));
        assert!(hour.summary("t", "C", TimeMs(2 * minute + 2)).is_none());
        let summary = hour.summary("t", "C", TimeMs(3 * minute)).unwrap();
        let body: Value = serde_json::from_str(&summary.body).unwrap();
        assert_eq!((&body["count"], &body["kinds"]["alert.firing"]), (&json!(2), &json!(2)));
        assert_eq!(body["alerts"].as_array().unwrap().len(), 1);
        assert!(hour.summary("t", "C", TimeMs(4 * minute)).is_none());
        // The first one's minute is an hour ago.
        assert!(!takes(&mut hour, "d", 59 * minute + 59_999));
        assert!(hour.summary("t", "C", TimeMs(62 * minute)).is_some());
        assert!(takes(&mut hour, "e", 62 * minute));
        assert!(!hour.is_empty(TimeMs(100 * minute)) && hour.is_empty(TimeMs(122 * minute)));
    }

    #[test]
    fn a_flood_stays_small() {
        let mut hour = Hour::default();
        for n in 0..10_000 {
            hour.takes(&message(&n.to_string()), 1, TimeMs(n));
        }
        let summary = hour.summary("t", "C", TimeMs(60_000)).unwrap();
        let body: Value = serde_json::from_str(&summary.body).unwrap();
        assert_eq!(body["count"], json!(9_999));
        assert_eq!(body["alerts"].as_array().unwrap().len(), limits::SUMMARY_ALERTS);
        assert!(serde_json::to_string(&hour).unwrap().len() < 200);
    }
}

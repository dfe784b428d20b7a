//! What of a monitor was left out on a network since a block may give so many matches only, or of all of a tenant's since their conditions
//! may cost a block so much only, and when the tenant hears of it.
//!
//! Guarantee: the first time at once, then once an hour at most with all that was left out meanwhile, whatever is restarted.

use std::time::Duration;

use schemas::{
    TimeMs,
    records::{AlertMatch, AlertSource, LeftOutKind, Severity},
};
use serde_json::{Value, json};

use super::clock::after;

/// How often it is told.
const EVERY: Duration = Duration::from_secs(3_600);

/// See the module.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LeftOut {
    source: AlertSource,
    network: String,
    told_at: Option<i64>,
    since: i64,
    count: u64,
    #[serde(default = "matches")]
    of: LeftOutKind,
    /// Rises with every change.
    pub(super) revision: u64,
}

/// What a record says, and how much of it.
fn said(record: &AlertMatch) -> (LeftOutKind, u64) {
    record.left_out().unwrap_or((LeftOutKind::Matches, 0))
}

/// Before it was told apart, it was of matches.
const fn matches() -> LeftOutKind {
    LeftOutKind::Matches
}

impl LeftOut {
    /// Which one of its tenant's a record belongs to: one for each monitor and network, and one for each network and all monitors.
    pub fn key(record: &AlertMatch) -> String {
        match said(record).0 {
            LeftOutKind::Matches => format!("{}:{}", record.source.id, record.network),
            LeftOutKind::Transactions => format!(":{}", record.network),
        }
    }

    /// The monitor's id; `None`: it is of all.
    pub fn monitor(&self) -> Option<&str> {
        (self.of == LeftOutKind::Matches).then_some(self.source.id.as_str())
    }

    /// Nothing yet.
    pub fn of(record: &AlertMatch) -> Self {
        let (source, network) = (record.source.clone(), record.network.to_string());
        Self { source, network, told_at: None, since: 0, count: 0, of: said(record).0, revision: 0 }
    }

    /// More was left out.
    pub fn add(&mut self, record: &AlertMatch, now: TimeMs) {
        let (_, count) = said(record);
        if self.count == 0 {
            self.since = now.0;
        }
        self.count = self.count.saturating_add(count);
        (self.source, self.network) = (record.source.clone(), record.network.to_string());
        self.revision += 1;
    }

    /// When it is to be told, or forgotten.
    pub fn due(&self) -> TimeMs {
        self.told_at.map_or(TimeMs(self.since), |told| after(TimeMs(told), EVERY))
    }

    /// Whether there is nothing to tell.
    pub fn is_told(&self) -> bool {
        self.count == 0
    }

    /// The summary's body, and what tells it from others.
    pub fn take(&mut self, severity: Severity, now: TimeMs) -> (Value, String) {
        let (word, state) = match self.of {
            LeftOutKind::Matches => ("left out", "left out"),
            LeftOutKind::Transactions => ("not looked at", "took the most steps"),
        };
        let of = format!("{word}/{}/{}/{}", self.source.id, self.network, self.revision);
        let body = json!({
            "count": self.count,
            "since": TimeMs(self.since).rfc3339(),
            "until": now.rfc3339(),
            "kinds": {self.of.as_str(): self.count},
            "alerts": [{
                "id": null, "source": self.source, "network": self.network, "contract": null, "state": state,
                "severity": severity,
            }],
        });
        (self.told_at, self.count) = (Some(now.0), 0);
        self.revision += 1;
        (body, of)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemas::records::{Figured, MatchOp, SourceKind};

    use super::{
        super::{Book, ChannelFacts, Clock, Output, Policy, Settings},
        *,
    };

    fn record(count: u64) -> AlertMatch {
        AlertMatch {
            tenant: "t".to_owned(),
            source: AlertSource { kind: SourceKind::Monitor, id: "m".to_owned(), name: "All".to_owned(), version: 1 },
            op: MatchOp::LeftOut,
            network: "demo".parse().expect("a slug"),
            sequence: 7,
            height: 7,
            block_hash: None,
            at: TimeMs(0),
            observed_at: TimeMs(0),
            contract: None,
            group: BTreeMap::new(),
            found: None,
            figure: Some(Figured { over: false, evidence: json!({"left_out": count}).to_string() }),
        }
    }

    fn settings() -> Settings {
        let policy = Policy {
            version: 1,
            scope: None,
            networks: None,
            severity: Severity::Warning,
            hold: Duration::ZERO,
            cooldown: Duration::ZERO,
            repeat_every: None,
            channels: vec!["C".to_owned()],
            routes: Vec::new(),
            escalate: None,
        };
        let facts = ChannelFacts {
            name: "ops".to_owned(),
            min_severity: Severity::Info,
            per_hour: 1,
            send_resolved: true,
            active: true,
        };
        let (policies, channels) = ([("m".to_owned(), policy)].into(), [("C".to_owned(), facts)].into());
        Settings { policies, channels, per_hour: None, silences: Vec::new() }
    }

    #[test]
    fn the_tenant_hears_at_once_and_then_once_an_hour_whatever_is_restarted() {
        let (mut book, mut clock, mut out) = (Book::new("t"), Clock::default(), Output::default());
        let counts = |out: &mut Output| -> Vec<u64> {
            let bodies =
                out.outbox.drain(..).map(|message| serde_json::from_str::<Value>(&message.body).expect("JSON"));
            bodies.map(|body| body["kinds"]["left_out"].as_u64().expect("a count")).collect()
        };
        let hour = 3_600_000;
        clock.set(TimeMs(hour), true);
        book.define(settings(), &clock, &mut out);
        book.take(&record(5), &clock, &mut out);
        assert_eq!(counts(&mut out), [5]);
        clock.set(TimeMs(hour + 60_000), true);
        (0..3).for_each(|_| book.take(&record(2), &clock, &mut out));
        assert_eq!((counts(&mut out), book.due()), (vec![], Some(TimeMs(2 * hour))));
        // Read back from what was written.
        let mut again = Book::new("t");
        for change in book.changes() {
            again.restore(&change.state.expect("it is there")).expect("it can be read");
        }
        clock.set(TimeMs(2 * hour), true);
        again.define(settings(), &clock, &mut out);
        again.tick(&clock, &mut out);
        assert_eq!(counts(&mut out), [6]);
        clock.set(TimeMs(3 * hour), true);
        again.tick(&clock, &mut out);
        assert_eq!((counts(&mut out), again.due()), (vec![], None), "nothing more came: it is forgotten");
        assert!(again.changes().iter().any(|change| change.state.is_none()));
    }

    #[test]
    fn a_monitor_of_two_networks_tells_of_each() {
        let (mut book, mut clock, mut out) = (Book::new("t"), Clock::default(), Output::default());
        clock.set(TimeMs(3_600_000), true);
        book.define(settings(), &clock, &mut out);
        let of = |network: &str, count: u64| AlertMatch { network: network.parse().expect("a slug"), ..record(count) };
        for (network, count) in [("demo", 5), ("other", 3), ("demo", 2), ("other", 1)] {
            book.take(&of(network, count), &clock, &mut out);
        }
        clock.set(TimeMs(2 * 3_600_000), true);
        book.tick(&clock, &mut out);
        let ids: std::collections::BTreeSet<&str> = out.outbox.iter().map(|message| message.id.as_str()).collect();
        assert_eq!(ids.len(), 4, "each is a message of its own");
        let told = out.outbox.iter().map(|message| {
            let body: Value = serde_json::from_str(&message.body).expect("JSON");
            (body["alerts"][0]["network"].as_str().expect("a network").to_owned(), body["count"].as_u64())
        });
        let told: Vec<(String, Option<u64>)> = told.collect();
        let of = |network: &str, count: u64| (network.to_owned(), Some(count));
        assert_eq!(told, [of("demo", 5), of("other", 3), of("demo", 2), of("other", 1)]);
    }
}

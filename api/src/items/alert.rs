//! Alerts as REST and the WebSocket show them, what monitors matched, and annotations.

use std::collections::BTreeMap;

use schemas::{
    Family, TimeMs,
    records::{Alert, AlertEvent, AlertPhase, SourceKind},
};
use serde::Serialize;
use serde_json::Value;
use store::query::{LeftOut, MatchRow, Why};
use utoipa::ToSchema;

/// An alert.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Alert)]
pub struct AlertItem {
    /// A ULID: the thread of its messages.
    pub id: String,
    /// The rule or monitor, as it was then.
    pub source: AlertSourceItem,
    /// Slug of its network.
    pub network: String,
    /// The contract, where it is about one.
    pub contract: Option<String>,
    /// The group: values by the names in `group_by`.
    pub group: BTreeMap<String, String>,
    /// Where it stands.
    #[schema(pattern = "^(pending|firing|acknowledged|resolved|retracted)$")]
    pub state: String,
    /// How bad it is.
    #[schema(pattern = "^(critical|warning|info)$")]
    pub severity: String,
    /// When its cause began.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// When it fired; null before.
    #[schema(format = DateTime)]
    pub fired_at: Option<String>,
    /// When it was over; null before.
    #[schema(format = DateTime)]
    pub ended_at: Option<String>,
    /// Whether a silence keeps its messages back.
    pub silenced: bool,
    /// Of a rule `metric`, `value`, `threshold` and what they come of; of a monitor `matches`.
    #[schema(value_type = Object)]
    pub evidence: Value,
    /// What became of it, oldest first.
    pub events: Vec<AlertEventItem>,
    /// Where to look, and what to press.
    pub links: AlertLinksItem,
}

/// The rule or monitor behind an alert.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AlertSource)]
pub struct AlertSourceItem {
    /// `rule` or `monitor`.
    #[schema(pattern = "^(rule|monitor)$")]
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name then.
    pub name: String,
    /// Its version then.
    pub version: u64,
}

/// A transition of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AlertEvent)]
pub struct AlertEventItem {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// What.
    #[schema(pattern = "^(pending|fired|amended|acknowledged|repeated|resolved|retracted|included_again)$")]
    pub kind: String,
    /// Who did it; null: nobody, by itself.
    pub by: Option<String>,
    /// What who did it wrote.
    pub note: Option<String>,
    /// The block event that it rests on; null where a clock or somebody did it.
    pub sequence: Option<u64>,
    /// Its height.
    pub height: Option<u64>,
}

/// Links of an alert.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AlertLinks)]
pub struct AlertLinksItem {
    /// Its page.
    pub dashboard: String,
    /// Acknowledges it once, without a login; null when it is over or acknowledged, or when whoever asks may not.
    pub acknowledge: Option<String>,
}

impl AlertEventItem {
    /// Of a record.
    pub fn of(event: &AlertEvent) -> Self {
        Self {
            at: event.at.rfc3339(),
            kind: event.kind.as_str().to_owned(),
            by: event.by.clone(),
            note: event.note.clone(),
            sequence: event.sequence,
            height: event.height,
        }
    }
}

impl AlertItem {
    /// An alert with what became of it. `base` is where people reach us; `acknowledge` makes the link, where who asks may press it.
    pub fn new(
        alert: Alert,
        events: Vec<AlertEventItem>,
        base: &str,
        acknowledge: impl FnOnce(&str) -> Option<String>,
    ) -> Self {
        let time = |at: TimeMs| at.rfc3339();
        let open = matches!(alert.state, AlertPhase::Pending | AlertPhase::Firing);
        let links = AlertLinksItem {
            dashboard: format!("{base}/alerts/{}", alert.id),
            acknowledge: if open { acknowledge(&alert.id) } else { None },
        };
        Self {
            id: alert.id,
            source: AlertSourceItem {
                kind: alert.source.kind.as_str().to_owned(),
                id: alert.source.id,
                name: alert.source.name,
                version: alert.source.version,
            },
            network: alert.network.to_string(),
            contract: alert.contract,
            group: alert.group,
            state: alert.state.as_str().to_owned(),
            severity: alert.severity.as_str().to_owned(),
            started_at: time(alert.started_at),
            fired_at: alert.fired_at.map(time),
            ended_at: alert.ended_at.map(time),
            silenced: alert.silenced,
            evidence: alert.evidence,
            events,
            links,
        }
    }
}

/// A transaction, event or call that fits a monitor's condition.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Match)]
pub struct MatchItem {
    /// Slug of its network.
    pub network: String,
    /// The transaction.
    pub transaction_hash: String,
    /// What fits.
    #[schema(pattern = "^(event|function|transaction)$")]
    pub kind: String,
    /// Of an event: its log's place inside the transaction, from 0; else null.
    pub position: Option<u32>,
    /// Canonical signature without blanks; null of a transaction.
    pub signature: Option<String>,
    /// Arguments by name.
    #[schema(value_type = Object)]
    pub arguments: Value,
    /// Height of its block.
    pub height: u64,
    /// Its block.
    pub block_hash: String,
    /// Version of the monitor that found it.
    pub monitor_version: u64,
    /// `live`, or `retracted` by a reorg.
    #[schema(pattern = "^(live|retracted)$")]
    pub state: String,
    /// Time of its block.
    #[schema(format = DateTime)]
    pub at: String,
    /// Why its transaction failed, one word; null where it did not, and while that is not known.
    pub cause: Option<String>,
    /// The same in words.
    pub reason: Option<String>,
}

impl MatchItem {
    /// Of a row, of a network of a family: rows have hashes as EVM's chains print them; and why its transaction failed where it did.
    pub fn of(row: MatchRow, family: Option<Family>, why: Option<Why>) -> Self {
        let (cause, reason) = why.map_or((None, None), |why| (why.cause, why.reason));
        let printed = |hash: String| match family {
            Some(Family::Bitcoin) => hash.trim_start_matches("0x").to_owned(),
            _ => hash,
        };
        Self {
            network: row.network,
            transaction_hash: printed(row.hash),
            kind: row.kind,
            position: row.place.checked_sub(1),
            signature: Some(row.signature).filter(|signature| !signature.is_empty()),
            arguments: serde_json::from_str(&row.arguments).unwrap_or_else(|_| Value::Object(Default::default())),
            height: row.height,
            block_hash: printed(row.block),
            monitor_version: row.version,
            state: if row.live { "live" } else { "retracted" }.to_owned(),
            at: row.time.rfc3339(),
            cause,
            reason,
        }
    }
}

/// The newest matches of a monitor, and what was left out of them.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Matches)]
pub struct MatchesItem {
    /// The newest first.
    pub items: Vec<MatchItem>,
    /// Null: there are no further pages.
    pub next: Option<String>,
    /// What was not told within the last seven days, by network; empty where nothing was left out.
    pub left_out: Vec<LeftOutItem>,
}

/// What of a monitor was left out on one network.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LeftOut)]
pub struct LeftOutItem {
    /// Slug of the network.
    pub network: String,
    /// Matches that there were beyond those that a block may give (1,000 of an organisation's).
    pub matches: u64,
    /// Transactions that none of the organisation's monitors was put to, since their conditions cost too much of a block.
    pub transactions: u64,
    /// Time of the first block of which something was left out.
    #[schema(format = DateTime)]
    pub since: String,
    /// Time of the last one.
    #[schema(format = DateTime)]
    pub last_at: String,
}

impl From<LeftOut> for LeftOutItem {
    fn from(row: LeftOut) -> Self {
        Self {
            network: row.network,
            matches: row.matches,
            transactions: row.transactions,
            since: row.first.rfc3339(),
            last_at: row.last.rfc3339(),
        }
    }
}

/// What a monitor would have matched of late.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = Preview)]
pub struct PreviewItem {
    /// The newest matches, 50 at most.
    pub items: Vec<MatchItem>,
    /// How many there are among what was looked at.
    pub matches: u64,
    /// Transactions that were looked at.
    pub transactions: u64,
    /// Those of them that it was not put to, since its conditions cost their block all that a tenant's may (`[alerts] max_steps`).
    pub left_out: u64,
    /// Whether a condition names `failure_cause`: what is found by a cause that came after its block is not among the matches.
    pub asks_for_causes: bool,
    /// Time of the oldest block among them; null where there was none.
    #[schema(format = DateTime)]
    pub from: Option<String>,
    /// Time of the newest.
    #[schema(format = DateTime)]
    pub to: Option<String>,
}

/// A time on a chart, as Grafana's JSON sources take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Annotation)]
pub struct AnnotationItem {
    /// When it fired, milliseconds since 1970.
    pub time: i64,
    /// When it was over, or now while it is not.
    #[serde(rename = "timeEnd")]
    pub time_end: i64,
    /// Name of the rule or monitor.
    pub title: String,
    /// What it found.
    pub text: String,
    /// Kind, severity, state, network, and the contract where there is one.
    pub tags: Vec<String>,
}

impl AnnotationItem {
    /// Of an alert that fired.
    pub fn of(alert: &Alert, now: TimeMs) -> Option<Self> {
        let fired = alert.fired_at?;
        let mut tags: Vec<String> =
            [alert.source.kind.as_str(), alert.severity.as_str(), alert.state.as_str(), alert.network.as_str()]
                .map(str::to_owned)
                .into();
        tags.extend(alert.contract.clone());
        Some(Self {
            time: fired.0,
            time_end: alert.ended_at.map_or(now.0, |ended| ended.0).max(fired.0),
            title: alert.source.name.clone(),
            text: words(alert),
            tags,
        })
    }
}

/// What an alert found, in a few words.
fn words(alert: &Alert) -> String {
    let value = |name: &str| match alert.evidence.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    match alert.source.kind {
        SourceKind::Rule => {
            let figure = [value("metric"), value("value")].into_iter().flatten().collect::<Vec<_>>().join(" ");
            let threshold = value("threshold").map(|threshold| format!(", threshold {threshold}"));
            let window = value("window").map(|window| format!(", over {window}"));
            format!("{figure}{}{}", threshold.unwrap_or_default(), window.unwrap_or_default())
        }
        SourceKind::Monitor => {
            let held = alert.evidence.get("matches").and_then(Value::as_array).map_or(0, Vec::len);
            let count = alert.evidence.get("count").and_then(Value::as_u64).unwrap_or(held as u64);
            if count == 1 { "1 match".to_owned() } else { format!("{count} matches") }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alert(kind: &str, evidence: Value) -> Alert {
        serde_json::from_value(json!({
            "id": "01KB8Z6Q4M7W0V1N3S5X9Y2ABC", "source": {"kind": kind, "id": "r", "name": "Router", "version": 1},
            "network": "a", "contract": "0x01", "group": {}, "state": "firing", "severity": "warning",
            "started_at": "2026-11-29T17:00:00.000Z", "fired_at": "2026-11-29T17:00:05.000Z", "ended_at": null,
            "silenced": false, "evidence": evidence,
        }))
        .expect("an alert")
    }

    #[test]
    fn annotations_say_what_was_found() {
        let rule = json!({"metric": "failure_rate", "value": 0.12, "threshold": 0.05, "window": "5m"});
        let of = |alert: &Alert| AnnotationItem::of(alert, TimeMs(1_795_971_999_000)).expect("it fired");
        let shown = of(&alert("rule", rule));
        assert_eq!(shown.text, "failure_rate 0.12, threshold 0.05, over 5m");
        assert_eq!((shown.time, shown.time_end), (1_795_971_605_000, 1_795_971_999_000));
        assert_eq!(shown.tags, ["rule", "warning", "firing", "a", "0x01"]);
        assert_eq!(of(&alert("monitor", json!({"matches": [{}], "count": 40}))).text, "40 matches");
        assert_eq!(of(&alert("monitor", json!({"matches": [{}]}))).text, "1 match");
        assert_eq!(of(&alert("rule", json!({}))).text, "");
    }

    #[test]
    fn the_link_is_made_only_where_there_is_something_to_press() {
        let link = |id: &str| Some(format!("link of {id}"));
        let firing = alert("rule", json!({}));
        let over = Alert { state: AlertPhase::Resolved, ..firing.clone() };
        let item = AlertItem::new(firing, Vec::new(), "https://hw.example", link);
        assert_eq!(item.links.dashboard, "https://hw.example/alerts/01KB8Z6Q4M7W0V1N3S5X9Y2ABC");
        assert_eq!(item.links.acknowledge.as_deref(), Some("link of 01KB8Z6Q4M7W0V1N3S5X9Y2ABC"));
        assert_eq!(AlertItem::new(over, Vec::new(), "", link).links.acknowledge, None);
    }
}

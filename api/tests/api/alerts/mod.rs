//! What rules and monitors told: by REST, by the link of a message, over the WebSocket; and what people ask of it.

mod commands;
mod link;
mod live;
mod rest;
mod said;
mod tried;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use runtime::log::{Log, PollLimits, Polled, TopicPartition};
use schemas::{
    Network, TimeMs,
    codec::Codec,
    records::{
        AlertCommand, AlertDelivery, AlertEvent, AlertEventKind, AlertMatch, AlertSource, Command, DeliveryState,
        Found, FoundKind, MatchOp, SourceKind,
    },
    topics::ALERTS_COMMANDS,
    ulid_of,
};
use serde_json::{Value, json};

use crate::{door::Keyed, http::Answer, world::World};

/// The tenant of whoever comes with a key of the operator.
pub const MINE: &str = "00000000000000000000000000";
/// Another one's.
pub const THEIRS: &str = "01J00000000000000000000002";

pub fn network(slug: &str) -> Network {
    slug.parse().expect("a slug")
}

/// The id of an alert that began so many minutes ago.
pub fn id(minutes: i64) -> String {
    ulid_of(TimeMs(TimeMs::now().0 / 60_000 * 60_000 - minutes * 60_000), &minutes.to_be_bytes())
}

/// An alert after a transition.
pub fn event(tenant: &str, id: &str, revision: u64, kind: AlertEventKind, state: &str) -> AlertEvent {
    let at = TimeMs(TimeMs::now().0 - 60_000 + revision as i64);
    let over = ["resolved", "retracted"].contains(&state);
    let alert = json!({
        "id": id, "source": {"kind": "rule", "id": "01J000000000000000000000RV", "name": "Fails <b>often</b>", "version": 2},
        "network": "ethereum", "contract": format!("0x{:040x}", 7), "group": {"contract": "7"}, "state": state,
        "severity": "critical", "started_at": at.rfc3339(), "fired_at": at.rfc3339(), "ended_at": over.then(|| at.rfc3339()),
        "silenced": false, "evidence": {"metric": "failure_rate", "value": 0.5, "threshold": 0.05, "window": "5m"},
    });
    AlertEvent {
        tenant: tenant.to_owned(),
        alert_id: id.to_owned(),
        kind,
        revision,
        at,
        by: None,
        note: None,
        network: network("ethereum"),
        sequence: Some(41 + revision),
        height: Some(100),
        alert: alert.to_string(),
        matches: "[]".to_owned(),
    }
}

pub fn fired(tenant: &str, id: &str) -> AlertEvent {
    event(tenant, id, 1, AlertEventKind::Fired, "firing")
}

/// A message about an alert, or about none.
pub fn delivery(tenant: &str, id: &str, alert: Option<&str>, attempt: u32, state: DeliveryState) -> AlertDelivery {
    AlertDelivery {
        tenant: tenant.to_owned(),
        id: id.to_owned(),
        alert_id: alert.map(str::to_owned),
        channel_id: "01J00000000000000000CHANNE".to_owned(),
        channel_type: "webhook".to_owned(),
        kind: "alert.firing".to_owned(),
        state,
        at: TimeMs(TimeMs::now().0 - 10_000 + i64::from(attempt)),
        attempt,
        status: (attempt > 0).then_some(503),
        latency_ms: (attempt > 0).then_some(12),
        error: (attempt > 0).then(|| "503 Service Unavailable".to_owned()),
        next_attempt_at: (state == DeliveryState::Queued).then(TimeMs::now),
        thread: None,
    }
}

/// What a monitor matched.
pub fn matched(tenant: &str, monitor: &str, hash: u8) -> AlertMatch {
    AlertMatch {
        tenant: tenant.to_owned(),
        source: AlertSource { kind: SourceKind::Monitor, id: monitor.to_owned(), name: "m".to_owned(), version: 1 },
        op: MatchOp::Match,
        network: network("ethereum"),
        sequence: u64::from(hash),
        height: 100,
        block_hash: Some(format!("0x{}", "ab".repeat(32)).parse().expect("a hash")),
        at: TimeMs(TimeMs::now().0 - 5_000),
        observed_at: TimeMs::now(),
        contract: None,
        group: BTreeMap::new(),
        found: Some(Found {
            transaction_hash: [hash; 32].into(),
            kind: FoundKind::Event,
            position: Some(0),
            condition: 0,
            signature: Some("Transfer(address,address,uint256)".to_owned()),
            arguments: "{\"value\":\"7\"}".to_owned(),
            cause: None,
        }),
        figure: None,
    }
}

/// An API with keys, and a sink that writes what becomes of alerts.
pub async fn start() -> Keyed {
    let mut keyed = Keyed::start(&["ethereum", "silent"]).await;
    keyed.world.start_sink().await;
    keyed
}

/// Asks again and again until the answer is as wanted.
pub async fn until(keyed: &Keyed, key: &str, target: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..600 {
        let answer = keyed.ask("GET", target, key).await;
        if answer.status == 200 && wanted(&answer.json()) {
            return answer.json();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain for {what} at {target}");
}

/// The alerts' stage, as far as these tests go: it carries out each command that says to acknowledge, after so long.
pub struct Stage {
    log: Arc<dyn Log>,
    codec: Codec,
}

impl Stage {
    pub fn of(world: &World) -> Self {
        Self { log: Arc::clone(&world.log), codec: Codec::builtin() }
    }

    /// All commands that were given so far.
    pub async fn commands(&self) -> Vec<AlertCommand> {
        let at = TopicPartition { topic: ALERTS_COMMANDS.name, partition: 0 };
        let end = self.log.watermarks(at).await.expect("a topic").high;
        let mut reader = self.log.reader(&[(at, 0)]).await.expect("a reader");
        let limits = PollLimits { records: 100, bytes: 1 << 20, wait: Duration::from_millis(100) };
        let mut found = Vec::new();
        while reader.reached(at) < end {
            if let Polled::Records(records) = reader.poll(limits).await.expect("records") {
                let values = records.iter().filter_map(|record| record.value.as_ref());
                found.extend(values.map(|value| self.codec.decode::<AlertCommand>(value).expect("a command")));
            }
        }
        found
    }

    /// The `n`th command, from 0.
    pub async fn command(&self, n: usize) -> AlertCommand {
        for _ in 0..600 {
            if let Some(command) = self.commands().await.into_iter().nth(n) {
                return command;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("there is no {n}th command");
    }

    /// Waits for the `n`th command, which acknowledges, and tells what comes of it.
    pub async fn acknowledges(&self, world: &World, n: usize, revision: u64) {
        let command = self.command(n).await;
        let Command::Acknowledge { alert_id, note } = command.what else { panic!("{command:?}") };
        let mut event = event(&command.tenant, &alert_id, revision, AlertEventKind::Acknowledged, "acknowledged");
        (event.by, event.note, event.sequence, event.height) = (Some(command.by), note, None, None);
        world.tell(&network("ethereum"), &event).await;
    }
}

/// Status and kind of a refusal.
pub fn kind(answer: &Answer) -> (u16, String) {
    crate::created::kind(answer)
}

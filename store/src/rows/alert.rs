//! `alert_event_rows`, `alert_rows`, `alert_delivery_rows`, `alert_match_rows` and `alert_left_out_rows`: what becomes of alerts.

use schemas::{
    TimeMs,
    records::{Alert, AlertDelivery, AlertEvent, AlertMatch, Found, LeftOutKind},
};

use super::{
    block_hash,
    native::{Fixed, Nullable, Numbers, Strings, Times, Values, Words, columns},
};

columns! {
    /// `alert_event_rows`; columns as there.
    AlertEventColumns of "alert_event_rows" {
        tenant: Words,
        alert_id: Strings,
        revision: Numbers<u64>,
        at: Times,
        kind: Words,
        by_whom: Strings,
        note: Strings,
        network: Words,
        sequence: Nullable<Numbers<u64>>,
        height: Nullable<Numbers<u64>>,
        alert: Strings,
        matches: Strings,
    }
}

columns! {
    /// `alert_rows`; columns as there.
    AlertColumns of "alert_rows" {
        tenant: Words,
        alert_id: Strings,
        revision: Numbers<u64>,
        made_at: Times,
        updated_at: Times,
        source_kind: Words,
        source_id: Strings,
        network: Words,
        contract: Strings,
        state: Words,
        severity: Words,
        fired_at: Nullable<Times>,
        ended_at: Nullable<Times>,
        alert: Strings,
    }
}

columns! {
    /// `alert_delivery_rows`; columns as there.
    AlertDeliveryColumns of "alert_delivery_rows" {
        tenant: Words,
        delivery_id: Strings,
        made_at: Times,
        at: Times,
        attempt: Numbers<u32>,
        state: Words,
        place: Numbers<u64>,
        alert_id: Strings,
        channel_id: Strings,
        channel_type: Words,
        kind: Words,
        status: Nullable<Numbers<u16>>,
        latency_ms: Nullable<Numbers<u64>>,
        error: Strings,
        next_attempt_at: Nullable<Times>,
        thread: Strings,
    }
}

columns! {
    /// `alert_match_rows`; columns as there.
    AlertMatchColumns of "alert_match_rows" {
        tenant: Words,
        source_id: Strings,
        at: Times,
        network: Words,
        transaction_hash: Fixed<32>,
        kind: Words,
        condition: Numbers<u32>,
        place: Numbers<u32>,
        sequence: Numbers<u64>,
        op: Words,
        monitor_version: Numbers<u64>,
        height: Numbers<u64>,
        block_hash: Fixed<32>,
        signature: Strings,
        arguments: Strings,
    }
}

columns! {
    /// `alert_left_out_rows`; columns as there.
    AlertLeftOutColumns of "alert_left_out_rows" {
        tenant: Words,
        source_id: Strings,
        at: Times,
        network: Words,
        sequence: Numbers<u64>,
        place: Numbers<u64>,
        what: Words,
        count: Numbers<u64>,
    }
}

/// What is said to be left out, and how much of it.
pub type LeftOutSaid = Said<AlertMatch, (LeftOutKind, u64)>;

/// A record, what its row needs besides, and where it stands in its topic.
pub struct Said<T, M> {
    /// The record.
    pub record: T,
    /// What was read out of it.
    pub more: M,
    /// Its offset.
    pub place: u64,
}

/// A text that may be missing, as bytes: empty stands for none.
fn text(text: Option<&str>) -> &[u8] {
    text.unwrap_or_default().as_bytes()
}

impl AlertEventColumns {
    /// The row of a transition.
    pub fn push(&mut self, said: &Said<AlertEvent, (Alert, TimeMs)>) {
        let event = &said.record;
        self.tenant.push(&event.tenant);
        self.alert_id.push(event.alert_id.as_bytes());
        self.revision.push(event.revision);
        self.at.push(event.at);
        self.kind.push(event.kind.as_str());
        self.by_whom.push(text(event.by.as_deref()));
        self.note.push(text(event.note.as_deref()));
        self.network.push(event.network.as_str());
        self.sequence.push(event.sequence);
        self.height.push(event.height);
        self.alert.push(event.alert.as_bytes());
        self.matches.push(event.matches.as_bytes());
    }
}

impl AlertColumns {
    /// The row of an alert after a transition.
    pub fn push(&mut self, said: &Said<AlertEvent, (Alert, TimeMs)>) {
        let (event, (alert, made_at)) = (&said.record, &said.more);
        self.tenant.push(&event.tenant);
        self.alert_id.push(event.alert_id.as_bytes());
        self.revision.push(event.revision);
        self.made_at.push(*made_at);
        self.updated_at.push(event.at);
        self.source_kind.push(alert.source.kind.as_str());
        self.source_id.push(alert.source.id.as_bytes());
        self.network.push(event.network.as_str());
        self.contract.push(text(alert.contract.as_deref()));
        self.state.push(alert.state.as_str());
        self.severity.push(alert.severity.as_str());
        self.fired_at.push(alert.fired_at);
        self.ended_at.push(alert.ended_at);
        self.alert.push(event.alert.as_bytes());
    }
}

impl AlertDeliveryColumns {
    /// The row of an attempt, or of an end.
    pub fn push(&mut self, said: &Said<AlertDelivery, TimeMs>) {
        let delivery = &said.record;
        self.tenant.push(&delivery.tenant);
        self.delivery_id.push(delivery.id.as_bytes());
        self.made_at.push(said.more);
        self.at.push(delivery.at);
        self.attempt.push(delivery.attempt);
        self.state.push(delivery.state.as_str());
        self.place.push(said.place);
        self.alert_id.push(text(delivery.alert_id.as_deref()));
        self.channel_id.push(delivery.channel_id.as_bytes());
        self.channel_type.push(&delivery.channel_type);
        self.kind.push(&delivery.kind);
        self.status.push(delivery.status);
        self.latency_ms.push(delivery.latency_ms);
        self.error.push(text(delivery.error.as_deref()));
        self.next_attempt_at.push(delivery.next_attempt_at);
        self.thread.push(text(delivery.thread.as_deref()));
    }
}

impl AlertMatchColumns {
    /// The row of a match.
    pub fn push(&mut self, said: &Said<AlertMatch, Found>) {
        let (matched, found) = (&said.record, &said.more);
        self.tenant.push(&matched.tenant);
        self.source_id.push(matched.source.id.as_bytes());
        self.at.push(matched.at);
        self.network.push(matched.network.as_str());
        self.transaction_hash.push(found.transaction_hash.0);
        self.kind.push(found.kind.as_str());
        self.condition.push(found.condition);
        self.place.push(found.position.map_or(0, |position| position.saturating_add(1)));
        self.sequence.push(matched.sequence);
        self.op.push(matched.op.as_str());
        self.monitor_version.push(matched.source.version);
        self.height.push(matched.height);
        self.block_hash.push(matched.block_hash.as_ref().map_or([0; 32], block_hash));
        self.signature.push(text(found.signature.as_deref()));
        self.arguments.push(found.arguments.as_bytes());
    }
}

impl AlertLeftOutColumns {
    /// The row of what was left out.
    pub fn push(&mut self, said: &LeftOutSaid) {
        let (record, (kind, count)) = (&said.record, said.more);
        // Transactions are of all of a tenant's monitors, whichever cost most.
        let source_id = match kind {
            LeftOutKind::Matches => record.source.id.as_bytes(),
            LeftOutKind::Transactions => b"",
        };
        self.tenant.push(&record.tenant);
        self.source_id.push(source_id);
        self.at.push(record.at);
        self.network.push(record.network.as_str());
        self.sequence.push(record.sequence);
        self.place.push(said.place);
        self.what.push(kind.as_str());
        self.count.push(count);
    }
}

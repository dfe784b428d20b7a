//! `alerts.outbox`: one row per message that is to be sent.

use crate::{
    primitives::TimeMs,
    records::AlertOutbox,
    wire::{Column, Columns, Datum, Malformed, Row, columns, concat},
};

/// [`AlertOutbox`] on the wire.
#[derive(Default)]
struct OutboxRow {
    tenant: String,
    id: String,
    alert_id: Option<String>,
    channel_id: String,
    kind: String,
    created_at: TimeMs,
    next_attempt_at: TimeMs,
    attempts: u32,
    order: u64,
    body: String,
    done_at: Option<TimeMs>,
    thread: Option<String>,
}
columns! { OutboxRow, AlertOutbox {
    must tenant: String,
    must id: String,
    null alert_id: String,
    must channel_id: String,
    must kind: String,
    must created_at: TimeMs,
    must next_attempt_at: TimeMs,
    must attempts: u32,
    must order: u64,
    must body: String,
    null done_at: TimeMs,
    null thread: String,
} }

impl Row for AlertOutbox {
    fn columns() -> Vec<Column> {
        concat([OutboxRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        OutboxRow::put(self, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = OutboxRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        Ok(Self {
            tenant: row.tenant,
            id: row.id,
            alert_id: row.alert_id,
            channel_id: row.channel_id,
            kind: row.kind,
            created_at: row.created_at,
            next_attempt_at: row.next_attempt_at,
            attempts: row.attempts,
            order: row.order,
            body: row.body,
            done_at: row.done_at,
            thread: row.thread,
        })
    }

    fn size_hint(&self) -> usize {
        256 + self.body.len()
    }
}

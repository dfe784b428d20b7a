//! `alerts.deliveries`: one row per attempt, and per end of a message.

use crate::{
    primitives::TimeMs,
    records::{AlertDelivery, DeliveryState},
    wire::{Column, Columns, Datum, Malformed, Row, columns, concat, required},
};

/// [`AlertDelivery`] on the wire.
#[derive(Default)]
struct DeliveryRow {
    tenant: String,
    id: String,
    alert_id: Option<String>,
    channel_id: String,
    channel_type: String,
    kind: String,
    state: Option<DeliveryState>,
    at: TimeMs,
    attempt: u32,
    status: Option<u16>,
    latency_ms: Option<u64>,
    error: Option<String>,
    next_attempt_at: Option<TimeMs>,
    thread: Option<String>,
}
columns! { DeliveryRow, AlertDelivery {
    must tenant: String,
    must id: String,
    null alert_id: String,
    must channel_id: String,
    must channel_type: String,
    must kind: String,
    must state: DeliveryState,
    must at: TimeMs,
    must attempt: u32,
    null status: u16,
    null latency_ms: u64,
    null error: String,
    null next_attempt_at: TimeMs,
    null thread: String,
} }

impl Row for AlertDelivery {
    fn columns() -> Vec<Column> {
        concat([DeliveryRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        DeliveryRow::put(self, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = DeliveryRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        Ok(Self {
            tenant: row.tenant,
            id: row.id,
            alert_id: row.alert_id,
            channel_id: row.channel_id,
            channel_type: row.channel_type,
            kind: row.kind,
            state: required("state", row.state)?,
            at: row.at,
            attempt: row.attempt,
            status: row.status,
            latency_ms: row.latency_ms,
            error: row.error,
            next_attempt_at: row.next_attempt_at,
            thread: row.thread,
        })
    }
}

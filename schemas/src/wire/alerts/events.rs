//! `alerts.events`: one row per transition.

use crate::{
    primitives::{Network, TimeMs},
    records::{AlertEvent, AlertEventKind},
    wire::{Column, Columns, Datum, Malformed, Row, columns, concat, required},
};

/// [`AlertEvent`] on the wire.
#[derive(Default)]
struct EventRow {
    tenant: String,
    alert_id: String,
    kind: Option<AlertEventKind>,
    revision: u64,
    at: TimeMs,
    by: Option<String>,
    note: Option<String>,
    network: Option<Network>,
    sequence: Option<u64>,
    height: Option<u64>,
    alert: String,
    matches: String,
}
columns! { EventRow, AlertEvent {
    must tenant: String,
    must alert_id: String,
    must kind: AlertEventKind,
    must revision: u64,
    must at: TimeMs,
    null by: String,
    null note: String,
    must network: Network,
    null sequence: u64,
    null height: u64,
    must alert: String,
    must matches: String,
} }

impl Row for AlertEvent {
    fn columns() -> Vec<Column> {
        concat([EventRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        EventRow::put(self, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = EventRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        Ok(Self {
            tenant: row.tenant,
            alert_id: row.alert_id,
            kind: required("kind", row.kind)?,
            revision: row.revision,
            at: row.at,
            by: row.by,
            note: row.note,
            network: required("network", row.network)?,
            sequence: row.sequence,
            height: row.height,
            alert: row.alert,
            matches: row.matches,
        })
    }

    fn size_hint(&self) -> usize {
        256 + self.alert.len() + self.matches.len()
    }
}

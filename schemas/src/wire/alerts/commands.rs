//! `alerts.commands`: `what` says which columns are there.

use crate::{
    primitives::{ParseError, TimeMs},
    records::{AlertCommand, Command},
    wire::{Column, Columns, Datum, Malformed, Row, columns, concat, required},
};

/// [`AlertCommand`] on the wire.
#[derive(Default)]
struct CommandRow {
    tenant: String,
    id: String,
    at: TimeMs,
    by: String,
    what: String,
    alert_id: Option<String>,
    note: Option<String>,
    channel_id: Option<String>,
    delivery_id: Option<String>,
    since: Option<TimeMs>,
}
columns! { CommandRow, CommandRow {
    must tenant: String,
    must id: String,
    must at: TimeMs,
    must by: String,
    must what: String,
    null alert_id: String,
    null note: String,
    null channel_id: String,
    null delivery_id: String,
    null since: TimeMs,
} }

impl Row for AlertCommand {
    fn columns() -> Vec<Column> {
        concat([CommandRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        let mut row = CommandRow {
            tenant: self.tenant.clone(),
            id: self.id.clone(),
            at: self.at,
            by: self.by.clone(),
            what: self.what.word().to_owned(),
            ..CommandRow::default()
        };
        match &self.what {
            Command::Acknowledge { alert_id, note } => {
                row.alert_id = Some(alert_id.clone());
                row.note.clone_from(note);
            }
            Command::TestChannel { channel_id, delivery_id } => {
                row.channel_id = Some(channel_id.clone());
                row.delivery_id = Some(delivery_id.clone());
            }
            Command::ReplayDelivery { delivery_id } => row.delivery_id = Some(delivery_id.clone()),
            Command::ReplayChannel { channel_id, since } => {
                row.channel_id = Some(channel_id.clone());
                row.since = Some(*since);
            }
        }
        CommandRow::put(&row, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = CommandRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        let what = match row.what.as_str() {
            "acknowledge" => Command::Acknowledge { alert_id: required("alert_id", row.alert_id)?, note: row.note },
            "test_channel" => Command::TestChannel {
                channel_id: required("channel_id", row.channel_id)?,
                delivery_id: required("delivery_id", row.delivery_id)?,
            },
            "replay_delivery" => Command::ReplayDelivery { delivery_id: required("delivery_id", row.delivery_id)? },
            "replay_channel" => Command::ReplayChannel {
                channel_id: required("channel_id", row.channel_id)?,
                since: required("since", row.since)?,
            },
            other => {
                let expected = "acknowledge, test_channel, replay_delivery or replay_channel";
                let problem = ParseError::new(other, "command", expected).into();
                return Err(Malformed { field: "what".to_owned(), problem });
            }
        };
        Ok(Self { tenant: row.tenant, id: row.id, at: row.at, by: row.by, what })
    }
}

//! `control.config`: `kind` says what was decided.

use super::{Column, Columns, Datum, Malformed, Row, columns, concat, parsed, required};
use crate::{
    primitives::{ParseError, TimeMs},
    records::{ControlConfig, NetworkPartition},
};

/// Kind of the record that gives a network its partition; also the first part of its key.
pub(crate) const NETWORK: &str = "network";

#[derive(Default)]
struct ConfigRow {
    kind: String,
    id: String,
    partition: Option<u32>,
    decided_at: Option<TimeMs>,
}
columns! { ConfigRow, ConfigRow {
    must kind: String,
    must id: String,
    null partition: u32,
    null decided_at: TimeMs,
} }

impl Row for ControlConfig {
    fn columns() -> Vec<Column> {
        concat([ConfigRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        let Self::NetworkPartition(p) = self;
        let row = ConfigRow {
            kind: NETWORK.to_owned(),
            id: p.network.as_str().to_owned(),
            partition: Some(p.partition),
            decided_at: Some(p.decided_at),
        };
        ConfigRow::put(&row, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = ConfigRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        match row.kind.as_str() {
            NETWORK => Ok(Self::NetworkPartition(NetworkPartition {
                network: parsed("id", &row.id)?,
                partition: required("partition", row.partition)?,
                decided_at: required("decided_at", row.decided_at)?,
            })),
            other => Err(Malformed {
                field: "kind".to_owned(),
                problem: ParseError::new(other, "kind of decision", "network").into(),
            }),
        }
    }
}

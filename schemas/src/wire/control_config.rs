//! `control.config`: `kind` says what was decided.

use super::{Column, Columns, Datum, Malformed, Row, columns, concat, parsed, required};
use crate::{
    primitives::{ParseError, TimeMs},
    records::{Asks, ControlConfig, HeldRange, NetworkPartition, Request, Wanted},
};

/// Kind of the record that gives a network its partition; also the first part of its key.
pub(crate) const NETWORK: &str = "network";
/// Kind of what operators ask for; also the first part of its key.
pub(crate) const REQUEST: &str = "request";

#[derive(Default)]
struct ConfigRow {
    kind: String,
    id: String,
    partition: Option<u32>,
    decided_at: Option<TimeMs>,
    network: Option<String>,
    asks: Option<String>,
    wanted: Option<String>,
    first: Option<u64>,
    last: Option<u64>,
    again: Option<bool>,
}
columns! { ConfigRow, ConfigRow {
    must kind: String,
    must id: String,
    null partition: u32,
    null decided_at: TimeMs,
    null network: String,
    null asks: String,
    null wanted: String,
    null first: u64,
    null last: u64,
    null again: bool,
} }

impl Row for ControlConfig {
    fn columns() -> Vec<Column> {
        concat([ConfigRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        let row = match self {
            Self::NetworkPartition(p) => ConfigRow {
                kind: NETWORK.to_owned(),
                id: p.network.as_str().to_owned(),
                partition: Some(p.partition),
                decided_at: Some(p.decided_at),
                ..ConfigRow::default()
            },
            Self::Request(r) => {
                let (first, last, again) = match r.asks {
                    Asks::Backfill { heights, again } => (Some(heights.from), Some(heights.to), Some(again)),
                    Asks::AcceptReorg => (None, None, None),
                    Asks::AcceptGap { first, last } => (Some(first), Some(last), None),
                };
                ConfigRow {
                    kind: REQUEST.to_owned(),
                    id: r.id.clone(),
                    decided_at: Some(r.asked_at),
                    network: Some(r.network.as_str().to_owned()),
                    asks: Some(r.asks.as_str().to_owned()),
                    wanted: Some(r.wanted.as_str().to_owned()),
                    first,
                    last,
                    again,
                    ..ConfigRow::default()
                }
            }
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
            REQUEST => {
                let words = (required("asks", row.asks)?, required("wanted", row.wanted)?);
                let asks = match words.0.as_str() {
                    "backfill" => Asks::Backfill {
                        heights: HeldRange { from: required("first", row.first)?, to: required("last", row.last)? },
                        again: required("again", row.again)?,
                    },
                    "accept-reorg" => Asks::AcceptReorg,
                    "accept-gap" => {
                        Asks::AcceptGap { first: required("first", row.first)?, last: required("last", row.last)? }
                    }
                    other => return Err(malformed("asks", other, "backfill, accept-reorg or accept-gap")),
                };
                let wanted =
                    [Wanted::Run, Wanted::Paused, Wanted::Cancelled].into_iter().find(|w| w.as_str() == words.1);
                Ok(Self::Request(Request {
                    network: parsed("network", &required("network", row.network)?)?,
                    asks,
                    wanted: wanted.ok_or_else(|| malformed("wanted", &words.1, "run, paused or cancelled"))?,
                    asked_at: required("decided_at", row.decided_at)?,
                    id: row.id,
                }))
            }
            other => Err(malformed("kind", other, "network or request")),
        }
    }
}

fn malformed(field: &str, found: &str, expected: &'static str) -> Malformed {
    Malformed { field: field.to_owned(), problem: ParseError::new(found, "word of control.config", expected).into() }
}

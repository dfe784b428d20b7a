//! `control.config`: `kind` says what was decided.
//!
//! Guarantee: what version 2 of the schema could say is written as version 2 says it, so that processes of before read it while a
//! deployment is upgraded; kinds that came with version 3 are written as version 3, but for addresses that say since when they are
//! watched, which came with version 4.

use super::{Column, Columns, Datum, Group, Malformed, Row, columns, concat, parsed, required};
use crate::{
    primitives::{ParseError, TimeMs},
    records::{
        Asks, Contract, ControlConfig, HeldRange, NetworkPartition, OperatorContract, Request, Wanted, WatchedAddress,
    },
};

/// Kind of the record that gives a network its partition; also the first part of its key.
pub(crate) const NETWORK: &str = "network";
/// Kind of what operators ask for; also the first part of its key.
pub(crate) const REQUEST: &str = "request";
/// Kind of an address that somebody calls his own; also the first part of its key.
pub(crate) const WATCHED: &str = "watched";
/// Kind of a contract of the configuration file, and in `control.tenants` of a tenant's; also a part of its key.
pub(crate) const CONTRACT: &str = "contract";

/// The columns of version 2.
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

/// Those that came with version 3.
#[derive(Default)]
struct RevisedRow {
    revision: Option<u64>,
    address: Option<String>,
    name: Option<String>,
    labels: Option<Vec<String>>,
    abi: Option<String>,
}
columns! { RevisedRow, RevisedRow {
    null revision: u64,
    null address: String,
    null name: String,
    null labels: Vec<String>,
    null abi: String,
} }

/// Those that came with version 4.
#[derive(Default)]
struct SinceRow {
    since: Option<TimeMs>,
}
columns! { SinceRow, SinceRow {
    null since: TimeMs,
} }

impl Row for ControlConfig {
    fn columns() -> Vec<Column> {
        concat([ConfigRow::specs(), RevisedRow::specs(), SinceRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        let of_address = |kind: &str, network: &crate::primitives::Network, address: &str| ConfigRow {
            kind: kind.to_owned(),
            id: format!("{network}/{address}"),
            network: Some(network.as_str().to_owned()),
            ..ConfigRow::default()
        };
        let (row, more) = match self {
            Self::NetworkPartition(p) => (
                ConfigRow {
                    kind: NETWORK.to_owned(),
                    id: p.network.as_str().to_owned(),
                    partition: Some(p.partition),
                    decided_at: Some(p.decided_at),
                    ..ConfigRow::default()
                },
                None,
            ),
            Self::Request(r) => {
                let (first, last, again) = match r.asks {
                    Asks::Backfill { heights, again } => (Some(heights.from), Some(heights.to), Some(again)),
                    Asks::AcceptReorg => (None, None, None),
                    Asks::AcceptGap { first, last } => (Some(first), Some(last), None),
                };
                let row = ConfigRow {
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
                };
                (row, None)
            }
            Self::Watched(w) => {
                let more = RevisedRow {
                    revision: Some(w.revision),
                    address: Some(w.address.clone()),
                    ..RevisedRow::default()
                };
                (of_address(WATCHED, &w.network, &w.address), Some(more))
            }
            Self::Contract(OperatorContract { revision, contract: c }) => {
                let more = RevisedRow {
                    revision: Some(*revision),
                    address: Some(c.address.clone()),
                    name: Some(c.name.clone()),
                    labels: Some(c.labels.clone()),
                    abi: c.abi.clone(),
                };
                (of_address(CONTRACT, &c.network, &c.address), Some(more))
            }
        };
        ConfigRow::put(&row, out);
        if let Some(more) = more {
            RevisedRow::put(&more, out);
        }
        if let Self::Watched(WatchedAddress { since: Some(since), .. }) = self {
            SinceRow::put(&SinceRow { since: Some(*since) }, out);
        }
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let (mut row, mut more, mut last) = (ConfigRow::default(), Group::<RevisedRow>::new(), SinceRow::default());
        datum.walk(|column, input, step| match column.checked_sub(ConfigRow::COUNT) {
            None => row.read(column, input, step).map(drop),
            Some(column) => match column.checked_sub(RevisedRow::COUNT) {
                None => more.read(column, input, step),
                Some(column) => last.read(column, input, step).map(drop),
            },
        })?;
        let more = more.finish()?.unwrap_or_default();
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
            WATCHED => Ok(Self::Watched(WatchedAddress {
                network: parsed("network", &required("network", row.network)?)?,
                address: required("address", more.address)?,
                revision: required("revision", more.revision)?,
                since: last.since,
            })),
            CONTRACT => Ok(Self::Contract(OperatorContract {
                revision: required("revision", more.revision)?,
                contract: Contract {
                    network: parsed("network", &required("network", row.network)?)?,
                    address: required("address", more.address)?,
                    name: required("name", more.name)?,
                    labels: more.labels.unwrap_or_default(),
                    abi: more.abi,
                },
            })),
            other => Err(malformed("kind", other, "network, request, watched or contract")),
        }
    }
}

fn malformed(field: &str, found: &str, expected: &'static str) -> Malformed {
    Malformed { field: field.to_owned(), problem: ParseError::new(found, "word of control.config", expected).into() }
}

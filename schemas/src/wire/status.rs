//! `ingest.status`: one row per network.

use super::{Column, Columns, Datum, Malformed, Row, columns, concat, required};
use crate::{
    primitives::{Family, Network, TimeMs},
    records::{NetworkState, NetworkStatus},
};

/// [`NetworkStatus`] while it is read.
#[derive(Default)]
struct StatusRow {
    network: Option<Network>,
    family: Option<Family>,
    state: Option<NetworkState>,
    tip_height: Option<u64>,
    endpoint: Option<String>,
    detail: Option<String>,
    at: TimeMs,
}
columns! { StatusRow, NetworkStatus {
    must network: Network,
    must family: Family,
    must state: NetworkState,
    null tip_height: u64,
    null endpoint: String,
    null detail: String,
    must at: TimeMs,
} }

impl Row for NetworkStatus {
    fn columns() -> Vec<Column> {
        concat([StatusRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        StatusRow::put(self, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = StatusRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        Ok(Self {
            network: required("network", row.network)?,
            family: required("family", row.family)?,
            state: required("state", row.state)?,
            tip_height: row.tip_height,
            endpoint: row.endpoint,
            detail: row.detail,
            at: row.at,
        })
    }
}

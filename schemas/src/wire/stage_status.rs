//! `stage.status`: one row per process, and per network and stage.

use super::{Column, Columns, Datum, Malformed, Row, columns, concat, items};
use crate::{
    primitives::{Family, Network, TimeMs},
    records::{ConfiguredNetwork, StageStatus},
};

columns! { ConfiguredNetwork, ConfiguredNetwork {
    must slug: String,
    null chain_id: u64,
} }

items!(ConfiguredNetwork);

/// [`StageStatus`] while it is read.
#[derive(Default)]
struct StatusRow {
    stage: String,
    instance: String,
    network: Option<Network>,
    partition: Option<u32>,
    state: String,
    since: TimeMs,
    detail: Option<String>,
    every_ms: u64,
    at: TimeMs,
    family: Option<Family>,
    chain_id: Option<u64>,
    endpoint: Option<String>,
    tip_height: Option<u64>,
    sequence: Option<u64>,
    height: Option<u64>,
    block_time: Option<TimeMs>,
    unread_percent: Option<u32>,
    networks: Vec<ConfiguredNetwork>,
}
columns! { StatusRow, StageStatus {
    must stage: String,
    must instance: String,
    null network: Network,
    null partition: u32,
    must state: String,
    must since: TimeMs,
    null detail: String,
    must every_ms: u64,
    must at: TimeMs,
    null family: Family,
    null chain_id: u64,
    null endpoint: String,
    null tip_height: u64,
    null sequence: u64,
    null height: u64,
    null block_time: TimeMs,
    null unread_percent: u32,
    must networks: Vec<ConfiguredNetwork>,
} }

impl Row for StageStatus {
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
            stage: row.stage,
            instance: row.instance,
            network: row.network,
            partition: row.partition,
            state: row.state,
            since: row.since,
            detail: row.detail,
            every_ms: row.every_ms,
            at: row.at,
            family: row.family,
            chain_id: row.chain_id,
            endpoint: row.endpoint,
            tip_height: row.tip_height,
            sequence: row.sequence,
            height: row.height,
            block_time: row.block_time,
            unread_percent: row.unread_percent,
            networks: row.networks,
        })
    }
}

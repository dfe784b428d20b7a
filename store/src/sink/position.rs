//! Where a group beside the block events stands, as the store itself says it: `cause_position_rows`, `window_position_rows`.
//!
//! Guarantee: what is told is true: every record before it is in this store, or void. It may be lower than what is true, never higher, so
//! that a store that lost rows, or was filled again, asks for its records again, whatever the group has committed.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use clickhouse::Row;
use runtime::log::TopicPartition;
use schemas::TimeMs;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, client::deadline, sink::insert::SETTINGS};

/// How often it is told while it moves.
const EVERY: Duration = Duration::from_secs(10);

/// A row of such a table.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
struct Position {
    partition: u32,
    instance: String,
    at: TimeMs,
    offset: u64,
}

#[derive(Row, Deserialize)]
struct Last {
    partition: u32,
    offset: u64,
}

/// What is to be told, and where.
#[derive(Debug)]
pub(super) struct Positions {
    table: &'static str,
    moved: BTreeMap<u32, u64>,
    told: Option<Instant>,
}

impl Positions {
    /// In this table.
    pub fn of(table: &'static str) -> Self {
        Self { table, moved: BTreeMap::new(), told: None }
    }

    /// Where each partition stands in this store, as it was last said.
    pub async fn read(&self, store: &Store) -> Result<BTreeMap<u32, u64>, StoreError> {
        let sql = format!("SELECT partition, argMax(offset, at) AS offset FROM {} GROUP BY partition", self.table);
        let rows = store.within("reading where a group stands", store.read(&sql).fetch_all::<Last>()).await?;
        Ok(rows.into_iter().map(|last| (last.partition, last.offset)).collect())
    }

    /// These are committed.
    pub fn reached(&mut self, moved: &[(TopicPartition, u64)]) {
        self.moved.extend(moved.iter().map(|(at, offset)| (at.partition, *offset)));
    }

    /// Tells what moved, when it is time.
    pub async fn tell(&mut self, store: &Store, instance: &str) -> Result<(), StoreError> {
        if self.moved.is_empty() || self.told.is_some_and(|told| told.elapsed() < EVERY) {
            return Ok(());
        }
        self.told = Some(Instant::now());
        let at = TimeMs::now();
        let save = async {
            let insert = store.client().insert::<Position>(self.table).await?;
            let mut insert = SETTINGS.iter().fold(insert, |insert, (name, value)| insert.with_setting(*name, *value));
            for (partition, offset) in &self.moved {
                let row = Position { partition: *partition, instance: instance.to_owned(), at, offset: *offset };
                insert.write(&row).await?;
            }
            insert.end().await
        };
        deadline("telling where a group stands", store.config().write_deadline, save).await?;
        self.moved.clear();
        Ok(())
    }
}

//! Where the copy stands: `upgrade_rows`.
//!
//! Guarantee: a position that is told is true: everything above it was copied and compared. Whoever goes on from one, of this process
//! or another, copies at most a range again, which changes nothing.

use std::collections::BTreeMap;

use clickhouse::Row;
use schemas::TimeMs;
use serde::{Deserialize, Serialize};

use super::super::insert::SETTINGS;
use crate::{Store, StoreError, client::deadline};

/// Where the copy of a network stands. Columns as in `upgrade_rows`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub(super) struct Position {
    /// Slug; empty: all networks, once all are copied.
    pub network: String,
    pub version: u64,
    /// Process that says so.
    pub instance: String,
    /// Lowest former height.
    pub lowest_height: u64,
    /// Highest height that may have rows to be copied; `None`: none.
    pub to_height: Option<u64>,
    pub rows: u64,
    pub rows_copied: u64,
    /// What the headers of the blocks count that are not copied yet.
    pub blocks_left: u64,
    pub transactions_left: u64,
    pub logs_left: u64,
    pub at: TimeMs,
}

/// Where everything stands.
#[derive(Debug, Default)]
pub(super) struct Positions {
    pub networks: BTreeMap<String, Position>,
    /// Whether every row is copied, so that only the end is left to do.
    pub copied: bool,
}

impl Positions {
    pub async fn read(store: &Store) -> Result<Self, StoreError> {
        let sql = "SELECT network, version, instance, lowest_height, to_height, rows, rows_copied, blocks_left, transactions_left, \
                   logs_left, at FROM upgrade_rows FINAL";
        let read = store.read(sql).fetch_all::<Position>();
        let mut positions = Self::default();
        for position in store.within("reading where the upgrade stands", read).await? {
            if position.network.is_empty() {
                positions.copied = true;
            } else {
                positions.networks.insert(position.network.clone(), position);
            }
        }
        Ok(positions)
    }

    /// Rows that are copied, and all.
    pub fn rows(&self) -> (u64, u64) {
        let sum = |of: fn(&Position) -> u64| self.networks.values().map(of).fold(0, u64::saturating_add);
        (sum(|p| p.rows_copied), sum(|p| p.rows))
    }
}

impl Position {
    /// Of everything.
    pub fn copied(instance: &str) -> Self {
        Self {
            network: String::new(),
            version: 1,
            instance: instance.to_owned(),
            lowest_height: 0,
            to_height: None,
            rows: 0,
            rows_copied: 0,
            blocks_left: 0,
            transactions_left: 0,
            logs_left: 0,
            at: TimeMs::now(),
        }
    }

    /// Tells it.
    pub async fn save(&self, store: &Store) -> Result<(), StoreError> {
        let save = async {
            let insert = store.client().insert::<Position>("upgrade_rows").await?;
            let mut insert = SETTINGS.iter().fold(insert, |insert, (name, value)| insert.with_setting(*name, *value));
            insert.write(self).await?;
            insert.end().await
        };
        deadline("telling where the upgrade stands", store.config().write_deadline, save).await
    }
}

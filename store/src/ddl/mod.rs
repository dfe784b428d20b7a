//! Numbered DDL, applied in order at start and recorded in `schema_migrations`.
//!
//! Guarantee: [`migrate`](Store::migrate) brings any older database to this version and leaves a current one as it is. Every
//! file is one statement that may be run again (`IF NOT EXISTS`, `OR REPLACE`), and is recorded only after it succeeded, so
//! that a migration killed half-way is simply run again; several processes may migrate at once. A database that a newer
//! version has written is refused. Files of a released version never change: a change is a new number.

use clickhouse::Row;
use serde::Deserialize;

use crate::{Store, StoreError, StoreErrorKind, client::deadline};

/// One numbered statement.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its number.
    pub number: u32,
    /// Its file's name without number and ending.
    pub name: &'static str,
    /// The statement.
    pub sql: &'static str,
}

/// All of this version, in order.
pub const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "block_rows", sql: include_str!("0001_block_rows.sql") },
    Migration { number: 2, name: "evm_transaction_rows", sql: include_str!("0002_evm_transaction_rows.sql") },
    Migration { number: 3, name: "evm_log_rows", sql: include_str!("0003_evm_log_rows.sql") },
    Migration { number: 4, name: "block_event_rows", sql: include_str!("0004_block_event_rows.sql") },
    Migration { number: 5, name: "sink_status_rows", sql: include_str!("0005_sink_status_rows.sql") },
    Migration { number: 6, name: "blocks", sql: include_str!("0006_blocks.sql") },
    Migration { number: 7, name: "block_events", sql: include_str!("0007_block_events.sql") },
    Migration { number: 8, name: "transactions", sql: include_str!("0008_transactions.sql") },
    Migration { number: 9, name: "evm_transactions", sql: include_str!("0009_evm_transactions.sql") },
    Migration { number: 10, name: "evm_logs", sql: include_str!("0010_evm_logs.sql") },
    Migration { number: 11, name: "completeness", sql: include_str!("0011_completeness.sql") },
    Migration { number: 12, name: "evm_log_rows_by_time", sql: include_str!("0012_evm_log_rows_by_time.sql") },
    Migration {
        number: 13,
        name: "block_event_rows_by_height",
        sql: include_str!("0013_block_event_rows_by_height.sql"),
    },
    Migration { number: 14, name: "blocks", sql: include_str!("0014_blocks.sql") },
    Migration { number: 15, name: "block_events", sql: include_str!("0015_block_events.sql") },
    Migration { number: 16, name: "transactions", sql: include_str!("0016_transactions.sql") },
    Migration { number: 17, name: "evm_transactions", sql: include_str!("0017_evm_transactions.sql") },
    Migration { number: 18, name: "evm_logs", sql: include_str!("0018_evm_logs.sql") },
    Migration { number: 19, name: "completeness", sql: include_str!("0019_completeness.sql") },
    Migration {
        number: 20,
        name: "evm_transaction_rows_fee_token",
        sql: include_str!("0020_evm_transaction_rows_fee_token.sql"),
    },
    Migration { number: 21, name: "transactions", sql: include_str!("0021_transactions.sql") },
    Migration { number: 22, name: "evm_transactions", sql: include_str!("0022_evm_transactions.sql") },
    Migration { number: 23, name: "audit_rows", sql: include_str!("0023_audit_rows.sql") },
];

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (number UInt32, name String, applied_at DateTime64(3, 'UTC')) \
    ENGINE = ReplacingMergeTree(applied_at) ORDER BY number \
    SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1";

#[derive(Row, Deserialize)]
struct Applied {
    number: u32,
    name: String,
}

impl Store {
    /// Makes the database and brings it to this version.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.migrate_to(MIGRATIONS).await
    }

    async fn migrate_to(&self, migrations: &[Migration]) -> Result<(), StoreError> {
        let create = format!("CREATE DATABASE IF NOT EXISTS `{}`", self.database());
        self.ddl("making the database", self.server().query(&create)).await?;
        self.ddl("making the table of migrations", self.client().query(LEDGER)).await?;
        let sql = "SELECT number, name FROM schema_migrations FINAL ORDER BY number";
        let applied =
            self.within("reading which migrations were applied", self.read(sql).fetch_all::<Applied>()).await?;
        let newest = migrations.last().map_or(0, |m| m.number);
        if let Some(a) = applied.iter().find(|a| a.number > newest) {
            return Err(StoreError::new(
                StoreErrorKind::Version,
                "opening the store",
                format!(
                    "database `{}` was written by a newer version (it has migration {} `{}`, this program knows up to \
                     {newest}): run the newer program, or name another database",
                    self.database(),
                    a.number,
                    a.name
                ),
            ));
        }
        for migration in migrations.iter().filter(|m| applied.iter().all(|a| a.number != m.number)) {
            tracing::info!(number = migration.number, name = migration.name, "migrating the store");
            self.ddl("migrating the store", self.client().query_raw(migration.sql)).await.map_err(|mut e| {
                e.message = format!("migration {} `{}`: {}", migration.number, migration.name, e.message);
                e
            })?;
            let record = self
                .client()
                .query("INSERT INTO schema_migrations SELECT {number:UInt32}, {name:String}, now64(3, 'UTC')")
                .param("number", migration.number)
                .param("name", migration.name);
            self.ddl("recording a migration", record).await?;
        }
        self.client().clear_cached_metadata().await;
        Ok(())
    }

    async fn ddl(&self, doing: &'static str, statement: clickhouse::query::Query) -> Result<(), StoreError> {
        deadline(doing, self.config().write_deadline, statement.execute()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_without_a_gap() {
        let numbers: Vec<u32> = MIGRATIONS.iter().map(|m| m.number).collect();
        assert_eq!(numbers, (1..=MIGRATIONS.len() as u32).collect::<Vec<_>>());
    }
}

//! Numbered DDL, applied in order at start and recorded in `schema_migrations`.
//!
//! Guarantee: [`migrate`](Store::migrate) brings any older database to this version and leaves a current one as it is. Every
//! file is one statement that may be run again (`IF NOT EXISTS`, `OR REPLACE`, or only while what it changes is still there), and is
//! recorded only after it succeeded, some together, so that a migration killed half-way is simply run again, and a few before it; several
//! processes may migrate at once: who is behind leaves out what another has written down. A new database is made as it is in the end: tables
//! of former layouts, and what changes or moves them, are written down as done before anything else is made.
//! A database that a newer version has written is refused. Files of a released version never change: a change is a new number.
//! Shown by `tests/sink/migrations.rs`.

mod swap;
pub mod tenants;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use clickhouse::Row;
use serde::Deserialize;

use self::swap::Swap;
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
    /// A question whose answer is a count: the statement is run where it is above 0, else it was run before. For what may not be
    /// run again, when another process did meanwhile or the record of it was cut off.
    pub only_if: Option<&'static str>,
    /// What is done in the place of the statement, so that readers find the table at every moment.
    swap: Option<Swap>,
}

impl Migration {
    const fn new(number: u32, name: &'static str, sql: &'static str) -> Self {
        Self { number, name, sql, only_if: None, swap: None }
    }

    const fn only_if(self, question: &'static str) -> Self {
        Self { only_if: Some(question), ..self }
    }

    /// Gives the table's place to one that has the column `span`.
    const fn makes_room_for(self, table: &'static str, makes: &'static str) -> Self {
        Self { swap: Some(Swap { table, former: "coarse_", makes, new_column: "span" }), ..self }
    }
}

impl Migration {
    /// Whether it makes a view that a later file makes anew, whatever was there.
    fn is_replaced(&self, all: &[Self]) -> bool {
        let is_view =
            |m: &Self| m.sql.contains("\nCREATE OR REPLACE VIEW ") || m.sql.starts_with("CREATE OR REPLACE VIEW ");
        is_view(self) && all.iter().any(|m| m.number > self.number && m.name == self.name && is_view(m))
    }

    /// The table that it makes, changes or moves away, if it is about one.
    fn table(&self) -> Option<&'static str> {
        let about = ["CREATE TABLE IF NOT EXISTS ", "ALTER TABLE ", "RENAME TABLE "];
        let rest = self.sql.lines().find_map(|line| about.iter().find_map(|begin| line.strip_prefix(begin)))?;
        rest.split([' ', '\n', '(']).next()
    }

    /// Whether it is about a table that a later file makes anew: of nothing a new database would have in the end.
    fn is_former(&self, all: &[Self]) -> bool {
        let Some(table) = self.table() else { return false };
        let makes = |m: &Self| m.table() == Some(table) && m.sql.contains("CREATE TABLE IF NOT EXISTS ");
        all.iter().any(|m| m.number > self.number && makes(m))
    }
}

/// Migrations that are recorded together at most: those are run again where it is cut off.
const RECORDED_AT_ONCE: usize = 16;

/// How long a statement that failed is tried again, as another process may be in the middle of the same.
const OTHERS: Duration = Duration::from_secs(5);
/// Pause before it is.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Whether a table of rows still has the layout of version 23 and before: with a `sequence` that is stored.
macro_rules! has_former_layout {
    ($table:literal) => {
        concat!(
            "SELECT count() FROM system.columns WHERE database = currentDatabase() AND table = '",
            $table,
            "' AND name = 'sequence' AND default_kind = ''"
        )
    };
}

/// Whether a table of rows still has the partitions of version 44 and before: of all networks together. Where a store of a yet older
/// layout is half copied into it, that has to come to its end first.
macro_rules! has_coarse_partitions {
    ($table:literal) => {
        concat!(
            "SELECT toUInt64(countIf(name = 'height') = 1 AND countIf(name = 'span') = 0) \
             + throwIf(ifNull((SELECT countIf(name = '",
            $table,
            "' AND total_rows > 0) > 0 AND countIf(name = 'former_",
            $table,
            "') > 0 FROM system.tables WHERE database = currentDatabase()), 0), 'the store is being brought from one former layout into \
             another: start the version that does so again and let it finish, then start this one') \
             FROM system.columns WHERE database = currentDatabase() AND table = '",
            $table,
            "'"
        )
    };
}

/// Whether a table is to make room for one of equal columns: nobody has done that, nor recorded that it was done.
macro_rules! makes_room {
    ($table:literal, $prefix:literal, $number:literal) => {
        concat!(
            "SELECT toUInt64(countIf(name = '",
            $table,
            "') = 1 AND countIf(name = '",
            $prefix,
            $table,
            "') = 0 AND ",
            $number,
            " NOT IN (SELECT number FROM schema_migrations)) FROM system.tables WHERE database = currentDatabase() AND name IN ('",
            $table,
            "', '",
            $prefix,
            $table,
            "')"
        )
    };
}

/// All of this version, in order.
pub const MIGRATIONS: &[Migration] = &[
    Migration::new(1, "block_rows", include_str!("0001_block_rows.sql")),
    Migration::new(2, "evm_transaction_rows", include_str!("0002_evm_transaction_rows.sql")),
    Migration::new(3, "evm_log_rows", include_str!("0003_evm_log_rows.sql")),
    Migration::new(4, "block_event_rows", include_str!("0004_block_event_rows.sql")),
    Migration::new(5, "sink_status_rows", include_str!("0005_sink_status_rows.sql")),
    Migration::new(6, "blocks", include_str!("0006_blocks.sql")),
    Migration::new(7, "block_events", include_str!("0007_block_events.sql")),
    Migration::new(8, "transactions", include_str!("0008_transactions.sql")),
    Migration::new(9, "evm_transactions", include_str!("0009_evm_transactions.sql")),
    Migration::new(10, "evm_logs", include_str!("0010_evm_logs.sql")),
    Migration::new(11, "completeness", include_str!("0011_completeness.sql")),
    Migration::new(12, "evm_log_rows_by_time", include_str!("0012_evm_log_rows_by_time.sql")),
    Migration::new(13, "block_event_rows_by_height", include_str!("0013_block_event_rows_by_height.sql")),
    Migration::new(14, "blocks", include_str!("0014_blocks.sql")),
    Migration::new(15, "block_events", include_str!("0015_block_events.sql")),
    Migration::new(16, "transactions", include_str!("0016_transactions.sql")),
    Migration::new(17, "evm_transactions", include_str!("0017_evm_transactions.sql")),
    Migration::new(18, "evm_logs", include_str!("0018_evm_logs.sql")),
    Migration::new(19, "completeness", include_str!("0019_completeness.sql")),
    Migration::new(20, "evm_transaction_rows_fee_token", include_str!("0020_evm_transaction_rows_fee_token.sql")),
    Migration::new(21, "transactions", include_str!("0021_transactions.sql")),
    Migration::new(22, "evm_transactions", include_str!("0022_evm_transactions.sql")),
    Migration::new(23, "audit_rows", include_str!("0023_audit_rows.sql")),
    Migration::new(24, "former_block_rows", include_str!("0024_former_block_rows.sql"))
        .only_if(has_former_layout!("block_rows")),
    Migration::new(25, "former_evm_transaction_rows", include_str!("0025_former_evm_transaction_rows.sql"))
        .only_if(has_former_layout!("evm_transaction_rows")),
    Migration::new(26, "former_evm_log_rows", include_str!("0026_former_evm_log_rows.sql"))
        .only_if(has_former_layout!("evm_log_rows")),
    Migration::new(27, "block_rows", include_str!("0027_block_rows.sql")),
    Migration::new(28, "evm_transaction_rows", include_str!("0028_evm_transaction_rows.sql")),
    Migration::new(29, "evm_log_rows", include_str!("0029_evm_log_rows.sql")),
    Migration::new(30, "transactions", include_str!("0030_transactions.sql")),
    Migration::new(31, "evm_transactions", include_str!("0031_evm_transactions.sql")),
    Migration::new(32, "evm_logs", include_str!("0032_evm_logs.sql")),
    Migration::new(33, "former_block_event_rows", include_str!("0033_former_block_event_rows.sql"))
        .only_if(makes_room!("block_event_rows", "former_", 33)),
    Migration::new(34, "block_event_rows", include_str!("0034_block_event_rows.sql")),
    Migration::new(35, "former_audit_rows", include_str!("0035_former_audit_rows.sql")).only_if(makes_room!(
        "audit_rows",
        "former_",
        35
    )),
    Migration::new(36, "audit_rows", include_str!("0036_audit_rows.sql")),
    Migration::new(37, "upgrade_rows", include_str!("0037_upgrade_rows.sql")),
    Migration::new(38, "completeness", include_str!("0038_completeness.sql")),
    Migration::new(39, "provider_sample_rows", include_str!("0039_provider_sample_rows.sql")),
    Migration::new(40, "provider_minute_rows", include_str!("0040_provider_minute_rows.sql")),
    Migration::new(41, "endpoint_rows", include_str!("0041_endpoint_rows.sql")),
    Migration::new(42, "provider_samples", include_str!("0042_provider_samples.sql")),
    Migration::new(43, "provider_minutes", include_str!("0043_provider_minutes.sql")),
    Migration::new(44, "endpoints", include_str!("0044_endpoints.sql")),
    Migration::new(45, "coarse_block_rows", include_str!("0045_coarse_block_rows.sql"))
        .only_if(has_coarse_partitions!("block_rows"))
        .makes_room_for("block_rows", include_str!("0048_block_rows.sql")),
    Migration::new(46, "coarse_evm_transaction_rows", include_str!("0046_coarse_evm_transaction_rows.sql"))
        .only_if(has_coarse_partitions!("evm_transaction_rows"))
        .makes_room_for("evm_transaction_rows", include_str!("0049_evm_transaction_rows.sql")),
    Migration::new(47, "coarse_evm_log_rows", include_str!("0047_coarse_evm_log_rows.sql"))
        .only_if(has_coarse_partitions!("evm_log_rows"))
        .makes_room_for("evm_log_rows", include_str!("0050_evm_log_rows.sql")),
    Migration::new(48, "block_rows", include_str!("0048_block_rows.sql")),
    Migration::new(49, "evm_transaction_rows", include_str!("0049_evm_transaction_rows.sql")),
    Migration::new(50, "evm_log_rows", include_str!("0050_evm_log_rows.sql")),
    Migration::new(51, "coarse_block_event_rows", include_str!("0051_coarse_block_event_rows.sql"))
        .only_if(makes_room!("block_event_rows", "coarse_", 51)),
    Migration::new(52, "block_event_rows", include_str!("0052_block_event_rows.sql")),
    Migration::new(53, "partition_rows", include_str!("0053_partition_rows.sql")),
    Migration::new(54, "pruned_rows", include_str!("0054_pruned_rows.sql")),
    Migration::new(55, "blocks", include_str!("0055_blocks.sql")),
    Migration::new(56, "transactions", include_str!("0056_transactions.sql")),
    Migration::new(57, "evm_transactions", include_str!("0057_evm_transactions.sql")),
    Migration::new(58, "evm_logs", include_str!("0058_evm_logs.sql")),
    Migration::new(59, "completeness", include_str!("0059_completeness.sql")),
    Migration::new(60, "endpoints", include_str!("0060_endpoints.sql")),
    Migration::new(61, "block_rows_contracts", include_str!("0061_block_rows_contracts.sql")),
    Migration::new(62, "contract_blocks", include_str!("0062_contract_blocks.sql")),
    Migration::new(63, "evm_transaction_rows_by_method", include_str!("0063_evm_transaction_rows_by_method.sql")),
    Migration::new(64, "transactions", include_str!("0064_transactions.sql")),
    Migration::new(65, "block_rows_facts", include_str!("0065_block_rows_facts.sql")),
    Migration::new(66, "blocks", include_str!("0066_blocks.sql")),
    Migration::new(67, "evm_transactions", include_str!("0067_evm_transactions.sql")),
    Migration::new(68, "evm_logs", include_str!("0068_evm_logs.sql")),
    Migration::new(69, "token_transfers", include_str!("0069_token_transfers.sql")),
    Migration::new(70, "evm_transaction_rows_causes", include_str!("0070_evm_transaction_rows_causes.sql")),
    Migration::new(71, "transactions", include_str!("0071_transactions.sql")),
    Migration::new(72, "evm_transactions", include_str!("0072_evm_transactions.sql")),
    Migration::new(73, "causes", include_str!("0073_causes.sql")),
    Migration::new(74, "cause_position_rows", include_str!("0074_cause_position_rows.sql")),
    Migration::new(75, "window_rows", include_str!("0075_window_rows.sql")),
    Migration::new(76, "pruned_window_rows", include_str!("0076_pruned_window_rows.sql")),
    Migration::new(77, "windows", include_str!("0077_windows.sql")),
    Migration::new(78, "window_position_rows", include_str!("0078_window_position_rows.sql")),
    Migration::new(79, "bitcoin_transaction_rows", include_str!("0079_bitcoin_transaction_rows.sql")),
    Migration::new(80, "bitcoin_input_rows", include_str!("0080_bitcoin_input_rows.sql")),
    Migration::new(81, "bitcoin_output_rows", include_str!("0081_bitcoin_output_rows.sql")),
    Migration::new(82, "block_rows_bitcoin", include_str!("0082_block_rows_bitcoin.sql")),
    Migration::new(83, "blocks", include_str!("0083_blocks.sql")),
    Migration::new(84, "transactions", include_str!("0084_transactions.sql")),
    Migration::new(85, "bitcoin_blocks", include_str!("0085_bitcoin_blocks.sql")),
    Migration::new(86, "bitcoin_transactions", include_str!("0086_bitcoin_transactions.sql")),
    Migration::new(87, "bitcoin_inputs", include_str!("0087_bitcoin_inputs.sql")),
    Migration::new(88, "bitcoin_outputs", include_str!("0088_bitcoin_outputs.sql")),
    Migration::new(89, "completeness", include_str!("0089_completeness.sql")),
    Migration::new(90, "windows", include_str!("0090_windows.sql")),
    Migration::new(91, "endpoint_rows_link", include_str!("0091_endpoint_rows_link.sql")),
    Migration::new(92, "endpoints", include_str!("0092_endpoints.sql")),
    Migration::new(93, "windows", include_str!("0093_windows.sql")),
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
        let mut done: Vec<&Migration> = Vec::new();
        let mut past: BTreeSet<u32> = applied.iter().map(|a| a.number).collect();
        let is_new = past.is_empty() && self.is_empty().await?;
        if is_new {
            done.extend(migrations.iter().filter(|m| m.is_former(migrations)));
            past.extend(done.iter().map(|m| m.number));
            self.record(&mut done).await?;
        }
        for migration in migrations.iter().filter(|m| !past.contains(&m.number)) {
            // Views that a later file makes anew are not made: most of the time that a new database takes would go there.
            if !migration.is_replaced(migrations) {
                // What looks into the ledger finds all that was done.
                if migration.only_if.is_some() {
                    self.record(&mut done).await?;
                }
                self.run_beside_others(migration, is_new).await.map_err(|mut e| {
                    e.message = format!("migration {} `{}`: {}", migration.number, migration.name, e.message);
                    e
                })?;
            }
            done.push(migration);
            if migration.only_if.is_some() || done.len() >= RECORDED_AT_ONCE {
                self.record(&mut done).await?;
            }
        }
        self.record(&mut done).await?;
        self.client().clear_cached_metadata().await;
        Ok(())
    }

    /// Whether there is no table but the one of migrations.
    async fn is_empty(&self) -> Result<bool, StoreError> {
        let sql =
            "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name != 'schema_migrations'";
        let found = self.within("looking whether the database is new", self.read(sql).fetch_one::<u64>()).await?;
        Ok(found == 0)
    }

    /// Whether some process has written down that this was done.
    async fn is_recorded(&self, migration: &Migration) -> Result<bool, StoreError> {
        let sql = "SELECT count() FROM schema_migrations WHERE number = {number:UInt32}";
        let query = self.read(sql).param("number", migration.number);
        let found = self.within("reading which migrations were applied", query.fetch_one::<u64>()).await?;
        Ok(found > 0)
    }

    /// Writes down that these were done; each insert waits for the disk.
    async fn record(&self, done: &mut Vec<&Migration>) -> Result<(), StoreError> {
        let (numbers, names): (Vec<u32>, Vec<&str>) = done.drain(..).map(|m| (m.number, m.name)).unzip();
        if numbers.is_empty() {
            return Ok(());
        }
        let sql = "INSERT INTO schema_migrations SELECT number, name, now64(3, 'UTC') FROM (SELECT \
                   arrayJoin(arrayZip({numbers:Array(UInt32)}, {names:Array(String)})) AS one, one.1 AS number, one.2 AS name)";
        let record = self.client().query(sql).param("numbers", numbers).param("names", names);
        self.ddl("recording migrations", record).await
    }

    /// Runs a statement, unless another process is ahead and has: what it has gone past may not even find its table any more. Where it
    /// fails since another does the same at this moment, what that one did is waited for. In a new database nothing takes away what was
    /// made before, so that it is looked only where something fails.
    async fn run_beside_others(&self, migration: &Migration, is_new: bool) -> Result<(), StoreError> {
        let until = Instant::now() + OTHERS;
        let mut looks = !is_new;
        while !looks || !self.is_recorded(migration).await? {
            tracing::info!(number = migration.number, name = migration.name, "migrating the store");
            let Err(error) = self.run(migration).await else { break };
            let silent = matches!(error.kind, StoreErrorKind::Unreachable | StoreErrorKind::Timeout);
            if silent || Instant::now() > until {
                return Err(error);
            }
            looks = true;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    async fn run(&self, migration: &Migration) -> Result<(), StoreError> {
        if let Some(question) = migration.only_if {
            let there =
                self.within("looking at what is to be migrated", self.read(question).fetch_one::<u64>()).await?;
            if there == 0 && migration.swap.is_none() {
                return Ok(());
            }
        }
        if let Some(swap) = &migration.swap {
            // Where it was cut off the table may be of the new layout, and something be left to do.
            return self.swap(swap, migration.sql).await;
        }
        self.ddl("migrating the store", self.client().query_raw(migration.sql)).await
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

    #[test]
    fn a_new_database_has_no_table_of_a_former_layout() {
        let numbers =
            |of: fn(&Migration) -> bool| MIGRATIONS.iter().filter(|m| of(m)).map(|m| m.number).collect::<Vec<_>>();
        let former: Vec<u32> =
            [1..=4, 12..=13, 20..=20, 23..=29, 33..=35, 45..=47, 51..=51].into_iter().flatten().collect();
        assert_eq!(numbers(|m| m.is_former(MIGRATIONS)), former);
        assert!(
            numbers(|m| m.only_if.is_some()).iter().all(|number| former.contains(number)),
            "nothing is left to be looked at"
        );
    }

    #[test]
    fn of_each_view_only_the_last_is_made() {
        let made: Vec<&Migration> = MIGRATIONS.iter().filter(|m| !m.is_replaced(MIGRATIONS)).collect();
        let views = made.iter().filter(|m| m.sql.contains("CREATE OR REPLACE VIEW")).map(|m| m.name);
        let mut names: Vec<&str> = views.collect();
        names.sort_unstable();
        let wanted = [
            "bitcoin_blocks",
            "bitcoin_inputs",
            "bitcoin_outputs",
            "bitcoin_transactions",
            "block_events",
            "blocks",
            "causes",
        ];
        let wanted = [&wanted[..], &["completeness", "contract_blocks", "endpoints", "evm_logs"]].concat();
        let more =
            ["evm_transactions", "provider_minutes", "provider_samples", "token_transfers", "transactions", "windows"];
        assert_eq!(names, [&wanted[..], &more].concat());
        assert!(MIGRATIONS.iter().filter(|m| m.is_replaced(MIGRATIONS)).all(|m| !m.sql.contains(" TABLE ")));
    }
}

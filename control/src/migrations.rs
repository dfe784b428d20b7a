//! The database's shape: numbered migrations that only go forward.
//!
//! Guarantee: all that are missing are applied in one transaction, by one process at a time, or none is. A migration that was applied is
//! known by its checksum; a database that a later version changed, or that other files made, is refused untouched. Each has one text for
//! both databases, and beside it what only one of them has (row-level security; triggers where there are no rights).

use schemas::TimeMs;
use sha2::{Digest, Sha256};

use crate::{
    db::{Db, Dialect, Tx, Value},
    error::{Error, SchemaError},
    sql::SystemSql,
};

/// A migration of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its number, from 1 on without a gap.
    pub number: i64,
    /// What it is about.
    pub name: &'static str,
    common: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "begin",
        common: include_str!("../migrations/0001_begin.sql"),
        sqlite: include_str!("../migrations/0001_begin.sqlite.sql"),
        postgres: include_str!("../migrations/0001_begin.postgres.sql"),
    },
    Migration {
        number: 2,
        name: "operator",
        common: include_str!("../migrations/0002_operator.sql"),
        sqlite: "",
        postgres: "",
    },
    Migration {
        number: 3,
        name: "publish",
        common: include_str!("../migrations/0003_publish.sql"),
        sqlite: include_str!("../migrations/0003_publish.sqlite.sql"),
        postgres: include_str!("../migrations/0003_publish.postgres.sql"),
    },
    Migration {
        number: 4,
        name: "alerts",
        common: include_str!("../migrations/0004_alerts.sql"),
        sqlite: "",
        postgres: include_str!("../migrations/0004_alerts.postgres.sql"),
    },
    Migration {
        number: 5,
        name: "people",
        common: include_str!("../migrations/0005_people.sql"),
        sqlite: "",
        postgres: include_str!("../migrations/0005_people.postgres.sql"),
    },
    Migration {
        number: 6,
        name: "quotas",
        common: include_str!("../migrations/0006_quotas.sql"),
        sqlite: "",
        postgres: include_str!("../migrations/0006_quotas.postgres.sql"),
    },
    Migration {
        number: 7,
        name: "life",
        common: include_str!("../migrations/0007_life.sql"),
        sqlite: include_str!("../migrations/0007_life.sqlite.sql"),
        postgres: include_str!("../migrations/0007_life.postgres.sql"),
    },
    Migration {
        number: 8,
        name: "importing",
        common: include_str!("../migrations/0008_importing.sql"),
        sqlite: "",
        postgres: "",
    },
];

impl Migration {
    /// Its text for one of the databases.
    pub fn text(&self, dialect: Dialect) -> String {
        let own = match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        };
        format!("{}\n{own}", self.common)
    }

    fn checksum(&self, dialect: Dialect) -> String {
        const_hex::encode(Sha256::digest(self.text(dialect)))
    }
}

/// A migration that was, or would be, applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub number: i64,
    /// Its name.
    pub name: &'static str,
    /// The SQL.
    pub sql: String,
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS control_migrations (\
     number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)";
const THERE_SQLITE: SystemSql =
    SystemSql("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'control_migrations'");
const THERE_POSTGRES: SystemSql =
    SystemSql("SELECT 'there' AS name WHERE to_regclass('control_migrations') IS NOT NULL");
const APPLIED: SystemSql = SystemSql("SELECT number, name, checksum FROM control_migrations ORDER BY number");
const REMEMBER: SystemSql =
    SystemSql("INSERT INTO control_migrations (number, name, checksum, applied_at) VALUES ($1, $2, $3, $4)");
/// Processes that migrate at once wait here for each other; SQLite has its writer's lock.
pub(crate) const ALONE: &str = "SELECT pg_advisory_xact_lock(7526411553527181)";

/// All that there are, for a database that is not there yet.
pub(crate) fn all(dialect: Dialect) -> Vec<Step> {
    MIGRATIONS.iter().map(|m| Step { number: m.number, name: m.name, sql: m.text(dialect) }).collect()
}

/// What is missing of a database. Reads only.
pub(crate) async fn missing(tx: &mut Tx) -> Result<Vec<Migration>, Error> {
    missing_of(tx, MIGRATIONS).await
}

async fn missing_of(tx: &mut Tx, ours: &[Migration]) -> Result<Vec<Migration>, Error> {
    let dialect = tx.dialect();
    let there = if dialect == Dialect::Sqlite { THERE_SQLITE } else { THERE_POSTGRES };
    if tx.system(there, &[]).await?.is_empty() {
        return Ok(ours.to_vec());
    }
    let mut last = 0;
    for row in tx.system(APPLIED, &[]).await? {
        let (number, name, applied) = (row.int("number")?, row.text("name")?, row.text("checksum")?);
        let Some(migration) = ours.iter().find(|m| m.number == number) else {
            let known = ours.iter().map(|m| m.number).max().unwrap_or(0);
            return Err(SchemaError::Newer { found: number, name, known }.into());
        };
        let checksum = migration.checksum(dialect);
        if checksum != applied {
            return Err(SchemaError::Changed { number, name, applied, ours: checksum }.into());
        }
        last = number;
    }
    Ok(ours.iter().filter(|m| m.number > last).copied().collect())
}

/// Applies what is missing; with `dry` it says only what that is.
pub(crate) async fn apply(db: &Db, dry: bool) -> Result<Vec<Step>, Error> {
    apply_of(db, dry, MIGRATIONS).await
}

async fn apply_of(db: &Db, dry: bool, ours: &[Migration]) -> Result<Vec<Step>, Error> {
    let mut tx = db.system(!dry).await?;
    let done = apply_in(&mut tx, dry, ours).await;
    tx.end(done).await
}

async fn apply_in(tx: &mut Tx, dry: bool, ours: &[Migration]) -> Result<Vec<Step>, Error> {
    let dialect = tx.dialect();
    if !dry && dialect == Dialect::Postgres {
        tx.script(ALONE).await?;
    }
    let missing = missing_of(tx, ours).await?;
    if !dry && missing.len() == ours.len() {
        tx.script(TABLE).await?;
    }
    let mut steps = Vec::with_capacity(missing.len());
    for m in missing {
        let sql = m.text(dialect);
        if !dry {
            tx.script(&sql).await?;
            let values = [Value::from(m.number), m.name.into(), m.checksum(dialect).into(), TimeMs::now().0.into()];
            tx.system(REMEMBER, &values).await?;
        }
        steps.push(Step { number: m.number, name: m.name, sql });
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(number: i64, common: &'static str) -> Migration {
        Migration { number, name: "next", common, sqlite: "", postgres: "" }
    }

    #[test]
    fn numbers_have_no_gap() {
        for (i, m) in MIGRATIONS.iter().enumerate() {
            assert_eq!(m.number, i as i64 + 1);
        }
    }

    #[tokio::test]
    async fn applied_whole_or_not_at_all_and_what_is_not_ours_stays_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let db = crate::db::sqlite::open(&dir.path().join("control.db")).await.unwrap();
        assert_eq!(apply(&db, true).await.unwrap().len(), MIGRATIONS.len());
        assert_eq!(apply(&db, true).await.unwrap().len(), MIGRATIONS.len(), "a dry run changes nothing");
        assert_eq!(apply(&db, false).await.unwrap().len(), MIGRATIONS.len());
        assert_eq!(apply(&db, false).await.unwrap(), []);

        // The second of two is wrong: neither is there afterwards.
        let number = MIGRATIONS.len() as i64;
        let bad: Vec<Migration> = MIGRATIONS
            .iter()
            .copied()
            .chain([next(number + 1, "CREATE TABLE one (a BIGINT)"), next(number + 2, "CREATE TABLE nonsense")])
            .collect();
        assert!(matches!(apply_of(&db, false, &bad).await, Err(Error::Database(_))));
        let good: Vec<Migration> =
            MIGRATIONS.iter().copied().chain([next(number + 1, "CREATE TABLE one (a BIGINT)")]).collect();
        assert_eq!(apply_of(&db, false, &good).await.unwrap().len(), 1);

        // Now it is of a later version.
        let e = apply(&db, false).await.unwrap_err();
        assert!(matches!(&e, Error::Schema(SchemaError::Newer { found, .. }) if *found == number + 1), "{e}");
        assert!(e.to_string().contains("later version"), "{e}");
        let changed: Vec<Migration> =
            MIGRATIONS.iter().copied().chain([next(number + 1, "CREATE TABLE one (b BIGINT)")]).collect();
        let e = apply_of(&db, false, &changed).await.unwrap_err();
        assert!(matches!(&e, Error::Schema(SchemaError::Changed { number: n, .. }) if *n == number + 1), "{e}");
        db.close().await;
    }
}

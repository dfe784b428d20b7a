//! SQLite, as it is opened: WAL, each commit synced to disk (FULL), writers one after the other (BEGIN IMMEDIATE), foreign keys on.

use std::path::Path;

use schemas::limits::control as limits;
use sqlx::{
    ConnectOptions,
    pool::PoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{Db, Pools, deadline};
use crate::error::Error;

/// Opens the file, which is made where there is none.
pub(crate) async fn open(file: &Path) -> Result<Db, Error> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(limits::BUSY)
        .foreign_keys(true)
        .disable_statement_logging();
    let pool = |most: u32| PoolOptions::new().max_connections(most).acquire_timeout(limits::DEADLINE);
    // The first connection makes the file and its mode; it writes.
    let writer = deadline(pool(1).connect_with(options.clone())).await.map_err(|e| at(file, e))?;
    let reading = options.create_if_missing(false).pragma("query_only", "ON");
    let readers = pool(limits::CONNECTIONS).connect_lazy_with(reading);
    Ok(Db::new(Pools::Sqlite { writer, readers }))
}

fn at(file: &Path, e: Error) -> Error {
    Error::Settings(format!("the control store {} cannot be opened: {e}", file.display()))
}

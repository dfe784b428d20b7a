//! The two databases behind one face: pools, transactions, rows.
//!
//! Guarantee: a statement on tenants' rows runs only inside a [`Tx`] that was opened with a tenant, which it binds as `$1` (and on
//! PostgreSQL tells the row-level security for this transaction alone). Every wait has a deadline. A transaction that is dropped before its
//! end (an error, a deadline, a caller that went away) takes its connection with it, so that nothing of it is ever committed or seen by
//! the next.

mod failure;
pub(crate) mod postgres;
mod row;
pub(crate) mod sqlite;
mod tx;

use std::sync::Arc;

use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use sqlx::{Pool, Postgres, Sqlite};
use tokio::sync::Notify;

pub(crate) use failure::deadline;
pub(crate) use row::{Row, Value};
pub(crate) use tx::{Conn, Tx};

use crate::{error::Error, id::Id, tenant::Tenant};

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// An open database.
#[derive(Clone)]
pub(crate) struct Db {
    pools: Pools,
    /// Rung by a transaction of this process that left something in the outbox.
    bell: Arc<Notify>,
}

#[derive(Clone)]
enum Pools {
    /// SQLite has one writer, which waits in a pool of one connection.
    Sqlite {
        /// For transactions that write.
        writer: Pool<Sqlite>,
        /// For those that read.
        readers: Pool<Sqlite>,
    },
    /// PostgreSQL.
    Postgres(Pool<Postgres>),
}

impl Db {
    fn new(pools: Pools) -> Self {
        Self { pools, bell: Arc::default() }
    }

    /// Waits until this process changed something that the stages are to be told; at once, where that was so since it was last asked.
    /// For one at a time.
    pub(crate) async fn changed(&self) {
        self.bell.notified().await;
    }

    /// A connection. Where there is none, the database is away, whatever it says of itself.
    async fn connection(&self, write: bool) -> Result<Conn, Error> {
        self.acquire(write).await.map_err(|e| match e {
            Error::Database(words) => Error::Away(words),
            e => e,
        })
    }

    fn acquire(&self, write: bool) -> BoxFuture<'_, Result<Conn, Error>> {
        match &self.pools {
            Pools::Sqlite { writer, readers } => {
                let pool = if write { writer } else { readers };
                deadline(pool.acquire()).map_ok(Conn::Sqlite).boxed()
            }
            Pools::Postgres(pool) => deadline(pool.acquire()).map_ok(Conn::Postgres).boxed(),
        }
    }

    /// A transaction that reads a tenant's rows.
    pub(crate) async fn read(&self, tenant: &Tenant) -> Result<Tx, Error> {
        self.begin(false, Some(&tenant.id)).await
    }

    /// A transaction that changes a tenant's rows. For changes that people make there is `audit::Change`, which writes them down.
    pub(crate) async fn write(&self, tenant: &Tenant) -> Result<Tx, Error> {
        self.begin(true, Some(&tenant.id)).await
    }

    /// A transaction for what belongs to no tenant.
    pub(crate) async fn system(&self, write: bool) -> Result<Tx, Error> {
        self.begin(write, None).await
    }

    async fn begin(&self, write: bool, tenant: Option<&Id>) -> Result<Tx, Error> {
        Tx::begin(self.connection(write).await?, self.bell.clone(), write, tenant).await
    }

    /// Lets go of every connection.
    pub(crate) async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

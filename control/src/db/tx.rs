//! A transaction.

use std::sync::Arc;

use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use sqlx::{Executor, Postgres, Sqlite, pool::PoolConnection, query::Query};
use tokio::sync::Notify;

use super::{
    Dialect,
    failure::deadline,
    row::{Row, Value},
};
use crate::{
    error::Error,
    id::Id,
    sql::{Sql, SystemSql},
};

/// A connection that a transaction has for itself.
pub(crate) enum Conn {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Conn {
    /// Takes it out of its pool and closes it, with whatever was open on it.
    fn discard(self) {
        match self {
            Self::Sqlite(c) => drop(c.detach()),
            Self::Postgres(c) => drop(c.detach()),
        }
    }

    /// Boxed, as [`Self::rows`]: the library's own futures are not seen to be `Send` for every lifetime, and those who serve requests
    /// have to be able to hand theirs to other threads.
    fn raw<'a>(&'a mut self, text: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        match self {
            Self::Sqlite(c) => deadline((&mut **c).execute(sqlx::raw_sql(text))).map_ok(drop).boxed(),
            Self::Postgres(c) => deadline((&mut **c).execute(sqlx::raw_sql(text))).map_ok(drop).boxed(),
        }
    }

    fn rows<'a>(
        &'a mut self,
        text: &'a str,
        values: impl Iterator<Item = Value>,
    ) -> BoxFuture<'a, Result<Vec<Row>, Error>> {
        match self {
            Self::Sqlite(c) => {
                let query = values.fold(sqlx::query(text), bind);
                let rows = deadline((&mut **c).fetch_all(query));
                rows.map_ok(|rows| rows.into_iter().map(Row::Sqlite).collect()).boxed()
            }
            Self::Postgres(c) => {
                let query = values.fold(sqlx::query(text), bind);
                let rows = deadline((&mut **c).fetch_all(query));
                rows.map_ok(|rows| rows.into_iter().map(Row::Postgres).collect()).boxed()
            }
        }
    }
}

fn bind<'q, DB: sqlx::Database>(
    query: Query<'q, DB, <DB as sqlx::Database>::Arguments<'q>>,
    value: Value,
) -> Query<'q, DB, <DB as sqlx::Database>::Arguments<'q>>
where
    Option<String>: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
    Option<i64>: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    match value {
        Value::Text(text) => query.bind(text),
        Value::Int(number) => query.bind(number),
    }
}

/// A transaction, for one tenant or for none.
pub(crate) struct Tx {
    /// Gone once the transaction has ended.
    conn: Option<Conn>,
    tenant: Option<Id>,
    bell: Arc<Notify>,
    /// Whether it left something for the stages.
    tells: bool,
}

impl Tx {
    pub(super) async fn begin(conn: Conn, bell: Arc<Notify>, write: bool, tenant: Option<&Id>) -> Result<Self, Error> {
        let mut tx = Self { conn: Some(conn), tenant: None, bell, tells: false };
        let text = match (tx.conn(), write) {
            (Conn::Sqlite(_), true) => "BEGIN IMMEDIATE",
            (Conn::Sqlite(_), false) => "BEGIN",
            (Conn::Postgres(_), true) => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            (Conn::Postgres(_), false) => "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY",
        };
        tx.conn().raw(text).await?;
        if let Some(id) = tenant {
            tx.enter(id).await?;
        }
        Ok(tx)
    }

    /// From here on this tenant's rows: who presented a key is now known.
    pub(crate) async fn enter(&mut self, tenant: &Id) -> Result<(), Error> {
        self.set("headwater.tenant", tenant.as_str()).await?;
        self.tenant = Some(*tenant);
        Ok(())
    }

    /// Tells PostgreSQL's policies something for this transaction alone.
    pub(crate) async fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        if self.dialect() == Dialect::Postgres {
            let values = [Value::from(name), Value::from(value)];
            self.conn().rows("SELECT set_config($1, $2, true)", values.into_iter()).await?;
        }
        Ok(())
    }

    pub(crate) fn dialect(&mut self) -> Dialect {
        match self.conn() {
            Conn::Sqlite(_) => Dialect::Sqlite,
            Conn::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Rows of a statement on the tenant's rows, `$1` being the tenant and `$2` the first of `values`.
    pub(crate) async fn rows(&mut self, sql: Sql, values: &[Value]) -> Result<Vec<Row>, Error> {
        let Some(tenant) = self.tenant else {
            return Err(Error::Database("a tenant's statement in a transaction that has none".to_owned()));
        };
        let values = std::iter::once(Value::from(&tenant)).chain(values.iter().cloned());
        self.conn().rows(sql.text(), values).await
    }

    /// The one row that there can be.
    pub(crate) async fn row(&mut self, sql: Sql, values: &[Value]) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Rows of a statement on what belongs to no tenant.
    pub(crate) async fn system(&mut self, sql: SystemSql, values: &[Value]) -> Result<Vec<Row>, Error> {
        self.conn().rows(sql.0, values.iter().cloned()).await
    }

    /// It leaves something for the stages: whoever publishes is woken when it is committed.
    pub(crate) fn tells(&mut self) {
        self.tells = true;
    }

    /// Several statements without values: migrations.
    pub(crate) async fn script(&mut self, text: &str) -> Result<(), Error> {
        self.conn().raw(text).await
    }

    /// Ends it: commits what succeeded, rolls back what did not.
    pub(crate) async fn end<T>(mut self, done: Result<T, Error>) -> Result<T, Error> {
        let text = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.conn().raw(text).await;
        match (done, ended) {
            (Ok(done), Ok(())) => {
                // Back to the pool.
                drop(self.conn.take());
                if self.tells {
                    self.bell.notify_one();
                }
                Ok(done)
            }
            (Err(e), Ok(())) => {
                drop(self.conn.take());
                Err(e)
            }
            (Ok(_), Err(e)) | (Err(e), Err(_)) => Err(e),
        }
    }

    fn conn(&mut self) -> &mut Conn {
        self.conn.as_mut().expect("only `end` and `drop` take it, and both own the transaction")
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            conn.discard();
        }
    }
}

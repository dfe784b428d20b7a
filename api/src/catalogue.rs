//! What there is for SQL (views, tables with their sizes, limits, queries to begin with), kept for a moment, so that many readers
//! of the page ask the store once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use schemas::limits::store as limits;
use serde::Serialize;
use store::{
    Store, StoreError,
    engine::{ANALYST, tells_contracts},
    query::{self, Pruned, TableSize, View},
};
use tokio::sync::Mutex;
use url::Url;
use utoipa::ToSchema;

use crate::error::ApiError;

/// How to reach the rows by SQL, and what is there.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sql {
    /// Address of ClickHouse's HTTP interface, as this server reaches it; without credentials.
    #[schema(example = "http://127.0.0.1:8123")]
    pub url: String,
    /// The database that holds the views.
    pub database: String,
    /// The user for readers. Its password is in no answer.
    pub user: String,
    /// The views.
    pub views: Vec<ViewItem>,
    /// The tables behind them, with their sizes.
    pub tables: Vec<TableItem>,
    /// What was removed of networks by `[store] keep` or `max_bytes`; of others everything that ever came is held.
    pub removed: Vec<RemovedItem>,
    /// What one statement of that user may cost in the embedded store.
    pub limits: SqlLimits,
    /// Queries that work as typed.
    pub queries: Vec<QueryItem>,
}

/// A view.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SqlView)]
pub struct ViewItem {
    /// Its name.
    pub name: String,
    /// What a row is.
    pub comment: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnItem>,
}

/// A column of a view.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SqlColumn)]
pub struct ColumnItem {
    /// Its name.
    pub name: String,
    /// ClickHouse's type.
    #[schema(example = "Nullable(UInt256)")]
    pub r#type: String,
    /// Meaning and unit. `Same as X, …` and `X as decimal text` name the column X that this one repeats.
    pub comment: String,
}

/// A table behind the views.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SqlTable)]
pub struct TableItem {
    /// Its name.
    pub name: String,
    /// Rows, with those that the next merges drop.
    pub rows: u64,
    /// Bytes on disk, compressed.
    pub bytes: u64,
    /// Partitions that hold rows.
    pub partitions: u64,
    /// Block time of the first row; null for tables without blocks.
    pub oldest: Option<String>,
    /// Block time of the last row; null for tables without blocks.
    pub newest: Option<String>,
}

/// What was removed of a network.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SqlRemoved)]
pub struct RemovedItem {
    /// The network's slug.
    pub network: String,
    /// Lowest height that was ever held.
    pub from_height: u64,
    /// Rows are held from this height on.
    pub below: u64,
    /// Time of the newest block that was removed.
    #[schema(format = DateTime)]
    pub until: String,
    /// `keep` or `max_bytes`.
    pub reason: String,
}

/// What one statement may cost in the embedded store. A server elsewhere has limits of its own.
#[derive(Debug, Serialize, ToSchema)]
pub struct SqlLimits {
    /// Time.
    pub seconds: u64,
    /// Memory.
    pub memory_bytes: u64,
    /// Rows that it may read.
    pub rows_read: u64,
    /// Rows that it may give.
    pub rows_given: u64,
    /// Statements at the same time, of all analysts.
    pub at_once: usize,
    /// Length of its text.
    pub text_bytes: usize,
    /// Temporary files on disk.
    pub temporary_bytes: u64,
}

/// A query that works as typed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SqlQuery)]
pub struct QueryItem {
    /// What it answers, in a few words.
    pub title: String,
    /// More about it; names stand in backquotes.
    pub about: String,
    /// The statement.
    pub sql: String,
}

/// The last answer.
#[derive(Default)]
pub struct Catalogue(Mutex<Option<Last>>);

type Last = (Instant, Result<Arc<Sql>, ApiError>);

/// How long an answer is given again, and a failure: who waits for a store in trouble does not ask it one after the other.
const KEPT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));

impl Catalogue {
    /// The answer, at most [`KEPT`] old. One request asks, others wait for it.
    ///
    /// Without `contracts` it says nothing of what analysts may not name ([`tells_contracts`]): from how much there is, looked at again and
    /// again, it would follow which contracts are watched.
    pub async fn of(&self, store: &Store, contracts: bool) -> Result<Arc<Sql>, ApiError> {
        let mut last = self.0.lock().await;
        if let Some((at, answer)) = last.as_ref()
            && at.elapsed() < if answer.is_ok() { KEPT.0 } else { KEPT.1 }
        {
            return answer.clone();
        }
        let asked =
            async { Ok::<_, StoreError>((store.views().await?, store.table_sizes().await?, store.pruned().await?)) };
        let answer = match asked.await {
            Ok((mut views, mut tables, pruned)) => {
                views.retain(|view| contracts || !tells_contracts(&view.name));
                tables.retain(|table| contracts || !tells_contracts(&table.name));
                Ok(Arc::new(describe(store, views, tables, pruned)))
            }
            Err(error) => Err(ApiError::from_store(&error)),
        };
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}

fn describe(store: &Store, views: Vec<View>, tables: Vec<TableSize>, pruned: Vec<Pruned>) -> Sql {
    let view = |v: View| ViewItem {
        name: v.name,
        comment: v.comment,
        columns: v
            .columns
            .into_iter()
            .map(|c| ColumnItem { name: c.name, r#type: c.kind, comment: c.comment })
            .collect(),
    };
    let table = |t: TableSize| TableItem {
        name: t.name,
        rows: t.rows,
        bytes: t.bytes,
        partitions: t.partitions,
        oldest: t.oldest.map(schemas::TimeMs::rfc3339),
        newest: t.newest.map(schemas::TimeMs::rfc3339),
    };
    let removed = |p: Pruned| RemovedItem {
        network: p.network,
        from_height: p.from_height,
        below: p.below,
        until: p.newest_time.rfc3339(),
        reason: p.reason,
    };
    let example = |q: query::Example| QueryItem { title: q.title, about: q.about, sql: q.sql };
    Sql {
        url: without_credentials(&store.config().url),
        database: store.database().to_owned(),
        user: ANALYST.to_owned(),
        views: views.into_iter().map(view).collect(),
        tables: tables.into_iter().map(table).collect(),
        removed: pruned.into_iter().map(removed).collect(),
        limits: SqlLimits {
            seconds: limits::ANALYST_TIME.as_secs(),
            memory_bytes: limits::ANALYST_MEMORY,
            rows_read: limits::ANALYST_ROWS,
            rows_given: limits::ANALYST_RESULT_ROWS,
            at_once: limits::ANALYST_CONCURRENCY,
            text_bytes: limits::ANALYST_STATEMENT_BYTES,
            temporary_bytes: limits::ANALYST_TEMPORARY_BYTES,
        },
        queries: query::examples().into_iter().map(example).collect(),
    }
}

/// Scheme, host, port and path: user, password and parameters (which may hold a password too) are left out.
fn without_credentials(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    format!("{origin}{}", url.path().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_has_no_credentials() {
        for (url, shown) in [
            ("http://127.0.0.1:8123/", "http://127.0.0.1:8123"),
            ("https://headwater:secret@store.example/", "https://store.example"),
            (
                "https://store.example:8443/clickhouse/?user=headwater&password=secret#x",
                "https://store.example:8443/clickhouse",
            ),
            ("http://[::1]:8123", "http://[::1]:8123"),
        ] {
            assert_eq!(without_credentials(&url.parse().expect("a URL")), shown);
        }
    }
}

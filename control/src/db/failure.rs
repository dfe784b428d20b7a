//! Errors of the client sorted: away, or wrong.

use std::future::Future;

use schemas::limits::control as limits;

use crate::error::Error;

/// Waits for the database no longer than it may take.
pub(crate) async fn deadline<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(limits::DEADLINE, work).await {
        Ok(done) => done.map_err(sorted),
        Err(_) => Err(Error::Away(format!("no answer within {} s", limits::DEADLINE.as_secs()))),
    }
}

/// SQLSTATE classes that say that the server is going, full or unreachable, and codes that ask to try again.
const AWAY: [&str; 7] = ["08", "53", "57", "58", "40001", "40P01", "55P03"];
/// SQLite: busy, locked, I/O error, full, cannot open.
const AWAY_SQLITE: [i32; 5] = [5, 6, 10, 13, 14];

pub(crate) fn sorted(e: sqlx::Error) -> Error {
    let away = match &e {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(e) => {
            let code = e.code().unwrap_or_default();
            let sqlite = code.parse::<i32>().is_ok_and(|n| code.len() < 5 && AWAY_SQLITE.contains(&(n & 0xff)));
            sqlite || code.len() == 5 && AWAY.iter().any(|class| code.starts_with(class))
        }
        _ => false,
    };
    let words = e.to_string();
    if away { Error::Away(words) } else { Error::Database(words) }
}

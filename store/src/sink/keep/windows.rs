//! `[store] keep_windows`: old windows go, whole months of them at a time (rule 32).
//!
//! Guarantee: before which time there are none is published before the first of them goes (`pruned_window_rows`), and hides them from the
//! view at once. Partitions are dropped a moment after, at every look again: what a replay of another process brought back goes too. What
//! would go at once is not written in the first place ([`crate::sink::windows`]).

use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveTime};
use clickhouse::Row;
use schemas::TimeMs;
use serde::Deserialize;

use super::{super::insert::SETTINGS, parts::drop_partition};
use crate::{Store, StoreError, client::deadline};

/// The table.
const TABLE: &str = "window_rows";

#[derive(Row, Deserialize)]
struct Published {
    before: TimeMs,
    age_ms: u64,
}

/// The beginning of the month, in UTC, that the oldest window lies in which is to be kept: what begins before it goes.
pub(in crate::sink) fn oldest_window(now: TimeMs, keep: Duration) -> TimeMs {
    let before = now.0.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX)).max(0);
    let month = DateTime::from_timestamp_millis(before).and_then(|at| {
        let first = at.date_naive().with_day(1)?;
        Some(first.and_time(NaiveTime::MIN).and_utc().timestamp_millis())
    });
    TimeMs(month.unwrap_or(0))
}

/// Publishes what is older than windows are to be kept, and drops what was published.
pub(super) async fn prune(
    store: &Store,
    keep: Option<Duration>,
    now: TimeMs,
    rest: Duration,
) -> Result<(), StoreError> {
    let sql = "SELECT max(pruned_before) AS before, toUInt64(greatest(0, dateDiff('millisecond', max(at), now64(3, 'UTC')))) AS age_ms \
               FROM pruned_window_rows";
    let query = store.read(sql).fetch_one::<Published>();
    let published = store.within("reading which windows were removed", query).await?;
    let floor = keep.map_or(published.before, |keep| oldest_window(now, keep).max(published.before));
    if floor.0 <= 0 {
        return Ok(());
    }
    let sql = "SELECT DISTINCT partition_id FROM system.parts WHERE database = {database:String} AND table = {table:String} AND active \
               AND toUInt32OrZero(partition) < toYYYYMM(fromUnixTimestamp64Milli({floor:Int64}, 'UTC')) ORDER BY partition_id";
    let query = store.read(sql).param("database", store.database()).param("table", TABLE).param("floor", floor.0);
    let old = store.within("reading the months of windows", query.fetch_all::<String>()).await?;
    if old.is_empty() {
        return Ok(());
    }
    if floor > published.before {
        let sql =
            "INSERT INTO pruned_window_rows SELECT fromUnixTimestamp64Milli({floor:Int64}, 'UTC'), now64(3, 'UTC')";
        let statement = store.client().query(sql).param("floor", floor.0);
        let statement = SETTINGS.iter().fold(statement, |s, (name, value)| s.with_setting(*name, *value));
        deadline("saying which windows go", store.config().write_deadline, statement.execute()).await?;
        tracing::info!(before = %floor.rfc3339(), months = old.len(), "old windows go");
    } else if published.age_ms >= rest.as_millis() as u64 {
        for month in &old {
            drop_partition(store, TABLE, month).await?;
        }
        tracing::info!(before = %floor.rfc3339(), months = old.len(), "old windows are removed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(rfc3339: &str) -> TimeMs {
        let days = [
            ("2026-11-29", 20_786),
            ("2026-01-31", 20_484),
            ("2024-03-01", 19_783),
            ("2024-02-29", 19_782),
            ("1970-01-01", 0),
        ];
        let found = days.iter().find(|(text, _)| *text == rfc3339).expect("a day of these");
        TimeMs(found.1 * 86_400_000 + 5)
    }

    #[test]
    fn whole_months_are_kept() {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        for (now, keep, wanted) in [
            ("2026-11-29", 0, "2026-11-01"),
            ("2026-11-29", 29, "2026-10-01"),
            ("2026-01-31", 30, "2026-01-01"),
            ("2026-01-31", 31, "2025-12-01"),
            ("2024-03-01", 1, "2024-02-01"),
            ("2024-02-29", 0, "2024-02-01"),
            ("2024-02-29", 365, "2023-03-01"),
            ("1970-01-01", 900, "1970-01-01"),
        ] {
            let oldest = oldest_window(day(now), days(keep));
            assert_eq!(oldest.rfc3339().get(..10), Some(wanted), "{now}, {keep} days");
            assert_eq!(oldest.0 % 86_400_000, 0);
        }
    }
}

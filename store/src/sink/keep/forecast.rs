//! How fast the tables grow: what was written within the last day, at the bytes that a block of its network takes on disk.
//!
//! Sizes themselves say less: merges make them smaller at any time, and a restart forgets them. A back-fill counts as it is.

use std::time::Duration;

use clickhouse::Row;
use serde::Deserialize;

use super::plan::Held;
use crate::{Store, StoreError};

const DAY: Duration = Duration::from_secs(86_400);
/// A store that is younger says nothing of its growth.
const LEAST: Duration = Duration::from_secs(600);

/// Bytes that come in a day.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Growth(pub f64);

impl Growth {
    /// Time until there are so many bytes; `None` when they do not grow.
    pub fn until(self, bytes: u64, most: u64) -> Option<Duration> {
        let days = most.saturating_sub(bytes) as f64 / self.0;
        (self.0 > 0.0 && days < 36_500.0).then(|| DAY.mul_f64(days))
    }
}

/// An event: its sequence, and how long ago it was written, milliseconds by the store's clock.
#[derive(Clone, Copy, Row, Deserialize)]
struct Written {
    sequence: u64,
    ago_ms: i64,
}

/// The first event of a network that is at least so old, seen from the last one (`DESC`), or from the first (`ASC`).
async fn event(store: &Store, network: &str, order: &str, age: Duration) -> Result<Option<Written>, StoreError> {
    // Events follow each other in time, so that this reads those that are younger and no more.
    let sql = format!(
        "SELECT sequence, toInt64(dateDiff('millisecond', stored_at, now64(3, 'UTC'))) AS ago_ms FROM block_event_rows \
         WHERE network = {{network:String}} AND stored_at <= now64(3, 'UTC') - toIntervalMillisecond({{age:UInt64}}) \
         ORDER BY network {order}, sequence {order} LIMIT 1"
    );
    let query = store.read(&sql).param("network", network).param("age", age.as_millis() as u64);
    store.within("reading how a network grows", query.fetch_optional::<Written>()).await
}

/// How fast all networks together grow.
pub(super) async fn growth(store: &Store, held: &Held) -> Result<Growth, StoreError> {
    let mut all = 0.0;
    for (name, network) in &held.networks {
        let (bytes, blocks) =
            network.parts.values().fold((0, 0), |(bytes, blocks), part| (bytes + part.bytes, blocks + part.blocks));
        let before = event(store, name, "DESC", DAY).await?;
        let since = match before {
            Some(before) => Some(before),
            None => event(store, name, "ASC", LEAST).await?,
        };
        let last = store.processed_sequence(name).await?;
        if let Some(since) = since.filter(|_| blocks > 0) {
            let events = last.saturating_sub(since.sequence) as f64;
            let days = Duration::from_millis(since.ago_ms.max(1) as u64).as_secs_f64() / DAY.as_secs_f64();
            all += events / days * bytes as f64 / blocks as f64;
        }
    }
    Ok(Growth(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_growth() {
        assert_eq!(Growth(10.0).until(80, 100), Some(2 * DAY));
        assert_eq!(Growth(10.0).until(120, 100), Some(Duration::ZERO));
        assert_eq!((Growth(0.0).until(80, 100), Growth(1e-9).until(0, 1 << 40)), (None, None));
    }
}

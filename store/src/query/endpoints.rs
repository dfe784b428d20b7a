//! Endpoints of chain nodes as they were at a time: what their calls around it say.
//!
//! Guarantee: what is read is bounded by the time around it, whatever the tables hold. Sums by minute are held for 90 days, single calls,
//! which tell of heights and failures, for one.

use clickhouse::Row;
use schemas::{Network, TimeMs};
use serde::Deserialize;

use crate::{Store, StoreError};

/// An endpoint at a time.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct EndpointAt {
    /// Its name.
    pub endpoint: String,
    /// The highest block that a call told of.
    pub height: Option<u64>,
    /// The lowest.
    pub lowest: Option<u64>,
    /// Calls.
    pub calls: u64,
    /// Those that did not succeed.
    pub failures: u64,
    /// Median latency of those that did, milliseconds; of sums by minute the mean of their medians, weighted by calls.
    pub latency_ms: Option<u64>,
    /// Answers that contradicted themselves or the others.
    pub lies: u64,
    /// The last failure in words.
    pub error: Option<String>,
    /// When it was last called.
    pub at: TimeMs,
}

const MINUTE_MS: i64 = 60_000;
const ASKING: &str = "reading endpoints of a time";

const SAMPLES: &str = "SELECT endpoint, max(told) AS height, min(told) AS lowest, count() AS calls, countIf(NOT success) AS failures, \
    if(countIf(success) > 0, toUInt64(medianExactIf(took, success)), NULL) AS latency_ms, countIf(outcome = 'wrong') AS lies, \
    argMaxOrNullIf(failure, time, failure IS NOT NULL) AS error, max(time) AS at \
    FROM (SELECT s.endpoint AS endpoint, s.height AS told, s.success AS success, s.latency_ms AS took, s.outcome AS outcome, \
        s.error AS failure, s.at AS time FROM provider_samples AS s WHERE s.network = {network:String} \
        AND s.at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND s.at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')) \
    GROUP BY endpoint ORDER BY endpoint LIMIT {limit:UInt32}";

/// Requests only: that somebody subscribed again ([`schemas::records::SUBSCRIBED_AGAIN`]) has its sum beside them, and is none.
const MINUTES: &str = "SELECT endpoint, CAST(NULL, 'Nullable(UInt64)') AS height, CAST(NULL, 'Nullable(UInt64)') AS lowest, sum(all_calls) AS calls, sum(failed) AS failures, \
    if(sum(weight) > 0, toUInt64(intDiv(sum(weighted), sum(weight))), NULL) AS latency_ms, toUInt64(0) AS lies, \
    CAST(NULL, 'Nullable(String)') AS error, max(time) AS at \
    FROM (SELECT m.endpoint AS endpoint, m.calls AS all_calls, m.failures AS failed, m.at AS time, \
        if(m.latency_p50_ms IS NULL, 0, m.calls - least(m.failures, m.calls)) AS weight, \
        ifNull(m.latency_p50_ms, 0) * weight AS weighted FROM provider_minutes AS m WHERE m.network = {network:String} \
        AND m.method != 'eth_subscribe again' \
        AND m.at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND m.at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')) \
    GROUP BY endpoint ORDER BY endpoint LIMIT {limit:UInt32}";

impl Store {
    /// The same by minutes alone, over a longer time: a day and more.
    pub(super) async fn endpoints_by_minutes(
        &self,
        network: &Network,
        (from, to): (TimeMs, TimeMs),
        limit: u32,
    ) -> Result<Vec<EndpointAt>, StoreError> {
        let query = self.read(MINUTES).param("network", network.as_str()).param("from", from.0.max(0));
        let query = query.param("to", to.0.max(0)).param("limit", limit);
        self.within(ASKING, query.fetch_all::<EndpointAt>()).await
    }

    /// The endpoints of a network that were called from `from` (included) to `to` (not), by name, at most so many.
    ///
    /// # Errors
    /// The store is away.
    pub async fn endpoints_at(
        &self,
        network: &Network,
        (from, to): (TimeMs, TimeMs),
        limit: u32,
    ) -> Result<Vec<EndpointAt>, StoreError> {
        let ask = |sql: &str, from: i64| {
            let query = self.read(sql).param("network", network.as_str()).param("from", from.max(0));
            query.param("to", to.0.max(0)).param("limit", limit).fetch_all::<EndpointAt>()
        };
        // A minute is told of by its beginning.
        let of_minutes = ask(MINUTES, from.0 - from.0.rem_euclid(MINUTE_MS));
        let both = futures::future::try_join(ask(SAMPLES, from.0), of_minutes);
        let (samples, minutes) = self.within(ASKING, both).await?;
        Ok(joined(samples, minutes))
    }
}

/// Counts by minute, where there are any: single calls are told of at most once a second and method. The rest by the calls.
fn joined(samples: Vec<EndpointAt>, minutes: Vec<EndpointAt>) -> Vec<EndpointAt> {
    let mut all = samples;
    for minute in minutes {
        match all.iter_mut().find(|one| one.endpoint == minute.endpoint) {
            Some(one) if minute.calls >= one.calls => {
                (one.calls, one.failures, one.latency_ms) = (minute.calls, minute.failures, minute.latency_ms);
            }
            Some(_) => {}
            None => all.push(minute),
        }
    }
    all.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_no_requests() {
        assert!(MINUTES.contains(&format!("m.method != '{}'", schemas::records::SUBSCRIBED_AGAIN)));
    }

    #[test]
    fn counts_are_those_of_minutes_and_the_rest_is_of_calls() {
        let one = |endpoint: &str, calls, height| EndpointAt {
            endpoint: endpoint.into(),
            height,
            lowest: height,
            calls,
            failures: calls / 2,
            latency_ms: Some(calls),
            lies: 0,
            error: None,
            at: TimeMs(calls as i64),
        };
        let joined = joined(
            vec![one("b", 3, Some(7)), one("c", 9, None)],
            vec![one("a", 50, None), one("b", 40, None), one("c", 1, None)],
        );
        let told: Vec<_> =
            joined.iter().map(|one| (one.endpoint.as_str(), one.calls, one.failures, one.height)).collect();
        assert_eq!(told, [("a", 50, 25, None), ("b", 40, 20, Some(7)), ("c", 9, 4, None)]);
    }
}

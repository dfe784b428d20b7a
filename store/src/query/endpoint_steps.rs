//! Calls of a network's endpoints in steps of time, and when its blocks were first seen: what rules about endpoints and silence can be tried on.
//!
//! Guarantee: sums of minutes as their observers made them, each once. A minute counts where it begins. Bounded in lines: who reads as many as
//! it may has not all.

use clickhouse::Row;
use schemas::{Network, TimeMs, limits::alerts::ENDPOINT_LINES, records::SUBSCRIBED_AGAIN};
use serde::Deserialize;

use super::Step;
use crate::{Store, StoreError};

/// Calls of an endpoint in a step of time.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct EndpointStep {
    /// Its name.
    pub endpoint: String,
    /// Which step, from 0 at the beginning of the time.
    pub step: u64,
    /// Whether this is what those say who take blocks from it; else what all others say.
    pub follows: bool,
    /// Requests that ended in it.
    pub calls: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// How often it was subscribed to again.
    pub again: u64,
}

/// Blocks of a step of time.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct SeenStep {
    /// Which step, from 0 at the beginning of the time.
    pub step: u64,
    /// When the last of those was first seen that were first seen in it.
    pub last: TimeMs,
}

/// How far block times may be from when blocks are first seen, milliseconds: who is further behind has other troubles.
const APART_MS: i64 = 3_600_000;

const CALLS: &str = "SELECT endpoint, step, follows, sumIf(many, NOT is_again) AS calls, sumIf(failed, NOT is_again) AS failures, \
    sumIf(many, is_again) AS again FROM (SELECT m.endpoint AS endpoint, \
        toUInt64(intDiv(toUnixTimestamp64Milli(m.at) - {from:Int64}, {width:Int64})) AS step, \
        toBool(startsWith(m.observer, 'ingest/')) AS follows, m.method = {again:String} AS is_again, m.calls AS many, m.failures AS failed \
        FROM provider_minutes AS m WHERE m.network = {network:String} \
        AND m.at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND m.at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')";
const IN_ORDER: &str = ") GROUP BY endpoint, step, follows ORDER BY endpoint, step, follows LIMIT {limit:UInt32}";

const SEEN: &str = "SELECT toUInt64(intDiv(toUnixTimestamp64Milli(b.observed_at) - {from:Int64}, {width:Int64})) AS step, \
    max(b.observed_at) AS last FROM blocks AS b WHERE b.network = {network:String} AND b.origin = 'live' \
    AND b.block_timestamp >= fromUnixTimestamp64Milli({low:Int64}, 'UTC') AND b.block_timestamp < fromUnixTimestamp64Milli({high:Int64}, 'UTC') \
    AND b.observed_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND b.observed_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC') \
    GROUP BY step ORDER BY step LIMIT {limit:UInt32}";

impl Store {
    /// Calls of a network's endpoints, or of one of them, from a time on (included) to another (not), by endpoint and step: [`ENDPOINT_LINES`]
    /// at most. Both times are beginnings of minutes.
    ///
    /// # Errors
    /// The store is away.
    pub async fn endpoint_steps(
        &self,
        network: &Network,
        endpoint: Option<&str>,
        (from, to): (TimeMs, TimeMs),
        step: Step,
    ) -> Result<Vec<EndpointStep>, StoreError> {
        let of_one = endpoint.map_or("", |_| " AND m.endpoint = {endpoint:String}");
        let query = self.read(&format!("{CALLS}{of_one}{IN_ORDER}")).param("network", network.as_str());
        let query = query.param("again", SUBSCRIBED_AGAIN).param("width", step.ms());
        let query = query.param("from", from.0.max(0)).param("to", to.0.max(0)).param("limit", ENDPOINT_LINES);
        let query = match endpoint {
            Some(endpoint) => query.param("endpoint", endpoint),
            None => query,
        };
        self.within("reading calls of endpoints", query.fetch_all::<EndpointStep>()).await
    }

    /// When blocks of a network were first seen while it was followed, by step: of those that stand.
    ///
    /// # Errors
    /// The store is away.
    pub async fn seen_steps(
        &self,
        network: &Network,
        (from, to): (TimeMs, TimeMs),
        step: Step,
    ) -> Result<Vec<SeenStep>, StoreError> {
        let query = self.read(SEEN).param("network", network.as_str()).param("width", step.ms());
        let query = query.param("from", from.0.max(0)).param("to", to.0.max(0)).param("limit", ENDPOINT_LINES);
        let query = query.param("low", from.0.saturating_sub(APART_MS).max(0));
        let query = query.param("high", to.0.saturating_add(APART_MS).max(0));
        self.within("reading when blocks were seen", query.fetch_all::<SeenStep>()).await
    }
}

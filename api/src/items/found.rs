//! What a search found, and endpoints as they were at a block, in JSON.

use serde::Serialize;
use store::query::EndpointAt;
use utoipa::ToSchema;

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
#[schema(as = Found)]
pub struct FoundItem {
    /// `transaction`, `block`, `contract`, `address` or `network`.
    #[schema(pattern = "^(transaction|block|contract|address|network)$")]
    pub kind: String,
    /// The network's slug.
    pub network: String,
    /// What names it in its network: a hash, a height, an address, or the slug.
    pub id: String,
    /// Its page, below this server's address.
    pub path: String,
    /// Hash, of transactions and blocks.
    pub hash: Option<String>,
    /// Height, of blocks and of transactions' blocks.
    pub height: Option<u64>,
    /// Address, of contracts and addresses.
    pub address: Option<String>,
    /// What it is called; null where nobody says.
    pub name: Option<String>,
    /// Outcome, of transactions: `success`, `failed` or `unknown`.
    pub status: Option<String>,
    /// Why it failed, as a word, of transactions.
    pub cause: Option<String>,
}

/// What a search found, the best first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FoundItems {
    /// It; at most 20.
    pub items: Vec<FoundItem>,
    /// What was not looked at, or what to write instead, in words; null where there is nothing to say.
    pub note: Option<String>,
}

/// An endpoint as it was at a block's time, by the calls of the two minutes around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = EndpointAt)]
pub struct EndpointAtItem {
    /// Its name in the configuration.
    pub endpoint: String,
    /// What these calls make of it: `ok`, `slow`, `behind`, `failing`, `quarantined` (it lied), or `unknown` (it was not called).
    #[schema(pattern = "^(ok|slow|behind|failing|quarantined|unknown)$")]
    pub state: String,
    /// The highest block that it told of; null where it told of none, or the calls are older than a day and only their sums are held.
    pub height: Option<u64>,
    /// Blocks that it was behind the endpoint that told of the highest.
    pub lag_blocks: Option<u64>,
    /// Calls.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// About the median latency of those that did not, milliseconds.
    pub latency_ms: Option<u64>,
    /// The last failure in words, credentials masked.
    pub error: Option<String>,
    /// When it was last called within that time.
    #[schema(format = DateTime)]
    pub at: String,
}

/// The endpoints of a network at a block's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EndpointsAt {
    /// Each that was called around then.
    pub items: Vec<EndpointAtItem>,
}

/// Half of the calls that fail, or more, make an endpoint `failing`.
const FAILING: u64 = 2;
/// A median latency from here on is slow, milliseconds, as for endpoints now.
const SLOW_MS: u64 = 1_000;
/// Blocks that an endpoint may be behind without being told so, or those of 30 s where they are more (rule 23): a quarter of those that
/// the best endpoint saw come in two minutes.
const LAG: (u64, u64) = (3, 4);

impl EndpointAtItem {
    /// The endpoints, compared with one another.
    pub fn of(rows: &[EndpointAt]) -> Vec<Self> {
        let best = rows.iter().filter_map(|row| row.height).max();
        let came = rows.iter().filter(|row| row.height == best).filter_map(|row| Some(row.height? - row.lowest?)).max();
        let lag_ok = LAG.0.max(came.unwrap_or(0) / LAG.1);
        let item = |row: &EndpointAt| {
            let lag_blocks = row.height.zip(best).map(|(height, best)| best - height);
            let state = match row {
                row if row.lies > 0 => "quarantined",
                row if row.calls == 0 => "unknown",
                row if row.failures * FAILING >= row.calls => "failing",
                _ if lag_blocks.is_some_and(|lag| lag > lag_ok) => "behind",
                row if row.latency_ms.is_some_and(|ms| ms >= SLOW_MS) => "slow",
                _ => "ok",
            };
            Self {
                endpoint: row.endpoint.clone(),
                state: state.to_owned(),
                height: row.height,
                lag_blocks,
                calls: row.calls,
                failures: row.failures,
                latency_ms: row.latency_ms,
                error: row.error.clone(),
                at: row.at.rfc3339(),
            }
        };
        rows.iter().map(item).collect()
    }
}

#[cfg(test)]
mod tests {
    use schemas::TimeMs;

    use super::*;

    #[test]
    fn endpoints_are_judged_by_their_calls_and_by_one_another() {
        let at = |height, calls, failures, latency_ms, lies| EndpointAt {
            endpoint: "e".into(),
            height,
            lowest: height,
            calls,
            failures,
            latency_ms,
            lies,
            error: None,
            at: TimeMs(0),
        };
        let rows = [
            at(Some(100), 10, 1, Some(80), 0),
            at(Some(97), 10, 4, Some(80), 0),
            at(Some(96), 10, 4, Some(80), 0),
            at(Some(100), 10, 0, Some(1_000), 0),
            at(Some(90), 10, 5, None, 0),
            at(Some(100), 10, 1, Some(80), 1),
            at(None, 10, 0, Some(80), 0),
            at(None, 0, 0, None, 0),
        ];
        let items = EndpointAtItem::of(&rows);
        let states: Vec<&str> = items.iter().map(|item| item.state.as_str()).collect();
        assert_eq!(states, ["ok", "ok", "behind", "slow", "failing", "quarantined", "ok", "unknown"]);
        let lags: Vec<Option<u64>> = items.iter().map(|item| item.lag_blocks).collect();
        assert_eq!(lags[..5], [Some(0), Some(3), Some(4), Some(0), Some(10)]);
        assert_eq!(lags[6], None);
        // Four blocks a second: 30 s are 120 blocks.
        let fast = [
            EndpointAt { lowest: Some(0), ..at(Some(480), 9, 0, None, 0) },
            at(Some(400), 9, 0, None, 0),
            at(Some(300), 9, 0, None, 0),
        ];
        let items = EndpointAtItem::of(&fast);
        assert_eq!([&*items[1].state, &*items[2].state], ["ok", "behind"]);
    }
}

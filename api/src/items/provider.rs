//! An endpoint of chain nodes in JSON, as `/providers/health` and the WebSocket's topic `providers` give it.

use schemas::{
    Network, TimeMs,
    records::{EndpointState, ProviderState, Share},
};
use serde::Serialize;
use store::query::ProviderMinute;
use utoipa::ToSchema;

/// An endpoint of a network as it is now. What is not known is null.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Provider)]
pub struct ProviderItem {
    /// The network's slug.
    pub network: String,
    /// The endpoint's name, unique within its network.
    pub name: String,
    /// Its address, credentials masked.
    pub url: String,
    /// Whose it is: endpoints of one operator are one voice.
    pub operator: String,
    /// What is spoken with it: `http`, `electrum tcp`, `electrum tls`, `core rpc`, `core rest`.
    pub protocol: Option<String>,
    /// What it says that it is, such as `ElectrumX 1.16.0`; null where nobody asks that.
    pub software: Option<String>,
    /// Connections that are held open to it; null where that is a matter of the HTTP client.
    pub sockets: Option<u32>,
    /// Requests that it had not answered yet; null where that is not counted.
    pub in_flight: Option<u32>,
    /// 0 to 100: 100 × (½ latency + ½ success) × height of `components`. Null before the first call, and while nothing is known.
    pub score: Option<u32>,
    /// What the score is made of.
    pub components: ScoreParts,
    /// Median latency of successful calls over the last ten minutes, milliseconds.
    pub latency_ms: Option<u64>,
    /// 95th percentile of the same.
    pub latency_p95_ms: Option<u64>,
    /// Share of successful calls over the last ten minutes, 0 to 1.
    pub success_rate: Option<f64>,
    /// Its head as last seen.
    pub height: Option<u64>,
    /// Blocks that it is behind the best endpoint of its network.
    pub lag_blocks: Option<u64>,
    /// `ok`, `slow`, `behind`, `throttled`, `failing`, `open` (its breaker is open: it is not asked until a probe succeeds),
    /// `quarantined` (it lied, and is not believed until it has agreed with the others for a while), or `unknown` (nobody has said
    /// anything of it for three probes).
    pub state: String,
    /// Why, in a sentence; for a lie what was said and what is right.
    pub reason: Option<String>,
    /// Since when the state holds.
    #[schema(format = DateTime)]
    pub since: String,
    /// Whether blocks are taken from here.
    pub in_use: bool,
    /// Since when.
    #[schema(format = DateTime)]
    pub in_use_since: Option<String>,
    /// The last failure in words, credentials masked.
    pub last_error: Option<String>,
    /// When that was.
    #[schema(format = DateTime)]
    pub last_error_at: Option<String>,
    /// When it last answered a call.
    #[schema(format = DateTime)]
    pub last_seen_at: Option<String>,
    /// Lower is asked first.
    pub priority: u32,
    /// What it is used for: `stream`, `trace`, `serve`; empty: all it can do.
    pub roles: Vec<String>,
    /// Requests per second that are kept to, as configured or as found out.
    pub limit_per_second: Option<f64>,
    /// Calls within the last hour by the blocks that were passed on in it.
    pub calls_per_block: Option<f64>,
    /// Bytes of answers likewise.
    pub bytes_per_block: Option<f64>,
    /// Calls of this day, in UTC.
    pub calls_per_day: u64,
    /// Bytes of their answers.
    pub bytes_per_day: u64,
    /// Calls that the configuration allows in a day.
    pub per_day: Option<u64>,
    /// The lie for which it is in quarantine.
    pub lie: Option<LieItem>,
    /// How often it is probed, milliseconds.
    pub probe_every_ms: u64,
    /// Whose word this is: stage and instance.
    pub observer: String,
    /// When it was said.
    #[schema(format = DateTime)]
    pub at: String,
}

/// What a score is made of, each part 0 to 1; null where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct ScoreParts {
    /// 1 at a median of 100 ms or less, 0 at 5 s or more.
    pub latency: Option<f64>,
    /// Share of successes.
    pub success: Option<f64>,
    /// 1 near the best head of the network, falling to 0 far behind it.
    pub height: Option<f64>,
}

/// A lie that was found out.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Lie)]
pub struct LieItem {
    /// What the endpoint said.
    pub said: String,
    /// What is right, and who says so.
    pub right: String,
    /// When it was found out.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who found it out: stage and instance.
    pub found_by: String,
}

/// An endpoint with its history.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ProviderDetail {
    /// As it is now.
    #[serde(flatten)]
    pub now: ProviderItem,
    /// Its calls by minute, method and observer, oldest first; at most 20,000 rows, the newest.
    pub history: Vec<ProviderMinuteItem>,
    /// Why there is no history: the store does not answer. Null when there is nothing wrong.
    pub history_error: Option<String>,
}

/// A minute of calls of one method, as one observer summed it up.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ProviderMinute)]
pub struct ProviderMinuteItem {
    /// Its beginning; later where the observer began within it.
    #[schema(format = DateTime)]
    pub at: String,
    /// The method.
    pub method: String,
    /// Who called: stage and instance.
    pub observer: String,
    /// Calls that ended in it.
    pub calls: u64,
    /// Calls of these that failed.
    pub failures: u64,
    /// Median latency of those that succeeded, milliseconds; null without one.
    pub latency_p50_ms: Option<u64>,
    /// 95th percentile of the same.
    pub latency_p95_ms: Option<u64>,
    /// Bytes of the answers.
    pub bytes: u64,
}

impl ProviderItem {
    /// From the word of an observer. `silent_since`: it has said nothing for too long, since then.
    pub fn of(
        (network, name): (&Network, &str),
        (observer, at): (&str, TimeMs),
        state: &EndpointState,
        silent_since: Option<TimeMs>,
    ) -> Self {
        let heard = silent_since.is_none();
        let part = |share: Option<Share>| share.filter(|_| heard).map(Share::as_f64);
        let time = |at: Option<TimeMs>| at.map(TimeMs::rfc3339);
        let usage = &state.usage;
        let per_block = |n: u64| (usage.hour_blocks > 0).then(|| n as f64 / usage.hour_blocks as f64);
        let in_use = state.in_use && heard;
        let link = state.link.as_ref();
        Self {
            network: network.to_string(),
            name: name.to_owned(),
            url: state.url.clone(),
            operator: state.operator.clone(),
            protocol: link.map(|link| link.protocol.clone()).or_else(|| spoken(&state.url).map(str::to_owned)),
            software: link.and_then(|link| link.software.clone()),
            sockets: link.and_then(|link| link.sockets).filter(|_| heard),
            in_flight: link.and_then(|link| link.in_flight).filter(|_| heard),
            score: state.score.filter(|_| heard),
            components: ScoreParts {
                latency: part(state.latency_part),
                success: part(state.success_part),
                height: part(state.height_part),
            },
            latency_ms: state.latency_ms.filter(|_| heard),
            latency_p95_ms: state.latency_p95_ms.filter(|_| heard),
            success_rate: part(state.success_rate),
            height: state.height,
            lag_blocks: state.lag_blocks.filter(|_| heard),
            state: if heard { state.state } else { ProviderState::Unknown }.as_str().to_owned(),
            reason: match heard {
                true => state.reason.clone(),
                false => Some(format!("nothing was heard of it from {observer} since {}", at.rfc3339())),
            },
            since: silent_since.unwrap_or(state.since).rfc3339(),
            in_use,
            in_use_since: time(state.in_use_since.filter(|_| in_use)),
            last_error: state.last_error.clone(),
            last_error_at: time(state.last_error_at),
            last_seen_at: time(state.last_seen_at),
            priority: state.priority,
            roles: state.roles.split_whitespace().map(str::to_owned).collect(),
            limit_per_second: state.limit_per_1000_s.map(|limit| limit as f64 / 1_000.0),
            calls_per_block: per_block(usage.hour_calls),
            bytes_per_block: per_block(usage.hour_bytes),
            calls_per_day: usage.day_calls,
            bytes_per_day: usage.day_bytes,
            per_day: usage.per_day,
            lie: state.lie.as_ref().map(|lie| LieItem {
                said: lie.said.clone(),
                right: lie.right.clone(),
                at: lie.at.rfc3339(),
                found_by: lie.found_by.clone(),
            }),
            probe_every_ms: state.every_ms,
            observer: observer.to_owned(),
            at: at.rfc3339(),
        }
    }
}

/// What an address says of the protocol.
fn spoken(url: &str) -> Option<&'static str> {
    match url.split_once("://")?.0 {
        "http" | "https" => Some("http"),
        "tcp" => Some("electrum tcp"),
        "ssl" => Some("electrum tls"),
        _ => None,
    }
}

impl ProviderMinuteItem {
    /// From the store's row.
    pub fn from_row(row: &ProviderMinute) -> Self {
        Self {
            at: row.at.rfc3339(),
            method: row.method.clone(),
            observer: row.observer.clone(),
            calls: row.calls,
            failures: row.failures,
            latency_p50_ms: row.latency_p50_ms,
            latency_p95_ms: row.latency_p95_ms,
            bytes: row.bytes,
        }
    }
}

//! `providers.samples`: what every stage that calls chain nodes sees of them, each naming itself (rule 23).
//!
//! Three kinds of records, all keyed by network. A *call* is one answer or failure, of a probe or of real work (at most one a second
//! and method). A *minute* is the sum of all calls of a method within a minute, with quantiles that the observer took from every
//! call. A *state* is all that an observer holds of an endpoint: written at each probe and at each change, so that the newest one
//! per endpoint and observer is enough to show and to go on from.
//!
//! Nothing of it is a block event: it has no sequence, it may be lost under pressure (that is counted), and no block ever waits for it.
//! A *lie* stands in the state of whoever found it out and of all who took it over, under the time and the observer of its finding, so
//! that none is taken over twice. Slowness is each observer's own.

use std::time::Duration;

use crate::primitives::{Network, ParseError, TimeMs, word_enum};

/// Who has said nothing of an endpoint for so many of its own periods knows it no longer: its state is unknown.
pub const UNKNOWN_AFTER: u32 = 3;

word_enum! {
    /// What became of a call. Six words that are never mixed up.
    Outcome, "outcome of a call", "ok, empty, missing, failing, stale or wrong" {
        /// An answer that says what was asked for, and passed the checks.
        Ok = "ok",
        /// An answer of the right form with nothing in it, where something must be.
        Empty = "empty",
        /// The endpoint says that it does not have it, or has no such method.
        Missing = "missing",
        /// No answer that could be read: refused, cut, throttled, too late, an error.
        Failing = "failing",
        /// Right once: an old head, a view behind what it has shown already.
        Stale = "stale",
        /// It contradicts itself, its own hashes, or what the others say: a lie.
        Wrong = "wrong",
    }
}

word_enum! {
    /// State of an endpoint.
    ProviderState, "state of an endpoint", "ok, slow, behind, throttled, failing, open, quarantined or unknown" {
        /// It is used like any other.
        Ok = "ok",
        /// It answers, late.
        Slow = "slow",
        /// Its head is behind the best one.
        Behind = "behind",
        /// It refuses calls because there are too many.
        Throttled = "throttled",
        /// Calls fail.
        Failing = "failing",
        /// Its breaker is open: it is not asked until a probe succeeds.
        Open = "open",
        /// It lied, and is not believed until it has agreed with the others for a while.
        Quarantined = "quarantined",
        /// Nobody has seen it lately.
        Unknown = "unknown",
    }
}

word_enum! {
    /// What an endpoint is used for (rule 33).
    EndpointRole, "role of an endpoint", "stream, trace or serve" {
        /// Following the chain.
        Stream = "stream",
        /// Traces and calls for causes.
        Trace = "trace",
        /// What readers ask for.
        Serve = "serve",
    }
}

/// A part of a whole, in parts per million: 0 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Share(u32);

impl Share {
    /// All of it.
    pub const ALL: Self = Self(1_000_000);

    /// So many parts per million.
    pub fn from_ppm(ppm: u32) -> Result<Self, ParseError> {
        if ppm <= Self::ALL.0 {
            Ok(Self(ppm))
        } else {
            Err(ParseError::new(&ppm.to_string(), "share", "at most 1,000,000 parts per million"))
        }
    }

    /// From a number between 0 and 1; what lies outside is cut, what is no number is 0.
    pub fn of(share: f64) -> Self {
        // A cast of NaN gives 0.
        Self((share.clamp(0.0, 1.0) * f64::from(Self::ALL.0)).round() as u32)
    }

    /// Parts per million.
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// As a number between 0 and 1.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL.0)
    }
}

/// A record of `providers.samples`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSample {
    /// The network; also the record's key.
    pub network: Network,
    /// The endpoint's name in the configuration, unique within its network.
    pub endpoint: String,
    /// When it was seen, by the observer's clock. Of a minute, its beginning, or that of the observer within it: so that what is left
    /// of a minute after a restart stands beside what was before.
    pub at: TimeMs,
    /// Who saw it: see [`ProviderSample::observer_of`].
    pub observer: String,
    /// What was seen.
    pub seen: Seen,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// One call.
    Call(CallSample),
    /// All calls of a method within a minute.
    Minute(MinuteSample),
    /// The endpoint as its observer holds it.
    State(Box<EndpointState>),
}

/// One call, or one failure to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSample {
    /// The method, as the endpoint's protocol names it.
    pub method: String,
    /// Whether it was a probe, and not real work.
    pub probe: bool,
    /// From sending to the end of the answer, or to giving up.
    pub latency_ms: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Height that the answer told of, where it told of one.
    pub height: Option<u64>,
    /// The failure in words, credentials masked; for a lie what was said and what is right.
    pub error: Option<String>,
    /// Bytes of the answer's body.
    pub bytes: u64,
}

/// All calls of a method within a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinuteSample {
    /// The method.
    pub method: String,
    /// How many calls ended in that minute.
    pub calls: u64,
    /// How many of them ended otherwise than with [`Outcome::Ok`].
    pub failures: u64,
    /// Median latency of those that succeeded; `None` when none did.
    pub latency_p50_ms: Option<u64>,
    /// 95th percentile of the same.
    pub latency_p95_ms: Option<u64>,
    /// Bytes of all answers' bodies.
    pub bytes: u64,
}

/// The method under which sums of minutes ([`MinuteSample`]) count what an endpoint was subscribed to again after a subscription had ended: no
/// request that limits and scores are about.
pub const SUBSCRIBED_AGAIN: &str = "eth_subscribe again";

/// An endpoint as its observer holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointState {
    /// Its address, credentials masked.
    pub url: String,
    /// Whose it is.
    pub operator: String,
    /// Its state.
    pub state: ProviderState,
    /// Why, in a sentence; for a lie what was said and what is right.
    pub reason: Option<String>,
    /// Since when the state holds.
    pub since: TimeMs,
    /// How often its observer writes this, in milliseconds; 0: never again, see [`EndpointState::gone`].
    pub every_ms: u64,
    /// 0 to 100 (rule 23); `None` before the first call.
    pub score: Option<u32>,
    /// The latency part of the score.
    pub latency_part: Option<Share>,
    /// The success part.
    pub success_part: Option<Share>,
    /// The height factor.
    pub height_part: Option<Share>,
    /// Median latency of successful calls over the last ten minutes.
    pub latency_ms: Option<u64>,
    /// 95th percentile of the same.
    pub latency_p95_ms: Option<u64>,
    /// Share of successes over the last ten minutes.
    pub success_rate: Option<Share>,
    /// Its head as last seen.
    pub height: Option<u64>,
    /// How far that is behind the best endpoint of the network.
    pub lag_blocks: Option<u64>,
    /// Whether the observer takes its blocks from here.
    pub in_use: bool,
    /// Since when.
    pub in_use_since: Option<TimeMs>,
    /// The last failure in words, credentials masked.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<TimeMs>,
    /// When it last answered a call.
    pub last_seen_at: Option<TimeMs>,
    /// Lower is asked first.
    pub priority: u32,
    /// What it is used for, words with a space between; empty: all it can do.
    pub roles: String,
    /// Requests per 1,000 seconds that are kept to: as configured, or as found out; `None` while nothing is known.
    pub limit_per_1000_s: Option<u64>,
    /// What it has cost.
    pub usage: Usage,
    /// The lie for which it is in quarantine.
    pub lie: Option<Lie>,
    /// The way to it, where its client tells more of it than its address does.
    pub link: Option<Link>,
}

/// The way to an endpoint, as its client holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What is spoken with it, in words: `electrum tcp`, `electrum tls`, `core rpc`, `core rest`.
    pub protocol: String,
    /// What it says that it is, such as `ElectrumX 1.16.0`; cut by whoever asked it.
    pub software: Option<String>,
    /// Connections that are held open to it; `None` where they are a matter of the HTTP client.
    pub sockets: Option<u32>,
    /// Requests that it has not answered yet.
    pub in_flight: Option<u32>,
}

/// What an endpoint has cost its observer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Calls within the last hour.
    pub hour_calls: u64,
    /// Bytes of their answers.
    pub hour_bytes: u64,
    /// Blocks that the observer passed on within the last hour: what the calls are divided by.
    pub hour_blocks: u64,
    /// Calls of this day, in UTC.
    pub day_calls: u64,
    /// Bytes of their answers.
    pub day_bytes: u64,
    /// How many calls a day the configuration allows.
    pub per_day: Option<u64>,
}

/// A lie that was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lie {
    /// When it was found out. With `found_by` it names the lie: who has released an endpoint from it does not take it over again.
    pub at: TimeMs,
    /// Observer that found it out.
    pub found_by: String,
    /// What the endpoint said.
    pub said: String,
    /// What is right, and who says so.
    pub right: String,
}

impl ProviderSample {
    /// The name of an observer: its stage, and `[runtime] instance` of its process.
    pub fn observer_of(stage: &str, instance: &str) -> String {
        format!("{stage}/{instance}")
    }
}

impl EndpointState {
    /// The last word of an observer on an endpoint that was taken out of its configuration at this time.
    #[must_use]
    pub fn gone(self, at: TimeMs) -> Self {
        let reason = Some("It is not in the configuration any more.".to_owned());
        Self { state: ProviderState::Unknown, reason, since: at, every_ms: 0, in_use: false, lie: None, ..self }
    }

    /// Whether this is such a last word.
    pub fn is_gone(&self) -> bool {
        self.every_ms == 0
    }

    /// Silence of its observer after which nothing is known of the endpoint any more.
    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.every_ms.max(1).saturating_mul(u64::from(UNKNOWN_AFTER)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_stay_between_nothing_and_all() {
        assert_eq!([-1.0, 0.0, f64::NAN].map(Share::of), [Share::default(); 3]);
        assert_eq!([1.0, 1.5, f64::INFINITY].map(Share::of), [Share::ALL; 3]);
        assert_eq!(Share::of(0.978).ppm(), 978_000);
        assert_eq!(Share::from_ppm(978_000), Ok(Share::of(0.978)));
        assert!(Share::from_ppm(1_000_001).is_err());
        for ppm in [0, 1, 333_333, 999_999, 1_000_000] {
            assert_eq!(Share::of(Share(ppm).as_f64()).ppm(), ppm);
        }
    }
}

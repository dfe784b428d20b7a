//! The state of an endpoint in a word, and why in a sentence for people.
//!
//! Guarantee: one word at a time, the gravest that holds, in the order of [`judge`]; every word but `ok` has a sentence that says
//! what was seen, with figures, and what ends it where something does. Pure.

use std::time::Duration;

use schemas::records::ProviderState;

use super::{quarantine::words, score::Seen};

/// Median from which an endpoint is called slow.
pub const SLOW: Duration = Duration::from_secs(1);
/// How often in a row an endpoint may have nothing where others have something, and how long more is held against it.
const LACKED: (u32, Duration) = (2, Duration::from_secs(60));
/// How long a refusal for too many requests is held against an endpoint.
const THROTTLED: Duration = Duration::from_secs(60);
/// Share of refusals within its last calls from which it counts as throttled.
const REFUSALS: f64 = 0.1;

/// What is known of an endpoint.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Why it is in quarantine.
    pub quarantine: Option<String>,
    /// Why it cannot be used, other than that.
    pub unusable: Option<String>,
    /// How long until its breaker lets a trial through, while it is open.
    pub open: Option<Duration>,
    /// Failures since its last success.
    pub failures: u32,
    /// The share of failures within its last calls.
    pub failing: f64,
    /// The share within its last calls that it refused for being too many.
    pub refusing: f64,
    /// Its last failure.
    pub last_error: Option<String>,
    /// How long nothing may go to it, since it asked for that.
    pub paused: Duration,
    /// How long ago it last refused a request for being one too many.
    pub refused: Option<Duration>,
    /// The rate that is kept to, requests a second.
    pub rate: Option<f64>,
    /// Requests of today and the cap, where that leaves nothing for this fleet.
    pub day: Option<(u64, u64)>,
    /// The last ten minutes.
    pub seen: Seen,
    /// How often in a row it had nothing where others had something.
    pub lacked: u32,
    /// How long ago the last time was.
    pub lacked_ago: Duration,
    /// Whether it answered within three periods of probing.
    pub answered: bool,
    /// Its height.
    pub height: Option<u64>,
    /// How far that is behind, and how far is still well.
    pub lag: (u64, u64),
}

/// The word, and the sentence where there is one.
pub fn judge(f: &Facts) -> (ProviderState, Option<String>) {
    let last = |f: &Facts| f.last_error.as_deref().map(|e| format!(" Last: {e}.")).unwrap_or_default();
    let rate = f.rate.map(|r| format!(" It is asked at most {} a second.", figure(r))).unwrap_or_default();
    if let Some(reason) = &f.quarantine {
        return (ProviderState::Quarantined, Some(reason.clone()));
    }
    if let Some(left) = f.open {
        let when = if left.is_zero() { "now".to_owned() } else { format!("in {}", words(left)) };
        let sentence =
            format!("{} calls in a row failed, so it is left alone and tried again {when}.{}", f.failures, last(f));
        return (ProviderState::Open, Some(sentence));
    }
    if let Some(reason) = &f.unusable {
        return (ProviderState::Failing, Some(reason.clone()));
    }
    if let Some((total, cap)) = f.day {
        let sentence = format!("{total} of the {cap} requests that it may get today (UTC) are used up (`per_day`).");
        return (ProviderState::Throttled, Some(sentence));
    }
    if !f.paused.is_zero() {
        let sentence = format!("It asked to be left alone for {} more.{rate}{}", words(f.paused), last(f));
        return (ProviderState::Throttled, Some(sentence));
    }
    if f.refusing > REFUSALS && f.refused.is_some_and(|ago| ago < THROTTLED) {
        let share = (f.refusing * 100.0).round();
        return (
            ProviderState::Throttled,
            Some(format!("It refused {share} % of its last calls for being too many.{rate}")),
        );
    }
    if f.failures >= 2 || f.failing >= 0.25 {
        let sentence = match f.failures {
            0 | 1 => format!("{} % of its last calls failed.{}", (f.failing * 100.0).round(), last(f)),
            n => format!("Its last {n} calls failed.{}", last(f)),
        };
        return (ProviderState::Failing, Some(sentence));
    }
    if !f.answered {
        return (ProviderState::Unknown, Some("It has not answered anything yet, or nothing lately.".to_owned()));
    }
    let (lag, ok) = f.lag;
    if lag > ok {
        let height = f.height.map(|h| format!(" at {h}")).unwrap_or_default();
        let sentence = format!("Its head{height} is {lag} blocks behind the best; up to {ok} is well.");
        return (ProviderState::Behind, Some(sentence));
    }
    if f.lacked >= LACKED.0 && f.lacked_ago < LACKED.1 {
        let sentence = format!("{} times in a row it had nothing, or an older head, where others had more.", f.lacked);
        return (ProviderState::Behind, Some(sentence));
    }
    if let Some(median) = f.seen.median.filter(|m| *m >= SLOW) {
        let p95 = f.seen.p95.unwrap_or(median);
        let sentence = format!(
            "Half of its answers take longer than {} ms, one in twenty longer than {} ms.",
            median.as_millis(),
            p95.as_millis()
        );
        return (ProviderState::Slow, Some(sentence));
    }
    (ProviderState::Ok, None)
}

/// A rate for people.
fn figure(rate: f64) -> String {
    if rate >= 10.0 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> Facts {
        let seen = Seen { median: Some(Duration::from_millis(90)), good: 20, ..Seen::default() };
        Facts { answered: true, height: Some(1_000), lag: (0, 3), seen, ..Facts::default() }
    }

    #[test]
    fn the_gravest_word_holds_and_says_why() {
        assert_eq!(judge(&healthy()), (ProviderState::Ok, None));
        let mut f = healthy();
        let mut now = |change: fn(&mut Facts), word: ProviderState, part: &str| {
            change(&mut f);
            let (state, reason) = judge(&f);
            assert_eq!(state, word);
            let reason = reason.expect("a sentence");
            assert!(reason.contains(part) && reason.ends_with('.'), "{reason}");
        };
        now(|f| f.seen.median = Some(Duration::from_millis(1_800)), ProviderState::Slow, "longer than 1800 ms");
        now(|f| f.lacked = 2, ProviderState::Behind, "2 times in a row it had nothing");
        now(|f| f.lag = (1_000, 15), ProviderState::Behind, "at 1000 is 1000 blocks behind the best; up to 15");
        now(|f| f.answered = false, ProviderState::Unknown, "not answered");
        now(
            |f| (f.failures, f.last_error) = (2, Some("HTTP 502".into())),
            ProviderState::Failing,
            "2 calls failed. Last: HTTP 502",
        );
        now(
            |f| (f.refusing, f.refused, f.rate) = (0.5, Some(Duration::from_secs(5)), Some(9.3)),
            ProviderState::Throttled,
            "refused 50 % of its last calls for being too many. It is asked at most 9.3 a second",
        );
        now(|f| f.paused = Duration::from_secs(30), ProviderState::Throttled, "alone for 30 s more");
        now(|f| f.day = Some((500, 500)), ProviderState::Throttled, "500 of the 500 requests");
        now(|f| f.unusable = Some("It says that its chain is 0.".into()), ProviderState::Failing, "chain is 0");
        now(
            |f| (f.failures, f.open) = (5, Some(Duration::from_secs(8))),
            ProviderState::Open,
            "5 calls in a row failed, so it is left alone and tried again in 8 s",
        );
        now(|f| f.quarantine = Some("It said 1; right is 2.".into()), ProviderState::Quarantined, "right is 2");
    }

    #[test]
    fn one_refusal_in_many_is_no_state() {
        let mut f = healthy();
        (f.refusing, f.refused) = (0.06, Some(Duration::from_secs(1)));
        assert_eq!(judge(&f).0, ProviderState::Ok);
        (f.failures, f.failing) = (1, 0.06);
        assert_eq!(judge(&f).0, ProviderState::Ok, "nor is one failure");
    }
}

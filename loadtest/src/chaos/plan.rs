//! What happens when: a pure function of the seed.

use crate::cluster::Way;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// From one blow to the next, milliseconds.
const PAUSE: Range<u64> = 5_000..20_000;
/// How long a killed process stays away, milliseconds.
const PROCESS_AWAY: Range<u64> = 0..2_000;
/// How long a killed broker stays away, milliseconds.
const BROKER_AWAY: Range<u64> = 0..5_000;
/// How long a way is bad, milliseconds.
const BAD_WAY: Range<u64> = 2_000..6_000;
/// How late packets are on a slow way, milliseconds.
const LATE: Range<u64> = 50..300;

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blow {
    /// `kill -9` of a stage's process, by name.
    Process(String),
    /// `kill -9` of a broker, from 1.
    Broker(u64),
    /// The way from all stages to a broker.
    Way(u64, Way),
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(name) => write!(f, "kill {name}"),
            Self::Broker(n) => write!(f, "kill broker {n}"),
            Self::Way(n, Way::Slow(ms)) => write!(f, "the way to broker {n} is slow by {ms} ms"),
            Self::Way(n, Way::Cut) => write!(f, "the way to broker {n} is cut"),
            Self::Way(n, Way::HalfClosed) => write!(f, "the way from broker {n} is half-closed"),
        }
    }
}

/// A blow, when it falls and how long what it hit stays away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// From the beginning.
    pub at: Duration,
    /// What is done.
    pub blow: Blow,
    /// Until it is undone.
    pub away: Duration,
}

/// The blows of a run. One in five hits a broker where there are several (one alone would take the log away), and with a
/// proxy one in four a way; the others hit processes.
#[must_use]
pub fn plan(seed: u64, lasting: Duration, processes: &[String], brokers: u64, ways: bool) -> Vec<Planned> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut millis = |range: &Range<u64>| Duration::from_millis(random.u64(range.clone()));
    let mut planned = Vec::new();
    let mut at = millis(&PAUSE);
    let mut kinds = fastrand::Rng::with_seed(seed ^ 0x5bd1_e995);
    while at < lasting {
        let kind = kinds.u64(0..20);
        let (blow, away) = if brokers > 1 && kind < 4 {
            (Blow::Broker(kinds.u64(1..=brokers)), millis(&BROKER_AWAY))
        } else if ways && kind < 9 {
            let way = match kinds.u8(0..3) {
                0 => Way::Slow(kinds.u64(LATE)),
                1 => Way::Cut,
                _ => Way::HalfClosed,
            };
            (Blow::Way(kinds.u64(1..=brokers), way), millis(&BAD_WAY))
        } else {
            (Blow::Process(processes[kinds.usize(0..processes.len())].clone()), millis(&PROCESS_AWAY))
        };
        planned.push(Planned { at, blow, away });
        at += millis(&PAUSE);
    }
    planned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        let names = ["a".to_owned(), "b".to_owned()];
        let hour = Duration::from_secs(3_600);
        let one = plan(7, hour, &names, 3, true);
        assert_eq!(one, plan(7, hour, &names, 3, true));
        assert_ne!(one, plan(8, hour, &names, 3, true));
        assert!(one.windows(2).all(|two| (5..20).contains(&(two[1].at - two[0].at).as_secs())));
        for kind in [Blow::Process("b".into()), Blow::Broker(2), Blow::Way(3, Way::Cut), Blow::Way(1, Way::HalfClosed)]
        {
            assert!(one.iter().any(|p| p.blow == kind), "{kind}");
        }
        assert!(plan(7, hour, &names, 1, false).iter().all(|p| matches!(p.blow, Blow::Process(_))));
    }
}

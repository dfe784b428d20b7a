//! What happens when: a pure function of the seed.

use crate::cluster::Way;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// From one blow to the next, milliseconds.
const PAUSE: Range<u64> = 5_000..20_000;
/// How long a killed or stopped process stays away, milliseconds: shorter than a member's session, so that it comes back to its
/// partitions …
const PROCESS_AWAY: Range<u64> = 0..2_000;
/// … or longer (6 s), so that others take them over, and it comes back, or wakes, to find them gone.
const PROCESS_LONG_AWAY: Range<u64> = 8_000..20_000;
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
    /// SIGSTOP of a stage's process, by name, and SIGCONT: it wakes with everything it held, and knows of nothing.
    Pause(String),
    /// `kill -9` of a broker, from 1.
    Broker(u64),
    /// The way from all stages to a broker.
    Way(u64, Way),
}

impl Planned {
    /// Whether others have to take over what was hit.
    #[must_use]
    pub fn moves_partitions(&self) -> bool {
        matches!(self.blow, Blow::Process(_) | Blow::Pause(_))
            && self.away.as_millis() >= u128::from(PROCESS_LONG_AWAY.start)
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(name) => write!(f, "kill {name}"),
            Self::Pause(name) => write!(f, "stop {name}"),
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
/// proxy one in four a way; the others hit processes: of three the second lasts long, and every second of those is a stop.
#[must_use]
pub fn plan(seed: u64, lasting: Duration, processes: &[String], brokers: u64, ways: bool) -> Vec<Planned> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut millis = |range: &Range<u64>| Duration::from_millis(random.u64(range.clone()));
    let mut planned = Vec::new();
    let mut at = millis(&PAUSE);
    let mut kinds = fastrand::Rng::with_seed(seed ^ 0x5bd1_e995);
    let mut processes_hit = 0_u64;
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
            let name = processes[kinds.usize(0..processes.len())].clone();
            processes_hit += 1;
            let away = millis(if processes_hit % 3 == 2 { &PROCESS_LONG_AWAY } else { &PROCESS_AWAY });
            // 2, 8, 14 … are long stops, 5, 11 … long kills; 4, 10 … are short stops.
            (
                if processes_hit % 6 == 2 || processes_hit % 6 == 4 { Blow::Pause(name) } else { Blow::Process(name) },
                away,
            )
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
        for kind in [
            Blow::Process("b".into()),
            Blow::Pause("a".into()),
            Blow::Broker(2),
            Blow::Way(3, Way::Cut),
            Blow::Way(1, Way::HalfClosed),
        ] {
            assert!(one.iter().any(|p| p.blow == kind), "{kind}");
        }
        let alone = plan(7, hour, &names, 1, false);
        assert!(alone.iter().all(|p| matches!(p.blow, Blow::Process(_) | Blow::Pause(_))));
        let long = alone.iter().filter(|p| p.moves_partitions()).count();
        assert!(alone.len().abs_diff(3 * long) <= 2, "{long} of {}", alone.len());
        for wanted in [true, false] {
            assert!(alone.iter().any(|p| matches!(p.blow, Blow::Pause(_)) && p.moves_partitions() == wanted));
        }
    }
}

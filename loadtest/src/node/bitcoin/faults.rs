//! Faults and lies on order: what Bitcoin nodes and Electrum servers do wrong.
//!
//! Guarantee: which calls are hit follows from the seed and the order of calls alone. Control calls (`sim_…`) are never hit. Each fault
//! counts its hits, so that a test can tell that it happened.
//!
//! Written as `KIND[:ARGUMENT][@CHANCE|@xCOUNT|@TIME][/METHOD]`: `slow:250`, `no-work@5s`, `truncated@x3/getblock`.
//! Of REST the method is the word behind `/rest/`.

mod kind;

pub use kind::FaultKind;
pub(crate) use kind::Stage;

use super::{Error, When};
use crate::node::dice;
use crate::node::when::Written;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A fault, when, and (if not all) for which method.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Which calls are hit.
    pub when: When,
    /// Only calls of this method.
    pub method: Option<String>,
}

impl Fault {
    /// Hits always.
    #[must_use]
    pub fn always(kind: FaultKind) -> Self {
        Self { kind, when: When::Always, method: None }
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |what: &str| Error::Fault { text: text.to_owned(), what: what.to_owned() };
        let Written { name, argument, when, method } = Written::read(text).map_err(bad)?;
        let kind = FaultKind::read(name, argument, text)?;
        if kind.stage() == Stage::State && (method.is_some() || !when.lasts()) {
            return Err(bad("this is always so, or for a time such as @5s, whatever is asked"));
        }
        Ok(Self { kind, when, method })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, self.when)?;
        self.method.iter().try_for_each(|method| write!(f, "/{method}"))
    }
}

#[derive(Debug)]
struct Active {
    fault: Fault,
    hits: u64,
    /// The head when it was added.
    since: u64,
    until: Option<Instant>,
}

impl Active {
    fn over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// The faults of one endpoint.
#[derive(Debug)]
pub(crate) struct Faults(Mutex<(Vec<Active>, fastrand::Rng)>);

impl Faults {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        Self(Mutex::new((Vec::new(), fastrand::Rng::with_seed(dice::seed_of(seed, name)))))
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<Active>, fastrand::Rng)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault; `head` is where the chain stands now.
    pub(crate) fn add(&self, fault: Fault, head: u64) {
        let until = fault.when.end();
        self.lock().0.push(Active { fault, hits: 0, since: head, until });
    }

    pub(crate) fn clear(&self) {
        self.lock().0.clear();
    }

    /// Each fault as it was written, with how often it hit.
    pub(crate) fn list(&self) -> Vec<(String, u64)> {
        self.lock().0.iter().map(|active| (active.fault.to_string(), active.hits)).collect()
    }

    /// The faults of this stage that hit a call of `method`.
    pub(crate) fn hits(&self, stage: Stage, method: &str) -> Vec<FaultKind> {
        let mut inner = self.lock();
        let (faults, random) = &mut *inner;
        let mut hits = Vec::new();
        for active in faults.iter_mut().filter(|active| active.fault.kind.stage() == stage) {
            let meant = active.fault.method.as_ref().is_none_or(|only| only == method);
            let struck = meant && active.fault.when.strikes(active.hits, active.over(), random);
            if struck {
                active.hits += 1;
                hits.push(active.fault.kind);
            }
        }
        hits
    }

    /// The first fault that is so now of which `of` tells something, given the head when it was added. It counts as a hit.
    pub(crate) fn state<T>(&self, of: impl Fn(FaultKind, u64) -> Option<T>) -> Option<T> {
        let mut inner = self.lock();
        let now = inner.0.iter_mut().filter(|active| active.fault.kind.stage() == Stage::State && !active.over());
        for active in now {
            if let Some(found) = of(active.fault.kind, active.since) {
                active.hits += 1;
                return Some(found);
            }
        }
        None
    }

    /// Whether this fault is so now.
    pub(crate) fn is(&self, kind: FaultKind) -> bool {
        self.state(|is, _| (is == kind).then_some(())).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "slow:250",
            "silent@0.1",
            "no-work@5s",
            "truncated@x3/getblock",
            "other-branch:3",
            "shifted:5",
            "flood:100",
            "rpc-error:-5",
        ] {
            assert_eq!(text.parse::<Fault>().expect(text).to_string(), text);
        }
        for text in ["", "slow", "gone", "no-work@0.5", "stale-tip/getblockcount", "silent@2", "flood:x"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_hit_follows_from_the_seed() {
        let hit = |seed| {
            let faults = Faults::new(seed, "a");
            faults.add("silent@0.5".parse().expect("a fault"), 0);
            (0..64).map(|_| faults.hits(Stage::Call, "getblock").len()).collect::<Vec<_>>()
        };
        assert_eq!(hit(1), hit(1));
        assert_ne!(hit(1), hit(2));
        let faults = Faults::new(0, "a");
        faults.add("closed@x2/getblock".parse().expect("a fault"), 0);
        let hits = |method| faults.hits(Stage::Call, method).len();
        assert_eq!([hits("getblockcount"), hits("getblock"), hits("getblock"), hits("getblock")], [0, 1, 1, 0]);
        assert_eq!(faults.list(), [("closed@x2/getblock".to_owned(), 2)]);
    }
}

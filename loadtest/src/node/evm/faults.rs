//! Faults on order: what real nodes do wrong, at a chosen rate.
//!
//! Guarantee: which requests are hit follows from the seed and the order of requests alone. Control calls (`sim_…`) are never
//! hit. Each fault counts its hits, so that a test can tell that it happened.
//!
//! Written as `KIND[:ARGUMENT][@CHANCE|@xCOUNT][/METHOD]`: `slow:250`, `http429:2@0.1`, `truncated@x3/eth_getBlockReceipts`.

use super::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// `slow:MS`: the answer comes that much later.
    Slow(Duration),
    /// `http403`, `http429[:RETRY_AFTER_S]`, `http500` …, `http5xx` (503): an HTTP error without a JSON-RPC answer.
    Http { status: u16, retry_after: Option<u64> },
    /// `truncated`: the body ends half way through, and so does the connection.
    Truncated,
    /// `null-receipts`: receipts are `null`, although the block is there.
    NullReceipts,
    /// `empty`: receipts of a block are an empty list, everything else is `null`.
    Empty,
    /// `lying`: another block's receipts, with the hash and number of the block that was asked for.
    Lying,
    /// `other-block`: the receipts of the block below, as they are.
    OtherBlock,
    /// `stale-head[:BACK]`: the node stays at the head of now, less BACK.
    StaleHead { back: u64 },
    /// `wrong-chain[:ID]`: another chain id.
    WrongChain(u64),
    /// `rpc-error[:CODE]`: a JSON-RPC error, -32000 by default.
    RpcError(i64),
    /// `no-method`: -32601, as a node that does not know the method.
    NoMethod,
    /// `ws-drop`: a WebSocket is dropped in place of a head's notification.
    WsDrop,
}

/// Which requests are hit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// All.
    Always,
    /// Each with this chance, 0 to 1.
    Chance(f64),
    /// The next so many.
    Next(u64),
}

/// A fault, when, and (if not all) for which JSON-RPC method.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Which requests are hit.
    pub when: When,
    /// Only requests for this method.
    pub method: Option<String>,
}

impl Fault {
    /// Hits every request.
    #[must_use]
    pub fn always(kind: FaultKind) -> Self {
        Self { kind, when: When::Always, method: None }
    }

    /// Hits the next `count` requests.
    #[must_use]
    pub fn next(kind: FaultKind, count: u64) -> Self {
        Self { kind, when: When::Next(count), method: None }
    }

    /// Hits requests for `method` only.
    #[must_use]
    pub fn on(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |what: &str| Error::Fault { text: text.to_owned(), what: what.to_owned() };
        let (rest, method) = match text.split_once('/') {
            Some((rest, method)) => (rest, Some(method.to_owned())),
            None => (text, None),
        };
        let (rest, when) = match rest.split_once('@') {
            None => (rest, When::Always),
            Some((rest, when)) => (
                rest,
                match when.strip_prefix('x') {
                    Some(count) => When::Next(count.parse().map_err(|_| bad("after @x belongs a whole number"))?),
                    None => match when.parse::<f64>() {
                        Ok(chance) if (0.0..=1.0).contains(&chance) => When::Chance(chance),
                        _ => return Err(bad("after @ belongs a chance from 0 to 1, or xCOUNT")),
                    },
                },
            ),
        };
        let (name, argument) = match rest.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (rest, None),
        };
        let number = |default: Option<i64>| match argument {
            Some(argument) => argument.parse::<i64>().map_err(|_| bad("the argument is no whole number")),
            None => default.ok_or_else(|| bad("an argument is missing")),
        };
        let natural = |default| number(default).and_then(|n| u64::try_from(n).map_err(|_| bad("negative argument")));
        let kind = match name {
            "slow" => FaultKind::Slow(Duration::from_millis(natural(None)?)),
            "truncated" => FaultKind::Truncated,
            "null-receipts" => FaultKind::NullReceipts,
            "empty" => FaultKind::Empty,
            "lying" => FaultKind::Lying,
            "other-block" => FaultKind::OtherBlock,
            "stale-head" => FaultKind::StaleHead { back: natural(Some(0))? },
            "wrong-chain" => FaultKind::WrongChain(natural(Some(31_337))?),
            "rpc-error" => FaultKind::RpcError(number(Some(-32_000))?),
            "no-method" => FaultKind::NoMethod,
            "ws-drop" => FaultKind::WsDrop,
            "http5xx" => FaultKind::Http { status: 503, retry_after: None },
            "http429" => FaultKind::Http { status: 429, retry_after: Some(natural(Some(1))?) },
            other => match other.strip_prefix("http").and_then(|status| status.parse().ok()) {
                Some(status @ 400..=599) => FaultKind::Http { status, retry_after: None },
                _ => {
                    return Err(bad(
                        "there are slow:MS, http403, http429[:S], http5xx, httpNNN, truncated, null-receipts, \
                                    empty, lying, other-block, stale-head[:BACK], wrong-chain[:ID], rpc-error[:CODE], \
                                    no-method, ws-drop",
                    ));
                }
            },
        };
        Ok(Self { kind, when, method })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FaultKind::Slow(by) => write!(f, "slow:{}", by.as_millis())?,
            FaultKind::Http { status, retry_after: Some(s) } => write!(f, "http{status}:{s}")?,
            FaultKind::Http { status, retry_after: None } => write!(f, "http{status}")?,
            FaultKind::Truncated => f.write_str("truncated")?,
            FaultKind::NullReceipts => f.write_str("null-receipts")?,
            FaultKind::Empty => f.write_str("empty")?,
            FaultKind::Lying => f.write_str("lying")?,
            FaultKind::OtherBlock => f.write_str("other-block")?,
            FaultKind::StaleHead { back } => write!(f, "stale-head:{back}")?,
            FaultKind::WrongChain(id) => write!(f, "wrong-chain:{id}")?,
            FaultKind::RpcError(code) => write!(f, "rpc-error:{code}")?,
            FaultKind::NoMethod => f.write_str("no-method")?,
            FaultKind::WsDrop => f.write_str("ws-drop")?,
        }
        match self.when {
            When::Always => {}
            When::Chance(chance) => write!(f, "@{chance}")?,
            When::Next(count) => write!(f, "@x{count}")?,
        }
        match &self.method {
            Some(method) => write!(f, "/{method}"),
            None => Ok(()),
        }
    }
}

/// Where in a request's course a fault acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// On the HTTP answer as a whole.
    Http,
    /// On one JSON-RPC call.
    Call,
    /// On a notification of a new head.
    Notify,
}

impl FaultKind {
    fn stage(self) -> Stage {
        match self {
            Self::Slow(_) | Self::Http { .. } | Self::Truncated => Stage::Http,
            Self::WsDrop => Stage::Notify,
            _ => Stage::Call,
        }
    }
}

#[derive(Debug)]
struct Active {
    fault: Fault,
    hits: u64,
    /// The head at which a stale node stands.
    stuck_at: u64,
}

/// The faults of one node.
#[derive(Debug)]
pub(crate) struct Faults {
    inner: Mutex<(Vec<Active>, fastrand::Rng)>,
}

/// A fault that hit, and where a stale head stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub kind: FaultKind,
    pub stuck_at: u64,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { inner: Mutex::new((Vec::new(), fastrand::Rng::with_seed(seed))) }
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<Active>, fastrand::Rng)> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault; `head` is where the chain stands now.
    pub(crate) fn add(&self, fault: Fault, head: u64) {
        let back = if let FaultKind::StaleHead { back } = fault.kind { back } else { 0 };
        self.lock().0.push(Active { fault, hits: 0, stuck_at: head.saturating_sub(back) });
    }

    pub(crate) fn clear(&self) {
        self.lock().0.clear();
    }

    /// Each fault as it was written, with how often it hit.
    pub(crate) fn list(&self) -> Vec<(String, u64)> {
        self.lock().0.iter().map(|active| (active.fault.to_string(), active.hits)).collect()
    }

    /// The faults that hit a request for `methods` at `stage`.
    pub(crate) fn hits<'a>(&self, stage: Stage, methods: impl Iterator<Item = &'a str> + Clone) -> Vec<Hit> {
        let mut inner = self.lock();
        let (faults, random) = &mut *inner;
        let mut hits = Vec::new();
        for active in faults.iter_mut().filter(|active| active.fault.kind.stage() == stage) {
            let meant = match &active.fault.method {
                Some(only) => methods.clone().any(|method| method == only),
                None => true,
            };
            let struck = meant
                && match active.fault.when {
                    When::Always => true,
                    When::Chance(chance) => random.f64() < chance,
                    When::Next(count) => active.hits < count,
                };
            if struck {
                active.hits += 1;
                hits.push(Hit { kind: active.fault.kind, stuck_at: active.stuck_at });
            }
        }
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "slow:250",
            "http429:2@0.1",
            "truncated@x3/eth_getBlockReceipts",
            "http403",
            "stale-head:5",
            "http502",
            "wrong-chain:7",
            "rpc-error:-32005@0.5",
            "no-method/eth_getBlockReceipts",
            "lying",
            "other-block",
            "empty@x1",
            "null-receipts",
            "ws-drop@x1",
        ] {
            assert_eq!(text.parse::<Fault>().expect(text).to_string(), text);
        }
        for text in ["", "slow", "slow:-1", "truncated@2", "truncated@x", "http200", "http", "gone"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn chance_follows_the_seed_and_counts_run_out() {
        let run = |seed| {
            let faults = Faults::new(seed);
            faults.add("null-receipts@0.3".parse().expect("valid"), 0);
            faults.add("empty@x2/a".parse().expect("valid"), 0);
            let hits: Vec<usize> = (0..1000).map(|_| faults.hits(Stage::Call, ["a"].into_iter()).len()).collect();
            assert_eq!(faults.list()[1].1, 2);
            assert!(faults.hits(Stage::Http, ["a"].into_iter()).is_empty());
            hits
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let total: usize = run(1).iter().sum();
        assert!((200..400).contains(&total), "{total}");
    }
}

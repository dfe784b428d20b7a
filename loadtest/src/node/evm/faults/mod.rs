//! Faults and lies on order: what real nodes do wrong, at a chosen rate.
//!
//! Guarantee: which requests are hit follows from the seed and the order of requests alone, and of which blocks a lie is told from
//! the seed and the height alone: the same to everybody who asks, as often as they ask. Control calls (`sim_…`) are never hit.
//! Each fault counts its hits, so that a test can tell that it happened.
//!
//! Written as `KIND[:ARGUMENT][@CHANCE|@xCOUNT|@TIME][/METHOD][#HEIGHT|#%N]`: `slow:250`, `http429:2@0.1`, `wrong-chain:0@5s`,
//! `truncated@x3/eth_getBlockReceipts`, `doubled-receipts#120`, `forged-header#%25`.

mod kind;

pub use kind::FaultKind;
pub(crate) use kind::{Forgery, Stage};

use super::When;
use super::dice;
use super::error::Error;
use crate::node::when::Written;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Which blocks a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// Whatever it is about.
    Any,
    /// The block at this height.
    At(u64),
    /// Blocks whose height is a multiple.
    Every(u64),
}

impl Blocks {
    fn has(self, height: u64) -> bool {
        match self {
            Self::Any => true,
            Self::At(only) => height == only,
            Self::Every(n) => height.is_multiple_of(n),
        }
    }
}

/// A fault, when, and (if not all) for which JSON-RPC method and which blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Which requests are hit.
    pub when: When,
    /// Only requests for this method.
    pub method: Option<String>,
    /// Only requests about these blocks.
    pub blocks: Blocks,
}

impl Fault {
    /// Hits every request.
    #[must_use]
    pub fn always(kind: FaultKind) -> Self {
        Self { kind, when: When::Always, method: None, blocks: Blocks::Any }
    }

    /// Hits the next `count` requests.
    #[must_use]
    pub fn next(kind: FaultKind, count: u64) -> Self {
        Self { when: When::Next(count), ..Self::always(kind) }
    }

    /// Hits requests for `method` only.
    #[must_use]
    pub fn on(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Hits requests about these blocks only.
    #[must_use]
    pub fn of(mut self, blocks: Blocks) -> Self {
        self.blocks = blocks;
        self
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |what: &str| Error::Fault { text: text.to_owned(), what: what.to_owned() };
        let (rest, blocks) = match text.split_once('#') {
            None => (text, Blocks::Any),
            Some((rest, which)) => {
                let number = which.strip_prefix('%').unwrap_or(which).parse::<u64>();
                match (number, which.starts_with('%')) {
                    (Ok(n), true) if n > 0 => (rest, Blocks::Every(n)),
                    (Ok(height), false) => (rest, Blocks::At(height)),
                    _ => return Err(bad("after # belongs a height, or %N for every Nth")),
                }
            }
        };
        let Written { name, argument, when, method } = Written::read(rest).map_err(bad)?;
        let kind = FaultKind::read(name, argument, text)?;
        let plain = method.is_none() && blocks == Blocks::Any;
        match kind.stage() {
            Stage::Listen if !plain || !when.lasts() => {
                Err(bad("a port is refused always or for a time, whatever the request"))
            }
            Stage::Block if method.is_some() => Err(bad("a lie about a block is told by every method")),
            _ => Ok(Self { kind, when, method, blocks }),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        write!(f, "{}", self.when)?;
        if let Some(method) = &self.method {
            write!(f, "/{method}")?;
        }
        match self.blocks {
            Blocks::Any => Ok(()),
            Blocks::At(height) => write!(f, "#{height}"),
            Blocks::Every(n) => write!(f, "#%{n}"),
        }
    }
}

#[derive(Debug)]
struct Active {
    fault: Fault,
    hits: u64,
    /// The head when it was added.
    since: u64,
    until: Option<Instant>,
    /// For lies: which blocks they are told of.
    seed: u64,
}

impl Active {
    fn over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Whether a lie is told of the block at `height`.
    fn told_of(&self, height: u64) -> bool {
        self.fault.blocks.has(height)
            && match self.fault.when {
                When::Always => self.fault.blocks != Blocks::Any || height > self.since,
                When::For(_) => !self.over() && (self.fault.blocks != Blocks::Any || height > self.since),
                When::Chance(chance) => dice::unit(self.seed, height) < chance,
                When::Next(count) => height > self.since && height <= self.since + count,
            }
    }
}

/// The faults of one endpoint.
#[derive(Debug)]
pub(crate) struct Faults {
    seed: u64,
    inner: Mutex<(Vec<Active>, fastrand::Rng)>,
}

/// A fault that hit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub kind: FaultKind,
    /// The head when the fault was added.
    pub since: u64,
    /// How often it had hit before.
    pub before: u64,
}

/// What a request is for: a method, and the height of the block that it is about.
pub(crate) type About<'a> = (&'a str, Option<u64>);

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, inner: Mutex::new((Vec::new(), fastrand::Rng::with_seed(seed))) }
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<Active>, fastrand::Rng)> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault; `head` is where the chain stands now.
    pub(crate) fn add(&self, fault: Fault, head: u64) {
        let until = fault.when.end();
        let seed = dice::seed_of(self.seed, &fault.to_string());
        self.lock().0.push(Active { fault, hits: 0, since: head, until, seed });
    }

    pub(crate) fn clear(&self) {
        self.lock().0.clear();
    }

    /// Each fault as it was written, with how often it hit.
    pub(crate) fn list(&self) -> Vec<(String, u64)> {
        self.lock().0.iter().map(|active| (active.fault.to_string(), active.hits)).collect()
    }

    /// Whether a fault asks which blocks a request is about.
    pub(crate) fn choosy(&self) -> bool {
        self.lock().0.iter().any(|active| active.fault.blocks != Blocks::Any)
    }

    /// Whether nobody listens now.
    pub(crate) fn refused(&self) -> bool {
        self.lock().0.iter().any(|active| active.fault.kind == FaultKind::Refused && !active.over())
    }

    /// The faults that hit a request for `calls` at `stage`.
    pub(crate) fn hits<'a>(&self, stage: Stage, calls: impl Iterator<Item = About<'a>> + Clone) -> Vec<Hit> {
        let mut inner = self.lock();
        let (faults, random) = &mut *inner;
        let mut hits = Vec::new();
        for active in faults.iter_mut().filter(|active| active.fault.kind.stage() == stage) {
            let Fault { method, blocks, .. } = &active.fault;
            let of = |height: Option<u64>| *blocks == Blocks::Any || height.is_some_and(|height| blocks.has(height));
            let meant = match method {
                None if *blocks == Blocks::Any => true,
                only => calls.clone().any(|(name, height)| only.as_ref().is_none_or(|only| name == only) && of(height)),
            };
            let struck = meant && active.fault.when.strikes(active.hits, active.over(), random);
            if struck {
                hits.push(Hit { kind: active.fault.kind, since: active.since, before: active.hits });
                active.hits += 1;
            }
        }
        hits
    }

    /// The lies that are told of the block at `height`.
    pub(crate) fn lies(&self, height: u64) -> Vec<FaultKind> {
        let inner = self.lock();
        let lies = inner.0.iter().filter(|active| active.fault.kind.stage() == Stage::Block && active.told_of(height));
        lies.map(|active| active.fault.kind).collect()
    }

    /// Counts that a lie was told of the block at `height`.
    pub(crate) fn told(&self, kind: FaultKind, height: u64) {
        let mut inner = self.lock();
        let lie = |a: &&mut Active| a.fault.kind == kind && kind.stage() == Stage::Block && a.told_of(height);
        if let Some(active) = inner.0.iter_mut().find(lie) {
            active.hits += 1;
        }
    }

    /// The highest block that heads are announced of, of a node that stays behind for good, when the chain's head is `head`.
    pub(crate) fn stuck(&self, head: u64) -> Option<u64> {
        let inner = self.lock();
        let limit = |active: &Active| match (active.fault.kind, active.fault.when, &active.fault.method) {
            (kind, When::Always, None) => behind(kind, active.since, head, 0),
            (kind, When::For(_), None) if !active.over() => behind(kind, active.since, head, 0),
            _ => None,
        };
        inner.0.iter().filter_map(limit).min()
    }
}

/// The highest block that a node with this fault knows.
pub(crate) fn behind(kind: FaultKind, since: u64, head: u64, before: u64) -> Option<u64> {
    match kind {
        FaultKind::StaleHead { back } => Some(since.saturating_sub(back)),
        FaultKind::Backwards => Some(since.saturating_sub(head.saturating_sub(since))),
        FaultKind::TwoViews { by } if before % 2 == 1 => Some(head.saturating_sub(by)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

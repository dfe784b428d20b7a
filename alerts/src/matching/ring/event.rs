//! What goes into a ring, what comes out of it, and what it holds of an event.

use std::collections::BTreeSet;

use schemas::{
    BlockHash, Envelope, TimeMs,
    records::{AlertMatch, Found, MatchOp},
};

use super::super::{
    failures::UNKNOWN,
    given::{NO_ARGUMENTS, Wait},
};

/// The event that is worked up, as its header has it.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its sequence.
    pub sequence: u64,
    /// The block's height.
    pub height: u64,
    /// The block.
    pub block_hash: BlockHash,
    /// The block's time.
    pub at: TimeMs,
    /// When the block was first seen.
    pub observed_at: TimeMs,
    /// The highest final height, where the chain says so.
    pub finalized: Option<u64>,
    /// When this process saw the event.
    pub seen_at: TimeMs,
    /// Whether the reorg that it is part of goes on.
    pub reorg_goes_on: bool,
}

impl Place {
    /// That of a header record which was seen now.
    pub fn of(envelope: &Envelope, seen_at: TimeMs) -> Self {
        Self {
            sequence: envelope.sequence,
            height: envelope.height,
            block_hash: envelope.block_hash.clone(),
            at: envelope.block_time,
            observed_at: envelope.observed_at,
            finalized: envelope.finalized_height,
            seen_at,
            reorg_goes_on: envelope.reorg_remaining > 0,
        }
    }
}

/// A match that an event gave.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The match; its operation is set here.
    pub found: AlertMatch,
    /// What it waits for.
    pub wait: Option<Wait>,
}

/// What is to be written, in one transaction.
#[derive(Debug, Default)]
pub struct Changes {
    /// To `alerts.matches`.
    pub matches: Vec<AlertMatch>,
    /// Rules of which something that was said is taken back: what holds is to be said anew.
    pub rules: Vec<Rule>,
    /// Sequences whose record of `alerts.ring` is another one now.
    pub(super) touched: BTreeSet<u64>,
}

impl Changes {
    /// Whether nothing follows.
    pub fn is_empty(&self) -> bool {
        self.matches.is_empty() && self.touched.is_empty()
    }

    /// Matches that are given, taken back or included again. What else is said of them, of rules and of reorgs is none.
    pub fn given(&self) -> usize {
        let is_one = |one: &&AlertMatch| matches!(one.op, MatchOp::Match | MatchOp::Retract | MatchOp::IncludedAgain);
        // A rule that is taken back, or goes on, has found nothing.
        self.matches.iter().filter(is_one).filter(|one| one.found.is_some()).count()
    }
}

/// What an event gave.
#[derive(Debug)]
pub(super) struct Entry {
    pub height: u64,
    pub block_hash: BlockHash,
    /// Matches, and rules that were said to hold.
    pub given: Vec<AlertMatch>,
    pub waiting: Vec<(Wait, AlertMatch)>,
    pub taken_back: Vec<AlertMatch>,
    /// Rules that were said to hold no longer.
    pub ended: Vec<AlertMatch>,
}

impl Entry {
    pub fn new(place: &Place) -> Self {
        Self {
            height: place.height,
            block_hash: place.block_hash.clone(),
            given: Vec::new(),
            waiting: Vec::new(),
            taken_back: Vec::new(),
            ended: Vec::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        let Self { given, waiting, taken_back, ended, .. } = self;
        given.is_empty() && waiting.is_empty() && taken_back.is_empty() && ended.is_empty()
    }
}

/// Tenant and id of a rule.
pub type Rule = (String, String);

pub(super) fn rule_of(said: &AlertMatch) -> Rule {
    (said.tenant.clone(), said.source.id.clone())
}

/// What tells a match from every other, whatever block it stands in and whichever version of its monitor found it.
pub type Identity = (String, String, String);

/// See [`Identity`]; `None` for what is no match.
pub fn identity(of: &AlertMatch) -> Option<Identity> {
    Some((of.tenant.clone(), of.source.id.clone(), of.identity()?))
}

/// Whether a cause says more than what is known of it. That nothing could be found out does not.
pub(super) fn is_news(found: &Found, cause: &str) -> bool {
    cause != UNKNOWN && found.cause.as_deref() != Some(cause)
}

/// What is said of a match that was given, and whose transaction failed for this. `None` for what is no match, and where that is no news.
pub fn amended(of: &AlertMatch, cause: &str) -> Option<AlertMatch> {
    let found = of.found.as_ref().filter(|found| is_news(found, cause))?;
    let found = Found {
        transaction_hash: found.transaction_hash,
        kind: found.kind,
        position: found.position,
        condition: found.condition,
        signature: found.signature.clone(),
        arguments: NO_ARGUMENTS.to_owned(),
        cause: Some(cause.to_owned()),
    };
    Some(AlertMatch { op: MatchOp::Amend, found: Some(found), ..of.clone() })
}

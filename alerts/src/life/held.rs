//! The matches that an alert of a monitor rests on.
//!
//! Guarantee: bounded, however many come. The newest [`limits::MATCHES_OF_ALERT`] are kept with their texts, the newest
//! [`limits::KNOWN_MATCHES_OF_ALERT`] are told apart; of older ones only the number is kept, so that taking them back, and including
//! them again, still counts. What is told of matches always says how many there are.

use std::collections::VecDeque;

use alloy_primitives::keccak256;
use schemas::{
    limits::alerts as limits,
    records::{AlertMatch, MatchOp, MatchSeen, MatchState},
};
use serde_json::{Value, json};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Held {
    /// Those that can be told apart, oldest first, and whether each stands.
    known: VecDeque<(String, bool)>,
    /// Those with their texts, oldest first.
    shown: VecDeque<(String, MatchSeen)>,
    /// How many stand, forgotten ones too.
    live: u64,
    /// How many were taken back and have not come again.
    gone: u64,
    /// How many of those that stand cannot be told apart any more.
    forgotten: u64,
    /// Those that came or went since the last event.
    news: VecDeque<String>,
}

/// A digest of what tells a match apart.
pub fn digest(record: &AlertMatch) -> Option<String> {
    let digest = keccak256(record.identity()?.as_bytes());
    Some(const_hex::encode(digest.get(..16)?))
}

impl Held {
    /// Whether a match of this digest stands here; `None`: it is not known.
    pub fn stands(&self, digest: &str) -> Option<bool> {
        self.known.iter().rev().find(|(known, _)| known == digest).map(|(_, live)| *live)
    }

    /// How many stand.
    pub fn live(&self) -> u64 {
        self.live
    }

    /// Whether one that is not known may be one of those that were forgotten.
    pub fn has_forgotten(&self) -> bool {
        self.forgotten > 0
    }

    /// Whether one that is not known, and is included again, is one of those that were forgotten and taken back.
    pub fn misses(&self) -> bool {
        let known: u64 = self.known.iter().map(|(_, live)| u64::from(!*live)).sum();
        self.gone > known
    }

    /// A match that stands: a new one, or one that was taken back, or one that stands in another block now. Says whether it did not stand.
    pub fn put(&mut self, digest: &str, record: &AlertMatch) -> bool {
        let comes_back = record.op == MatchOp::IncludedAgain && self.misses();
        let known = self.known.iter_mut().rev().find(|(known, _)| known == digest);
        let came = match known {
            Some((_, true)) => false,
            Some((_, live)) => {
                *live = true;
                self.gone = self.gone.saturating_sub(1);
                true
            }
            None => {
                self.gone = self.gone.saturating_sub(u64::from(comes_back));
                self.known.push_back((digest.to_owned(), true));
                true
            }
        };
        self.live += u64::from(came);
        if let Some(seen) = seen(record) {
            match self.shown.iter_mut().find(|(shown, _)| shown == digest) {
                Some((_, shown)) => *shown = seen,
                None => self.shown.push_back((digest.to_owned(), seen)),
            }
        }
        self.news(digest);
        while self.known.len() > limits::KNOWN_MATCHES_OF_ALERT {
            if let Some((_, true)) = self.known.pop_front() {
                self.forgotten += 1;
            }
        }
        while self.shown.len() > limits::MATCHES_OF_ALERT {
            self.shown.pop_front();
        }
        came
    }

    /// A match was taken back. Says whether one stood.
    pub fn take_back(&mut self, digest: &str) -> bool {
        match self.known.iter_mut().rev().find(|(known, _)| known == digest) {
            Some((_, false)) => return false,
            Some((_, live)) => *live = false,
            None if self.forgotten > 0 => self.forgotten -= 1,
            None => return false,
        }
        self.live = self.live.saturating_sub(1);
        self.gone += 1;
        if let Some((_, shown)) = self.shown.iter_mut().find(|(shown, _)| shown == digest) {
            shown.state = MatchState::Retracted;
        }
        self.news(digest);
        true
    }

    /// Why the transaction of a match failed was found out. Says whether that is shown, and was not so before.
    pub fn name(&mut self, digest: &str, record: &AlertMatch) -> bool {
        let cause = record.found.as_ref().and_then(|found| found.cause.as_ref());
        let shown = self.shown.iter_mut().find(|(shown, _)| shown == digest);
        let (Some(cause), Some((_, shown))) = (cause, shown) else { return false };
        if shown.cause.as_ref() == Some(cause) {
            return false;
        }
        shown.cause = Some(cause.clone());
        self.news(digest);
        true
    }

    fn news(&mut self, digest: &str) {
        if !self.news.iter().any(|known| known == digest) {
            self.news.push_back(digest.to_owned());
        }
        while self.news.len() > limits::MATCHES_OF_ALERT {
            self.news.pop_front();
        }
    }

    /// Those that came or went since this was asked last.
    pub fn take_news(&mut self) -> Vec<MatchSeen> {
        let news = std::mem::take(&mut self.news);
        let of = |digest: &String| self.shown.iter().find(|(shown, _)| shown == digest).map(|(_, seen)| seen.clone());
        news.iter().filter_map(of).collect()
    }

    /// As REST shows it.
    pub fn evidence(&self) -> Value {
        let matches: Vec<&MatchSeen> = self.shown.iter().map(|(_, seen)| seen).collect();
        json!({ "count": self.live, "retracted": self.gone, "matches": matches })
    }
}

/// A match as it is shown; long arguments are left out.
fn seen(record: &AlertMatch) -> Option<MatchSeen> {
    let bytes = record.found.as_ref()?.arguments.len();
    let mut seen = MatchSeen::of(record, MatchState::Live)?;
    if bytes > limits::SHOWN_ARGUMENTS_BYTES {
        seen.arguments = json!({ "left_out_bytes": bytes });
    }
    Some(seen)
}

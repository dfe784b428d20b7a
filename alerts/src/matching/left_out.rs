//! Saying of monitors that matches were left out.
//!
//! Guarantee: of one monitor and network something is said once a minute at most, with all that was left out until then; of so many monitors
//! at most ([`MONITORS`]): of others the log alone tells.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use schemas::{
    Network,
    records::{AlertMatch, Figured, MatchOp},
};
use serde_json::json;

use super::{hits, ring::Place};

/// How often it is said.
const EVERY: Duration = Duration::from_secs(60);
/// Monitors of which it is said within that time.
const MONITORS: usize = 1_000;

/// See the module.
#[derive(Debug, Default)]
pub struct LeftOuts {
    /// By tenant, monitor and network: when it was said last, and what was left out since.
    of: HashMap<(String, String, Network), (Instant, u64)>,
}

impl LeftOuts {
    /// What is to be said now that so many matches of a block are left out.
    pub fn say(&mut self, left_out: hits::LeftOut, network: &Network, place: &Place) -> Option<AlertMatch> {
        let hits::LeftOut { tenant, source, matches } = left_out;
        let matches = u64::try_from(matches).unwrap_or(u64::MAX);
        let key = (tenant.clone(), source.id.clone(), network.clone());
        let count = match self.of.get_mut(&key) {
            Some((said, since)) if said.elapsed() < EVERY => {
                *since = since.saturating_add(matches);
                return None;
            }
            Some((_, since)) => since.saturating_add(matches),
            None if self.of.len() >= MONITORS => {
                self.of.retain(|_, (said, _)| said.elapsed() < EVERY);
                if self.of.len() >= MONITORS {
                    return None;
                }
                matches
            }
            None => matches,
        };
        self.of.insert(key, (Instant::now(), 0));
        Some(AlertMatch {
            tenant,
            source,
            op: MatchOp::LeftOut,
            network: network.clone(),
            sequence: place.sequence,
            height: place.height,
            block_hash: Some(place.block_hash.clone()),
            at: place.at,
            observed_at: place.observed_at,
            contract: None,
            group: Default::default(),
            found: None,
            figure: Some(Figured { over: false, evidence: json!({"left_out": count}).to_string() }),
        })
    }
}

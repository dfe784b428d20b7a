//! The check that the log is the one that the store was written from (rules 11 and 12), per network.
//!
//! Guarantee: an event is written only when it is the next one after what the store holds; one that the store holds already
//! is compared and passed over; anything else halts its network and no other.
//!
//! The store's last event row is the position of a network, whatever the group's offset says. A sink that finds the next
//! event missing reads the network again from the oldest record before it says so (kept in [`super::behind`]): a store that was emptied,
//! or a network that was halted and put right, heals by itself as long as the log still has what is needed.

use std::collections::{BTreeMap, HashMap};

use clickhouse::Row;
use schemas::{Envelope, Family, Network, Op};
use serde::Deserialize;

use super::{family::written_behind, status::State};
use crate::{Store, StoreError};

/// What to do with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the next one: write it.
    Write,
    /// The store holds this very event: nothing to do.
    Held,
    /// Its network is halted: pass over it.
    Halted,
    /// Its network halts here, in this state, for this reason.
    Halt(State, String),
    /// This sequence is wanted, which lies before the event: it is to be looked for in the log.
    Missing(u64),
}

/// Events that are read from the store at once for comparison.
const PAGE: u64 = 4_096;

/// What is known of one network.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// Last sequence in the store when this was loaded.
    stored: u64,
    /// Last sequence that is in the store or on its way there.
    accepted: u64,
    /// Events of the store from `page.0` to `page.1`, and accepted ones.
    known: BTreeMap<u64, (Op, String)>,
    page: (u64, u64),
    /// Block hashes of rows beyond `stored`: of events that a crash cut off before their event's row.
    unfinished: HashMap<u64, String>,
    /// State as the store's status table has it.
    pub recorded: Option<State>,
    /// Its family, once an event or the status table has told it.
    pub family: Option<Family>,
    halted: bool,
    /// Whether the store was asked.
    met: bool,
}

/// An event of the store.
#[derive(Row, Deserialize)]
pub(super) struct Known {
    sequence: u64,
    op: String,
    block_hash: String,
}

impl Guard {
    /// Reads what the store knows of a network.
    pub async fn load(store: &Store, network: &Network) -> Result<Self, StoreError> {
        let stored = store.processed_sequence(network.as_str()).await?;
        let query = store.read(&written_behind()).param("network", network.as_str()).param("stored", stored);
        let unfinished = store.within("reading unfinished events", query.fetch_all::<(u64, String)>());
        let sql = "SELECT state, family FROM sink_status_rows FINAL WHERE network = {network:String}";
        let query = store.read(sql).param("network", network.as_str());
        let recorded = store.within("reading the sink's state", query.fetch_optional::<(String, String)>());
        let (unfinished, recorded) = futures::future::try_join(unfinished, recorded).await?;
        Ok(Self {
            stored,
            accepted: stored,
            page: (1, 0),
            unfinished: unfinished.into_iter().collect(),
            recorded: recorded.as_ref().and_then(|(state, _)| State::parse(state)),
            family: recorded.and_then(|(_, family)| family.parse().ok()),
            met: true,
            ..Self::default()
        })
    }

    /// Where a page of the store's events has to begin before this event can be decided about.
    pub fn wants_page(&self, e: &Envelope) -> Option<u64> {
        let known = (self.page.0..=self.page.1).contains(&e.sequence);
        (!self.halted && e.sequence <= self.stored && !known).then_some(e.sequence)
    }

    /// Last sequence of the page that begins at `from`.
    pub fn page_end(&self, from: u64) -> u64 {
        self.stored.min(from.saturating_add(PAGE - 1))
    }

    /// Reads the store's events from `from` to `to`.
    pub async fn read_page(store: &Store, network: &Network, from: u64, to: u64) -> Result<Vec<Known>, StoreError> {
        let sql = "SELECT sequence, op, block_hash FROM block_event_rows FINAL WHERE network = {network:String} \
                   AND sequence BETWEEN {from:UInt64} AND {to:UInt64}";
        let query = store.read(sql).param("network", network.as_str()).param("from", from).param("to", to);
        store.within("reading events to compare", query.fetch_all::<Known>()).await
    }

    /// Takes the page from `from` to its end.
    pub fn set_page(&mut self, from: u64, page: Vec<Known>) {
        self.page = (from, self.page_end(from));
        self.known = page.into_iter().filter_map(|k| Some((k.sequence, (k.op.parse().ok()?, k.block_hash)))).collect();
    }

    /// Halts the network from outside.
    pub fn halt(&mut self, state: State) {
        self.halted = true;
        self.recorded = Some(state);
    }

    /// Whether the network is halted.
    pub fn is_halted(&self) -> bool {
        self.halted
    }

    /// The sequence that is written next.
    pub fn next(&self) -> u64 {
        self.accepted + 1
    }

    /// Whether what the store holds is known.
    pub fn is_met(&self) -> bool {
        self.met
    }

    /// The network goes on behind this sequence: what the store lacks up to there is given up (rule 12).
    pub fn give_up(&mut self, last: u64) {
        self.accepted = self.accepted.max(last);
        self.halted = false;
    }

    /// The store did not take the event of this sequence, nor anything after it.
    pub fn refused(&mut self, sequence: u64) {
        self.accepted = self.accepted.min(sequence.saturating_sub(1));
    }

    /// Decides about the network's next event from the log.
    pub fn decide(&mut self, e: &Envelope) -> Verdict {
        if self.halted {
            return Verdict::Halted;
        }
        let verdict = if e.sequence <= self.accepted {
            match self.known.get(&e.sequence) {
                Some((op, hash)) if *op == e.op && hash == e.block_hash.as_str() => Verdict::Held,
                Some((op, hash)) => {
                    Verdict::Halt(State::LogReplaced, replaced(e, &format!("the store has {op} {hash}")))
                }
                // Accepted from this log, so long ago that it is no longer known by heart.
                None if e.sequence > self.stored => Verdict::Held,
                None => Verdict::Halt(
                    State::LogReplaced,
                    replaced(e, &format!("the store has no such event, but later ones up to {}", self.accepted)),
                ),
            }
        } else if e.sequence > self.accepted + 1 {
            Verdict::Missing(self.accepted + 1)
        } else {
            match self.unfinished.get(&e.sequence) {
                Some(hash) if hash != e.block_hash.as_str() => {
                    Verdict::Halt(State::LogReplaced, replaced(e, &format!("the store has rows of block {hash}")))
                }
                _ => {
                    self.accepted = e.sequence;
                    self.known.insert(e.sequence, (e.op, e.block_hash.as_str().to_owned()));
                    while self.known.len() as u64 > PAGE {
                        self.known.pop_first();
                    }
                    Verdict::Write
                }
            }
        };
        self.halted = matches!(verdict, Verdict::Halt(..));
        verdict
    }
}

fn replaced(e: &Envelope, what: &str) -> String {
    format!(
        "the log is not the one that the store was written from: under sequence {} the log has {} {} (height {}), {what}. \
         Nothing was written over. Bring back the log that belongs to this store, or start this network in an empty database.",
        e.sequence, e.op, e.block_hash, e.height
    )
}

#[cfg(test)]
mod tests {
    use schemas::{BlockHash, Origin, TimeMs};

    use super::*;

    fn event(sequence: u64, op: Op, hash: u8) -> Envelope {
        let hash: BlockHash = format!("0x{}", format!("{hash:02x}").repeat(32)).parse().expect("a hash");
        Envelope {
            network: "n".parse().expect("a slug"),
            sequence,
            op,
            origin: Origin::Live,
            height: sequence,
            block_hash: hash.clone(),
            parent_hash: hash,
            block_time: TimeMs(0),
            observed_at: TimeMs(0),
            safe_height: None,
            finalized_height: None,
            tx_count: 0,
            log_count: 0,
            reverts_sequence: None,
            reorg_remaining: 0,
        }
    }

    #[test]
    fn what_is_given_up_is_jumped_over_and_nothing_else() {
        let mut g = guard(&[(1, Op::Apply, 1)], &[]);
        assert_eq!(g.decide(&event(5, Op::Apply, 5)), Verdict::Missing(2));
        g.give_up(3);
        assert_eq!(g.decide(&event(3, Op::Apply, 3)), Verdict::Held, "it was given up, though it came after all");
        assert_eq!(g.decide(&event(5, Op::Apply, 5)), Verdict::Missing(4));
        assert_eq!((g.decide(&event(4, Op::Apply, 4)), g.next()), (Verdict::Write, 5));
        g.halt(State::Overtaken);
        g.give_up(2);
        assert_eq!(g.decide(&event(5, Op::Apply, 5)), Verdict::Write, "it never goes back");
    }

    fn guard(events: &[(u64, Op, u8)], unfinished: &[(u64, u8)]) -> Guard {
        let text = |h: u8| event(1, Op::Apply, h).block_hash.as_str().to_owned();
        let stored = events.iter().map(|e| e.0).max().unwrap_or(0);
        Guard {
            stored,
            accepted: stored,
            known: events.iter().map(|(s, op, h)| (*s, (*op, text(*h)))).collect(),
            page: (1, stored),
            unfinished: unfinished.iter().map(|(s, h)| (*s, text(*h))).collect(),
            ..Guard::default()
        }
    }

    #[test]
    fn the_next_event_is_written_and_a_held_one_passed_over() {
        let mut g = guard(&[(1, Op::Apply, 1), (2, Op::Revert, 1)], &[]);
        assert_eq!(g.decide(&event(1, Op::Apply, 1)), Verdict::Held);
        assert_eq!(g.decide(&event(2, Op::Revert, 1)), Verdict::Held);
        assert_eq!(g.decide(&event(3, Op::Apply, 2)), Verdict::Write);
        assert_eq!(g.decide(&event(3, Op::Apply, 2)), Verdict::Held);
        assert_eq!(g.decide(&event(4, Op::Apply, 3)), Verdict::Write);
    }

    #[test]
    fn another_hash_another_op_or_an_unknown_old_event_is_a_replaced_log() {
        for bad in [event(2, Op::Apply, 9), event(2, Op::Revert, 2), event(1, Op::Apply, 1)] {
            let mut g = guard(&[(2, Op::Apply, 2), (3, Op::Apply, 3)], &[]);
            let verdict = g.decide(&bad);
            assert!(matches!(verdict, Verdict::Halt(State::LogReplaced, _)), "{verdict:?}");
            assert_eq!(g.decide(&event(4, Op::Apply, 4)), Verdict::Halted);
        }
    }

    #[test]
    fn rows_of_a_cut_off_event_must_be_of_the_same_block() {
        let held = [(1, Op::Apply, 1)];
        assert_eq!(guard(&held, &[(2, 7)]).decide(&event(2, Op::Apply, 7)), Verdict::Write);
        let verdict = guard(&held, &[(2, 7)]).decide(&event(2, Op::Apply, 8));
        assert!(matches!(verdict, Verdict::Halt(State::LogReplaced, _)), "{verdict:?}");
    }

    #[test]
    fn behind_a_hole_nothing_is_written_until_what_is_missing_comes() {
        let mut g = guard(&[(1, Op::Apply, 1)], &[]);
        assert_eq!(g.decide(&event(3, Op::Apply, 3)), Verdict::Missing(2));
        assert_eq!(g.decide(&event(4, Op::Apply, 4)), Verdict::Missing(2));
        assert_eq!(g.decide(&event(2, Op::Apply, 2)), Verdict::Write);
        assert_eq!((g.decide(&event(3, Op::Apply, 3)), g.next()), (Verdict::Write, 4));
    }
}

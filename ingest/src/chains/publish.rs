//! From the tracker's events to units for the publisher.
//!
//! Guarantee: one unit per event, in order, each with the checkpoint that holds after it.

use nodes::Finality;
use schemas::{
    Op, Origin, TimeMs,
    records::{Checkpoint, NetworkState, RingEntry},
};

use super::{
    family::Family,
    fetcher::Fetched,
    watcher::{Stop, Watcher},
};
use crate::{
    metrics,
    records::Circumstances,
    tracker::{Action, Event, Link, Position, Tracker},
    unit::Unit,
};

impl<F: Family> Watcher<F> {
    /// Hands events and their blocks to the publisher, one unit per event.
    pub(super) async fn publish(
        &mut self,
        tracker: &Tracker,
        events: Vec<Event>,
        fetched: Vec<Fetched<F::Block>>,
        more: bool,
    ) -> Result<(), Stop> {
        let mut blocks = fetched.into_iter();
        let last = events.len().saturating_sub(1);
        for (i, event) in events.into_iter().enumerate() {
            let finality = self.finality_at(&event);
            let now = Circumstances { observed_at: TimeMs::now(), finality, origin: Origin::Live };
            let more = more || i < last;
            let unit = match &event.action {
                Action::Revert(entry) => Unit {
                    records: self.scribe.revert(entry, &event.after, now).map_err(refused)?,
                    checkpoint: self.checkpoint(&event.after, now.finality),
                    ring: None,
                    op: Some(Op::Revert.as_str()),
                    transactions: 0,
                    more,
                    place: None,
                },
                Action::Apply(link) => {
                    let Some(Fetched { block, observed_at }) = blocks.next() else { return Ok(()) };
                    let entry = self.entry(link, event.after.sequence);
                    let at = Circumstances { observed_at, ..now };
                    Unit {
                        records: self.family.apply(&self.scribe, &entry, &event.after, block, at).map_err(refused)?,
                        checkpoint: self.checkpoint(&event.after, now.finality),
                        transactions: entry.tx_count,
                        ring: Some(entry),
                        op: Some(Op::Apply.as_str()),
                        more,
                        place: None,
                    }
                }
            };
            self.said_finality = now.finality;
            self.outlet.send(unit).await?;
        }
        let p = tracker.position();
        let height = p.tip.as_ref().map(|(h, _)| *h);
        metrics::position(&self.network.slug, tracker.known_head(), height, p.sequence);
        Ok(())
    }

    /// Finality as published with an event: never above what the event's block is at on chains of instant finality.
    pub(super) fn finality_at(&self, event: &Event) -> Finality {
        match &event.after.tip {
            Some((tip, _)) if self.traits.instant_finality => Finality { safe: Some(*tip), finalized: Some(*tip) },
            _ => self.finality,
        }
    }

    pub(super) fn finality_is_news(&self) -> bool {
        !self.traits.instant_finality
            && self.finality != self.said_finality
            && self.said_finality_at.elapsed() >= self.finality_every
    }

    /// A finality record between blocks (rule 3).
    pub(super) async fn send_finality(&mut self, tracker: &Tracker) -> Result<(), Stop> {
        let Some(tip) = tracker.ring().last().cloned() else { return Ok(()) };
        self.said_finality_at = tokio::time::Instant::now();
        self.said_finality = self.finality;
        let c = Circumstances { observed_at: TimeMs::now(), finality: self.finality, origin: Origin::Live };
        let unit = Unit {
            records: self.scribe.finality(&tip, tracker.position(), c).map_err(refused)?,
            checkpoint: self.checkpoint(tracker.position(), self.finality),
            ring: None,
            op: None,
            transactions: 0,
            more: false,
            place: None,
        };
        Ok(self.outlet.send(unit).await?)
    }

    pub(super) fn entry(&self, link: &Link, sequence: u64) -> RingEntry {
        RingEntry {
            network: self.network.slug.clone(),
            height: link.height,
            block_hash: link.hash.clone(),
            parent_hash: link.parent.clone(),
            block_time: link.time,
            sequence,
            tx_count: link.tx_count,
            log_count: link.log_count,
        }
    }

    pub(super) fn checkpoint(&self, p: &Position, finality: Finality) -> Checkpoint {
        Checkpoint {
            network: self.network.slug.clone(),
            sequence: p.sequence,
            tip_height: p.tip.as_ref().map(|(height, _)| *height),
            tip_hash: p.tip.as_ref().map(|(_, hash)| hash.clone()),
            first_height: p.first,
            highest_height: p.highest,
            reorg_remaining: p.reorg_remaining,
            safe_height: finality.safe,
            finalized_height: finality.finalized,
            chain_id: self.family.chain_id(),
            held: self.filling.book.held().to_vec(),
            reorg_too_deep: p.too_deep,
            updated_at: TimeMs::now(),
            requests: self.filling.book.requests().to_vec(),
        }
    }
}

/// A record of ours that the log can never take. It stops the network rather than being skipped.
pub(super) fn refused(e: schemas::codec::EncodeError) -> Stop {
    Stop::State(
        NetworkState::Stalled,
        format!("a block cannot be written: {e}; raise the topic's max.message.bytes and start again"),
    )
}

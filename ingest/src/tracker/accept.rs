//! Blocks that are given up although they lie too deep: an operator has accepted the reorg (rule 7).
//!
//! Guarantee: each revert is the tip's, names its event, and leaves the block below as the tip; from there on depth is counted anew.
//! Until the last of them the network counts as stopped, so that a restart in the middle goes on giving up and does nothing else.

use schemas::{BlockHash, records::RingEntry};

use super::{Action, Event, State, Tracker};

impl Tracker {
    /// Reverts the tip, which is `entry`; `below` becomes the tip, `None`: nothing is held any more. `remaining`: events of the reorg
    /// still to come; `last`: whether the nodes' chain is followed from here on.
    pub fn give_up(&mut self, entry: RingEntry, below: Option<(u64, BlockHash)>, remaining: u32, last: bool) -> Event {
        self.held.give_up(entry.height, below.as_ref().map_or(0, |(height, _)| *height));
        let p = &mut self.position;
        p.sequence += 1;
        p.highest = below.as_ref().map(|(height, _)| *height);
        p.tip = below;
        p.reorg_remaining = remaining;
        p.too_deep = !last;
        if last {
            (self.state, self.higher, self.suspect, self.finalized) = (State::Following, None, None, None);
        }
        Event { action: Action::Revert(entry), after: self.position.clone() }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use schemas::TimeMs;

    use super::*;
    use crate::tracker::{Link, Need, Position, Refusal};

    fn hash(branch: u8, height: u64) -> BlockHash {
        let mut bytes = B256::left_padding_from(&height.to_be_bytes());
        // Both branches have the same blocks up to 20.
        bytes[0] = if height <= 20 { 0 } else { branch };
        BlockHash::from(bytes)
    }

    fn link(branch: u8, height: u64) -> Link {
        let parent = hash(branch, height - 1);
        Link { height, hash: hash(branch, height), parent, time: TimeMs(0), tx_count: 0, log_count: 0 }
    }

    /// Walks the other branch down until it is refused.
    fn refused(tracker: &mut Tracker, branch: u8, head: u64) {
        tracker.head(head, &hash(branch, head));
        for _ in 0..1_000 {
            match tracker.need() {
                Need::Header(height) => assert!(tracker.header(link(branch, height))),
                Need::Blocks { from, .. } => assert!(tracker.blocks(&[link(branch, from)]).is_empty()),
                Need::Refused(Refusal::TooDeep) => return,
                other => panic!("{other:?}"),
            }
        }
        panic!("never refused");
    }

    #[test]
    fn what_lies_too_deep_is_given_up_and_a_restart_in_the_middle_goes_on() {
        const LIMIT: u64 = 16;
        let network: schemas::Network = "n".parse().expect("a slug");
        let mut tracker = Tracker::new(network.clone(), 1, LIMIT, Position::default(), Vec::new());
        let mut all = Vec::new();
        tracker.head(60, &hash(1, 60));
        for height in 1..=60 {
            tracker.blocks(&[link(1, height)]);
            all.push(tracker.ring().last().cloned().expect("applied"));
        }
        refused(&mut tracker, 2, 62);
        assert!(tracker.position().too_deep);
        // Down to 20, with a restart at 50 and one at 30.
        for height in (21..=60).rev() {
            if height == 50 || height == 30 {
                let (position, ring) = (tracker.position().clone(), tracker.ring().cloned().collect());
                tracker = Tracker::new(network.clone(), 1, LIMIT, position, ring);
                assert!(tracker.position().too_deep);
                refused(&mut tracker, 2, 62);
            }
            let entry = all[height as usize - 1].clone();
            let below = Some((height - 1, hash(1, height - 1)));
            let event = tracker.give_up(entry, below, (height - 21 + 42) as u32, height == 21);
            assert_eq!((event.after.highest, event.after.too_deep), (Some(height - 1), height > 21));
        }
        assert_eq!(tracker.position().sequence, 100);
        assert_eq!(tracker.need(), Need::Blocks { from: 21, to: 62 });
        for height in 21..=62 {
            let events = tracker.blocks(&[link(2, height)]);
            assert_eq!(events.len(), 1, "{height}");
            assert_eq!(u64::from(events[0].after.reorg_remaining), 62 - height);
        }
        let p = tracker.position();
        assert_eq!((p.sequence, p.highest, p.tip.clone(), p.too_deep), (142, Some(62), Some((62, hash(2, 62))), false));
        assert_eq!(tracker.ring().count() as u64, LIMIT);
        // The limit counts from the new tip.
        refused(&mut tracker, 3, 64);
    }

    #[test]
    fn a_network_may_be_given_up_whole() {
        let mut tracker = Tracker::new("n".parse().expect("a slug"), 5, 4, Position::default(), Vec::new());
        tracker.head(5, &hash(1, 5));
        tracker.blocks(&[link(1, 5)]);
        let entry = tracker.ring().last().cloned().expect("applied");
        let event = tracker.give_up(entry, None, 1, true);
        assert_eq!((event.after.tip, event.after.highest, event.after.first), (None, None, Some(5)));
        assert_eq!(tracker.need(), Need::Blocks { from: 5, to: 5 });
        assert_eq!(tracker.blocks(&[link(2, 5)]).len(), 1);
    }
}

//! Going down another branch, header by header, until it meets what is held.
//!
//! Guarantee: it ends at common ground, at the first block held, or at what must not be reverted; each header is the parent of the
//! one before.

use super::{Link, Passed, Refusal, State, Tracker};

impl Tracker {
    pub(super) fn walk(&mut self, next: u64, links: Vec<Link>) {
        self.passed = Passed::default();
        self.state = State::Walking { next, links };
    }

    /// The block whose parent is looked for.
    pub fn above(&self) -> Option<&Link> {
        match &self.state {
            State::Walking { links, .. } => links.last(),
            _ => None,
        }
    }

    /// The header asked for by [`super::Need::Header`]. False when it does not fit to the one above: the node's chain changed under the
    /// walk, or its blocks do not link.
    pub fn header(&mut self, link: Link) -> bool {
        match &mut self.state {
            State::Walking { next, links } => {
                let fits = link.height == *next && links.last().is_none_or(|above| above.parent == link.hash);
                if !fits {
                    self.walk_again();
                    return false;
                }
                links.push(link);
                self.walked();
            }
            State::Reconsidering(why) => {
                let why = *why;
                match self.crucial(why) {
                    Some(held) if (link.height, &link.hash) == (held.height, &held.block_hash) => {
                        self.position.too_deep = false;
                        self.state = State::Following;
                        self.walk_again();
                    }
                    _ => {
                        self.suspect = Some(link);
                        self.state = State::Refused(why);
                    }
                }
            }
            _ => {}
        }
        true
    }

    /// Starts the walk anew from the highest height that both may have.
    pub(super) fn walk_again(&mut self) {
        let (Some(head), Some((tip, _)), Some(lowest)) = (self.head, &self.position.tip, self.held.lowest()) else {
            return self.absent();
        };
        let top = head.min(*tip);
        if top < lowest.height {
            return self.absent();
        }
        self.walk(top, Vec::new());
    }

    /// Looks whether the walk has reached common ground.
    fn walked(&mut self) {
        let State::Walking { next, links } = &mut self.state else { return };
        let Some(link) = links.last() else { return };
        let height = link.height;
        *next = height.saturating_sub(1);
        let Some((tip, tip_hash)) = &mut self.position.tip else { return self.walked_below_the_first() };
        let (held, lowest, below) = (self.held.get(height), self.held.lowest(), self.held.below(height));
        // Where the network begins, if all blocks from there on may still be reverted.
        let begin = self.position.first.filter(|first| self.held.is_recent(*first));
        let revert_from = if held.is_some_and(|h| h.block_hash == link.hash) {
            links.pop();
            height + 1
        } else if let Some(below) = below.filter(|b| b.block_hash == link.parent) {
            below.height + 1
        } else if lowest.is_none() && (*tip_hash == link.parent || begin.is_some_and(|b| height <= b)) {
            // All that was held is reverted, and where the tip stands was not known: below the beginning, where the walk has come to that.
            if self.position.first.is_some_and(|first| height <= first) {
                self.position.tip = None;
            } else {
                *tip = height.saturating_sub(1);
            }
            height
        } else if let Some(lowest) = lowest.filter(|l| l.parent_hash == link.hash) {
            // The block below all that may be reverted: heights without a block lie above it.
            links.pop();
            lowest.height
        } else if let Some(lowest) =
            lowest.filter(|l| l.parent_hash == link.parent || begin.is_some_and(|b| height <= b))
        {
            links.retain(|l| self.position.first.is_none_or(|first| l.height >= first));
            lowest.height
        } else if height > *tip || self.held.is_recent(height) {
            return match self.finalized {
                Some(finalized) if height <= finalized && held.is_some() => self.refuse(Refusal::BelowFinal(finalized)),
                _ => {}
            };
        } else {
            return self.refuse(Refusal::TooDeep);
        };
        let links: Vec<Link> = std::mem::take(links).into_iter().rev().collect();
        let lowest = links.first().cloned();
        if let Some(finalized) = self.finalized
            && !links.is_empty()
            && self.held.below(finalized + 1).is_some_and(|final_block| final_block.height >= revert_from)
        {
            self.suspect = lowest;
            return self.refuse(Refusal::BelowFinal(finalized));
        }
        let reverts_something = !links.is_empty() && self.held.count_from(revert_from) > 0;
        if reverts_something {
            self.higher = None;
            self.state = State::Branch { revert_from, links };
        } else {
            self.head = self.head.max(self.higher.take());
            self.state = State::Following;
        }
    }

    /// The walk shows that there is no block where the network was to begin: down to the block below.
    fn walked_below_the_first(&mut self) {
        let base = self.base();
        let State::Walking { links, .. } = &mut self.state else { return };
        let Some(ground) = links.pop_if(|l| l.height < base) else { return };
        let heights = links.last().map_or(0, |l| l.height - base);
        self.passed = Passed { heights, guessed: true, ground: Some(ground.hash) };
        self.state = State::Following;
        if self.head.is_none_or(|head| head < self.next_height()) {
            self.absent();
        }
    }
}

//! Which blocks the network's chain consists of, and what that means as events: a pure state machine without clock or I/O.
//!
//! It says what it needs ([`Need`]), is told what the node answers, and returns [`Event`]s. Guarantees, for any answers
//! whatsoever (`tests/tracker.rs` compares with a naive model over random chains, forks, restarts and lies):
//!
//! * sequences have no gap; a revert names the event that it undoes, newest block first; an apply's parent is the tip (rule 4);
//! * heads are hints: only hashes decide. A head that is merely behind is no reorg; one of the same height or lower with
//!   another hash may be one;
//! * reverts come out only when the whole new branch is known to be linked, and its first blocks have been fetched;
//! * `reorg_remaining` counts down to 0, may rise, and survives a restart in the middle;
//! * at most `limit` blocks are walked back, counted from the highest height ever applied; beyond is [`Need::Stopped`] and no
//!   event (rule 7). A reorg below the first held block reverts what is held and starts again there (rule 6).

mod held;

use schemas::{BlockHash, Network, TimeMs, limits, records::RingEntry};

use held::Held;

/// Blocks of a new branch that must have been fetched before the first revert is written, where the branch is that long.
pub const AHEAD: usize = limits::REORG_AHEAD_BLOCKS;

/// A block as the node tells of it. Of a header alone, the counts are 0 and not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Height.
    pub height: u64,
    /// Hash.
    pub hash: BlockHash,
    /// Parent's hash.
    pub parent: BlockHash,
    /// The block's time.
    pub time: TimeMs,
    /// Transactions.
    pub tx_count: u32,
    /// Logs.
    pub log_count: u32,
}

/// Where the network stands: what the checkpoint keeps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// Last sequence given; 0 before the first.
    pub sequence: u64,
    /// Tip, as published.
    pub tip: Option<(u64, BlockHash)>,
    /// First height ever held.
    pub first: Option<u64>,
    /// Highest height ever applied.
    pub highest: Option<u64>,
    /// Events of a reorg still to come.
    pub reorg_remaining: u32,
    /// Stopped by a reorg deeper than the limit.
    pub too_deep: bool,
}

/// What happens to the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The tip leaves; the entry says what it was.
    Revert(RingEntry),
    /// The block joins.
    Apply(Link),
}

/// A block event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happens.
    pub action: Action,
    /// Where the network stands after it, its own sequence and `reorg_remaining` included.
    pub after: Position,
}

/// What the machine waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// A new head ([`Tracker::head`]).
    Head,
    /// The header at this height ([`Tracker::header`] or [`Tracker::absent`]).
    Header(u64),
    /// Blocks in order from the first on, one or more at a time ([`Tracker::blocks`]).
    Blocks {
        /// First height.
        from: u64,
        /// Last height that the node is said to have.
        to: u64,
    },
    /// The first blocks of a new branch, all of them at once ([`Tracker::blocks`]).
    Branch {
        /// First height.
        from: u64,
        /// Last height of those wanted at once.
        to: u64,
    },
    /// Nothing: a reorg deeper than the limit.
    Stopped,
}

#[derive(Debug, Clone)]
enum State {
    Following,
    /// Going down a new branch. `links` from the top on, each the parent of the one before.
    Walking {
        top: u64,
        links: Vec<Link>,
    },
    /// A new branch, lowest block first, linked to what is held (or to nothing held).
    Branch(Vec<Link>),
    TooDeep,
}

/// The state machine of one network.
#[derive(Debug, Clone)]
pub struct Tracker {
    network: Network,
    start: u64,
    position: Position,
    held: Held,
    head: Option<u64>,
    state: State,
}

impl Tracker {
    /// From a stored position and ring, or from the beginning. `start` is the first height wanted when nothing was held yet;
    /// `limit` the deepest reorg, blocks.
    pub fn new(network: Network, start: u64, limit: u64, position: Position, ring: Vec<RingEntry>) -> Self {
        let held = Held::restore(limit, &position, ring);
        let state = if position.too_deep { State::TooDeep } else { State::Following };
        Self { network, start, position, held, head: None, state }
    }

    /// Where the network stands.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The node's head as last told; `None` when it must be asked for.
    pub fn known_head(&self) -> Option<u64> {
        self.head
    }

    /// What is needed next.
    pub fn need(&self) -> Need {
        match &self.state {
            State::TooDeep => Need::Stopped,
            State::Walking { top, links } => Need::Header(links.last().map_or(*top, |l| l.height.saturating_sub(1))),
            State::Branch(links) => {
                let last = links.len().min(AHEAD) - 1;
                Need::Branch { from: links[0].height, to: links[last].height }
            }
            State::Following => match self.head {
                Some(to) if to >= self.next_height() => Need::Blocks { from: self.next_height(), to },
                _ => Need::Head,
            },
        }
    }

    fn next_height(&self) -> u64 {
        match &self.position.tip {
            Some((height, _)) => height + 1,
            None => self.position.first.unwrap_or(self.start),
        }
    }

    /// The node is said to have this head.
    pub fn head(&mut self, height: u64, hash: &BlockHash) {
        self.head = Some(height);
        let differs = self.held.get(height).is_some_and(|held| held.block_hash != *hash);
        if differs && matches!(self.state, State::Following) {
            self.state = State::Walking { top: height, links: Vec::new() };
        }
    }

    /// The node does not have what was needed: its head is to be asked for again.
    pub fn absent(&mut self) {
        if !matches!(self.state, State::TooDeep) {
            self.state = State::Following;
            self.head = None;
        }
    }

    /// The header asked for by [`Need::Header`].
    pub fn header(&mut self, link: Link) {
        let State::Walking { top, links } = &mut self.state else { return };
        let wanted = links.last().map_or(*top, |l| l.height.saturating_sub(1));
        let fits = link.height == wanted && links.last().is_none_or(|above| above.parent == link.hash);
        if !fits {
            // The node's chain changed under the walk.
            return self.walk_again();
        }
        links.push(link);
        self.walked();
    }

    /// Starts the walk anew from the highest block that both may have.
    fn walk_again(&mut self) {
        let top = match (self.head, &self.position.tip) {
            (Some(head), Some((tip, _))) => head.min(*tip),
            _ => return self.absent(),
        };
        if self.held.get(top).is_none() {
            return self.absent();
        }
        self.state = State::Walking { top, links: Vec::new() };
    }

    /// Looks whether the walk has reached common ground.
    fn walked(&mut self) {
        let State::Walking { links, .. } = &mut self.state else { return };
        let Some(lowest) = links.last() else { return };
        let height = lowest.height;
        match self.held.get(height) {
            // Above the tip: the block that showed the fork.
            None if self.position.tip.as_ref().is_some_and(|(tip, _)| height > *tip) => return,
            // Below all that is held.
            None => {
                self.state = State::TooDeep;
                self.position.too_deep = true;
                return;
            }
            Some(held) if held.block_hash == lowest.hash => {
                links.pop();
            }
            Some(held) if held.parent_hash == lowest.parent => {}
            Some(_) if self.held.lowest() == Some(height) => {
                if self.position.first != Some(height) {
                    self.state = State::TooDeep;
                    self.position.too_deep = true;
                    return;
                }
            }
            Some(_) => return,
        }
        let branch: Vec<Link> = std::mem::take(links).into_iter().rev().collect();
        let reverts_something = branch.first().is_some_and(|l| self.held.get(l.height).is_some());
        self.state = if reverts_something { State::Branch(branch) } else { State::Following };
    }

    /// Blocks that were asked for, in order.
    pub fn blocks(&mut self, links: &[Link]) -> Vec<Event> {
        match std::mem::replace(&mut self.state, State::Following) {
            State::Following => self.extend(links),
            State::Branch(branch) => self.switch(&branch, links),
            other => {
                self.state = other;
                Vec::new()
            }
        }
    }

    /// Applies what continues the tip. Stops at the first that does not.
    fn extend(&mut self, links: &[Link]) -> Vec<Event> {
        let mut events = Vec::with_capacity(links.len());
        for link in links {
            if link.height != self.next_height() {
                break;
            }
            match &self.position.tip {
                Some((_, hash)) if *hash != link.parent => {
                    self.state = State::Walking { top: link.height, links: vec![link.clone()] };
                    break;
                }
                _ => {
                    let to_head = self.head.map_or(u64::MAX, |h| h.saturating_sub(link.height));
                    let remaining = u64::from(self.position.reorg_remaining.saturating_sub(1)).min(to_head);
                    events.push(self.apply(link, remaining as u32));
                }
            }
        }
        events
    }

    /// Reverts to the ancestor and applies the branch's first blocks, if they are the ones expected.
    fn switch(&mut self, branch: &[Link], links: &[Link]) -> Vec<Event> {
        let expected = links.len() >= branch.len().min(AHEAD)
            && links.len() <= branch.len()
            && links.iter().zip(branch).all(|(l, b)| l.height == b.height && l.hash == b.hash && l.parent == b.parent);
        if !expected {
            self.walk_again();
            return Vec::new();
        }
        let reverts = self.held.count_from(branch[0].height);
        let mut remaining = (reverts + branch.len()) as u32;
        let mut events = Vec::with_capacity(reverts + links.len());
        for _ in 0..reverts {
            remaining -= 1;
            events.extend(self.revert(remaining));
        }
        for link in links {
            remaining -= 1;
            events.push(self.apply(link, remaining));
        }
        events
    }

    fn apply(&mut self, link: &Link, remaining: u32) -> Event {
        let p = &mut self.position;
        p.sequence += 1;
        p.tip = Some((link.height, link.hash.clone()));
        p.first = p.first.or(Some(link.height));
        p.highest = p.highest.max(Some(link.height));
        p.reorg_remaining = remaining;
        self.held.push(RingEntry {
            network: self.network.clone(),
            height: link.height,
            block_hash: link.hash.clone(),
            parent_hash: link.parent.clone(),
            block_time: link.time,
            sequence: p.sequence,
            tx_count: link.tx_count,
            log_count: link.log_count,
        });
        Event { action: Action::Apply(link.clone()), after: self.position.clone() }
    }

    fn revert(&mut self, remaining: u32) -> Option<Event> {
        let entry = self.held.pop()?;
        let p = &mut self.position;
        p.sequence += 1;
        p.tip = match (self.held.tip(), p.first) {
            (Some(below), _) => Some((below.height, below.block_hash.clone())),
            (None, Some(first)) if first < entry.height => Some((entry.height - 1, entry.parent_hash.clone())),
            _ => None,
        };
        p.reorg_remaining = remaining;
        Some(Event { action: Action::Revert(entry), after: self.position.clone() })
    }

    /// At the node's head nothing of a reorg can be still to come, whatever was expected. True when that had to be said.
    pub fn settle(&mut self) -> bool {
        let at_head = matches!(self.state, State::Following)
            && self.head.is_some_and(|head| head < self.next_height())
            && self.position.reorg_remaining > 0;
        if at_head {
            self.position.reorg_remaining = 0;
        }
        at_head
    }

    /// Entries of the ring, lowest first.
    pub fn ring(&self) -> impl Iterator<Item = &RingEntry> {
        self.held.iter()
    }
}

//! Which blocks the network's chain consists of, and what that means as events: a pure state machine without clock or I/O.
//!
//! It says what it needs ([`Need`]), is told what the node answers, and returns [`Event`]s. Guarantees, for any answers
//! whatsoever (`tests/tracker.rs` compares with a naive model over random chains, forks, restarts and lies):
//!
//! * sequences have no gap; a revert names the event that it undoes, newest block first; an apply's parent is the tip (rule 4);
//! * heads are hints: only hashes decide. A head that is merely behind is no reorg, and makes no higher one unseen; one of the
//!   same height or lower with another hash may be a reorg;
//! * reverts come out only when the whole new branch is known to be linked, and its first blocks have been fetched;
//! * `reorg_remaining` counts down to 0, may rise, and survives a restart in the middle;
//! * at most `limit` heights are walked back, counted from the highest ever applied, and never below the finalized height that
//!   was published; beyond is [`Need::Refused`] and no event (rule 7), until the node's chain holds what is held again, or an operator
//!   has what is held given up ([`Tracker::give_up`]). A reorg below the first held block reverts what is held and starts again there (rule 6);
//! * a height without a block (rule 18) is passed on the proof of hashes: the next block's parent is the block below. That the
//!   node says so, or gives nothing, is a hint to look above. Only below the first block that is held, where there is nothing
//!   to compare with, its word counts.

mod accept;
mod held;
mod position;
mod walk;
mod words;

use schemas::{BlockHash, Network, limits, records::RingEntry};

use held::Held;
pub use position::Position;
pub use words::{Action, Event, Link, Need, Refusal};

/// Blocks of a new branch that must have been fetched before the first revert is written, where the branch is that long.
pub const AHEAD: usize = limits::REORG_AHEAD_BLOCKS;

#[derive(Debug, Clone)]
enum State {
    Following,
    /// Going down a new branch. `links` from the top on, each the parent of the one before; `next` is the height to ask for.
    Walking {
        next: u64,
        links: Vec<Link>,
    },
    /// A new branch, lowest block first, linked to what is held below `revert_from` (or to nothing held).
    Branch {
        revert_from: u64,
        links: Vec<Link>,
    },
    Refused(Refusal),
    /// Asking whether the node's chain has a held block again that must not be reverted.
    Reconsidering(Refusal),
}

/// The state machine of one network.
#[derive(Debug, Clone)]
pub struct Tracker {
    network: Network,
    start: u64,
    position: Position,
    held: Held,
    head: Option<u64>,
    /// A higher head that was told before one of another chain is looked at: counts again if that one comes to nothing.
    higher: Option<u64>,
    finalized: Option<u64>,
    /// What the newest refusal was made of.
    suspect: Option<Link>,
    passed: Passed,
    state: State,
}

/// Heights directly above the tip that were passed over, since there seems to be no block.
#[derive(Debug, Clone, Default)]
struct Passed {
    heights: u64,
    /// Whether the node did not say so for one of them.
    guessed: bool,
    /// Where nothing is held: hash of the block below the first height wanted.
    ground: Option<BlockHash>,
}

impl Tracker {
    /// From a stored position and ring, or from the beginning. `start` is the first height wanted when nothing was held yet;
    /// `limit` the deepest reorg, in heights.
    pub fn new(network: Network, start: u64, limit: u64, position: Position, ring: Vec<RingEntry>) -> Self {
        let held = Held::restore(limit, &position, ring);
        let state = if position.too_deep { State::Refused(Refusal::TooDeep) } else { State::Following };
        let passed = Passed::default();
        let (head, higher, finalized, suspect) = (None, None, None, None);
        let mut tracker = Self { network, start, position, held, head, higher, finalized, suspect, passed, state };
        tracker.reconsider();
        tracker
    }

    /// Where the network stands.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The node's head as last told; `None` when it must be asked for.
    pub fn known_head(&self) -> Option<u64> {
        self.head
    }

    /// How many heights above the tip are taken to have no block, until a block above shows it.
    pub fn passed_heights(&self) -> u64 {
        self.passed.heights
    }

    /// The finalized height that was published: nothing at or below it is reverted.
    pub fn finalize(&mut self, height: Option<u64>) {
        self.finalized = height;
    }

    /// What is needed next.
    pub fn need(&self) -> Need {
        match &self.state {
            State::Refused(why) => Need::Refused(*why),
            State::Reconsidering(why) => self.crucial(*why).map_or(Need::Refused(*why), |e| Need::Header(e.height)),
            State::Walking { next, .. } => Need::Header(*next),
            State::Branch { links, .. } => Need::Branch(links.iter().take(AHEAD).map(|l| l.height).collect()),
            State::Following => match self.head {
                Some(to) if to >= self.next_height() => Need::Blocks { from: self.next_height(), to },
                _ => Need::Head,
            },
        }
    }

    /// The first height wanted: above the tip, or where the network begins.
    fn base(&self) -> u64 {
        match &self.position.tip {
            Some((height, _)) => height + 1,
            None => self.position.first.unwrap_or(self.start),
        }
    }

    fn next_height(&self) -> u64 {
        self.base() + self.passed.heights
    }

    /// The node is said to have this head. One that is lower than what was told before is of a node, or of a view behind the same
    /// name, that is behind; unless it is of another chain than the held one.
    pub fn head(&mut self, height: u64, hash: &BlockHash) {
        let held = self.held.lowest().zip(self.held.tip()).filter(|(l, t)| (l.height..=t.height).contains(&height));
        // A block where the held chain has none is of another chain, too.
        let differs = held.is_some() && self.held.get(height).is_none_or(|held| held.block_hash != *hash);
        let looks = differs && matches!(self.state, State::Following);
        let lower = self.head.is_some_and(|known| height < known);
        if lower && !looks {
            return;
        }
        if lower {
            self.higher = self.higher.max(self.head);
        }
        self.head = Some(height);
        if height < self.next_height() {
            // The head is at one of the heights passed over, or below: what seemed to be above them is gone.
            self.passed = Passed::default();
        }
        if looks {
            self.walk(height, Vec::new());
        }
    }

    /// The node does not have what was needed: its head is to be asked for again.
    pub fn absent(&mut self) {
        if let State::Refused(why) | State::Reconsidering(why) = self.state {
            self.state = State::Refused(why);
            return;
        }
        self.passed = Passed::default();
        self.state = State::Following;
        (self.head, self.higher) = (None, None);
    }

    /// The node gives no block at the height that was needed, though it has a higher one. `said`: it says that there is none.
    pub fn no_block(&mut self, height: u64, said: bool) {
        let (below_head, wanted) = (self.head.is_some_and(|head| head > height), self.next_height());
        match &mut self.state {
            State::Walking { next, links } if *next == height => {
                let may = match links.last() {
                    Some(above) => above.height - height < limits::HEIGHTS_WITHOUT_BLOCK,
                    // Nothing yet that a hash could show.
                    None => said && self.held.lowest().is_some_and(|l| height > l.height),
                };
                match height.checked_sub(1) {
                    Some(below) if may => *next = below,
                    _ => self.absent(),
                }
            }
            State::Following if height == wanted => {
                if below_head && self.passed.heights + 1 < limits::HEIGHTS_WITHOUT_BLOCK {
                    self.passed.heights += 1;
                    self.passed.guessed |= !said;
                } else {
                    self.absent();
                }
            }
            _ => self.absent(),
        }
    }

    /// Time has passed: the node is asked again whether its chain holds what is held.
    pub fn reconsider(&mut self) {
        if let State::Refused(why) = self.state {
            self.state = State::Reconsidering(why);
            if self.crucial(why).is_none() {
                // All that may be reverted is reverted: only the next block can tell.
                self.state = State::Following;
                self.absent();
            }
        }
    }

    /// The block that a chain must have so that it can be followed after a refusal.
    fn crucial(&self, why: Refusal) -> Option<&RingEntry> {
        match why {
            Refusal::TooDeep => self.held.lowest(),
            Refusal::BelowFinal(height) => self.held.below(height + 1),
        }
    }

    /// The lowest block of the chain that was refused last: the node's, where another is held.
    pub fn suspect(&self) -> Option<&Link> {
        self.suspect.as_ref()
    }

    /// Others have the chain too that leaves the held one below the finalized height: it is walked down again, and followed as far as
    /// [`Tracker::finalize`] allows now.
    pub fn overrule(&mut self) {
        if matches!(self.state, State::Refused(Refusal::BelowFinal(_))) {
            self.state = State::Following;
            self.walk_again();
        }
    }

    fn refuse(&mut self, why: Refusal) {
        if let State::Walking { links, .. } = &self.state {
            self.suspect = links.last().cloned().or(self.suspect.take());
        }
        self.position.too_deep |= why == Refusal::TooDeep;
        self.passed = Passed::default();
        self.state = State::Refused(why);
    }

    /// Whether this block, which was asked for by [`Need::Blocks`], continues the tip.
    pub fn continues(&self, link: &Link) -> bool {
        let follows = match &self.position.tip {
            Some((_, hash)) => *hash == link.parent,
            None => !self.passed.guessed || self.passed.ground.as_ref() == Some(&link.parent),
        };
        matches!(self.state, State::Following) && link.height == self.next_height() && follows
    }

    /// Blocks that were asked for, in order.
    pub fn blocks(&mut self, links: &[Link]) -> Vec<Event> {
        match std::mem::replace(&mut self.state, State::Following) {
            State::Following => self.extend(links),
            State::Branch { revert_from, links: branch } => self.switch(revert_from, &branch, links),
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
            if !self.continues(link) {
                self.walk(link.height.saturating_sub(1), vec![link.clone()]);
                break;
            }
            let to_head = self.head.map_or(u64::MAX, |h| h.saturating_sub(link.height));
            let remaining = u64::from(self.position.reorg_remaining.saturating_sub(1)).min(to_head);
            events.push(self.apply(link, remaining as u32));
        }
        events
    }

    /// Reverts to the ancestor and applies the branch's first blocks, if they are the ones expected.
    fn switch(&mut self, revert_from: u64, branch: &[Link], links: &[Link]) -> Vec<Event> {
        let expected = links.len() >= branch.len().min(AHEAD)
            && links.len() <= branch.len()
            && links.iter().zip(branch).all(|(l, b)| l.height == b.height && l.hash == b.hash && l.parent == b.parent);
        if !expected {
            self.walk_again();
            return Vec::new();
        }
        let reverts = self.held.count_from(revert_from);
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
        self.passed = Passed::default();
        let p = &mut self.position;
        p.sequence += 1;
        p.tip = Some((link.height, link.hash.clone()));
        p.first = p.first.or(Some(link.height));
        p.highest = p.highest.max(Some(link.height));
        p.reorg_remaining = remaining;
        p.too_deep = false;
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
            // Where the parent stands is not known where heights may have no block; it is below, and its hash decides.
            (None, Some(first)) if first < entry.height => Some((entry.height - 1, entry.parent_hash.clone())),
            _ => None,
        };
        p.reorg_remaining = remaining;
        Some(Event { action: Action::Revert(entry), after: self.position.clone() })
    }

    /// The next number of the counter, for a block that is filled in (rule 5): neither tip nor ring know of it.
    pub fn filled(&mut self) -> Position {
        self.position.sequence += 1;
        self.position.clone()
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

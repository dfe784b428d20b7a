//! A network: its events in their order, live and filled in.

use std::collections::BTreeSet;

use schemas::{
    Origin, TimeMs,
    limits::windows as limits,
    records::{Partial, Told, Window},
};

use super::{
    SIZES,
    chain::Clock,
    change::{Applied, Change, Place, Reverted},
    line::{Key, Line, Open, Stands},
    start,
};

/// A run of filled blocks.
struct Fill {
    line: Line,
    /// The sequence of its last block.
    last: u64,
}

/// See the module.
pub struct Network {
    name: schemas::Network,
    clock: Clock,
    /// The last event.
    sequence: Option<u64>,
    height: u64,
    live: Line,
    /// Whether the header alone was to be had of the last live blocks, so that no window holds them.
    is_bare: bool,
    fill: Option<Fill>,
    /// Windows that are uncertain since events are missing.
    uncertain: Vec<Window>,
    /// When its last record was written.
    at: TimeMs,
}

impl Network {
    /// Of which nothing is known.
    pub fn new(name: schemas::Network, clock: Clock) -> Self {
        Self {
            name,
            clock,
            sequence: None,
            height: 0,
            live: Line::new(clock, false),
            is_bare: false,
            fill: None,
            uncertain: Vec::new(),
            at: TimeMs(i64::MIN),
        }
    }

    /// By what its time passes, as its blocks say it. A chain is of one family for ever, so that this changes something only before its first
    /// block: whoever made it knew nothing of it but its name.
    pub fn passes_by(&mut self, clock: Clock) {
        if self.clock != clock && self.live.chain().tip().is_none() {
            self.clock = clock;
            self.live.passes_by(clock);
            self.fill = None;
        }
    }

    /// The last event that was taken.
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// The tip: height and time.
    pub fn tip(&self) -> Option<(u64, TimeMs)> {
        self.live.chain().tip().map(|tip| (tip.height, TimeMs(tip.time)))
    }

    /// Takes an event. One that was taken before is passed over; where some are missing, what follows from them is uncertain.
    pub fn take(&mut self, sequence: u64, place: Place, change: Change) {
        self.at = self.at.max(place.at);
        if let Change::Finality(height) = change {
            return self.live.finalize(height);
        }
        match self.sequence {
            Some(last) if sequence <= last => return,
            Some(last) if sequence != last + 1 => {
                self.lost(&format!("the log has no events {} to {} of the network any more", last + 1, sequence - 1));
            }
            _ => {}
        }
        self.sequence = Some(sequence);
        match change {
            Change::Apply(block) if block.origin == Origin::Backfill => self.filled(sequence, place, *block),
            Change::Apply(block) => self.applied(sequence, place, *block),
            Change::Header { origin: Origin::Backfill, .. } => self.fill = None,
            Change::Header { height, .. } => self.bare(height),
            Change::Revert(block) => self.reverted(&block),
            Change::Finality(_) => {}
        }
        if self.fill.as_ref().is_some_and(|fill| fill.last + limits::FILL_IDLE_EVENTS < sequence) {
            self.fill = None;
        }
    }

    /// Nothing is said about what it did, so that windows cannot hold it, nor reach over it.
    fn bare(&mut self, height: u64) {
        self.height = height;
        self.is_bare = true;
        if self.live.chain().tip().is_some() {
            self.begin_again(format!("of block {height} the header alone is known"));
        }
    }

    fn applied(&mut self, sequence: u64, place: Place, block: Applied) {
        self.height = block.height;
        self.is_bare = false;
        if !self.live.continues(&block) {
            self.begin_again(format!("block {} does not follow the one before it", block.height));
        }
        self.live.apply(sequence, place, block);
    }

    fn filled(&mut self, sequence: u64, place: Place, block: Applied) {
        let fill = match self.fill.take_if(|fill| fill.line.continues(&block)) {
            Some(Fill { line, .. }) => line,
            None => Line::new(self.clock, true),
        };
        let fill = self.fill.insert(Fill { line: fill, last: sequence });
        fill.line.apply(sequence, place, block);
    }

    fn reverted(&mut self, block: &Reverted) {
        self.height = block.height.saturating_sub(1);
        // What windows never held is not taken from them.
        if self.live.revert(block).is_ok() || self.is_bare {
            return;
        }
        let why = format!("block {} was reverted, deeper than partials are kept", block.height);
        self.begin_again(why.clone());
        let stands = self.stands();
        let is_told = |w: &Window, at: i64, size: i64| {
            w.contract.is_none() && w.window_start.0 == at && i64::from(w.window_seconds) * 1_000 == size
        };
        for size in SIZES {
            let at = start(block.time.0, size);
            if self.uncertain.iter().any(|window| is_told(window, at, size)) {
                continue;
            }
            let partial = Partial::default();
            let told = Told::of(&partial);
            let window = Window {
                network: self.name.clone(),
                contract: None,
                window_seconds: u32::try_from(size / 1_000).unwrap_or(u32::MAX),
                window_start: TimeMs(at),
                complete: false,
                reason: Some(why.clone()),
                watched_from: None,
                sequence: stands,
                height: self.height,
                partial,
                told,
            };
            self.uncertain.push(window);
        }
    }

    /// These were published as complete at event `last`, and what came between that and the last event that was taken is lost: blocks of theirs
    /// may have been reverted there. They are given once more, as incomplete.
    pub fn doubt(&mut self, windows: Vec<Window>, last: u64) {
        let (sequence, height) = (self.stands(), self.height);
        let (from, to) = (last.saturating_add(1), sequence.saturating_sub(1));
        let why = format!(
            "the log has no events {from} to {to} of the network any more, which may have reverted blocks of it"
        );
        let doubtful = windows.into_iter().map(|window| Window {
            complete: false,
            reason: Some(why.clone()),
            sequence,
            height,
            ..window
        });
        // What is known of one by now comes behind, and stands.
        self.uncertain.splice(0..0, doubtful);
    }

    fn stands(&self) -> u64 {
        self.sequence.unwrap_or(0)
    }

    /// Events are missing, or cannot be read: what follows from them is uncertain, and the next one is the first.
    pub fn lost(&mut self, why: &str) {
        self.begin_again(why.to_owned());
        (self.sequence, self.fill) = (None, None);
    }

    fn begin_again(&mut self, why: String) {
        let uncertain = self.live.uncertain();
        let stands = Stands { network: &self.name, sequence: self.stands(), height: self.height };
        let windows = uncertain.into_iter().map(|key| self.live.window(key, Some(&why), &stands));
        self.uncertain.extend(windows);
        self.live.begin_again(why);
    }

    /// Windows that are to be given now, as they are at the last event: what `open` says of those that have not ended, and all others
    /// that have changed. In an order of their own: by size, start and contract.
    pub fn drain(&mut self, open: Open) -> Vec<Window> {
        let mut windows = std::mem::take(&mut self.uncertain);
        let due = self.live.due(open);
        let stands = Stands { network: &self.name, sequence: self.stands(), height: self.height };
        give(&self.live, due, &stands, &mut windows);
        if let Some(fill) = &mut self.fill {
            let due = fill.line.due(Open::default());
            give(&fill.line, due, &stands, &mut windows);
        }
        self.settle();
        // What is uncertain may stand there a second time, as it is now.
        let mut seen = BTreeSet::new();
        windows.reverse();
        windows.retain(|w| seen.insert((w.window_seconds, w.window_start, w.contract)));
        windows.reverse();
        windows
    }

    /// What is due counts as given: it was, before the restart.
    pub fn skip(&mut self) {
        self.uncertain.clear();
        self.live.due(Open::default());
        if let Some(fill) = &mut self.fill {
            fill.line.due(Open::default());
        }
        self.settle();
    }

    fn settle(&mut self) {
        self.live.settle();
        if let Some(fill) = &mut self.fill {
            fill.line.settle();
        }
    }

    /// Whether something has changed that was not given.
    pub fn has_news(&self) -> bool {
        self.live.has_news()
            || !self.uncertain.is_empty()
            || self.fill.as_ref().is_some_and(|fill| fill.line.has_news())
    }

    /// What is held: blocks, and sums of windows.
    pub fn held(&self) -> (usize, usize) {
        let fill = self.fill.as_ref().map_or((0, 0), |fill| fill.line.held());
        let live = self.live.held();
        (live.0 + fill.0, live.1 + fill.1)
    }

    /// Where to read from to have all that is still needed of it; `None`: nothing is. What has been needed for longer than `patience_ms`
    /// is needed no more: a chain that stands still keeps no other network of its partition waiting at each start. Of one that moves slowly
    /// the younger days are.
    pub fn rewind(&self, now: TimeMs, patience_ms: i64) -> Option<Place> {
        let since = now.0.saturating_sub(patience_ms);
        let fill = self.fill.as_ref().and_then(|fill| fill.line.rewind(since));
        let live = self.live.rewind(since);
        live.into_iter().chain(fill).min_by_key(|from| from.offset)
    }
}

fn give(line: &Line, due: BTreeSet<Key>, stands: &Stands<'_>, windows: &mut Vec<Window>) {
    windows.extend(due.into_iter().map(|key| line.window(key, None, stands)));
}

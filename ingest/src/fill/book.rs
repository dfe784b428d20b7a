//! The requests of a network and what it holds, as its checkpoint keeps them. Pure.
//!
//! Guarantee: what is over stays over, whatever is asked under its id later, for as long as its record stands in the log; each request
//! has one entry, in the order in which they are carried out, those that are over first. A height is counted as held once, and
//! [`Asked::Backfill`]'s `next` never falls: every height of the range below it is held. Bounded: [`limits::OPEN_REQUESTS`],
//! [`limits::ENDED_REQUESTS`], [`limits::HELD_RANGES`].

use runtime::control::Wishes;
use schemas::{
    BlockHash, TimeMs, limits,
    records::{Asked, Asks, HeldRange, Request, RequestProgress, RequestState, Wanted},
};

use super::ranges;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    held: Vec<HeldRange>,
    requests: Vec<RequestProgress>,
}

/// What a request to fill heights comes to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The request.
    pub id: String,
    /// Its heights.
    pub heights: HeldRange,
    /// Whether heights that are held are filled again.
    pub again: bool,
    /// The heights that are to be fetched, lowest first.
    pub plan: Vec<HeldRange>,
    /// Hash of the block below the first of them, where it was written for this request.
    pub below: Option<BlockHash>,
}

/// Heights of a request that are done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// The heights; all of them but the last have no block where `block` is one.
    pub heights: HeldRange,
    /// The block at the last of them: its hash and its transactions. `None`: there is none either.
    pub block: Option<(BlockHash, u32)>,
    /// The live heights that the network holds, which are never counted as held by a request.
    pub live: Option<HeldRange>,
}

impl Book {
    /// As a checkpoint keeps it.
    pub fn new(held: Vec<HeldRange>, requests: Vec<RequestProgress>) -> Self {
        let mut book = Self { held: Vec::with_capacity(held.len()), requests };
        held.into_iter().for_each(|range| ranges::insert(&mut book.held, range));
        book
    }

    /// Ranges that back-fill holds.
    pub fn held(&self) -> &[HeldRange] {
        &self.held
    }

    /// Requests, those that are over first.
    pub fn requests(&self) -> &[RequestProgress] {
        &self.requests
    }

    /// The request of this id.
    pub fn get(&self, id: &str) -> Option<&RequestProgress> {
        self.requests.iter().find(|r| r.id == id)
    }

    /// Takes over what is asked. True when that changes anything.
    pub fn heed(&mut self, wishes: &Wishes, now: TimeMs) -> bool {
        let before = self.requests.clone();
        for request in &wishes.requests {
            let Some(asked) = asked(request) else { continue };
            let room = self.has_room(wishes);
            match self.requests.iter_mut().find(|r| r.id == request.id) {
                Some(known) => want(known, request.wanted, now),
                None if room => {
                    let mut new = RequestProgress {
                        id: request.id.clone(),
                        asks: asked,
                        state: RequestState::Queued,
                        detail: None,
                        blocks: 0,
                        transactions: 0,
                        last_hash: None,
                        changed_at: now,
                    };
                    want(&mut new, request.wanted, now);
                    self.requests.push(new);
                }
                // It is taken over when others are done with.
                None => {}
            }
        }
        for open in self.requests.iter_mut().filter(|r| !r.state.is_over()) {
            match &wishes.unreadable {
                Some(why) if open.state != RequestState::Paused => {
                    change(open, RequestState::Waiting, Some(why.clone()), now);
                }
                None if wishes.get(&open.id).is_none() => {
                    let why = "its record was removed from control.config; what it did stays".to_owned();
                    change(open, RequestState::Cancelled, Some(why), now);
                }
                _ => {}
            }
        }
        self.sort(wishes);
        self.requests != before
    }

    /// Whether another request is taken over: those that are over count too while their record stands.
    fn has_room(&self, wishes: &Wishes) -> bool {
        let open = self.requests.iter().filter(|r| !r.state.is_over()).count();
        let counted = self.requests.iter().filter(|r| !r.state.is_over() || wishes.get(&r.id).is_some()).count();
        open < limits::OPEN_REQUESTS && counted < limits::OPEN_REQUESTS + limits::ENDED_REQUESTS
    }

    /// Those that are over first, then the others in their order; only the last of those that are over and forgotten are kept.
    fn sort(&mut self, wishes: &Wishes) {
        let place = |id: &str| wishes.requests.iter().position(|r| r.id == id).unwrap_or(usize::MAX);
        self.requests.sort_by_key(|r| match r.state.is_over() {
            true => (0, r.changed_at.0, 0),
            false => (1, 0, place(&r.id)),
        });
        let over = |r: &&RequestProgress| r.state.is_over();
        let forgotten = |r: &RequestProgress| r.state.is_over() && wishes.get(&r.id).is_none();
        let mut too_many = self.requests.iter().filter(over).count().saturating_sub(limits::ENDED_REQUESTS);
        self.requests.retain(|r| {
            let goes = too_many > 0 && forgotten(r);
            too_many -= usize::from(goes);
            !goes
        });
    }

    /// Sets how a request stands. True when that is news. One that is over stays as it is.
    pub fn says(&mut self, id: &str, state: RequestState, detail: Option<String>, now: TimeMs) -> bool {
        let open = self.requests.iter_mut().find(|r| r.id == id && !r.state.is_over());
        open.is_some_and(|open| change(open, state, detail, now))
    }

    /// The first request to fill heights that may be carried out and is not `resting`. `live`: the live heights that are held.
    pub fn job(&self, wishes: &Wishes, live: Option<HeldRange>, resting: impl Fn(&str) -> bool) -> Option<Job> {
        if wishes.unreadable.is_some() {
            return None;
        }
        self.requests.iter().find_map(|r| {
            let Asked::Backfill { heights, next } = r.asks else { return None };
            let request = wishes.get(&r.id)?;
            let Asks::Backfill { again, .. } = request.asks else { return None };
            if r.state.is_over() || request.wanted != Wanted::Run || resting(&r.id) {
                return None;
            }
            let plan = self.plan(heights, next, again, live);
            let below = r.last_hash.clone().filter(|_| plan.first().is_some_and(|first| first.from == next));
            Some(Job { id: r.id.clone(), heights, again, plan, below })
        })
    }

    fn plan(&self, heights: HeldRange, next: u64, again: bool, live: Option<HeldRange>) -> Vec<HeldRange> {
        let rest = HeldRange { from: next.max(heights.from), ..heights };
        if again {
            return if rest.from > rest.to { Vec::new() } else { vec![rest] };
        }
        let mut held = self.held.clone();
        live.into_iter().for_each(|live| ranges::insert(&mut held, live));
        ranges::missing(rest, &held)
    }

    /// Heights of a job that are still to come.
    pub fn left(&self, job: &Job, live: Option<HeldRange>) -> u64 {
        let next = match self.get(&job.id).map(|r| r.asks) {
            Some(Asked::Backfill { next, .. }) => next,
            _ => return 0,
        };
        ranges::heights(&self.plan(job.heights, next, job.again, live))
    }

    /// Whether the ranges held would be more than may be, were these heights held too.
    pub fn is_full(&self, heights: HeldRange) -> bool {
        let mut held = self.held.clone();
        ranges::insert(&mut held, heights);
        held.len() > limits::HELD_RANGES
    }

    /// Heights of a job are done. The request is over when they were the last.
    pub fn filled(&mut self, job: &Job, filled: &Filled, now: TimeMs) {
        for part in ranges::missing(filled.heights, filled.live.as_slice()) {
            ranges::insert(&mut self.held, part);
        }
        let after = filled.heights.to.saturating_add(1);
        let rest = self.plan(job.heights, after, job.again, filled.live);
        let Some(r) = self.requests.iter_mut().find(|r| r.id == job.id && !r.state.is_over()) else { return };
        let Asked::Backfill { next, heights } = &mut r.asks else { return };
        *next = (*next).max(rest.first().map_or(heights.to.saturating_add(1), |first| first.from));
        let directly = *next == after;
        if let Some((hash, transactions)) = &filled.block {
            r.blocks += 1;
            r.transactions += u64::from(*transactions);
            r.last_hash = Some(hash.clone()).filter(|_| directly);
        } else if !directly {
            r.last_hash = None;
        }
        let state = if rest.is_empty() { RequestState::Done } else { RequestState::Running };
        change(r, state, None, now);
    }

    /// A job has nothing to fetch: all of it is held.
    pub fn finished(&mut self, id: &str, now: TimeMs) {
        if let Some(r) = self.requests.iter_mut().find(|r| r.id == id && !r.state.is_over()) {
            if let Asked::Backfill { heights, next } = &mut r.asks {
                *next = (*next).max(heights.to.saturating_add(1));
            }
            change(r, RequestState::Done, None, now);
        }
    }
}

fn asked(request: &Request) -> Option<Asked> {
    match request.asks {
        Asks::Backfill { heights, .. } => Some(Asked::Backfill { heights, next: heights.from }),
        Asks::AcceptReorg => Some(Asked::AcceptReorg),
        Asks::AcceptGap { .. } => None,
    }
}

fn want(r: &mut RequestProgress, wanted: Wanted, now: TimeMs) {
    let state = match (wanted, r.state) {
        (_, state) if state.is_over() => return,
        (Wanted::Paused, _) => RequestState::Paused,
        (Wanted::Cancelled, _) => RequestState::Cancelled,
        (Wanted::Run, RequestState::Paused) => RequestState::Queued,
        (Wanted::Run, _) => return,
    };
    change(r, state, None, now);
}

fn change(r: &mut RequestProgress, state: RequestState, detail: Option<String>, now: TimeMs) -> bool {
    let news = r.state != state || r.detail != detail;
    if r.state != state {
        r.changed_at = now;
    }
    (r.state, r.detail) = (state, detail);
    news
}

#[cfg(test)]
mod tests;

//! The past of a network for one connection that is behind, step by step: from the store until the ring of live events has all
//! that follows. A connection is behind when it resumes, when it was too slow for the ring, and when the ring itself lost events.
//!
//! Why there is no hole and no double: a connection deals with sequences in order, one floor per network. A step either reads
//! from the store what comes right after the floor, up to where the ring begins, or finds that the ring holds everything
//! above the floor and joins it. The ring may move on during a step; then the next step just reads further. A gap is told of what
//! neither has: the store passed it by, or its sink has halted before it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use schemas::{Network, Op, limits};
use tokio::sync::watch;

use super::protocol::Id;
use crate::{
    app::App,
    error::ApiError,
    live::{LiveEvent, Next, Ring, ring::Span},
    past::{Page, Place},
    watch::positions::Known,
};

/// How long to wait for the store or the ring to move before other networks of the connection have their turn.
const TURN: Duration = Duration::from_millis(250);
/// The same when there are none.
const LONG: Duration = Duration::from_secs(10);

/// A network that is being replayed to a connection.
pub struct Replaying {
    /// The subscription that is told of trouble.
    pub id: Id,
    /// The network's ring.
    pub ring: Arc<Ring>,
    /// How far the store shows it, once that matters.
    stored: Option<watch::Receiver<Known>>,
    /// Transactions of the next page at most: as many as the client has taken well.
    pub share: u32,
    /// An event that was sent in part: its sequence, and how many of its transactions.
    pub begun: Option<(u64, usize)>,
    /// The client was told that the store is away.
    pub told_away: bool,
}

impl Replaying {
    /// From now on.
    pub fn new(id: Id, ring: Arc<Ring>) -> Self {
        Self { id, ring, stored: None, share: FIRST_SHARE, begun: None, told_away: false }
    }

    /// The network.
    pub fn network(&self) -> &Network {
        self.ring.network()
    }

    /// The client took a page well, or did not: so much less is held for it at once.
    pub fn learn(&mut self, well: bool) {
        self.share = match well {
            true => (self.share * 2).min(limits::REPLAY_TRANSACTIONS),
            false => (self.share / 4).max(limits::REPLAY_TRANSACTIONS_LEAST),
        };
    }

    /// The next step for a connection that has dealt with everything up to `floor`. `alone`: no other network waits.
    pub fn step(&mut self, app: &Arc<App>, floor: u64, transactions: bool, alone: bool) -> BoxFuture<'static, Step> {
        let span = self.ring.span();
        if joins(span, floor) {
            return Box::pin(std::future::ready(Step::Joined));
        }
        let follow = || app.positions.follow(&app.store, &self.ring, &app.shutdown);
        let stored = self.stored.get_or_insert_with(follow).clone();
        let transactions = transactions.then_some(self.share);
        let place = Place { network: self.network().clone(), after: floor, until: floor, transactions };
        let wait = if alone { LONG } else { TURN };
        Box::pin(step(Arc::clone(app), Arc::clone(&self.ring), stored, place, (wait, self.told_away)))
    }
}

/// Whether the ring holds everything above the floor.
fn joins(span: Option<Span>, floor: u64) -> bool {
    span.is_some_and(|span| floor >= span.newest || floor + 1 >= span.first)
}

/// Transactions of a connection's first page.
const FIRST_SHARE: u32 = 1_000;

/// What a step found.
pub enum Step {
    /// Events of the past, in order, from the floor on or from before it.
    Past(Arc<Page>),
    /// Sequences that neither the store nor the ring will have.
    Lost {
        /// The last of them.
        to: u64,
    },
    /// The ring holds everything above the floor.
    Joined,
    /// Nothing new yet; the step has already waited.
    Wait,
    /// The store does not answer; the step has waited, unless the client is still to be told.
    Away(ApiError),
    /// The replay cannot be.
    Refused(ApiError),
}

async fn step(
    app: Arc<App>,
    ring: Arc<Ring>,
    mut stored: watch::Receiver<Known>,
    mut place: Place,
    (wait, told_away): (Duration, bool),
) -> Step {
    let floor = place.after;
    let mut moved = ring.changes();
    let span = ring.span();
    if joins(span, floor) {
        return Step::Joined;
    }
    let known = stored.borrow_and_update().clone();
    let outcome = match known {
        Some(Ok(position)) => {
            let newest = span.map_or(position.sequence, |s| s.newest.max(position.sequence));
            if floor > newest.saturating_add(limits::WS_AHEAD_SEQUENCES) {
                let network = place.network.to_string();
                return Step::Refused(ApiError::PositionUnknown { network, after: floor, newest });
            }
            place.until = span.map_or(position.sequence, |s| position.sequence.min(s.first - 1));
            if place.until > floor {
                return match app.pages.get(&app.store, place, &app.shutdown).await {
                    Ok(Some(page)) => Step::Past(page),
                    Ok(None) => Step::Wait,
                    Err(error) => {
                        // The failure is remembered for a moment; so is the page's place.
                        tokio::time::sleep(TURN).await;
                        Step::Away(error)
                    }
                };
            }
            if let (true, Some(span)) = (position.halted, span) {
                return Step::Lost { to: span.first - 1 };
            }
            Step::Wait
        }
        Some(Err(error)) if !told_away => return Step::Away(error),
        Some(Err(error)) => Step::Away(error),
        None => Step::Wait,
    };
    tokio::select! {
        _ = stored.changed() => {}
        _ = moved.changed() => {}
        () = tokio::time::sleep(wait) => {}
    }
    outcome
}

/// What of these events of one network is undone by others of them: the applies' sequences.
pub fn undone(events: &[Arc<LiveEvent>]) -> Vec<u64> {
    let applied: HashSet<u64> = events.iter().filter(|e| e.op == Op::Apply).map(|e| e.sequence).collect();
    let reverts = events.iter().filter(|e| e.op == Op::Revert).filter_map(|e| e.reverts_sequence);
    reverts.filter(|s| applied.contains(s)).collect()
}

/// All that the ring holds above the floor.
pub fn rest(ring: &Ring, floor: u64) -> Vec<Arc<LiveEvent>> {
    match ring.after(floor, usize::MAX) {
        Next::Events(events) => events,
        Next::Empty | Next::Behind { .. } => Vec::new(),
    }
}

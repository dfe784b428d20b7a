//! What the sink says of itself and of its networks (rule 27): how far each is visible, and what halts it, so that nobody has to ask
//! the store for it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use runtime::beat::Board;
use schemas::{
    Network, Op, Origin, TimeMs,
    records::stage_status::state::{PARTLY, RUNNING, STALLED, STARTING},
};
use tokio::time::sleep;

use super::{State, batch::Event};
use crate::{Store, query::StoredNetwork};

/// How often the store is asked whether it is there, when it was asked nothing else, and what of networks that no event has come of yet.
const EVERY: Duration = Duration::from_secs(3);

/// What the stage does as a whole before its usual work, for whoever asks why nothing is written. Cloning shares it.
#[derive(Clone)]
pub(super) struct Busy {
    board: Board,
    with: Arc<Mutex<Option<(&'static str, String)>>>,
    warnings: Arc<Words>,
    failing: Arc<Words>,
}

impl Busy {
    /// Nothing is done yet.
    pub fn new(board: Board) -> Self {
        let first = (STARTING, "the store's tables are being made".to_owned());
        Self { board, with: Arc::new(Mutex::new(Some(first))), warnings: Arc::default(), failing: Arc::default() }
    }

    /// It is in this state, with this.
    pub fn say(&self, state: &'static str, words: String) {
        self.board.process(state, Some(words.clone()));
        *self.with.lock().unwrap_or_else(PoisonError::into_inner) = Some((state, words));
    }

    /// The usual work begins.
    pub fn done(&self) {
        *self.with.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.usual();
    }

    /// The state of the usual work.
    fn usual(&self) {
        match words_of(&self.failing) {
            Some(words) => self.board.process(PARTLY, Some(words)),
            None => self.board.process(RUNNING, words_of(&self.warnings)),
        }
    }

    /// A part of the work beside block events fails, and why; or does not any more.
    pub fn fails(&self, of: &'static str, words: Option<String>) {
        say(&self.failing, of, words);
    }

    /// All is well, and this is to be known before it is not, of what a part of it does.
    pub fn warn(&self, of: &'static str, words: Option<String>) {
        say(&self.warnings, of, words);
    }

    fn now(&self) -> Option<(&'static str, String)> {
        self.with.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

type Words = Mutex<BTreeMap<&'static str, String>>;

fn say(all: &Words, of: &'static str, words: Option<String>) {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    match words {
        Some(words) => drop(all.insert(of, words)),
        None => drop(all.remove(of)),
    }
}

fn words_of(all: &Words) -> Option<String> {
    let all = all.lock().unwrap_or_else(PoisonError::into_inner);
    let words: Vec<&str> = all.values().map(String::as_str).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// Keeps the board in step with the store, until dropped: whether it answers, and where networks stand of which nothing was
/// written since their partition came here.
pub(super) async fn follow(busy: Busy, store: Store) {
    let board = &busy.board;
    loop {
        match store.is_there(EVERY).await {
            Ok(()) => match busy.now() {
                Some((state, words)) => board.process(state, Some(words)),
                None => busy.usual(),
            },
            Err(error) => board.process(
                STALLED,
                Some(format!("the store does not answer: {error}. Nothing is lost; the sink goes on when it is back")),
            ),
        }
        for (network, partition) in board.networks() {
            if board.row(&network).is_some_and(|row| row.sequence.is_some()) {
                continue;
            }
            match store.network(&network).await {
                Ok(stored) => found(board, partition, &network, stored),
                Err(error) => {
                    tracing::debug!(%network, %error, "where the network stands cannot be read now");
                    break;
                }
            }
        }
        sleep(EVERY).await;
    }
}

/// What the store has of a network; what was written meanwhile is newer.
fn found(board: &Board, partition: u32, network: &Network, stored: Option<StoredNetwork>) {
    board.network(partition, network, |row| {
        if row.sequence.is_some() {
            return;
        }
        let Some(stored) = stored else {
            row.sequence = Some(0);
            return;
        };
        row.family = stored.family.parse().ok();
        row.sequence = Some(stored.processed_sequence);
        if let Some(head) = stored.head {
            (row.height, row.block_time) = (Some(head.number), Some(head.timestamp));
        }
        let halted = State::parse(&stored.state).is_some_and(|state| state != State::Running);
        if row.state.is_empty() && halted {
            (row.state, row.detail) = (stored.state, Some(stored.message));
        }
    });
}

/// A network's events are written.
pub(super) fn running(board: &Board, partition: u32, network: &Network) {
    board.network(partition, network, |row| {
        row.state.clear();
        row.detail = None;
    });
}

/// A network is halted.
pub(super) fn halted(board: &Board, partition: u32, network: &Network, state: State, message: &str) {
    board.network(partition, network, |row| {
        state.as_str().clone_into(&mut row.state);
        row.detail = Some(message.to_owned());
    });
}

/// These events are visible now.
pub(super) fn visible<'e>(board: &Board, events: impl Iterator<Item = &'e Event>) {
    for event in events {
        let e = &event.block.envelope;
        let tip: Option<(Option<u64>, Option<TimeMs>)> = match (e.op, e.origin) {
            (Op::Apply, Origin::Live) => Some((Some(e.height), Some(e.block_time))),
            (Op::Revert, Origin::Live) => Some((e.height.checked_sub(1), None)),
            _ => None,
        };
        board.known(&e.network, |row| {
            row.sequence = row.sequence.max(Some(e.sequence));
            if let Some((height, time)) = tip {
                (row.height, row.block_time) = (height, time);
            }
        });
    }
}

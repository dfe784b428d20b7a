//! What several groups of one process say of it together.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use schemas::records::stage_status::state::{RUNNING, STALLED, STARTING};

use super::Board;

/// What keeps a group from its work.
struct Trouble {
    state: &'static str,
    why: String,
}

/// What groups say of their process together: it runs when all of them work. Clones are the same.
#[derive(Clone)]
pub struct Doing {
    board: Board,
    troubles: Arc<Mutex<BTreeMap<&'static str, Trouble>>>,
}

impl Doing {
    /// Nothing is wrong. The board says so once a group works.
    pub fn new(board: Board) -> Self {
        Self::starting(board, [])
    }

    /// None of these has joined its group yet. The board says so once one of them works, or is in trouble.
    pub fn starting(board: Board, groups: impl IntoIterator<Item = &'static str>) -> Self {
        let starting = |group: &'static str| {
            (group, Trouble { state: STARTING, why: format!("{group} has not joined its group yet") })
        };
        Self { board, troubles: Arc::new(Mutex::new(groups.into_iter().map(starting).collect())) }
    }

    /// A group works.
    pub fn works(&self, group: &'static str) {
        self.change(|troubles| drop(troubles.remove(group)));
    }

    /// A group does not get on: why, in a sentence.
    pub fn stalls(&self, group: &'static str, why: String) {
        self.change(|troubles| drop(troubles.insert(group, Trouble { state: STALLED, why })));
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<&'static str, Trouble>)) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut troubles);
        if troubles.is_empty() {
            return self.board.process(RUNNING, None);
        }
        let stalled = troubles.values().any(|trouble| trouble.state == STALLED);
        let why: Vec<&str> = troubles.values().map(|trouble| trouble.why.as_str()).collect();
        self.board.process(if stalled { STALLED } else { STARTING }, Some(why.join("; ")));
    }
}

#[cfg(test)]
mod tests {
    use schemas::records::stage_status::stage;

    use super::*;

    #[test]
    fn a_process_runs_when_all_of_its_groups_work() {
        let board = Board::new(stage::ALERTS, RUNNING);
        let doing = Doing::starting(board.clone(), ["a", "b"]);
        doing.works("a");
        assert_eq!(board.not_ready().as_deref(), Some("b has not joined its group yet"));
        doing.stalls("a", "a is away".to_owned());
        assert_eq!(board.not_ready().as_deref(), Some("a is away; b has not joined its group yet"));
        doing.works("b");
        doing.works("a");
        assert_eq!(board.not_ready(), None);
    }
}

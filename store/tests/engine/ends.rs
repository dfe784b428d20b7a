//! Why a store's process ended, each time that it did.

use crate::harness::Running;
use std::sync::{Arc, Mutex};
use store::engine::StoreState;

/// Watches from its making on.
pub struct Ends {
    seen: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Ends {
    pub fn watch(store: &Running) -> Self {
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let (mut state, into) = (store.supervisor.state(), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while state.changed().await.is_ok() {
                if let StoreState::Down { error, .. } = &*state.borrow_and_update() {
                    eprintln!("the store is down: {error}");
                    into.lock().expect("no panic before").push(error.clone());
                }
            }
        });
        Self { seen, task }
    }

    /// All ends until now, and no further ones.
    pub fn stop(self) -> Vec<String> {
        self.task.abort();
        self.seen.lock().expect("no panic before").clone()
    }
}

/// Whether an end was meant: the process ended itself, for memory or time, and said why.
pub fn named(error: &str) -> bool {
    error.contains("the store ends itself: ")
}

//! What was read, and who wants to know it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use schemas::{Network, codec::Codec};
use tokio::sync::watch;

use super::{
    fold::{Changed, Fold},
    requests::{Known, Wishes},
    watched::ByNetwork,
};
use crate::log::Record;

/// What stages look at.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    pub known: Arc<Known>,
    pub watched: Arc<ByNetwork>,
}

/// Shared by the reader and all who ask.
pub(super) struct Told {
    telling: Mutex<Telling>,
    /// `None` until the topic was read to its end for the first time.
    pub view: watch::Sender<Option<View>>,
}

#[derive(Default)]
struct Telling {
    fold: Fold,
    to: HashMap<Network, watch::Sender<Wishes>>,
}

impl Told {
    pub fn new() -> Self {
        Self { telling: Mutex::default(), view: watch::Sender::new(None) }
    }

    fn telling(&self) -> MutexGuard<'_, Telling> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The offset behind what is known; `None` while not all is known that was there at first.
    pub fn next(&self) -> Option<u64> {
        // The view is let go of first: who tells holds what is read here, and wants to write there.
        let known = self.view.borrow().is_some();
        known.then(|| self.telling().fold.next)
    }

    /// What is asked of a network from now on; networks may come while the process runs.
    pub fn of(&self, network: &Network) -> watch::Receiver<Wishes> {
        let Telling { fold, to } = &mut *self.telling();
        let now = || watch::Sender::new(fold.wishes().remove(network).unwrap_or_default());
        to.entry(network.clone()).or_insert_with(now).subscribe()
    }

    /// Takes records that follow each other, from what is known or from before. Whoever brings them first counts.
    pub fn take(&self, codec: &Codec, records: &[Record]) {
        let mut telling = self.telling();
        let mut all = Changed::default();
        for record in records {
            let changed = telling.fold.take(codec, record);
            all.requests |= changed.requests;
            all.addresses |= changed.addresses;
        }
        self.tell(&mut telling, all);
    }

    /// All that was in the topic, read from its beginning up to `end` at the least, unless more is known already.
    pub fn install(&self, mut whole: Fold, end: u64) {
        let mut telling = self.telling();
        whole.next = whole.next.max(end);
        // A topic that was made anew ends before what was known of the former one.
        let known = self.view.borrow().is_some();
        if !known || whole.next >= telling.fold.next || end < telling.fold.next {
            whole.keep(&telling.fold);
            telling.fold = whole;
        }
        self.tell(&mut telling, Changed { requests: true, addresses: true });
    }

    /// There is no topic, and so nothing in it.
    pub fn nothing(&self) {
        self.view.send_if_modified(|view| view.is_none() && view.replace(View::default()).is_none());
    }

    fn tell(&self, telling: &mut Telling, changed: Changed) {
        if changed.requests {
            let mut wishes = telling.fold.wishes();
            for (network, tell) in &telling.to {
                let now = wishes.remove(network).unwrap_or_default();
                tell.send_if_modified(|known| {
                    let news = *known != now;
                    *known = now;
                    news
                });
            }
        }
        if changed.requests || changed.addresses {
            let now = View { known: telling.fold.requests.known.clone(), watched: telling.fold.addresses.of.clone() };
            self.view.send_if_modified(|view| {
                let same = |was: &View| Arc::ptr_eq(&was.known, &now.known) && Arc::ptr_eq(&was.watched, &now.watched);
                let news = !view.as_ref().is_some_and(same);
                *view = Some(now);
                news
            });
        }
    }
}

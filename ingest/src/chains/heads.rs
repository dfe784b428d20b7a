//! Heads: hints from one or several nodes, which may be late, doubled, stale or wrong.
//!
//! Guarantee: a lower head makes no higher one unseen. Of nodes that are behind, or of several behind one name, the highest head that
//! was told counts until its block was looked for in vain; then the source is asked, and the higher one is looked for again and again
//! for a while.

use std::time::Duration;

use nodes::{Head, HeadView};
use schemas::records::NetworkState;
use tokio::sync::watch;

use super::{
    family::Family,
    watcher::{Stop, Watcher},
};
use crate::tracker::Tracker;

/// How long a head is looked for that was told, and that the source then did not have.
const UNSEEN_FOR: Duration = Duration::from_secs(60);
/// So far above what the source has: more is no lag.
const UNSEEN_WITHIN: u64 = 32;
/// How often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl<F: Family> Watcher<F> {
    /// Takes over what the head's follower saw; a new connection may lead to another chain.
    pub(super) async fn take_head(&mut self, heads: &mut watch::Receiver<HeadView>, tracker: &mut Tracker) {
        if !heads.has_changed().unwrap_or(false) {
            return;
        }
        let view = heads.borrow_and_update().clone();
        self.diverged = view.diverged;
        if view.connection != self.connection {
            self.connection = view.connection;
            self.check_node_chain().await;
        }
        if let Some(head) = view.highest
            && self.highest.as_ref().is_none_or(|(known, _)| *known != head)
        {
            self.highest = Some((head.clone(), tokio::time::Instant::now()));
            self.saw_head(&head, tracker);
        }
        if let Some(head) = view.head {
            self.saw_head(&head, tracker);
        }
        if let Some(error) = view.error {
            self.say(NetworkState::Stalled, Some(format!("{error}; retried")));
        }
    }

    pub(super) fn saw_head(&mut self, head: &Head, tracker: &mut Tracker) {
        let before = tracker.known_head();
        tracker.head(head.height, &head.hash);
        let known = tracker.known_head();
        if known != before {
            self.head_at = tokio::time::Instant::now();
        }
        if known == Some(head.height) {
            self.newest = Some(head.clone());
        }
        let endpoint = Some(self.node.endpoint());
        self.status.send_if_modified(|s| {
            let news = s.tip_height != known || s.endpoint != endpoint;
            (s.tip_height, s.endpoint) = (known, endpoint);
            news
        });
    }

    /// Waits until there may be something to do.
    pub(super) async fn wait_for_head(
        &mut self,
        heads: &mut watch::Receiver<HeadView>,
        tracker: &mut Tracker,
    ) -> Result<(), Stop> {
        let Some(known) = tracker.known_head() else {
            let outcome = self.node.head().await;
            if let Some(head) = self.usable(outcome, tracker).await? {
                self.saw_head(&head, tracker);
            }
            return Ok(());
        };
        let reachable = heads.borrow().error.is_none();
        if reachable {
            self.say_at_head(tracker);
        }
        // Several nodes may answer under one name, and the one that was asked last be behind.
        let above = known + 1..=known.saturating_add(UNSEEN_WITHIN);
        let unseen =
            self.highest.as_ref().filter(|(head, at)| above.contains(&head.height) && at.elapsed() < UNSEEN_FOR);
        let unseen = unseen.map(|(head, _)| head.clone());
        let wait = if unseen.is_some() { LOOK_AGAIN } else { Duration::from_secs(5) };
        let may_fill = self.may_fill(tracker);
        let next_try = self.next_try();
        tokio::select! {
            biased;
            // Seen, but not yet taken over.
            Ok(()) = heads.changed() => heads.mark_changed(),
            Ok(()) = self.told.changed() => {}
            // What is asked is taken over in the watcher's round.
            Ok(()) = self.requests.changed() => {}
            () = until(next_try) => {}
            ready = self.filling.ready(), if may_fill => self.take_ready(ready, tracker).await?,
            () = tokio::time::sleep(wait) => {
                if let Some(head) = unseen {
                    self.saw_head(&head, tracker);
                }
            }
        }
        Ok(())
    }
}

/// Until a time; for ever where there is none.
async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

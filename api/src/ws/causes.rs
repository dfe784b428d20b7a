//! Causes that come live, for one connection: each after its transaction's frame, and none that would be of nothing.
//!
//! Guarantee: a cause waits until the block that it is of has been sent, by the ring or by a replay; at most
//! [`finding::WAITING_CAUSES`] wait, the oldest go first. One may come twice, with the same revision: after a subscription those of the last
//! moments are told again, and those of the blocks that it resumes with: the ring's transactions are as they came, without a cause.

use std::{collections::VecDeque, sync::Arc};

use axum::extract::ws::Message;
use schemas::{Network, limits::finding};
use tokio::sync::watch;

use super::{subscriptions::Subscriptions, wakes::risen};
use crate::live::{Causes, LiveCause};

/// How far a connection has come.
#[derive(Default)]
pub struct ComingCauses {
    /// What wakes it; nothing while no transactions are wanted.
    changes: Option<watch::Receiver<u64>>,
    /// Number of the next one.
    next: u64,
    waiting: VecDeque<Arc<LiveCause>>,
}

impl ComingCauses {
    /// For a subscription to transactions of a network, or of all, that has just begun, `after` a sequence where it resumes.
    pub fn begin(&mut self, causes: &Causes, network: Option<&Network>, after: Option<u64>) {
        if self.changes.is_none() {
            let changes = causes.changes();
            self.next = *changes.borrow();
            self.changes = Some(changes);
        }
        for cause in causes.recent(network, after) {
            if !self.waiting.iter().any(|waiting| Arc::ptr_eq(waiting, &cause)) {
                self.wait(cause);
            }
        }
    }

    fn wait(&mut self, cause: Arc<LiveCause>) {
        if self.waiting.len() >= finding::WAITING_CAUSES {
            self.waiting.pop_front();
            crate::metrics::causes_passed_over();
        }
        self.waiting.push_back(cause);
    }

    /// Those whose time has come.
    pub fn due(&mut self, causes: &Causes, subscriptions: &Subscriptions) -> Vec<Message> {
        if self.changes.is_none() {
            return Vec::new();
        }
        let (new, next) = causes.from(self.next);
        self.next = next;
        for cause in new {
            if subscriptions.wants(&cause.network).has(&cause.mark) {
                self.wait(cause);
            }
        }
        let mut due = Vec::new();
        self.waiting.retain(|cause| {
            if subscriptions.floor(&cause.network).is_none_or(|floor| floor < cause.sequence) {
                return true;
            }
            let told = !subscriptions.is_left_out(&cause.network, cause.sequence);
            if told && subscriptions.wants(&cause.network).has(&cause.mark) {
                due.push(Message::Text(cause.frame.clone()));
            }
            false
        });
        due
    }

    /// Sleeps again when no subscription wants transactions any more.
    pub fn end_without(&mut self, subscriptions: &Subscriptions) {
        if !subscriptions.has_transactions() {
            *self = Self::default();
        }
    }

    /// Until a new one came; for ever while none is wanted. Safe to drop and call again.
    pub async fn changed(&mut self) {
        risen(&mut self.changes).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::{
        filter::Filter,
        protocol::{Id, Topics},
    };

    fn subscribed(filter: Filter) -> (Subscriptions, Network) {
        let (mut subscriptions, network) = (Subscriptions::new(4), "a".parse().expect("a slug"));
        let topics = Topics { blocks: false, transactions: true, providers: false, windows: false, alerts: false };
        subscriptions.add(Id::Number(1), topics, None, filter, false).expect("free");
        (subscriptions, network)
    }

    #[test]
    fn a_cause_waits_for_its_transaction() {
        let (mut subscriptions, a) = subscribed(Filter::default());
        let (causes, mut coming) = (Causes::default(), ComingCauses::default());
        coming.begin(&causes, None, None);
        for (network, sequence) in [("a", 7), ("a", 5), ("b", 1)] {
            coming.wait(LiveCause::for_tests(network, sequence));
        }
        assert!(coming.due(&causes, &subscriptions).is_empty(), "nothing was sent of either network");
        subscriptions.begin(&a, 4);
        assert!(coming.due(&causes, &subscriptions).is_empty());
        subscriptions.advance(&a, 6);
        assert_eq!(coming.due(&causes, &subscriptions).len(), 1);
        subscriptions.advance(&a, 9);
        assert_eq!((coming.due(&causes, &subscriptions).len(), coming.waiting.len()), (1, 1));
        coming.wait(LiveCause::for_tests("a", 8));
        subscriptions.leave_out(&a, 8);
        assert!(coming.due(&causes, &subscriptions).is_empty(), "its block was left out");
        for sequence in 0..2 * finding::WAITING_CAUSES as u64 {
            coming.wait(LiveCause::for_tests("b", sequence));
        }
        assert_eq!(coming.waiting.len(), finding::WAITING_CAUSES);
        subscriptions.remove(&Id::Number(1), None).expect("there");
        coming.end_without(&subscriptions);
        assert!(coming.waiting.is_empty() && coming.changes.is_none());
    }

    #[test]
    fn a_filter_chooses_among_causes_too() {
        for (cause, told) in [("slippage", 1), ("deadline", 0)] {
            let filter = Filter::read(None, None, Some("failed"), (Some(cause), Some("trace"))).expect("a filter");
            let (mut subscriptions, a) = subscribed(filter);
            subscriptions.begin(&a, 9);
            let (causes, mut coming) = (Causes::default(), ComingCauses::default());
            coming.begin(&causes, None, None);
            coming.wait(LiveCause::for_tests("a", 9));
            assert_eq!(coming.due(&causes, &subscriptions).len(), told, "{cause}");
        }
    }
}

//! What becomes of trouble with the node: a state with a message, and a wait; or the end, where only another configuration can mend it.

use std::time::Duration;

use backon::BackoffBuilder;
use nodes::{Class, Head, NodeError, Retry, Word};
use schemas::records::NetworkState;

use super::{
    family::Family,
    watcher::{Stop, Watcher, waits},
};
use crate::{
    metrics,
    tracker::{Link, Need, Tracker},
};

/// Answers of "nothing there" to a block that a head announced, before it is called a state.
const EMPTY_PATIENCE: u32 = 20;
/// Blocks in a row that do not link before others are asked whether they have them: about a third of a second.
const LINK_PATIENCE: u32 = 5;
/// Such answers before the heights above are looked at: the chain may have no block there.
const LOOK_ABOVE: u32 = 2;
/// Such answers before the head is asked for anew: about a second and a quarter.
const ASK_AGAIN: u32 = 5;
/// Without a new head for this many block times (and at least a minute) the node is called stalled.
const STANDSTILL_BLOCKS: u32 = 20;

impl<F: Family> Watcher<F> {
    /// What may be used of an answer. Trouble becomes a state and a wait; then `None`: look again what is needed.
    pub(super) async fn usable<T>(
        &mut self,
        outcome: Result<T, NodeError>,
        tracker: &mut Tracker,
    ) -> Result<Option<T>, Stop> {
        let error = match outcome {
            Ok(value) => {
                self.waits = waits(self.backoff);
                return Ok(Some(value));
            }
            Err(e) => e,
        };
        self.fetcher.clear();
        match error.class() {
            Class::Empty | Class::NoBlock => {
                self.empties += 1;
                let part = self.family.lacks_a_part(&error);
                if self.empties >= EMPTY_PATIENCE {
                    let (state, detail) = if part {
                        (NetworkState::NoReceipts, self.family.incomplete(&error))
                    } else {
                        let detail = format!("{error}, although it announced a head above; is it still syncing?");
                        (NetworkState::Stalled, detail)
                    };
                    self.say(state, Some(detail));
                }
                // Of several nodes behind one name another may have it.
                let announced = matches!(tracker.need(), Need::Blocks { .. }) && self.empties <= ASK_AGAIN;
                if !part && !announced {
                    tracker.absent();
                }
                self.rest(self.short_wait()).await;
            }
            Class::Missing => {
                tracing::error!(network = %self.network.slug, %error, "the node cannot give what is needed");
                self.say(NetworkState::NoReceipts, Some(self.family.incomplete(&error)));
                self.idle(self.seldom, tracker).await?;
            }
            Class::Failing => {
                let wait = match error.retry() {
                    Retry::After(asked) => asked.max(self.backoff.0),
                    Retry::Seldom => self.seldom,
                    Retry::Soon => self.waits.next().unwrap_or(self.backoff.1),
                };
                tracing::warn!(network = %self.network.slug, %error, ?wait, "retrying");
                self.say(NetworkState::Stalled, Some(format!("{error}; retried")));
                self.idle(wait, tracker).await?;
            }
        }
        Ok(None)
    }

    /// The same for a block or header at a height, where there may be no block: then the heights around show whether that is so.
    pub(super) async fn usable_at<T>(
        &mut self,
        height: u64,
        outcome: Result<T, NodeError>,
        tracker: &mut Tracker,
    ) -> Result<Option<T>, Stop> {
        let said = match &outcome {
            _ if !self.traits.heights_without_block => return self.usable(outcome, tracker).await,
            Err(e) if e.class() == Class::NoBlock => true,
            Err(e) if e.class() == Class::Empty && !self.family.lacks_a_part(e) => {
                // Alone, `null` is mostly a node that is not so far yet.
                let patience = if tracker.known_head() == Some(height) { ASK_AGAIN } else { LOOK_ABOVE };
                if matches!(tracker.need(), Need::Blocks { .. }) && self.empties < patience {
                    return self.usable(outcome, tracker).await;
                }
                false
            }
            _ => return self.usable(outcome, tracker).await,
        };
        if matches!(tracker.need(), Need::Branch(_)) {
            // Its header was there a moment ago.
            return self.usable(outcome, tracker).await;
        }
        tracker.no_block(height, said);
        if matches!(tracker.need(), Need::Head | Need::Refused(_)) {
            // Nothing above, or nothing that could be told apart from a node that is behind.
            return self.usable(outcome, tracker).await;
        }
        Ok(None)
    }

    /// The block above heights that seemed to have none does not follow what is held: the node lacks them, for now.
    pub(super) async fn no_hole(&mut self, from: u64, above: &Link) {
        let detail = format!(
            "endpoint `{}` has no block {from}, and its block {} does not follow the one held below; is it still syncing?",
            self.node.endpoint(),
            above.height
        );
        self.does_not_fit(above, detail).await;
    }

    /// A header does not fit to the one above: at times the chain changes under the walk, but a node whose blocks do not link must
    /// not be asked without a pause.
    pub(super) async fn unlinked(&mut self, height: u64, above: &Link) {
        let lacking = match (height + 1, above.height - 1) {
            (first, last) if first < last => format!(", and it gives none from {first} to {last}"),
            (first, last) if first == last => format!(", and it gives no block {first}"),
            _ => String::new(),
        };
        let detail = format!(
            "endpoint `{}`: block {height} is not the parent of block {}{lacking}; does the node lack blocks, or do several nodes \
             answer under this name?",
            self.node.endpoint(),
            above.height
        );
        self.does_not_fit(above, detail).await;
    }

    /// A block of the endpoint's does not fit to what stands below it. When that lasts, others are asked whether they have it: blocks that
    /// lead nowhere are never offered for a word on the way to publication, so that the source would not find out who lies.
    async fn does_not_fit(&mut self, block: &Link, detail: String) {
        self.empties += 1;
        if self.empties.is_multiple_of(LINK_PATIENCE) {
            let gave = self.node.endpoint();
            let Link { height, hash, parent, time, .. } = block.clone();
            let head = Head { height, hash, parent, time };
            if let Word::Contradicts { by, says } = self.word(&head, None).await {
                let detail = self.diverged(&gave, &head, &by, &says);
                return self.disputed(detail, &gave).await;
            }
        }
        if self.empties >= EMPTY_PATIENCE {
            self.say(NetworkState::Stalled, Some(detail));
        }
        self.rest(self.short_wait()).await;
    }

    /// After answers that lead nowhere: longer each time.
    fn short_wait(&self) -> Duration {
        Duration::from_millis(20).saturating_mul(1 << self.empties.min(6)).min(self.backoff.1)
    }

    /// A short wait, with jitter.
    pub(super) async fn rest(&mut self, wait: Duration) {
        let jitter = backon::ExponentialBuilder::new().with_min_delay(wait).with_jitter().build().next();
        tokio::time::sleep(jitter.unwrap_or(wait)).await;
    }

    /// At the head: live, unless the chain should have moved long since.
    pub(super) fn say_at_head(&mut self, tracker: &Tracker) {
        let Some(block_time) = self.traits.block_time else {
            return self.say_following();
        };
        let patience = (block_time * STANDSTILL_BLOCKS).max(Duration::from_secs(60));
        let still = self.head_at.elapsed();
        if still > patience {
            let head = tracker.known_head().unwrap_or_default();
            let detail =
                format!("the node stands at block {head} for {} s; is it in touch with its peers?", still.as_secs());
            self.say(NetworkState::Stalled, Some(detail));
        } else {
            self.say_following();
        }
    }

    /// Sets the state. True when that is news.
    pub(super) fn say(&self, state: NetworkState, detail: Option<String>) -> bool {
        let (endpoint, mut changed) = (Some(self.node.endpoint()), false);
        self.status.send_if_modified(|s| {
            changed = s.state != state || s.detail != detail;
            let moved = s.endpoint != endpoint;
            (s.state, s.detail, s.endpoint) = (state, detail, endpoint);
            changed || moved
        });
        if changed {
            metrics::state(&self.network.slug, state);
        }
        changed
    }

    /// A data directory is never continued on another chain.
    pub(super) fn check_stored_chain(&self) -> Result<(), Stop> {
        let Some(stored) = &self.stored.checkpoint else { return Ok(()) };
        if self.family.is_ours(&stored.chain_id) {
            return Ok(());
        }
        Err(Stop::State(NetworkState::WrongChain, self.family.held_chain(&stored.chain_id)))
    }

    /// Asks until the node says that it is on the network's chain.
    pub(super) async fn check_node_chain(&mut self) {
        loop {
            match self.node.chain_id().await {
                Ok(id) if self.family.is_ours(&id) => {
                    self.waits = waits(self.backoff);
                    return;
                }
                Ok(id) if self.family.is_no_chain(&id) => {
                    let wait = self.waits.next().unwrap_or(self.backoff.1);
                    let detail = format!(
                        "endpoint `{}` says chain id {id}, as nodes do while they start; asked again",
                        self.node.endpoint()
                    );
                    self.say(NetworkState::Stalled, Some(detail));
                    tokio::time::sleep(wait).await;
                }
                Ok(id) => {
                    let wrong = self.family.wrong_chain(&self.node.endpoints(), &id);
                    let detail = format!("{wrong}; asked again every {} s", self.seldom.as_secs());
                    if self.say(NetworkState::WrongChain, Some(detail.clone())) {
                        tracing::error!(network = %self.network.slug, detail, "the network is not followed");
                    }
                    tokio::time::sleep(self.seldom).await;
                }
                Err(error) => {
                    let asked = match error.retry() {
                        Retry::After(d) => d,
                        Retry::Seldom => self.seldom,
                        Retry::Soon => Duration::ZERO,
                    };
                    let wait = self.waits.next().unwrap_or(self.backoff.1).max(asked);
                    tracing::warn!(network = %self.network.slug, %error, ?wait, "retrying");
                    self.say(NetworkState::Stalled, Some(format!("{error}; retried")));
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }
}

//! A chain that is not followed: it leaves the held one too deep, or below what was published as final (rule 7).
//!
//! Guarantee: nothing is reverted; the state and a metric say so; and the network goes on by itself as soon as the node's chain
//! holds again what is held. That it is too deep is kept in the checkpoint, since a restart must not forget it. Where there is another
//! operator, neither is concluded from one operator's word: it must have the chain too. What leaves the held chain below the finalized
//! height is then followed, as far as any reorg; what is too deep stops the network.

use nodes::HeadView;
use schemas::{limits, records::NetworkState};
use tokio::sync::watch;

use super::{
    confirm::Verdict,
    family::Family,
    watcher::{Stop, Watcher},
};
use crate::{
    metrics,
    tracker::{Refusal, Tracker},
    unit::Unit,
};

impl<F: Family> Watcher<F> {
    /// Says why the node's chain is not followed, and has it looked at again after a while.
    pub(super) async fn refused(
        &mut self,
        why: Refusal,
        heads: &mut watch::Receiver<HeadView>,
        tracker: &mut Tracker,
    ) -> Result<(), Stop> {
        self.fetcher.clear();
        match self.judge_refused(tracker).await {
            Verdict::Alone => self.judged = true,
            Verdict::True if matches!(why, Refusal::BelowFinal(_)) => {
                tracing::warn!(network = %self.network.slug, "operators agree to a reorg below the finalized height");
                self.overruled = true;
                tracker.finalize(None);
                tracker.overrule();
                return Ok(());
            }
            Verdict::True => self.judged = true,
            Verdict::Again => {
                tracker.reconsider();
                return Ok(());
            }
        }
        self.say_too_deep(tracker).await?;
        let (state, detail, wait) = match why {
            Refusal::TooDeep => (NetworkState::ReorgTooDeep, self.too_deep(), self.seldom),
            Refusal::BelowFinal(height) => (NetworkState::Stalled, self.below_final(height), self.backoff.1),
        };
        if self.say(state, Some(detail.clone())) {
            tracing::error!(network = %self.network.slug, state = state.as_str(), detail, "the node's chain is not followed");
            metrics::refused(&self.network.slug, why);
        }
        if let Some(id) = self.acceptance() {
            if !self.accept(&id, tracker).await? {
                tracker.reconsider();
            }
            return Ok(());
        }
        tokio::select! {
            // What is asked is taken over in the watcher's round.
            Ok(()) = self.requests.changed() => self.requests.mark_changed(),
            () = tokio::time::sleep(wait) => {}
            // Another node may have come behind the same name.
            () = new_connection(heads, self.connection) => {}
        }
        tracker.reconsider();
        Ok(())
    }

    fn too_deep(&self) -> String {
        format!(
            "the node's chain differs from what is held by more than {} blocks; nothing was reverted. The network goes on by \
             itself when the node's chain holds these blocks again; if the node is right, `headwater accept-reorg --config FILE \
             --network {}` reverts so far and follows it",
            limits::REORG_LIMIT_BLOCKS,
            self.network.slug
        )
    }

    fn below_final(&self, height: u64) -> String {
        format!(
            "endpoint `{}` tells another chain than the one held at or below block {height}, which was published as final: it is \
             not believed and nothing was reverted; asked again. If it is right, `headwater accept-reorg --config FILE --network {}` \
             follows it",
            self.node.endpoint(),
            self.network.slug
        )
    }

    /// The height that readers were told is final.
    pub(super) fn published_final(&self, tracker: &Tracker) -> Option<u64> {
        match self.traits.instant_finality {
            true => tracker.position().tip.as_ref().map(|(height, _)| *height),
            false => self.said_finality.finalized,
        }
    }

    /// Keeps in the checkpoint whether the network is stopped, and nothing else.
    pub(super) async fn say_too_deep(&mut self, tracker: &Tracker) -> Result<(), Stop> {
        if !tracker.position().too_deep {
            self.judged = false;
        }
        let too_deep = tracker.position().too_deep && self.judged;
        if too_deep == self.said_too_deep {
            return Ok(());
        }
        if !too_deep {
            tracing::info!(network = %self.network.slug, "the node's chain holds what is held again");
        }
        self.said_too_deep = too_deep;
        let checkpoint = self.checkpoint(tracker.position(), self.said_finality);
        Ok(self.outlet.send(Unit::of(checkpoint)).await?)
    }
}

/// Ends when the endpoint was connected anew.
async fn new_connection(heads: &mut watch::Receiver<HeadView>, known: u64) {
    if heads.wait_for(|view| view.connection != known).await.is_err() {
        std::future::pending().await
    }
}

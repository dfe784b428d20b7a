//! Carrying out `headwater accept-reorg` (rule 7): the nodes' chain is followed although it leaves the held one too deep, or below what
//! was published as final.
//!
//! Guarantee: nothing is reverted before the rows of everything that was published can be asked for, the last common block is found,
//! and the first blocks of the new branch have been fetched, are linked to it, and are vouched for where others are to be asked. Then
//! what is held above is reverted, newest block first, each by the event that put it there; the new branch follows as blocks always
//! do. A kill in the middle goes on where it was: the checkpoint says that the network is stopped until the last revert, which is in one
//! transaction with the end of the request.

use std::{collections::VecDeque, time::Duration};

use nodes::{Class, Head, SourceBlock as _};
use schemas::{
    BlockHash, TimeMs, limits,
    records::{Asks, RequestState, RingEntry, Wanted},
};

use super::{
    family::Family,
    watcher::{Stop, Watcher},
};
use crate::{
    tracker::{AHEAD, Tracker},
    unit::Unit,
};

/// Pause before what is in the way is looked at again.
const AGAIN: Duration = Duration::from_secs(1);
/// Heights that are read at once of what is known of the past.
const PAGE: u64 = 256;

/// What was found, or in words what stands in the way for now.
type Found<T> = Result<T, String>;

impl<F: Family> Watcher<F> {
    /// The open request to accept a reorg.
    pub(super) fn acceptance(&self) -> Option<String> {
        let wishes = self.requests.borrow();
        if wishes.unreadable.is_some() {
            return None;
        }
        let is_open = |id: &str| self.filling.book.get(id).is_some_and(|progress| !progress.state.is_over());
        let asks = wishes.requests.iter().filter(|r| r.asks == Asks::AcceptReorg && r.wanted == Wanted::Run);
        asks.map(|r| r.id.clone()).find(|id| is_open(id))
    }

    /// Carries a request out. False when something is in the way, which was said, and a pause was made.
    pub(super) async fn accept(&mut self, id: &str, tracker: &mut Tracker) -> Result<bool, Stop> {
        match self.prepare(tracker).await? {
            Ok((ancestor, to)) => {
                self.give_up_down_to(id, ancestor, to, tracker).await?;
                Ok(true)
            }
            Err(why) => {
                self.told(id, RequestState::Waiting, Some(why), tracker).await?;
                tokio::time::sleep(AGAIN).await;
                Ok(false)
            }
        }
    }

    /// Says how the request stands, in the checkpoint, and nothing else.
    async fn told(
        &mut self,
        id: &str,
        state: RequestState,
        detail: Option<String>,
        tracker: &Tracker,
    ) -> Result<(), Stop> {
        if self.filling.book.says(id, state, detail, TimeMs::now()) {
            let checkpoint = self.checkpoint(tracker.position(), self.said_finality);
            self.outlet.send(Unit::of(checkpoint)).await?;
        }
        Ok(())
    }

    /// Everything that has to be so before the first revert: the last common block, and the nodes' head.
    async fn prepare(&mut self, tracker: &mut Tracker) -> Result<Found<(Option<(u64, BlockHash)>, u64)>, Stop> {
        if let Err(why) = self.all_visible(tracker).await {
            return Ok(Err(why));
        }
        let head = match self.node.head().await {
            Ok(head) => head,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let ancestor = match self.ancestor(&head, tracker).await {
            Ok(ancestor) => ancestor,
            Err(why) => return Ok(Err(why)),
        };
        let tip = tracker.position().tip.as_ref().map(|(height, _)| *height);
        if ancestor.as_ref().is_some_and(|(height, _)| Some(*height) >= tip) {
            return Ok(Err("the nodes' chain holds what is held again".to_owned()));
        }
        if let Err(why) = self.branch_is_there(ancestor.as_ref(), &head, tracker).await? {
            return Ok(Err(why));
        }
        // Back-fill may have written meanwhile.
        Ok(self.all_visible(tracker).await.map(|()| (ancestor, head.height)))
    }

    /// Waits until the rows of everything that was published can be asked for.
    async fn all_visible(&self, tracker: &Tracker) -> Found<()> {
        let Some(past) = &self.past.0 else {
            return Err(
                "what is held so deep is known to the store only, and this process does not know it: write `[store] url` into the \
                 configuration of ingest"
                    .to_owned());
        };
        let wanted = tracker.position().sequence;
        let visible = past.visible_sequence(&self.network.slug).await?;
        match visible >= wanted {
            true => Ok(()),
            false => Err(format!(
                "the store has the rows up to sequence {visible}, and {wanted} was published: waiting for the sink"
            )),
        }
    }

    async fn held_at(&self, from: u64, to: u64) -> Found<Vec<RingEntry>> {
        let Some(past) = &self.past.0 else { return Ok(Vec::new()) };
        past.blocks(&self.network.slug, from, to).await
    }

    /// The highest block that both chains have; `None`: there is none from the first held height on. Few headers are asked for: a block
    /// that both have has the same ancestors.
    async fn ancestor(&self, head: &Head, tracker: &Tracker) -> Found<Option<(u64, BlockHash)>> {
        let position = tracker.position();
        let (Some((tip, _)), Some(first)) = (&position.tip, position.first) else { return Ok(None) };
        // Blocks from `above` on differ; what is below was not looked at.
        let (mut above, mut step, mut common) = (tip + 1, 1, None);
        while above > first && common.is_none() {
            let height = (above - 1).min(head.height).saturating_sub(step - 1).max(first);
            match self.same_at(height, first).await? {
                (at, Some(hash)) => common = Some((at, hash)),
                (at, None) => (above, step) = (at.min(height), step * 2),
            }
        }
        let Some((mut low, mut hash)) = common else { return Ok(None) };
        while low + 1 < above {
            let middle = low + (above - low) / 2;
            match self.same_at(middle, low + 1).await? {
                (at, Some(same)) if at > low => (low, hash) = (at, same),
                (_, Some(_)) => above = middle,
                (at, None) => above = at.clamp(low + 1, middle),
            }
        }
        Ok(Some((low, hash)))
    }

    /// Whether both chains have the same block at a height, or, where none is held there, at the next one below down to `lowest`: where
    /// that is, and its hash when they have.
    async fn same_at(&self, height: u64, lowest: u64) -> Found<(u64, Option<BlockHash>)> {
        let from = height.saturating_sub(limits::HEIGHTS_WITHOUT_BLOCK).max(lowest);
        let Some(held) = self.held_at(from, height).await?.pop() else { return Ok((from, None)) };
        match self.node.header(held.height).await {
            Ok(theirs) => Ok((held.height, Some(theirs.hash).filter(|hash| *hash == held.block_hash))),
            Err(error) if error.class() == Class::NoBlock => Ok((held.height, None)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether the first blocks of the new branch can be had, follow the last common one, and may be published.
    async fn branch_is_there(
        &mut self,
        ancestor: Option<&(u64, BlockHash)>,
        head: &Head,
        tracker: &mut Tracker,
    ) -> Result<Found<()>, Stop> {
        let first = match ancestor {
            Some((height, _)) => height + 1,
            None => tracker.position().first.unwrap_or(head.height),
        };
        if first > head.height {
            let why = format!(
                "the nodes' chain ends at block {}, and holds nothing that is not held: asked again",
                head.height
            );
            return Ok(Err(why));
        }
        self.fetcher.clear();
        let (gave, mut below) = (self.node.endpoint(), ancestor.map(|(_, hash)| hash.clone()));
        let mut run: Vec<Head> = Vec::new();
        for height in (first..=head.height).take(AHEAD) {
            let block = match self.fetcher.next(height, head.height, None).await {
                Ok(fetched) => fetched.block.head(),
                Err(error) if error.class() == Class::NoBlock => continue,
                Err(error) => return Ok(Err(error.to_string())),
            };
            if below.as_ref().is_some_and(|below| *below != block.parent) {
                let why = format!("the nodes' chain changed while it was looked at, at block {height}: asked again");
                return Ok(Err(why));
            }
            below = Some(block.hash.clone());
            run.push(block);
        }
        if run.is_empty() || self.may_publish(&run, None, &gave, tracker).await? == 0 {
            return Ok(Err("no second operator has shown the new branch yet: asked again".to_owned()));
        }
        Ok(Ok(()))
    }

    /// Reverts what is held above a block, newest first. `to`: the nodes' head.
    async fn give_up_down_to(
        &mut self,
        id: &str,
        ancestor: Option<(u64, BlockHash)>,
        to: u64,
        tracker: &mut Tracker,
    ) -> Result<(), Stop> {
        let position = tracker.position();
        let lowest = ancestor.as_ref().map_or(position.first.unwrap_or(0), |(height, _)| height + 1);
        let Some((tip, _)) = position.tip.clone() else { return Ok(()) };
        tracing::warn!(network = %self.network.slug, id, from = tip, to = lowest, "an operator accepted the reorg");
        // What was published as final above the last common block is not any more.
        let below = |height: Option<u64>| height.map(|height| height.min(lowest.saturating_sub(1)));
        (self.finality.safe, self.finality.finalized) = (below(self.finality.safe), below(self.finality.finalized));
        (self.judged, self.said_too_deep) = (true, true);
        let branch = to.saturating_sub(lowest) + 1;
        let mut entries: VecDeque<RingEntry> = VecDeque::new();
        let mut read_down_to = tip + 1;
        loop {
            // One more than is reverted: the block below is to be known.
            while entries.len() < 2 && read_down_to > lowest {
                let from = read_down_to.saturating_sub(PAGE).max(lowest);
                match self.held_at(from, read_down_to - 1).await {
                    Ok(page) => entries.extend(page.into_iter().rev()),
                    Err(why) => {
                        self.told(id, RequestState::Waiting, Some(why), tracker).await?;
                        tokio::time::sleep(AGAIN).await;
                        continue;
                    }
                }
                read_down_to = from;
                let detail = format!("reverting: at height {}, down to {lowest}", from.max(lowest));
                self.told(id, RequestState::Running, Some(detail), tracker).await?;
            }
            let Some(entry) = entries.pop_front() else { return Ok(()) };
            let below = entries.front().map(|below| (below.height, below.block_hash.clone())).or(ancestor.clone());
            let is_tip = tracker.position().tip.as_ref().is_some_and(|(_, hash)| *hash == entry.block_hash);
            let links = below.as_ref().is_none_or(|(_, hash)| *hash == entry.parent_hash);
            if !is_tip || !links {
                let why = format!(
                    "the store does not hold the chain that was published, at height {}: nothing below was reverted. Fill its heights \
                     again with `headwater backfill --again`, or follow the network under another slug",
                    entry.height
                );
                return self.told(id, RequestState::Failed, Some(why), tracker).await;
            }
            let last = entries.is_empty() && read_down_to <= lowest;
            if last {
                self.filling.book.says(id, RequestState::Done, None, TimeMs::now());
                self.said_too_deep = false;
            }
            let remaining = (entry.height - lowest).saturating_add(branch);
            let event = tracker.give_up(entry, below, u32::try_from(remaining).unwrap_or(u32::MAX), last);
            self.publish(tracker, vec![event], Vec::new(), true).await?;
            if last {
                return Ok(());
            }
        }
    }
}

//! Fetches the heights of one request beside the stream, and says what keeps it from it.
//!
//! Guarantee: what it hands over is linked from height to height, agrees with what the ring holds at its heights and directly above, and
//! is vouched for by another operator where there is one (rule 24): history is final, and nothing final is written on one operator's
//! word. It comes lowest heights first, each height once. Bounded: a run that waits, a run on its way, and the fetches of
//! [`FillPlaces`](super::FillPlaces). Whatever goes wrong is told in words and tried again, soon or seldom.

mod trouble;

use std::{sync::Arc, time::Duration};

use nodes::{ChainSource, Class, Head, NodeError, SourceBlock, Word};
use schemas::{
    Network, limits,
    records::{HeldRange, RingEntry},
};
use tokio::sync::mpsc;
use trouble::Trouble;

use super::{
    family::Family,
    fetcher::{Fetched, Fetcher},
    watcher::waits,
};
use crate::{
    fill::{
        book::Job,
        chain::{Ground, Problem},
    },
    past::{Keeper, Removed},
    readers::Readers,
};

/// The source is to answer within `confirm_within`; this much later its silence is taken for an answer.
const GRACE: Duration = Duration::from_secs(1);
/// Between two looks at readers that are far behind, and how long that is nothing to be told.
const READERS_PAUSE: Duration = Duration::from_millis(50);
const READERS_PATIENCE: Duration = Duration::from_secs(5);
/// Failures in a row before they are told, where the next try comes soon.
const TOLD_FROM: u32 = 3;

/// Heights that are done: those before the last have no block, nor has the last where `block` is `None`.
pub(super) struct Piece<B> {
    /// The heights.
    pub heights: HeldRange,
    /// The block at the last of them.
    pub block: Option<Fetched<B>>,
}

/// What a filler says.
pub(super) enum Brought<B> {
    /// Heights that are done, lowest first.
    Run(Vec<Piece<B>>),
    /// It goes on trying.
    Waits(String),
    /// It has given up for now: only an operator, or time, changes that.
    Rests(String),
    /// It can never be done.
    Refused(String),
    /// All of it is done.
    Done,
}

/// See the module.
pub(super) struct Filler<F: Family> {
    /// Slug of the network.
    pub network: Network,
    /// The family.
    pub family: Arc<F>,
    /// Where blocks come from.
    pub node: Arc<dyn ChainSource<Block = F::Block>>,
    /// Fetches of the past.
    pub fetcher: Fetcher<F::Block>,
    /// What is to be done.
    pub job: Job,
    /// The height that is final, as far as the watcher knows.
    pub finalized: Option<u64>,
    /// The network's tip.
    pub tip: u64,
    /// The height up to which nothing is reverted, where the chain does not say what is final.
    pub settled: u64,
    /// Recent live blocks.
    pub ring: Vec<RingEntry>,
    /// Time for another operator's word.
    pub confirm_within: Duration,
    /// Waits after failures.
    pub backoff: (Duration, Duration),
    /// Who reads what is written.
    pub readers: Option<Readers>,
    /// Who keeps the rows, and knows which are kept no longer.
    pub past: Keeper,
    /// Where it says what it has.
    pub out: mpsc::Sender<Brought<F::Block>>,
}

/// Nobody listens any more.
struct Gone;

impl<F: Family> Filler<F> {
    /// Works until all is done, or nobody listens.
    pub async fn run(mut self) {
        let _ = self.work().await;
    }

    async fn say(&self, what: Brought<F::Block>) -> Result<(), Gone> {
        self.out.send(what).await.map_err(|_| Gone)
    }

    async fn work(&mut self) -> Result<(), Gone> {
        let mut tries = Tries::new(self.backoff);
        loop {
            match self.may_be_filled().await {
                Ok(None) => break,
                Ok(Some(refused)) => return self.say(Brought::Refused(refused)).await,
                Err(trouble) => self.bear(&mut tries, trouble).await?,
            }
        }
        let mut below = self.job.below.take();
        for gap in std::mem::take(&mut self.job.plan) {
            let directly = gap.from.checked_sub(1).and_then(|height| self.held(height)).map(|e| e.block_hash.clone());
            let mut ground = Ground::new(gap.from, below.take().or(directly));
            let mut looked_below = false;
            while ground.next <= gap.to {
                match self.run_of(&mut ground, gap).await {
                    Ok(run) => {
                        tries = Tries::new(self.backoff);
                        self.let_readers_follow().await?;
                        self.say(Brought::Run(run)).await?;
                    }
                    // Nothing is known below: there may be no block at its first heights.
                    Err(Trouble::Chain(Problem::Lacking { .. })) if ground.below.is_none() && !looked_below => {
                        looked_below = true;
                        ground = Ground::new(gap.from, self.block_below(gap.from).await);
                    }
                    Err(trouble) => {
                        self.fetcher.clear();
                        if trouble.is_for_long() {
                            return self.say(Brought::Rests(trouble.words(&*self.family))).await;
                        }
                        self.bear(&mut tries, trouble).await?;
                    }
                }
            }
        }
        self.say(Brought::Done).await
    }

    /// Waits while readers are far behind, and says so where that lasts.
    async fn let_readers_follow(&self) -> Result<(), Gone> {
        let Some(readers) = &self.readers else { return Ok(()) };
        let (began, mut told) = (tokio::time::Instant::now(), false);
        while let Some(behind) = readers.are_behind().await {
            if !told && began.elapsed() > READERS_PATIENCE {
                told = true;
                let words = format!(
                    "enrich and the sink have {behind} records before them: nothing is filled until they have followed, so that live \
                     blocks do not wait; look at their states where that lasts"
                );
                self.say(Brought::Waits(words)).await?;
            }
            tokio::select! {
                () = tokio::time::sleep(READERS_PAUSE) => {}
                () = self.out.closed() => return Err(Gone),
            }
        }
        Ok(())
    }

    /// Says what is wrong where that lasts, and waits.
    async fn bear(&self, tries: &mut Tries, trouble: Trouble) -> Result<(), Gone> {
        let wait = tries.next(&trouble);
        tracing::debug!(id = self.job.id, ?trouble, ?wait, "back-fill tries again");
        if tries.failed >= TOLD_FROM || wait > Duration::from_secs(1) {
            self.say(Brought::Waits(trouble.words(&*self.family))).await?;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.out.closed() => Err(Gone),
        }
    }

    /// Whether all heights are kept and final; in words why the request is refused.
    async fn may_be_filled(&self) -> Result<Option<String>, Trouble> {
        match self.is_removed().await? {
            None => self.is_final().await,
            refused => Ok(refused),
        }
    }

    /// Whether the rows of some heights would not be kept.
    async fn is_removed(&self) -> Result<Option<String>, Trouble> {
        let Some(past) = &self.past.0 else { return Ok(None) };
        let removed = past.removed(&self.network).await.map_err(Trouble::NoStore)?;
        Ok(removed.filter(|removed| self.job.heights.from < removed.below).map(|Removed { below, by }| {
            format!(
                "rows below height {below} were removed by `{by}` and are kept no longer: fill from {below} on, or keep more (`[store] {by}`; \
                 what was removed before stays away)"
            )
        }))
    }

    /// Whether all heights are final; in words why the request is refused.
    async fn is_final(&self) -> Result<Option<String>, Trouble> {
        let HeldRange { from, to } = self.job.heights;
        if from > to {
            return Ok(Some(format!("the range ends at {to}, below its first height {from}")));
        }
        let mut known = self.finalized;
        if known.is_none_or(|known| known < to) {
            // What was told last may be some seconds old.
            let told = self.node.finality().await.map_err(Trouble::NoFinality)?;
            known = known.max(told.finalized.filter(|finalized| *finalized <= self.tip));
        }
        // What is above the tip comes live.
        let finalized = known.unwrap_or(self.settled).min(self.tip);
        if to <= finalized {
            return Ok(None);
        }
        let how = if known.is_some() { "the finalized height" } else { "the height up to which nothing is reverted" };
        Ok(Some(format!("the range reaches up to {to}, above {how}, {finalized}: ask for it again when it is final")))
    }

    fn held(&self, height: u64) -> Option<&RingEntry> {
        self.ring.iter().find(|e| e.height == height)
    }

    /// The next run of blocks from `ground` on, which moves to behind it; nothing is changed where that fails.
    async fn run_of(&mut self, ground: &mut Ground, gap: HeldRange) -> Result<Vec<Piece<F::Block>>, Trouble> {
        let (mut at, mut run, mut transactions) = (ground.clone(), Vec::new(), 0);
        while at.height() <= gap.to && run.len() < limits::INGEST_VOUCHED_BLOCKS {
            if transactions >= limits::INGEST_VOUCHED_TRANSACTIONS {
                break;
            }
            let height = at.height();
            match self.fetcher.next(height, gap.to, None).await {
                Ok(fetched) => {
                    let (from, head) = (at.next, fetched.block.head());
                    if self.held(height).is_some_and(|held| held.block_hash != head.hash) {
                        return Err(Trouble::Held { height });
                    }
                    match at.block(&head) {
                        Ok(()) => {}
                        // What there is below goes first.
                        Err(Problem::Lacking { .. }) if !run.is_empty() => {
                            at.forget();
                            break;
                        }
                        Err(problem) => return Err(problem.into()),
                    }
                    transactions += fetched.block.tx_count() as usize;
                    run.push(Piece { heights: HeldRange { from, to: height }, block: Some(fetched) });
                }
                Err(e) if self.is_hole(&e) => at.no_block(e.class() == Class::NoBlock)?,
                Err(e) if run.is_empty() => return Err(Trouble::Node(height, e)),
                // What there is goes first.
                Err(_) => {
                    at.forget();
                    break;
                }
            }
        }
        let heads: Vec<Head> = run.iter().filter_map(|piece| Some(piece.block.as_ref()?.block.head())).collect();
        if at.height() > gap.to {
            match self.check_end(&at, gap.to).await {
                Ok(()) => {}
                // What there is below goes first.
                Err(Trouble::Chain(Problem::Lacking { .. })) if !run.is_empty() => at.forget(),
                Err(trouble) => return Err(trouble),
            }
            if at.height() > gap.to && at.next <= gap.to {
                run.push(Piece { heights: HeldRange { from: at.next, to: gap.to }, block: None });
                at = Ground::new(gap.to.saturating_add(1), at.below);
            }
        } else {
            // Heights that seem to have no block are looked at again with the block above them.
            at.forget();
        }
        let vouched = self.vouched(&heads).await?;
        if vouched < heads.len() {
            run.truncate(vouched);
            let last = heads.get(vouched.saturating_sub(1));
            at = last.map_or_else(|| ground.clone(), |last| Ground::new(last.height + 1, Some(last.hash.clone())));
            self.fetcher.clear();
        }
        *ground = at;
        Ok(run)
    }

    fn is_hole(&self, e: &NodeError) -> bool {
        match e.class() {
            Class::NoBlock => true,
            // Alone, `null` shows nothing: hashes must.
            Class::Empty => !self.family.lacks_a_part(e),
            Class::Missing | Class::Failing => false,
        }
    }

    /// The end of a range: the block held above stands on it, and heights without a block at its end are shown to have none.
    async fn check_end(&self, at: &Ground, to: u64) -> Result<(), Trouble> {
        let above = to.checked_add(1).and_then(|height| self.held(height));
        if let (Some(above), Some(below)) = (above, &at.below) {
            return if above.parent_hash == *below { Ok(()) } else { Err(Trouble::Held { height: above.height }) };
        }
        if at.height() == at.next || at.is_said() {
            return Ok(());
        }
        let lacking = Trouble::Chain(Problem::Lacking { from: at.next, to });
        for height in to + 1..=to.saturating_add(limits::HEIGHTS_WITHOUT_BLOCK) {
            match self.node.header(height).await {
                Ok(head) if Some(&head.parent) == at.below.as_ref() => return Ok(()),
                Ok(_) => return Err(lacking),
                Err(e) if self.is_hole(&e) => {}
                Err(e) => return Err(Trouble::Node(height, e)),
            }
        }
        Err(lacking)
    }

    /// Hash of the highest block below a height, as nodes have it.
    async fn block_below(&self, height: u64) -> Option<schemas::BlockHash> {
        for height in (height.saturating_sub(limits::HEIGHTS_WITHOUT_BLOCK)..height).rev() {
            match self.node.header(height).await {
                Ok(head) => return Some(head.hash),
                Err(e) if self.is_hole(&e) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// How many of these linked blocks, lowest first, another operator vouches for.
    async fn vouched(&self, run: &[Head]) -> Result<usize, Trouble> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(0) };
        let mut about = last;
        let mut word = self.word(last).await;
        if word == Word::Silent && run.len() > 1 {
            about = first;
            word = self.word(first).await;
        }
        match word {
            Word::Alone | Word::Agrees if about == last => Ok(run.len()),
            Word::Alone | Word::Agrees => Ok(1),
            Word::Silent => Err(Trouble::Unconfirmed { height: first.height }),
            Word::Contradicts { by, says } => Err(Trouble::Contradicted { head: about.clone(), by, says }),
        }
    }

    async fn word(&self, head: &Head) -> Word {
        let word = self.node.second_word(head);
        tokio::time::timeout(self.confirm_within + GRACE, word).await.unwrap_or(Word::Silent)
    }
}

/// Failures in a row, and the waits after them.
struct Tries {
    waits: backon::ExponentialBackoff,
    least: Duration,
    most: Duration,
    failed: u32,
}

impl Tries {
    fn new(backoff: (Duration, Duration)) -> Self {
        Self { waits: waits(backoff), least: backoff.0, most: backoff.1, failed: 0 }
    }

    fn next(&mut self, trouble: &Trouble) -> Duration {
        self.failed += 1;
        let asked = match trouble {
            Trouble::Node(_, e) | Trouble::NoFinality(e) => e.asked_wait(),
            _ => None,
        };
        match asked {
            Some(asked) => asked.max(self.least),
            None => self.waits.next().unwrap_or(self.most),
        }
    }
}

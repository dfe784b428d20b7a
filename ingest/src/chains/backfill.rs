//! Heights that operators ask for, filled beside the stream (rule 5).
//!
//! Guarantee: filled blocks take the next numbers of the network's one counter, with `origin` backfill, and touch neither tip nor ring.
//! They are published only while the network stands at its head and no reorg is under way, one at a time, and never before a live
//! block that is there; at most [`limits::INGEST_FILL_QUEUE`] of them wait for the log before it, and
//! readers have little of them before them ([`Readers`]). What is held and how far each request
//! is stands in the checkpoint of the same transaction, so that a kill, a restart or another process goes on at the next height. One
//! request runs at a time, in order; one that waits for what only an operator can bring lets the others go first. What is asked takes
//! effect at once, whatever the watcher waits for.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use schemas::{
    Op, Origin, TimeMs, limits,
    records::{HeldRange, RequestState},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    family::Family,
    fetcher::{Fetcher, FillPlaces},
    filler::{Brought, Filler, Piece},
    publish::refused,
    watcher::{SYNCING_BLOCKS, Stop, Watcher, link_of_block},
};
use crate::{
    fill::{
        book::{Book, Filled, Job},
        ranges,
    },
    metrics,
    readers::Readers,
    records::Circumstances,
    tracker::{Need, Tracker},
    unit::Unit,
};

/// The back-fill of one network.
pub(super) struct Filling<B> {
    /// Requests and what is held.
    pub book: Book,
    places: FillPlaces,
    readers: Option<Readers>,
    parallelism: usize,
    working: Option<Working<B>>,
    /// Heights that are done and not yet published.
    ready: VecDeque<Piece<B>>,
    queue: Arc<Semaphore>,
    /// Requests that are not tried before a time.
    resting: HashMap<String, Instant>,
}

struct Working<B> {
    job: Job,
    brought: mpsc::Receiver<Brought<B>>,
    _task: AbortOnDropHandle<()>,
}

/// What there is to do.
pub(super) enum Ready<B> {
    /// Heights to be published.
    Piece(Piece<B>, OwnedSemaphorePermit),
    /// The filler's word; `None`: it has gone.
    Said(Option<Brought<B>>),
}

impl<B> Filling<B> {
    /// Of what a checkpoint keeps.
    pub fn new(book: Book, parallelism: usize, places: FillPlaces, readers: Option<Readers>) -> Self {
        let queue = Arc::new(Semaphore::new(limits::INGEST_FILL_QUEUE));
        let (working, ready, resting) = Default::default();
        Self { book, places, readers, parallelism, working, ready, queue, resting }
    }

    /// The next thing to do; never, while nothing is carried out. Cancel-safe.
    pub async fn ready(&mut self) -> Ready<B> {
        if !self.ready.is_empty()
            && let Ok(place) = self.queue.clone().acquire_owned().await
            && let Some(piece) = self.ready.pop_front()
        {
            return Ready::Piece(piece, place);
        }
        match &mut self.working {
            Some(working) => Ready::Said(working.brought.recv().await),
            None => std::future::pending().await,
        }
    }

    fn stop(&mut self) {
        self.working = None;
        self.ready.clear();
    }
}

impl<F: Family> Watcher<F> {
    /// Whether filled blocks may be published now: the stream has nothing to do but to wait.
    pub(super) fn may_fill(&self, tracker: &Tracker) -> bool {
        let near = match tracker.need() {
            Need::Head => true,
            Need::Blocks { from, to } => to.saturating_sub(from) < SYNCING_BLOCKS,
            Need::Header(_) | Need::Branch(_) | Need::Refused(_) => false,
        };
        near && tracker.position().reorg_remaining == 0 && tracker.position().tip.is_some()
    }

    /// Takes over what is asked, and begins the next request where none is carried out.
    pub(super) async fn tend(&mut self, tracker: &mut Tracker) -> Result<(), Stop> {
        let wishes = self.requests.borrow_and_update().clone();
        let now = TimeMs::now();
        let mut news = self.filling.book.heed(&wishes, now);
        if let Some(working) = &self.filling.working {
            let id = &working.job.id;
            let goes_on = self.filling.book.get(id).is_some_and(|r| {
                matches!(r.state, RequestState::Queued | RequestState::Running | RequestState::Waiting)
            });
            if !goes_on || wishes.unreadable.is_some() {
                self.filling.stop();
            }
        }
        if self.filling.working.is_none() {
            let (live, at) = (live(tracker), Instant::now());
            self.filling.resting.retain(|_, until| *until > at);
            let resting = &self.filling.resting;
            if let Some(job) = self.filling.book.job(&wishes, live, |id| resting.contains_key(id)) {
                news |= self.begin(job, tracker, now);
            }
        }
        if news {
            self.send_book(tracker).await?;
        }
        Ok(())
    }

    /// Begins a request. True when there is something new to say of it.
    fn begin(&mut self, job: Job, tracker: &Tracker, now: TimeMs) -> bool {
        let id = job.id.clone();
        if job.plan.is_empty() && job.heights.from <= job.heights.to {
            tracing::info!(network = %self.network.slug, id, "all heights of the request are held");
            self.filling.book.finished(&id, now);
            return true;
        }
        // What is final and not yet published comes live.
        let to_come = tracker.position().tip.as_ref().is_none_or(|(tip, _)| job.heights.to > *tip)
            && self.finality.finalized.is_some_and(|finalized| job.heights.to <= finalized);
        if to_come || !self.may_fill(tracker) {
            let why = "live blocks come first: it begins when the network stands at its head";
            return self.filling.book.says(&id, RequestState::Waiting, Some(why.into()), now);
        }
        if let Some(first) = job.plan.first()
            && self.filling.book.is_full(HeldRange { to: first.from, ..*first })
        {
            self.filling.resting.insert(id.clone(), Instant::now() + self.seldom);
            let why = format!(
                "{} separate ranges of heights are held, which is as many as there may be: fill the gaps between them first",
                limits::HELD_RANGES
            );
            return self.filling.book.says(&id, RequestState::Waiting, Some(why), now);
        }
        let left = ranges::heights(&job.plan);
        metrics::backfill_left(&self.network.slug, &id, left);
        tracing::info!(network = %self.network.slug, id, from = job.heights.from, to = job.heights.to, left, "back-fill");
        let (out, brought) = mpsc::channel(1);
        let position = tracker.position();
        let tip = position.tip.as_ref().map_or(0, |(height, _)| *height);
        let settled = position.highest.unwrap_or(0).saturating_sub(limits::REORG_LIMIT_BLOCKS).min(tip);
        let filler = Filler {
            network: self.network.slug.clone(),
            past: self.past.clone(),
            family: self.family.clone(),
            node: self.node.clone(),
            fetcher: Fetcher::of_history(self.node.clone(), self.filling.parallelism, self.filling.places.clone()),
            job: job.clone(),
            finalized: if self.traits.instant_finality { Some(tip) } else { self.finality.finalized },
            tip,
            settled,
            ring: tracker.ring().cloned().collect(),
            confirm_within: self.network.confirm_within,
            backoff: self.backoff,
            readers: self.filling.readers.clone(),
            out,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(filler.run()));
        self.filling.working = Some(Working { job, brought, _task: task });
        self.filling.book.says(&id, RequestState::Running, None, now)
    }

    /// Publishes what is ready, or takes over what the filler says.
    pub(super) async fn take_ready(&mut self, ready: Ready<F::Block>, tracker: &mut Tracker) -> Result<(), Stop> {
        let now = TimeMs::now();
        let Some(job) = self.filling.working.as_ref().map(|w| w.job.clone()) else { return Ok(()) };
        let (network, id) = (self.network.slug.clone(), &job.id);
        let news = match ready {
            Ready::Piece(piece, place) => return self.publish_filled(&job, piece, place, tracker).await,
            Ready::Said(Some(Brought::Run(run))) => {
                self.filling.ready.extend(run);
                false
            }
            Ready::Said(Some(Brought::Waits(why))) => self.filling.book.says(id, RequestState::Waiting, Some(why), now),
            Ready::Said(Some(Brought::Rests(why))) => {
                tracing::warn!(%network, id, why, "back-fill waits");
                self.filling.stop();
                self.filling.resting.insert(id.clone(), Instant::now() + self.seldom);
                self.filling.book.says(id, RequestState::Waiting, Some(why), now)
            }
            Ready::Said(Some(Brought::Refused(why))) => {
                tracing::warn!(%network, id, why, "back-fill is refused");
                self.filling.stop();
                self.filling.book.says(id, RequestState::Failed, Some(why), now)
            }
            Ready::Said(Some(Brought::Done)) => {
                tracing::info!(%network, id, "back-fill is done");
                self.filling.stop();
                metrics::backfill_left(&network, id, 0);
                self.filling.book.finished(id, now);
                true
            }
            // Ended from outside: it begins again.
            Ready::Said(None) => {
                self.filling.stop();
                self.filling.resting.insert(id.clone(), Instant::now() + Duration::from_secs(1));
                false
            }
        };
        if news {
            self.send_book(tracker).await?;
        }
        // The next may begin.
        if self.filling.working.is_none() {
            self.requests.mark_changed();
        }
        Ok(())
    }

    async fn publish_filled(
        &mut self,
        job: &Job,
        piece: Piece<F::Block>,
        place: OwnedSemaphorePermit,
        tracker: &mut Tracker,
    ) -> Result<(), Stop> {
        let (live, finality, now) = (live(tracker), self.said_finality, TimeMs::now());
        let Some(fetched) = piece.block else {
            self.filling.book.filled(job, &Filled { heights: piece.heights, block: None, live }, now);
            return self.send_book(tracker).await;
        };
        let after = tracker.filled();
        let entry = self.entry(&link_of_block(&fetched), after.sequence);
        let block = Some((entry.block_hash.clone(), entry.tx_count));
        self.filling.book.filled(job, &Filled { heights: piece.heights, block, live }, now);
        let c = Circumstances { observed_at: fetched.observed_at, finality, origin: Origin::Backfill };
        let records = self.family.apply(&self.scribe, &entry, &after, fetched.block, c).map_err(refused)?;
        let over = self.filling.book.get(&job.id).is_none_or(|r| r.state.is_over());
        let unit = Unit {
            records,
            checkpoint: self.checkpoint(&after, finality),
            ring: None,
            op: Some(Op::Apply.as_str()),
            transactions: entry.tx_count,
            more: !over,
            place: Some(place),
        };
        self.outlet.send(unit).await?;
        metrics::backfilled(&self.network.slug, piece.heights.to - piece.heights.from + 1, entry.tx_count);
        if self.filling.ready.is_empty() {
            let left = self.filling.book.left(job, live);
            metrics::backfill_left(&self.network.slug, &job.id, left);
        }
        Ok(())
    }

    /// Keeps in the checkpoint how requests stand, and nothing else.
    async fn send_book(&mut self, tracker: &Tracker) -> Result<(), Stop> {
        let checkpoint = self.checkpoint(tracker.position(), self.said_finality);
        Ok(self.outlet.send(Unit::of(checkpoint)).await?)
    }

    /// Waits for so long; back-fill goes on meanwhile, and what is asked takes effect.
    pub(super) async fn idle(&mut self, wait: Duration, tracker: &mut Tracker) -> Result<(), Stop> {
        let until = Instant::now() + wait;
        loop {
            let may_fill = self.may_fill(tracker);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => return Ok(()),
                Ok(()) = self.requests.changed() => self.tend(tracker).await?,
                ready = self.filling.ready(), if may_fill => self.take_ready(ready, tracker).await?,
            }
        }
    }

    /// When a request that rests is to be tried again.
    pub(super) fn next_try(&self) -> Option<Instant> {
        self.filling.resting.values().min().copied()
    }
}

/// The live heights that are held.
fn live(tracker: &Tracker) -> Option<HeldRange> {
    let position = tracker.position();
    let (from, (to, _)) = (position.first?, position.tip.as_ref()?);
    (from <= *to).then_some(HeldRange { from, to: *to })
}

//! The watcher of a network, whatever its family: asks the source for what the tracker needs, hands events to the publisher.
//!
//! Guarantee: nothing is concluded from a head but that it is worth asking; blocks are fetched by height with all that belongs to
//! them, and are checked before the tracker sees them. Any trouble with the source is a state of this network with a message that
//! says what is wrong and what to do; it is asked again, soon or seldom. What only an operator can mend for good (wrong chain, a
//! reorg that is too deep) is left by itself all the same when the source is right again. Nothing is published that operators
//! contradict each other about (`confirm`).

use std::{sync::Arc, time::Duration};

use backon::BackoffBuilder;
use nodes::{ChainSource, Finality, Head, SourceBlock};
use runtime::control::Wishes;
use schemas::{
    limits,
    records::{NetworkState, NetworkStatus},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    backfill::Filling,
    confirm::Said,
    family::{Family, Traits},
    fetcher::{Fetched, Fetcher, FillPlaces, Places},
    finality::{Told, told_later},
};
use crate::{
    config::{Config, NetworkConfig, Start},
    fill::book::Book,
    metrics,
    past::Keeper,
    readers::Readers,
    records::Scribe,
    state::Stored,
    tracker::{Action, Link, Need, Tracker},
    unit::{Gone, Outlet},
};

/// Behind the head by this many blocks is catching up.
pub(super) const SYNCING_BLOCKS: u64 = 3;

/// Why a watcher stops for good.
pub(super) enum Stop {
    /// Cancelled, or the publisher has gone.
    Ended,
    /// Only an operator can mend it.
    State(NetworkState, String),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Ended
    }
}

/// What a watcher works with besides its chain.
pub struct Seat {
    /// The stage's configuration.
    pub config: Config,
    /// Where the network stands.
    pub stored: Stored,
    /// Writes records of the network's partition.
    pub scribe: Scribe,
    /// To the partition's publisher.
    pub outlet: Outlet,
    /// Fetches ahead, shared by all networks.
    pub places: Places,
    /// The same for back-fill.
    pub fill_places: FillPlaces,
    /// Who reads what is written; `None`: nobody that back-fill waits for.
    pub readers: Option<Readers>,
    /// Where it says how it is.
    pub status: watch::Sender<NetworkStatus>,
    /// What operators ask of the network.
    pub requests: watch::Receiver<Wishes>,
}

/// The watcher of one network.
pub struct Watcher<F: Family> {
    pub(super) network: NetworkConfig,
    pub(super) family: Arc<F>,
    pub(super) traits: Traits,
    pub(super) node: Arc<dyn ChainSource<Block = F::Block>>,
    pub(super) stored: Stored,
    pub(super) scribe: Scribe,
    pub(super) outlet: Outlet,
    pub(super) status: watch::Sender<NetworkStatus>,
    pub(super) fetcher: Fetcher<F::Block>,
    pub(super) backoff: (Duration, Duration),
    pub(super) waits: backon::ExponentialBackoff,
    pub(super) empties: u32,
    pub(super) seldom: Duration,
    pub(super) finality_every: Duration,
    pub(super) finality: Finality,
    pub(super) said_finality: Finality,
    pub(super) said_finality_at: tokio::time::Instant,
    pub(super) said_too_deep: bool,
    /// Whether it is certain that the chain that is too deep is the network's: nobody else is to be asked, or others have it.
    pub(super) judged: bool,
    /// Whether others have a chain too that leaves the held one below the finalized height.
    pub(super) overruled: bool,
    pub(super) said: Said,
    /// Why the source's endpoints are of different minds about the chain.
    pub(super) diverged: Option<String>,
    /// The newest head told: its block may be asked for by hash.
    pub(super) newest: Option<Head>,
    /// The highest that was told, and when.
    pub(super) highest: Option<(Head, tokio::time::Instant)>,
    pub(super) told: watch::Receiver<Told>,
    pub(super) connection: u64,
    pub(super) head_at: tokio::time::Instant,
    /// What operators ask of the network.
    pub(super) requests: watch::Receiver<Wishes>,
    pub(super) filling: Filling<F::Block>,
    /// Who knows blocks that the ring has no more.
    pub(super) past: Keeper,
}

impl<F: Family> Watcher<F> {
    /// A watcher that goes on from what is stored.
    pub fn new(
        network: NetworkConfig,
        family: Arc<F>,
        node: Arc<dyn ChainSource<Block = F::Block>>,
        seat: Seat,
    ) -> Self {
        let Seat { config, stored, scribe, outlet, places, fill_places, readers, status, requests } = seat;
        let finality = stored
            .checkpoint
            .as_ref()
            .map_or_else(Finality::default, |c| Finality { safe: c.safe_height, finalized: c.finalized_height });
        let book = stored.checkpoint.as_ref();
        let book = book.map_or_else(Book::default, |c| Book::new(c.held.clone(), c.requests.clone()));
        let said_too_deep = stored.checkpoint.as_ref().is_some_and(|c| c.reorg_too_deep);
        Self {
            network,
            traits: family.traits(),
            family,
            fetcher: Fetcher::new(node.clone(), config.fetch_parallelism, places),
            node,
            stored,
            scribe,
            outlet,
            status,
            backoff: config.backoff,
            waits: waits(config.backoff),
            empties: 0,
            seldom: config.seldom,
            finality_every: config.finality_every,
            finality,
            said_finality: finality,
            said_finality_at: tokio::time::Instant::now(),
            said_too_deep,
            judged: said_too_deep,
            overruled: false,
            said: Said::default(),
            diverged: None,
            newest: None,
            highest: None,
            told: watch::Sender::default().subscribe(),
            connection: 0,
            head_at: tokio::time::Instant::now(),
            requests,
            filling: Filling::new(book, config.fetch_parallelism, fill_places, readers),
            past: config.past,
        }
    }

    /// Watches until cancelled; what stops the network stays in its status.
    pub async fn run(mut self, cancel: CancellationToken) {
        let stop = tokio::select! {
            () = cancel.cancelled() => return,
            stop = self.watch() => stop,
        };
        match stop {
            Stop::Ended => {}
            Stop::State(state, detail) => {
                tracing::error!(network = %self.network.slug, state = state.as_str(), detail, "the network is stopped");
                self.say(state, Some(detail));
                cancel.cancelled().await;
            }
        }
    }

    async fn watch(&mut self) -> Stop {
        match self.watch_until_stop().await {
            Ok(never) => match never {},
            Err(stop) => stop,
        }
    }

    async fn watch_until_stop(&mut self) -> Result<std::convert::Infallible, Stop> {
        self.check_stored_chain()?;
        self.check_node_chain().await;
        let start = self.start_height().await;
        let position = self.stored.position();
        let ring = std::mem::take(&mut self.stored.ring);
        let mut tracker = Tracker::new(self.network.slug.clone(), start, limits::REORG_LIMIT_BLOCKS, position, ring);
        let mut heads = self.node.heads();
        let (finality_out, finality_in) = watch::channel(Told::default());
        self.told = finality_in;
        let (head_out, head_in) = watch::channel(None);
        let _poller = self.poll_finality(finality_out, head_in);
        loop {
            if heads.has_changed().is_err() {
                heads = self.node.heads();
            }
            self.take_head(&mut heads, &mut tracker).await;
            head_out.send_if_modified(|head| std::mem::replace(head, tracker.known_head()) != tracker.known_head());
            self.finality = told_later(self.finality, *self.told.borrow_and_update());
            tracker.finalize(self.published_final(&tracker).filter(|_| !self.overruled));
            self.say_too_deep(&tracker).await?;
            self.tend(&mut tracker).await?;
            match tracker.need() {
                Need::Refused(why) => self.refused(why, &mut heads, &mut tracker).await?,
                Need::Header(height) => {
                    let outcome = self.node.header(height).await;
                    let above = tracker.above().cloned();
                    if let Some(head) = self.usable_at(height, outcome, &mut tracker).await?
                        && !tracker.header(link_of(&head))
                    {
                        self.unlinked(height, &above.unwrap_or_else(|| link_of(&head))).await;
                    }
                }
                Need::Blocks { from, to } => self.extend(&mut tracker, from, to).await?,
                Need::Branch(heights) => self.switch(&mut tracker, &heights).await?,
                Need::Head => {
                    self.overruled = false;
                    if tracker.settle() || self.finality_is_news() {
                        self.send_finality(&tracker).await?;
                    }
                    self.wait_for_head(&mut heads, &mut tracker).await?;
                }
            }
        }
    }

    /// Fetches and applies a block, or as many as one word of another operator vouches for.
    async fn extend(&mut self, tracker: &mut Tracker, from: u64, to: u64) -> Result<(), Stop> {
        let behind = to.saturating_sub(from);
        if behind >= SYNCING_BLOCKS && self.empties == 0 && self.said.is_quiet() {
            self.say(NetworkState::Syncing, None);
        }
        let gave = self.node.endpoint();
        let told = self.newest.clone().filter(|head| head.height == from);
        let asked = told.clone().filter(|_| self.said.others != Some(false)).map(|head| self.ask_early(head));
        let outcome = loop {
            let may_fill = self.may_fill(tracker);
            let ready = tokio::select! {
                biased;
                outcome = self.fetcher.next(from, to, told.as_ref().map(|head| &head.hash)) => break outcome,
                ready = self.filling.ready(), if may_fill => ready,
            };
            self.take_ready(ready, tracker).await?;
        };
        let passed = tracker.passed_heights();
        let Some(first) = self.usable_at(from, outcome, tracker).await? else { return Ok(()) };
        if !tracker.continues(&link_of_block(&first)) {
            // It does not continue the tip: what else is on its way may be of either branch.
            let link = link_of_block(&first);
            tracker.blocks(std::slice::from_ref(&link));
            self.fetcher.clear();
            if passed > 0 {
                self.no_hole(from - passed, &link).await;
            }
            return Ok(());
        }
        let mut fetched = self.run_of(first, to).await;
        let run: Vec<Head> = fetched.iter().map(|fetched| fetched.block.head()).collect();
        fetched.truncate(self.may_publish(&run, asked, &gave, tracker).await?);
        let Some(last) = fetched.last().map(|last| last.block.head()) else { return Ok(()) };
        let links: Vec<Link> = fetched.iter().map(link_of_block).collect();
        let events = tracker.blocks(&links);
        let behind = to.saturating_sub(last.height);
        self.empties = 0;
        if passed > 0 {
            tracing::info!(network = %self.network.slug, from = from - passed, to = from - 1, "the chain has no block there");
            metrics::heights_without_block(&self.network.slug, passed);
        }
        self.publish(tracker, events, fetched, behind > 0).await?;
        if behind < SYNCING_BLOCKS {
            self.say_following();
        }
        Ok(())
    }

    /// Fetches the first blocks of a new branch, then reverts and applies.
    async fn switch(&mut self, tracker: &mut Tracker, heights: &[u64]) -> Result<(), Stop> {
        let (Some(&from), Some(&to)) = (heights.first(), heights.last()) else { return Ok(()) };
        self.fetcher.clear();
        let gave = self.node.endpoint();
        let mut fetched = Vec::with_capacity(heights.len());
        for &height in heights {
            let outcome = self.fetcher.next(height, to, None).await;
            match self.usable_at(height, outcome, tracker).await? {
                Some(block) => fetched.push(block),
                None => return Ok(()),
            }
        }
        let run: Vec<Head> = fetched.iter().map(|fetched| fetched.block.head()).collect();
        let vouched = self.may_publish(&run, None, &gave, tracker).await?;
        if vouched == 0 {
            return Ok(());
        }
        if vouched < run.len() {
            self.said.unconfirmed = Some(self.unconfirmed());
        }
        let links: Vec<Link> = fetched.iter().map(link_of_block).collect();
        let events = tracker.blocks(&links);
        if !events.is_empty() {
            self.empties = 0;
            self.overruled = false;
        }
        let depth = events.iter().filter(|e| matches!(e.action, Action::Revert(_))).count();
        if depth > 0 {
            tracing::warn!(network = %self.network.slug, depth, from, "reorg");
            metrics::reorg(&self.network.slug, depth);
        }
        let more = events.last().is_some_and(|e| e.after.reorg_remaining > 0);
        self.publish(tracker, events, fetched, more).await
    }

    /// The first height when nothing is held (rule 6).
    async fn start_height(&mut self) -> u64 {
        let held = self.stored.checkpoint.as_ref().and_then(|c| c.first_height);
        match (self.network.start, held) {
            (Start::Height(start), Some(first)) => {
                if start < first {
                    tracing::warn!(
                        network = %self.network.slug,
                        "start = {start} is below the first block held ({first}) and changes nothing: a network goes on where it \
                         is. To hold the range too, follow the chain under another slug"
                    );
                }
                first
            }
            (Start::Latest, Some(first)) => first,
            (Start::Height(start), None) => start,
            (Start::Latest, None) => loop {
                match self.node.head().await {
                    Ok(head) => return head.height,
                    Err(error) => {
                        let wait = self.waits.next().unwrap_or(self.backoff.1);
                        self.say(NetworkState::Stalled, Some(format!("{error}; retried")));
                        tokio::time::sleep(wait).await;
                    }
                }
            },
        }
    }
}

pub(super) fn waits((min, max): (Duration, Duration)) -> backon::ExponentialBackoff {
    backon::ExponentialBuilder::new().with_min_delay(min).with_max_delay(max).without_max_times().with_jitter().build()
}

pub(super) fn link_of(head: &Head) -> Link {
    let Head { height, hash, parent, time } = head.clone();
    Link { height, hash, parent, time, tx_count: 0, log_count: 0 }
}

pub(super) fn link_of_block<B: SourceBlock>(fetched: &Fetched<B>) -> Link {
    let block = &fetched.block;
    Link { tx_count: block.tx_count(), log_count: block.log_count(), ..link_of(&block.head()) }
}

//! The watcher of an EVM network: asks the node for what the tracker needs, hands events to the publisher.
//!
//! Guarantee: nothing is concluded from a head but that it is worth asking; blocks are fetched by number with all receipts
//! and checked before the tracker sees them. Any trouble with the node is a state of this network with a message that says
//! what is wrong and what to do; it is asked again, soon or seldom. What only an operator can mend for good (wrong chain, a
//! reorg that is too deep) is left by itself all the same when the node is right again.

mod emit;
mod refusal;
mod trouble;

use std::{sync::Arc, time::Duration};

use backon::BackoffBuilder;
use nodes::evm::{Checks, EvmHead, EvmSource, Finality, HeadView};
use schemas::{
    BlockHash, TimeMs, limits,
    profiles::{self, Profile},
    records::{NetworkState, NetworkStatus},
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::fetcher::{Fetched, Fetcher, Places};
use crate::{
    config::{Config, NetworkConfig, Start, Verify},
    metrics,
    records::Scribe,
    source::Source,
    state::Stored,
    tracker::{Action, Link, Need, Tracker},
    unit::{Gone, Outlet},
};

/// Behind the head by this many blocks is catching up.
const SYNCING_BLOCKS: u64 = 3;

/// The checks of a node's answers.
pub fn checks(network: &NetworkConfig) -> Checks {
    let profile = Profile::of(network.chain_id);
    match network.verify {
        Verify::Profile => Checks::of(&profile),
        Verify::Signatures => Checks::of(&profile).with_senders(),
        Verify::Structure => Checks::structure(&profile),
    }
}

/// A network's status before anything is known.
pub fn status_of(source: &Source) -> NetworkStatus {
    NetworkStatus {
        network: source.network.slug.clone(),
        family: source.network.family,
        state: NetworkState::Starting,
        tip_height: None,
        endpoint: Some(source.node.endpoint()),
        detail: None,
        at: TimeMs::default(),
    }
}

/// Why a watcher stops for good.
enum Stop {
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

/// The watcher of one network.
pub struct Watcher {
    network: NetworkConfig,
    profile: Profile,
    node: Arc<dyn EvmSource>,
    stored: Stored,
    scribe: Scribe,
    outlet: Outlet,
    status: watch::Sender<NetworkStatus>,
    fetcher: Fetcher,
    backoff: (Duration, Duration),
    waits: backon::ExponentialBackoff,
    empties: u32,
    seldom: Duration,
    finality_every: Duration,
    finality: Finality,
    said_finality: Finality,
    said_finality_at: tokio::time::Instant,
    said_too_deep: bool,
    connection: u64,
    head_at: tokio::time::Instant,
}

impl Watcher {
    /// A watcher that goes on from what is stored.
    pub fn new(
        source: Source,
        config: &Config,
        stored: Stored,
        scribe: Scribe,
        outlet: Outlet,
        places: Places,
        status: watch::Sender<NetworkStatus>,
    ) -> Self {
        let profile = Profile::of(source.network.chain_id);
        let finality = stored
            .checkpoint
            .as_ref()
            .map_or_else(Finality::default, |c| Finality { safe: c.safe_height, finalized: c.finalized_height });
        let said_too_deep = stored.checkpoint.as_ref().is_some_and(|c| c.reorg_too_deep);
        Self {
            network: source.network,
            profile,
            fetcher: Fetcher::new(source.node.clone(), config.fetch_parallelism, places),
            node: source.node,
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
            connection: 0,
            head_at: tokio::time::Instant::now(),
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
        let (finality_out, mut finality_in) = watch::channel(self.finality);
        let _poller = self.poll_finality(finality_out);
        loop {
            if heads.has_changed().is_err() {
                heads = self.node.heads();
            }
            self.take_head(&mut heads, &mut tracker).await;
            self.finality = told_later(self.finality, *finality_in.borrow_and_update(), tracker.known_head());
            tracker.finalize(self.published_final(&tracker));
            self.say_too_deep(&tracker).await?;
            match tracker.need() {
                Need::Refused(why) => self.refused(why, &mut heads, &mut tracker).await,
                Need::Header(height) => {
                    let outcome = self.node.header(height).await;
                    let above = tracker.above().unwrap_or(height + 1);
                    if let Some(head) = self.usable_at(height, outcome, &mut tracker).await?
                        && !tracker.header(link_of(&head))
                    {
                        self.unlinked(height, above).await;
                    }
                }
                Need::Blocks { from, to } => self.extend(&mut tracker, from, to).await?,
                Need::Branch(heights) => self.switch(&mut tracker, &heights).await?,
                Need::Head => {
                    if tracker.settle() || self.finality_is_news() {
                        self.send_finality(&tracker).await?;
                    }
                    self.wait_for_head(&mut heads, &mut finality_in, &mut tracker).await?;
                }
            }
        }
    }

    /// Fetches and applies one block.
    async fn extend(&mut self, tracker: &mut Tracker, from: u64, to: u64) -> Result<(), Stop> {
        let behind = to.saturating_sub(from);
        if behind >= SYNCING_BLOCKS && self.empties == 0 {
            self.say(NetworkState::Syncing, None);
        }
        let outcome = self.fetcher.next(from, to).await;
        let passed = tracker.passed_heights();
        let Some(fetched) = self.usable_at(from, outcome, tracker).await? else { return Ok(()) };
        let events = tracker.blocks(&[link_of_block(&fetched)]);
        if events.is_empty() {
            // It does not continue the tip: what else is on its way may be of either branch.
            self.fetcher.clear();
            if passed > 0 {
                self.no_hole(from - passed, from).await;
            }
            return Ok(());
        }
        self.empties = 0;
        if passed > 0 {
            tracing::info!(network = %self.network.slug, from = from - passed, to = from - 1, "the chain has no block there");
            metrics::heights_without_block(&self.network.slug, passed);
        }
        self.publish(tracker, events, vec![fetched], behind > 0).await?;
        if behind < SYNCING_BLOCKS {
            self.say(NetworkState::Live, None);
        }
        Ok(())
    }

    /// Fetches the first blocks of a new branch, then reverts and applies.
    async fn switch(&mut self, tracker: &mut Tracker, heights: &[u64]) -> Result<(), Stop> {
        let (Some(&from), Some(&to)) = (heights.first(), heights.last()) else { return Ok(()) };
        self.fetcher.clear();
        let mut fetched = Vec::with_capacity(heights.len());
        for &height in heights {
            let outcome = self.fetcher.next(height, to).await;
            match self.usable_at(height, outcome, tracker).await? {
                Some(block) => fetched.push(block),
                None => return Ok(()),
            }
        }
        let links: Vec<Link> = fetched.iter().map(link_of_block).collect();
        let events = tracker.blocks(&links);
        if !events.is_empty() {
            self.empties = 0;
        }
        let depth = events.iter().filter(|e| matches!(e.action, Action::Revert(_))).count();
        if depth > 0 {
            tracing::warn!(network = %self.network.slug, depth, from, "reorg");
            metrics::reorg(&self.network.slug, depth);
        }
        let more = events.last().is_some_and(|e| e.after.reorg_remaining > 0);
        self.publish(tracker, events, fetched, more).await
    }

    /// Takes over what the head's follower saw; a new connection may lead to another chain.
    async fn take_head(&mut self, heads: &mut watch::Receiver<HeadView>, tracker: &mut Tracker) {
        if !heads.has_changed().unwrap_or(false) {
            return;
        }
        let view = heads.borrow_and_update().clone();
        if view.connection != self.connection {
            self.connection = view.connection;
            self.check_node_chain().await;
        }
        if let Some(head) = view.head {
            self.saw_head(&head, tracker);
        }
        if let Some(error) = view.error {
            self.say(NetworkState::Stalled, Some(format!("{error}; retried")));
        }
    }

    fn saw_head(&mut self, head: &EvmHead, tracker: &mut Tracker) {
        if tracker.known_head() != Some(head.number) {
            self.head_at = tokio::time::Instant::now();
        }
        tracker.head(head.number, &BlockHash::from(head.hash));
        self.status.send_if_modified(|s| s.tip_height.replace(head.number) != Some(head.number));
    }

    /// Waits until there may be something to do.
    async fn wait_for_head(
        &mut self,
        heads: &mut watch::Receiver<HeadView>,
        finality: &mut watch::Receiver<Finality>,
        tracker: &mut Tracker,
    ) -> Result<(), Stop> {
        if tracker.known_head().is_none() {
            let outcome = self.node.head().await;
            if let Some(head) = self.usable(outcome, tracker).await? {
                self.saw_head(&head, tracker);
            }
            return Ok(());
        }
        let reachable = heads.borrow().error.is_none();
        if reachable {
            self.say_at_head(tracker);
        }
        tokio::select! {
            // Seen, but not yet taken over.
            Ok(()) = heads.changed() => heads.mark_changed(),
            Ok(()) = finality.changed() => {}
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
        }
        Ok(())
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
                    Ok(head) => return head.number,
                    Err(error) => {
                        let wait = self.waits.next().unwrap_or(self.backoff.1);
                        self.say(NetworkState::Stalled, Some(format!("{error}; retried")));
                        tokio::time::sleep(wait).await;
                    }
                }
            },
        }
    }

    /// Asks for safe and final heights at a sensible rate; where the chain has none, once is enough.
    fn poll_finality(&self, out: watch::Sender<Finality>) -> Option<AbortOnDropHandle<()>> {
        if self.profile.finality == profiles::Finality::Instant {
            return None;
        }
        let (node, every) = (self.node.clone(), self.finality_every);
        Some(AbortOnDropHandle::new(tokio::spawn(async move {
            while !out.is_closed() {
                match node.finality().await {
                    Ok(found) => {
                        out.send_if_modified(|f| std::mem::replace(f, found) != found);
                    }
                    Err(error) => tracing::debug!(%error, "no word on finality"),
                }
                tokio::time::sleep(every).await;
            }
        })))
    }
}

/// What is known of finality after `told`. A chain does not take finality back: a lower height, or none, is of a node that is
/// behind; one above the node's own head is a mistake.
fn told_later(known: Finality, told: Finality, head: Option<u64>) -> Finality {
    let possible = |height: &u64| head.is_none_or(|head| *height <= head);
    Finality {
        safe: told.safe.filter(possible).or(known.safe),
        finalized: told.finalized.filter(possible).max(known.finalized),
    }
}

fn waits((min, max): (Duration, Duration)) -> backon::ExponentialBackoff {
    backon::ExponentialBuilder::new().with_min_delay(min).with_max_delay(max).without_max_times().with_jitter().build()
}

fn link_of(head: &EvmHead) -> Link {
    Link {
        height: head.number,
        hash: head.hash.into(),
        parent: head.parent_hash.into(),
        time: head.time,
        tx_count: 0,
        log_count: 0,
    }
}

fn link_of_block(fetched: &Fetched) -> Link {
    let block = &fetched.block;
    Link { tx_count: block.transactions.len() as u32, log_count: block.log_count, ..link_of(&block.head) }
}

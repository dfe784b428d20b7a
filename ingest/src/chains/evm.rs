//! The watcher of an EVM network: asks the node for what the tracker needs, hands events to the publisher.
//!
//! Guarantee: nothing is concluded from a head but that it is worth asking; blocks are fetched by number with all receipts
//! and checked before the tracker sees them. Any trouble with the node is a state of this network with a message that says
//! what is wrong and what to do; it is retried, except where only an operator can mend it (wrong chain, reorg too deep).

use std::{sync::Arc, time::Duration};

use backon::BackoffBuilder;
use nodes::{
    Class, NodeError, NodeErrorKind, Retry,
    evm::{Checks, EvmHead, EvmSource, Finality, HeadView},
};
use schemas::{
    BlockHash, Op, TimeMs, limits,
    profiles::{self, Profile},
    records::{Checkpoint, NetworkState, NetworkStatus, RingEntry},
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::fetcher::{Fetched, Fetcher};
use crate::{
    config::{Config, NetworkConfig, Start, Verify},
    metrics,
    pipeline::Source,
    records::{Circumstances, Scribe},
    state::Stored,
    tracker::{Action, Event, Link, Need, Tracker},
    unit::{Gone, Outlet, Unit},
};

/// Behind the head by this many blocks is catching up.
const SYNCING_BLOCKS: u64 = 3;
/// Answers of "nothing there" to a block that a head announced, before it is called a state.
const EMPTY_PATIENCE: u32 = 20;
/// Without a new head for this many block times (and at least a minute) the node is called stalled.
const STANDSTILL_BLOCKS: u32 = 20;

/// The checks of a node's answers.
pub fn checks(network: &NetworkConfig) -> Checks {
    match network.verify {
        Verify::Profile => Checks::of(&Profile::of(network.chain_id)),
        Verify::Structure => Checks::OFF,
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
        status: watch::Sender<NetworkStatus>,
    ) -> Self {
        let profile = Profile::of(source.network.chain_id);
        let finality = stored
            .checkpoint
            .as_ref()
            .map_or_else(Finality::default, |c| Finality { safe: c.safe_height, finalized: c.finalized_height });
        Self {
            network: source.network,
            profile,
            fetcher: Fetcher::new(source.node.clone(), config.fetch_parallelism),
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
        self.check_node_chain().await?;
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
            self.take_head(&mut heads, &mut tracker).await?;
            self.finality = *finality_in.borrow_and_update();
            match tracker.need() {
                Need::Stopped => return Err(self.too_deep(&tracker).await?),
                Need::Header(height) => {
                    let outcome = self.node.header(height).await;
                    if let Some(head) = self.usable(outcome, &mut tracker).await? {
                        tracker.header(link_of(&head));
                    }
                }
                Need::Blocks { from, to } => self.extend(&mut tracker, from, to).await?,
                Need::Branch { from, to } => self.switch(&mut tracker, from, to).await?,
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
        if behind >= SYNCING_BLOCKS {
            self.say(NetworkState::Syncing, None);
        }
        let outcome = self.fetcher.next(from, to).await;
        let Some(fetched) = self.usable(outcome, tracker).await? else { return Ok(()) };
        let events = tracker.blocks(&[link_of_block(&fetched)]);
        if events.is_empty() {
            // It does not continue the tip: what else is on its way may be of either branch.
            self.fetcher.clear();
        }
        self.publish(tracker, events, vec![fetched], behind > 0).await?;
        if behind < SYNCING_BLOCKS {
            self.say(NetworkState::Live, None);
        }
        Ok(())
    }

    /// Fetches the first blocks of a new branch, then reverts and applies.
    async fn switch(&mut self, tracker: &mut Tracker, from: u64, to: u64) -> Result<(), Stop> {
        self.fetcher.clear();
        let mut fetched = Vec::with_capacity((to - from + 1) as usize);
        for height in from..=to {
            let outcome = self.fetcher.next(height, to).await;
            match self.usable(outcome, tracker).await? {
                Some(block) => fetched.push(block),
                None => return Ok(()),
            }
        }
        let links: Vec<Link> = fetched.iter().map(link_of_block).collect();
        let events = tracker.blocks(&links);
        let depth = events.iter().filter(|e| matches!(e.action, Action::Revert(_))).count();
        if depth > 0 {
            tracing::warn!(network = %self.network.slug, depth, from, "reorg");
            metrics::reorg(&self.network.slug, depth);
        }
        let more = events.last().is_some_and(|e| e.after.reorg_remaining > 0);
        self.publish(tracker, events, fetched, more).await
    }

    /// What may be used of an answer. Trouble becomes a state and a wait; then `None`: look again what is needed.
    async fn usable<T>(&mut self, outcome: Result<T, NodeError>, tracker: &mut Tracker) -> Result<Option<T>, Stop> {
        let error = match outcome {
            Ok(value) => {
                self.empties = 0;
                self.waits = waits(self.backoff);
                return Ok(Some(value));
            }
            Err(e) => e,
        };
        self.fetcher.clear();
        match error.class() {
            Class::Empty => {
                self.empties += 1;
                let receipts = error.call.contains("Receipt");
                if self.empties >= EMPTY_PATIENCE {
                    let (state, detail) = if receipts {
                        (NetworkState::NoReceipts, no_receipts(&error))
                    } else {
                        let detail = format!("{error}, although it announced a head above; is it still syncing?");
                        (NetworkState::Stalled, detail)
                    };
                    self.say(state, Some(detail));
                }
                if !receipts {
                    tracker.absent();
                }
                let wait = Duration::from_millis(20).saturating_mul(1 << self.empties.min(6)).min(self.backoff.1);
                self.rest(wait).await;
            }
            Class::Missing => {
                tracing::error!(network = %self.network.slug, %error, "the node cannot give what is needed");
                self.say(NetworkState::NoReceipts, Some(no_receipts(&error)));
                tokio::time::sleep(self.seldom).await;
            }
            Class::Failing => {
                let wait = match error.retry() {
                    Retry::After(asked) => asked.max(self.backoff.0),
                    Retry::Seldom => self.seldom,
                    Retry::Soon => self.waits.next().unwrap_or(self.backoff.1),
                };
                tracing::warn!(network = %self.network.slug, %error, ?wait, "retrying");
                self.say(NetworkState::Stalled, Some(format!("{error}; retried")));
                tokio::time::sleep(wait).await;
            }
        }
        Ok(None)
    }

    /// A short wait, with jitter.
    async fn rest(&mut self, wait: Duration) {
        let jitter = backon::ExponentialBuilder::new().with_min_delay(wait).with_jitter().build().next();
        tokio::time::sleep(jitter.unwrap_or(wait)).await;
    }

    /// Hands events and their blocks to the publisher, one unit per event.
    async fn publish(
        &mut self,
        tracker: &Tracker,
        events: Vec<Event>,
        fetched: Vec<Fetched>,
        more: bool,
    ) -> Result<(), Stop> {
        let mut blocks = fetched.into_iter();
        let last = events.len().saturating_sub(1);
        for (i, event) in events.into_iter().enumerate() {
            let now = Circumstances { observed_at: TimeMs::now(), finality: self.finality_at(&event) };
            let more = more || i < last;
            let unit = match &event.action {
                Action::Revert(entry) => Unit {
                    records: self.scribe.revert(entry, &event.after, now).map_err(refused)?,
                    checkpoint: self.checkpoint(&event.after, now.finality),
                    ring: None,
                    op: Some(Op::Revert.as_str()),
                    transactions: 0,
                    more,
                },
                Action::Apply(link) => {
                    let Some(Fetched { block, observed_at }) = blocks.next() else { return Ok(()) };
                    let entry = self.entry(link, event.after.sequence);
                    let at = Circumstances { observed_at, ..now };
                    Unit {
                        records: self.scribe.apply(&entry, &event.after, block, at).map_err(refused)?,
                        checkpoint: self.checkpoint(&event.after, now.finality),
                        transactions: entry.tx_count,
                        ring: Some(entry),
                        op: Some(Op::Apply.as_str()),
                        more,
                    }
                }
            };
            self.said_finality = now.finality;
            self.outlet.send(unit).await?;
        }
        let p = tracker.position();
        let height = p.tip.as_ref().map(|(h, _)| *h);
        metrics::position(&self.network.slug, tracker.known_head(), height, p.sequence);
        Ok(())
    }

    /// Finality as published with an event: never above what the event's block is at on chains of instant finality.
    fn finality_at(&self, event: &Event) -> Finality {
        match (self.profile.finality, &event.after.tip) {
            (profiles::Finality::Instant, Some((tip, _))) => Finality { safe: Some(*tip), finalized: Some(*tip) },
            _ => self.finality,
        }
    }

    fn finality_is_news(&self) -> bool {
        self.profile.finality != profiles::Finality::Instant
            && self.finality != self.said_finality
            && self.said_finality_at.elapsed() >= self.finality_every
    }

    /// A finality record between blocks (rule 3).
    async fn send_finality(&mut self, tracker: &Tracker) -> Result<(), Stop> {
        let Some(tip) = tracker.ring().last().cloned() else { return Ok(()) };
        self.said_finality_at = tokio::time::Instant::now();
        self.said_finality = self.finality;
        let c = Circumstances { observed_at: TimeMs::now(), finality: self.finality };
        let unit = Unit {
            records: self.scribe.finality(&tip, tracker.position(), c).map_err(refused)?,
            checkpoint: self.checkpoint(tracker.position(), self.finality),
            ring: None,
            op: None,
            transactions: 0,
            more: false,
        };
        Ok(self.outlet.send(unit).await?)
    }

    fn entry(&self, link: &Link, sequence: u64) -> RingEntry {
        RingEntry {
            network: self.network.slug.clone(),
            height: link.height,
            block_hash: link.hash.clone(),
            parent_hash: link.parent.clone(),
            block_time: link.time,
            sequence,
            tx_count: link.tx_count,
            log_count: link.log_count,
        }
    }

    fn checkpoint(&self, p: &crate::tracker::Position, finality: Finality) -> Checkpoint {
        Checkpoint {
            network: self.network.slug.clone(),
            sequence: p.sequence,
            tip_height: p.tip.as_ref().map(|(height, _)| *height),
            tip_hash: p.tip.as_ref().map(|(_, hash)| hash.clone()),
            first_height: p.first,
            highest_height: p.highest,
            reorg_remaining: p.reorg_remaining,
            safe_height: finality.safe,
            finalized_height: finality.finalized,
            chain_id: self.network.chain_id.to_string(),
            held: self.stored.checkpoint.as_ref().map(|c| c.held.clone()).unwrap_or_default(),
            reorg_too_deep: p.too_deep,
            updated_at: TimeMs::now(),
        }
    }

    /// Writes down that the network stopped (rule 7), and nothing else.
    async fn too_deep(&mut self, tracker: &Tracker) -> Result<Stop, Stop> {
        let already = self.stored.checkpoint.as_ref().is_some_and(|c| c.reorg_too_deep);
        if !already {
            let checkpoint = self.checkpoint(tracker.position(), self.said_finality);
            let unit = Unit { records: Vec::new(), checkpoint, ring: None, op: None, transactions: 0, more: false };
            self.outlet.send(unit).await?;
        }
        let limit = limits::REORG_LIMIT_BLOCKS;
        let detail = format!(
            "the node's chain differs from what is held by more than {limit} blocks; nothing was reverted. When the node is \
             right, let the network go on with `headwater accept-reorg --network {}`",
            self.network.slug
        );
        Ok(Stop::State(NetworkState::ReorgTooDeep, detail))
    }

    /// Takes over what the head's follower saw; a new connection may lead to another chain.
    async fn take_head(&mut self, heads: &mut watch::Receiver<HeadView>, tracker: &mut Tracker) -> Result<(), Stop> {
        if !heads.has_changed().unwrap_or(false) {
            return Ok(());
        }
        let view = heads.borrow_and_update().clone();
        if view.connection != self.connection {
            self.connection = view.connection;
            self.check_node_chain().await?;
        }
        if let Some(head) = view.head {
            self.saw_head(&head, tracker);
        }
        if let Some(error) = view.error {
            self.say(NetworkState::Stalled, Some(format!("{error}; retried")));
        }
        Ok(())
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

    /// At the head: live, unless the chain should have moved long since.
    fn say_at_head(&mut self, tracker: &Tracker) {
        let Some(block_time) = self.profile.block_time_ms.map(Duration::from_millis) else {
            return self.say(NetworkState::Live, None);
        };
        let patience = (block_time * STANDSTILL_BLOCKS).max(Duration::from_secs(60));
        let still = self.head_at.elapsed();
        if still > patience {
            let head = tracker.known_head().unwrap_or_default();
            let detail =
                format!("the node stands at block {head} for {} s; is it in touch with its peers?", still.as_secs());
            self.say(NetworkState::Stalled, Some(detail));
        } else {
            self.say(NetworkState::Live, None);
        }
    }

    fn say(&self, state: NetworkState, detail: Option<String>) {
        let changed = self.status.send_if_modified(|s| {
            let changed = s.state != state || s.detail != detail;
            (s.state, s.detail) = (state, detail);
            changed
        });
        if changed {
            metrics::state(&self.network.slug, state);
        }
    }

    /// A data directory is never continued on another chain.
    fn check_stored_chain(&self) -> Result<(), Stop> {
        let Some(stored) = &self.stored.checkpoint else { return Ok(()) };
        let (held, wanted) = (&stored.chain_id, self.network.chain_id.to_string());
        if *held == wanted {
            return Ok(());
        }
        let detail = format!(
            "network `{}` is held with chain id {held}, the configuration says {wanted}: correct `chain_id`, or give the \
             other chain a slug of its own",
            self.network.slug
        );
        Err(Stop::State(NetworkState::WrongChain, detail))
    }

    /// Asks until the node says its chain id.
    async fn check_node_chain(&mut self) -> Result<(), Stop> {
        loop {
            match self.node.chain_id().await {
                Ok(id) if id == self.network.chain_id => {
                    self.waits = waits(self.backoff);
                    return Ok(());
                }
                Ok(id) => {
                    let (endpoint, wanted) = (self.node.endpoint(), self.network.chain_id);
                    let detail = format!(
                        "endpoint `{endpoint}` is on chain {id}, the configuration says {wanted}: correct its url, or \
                         `chain_id` of network `{}`, and start again",
                        self.network.slug
                    );
                    return Err(Stop::State(NetworkState::WrongChain, detail));
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

    /// The first height when nothing is held (rule 6).
    async fn start_height(&mut self) -> u64 {
        let held = self.stored.checkpoint.as_ref().and_then(|c| c.first_height);
        match (self.network.start, held) {
            (Start::Height(start), Some(first)) => {
                if start < first {
                    tracing::warn!(
                        network = %self.network.slug,
                        "start = {start} is below the first block held ({first}) and changes nothing by itself; to fill the \
                         range: headwater backfill --network {} --from {start} --to {}",
                        self.network.slug,
                        first - 1
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

fn waits((min, max): (Duration, Duration)) -> backon::ExponentialBackoff {
    backon::ExponentialBuilder::new().with_min_delay(min).with_max_delay(max).without_max_times().with_jitter().build()
}

/// A record of ours that the log can never take. It stops the network rather than being skipped.
fn refused(e: schemas::codec::EncodeError) -> Stop {
    Stop::State(NetworkState::Stalled, format!("a block cannot be written: {e}"))
}

fn no_receipts(error: &NodeError) -> String {
    let hint = match &error.kind {
        NodeErrorKind::Missing(nodes::Missing::Pruned, _) => "use an archive node, or a higher `start`",
        _ => "use an endpoint with eth_getBlockReceipts or eth_getTransactionReceipt for these blocks",
    };
    format!("{error}: without receipts nothing is written, since status is read and never inferred; {hint}")
}

fn link_of(head: &EvmHead) -> Link {
    Link {
        height: head.number,
        hash: head.hash.into(),
        parent: head.parent_hash.into(),
        time: TimeMs::from_secs(head.timestamp),
        tx_count: 0,
        log_count: 0,
    }
}

fn link_of_block(fetched: &Fetched) -> Link {
    let block = &fetched.block;
    Link { tx_count: block.transactions.len() as u32, log_count: block.log_count, ..link_of(&block.head) }
}

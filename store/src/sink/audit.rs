//! Rule 18: how whole the sink's networks are, counted from its own tables.
//!
//! Two figures. What is settled, deeper than any reorg, is counted once in buckets of 1,024 heights, kept in `audit_rows`, and again
//! where something changed ([`super::stale`]): readers add those up instead of reading the rows. The newest 1,024 heights are counted
//! once a minute, for Prometheus and [`SinkStatus`].
//!
//! Guarantee: no batch ever waits for it. It is a task of its own, asks one question at a time, and rests nine times as long as each
//! took, so that it takes a tenth of one thread of the store at most. A block whose rows are being written or deleted at that very
//! moment may look incomplete among the newest, so that only what still is at a second look is told. Networks take turns, and a store
//! that does not answer is asked later.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use clickhouse::Row;
use schemas::{
    Network, TimeMs,
    limits::{AUDIT_BUCKET_HEIGHTS, REORG_LIMIT_BLOCKS},
};
use serde::Deserialize;
use tokio::time::sleep;

use super::{
    SinkConfig, SinkStatus,
    insert::insert_audit,
    metrics,
    stale::{VERSION, bucket_of, may_be_counted},
};
use crate::{Store, StoreError, query::RecentCompleteness};

/// Newest heights that are looked at.
pub const RECENT_HEIGHTS: u64 = 1_024;
/// How often it is looked for networks with something to do.
const LOOK: Duration = Duration::from_secs(5);
/// How long after a look that found something missing the second one comes.
const SECOND_LOOK: Duration = Duration::from_secs(2);
/// How often all buckets are compared with those that were counted; between, only the newest and marked ones are.
const WHOLE: Duration = Duration::from_secs(3_600);
/// Buckets of a network that are counted before others have their turn.
const BUCKETS: u64 = 16;
/// Times as long as a question took that is rested after it, and the bounds of that rest.
const REST: (u32, Duration, Duration) = (9, Duration::from_millis(20), Duration::from_secs(30));

/// What is known of a network.
#[derive(Default)]
struct Known {
    /// Sequence at the last look.
    sequence: u64,
    looked: Option<Instant>,
    /// When all buckets were last compared, and where that stands: buckets from here on were.
    compared: Option<Instant>,
    down_to: Option<u64>,
    /// Buckets below this one were settled before, and counted or looked for.
    counted_to: u64,
    /// Whether the last turn left something to count.
    more: bool,
}

/// Counts.
pub(super) struct Auditor {
    store: Store,
    status: SinkStatus,
    /// How often a network has its turn, at most.
    every: Duration,
    known: BTreeMap<Network, Known>,
}

#[derive(Row, Deserialize)]
struct Last {
    height: u64,
}

impl Auditor {
    pub fn new(store: Store, config: &SinkConfig) -> Self {
        Self { store, status: config.status.clone(), every: config.audits, known: BTreeMap::new() }
    }

    /// Counts until it is dropped.
    pub async fn run(mut self) {
        loop {
            sleep(LOOK.min(self.every)).await;
            let mut more = true;
            while more {
                more = false;
                for (network, sequence) in self.status.networks().into_iter().map(|(n, s)| (n, s.sequence)) {
                    match self.turn(&network, sequence).await {
                        Ok(unfinished) => more |= unfinished,
                        Err(error) => {
                            tracing::warn!(%network, %error, "completeness could not be read");
                            sleep(LOOK).await;
                        }
                    }
                }
            }
        }
    }

    /// A network's turn. `true` when there is more to count.
    async fn turn(&mut self, network: &Network, sequence: u64) -> Result<bool, StoreError> {
        let known = self.known.entry(network.clone()).or_default();
        let due = known.looked.is_none_or(|at| at.elapsed() >= self.every) && known.sequence != sequence;
        if due {
            (known.looked, known.sequence) = (Some(Instant::now()), sequence);
            self.recent(network).await?;
        }
        let known = self.known.entry(network.clone()).or_default();
        if due || known.more || known.compared.is_none() { self.settled(network).await } else { Ok(false) }
    }

    /// Looks at the newest heights.
    async fn recent(&self, network: &Network) -> Result<(), StoreError> {
        let mut recent = self.newest(network).await?;
        if recent.incomplete_blocks > 0 {
            sleep(SECOND_LOOK).await;
            let second = self.newest(network).await?;
            if second.incomplete_blocks < recent.incomplete_blocks {
                recent = second;
            }
        }
        metrics::completeness(network.as_str(), &recent);
        if recent.incomplete_blocks > 0 {
            tracing::warn!(
                %network,
                blocks = recent.incomplete_blocks,
                expected = recent.transactions_expected,
                stored = recent.transactions_stored,
                "recent blocks are incomplete: see the view `completeness`, and dead.letters for the cause"
            );
        }
        self.status.completeness(network, recent);
        Ok(())
    }

    async fn newest(&self, network: &Network) -> Result<RecentCompleteness, StoreError> {
        rested(self.store.recent_completeness(network, RECENT_HEIGHTS)).await
    }

    /// Counts some buckets that are settled and were not counted, or changed since. `true` when there are more.
    async fn settled(&mut self, network: &Network) -> Result<bool, StoreError> {
        let Some(end) = rested(settled_end(&self.store, network)).await? else { return Ok(false) };
        let known = self.known.entry(network.clone()).or_default();
        // What was settled once stays settled, also while older heights are filled.
        let end = end.max(known.counted_to);
        // Oldest last: readers want the newest first, and an old store is filled up in its own time.
        let whole = known.compared.is_none_or(|at| at.elapsed() >= WHOLE);
        if whole {
            (known.compared, known.down_to, known.counted_to) = (Some(Instant::now()), Some(end), end);
        }
        let mut buckets = Vec::new();
        if known.counted_to < end {
            buckets.extend((known.counted_to..end).step_by(AUDIT_BUCKET_HEIGHTS as usize).take(BUCKETS as usize));
        }
        let (counted_to, down_to) = (known.counted_to, known.down_to);
        buckets.extend(rested(marked(&self.store, network)).await?);
        let down = match down_to {
            Some(below) => rested(uncounted(&self.store, network, below)).await?,
            None => Vec::new(),
        };
        let down_to = (down.len() as u64 >= BUCKETS).then(|| down.last().copied()).flatten();
        buckets.extend(&down);
        let more = buckets.len() as u64 >= BUCKETS;
        for bucket in &buckets {
            rested(self.count(network, *bucket)).await?;
        }
        let known = self.known.entry(network.clone()).or_default();
        let counted = buckets.iter().filter(|b| (counted_to..end).contains(b)).max();
        known.counted_to = counted.map_or(counted_to, |b| b + AUDIT_BUCKET_HEIGHTS).max(counted_to);
        (known.down_to, known.more) = (down_to, more);
        Ok(more)
    }

    /// Counts a bucket. Its version is taken before it is read, so that a mark that comes meanwhile is newer.
    async fn count(&self, network: &Network, bucket: u64) -> Result<(), StoreError> {
        let sql = format!("SELECT {VERSION} AS version");
        let version = self.store.read(&sql).param("network", network.as_str()).param("buckets", [bucket].as_slice());
        let version = self.store.within("reading the store's clock", version.fetch_one::<u64>()).await?;
        let counted = self.store.audit_bucket(network, bucket).await?;
        let now = TimeMs::now();
        insert_audit(&self.store, |rows| rows.push(network.as_str(), bucket, version, &counted, now)).await
    }
}

/// Asks, and rests in proportion.
async fn rested<T>(question: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let started = Instant::now();
    let answer = question.await;
    sleep((started.elapsed() * REST.0).clamp(REST.1, REST.2)).await;
    answer
}

/// The end of the buckets that may be counted: the first that may not. By the last event, whose rows and all before it are on disk.
async fn settled_end(store: &Store, network: &Network) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT height FROM block_event_rows WHERE network = {network:String} ORDER BY sequence DESC LIMIT 1";
    let last = store.read(sql).param("network", network.as_str()).fetch_optional::<Last>();
    let Some(Last { height }) = store.within("reading the last event", last).await? else { return Ok(None) };
    let mut end = bucket_of(height.saturating_sub(REORG_LIMIT_BLOCKS));
    while end > 0 && !may_be_counted(end - 1, height) {
        end -= AUDIT_BUCKET_HEIGHTS.min(end);
    }
    Ok(Some(end))
}

/// Buckets that are marked.
async fn marked(store: &Store, network: &Network) -> Result<Vec<u64>, StoreError> {
    let sql = "SELECT from_height FROM audit_rows FINAL WHERE network = {network:String} AND stale = 1 \
               ORDER BY from_height DESC LIMIT {limit:UInt64}";
    let rows = store.read(sql).param("network", network.as_str()).param("limit", BUCKETS);
    store.within("reading marked counts", rows.fetch_all::<u64>()).await
}

/// Buckets below a height that hold blocks and were never counted, newest first.
async fn uncounted(store: &Store, network: &Network, below: u64) -> Result<Vec<u64>, StoreError> {
    let sql = "SELECT DISTINCT intDiv(height, {heights:UInt64}) * {heights:UInt64} AS bucket FROM block_rows \
               WHERE network = {network:String} AND height < {below:UInt64} AND bucket NOT IN \
               (SELECT from_height FROM audit_rows WHERE network = {network:String} AND from_height < {below:UInt64}) \
               ORDER BY bucket DESC LIMIT {limit:UInt64} SETTINGS max_threads = 1";
    let rows = store
        .read(sql)
        .param("network", network.as_str())
        .param("heights", AUDIT_BUCKET_HEIGHTS)
        .param("below", below)
        .param("limit", BUCKETS);
    store.within("looking for heights that were not counted", rows.fetch_all::<u64>()).await
}

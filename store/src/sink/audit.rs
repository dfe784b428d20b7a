//! Rule 18: how whole the sink's networks are, counted from its own tables.
//!
//! Two figures. What lies a little below the tip is counted once in buckets of 1,024 heights, kept in `audit_rows`, and again
//! where something changed ([`super::stale`]): readers add those up instead of reading the rows, of which only the open end is left. The newest 1,024 heights are counted
//! for Prometheus and [`SinkStatus`], what was written of them once a minute ([`super::recent`]).
//!
//! What the sink itself knows is not asked for: a network that stands still costs nothing, one that gets on one statement a minute, and
//! one more where settled heights were written. Now and then everything is looked at ([`NET`]), since others may have changed it.
//!
//! Guarantee: no batch ever waits for it. It is a task of its own, asks one question at a time, and rests nine times as long as each
//! took, so that it takes a tenth of one thread of the store at most. A block whose rows are being written or deleted at that very
//! moment may look incomplete among the newest, so that only what still is at a second look is told. Networks take turns, and a store
//! that does not answer is asked later.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use schemas::{
    Network, TimeMs,
    limits::{AUDIT_BUCKET_HEIGHTS, AUDIT_OPEN_BLOCKS},
};
use tokio::time::sleep;

use super::{
    NetworkStatus, SinkConfig, SinkStatus,
    insert::insert_audit,
    metrics,
    recent::Recent,
    stale::{VERSION, bucket_of, may_be_counted},
};
use crate::{Store, StoreError};

/// How often it is looked for networks with something to do.
const LOOK: Duration = Duration::from_secs(5);
/// How long after a look that found something missing the second one comes.
const SECOND_LOOK: Duration = Duration::from_secs(2);
/// How often all buckets are compared with those that were counted; between, only the newest and marked ones are.
const WHOLE: Duration = Duration::from_secs(3_600);
/// Turns of a network after which what it is not known to have changed is looked at all the same.
const NET: u32 = 10;
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
    /// Turns since everything was looked at.
    turns: u32,
    recent: Recent,
    /// A settled height was written since marks were last read.
    marked: bool,
    /// When all buckets were last compared, and where that stands: buckets from here on were.
    compared: Option<Instant>,
    down_to: Option<u64>,
    /// The highest height that it ever had.
    top: Option<u64>,
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
                for (network, status) in self.status.networks() {
                    match self.turn(&network, &status).await {
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
    async fn turn(&mut self, network: &Network, status: &NetworkStatus) -> Result<bool, StoreError> {
        let known = self.known.entry(network.clone()).or_default();
        let sequence = status.sequence;
        let due = known.looked.is_none_or(|at| at.elapsed() >= self.every) && known.sequence != sequence;
        if due {
            (known.looked, known.sequence) = (Some(Instant::now()), sequence);
            self.recent(network).await?;
        }
        let known = self.known.entry(network.clone()).or_default();
        match due || known.more || known.compared.is_none() {
            true => self.settled(network, status.height).await,
            false => Ok(false),
        }
    }

    /// Looks at the newest heights.
    async fn recent(&mut self, network: &Network) -> Result<(), StoreError> {
        let written = self.status.written().take(network);
        let known = self.known.entry(network.clone()).or_default();
        let whole = known.turns == 0;
        if written.is_none() && !whole && known.recent.is_counted() {
            return Ok(()); // it was taken with the last look
        }
        known.turns = (known.turns + 1) % NET;
        known.marked |= whole || written.is_none_or(|heights| heights.low < known.counted_to);
        // Where this fails, everything is looked at the next time.
        let mut kept = std::mem::take(&mut known.recent);
        let look = written.filter(|_| !whole);
        let mut recent = rested(kept.look(&self.store, network, look)).await?;
        // What was in doubt before may be whole by now.
        if let Some(doubt) = kept.in_doubt() {
            sleep(SECOND_LOOK).await;
            recent = rested(kept.look(&self.store, network, Some(doubt))).await?;
        }
        self.known.entry(network.clone()).or_default().recent = kept;
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

    /// Counts some buckets that are settled and were not counted, or changed since. `true` when there are more.
    async fn settled(&mut self, network: &Network, last: Option<u64>) -> Result<bool, StoreError> {
        let known = self.known.entry(network.clone()).or_default();
        // The last event may be of a back-fill, far below.
        let top = match known.top {
            Some(top) => Some(top),
            None => rested(self.store.height_bounds(network.as_str())).await?.map(|(_, high)| high),
        };
        let known = self.known.entry(network.clone()).or_default();
        known.top = top.max(last);
        let Some(end) = known.top.map(settled_end) else { return Ok(false) };
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
        if known.marked || known.more || whole {
            known.marked = false;
            let marked = rested(marked(&self.store, network, end)).await;
            self.known.entry(network.clone()).or_default().marked = marked.is_err();
            buckets.extend(marked?);
        }
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

/// The end of the buckets that may be counted, by the highest height: the first that may not.
fn settled_end(height: u64) -> u64 {
    let mut end = bucket_of(height.saturating_sub(AUDIT_OPEN_BLOCKS));
    while end > 0 && !may_be_counted(end - 1, height) {
        end -= AUDIT_BUCKET_HEIGHTS.min(end);
    }
    end
}

/// Buckets below a height that are marked.
async fn marked(store: &Store, network: &Network, below: u64) -> Result<Vec<u64>, StoreError> {
    let sql = "SELECT from_height FROM audit_rows FINAL WHERE network = {network:String} AND stale = 1 \
               AND from_height < {below:UInt64} ORDER BY from_height DESC LIMIT {limit:UInt64}";
    let rows = store.read(sql).param("network", network.as_str()).param("below", below).param("limit", BUCKETS);
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

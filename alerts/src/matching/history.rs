//! Blocks that windows still need, read back from the log: after a partition was taken over, and where a rule wants a longer window than
//! any before, once in [`EVERY`] of each network.
//!
//! Guarantee: exactly the events up to where the group stands. What retention has removed makes windows incomplete, as the beginning of
//! following a chain does. A [`Reading`] is a task of its own, which ends with whoever holds it; so many read at the same time at most
//! ([`AT_ONCE`]). For a longer window the group goes on meanwhile, and only the last [`NEAR`] records are read while it waits; where there are
//! no windows yet the network's partition stands, since an event that nobody looked at is one of which nothing is ever said; all others go on.

use std::{ops::Range, sync::Arc, time::Duration};

use conditions::Change;
use runtime::log::{Log, LogError, LogErrorKind, PollLimits, Polled, Record, TopicPartition, fold_between};
use schemas::{Codec, Network, TimeMs, headers::ChainHeaders, records::EnrichedBlock, topics};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::figures::Figures;

/// Windows of a network are read back so often at most, where only a longer one is wanted.
pub const EVERY: Duration = Duration::from_secs(600);
/// Readings of one member at the same time: over Kafka each is a consumer of its own, and each reads the whole partition.
pub const AT_ONCE: usize = 2;
/// Records behind what was read back that the group itself waits for.
pub const NEAR: u64 = 1_000;
/// What is read back as fast is waited for, so that the next event is looked at as it comes.
pub const BRIEFLY: Duration = Duration::from_millis(300);
/// How far beyond the longest window the log is read back, by the times at which records were written: a block is written after its time,
/// and its chain's clock may be ahead of ours.
const MARGIN_MS: i64 = 600_000;
/// Records that are read back at first; four times as many each time that they are not old enough.
const FIRST: u64 = 4_000;
/// How much one poll brings, and how long it waits.
const POLL: PollLimits = PollLimits { records: 1_000, bytes: 4 << 20, wait: Duration::from_millis(300) };

/// Windows of a network that are being read back.
pub struct Reading {
    task: AbortOnDropHandle<Result<Figures, LogError>>,
    to: u64,
    longest_ms: i64,
    is_new: bool,
}

impl Reading {
    /// Begins to bring a network's windows to where they are below an offset of its partition; `from`: they are there below this one already.
    pub fn begin(
        (log, codec, readings): (&Arc<dyn Log>, &Arc<Codec>, &Arc<Semaphore>),
        (partition, from, to): (u32, Option<u64>, u64),
        network: &Network,
        mut figures: Figures,
    ) -> Self {
        let (log, codec, network) = (log.clone(), codec.clone(), network.clone());
        let readings = readings.clone();
        let (is_new, longest_ms) = (from.is_none(), figures.longest_ms());
        let task = tokio::spawn(async move {
            // Never closed.
            let _turn = readings.acquire_owned().await.ok();
            let at = TopicPartition { topic: topics::ENRICHED_BLOCKS.name, partition };
            let from = match from {
                Some(from) => from,
                None => start(&*log, at, to, figures.longest_ms()).await?,
            };
            read_between(&*log, &codec, (partition, from..to), &network, &mut figures).await?;
            Ok(figures)
        });
        Self { task: AbortOnDropHandle::new(task), to, longest_ms, is_new }
    }

    /// The longest window that it is for.
    pub fn longest_ms(&self) -> i64 {
        self.longest_ms
    }

    /// Whether it has come to its end.
    pub fn is_done(&self) -> bool {
        self.task.is_finished()
    }

    /// The windows and the offset below which they are, once they are there: the first time they are waited for a moment, where `may_wait`.
    ///
    /// # Errors
    /// What the log says; [`Unavailable`](LogErrorKind::Unavailable) when it says nothing for half a minute.
    pub async fn done(&mut self, may_wait: bool) -> Result<Option<(Figures, u64)>, LogError> {
        let wait = if std::mem::take(&mut self.is_new) && may_wait { BRIEFLY } else { Duration::ZERO };
        if wait.is_zero() && !self.task.is_finished() {
            return Ok(None);
        }
        match timeout(wait.max(Duration::from_millis(1)), self.ended()).await {
            Err(_) => Ok(None),
            Ok(ended) => ended.map(Some),
        }
    }

    /// Waits for the windows and the offset below which they are. Safe to drop while it waits.
    ///
    /// # Errors
    /// As of [`done`](Self::done).
    pub async fn ended(&mut self) -> Result<(Figures, u64), LogError> {
        match (&mut self.task).await {
            Ok(figures) => figures.map(|figures| (figures, self.to)),
            Err(error) => {
                let message = format!("reading windows back broke off: {error}");
                Err(LogError::new(LogErrorKind::Unavailable, message))
            }
        }
    }
}

/// Takes a network's events of these offsets into its windows.
///
/// # Errors
/// What the log says.
pub async fn read_between(
    log: &dyn Log,
    codec: &Codec,
    (partition, offsets): (u32, Range<u64>),
    network: &Network,
    figures: &mut Figures,
) -> Result<(), LogError> {
    if offsets.is_empty() {
        return Ok(());
    }
    let at = TopicPartition { topic: topics::ENRICHED_BLOCKS.name, partition };
    let each = |record: Record| {
        take(codec, network, figures, &record);
        Ok(())
    };
    fold_between(log, at, offsets, POLL, each).await
}

fn take(codec: &Codec, network: &Network, figures: &mut Figures, record: &Record) {
    let headers = ChainHeaders::parse(|name| record.header(name));
    if headers.is_ok_and(|headers| headers.network == *network)
        && let Ok(block) = codec.decode::<EnrichedBlock>(record.value.as_deref().unwrap_or_default())
        && let Ok(change) = Change::of(&block)
    {
        figures.take(network, block.envelope.sequence, change);
    }
}

/// Where to begin.
async fn start(log: &dyn Log, at: TopicPartition, read: u64, longest_ms: i64) -> Result<u64, LogError> {
    let low = log.watermarks(at).await?.low;
    let newest = written_at(log, at, read.saturating_sub(1).max(low), read).await?;
    let newest = newest.unwrap_or_else(|| TimeMs::now().0);
    let oldest = newest.saturating_sub(longest_ms).saturating_sub(MARGIN_MS);
    let mut back = FIRST;
    loop {
        let from = read.saturating_sub(back).max(low);
        if from == low || written_at(log, at, from, read).await?.is_some_and(|at| at <= oldest) {
            return Ok(from);
        }
        back = back.saturating_mul(4);
    }
}

/// When the first record from an offset on was written; `None`: there is none below `end`.
async fn written_at(log: &dyn Log, at: TopicPartition, from: u64, end: u64) -> Result<Option<i64>, LogError> {
    let mut reader = log.reader(&[(at, from)]).await?;
    while reader.reached(at) < end {
        let limits = PollLimits { records: 1, bytes: 1, wait: Duration::from_millis(500) };
        match reader.poll(limits).await? {
            Polled::Records(records) => {
                if let Some(first) = records.first() {
                    return Ok(Some(first.timestamp.0));
                }
                // Nothing came: a hole at the end.
                return Ok(None);
            }
            Polled::OutOfRange { oldest, .. } => reader.seek(at, oldest).await?,
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
    }
    Ok(None)
}

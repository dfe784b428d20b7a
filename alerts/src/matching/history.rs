//! Blocks that windows still need, read back from the log: after a partition was taken over, and where a rule wants a longer window than
//! any before, once in [`EVERY`] of each network.
//!
//! Guarantee: exactly the events up to where the group stands. What retention has removed makes windows incomplete, as the beginning of
//! following a chain does.

use std::time::Duration;

use conditions::Change;
use runtime::log::{Log, LogError, PollLimits, Polled, Record, TopicPartition, fold_between};
use schemas::{Codec, Network, TimeMs, headers::ChainHeaders, records::EnrichedBlock, topics};

use super::figures::Figures;

/// Windows of a network are read back so often at most: nothing is looked at meanwhile, of any network.
pub const EVERY: Duration = Duration::from_secs(600);
/// How far beyond the longest window the log is read back, by the times at which records were written: a block is written after its time,
/// and its chain's clock may be ahead of ours.
const MARGIN_MS: i64 = 600_000;
/// Records that are read back at first; four times as many each time that they are not old enough.
const FIRST: u64 = 4_000;
/// How much one poll brings, and how long it waits.
const POLL: PollLimits = PollLimits { records: 1_000, bytes: 4 << 20, wait: Duration::from_millis(300) };

/// Brings a network's windows to where they are below the offset `read` of its partition.
///
/// # Errors
/// What the log says; [`Unavailable`](runtime::log::LogErrorKind::Unavailable) when it says nothing for half a minute.
pub async fn read_back(
    log: &dyn Log,
    codec: &Codec,
    (partition, read): (u32, u64),
    network: &Network,
    figures: &mut Figures,
) -> Result<(), LogError> {
    let at = TopicPartition { topic: topics::ENRICHED_BLOCKS.name, partition };
    let from = start(log, at, read, figures.longest_ms()).await?;
    if from >= read {
        return Ok(());
    }
    let each = |record: Record| {
        take(codec, network, figures, &record);
        Ok(())
    };
    fold_between(log, at, from..read, POLL, each).await
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

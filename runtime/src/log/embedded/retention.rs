//! Retention: removes whole blobs that are too old or too much, of compacted topics records that are too old or too much (the oldest first,
//! whatever their keys) and tombstones that everyone has had a day to see; and where room is short, what has been read to the end, the oldest first, before new work has to wait.
//!
//! Guarantee: the oldest go first, and the low watermark moves before they do. What a group of ours has still to read stays
//! ([`super::hold`]); what others are reading is not spared: they are told that they are out of range.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use schemas::TimeMs;

use super::{
    Shared,
    engine::{BlobKey, Engine},
    job::{Job, Older},
    state::{PartitionId, TopicState},
};
use crate::log::{LogError, LogErrorKind};

/// How long a tombstone stays readable.
const TOMBSTONES: Duration = Duration::from_secs(24 * 3600);
/// Blobs removed in one batch, at most.
const STEP: usize = 512;
/// Batches of aged records of a compacted partition that go each time.
const AGED_STEPS: usize = 64;
/// The part of a compacted partition's limit that is written between two measurements.
const MEASURED: u64 = 8;
/// Rest between two looks for room, however often it is asked for.
const REST: Duration = Duration::from_millis(250);
/// How often the engine is asked to give back what was removed: the files that one compaction finds empty go with the next.
const GIVE_BACK_AFTER: u32 = 2;
/// How often the engine is asked to give back what it no longer needs while nothing can be removed.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(30);

/// Applies retention again and again while the log is open, and makes room when it is asked to.
pub async fn run(shared: Weak<Shared>, every: Duration, short: Arc<tokio::sync::Notify>) {
    let mut tick = tokio::time::interval(every.max(Duration::from_millis(10)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut gave_back = GaveBack::default();
    loop {
        let due = tokio::select! { _ = tick.tick() => true, () = short.notified() => false };
        let Some(shared) = shared.upgrade() else { return };
        let applied = async {
            if due {
                apply(&shared).await?;
            }
            make_room(&shared, &mut gave_back).await
        };
        match applied.await {
            Ok(()) => {}
            Err(e) if e.kind == LogErrorKind::Closed => return,
            Err(e) => tracing::warn!(error = %e, "retention of the log failed; it is tried again"),
        }
        drop(shared);
        tokio::time::sleep(REST).await;
    }
}

/// Applies retention once.
pub async fn apply(shared: &Arc<Shared>) -> Result<(), LogError> {
    let now = TimeMs::now();
    for topic in shared.topics.all() {
        for partition in 0..topic.partitions.len() as u32 {
            if topic.compacted {
                let before = TimeMs(now.0 - TOMBSTONES.as_millis() as i64);
                shared.ask(|reply| Job::RemoveTombstones(topic.clone(), partition, before, reply)).await?;
                if let Some(ms) = topic.row().retention_ms {
                    let before = TimeMs(now.0.saturating_sub_unsigned(ms));
                    aged(shared, &topic, partition, Older::Than(before)).await?;
                }
                if let Some(first) = beyond_limit(shared, &topic, partition).await? {
                    tracing::debug!(topic = %topic.name, partition, below = first, "retention by size");
                    aged(shared, &topic, partition, Older::Below(first)).await?;
                }
                continue;
            }
            loop {
                let doomed = outlived(shared, &topic, partition, now).await?;
                let more = doomed.len() == STEP;
                if !doomed.is_empty() {
                    tracing::debug!(topic = %topic.name, partition, blobs = doomed.len(), "retention");
                    shared.ask(|reply| Job::RemoveBlobs(topic.clone(), doomed, reply)).await?;
                }
                if !more {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Removes old records of a compacted topic, so many steps of them at most.
async fn aged(shared: &Arc<Shared>, topic: &Arc<TopicState>, partition: u32, older: Older) -> Result<(), LogError> {
    for _ in 0..AGED_STEPS {
        if !shared.ask(|reply| Job::RemoveAged(topic.clone(), partition, older, reply)).await? {
            break;
        }
    }
    Ok(())
}

/// The offset below which records of a compacted topic are too much. What there is of it is counted at the start, and each time that a
/// [`MEASURED`]th of what may be there has been written; so it may be that much more.
async fn beyond_limit(shared: &Arc<Shared>, topic: &Arc<TopicState>, partition: u32) -> Result<Option<u64>, LogError> {
    let Some(limit) = topic.row().retention_bytes else { return Ok(None) };
    let Some(state) = topic.partitions.get(partition as usize).filter(|state| state.is_to_be_measured()) else {
        return Ok(None);
    };
    let written = state.bytes();
    let at = PartitionId { topic: topic.id, partition };
    let found = blocking(shared, move |shared| {
        let guard = shared.engine.read().unwrap_or_else(|e| e.into_inner());
        let engine = guard.as_ref().ok_or_else(|| shared.closed_error())?;
        engine.beyond_limit(at, limit).map_err(|e| e.into_log(&shared.dir))
    });
    let found = found.await?;
    // Where much is to go it may take several turns.
    if found.is_none() {
        state.measured(written, limit / MEASURED);
    }
    Ok(found)
}

/// The oldest blobs of a partition that are too old or too much.
async fn outlived(
    shared: &Arc<Shared>,
    topic: &Arc<TopicState>,
    partition: u32,
    now: TimeMs,
) -> Result<Vec<BlobKey>, LogError> {
    let row = topic.row();
    let bytes = topic.partitions.get(partition as usize).map_or(0, |p| p.bytes());
    let mut excess = row.retention_bytes.map_or(0, |limit| bytes.saturating_sub(limit));
    let oldest_kept = row.retention_ms.map(|ms| now.0.saturating_sub_unsigned(ms));
    if excess == 0 && oldest_kept.is_none() {
        return Ok(Vec::new());
    }
    let topic = topic.clone();
    blocking(shared, move |shared| {
        let mut out = unheld(shared, &topic, partition)?;
        let outlived = out.iter().take_while(|key| {
            let goes = excess > 0 || oldest_kept.is_some_and(|kept| key.written_at.0 < kept);
            excess = excess.saturating_sub(u64::from(key.bytes));
            goes
        });
        let count = outlived.count();
        out.truncate(count);
        Ok(out)
    })
    .await
}

/// The oldest blobs of a partition that nobody holds.
fn unheld(shared: &Shared, topic: &TopicState, partition: u32) -> Result<Vec<BlobKey>, LogError> {
    let id = PartitionId { topic: topic.id, partition };
    let held = shared.held_from(topic, id, &[]);
    let guard = shared.engine.read().unwrap_or_else(|e| e.into_inner());
    let engine = guard.as_ref().ok_or_else(|| shared.closed_error())?;
    let keys = engine.blob_keys(id).take(STEP);
    keys.take_while(|key| key.as_ref().is_ok_and(|k| k.end() <= held) || key.is_err())
        .collect::<Result<_, _>>()
        .map_err(|e| e.into_log(&shared.dir))
}

/// Removes what has been read to the end, the oldest first, until there is room ahead of new work, or nothing more may go.
async fn make_room(shared: &Arc<Shared>, gave_back: &mut GaveBack) -> Result<(), LogError> {
    loop {
        let lacks = blocking(shared, |shared| Ok(shared.limits.measure(shared, None).lacks())).await?;
        if lacks == 0 {
            return Ok(());
        }
        let doomed = blocking(shared, move |shared| read_to_the_end(shared, lacks)).await?;
        let nothing = doomed.is_empty();
        for (topic, keys) in doomed {
            tracing::debug!(topic = %topic.name, blobs = keys.len(), lacks, "making room");
            shared.ask(|reply| Job::RemoveBlobs(topic, keys, reply)).await?;
        }
        if !nothing {
            gave_back.owed = GIVE_BACK_AFTER;
        } else if gave_back.owed == 0 && gave_back.at.is_some_and(|at| at.elapsed() < GIVE_BACK_EVERY) {
            return Ok(());
        }
        gave_back.owed = gave_back.owed.saturating_sub(1);
        gave_back.at = Some(Instant::now());
        for step in [Engine::give_back, Engine::let_go] {
            // The engine moves on what it must still be able to show only when something is written.
            shared.ask(Job::Mark).await?;
            blocking(shared, move |shared| {
                let guard = shared.engine.read().unwrap_or_else(|e| e.into_inner());
                let engine = guard.as_ref().ok_or_else(|| shared.closed_error())?;
                step(engine).map_err(|e| super::engine::engine_error(&shared.dir, &e))
            })
            .await?;
        }
        if nothing && gave_back.owed == 0 {
            return Ok(());
        }
    }
}

/// When the engine was last asked to give back what it no longer needs.
#[derive(Default)]
struct GaveBack {
    at: Option<Instant>,
    /// How often it is still to be asked since something was removed.
    owed: u32,
}

/// The least part of the log that goes at once, so that the engine is not asked to compact for every little.
const PART: u64 = 32;

/// Blobs of one partition of a topic.
type OfPartition = (Arc<TopicState>, Vec<BlobKey>);

/// Blobs of about so many bytes that all our groups have read, the oldest of all partitions first, by topic and partition.
fn read_to_the_end(shared: &Shared, wanted: u64) -> Result<Vec<OfPartition>, LogError> {
    let mut found: Vec<(TimeMs, Arc<TopicState>, BlobKey)> = Vec::new();
    let wanted = wanted.max(shared.bytes() / PART);
    for topic in shared.topics.all().into_iter().filter(|t| !t.compacted && shared.holds.is_read(&t.name)) {
        for partition in 0..topic.partitions.len() as u32 {
            let mut newest = TimeMs(i64::MIN);
            for key in unheld(shared, &topic, partition)? {
                // A clock that was set back does not change the order within a partition.
                newest = newest.max(key.written_at);
                found.push((newest, topic.clone(), key));
            }
        }
    }
    found.sort_by_key(|(written, ..)| *written);
    let mut bytes = 0;
    let mut out: Vec<OfPartition> = Vec::new();
    for (_, topic, key) in found {
        if bytes >= wanted {
            break;
        }
        bytes += u64::from(key.bytes);
        match out.iter_mut().find(|(t, keys)| t.id == topic.id && keys.first().is_some_and(|k| k.at == key.at)) {
            Some((_, keys)) => keys.push(key),
            None => out.push((topic, vec![key])),
        }
    }
    Ok(out)
}

/// Does something on a thread that may block.
async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    let shared = shared.clone();
    tokio::task::spawn_blocking(move || work(&shared)).await.map_err(|e| match e.is_panic() {
        true => LogError::new(LogErrorKind::Unavailable, format!("the storage engine broke off: {e}")),
        false => LogError::new(LogErrorKind::Closed, "the runtime is shutting down"),
    })?
}

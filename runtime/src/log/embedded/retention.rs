//! Retention: removes whole blobs that are too old or too much, and tombstones that everyone has had a day to see.
//!
//! Guarantee: the oldest go first, and the low watermark moves before they do. What is being read is not spared: its reader is
//! told that it is out of range.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use schemas::TimeMs;

use super::{
    Shared,
    engine::BlobKey,
    job::Job,
    state::{PartitionId, TopicState},
};
use crate::log::{LogError, LogErrorKind};

/// How long a tombstone stays readable.
const TOMBSTONES: Duration = Duration::from_secs(24 * 3600);
/// Blobs removed in one batch, at most.
const STEP: usize = 512;

/// Applies retention again and again while the log is open.
pub async fn run(shared: Weak<Shared>, every: Duration) {
    let mut tick = tokio::time::interval(every.max(Duration::from_millis(10)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        match apply(&shared).await {
            Ok(()) => {}
            Err(e) if e.kind == LogErrorKind::Closed => return,
            Err(e) => tracing::warn!(error = %e, "retention of the log failed; it is tried again"),
        }
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
                continue;
            }
            loop {
                let doomed = doomed(shared, &topic, partition, now).await?;
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

/// The oldest blobs of a partition that may go.
async fn doomed(
    shared: &Arc<Shared>,
    topic: &Arc<TopicState>,
    partition: u32,
    now: TimeMs,
) -> Result<Vec<BlobKey>, LogError> {
    let row = topic.row();
    let id = PartitionId { topic: topic.id, partition };
    let bytes = topic.partitions.get(partition as usize).map_or(0, |p| p.bytes());
    let mut excess = row.retention_bytes.map_or(0, |limit| bytes.saturating_sub(limit));
    let oldest_kept = row.retention_ms.map(|ms| now.0.saturating_sub_unsigned(ms));
    if excess == 0 && oldest_kept.is_none() {
        return Ok(Vec::new());
    }
    let shared = shared.clone();
    let find = move || -> Result<Vec<BlobKey>, LogError> {
        let guard = shared.engine.read().unwrap_or_else(|e| e.into_inner());
        let engine = guard.as_ref().ok_or_else(|| shared.closed_error())?;
        let mut out = Vec::new();
        for key in engine.blob_keys(id).take(STEP) {
            let key = key.map_err(|e| e.into_log(&shared.dir))?;
            if excess == 0 && oldest_kept.is_none_or(|kept| key.written_at.0 >= kept) {
                break;
            }
            excess = excess.saturating_sub(u64::from(key.bytes));
            out.push(key);
        }
        Ok(out)
    };
    tokio::task::spawn_blocking(find)
        .await
        .map_err(|_| LogError::new(LogErrorKind::Closed, "the runtime is shutting down"))?
}

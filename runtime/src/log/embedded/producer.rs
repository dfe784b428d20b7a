//! The transactional producer. Validates and encodes in the caller's task, so that compression spreads over callers and the
//! writer thread only puts finished blobs into a batch.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use schemas::limits::{RECORD_HEADERS_BYTES, RECORD_KEY_BYTES, RECORD_VALUE_BYTES, TRANSACTION_BYTES_MAX};

use super::{
    Shared,
    blob::Encoder,
    job::{Commit, Job},
    membership::group_offsets,
    stage::Part,
    state::TopicState,
};
use crate::log::{LogError, LogErrorKind, NewRecord, Producer, TopicPartition, Transaction};

/// Payload from which encoding leaves the async threads alone, bytes.
const ENCODE_INLINE_BYTES: usize = 512 << 10;

/// A producer under one epoch of its transactional id.
pub struct EmbeddedProducer {
    shared: Arc<Shared>,
    id: Arc<str>,
    epoch: u64,
    /// After an error with unknown outcome, or when fenced: only a new producer knows where things stand.
    over: Option<LogError>,
}

impl EmbeddedProducer {
    /// Takes the id over; the former holder is fenced, and all its commits are decided when this returns.
    pub async fn new(shared: Arc<Shared>, id: &str) -> Result<Self, LogError> {
        let id: Arc<str> = id.into();
        let epoch = shared.ask(|reply| Job::Fence(id.clone(), reply)).await?;
        Ok(Self { shared, id, epoch, over: None })
    }
}

#[async_trait]
impl Producer for EmbeddedProducer {
    async fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        if let Some(e) = &self.over {
            return Err(e.clone());
        }
        let bytes = check(&transaction.records)?;
        let offsets =
            transaction.offsets.map(|(group, offsets)| group_offsets(&self.shared, &group, offsets)).transpose()?;
        let grouped = group_by_partition(&self.shared, transaction.records)?;
        let parts = if bytes < ENCODE_INLINE_BYTES {
            encode(grouped)
        } else {
            tokio::task::spawn_blocking(move || encode(grouped))
                .await
                .map_err(|_| LogError::new(LogErrorKind::Aborted, "the runtime is shutting down"))?
        };
        let commit = Commit { producer: Some((self.id.clone(), self.epoch)), parts, offsets };
        // Should we be dropped while we wait, the outcome is unknown to whoever comes next with this producer.
        self.over =
            Some(LogError::new(LogErrorKind::Indefinite, format!("a commit of {} was given up while it ran", self.id)));
        let result = self.shared.ask(|reply| Job::Commit(commit, reply)).await;
        self.over = match &result {
            Err(e) if matches!(e.kind, LogErrorKind::Fenced | LogErrorKind::Indefinite | LogErrorKind::Closed) => {
                Some(e.clone())
            }
            _ => None,
        };
        result
    }
}

/// Checks sizes. Returns the bytes of all values.
fn check(records: &[NewRecord]) -> Result<usize, LogError> {
    let too_large = |what: String| Err(LogError::new(LogErrorKind::TooLarge, what));
    let mut sum = 0;
    for r in records {
        let at = |what: &str, have: usize, limit: usize| {
            format!("{what} of {have} bytes for {} [{}]; the limit is {limit}", r.to.topic, r.to.partition)
        };
        let value = r.value.as_ref().map_or(0, |v| v.len());
        if value > RECORD_VALUE_BYTES {
            return too_large(at("a record", value, RECORD_VALUE_BYTES));
        }
        let key = r.key.as_ref().map_or(0, |k| k.len());
        if key > RECORD_KEY_BYTES {
            return too_large(at("a key", key, RECORD_KEY_BYTES));
        }
        let headers: usize = r.headers.iter().map(|(n, v)| n.len() + v.len()).sum();
        if headers > RECORD_HEADERS_BYTES {
            return too_large(at("headers", headers, RECORD_HEADERS_BYTES));
        }
        sum += value;
    }
    if sum > TRANSACTION_BYTES_MAX {
        return too_large(format!("a transaction of {sum} bytes; the limit is {TRANSACTION_BYTES_MAX}"));
    }
    Ok(sum)
}

type Grouped = Vec<(Arc<TopicState>, TopicPartition, Vec<NewRecord>)>;

fn group_by_partition(shared: &Shared, records: Vec<NewRecord>) -> Result<Grouped, LogError> {
    let mut index: HashMap<TopicPartition, usize> = HashMap::new();
    let mut grouped: Grouped = Vec::new();
    // Most records go where the one before went.
    let mut before: Option<(TopicPartition, usize)> = None;
    for record in records {
        let known = before.filter(|(to, _)| *to == record.to).map(|(_, slot)| slot);
        let slot = match known.or_else(|| index.get(&record.to).copied()) {
            Some(slot) => slot,
            None => {
                let (topic, _) = shared.partition(record.to)?;
                grouped.push((topic, record.to, Vec::new()));
                index.insert(record.to, grouped.len() - 1);
                grouped.len() - 1
            }
        };
        before = Some((record.to, slot));
        let (topic, _, list) = &mut grouped[slot];
        let invalid = |what: &str| Err(LogError::new(LogErrorKind::Invalid, format!("{what} on topic {}", topic.name)));
        if topic.compacted && record.key.is_none() {
            return invalid("a record without key, which compaction needs,");
        }
        if !topic.compacted && record.value.is_none() {
            return invalid("a tombstone, which only compacted topics take,");
        }
        list.push(record);
    }
    Ok(grouped)
}

fn encode(grouped: Grouped) -> Vec<Part> {
    let mut parts = Vec::with_capacity(grouped.len());
    let mut encoder = Encoder::default();
    for (topic, at, records) in grouped {
        let mut held: Vec<NewRecord> = Vec::new();
        let mut close = |encoder: &mut Encoder, held: &mut Vec<NewRecord>| {
            let blob = encoder.finish();
            parts.push(Part { topic: topic.clone(), at, blob, records: std::mem::take(held) });
        };
        for record in records {
            encoder.push(&record);
            held.push(record);
            if topic.compacted || encoder.is_full() {
                close(&mut encoder, &mut held);
            }
        }
        if encoder.len() > 0 {
            close(&mut encoder, &mut held);
        }
    }
    parts
}

//! What deliver writes: a message's newest word in the outbox, and every attempt.

use bytes::Bytes;
use runtime::log::{Headers, LogError, LogErrorKind, NewRecord, TopicPartition};
use schemas::{
    Record, TimeMs,
    codec::Codec,
    records::{AlertDelivery, AlertOutbox, DeliveryState},
    topics,
};

use super::queue::Key;

/// A record of one of the two topics.
///
/// # Errors
/// It is larger than records may be.
pub fn record<R: Record>(codec: &Codec, partition: u32, record: &R) -> Result<NewRecord, LogError> {
    let value = codec.encode(record).map_err(|error| {
        LogError::new(LogErrorKind::TooLarge, format!("a record of deliveries cannot be written: {error}"))
    })?;
    let headers: Headers = record.headers().into_iter().map(|(name, value)| (name.into(), value)).collect();
    let to = TopicPartition { topic: R::TOPIC.name, partition };
    Ok(NewRecord { to, key: Some(Bytes::from(record.key())), value: Some(value), headers })
}

/// Says that a message is forgotten.
pub fn forgotten(partition: u32, key: &Key) -> NewRecord {
    let to = TopicPartition { topic: topics::ALERTS_OUTBOX.name, partition };
    NewRecord { to, key: Some(Bytes::from(key.as_str().to_owned())), value: None, headers: Vec::new() }
}

/// What is told of a message: the rest is filled in by whoever knows it.
pub fn delivery(record: &AlertOutbox, channel_type: &str, state: DeliveryState, at: TimeMs) -> AlertDelivery {
    AlertDelivery {
        tenant: record.tenant.clone(),
        id: record.id.clone(),
        alert_id: record.alert_id.clone(),
        channel_id: record.channel_id.clone(),
        channel_type: channel_type.to_owned(),
        kind: record.kind.clone(),
        state,
        at,
        attempt: record.attempts,
        status: None,
        latency_ms: None,
        error: None,
        next_attempt_at: None,
        thread: None,
    }
}

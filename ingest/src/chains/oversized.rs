//! What the log does not take for its size: a placeholder in its place, and the record in the dead letters, whole (rule 13). Pure.

use runtime::log::{NewRecord, letters};
use schemas::{
    TimeMs,
    codec::{EncodeError, Record},
    records::{DeadLetter, Payload, RawTransaction, dead_letter::reason},
    topics,
};

use crate::{metrics, records::Scribe};

/// A placeholder of a transaction with this index and hash, and the dead letter that holds the record as it would have been written.
///
/// # Errors
/// A placeholder that is larger than the log takes.
pub(super) fn placeholder(
    scribe: &Scribe,
    raw: RawTransaction,
    (index, hash): (u32, String),
    error: EncodeError,
) -> Result<Vec<NewRecord>, EncodeError> {
    let envelope = raw.envelope.clone();
    metrics::oversized(&envelope.network);
    tracing::error!(
        network = %envelope.network, height = envelope.height, index, %error,
        "a placeholder takes its place, and its row is missing until `headwater dead-letters replay` inserts it"
    );
    let letter = DeadLetter {
        source_topic: topics::RAW_TRANSACTIONS.name.into(),
        source_partition: scribe.partition,
        source_offset: None,
        stage: "ingest".into(),
        network: Some(envelope.network.clone()),
        sequence: Some(envelope.sequence),
        index: Some(index),
        reason: reason::TOO_LARGE.into(),
        error: format!("transaction {hash} of block {}: {error}", envelope.block_hash),
        key: Some(raw.key().into()),
        value: scribe.codec.encode_within(&raw, usize::MAX).ok(),
        failed_at: TimeMs::now(),
    };
    let payload = Payload::Unreadable { index, error: error.to_string() };
    let mut records = vec![scribe.record(&RawTransaction { envelope, payload })?];
    records.extend(letters::records(&scribe.codec, letter, scribe.limits.letters, &Vec::new()));
    Ok(records)
}

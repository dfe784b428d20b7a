//! Writing requests into `control.config`.
//!
//! Guarantee: one record, one commit. Whoever writes at the same time is fenced and tries again, so that nothing is lost; a record is
//! replaced or removed whole.

use std::time::Duration;

use runtime::log::{Log, LogError, LogErrorKind, NewRecord, TopicPartition, Transaction, header_name};
use schemas::{
    codec::{Codec, Record as _},
    records::{ControlConfig, Request},
    topics,
};

/// Transactional id of commands that ask.
const TRANSACTIONAL_ID: &str = "requests";
/// Tries against fencing and aborts.
const TRIES: u32 = 10;

/// Writes a request; a former record of the same id is replaced.
pub async fn put(log: &dyn Log, codec: &Codec, request: &Request) -> Result<(), LogError> {
    let record = ControlConfig::Request(request.clone());
    let value = codec.encode(&record).map_err(|e| LogError::new(LogErrorKind::Invalid, e.to_string()))?;
    let headers = record.headers().into_iter().map(|(name, value)| (header_name(name), value)).collect();
    commit(log, NewRecord { value: Some(value), headers, ..removed(record.key()) }).await
}

/// Removes a request.
pub async fn remove(log: &dyn Log, id: &str) -> Result<(), LogError> {
    commit(log, removed(Request::key_of(id))).await
}

/// The tombstone of a key.
fn removed(key: String) -> NewRecord {
    let to = TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 };
    NewRecord { to, key: Some(key.into()), value: None, headers: Vec::new() }
}

async fn commit(log: &dyn Log, record: NewRecord) -> Result<(), LogError> {
    let mut tries = 0;
    loop {
        let transaction = Transaction { records: vec![record.clone()], offsets: None };
        let outcome = async { log.producer(TRANSACTIONAL_ID).await?.commit(transaction).await }.await;
        match outcome {
            Err(e) if tries < TRIES && (e.is_transient() || e.kind == LogErrorKind::Fenced) => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(50) * tries).await;
            }
            outcome => return outcome,
        }
    }
}

//! What is written: matches, and the ring that they are taken back from.

use runtime::log::{Headers, Log, LogError, NewRecord, TopicPartition, header_name};
use schemas::{
    Codec, Network,
    codec::{EncodeError, Record},
    records::{AlertMatch, AlertRing},
    topics,
};

use super::ring::{Changes, Ring};
use crate::metrics;

/// Bytes that a value may have in each topic.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    matches: usize,
    ring: usize,
}

impl Limits {
    /// As the log has them now.
    ///
    /// # Errors
    /// What the log says.
    pub async fn of(log: &dyn Log) -> Result<Self, LogError> {
        Ok(Self {
            matches: log.value_limit(topics::ALERTS_MATCHES.name).await?,
            ring: log.value_limit(topics::ALERTS_RING.name).await?,
        })
    }
}

impl Limits {
    /// Bytes that the matches of one event may take in `alerts.ring`, without their arguments: some of it is the record's own.
    pub fn ring_room(&self) -> usize {
        self.ring.saturating_sub(RECORD)
    }
}

/// What a record of `alerts.ring` has beside its matches, in bytes: rules that hold are among it.
const RECORD: usize = 32 << 10;

fn headers(record: &impl Record) -> Headers {
    record.headers().into_iter().map(|(name, value)| (header_name(name), value)).collect()
}

/// The record of a match. One that is too large goes without its arguments.
pub fn matched(codec: &Codec, limits: Limits, mut found: AlertMatch) -> Option<NewRecord> {
    let value = match codec.encode_within(&found, limits.matches) {
        Err(EncodeError::TooLarge { .. }) => {
            if let Some(found) = &mut found.found {
                found.arguments = "{}".to_owned();
            }
            codec.encode_within(&found, limits.matches)
        }
        encoded => encoded,
    };
    match value {
        Ok(value) => {
            let to = TopicPartition { topic: topics::ALERTS_MATCHES.name, partition: 0 };
            Some(NewRecord { to, key: Some(found.key().into()), value: Some(value), headers: headers(&found) })
        }
        Err(error) => {
            metrics::unwritten(&found.network);
            tracing::error!(tenant = found.tenant, source = found.source.id, %error, "a match cannot be written");
            None
        }
    }
}

/// Everything that follows from changes of a network's ring.
pub fn records(
    codec: &Codec,
    limits: Limits,
    partition: u32,
    network: &Network,
    ring: &Ring,
    changes: Changes,
) -> Vec<NewRecord> {
    let to = TopicPartition { topic: topics::ALERTS_RING.name, partition };
    let mut records = Vec::new();
    for sequence in Ring::touched(&changes) {
        let key = Some(AlertRing::key_of(network, sequence).into());
        let encoded = |whole: bool| {
            let record = ring.record(sequence, whole)?;
            Some(codec.encode_within(&record, limits.ring).map(|value| (value, headers(&record))))
        };
        let (value, headers) = match encoded(true) {
            None => (None, Vec::new()),
            Some(Ok((value, headers))) => (Some(value), headers),
            // Without arguments a match is still taken back as the one that it is.
            Some(Err(_)) => match encoded(false) {
                Some(Ok((value, headers))) => (Some(value), headers),
                other => {
                    if let Some(Err(error)) = other {
                        metrics::unwritten(network);
                        tracing::error!(%network, sequence, %error, "what an event gave cannot be kept: a reorg would not take it back");
                    }
                    (None, Vec::new())
                }
            },
        };
        records.push(NewRecord { to, key, value, headers });
    }
    records.extend(changes.matches.into_iter().filter_map(|found| matched(codec, limits, found)));
    records
}

//! What is written to the log.

use bytes::Bytes;
use runtime::log::{Headers, LogError, LogErrorKind, NewRecord, TopicPartition};
use schemas::{
    codec::Codec,
    records::{AlertDelivery, AlertEvent, AlertOutbox, AlertState},
    topics,
};

use crate::{
    life::{Changed, Output},
    metrics,
};

/// Records of one transaction, while they are gathered.
#[derive(Default)]
pub struct Gathered {
    /// In order.
    pub records: Vec<NewRecord>,
    /// Bytes of their values.
    pub bytes: usize,
}

impl Gathered {
    /// Takes what came of some steps: events, then messages.
    pub fn output(&mut self, codec: &Codec, partition: u32, output: Output) -> Result<(), LogError> {
        for event in &output.events {
            metrics::transition(event.kind);
            self.put::<AlertEvent>(codec, partition, event)?;
        }
        for message in &output.outbox {
            metrics::queued(&message.kind);
            self.put::<AlertOutbox>(codec, partition, message)?;
        }
        for delivery in &output.deliveries {
            self.put::<AlertDelivery>(codec, partition, delivery)?;
        }
        Ok(())
    }

    /// Takes states that changed.
    pub fn states(&mut self, codec: &Codec, partition: u32, changes: Vec<Changed>) -> Result<(), LogError> {
        for Changed { key, state } in changes {
            match state {
                Some(state) => self.put::<AlertState>(codec, partition, &state)?,
                None => {
                    let to = TopicPartition { topic: topics::ALERTS_STATE.name, partition };
                    self.records.push(NewRecord { to, key: Some(key.into()), value: None, headers: Vec::new() });
                }
            }
        }
        Ok(())
    }

    fn put<R: schemas::Record>(&mut self, codec: &Codec, partition: u32, record: &R) -> Result<(), LogError> {
        let value = codec.encode(record).map_err(|error| {
            LogError::new(LogErrorKind::TooLarge, format!("a record of alerts cannot be written: {error}"))
        })?;
        self.bytes += value.len();
        let headers: Headers = record.headers().into_iter().map(|(name, value)| (name.into(), value)).collect();
        self.records.push(NewRecord {
            to: TopicPartition { topic: R::TOPIC.name, partition },
            key: Some(Bytes::from(record.key())),
            value: Some(value),
            headers,
        });
        Ok(())
    }
}

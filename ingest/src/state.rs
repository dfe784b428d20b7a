//! What the log says of each network of a partition: checkpoint and ring, read up to the high watermark.

use std::collections::HashMap;

use runtime::log::{Log, Record, TopicPartition, fold};
use schemas::{
    Network,
    codec::{Codec, DecodeError},
    limits,
    records::{Checkpoint, CheckpointRecord, RingEntry},
    topics,
};

use crate::{error::Error, tracker::Position};

/// A network as stored.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// Its checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// Its ring, as it is: entries above the tip included.
    pub ring: Vec<RingEntry>,
}

impl Stored {
    /// For the tracker.
    pub fn position(&self) -> Position {
        let Some(c) = &self.checkpoint else { return Position::default() };
        Position {
            sequence: c.sequence,
            tip: c.tip_height.zip(c.tip_hash.clone()),
            first: c.first_height,
            highest: c.highest_height,
            reorg_remaining: c.reorg_remaining,
            too_deep: c.reorg_too_deep,
        }
    }
}

/// Reads checkpoints and rings of a partition, folded as they come: what is held is one checkpoint and one ring per network,
/// however long the partition is. Whoever calls this has made the partition's producer, so that nothing below the high watermark
/// is undecided (rule 10).
pub async fn read(log: &dyn Log, codec: &Codec, partition: u32) -> Result<HashMap<Network, Stored>, Error> {
    let mut networks: HashMap<Network, (Option<Checkpoint>, HashMap<u64, RingEntry>)> = HashMap::new();
    let at = TopicPartition { topic: topics::INGEST_CHECKPOINTS.name, partition };
    fold(log, at, |record| {
        let Some(value) = &record.value else { return Ok(()) };
        match codec.decode(value).map_err(|e| unreadable(&record, &e))? {
            CheckpointRecord::Checkpoint(c) => {
                let network = c.network.clone();
                networks.entry(network).or_default().0 = Some(c);
            }
            CheckpointRecord::Ring(e) => {
                networks.entry(e.network.clone()).or_default().1.insert(e.height % limits::REORG_LIMIT_BLOCKS, e);
            }
        }
        Ok::<(), Error>(())
    })
    .await?;
    let stored = |(checkpoint, ring): (_, HashMap<u64, _>)| Stored { checkpoint, ring: ring.into_values().collect() };
    Ok(networks.into_iter().map(|(network, parts)| (network, stored(parts))).collect())
}

/// An own record that does not decode.
pub fn unreadable(record: &Record, error: &DecodeError) -> Error {
    Error::Unreadable {
        topic: record.from.topic,
        partition: record.from.partition,
        offset: record.offset,
        problem: error.to_string(),
    }
}

//! One network's events, read again by themselves, beside a group and without touching its position.
//!
//! Guarantee: from sequence `from` on, events come whole and in order, whatever other networks' records lie between and wherever
//! retention has cut each topic. Older ones come as headers alone, for whoever wants to compare them: their children may be gone. What
//! is missing from `from` on halts, by name, as for a group. Other networks' records are dropped as they are read.

use std::{collections::VecDeque, time::Duration};

use schemas::{Network, Op, headers::ChainHeaders};
use tokio::time::Instant;

use super::{
    super::{Log, LogError, Polled, Reader, Record, Topic, TopicPartition},
    Batch, Event, apply_flow,
    assembler::{Assembler, Start},
    poll_limits,
    queue::meta_of,
    warn_out_of_range,
};

/// Reads one network of a partition from the oldest record on.
pub struct NetworkReader {
    reader: Box<dyn Reader>,
    assembler: Assembler,
    sieve: Sieve,
}

impl NetworkReader {
    /// From the oldest record of both topics. `from`: the sequence that is to come next.
    pub async fn open(
        log: &dyn Log,
        (headers, children): (Topic, Topic),
        partition: u32,
        network: &Network,
        from: u64,
    ) -> Result<Self, LogError> {
        let mut oldest = Vec::new();
        for topic in [headers, children] {
            let at = TopicPartition { topic, partition };
            oldest.push((at, log.watermarks(at).await?.low));
        }
        let mut assembler = Assembler::new(headers, Some(children));
        assembler.start(partition, Start::Anywhere);
        assembler.expect(partition, network, from);
        let sieve = Sieve { headers, network: network.clone(), from, older: VecDeque::new() };
        Ok(Self { reader: log.reader(&oldest).await?, assembler, sieve })
    }

    /// What comes next, as [`super::EventConsumer::next`] brings it; only [`Batch::Events`] and [`Batch::Halted`].
    pub async fn next(&mut self, max_events: usize, max_bytes: usize, wait: Duration) -> Result<Batch, LogError> {
        let deadline = Instant::now() + wait;
        loop {
            if !self.sieve.older.is_empty() {
                let some = self.sieve.older.len().min(max_events.max(1));
                return Ok(Batch::Events(self.sieve.older.drain(..some).collect()));
            }
            if let Some(batch) = self.assembler.take(max_events, max_bytes) {
                apply_flow(&mut *self.reader, &mut self.assembler)?;
                return Ok(batch);
            }
            if Instant::now() >= deadline {
                return Ok(Batch::Events(Vec::new()));
            }
            let wait = deadline.saturating_duration_since(Instant::now());
            match self.reader.poll(poll_limits(max_bytes, wait)).await? {
                Polled::OutOfRange { at, wanted, oldest } => {
                    warn_out_of_range(at, wanted, oldest);
                    self.reader.seek(at, oldest).await?;
                    self.assembler.lost(at, oldest);
                }
                Polled::Records(records) => {
                    let ours = records.into_iter().filter_map(|r| self.sieve.pass(r)).collect();
                    self.assembler.feed(ours);
                    apply_flow(&mut *self.reader, &mut self.assembler)?;
                }
                Polled::Assigned(_) | Polled::Revoked(_) => {}
            }
        }
    }
}

/// Lets through what belongs to the network's events from a sequence on, and keeps older headers. Pure.
struct Sieve {
    headers: Topic,
    network: Network,
    from: u64,
    older: VecDeque<Event>,
}

impl Sieve {
    fn pass(&mut self, record: Record) -> Option<Record> {
        match meta_of(&record, None) {
            Ok(Ok(meta)) if meta.network == self.network => {
                if meta.op == Op::Finality {
                    return None;
                }
                if meta.sequence >= self.from {
                    return Some(record);
                }
                if record.from.topic == self.headers {
                    self.older.push_back(alone(record, meta));
                }
                None
            }
            // Unusable headers of the network itself: the assembler halts it.
            Ok(Err((network, _))) if network == self.network => Some(record),
            Ok(_) | Err(_) => None,
        }
    }
}

fn alone(header: Record, meta: ChainHeaders) -> Event {
    Event {
        partition: header.from.partition,
        header,
        meta,
        children: Vec::new(),
        next: Vec::new(),
        foreign: Vec::new(),
    }
}

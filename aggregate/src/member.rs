//! One membership of the group.
//!
//! Guarantee: exactly once. Windows and the group's position are one transaction of the log, under the group's generation. The position is
//! not how far the input was read: it is the oldest record that is still needed ([`crate::part`]), so that state is nowhere but in the log.
//! How far windows are published stands on the records themselves ([`crate::output`]). Where one transaction is not enough, the first
//! ones say what was true before them, so that all of it is made again when the last is missing; a window that is published again then is
//! the same, under the same key.

use std::{collections::BTreeMap, time::Duration};

use runtime::log::{
    Consumer, Log, LogError, LogErrorKind, NewRecord, Offsets, PollLimits, Polled, Producer, TopicPartition,
    Transaction, membership::deadline,
};
use schemas::{Codec, topics};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{Config, former, metrics, output, part::Part, pipeline::GROUP};

const INPUT: &str = topics::ENRICHED_BLOCKS.name;
/// How much of the stream one poll brings. It waits so long, while windows that are open may wait for their second to be over.
const POLL: PollLimits = PollLimits { records: 512, bytes: 4 << 20, wait: Duration::from_millis(100) };
/// Positions of a stream without news are committed this often: more of it is read again after a kill.
const POSITIONS: Duration = Duration::from_secs(2);
/// How often it is told how far behind we are.
const LOOK: Duration = Duration::from_secs(10);
/// Bytes of records in one transaction, about.
const COMMIT_BYTES: usize = 4 << 20;

/// See the module.
pub struct Member<'a> {
    config: &'a Config,
    codec: &'a Codec,
    log: &'a dyn Log,
    producer: Box<dyn Producer>,
    consumer: Box<dyn Consumer>,
    value_limit: usize,
    parts: BTreeMap<u32, Part>,
    committed: Instant,
    looked: Option<Instant>,
}

impl<'a> Member<'a> {
    /// Joins.
    pub async fn join(config: &'a Config, log: &'a dyn Log, codec: &'a Codec) -> Result<Self, LogError> {
        // Producer first: it fences and aborts what an earlier self left open, so that what is read next is final.
        let instance = &config.instance;
        let producer = deadline("making the producer", log.producer(&format!("{GROUP}.{instance}"))).await?;
        let consumer = deadline("joining the group", log.consumer(GROUP, instance, &[INPUT])).await?;
        let limit = log.value_limit(topics::METRICS_WINDOWS.name);
        let value_limit = deadline("asking for the topic's limit", limit).await?;
        let parts = BTreeMap::new();
        Ok(Self { config, codec, log, producer, consumer, value_limit, parts, committed: Instant::now(), looked: None })
    }

    /// Works until it is told to stop.
    pub async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), LogError> {
        while !shutdown.is_cancelled() {
            let polled = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                polled = self.consumer.poll(POLL) => polled?,
            };
            self.polled(polled).await?;
            self.publish().await?;
            self.look().await;
        }
        Ok(())
    }

    async fn polled(&mut self, polled: Polled) -> Result<(), LogError> {
        match polled {
            Polled::Assigned(assigned) => {
                self.config.board.held(assigned.iter().map(|(at, _)| at.partition));
                for (at, position) in assigned {
                    self.assigned(at, position).await?;
                }
            }
            Polled::Revoked(revoked) => {
                let partitions: Vec<u32> = revoked.iter().map(|at| at.partition).collect();
                tracing::info!(?partitions, "revoked");
                self.parts.retain(|partition, _| !partitions.contains(partition));
                self.config.board.released(&partitions);
            }
            Polled::OutOfRange { at, wanted, oldest } => {
                metrics::missed(oldest.saturating_sub(wanted));
                tracing::warn!(
                    partition = at.partition,
                    wanted,
                    oldest,
                    "retention removed blocks that windows still needed; these windows are incomplete, and say so"
                );
                self.consumer.seek(at, oldest).await?;
                let unread =
                    self.parts.get(&at.partition).is_some_and(|part| wanted <= oldest && part.is_behind(oldest));
                let former = if unread {
                    former::read(self.log, self.codec, self.config, at.partition).await?
                } else {
                    BTreeMap::new()
                };
                match self.parts.get_mut(&at.partition) {
                    // Another topic of this name: nothing of it is published.
                    Some(part) if wanted > oldest => *part = Part::new(at.partition, oldest, 0),
                    Some(part) => {
                        part.lost(oldest);
                        if unread {
                            part.doubt(former);
                        }
                    }
                    None => {}
                }
            }
            Polled::Records(records) => {
                let mut counts = [0, 0];
                for record in &records {
                    if let Some(part) = self.parts.get_mut(&record.from.partition) {
                        let [new, again] = &mut counts;
                        *(if part.take(self.config, self.codec, record) { again } else { new }) += 1;
                    }
                }
                let [new, again] = counts;
                metrics::taken(new, false);
                metrics::taken(again, true);
            }
        }
        Ok(())
    }

    async fn assigned(&mut self, at: TopicPartition, position: Option<u64>) -> Result<(), LogError> {
        let ends = self.log.watermarks(at).await?;
        let from = position.unwrap_or(ends.low);
        let told = output::read_before(self.log, at.partition).await?.unwrap_or(0);
        let told = if told > ends.high {
            tracing::warn!(
                partition = at.partition,
                told,
                end = ends.high,
                "windows were published of blocks that the log does not have: it is another log, and they are published anew"
            );
            0
        } else {
            told
        };
        tracing::info!(partition = at.partition, from, published_to = told, end = ends.high, "assigned");
        let mut part = Part::new(at.partition, from, told);
        // Where the group's position is gone too, nothing is out of range.
        if from >= ends.low && part.is_behind(ends.low) {
            part.doubt(former::read(self.log, self.codec, self.config, at.partition).await?);
        }
        self.parts.insert(at.partition, part);
        Ok(())
    }

    /// Publishes what is to be published, with the positions.
    async fn publish(&mut self) -> Result<(), LogError> {
        let started = Instant::now();
        let (mut first, mut last, mut count) = (Vec::new(), Vec::new(), 0);
        for (number, part) in &mut self.parts {
            let windows = part.windows(self.config);
            if windows.is_empty() {
                continue;
            }
            let mut records: Vec<NewRecord> = Vec::with_capacity(windows.len());
            for window in windows {
                let record = output::record(self.codec, *number, window, self.value_limit);
                records.push(record.map_err(|error| {
                    LogError::new(LogErrorKind::TooLarge, format!("a window cannot be written: {error}"))
                })?);
            }
            count += records.len();
            // The last transaction has some of each partition's, so that it tells how far that was read.
            let rest = records.split_off(records.len().saturating_sub(1));
            output::say_read(&mut records, part.told());
            first.extend(records);
            last.push((rest, part.read()));
        }
        let moved = || self.parts.values().any(|part| part.position() > part.committed);
        if count == 0 && (self.committed.elapsed() < POSITIONS || !moved()) {
            return Ok(());
        }
        let positions = |of: fn(&Part) -> u64| -> Offsets {
            let input = |partition| TopicPartition { topic: INPUT, partition };
            self.parts.iter().map(|(partition, part)| (input(*partition), of(part))).collect()
        };
        let mut end = Vec::new();
        for (mut rest, read) in last {
            output::say_read(&mut rest, read);
            end.extend(rest);
        }
        let mut all = in_transactions(first);
        let mut transaction = all.pop().unwrap_or_default();
        // What is written together says how far it was read once: by its last records.
        transaction.extend(end);
        for records in all {
            let offsets = Some((self.consumer.group(), positions(|part| part.committed)));
            deadline("committing", self.producer.commit(Transaction { records, offsets })).await?;
        }
        let offsets = Some((self.consumer.group(), positions(Part::position)));
        deadline("committing", self.producer.commit(Transaction { records: transaction, offsets })).await?;
        self.committed = Instant::now();
        metrics::committed(count, started.elapsed());
        for (number, part) in &mut self.parts {
            part.committed = part.position();
            if part.is_level() {
                part.published();
            }
            for (network, sequence, tip) in part.stands() {
                metrics::processed(network, sequence);
                self.config.board.network(*number, network, |row| {
                    row.sequence = Some(sequence);
                    (row.height, row.block_time) = (tip.map(|tip| tip.0), tip.map(|tip| tip.1));
                });
            }
        }
        Ok(())
    }

    /// Tells how far behind we are, and what is held. Not knowing it stops nobody.
    async fn look(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        let of: Vec<TopicPartition> =
            self.parts.keys().map(|partition| TopicPartition { topic: INPUT, partition: *partition }).collect();
        let ends = timeout(Duration::from_secs(5), self.log.ends(&of)).await;
        let Ok(Ok(ends)) = ends else { return };
        for ((number, part), ends) in self.parts.iter().zip(ends) {
            metrics::held(*number, part.held());
            metrics::lag(*number, ends.high.saturating_sub(part.read()), ends.high.saturating_sub(part.committed));
        }
    }
}

/// Records in the transactions that they are written in.
fn in_transactions(records: Vec<NewRecord>) -> Vec<Vec<NewRecord>> {
    let (mut all, mut some, mut bytes) = (Vec::new(), Vec::new(), 0);
    for record in records {
        let size = record.value.as_ref().map_or(0, bytes::Bytes::len) + 300;
        if bytes > 0 && bytes + size > COMMIT_BYTES {
            all.push(std::mem::take(&mut some));
            bytes = 0;
        }
        bytes += size;
        some.push(record);
    }
    all.push(some);
    all
}

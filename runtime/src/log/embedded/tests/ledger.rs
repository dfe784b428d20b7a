//! Numbered transactions over two topics, a checkpoint and a group's position, and the proof that each is there whole or not
//! at all.

use std::time::Duration;

use bytes::Bytes;
use schemas::topics::{Cleanup, TopicSpec};

use super::super::*;
use crate::log::{NewRecord, PollLimits, Polled, Record, Transaction};

const fn spec(name: &'static str, cleanup: Cleanup) -> TopicSpec {
    TopicSpec { name, cleanup, retention: None, retention_bytes: None, per_network: false }
}
const HEADERS: TopicSpec = spec("ledger.headers", Cleanup::Delete);
const CHILDREN: TopicSpec = spec("ledger.children", Cleanup::Delete);
const CHECKPOINT: TopicSpec = spec("ledger.checkpoint", Cleanup::Compact);
const SOURCE: TopicSpec = spec("ledger.source", Cleanup::Delete);

pub fn at(topic: &TopicSpec) -> TopicPartition {
    TopicPartition { topic: topic.name, partition: 0 }
}

/// Children of transaction `n`: their number varies, so that a torn one would be noticed.
fn children(n: u64) -> u64 {
    n * 7 % 40
}

/// A log on which numbered transactions are written.
pub struct Ledger {
    pub log: Arc<EmbeddedLog>,
    producer: Box<dyn Producer>,
    consumer: Box<dyn Consumer>,
    /// Number of the last transaction that was acknowledged, or found.
    pub last: u64,
    /// Bytes of filling in each child.
    pub filling: usize,
}

impl Ledger {
    /// Opens the log, proves that what is there is whole, and goes on behind it.
    pub async fn open(config: EmbeddedConfig) -> Result<Self, LogError> {
        let log = EmbeddedLog::open(config).await?;
        log.ensure_topics(&[HEADERS, CHILDREN, CHECKPOINT, SOURCE], 1).await?;
        let last = verify(&log).await;
        let (producer, consumer) = Self::join(&log).await?;
        Ok(Self { log, producer, consumer, last, filling: 100 })
    }

    async fn join(log: &Arc<EmbeddedLog>) -> Result<(Box<dyn Producer>, Box<dyn Consumer>), LogError> {
        let mut consumer = log.consumer("ledger", "one", &[SOURCE.name]).await?;
        let limits = PollLimits { records: 1, bytes: 1, wait: Duration::from_secs(5) };
        assert!(matches!(consumer.poll(limits).await?, Polled::Assigned(list) if list.len() == 1));
        Ok((log.producer("ledger").await?, consumer))
    }

    /// Writes the next transaction.
    pub async fn write(&mut self) -> Result<(), LogError> {
        let n = self.last + 1;
        let record = |to: &TopicSpec, key: &str, value: String| NewRecord {
            to: at(to),
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            value: Some(value.into()),
            headers: Vec::new(),
        };
        let mut records = vec![record(&HEADERS, "net", n.to_string())];
        // Filling that does not compress, so that disks fill up.
        let noise = |i: u64| {
            let mut x = n.wrapping_mul(1000).wrapping_add(i).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut text = String::with_capacity(self.filling);
            while text.len() < self.filling {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                text.push_str(&format!("{x:016x}"));
            }
            text
        };
        records.extend((0..children(n)).map(|i| record(&CHILDREN, "net", format!("{n}/{i}/{}", noise(i)))));
        records.push(record(&CHECKPOINT, "net", n.to_string()));
        records.push(record(&CHECKPOINT, &format!("net#{}", n % 16), n.to_string()));
        let offsets = Some((self.consumer.group(), vec![(at(&SOURCE), n)]));
        self.producer.commit(Transaction { records, offsets }).await?;
        self.last = n;
        Ok(())
    }

    /// After an error: makes producer and member anew and reads the state again, as rule 10 asks.
    pub async fn recover(&mut self) -> Result<(), LogError> {
        let known = self.last;
        let (producer, consumer) = Self::join(&self.log).await?;
        (self.producer, self.consumer) = (producer, consumer);
        self.last = verify(&self.log).await;
        assert!(self.last >= known, "acknowledged up to {known}, found up to {}", self.last);
        Ok(())
    }

    /// Stores a position alone.
    pub async fn commit_position(&mut self) -> Result<(), LogError> {
        self.consumer.commit(vec![(at(&SOURCE), self.last)]).await
    }

    /// Ends everything and closes.
    pub async fn close(self) {
        drop((self.producer, self.consumer));
        self.log.close().await.expect("close");
    }
}

async fn all(log: &EmbeddedLog, topic: &TopicSpec) -> Vec<Record> {
    let ends = log.watermarks(at(topic)).await.expect("watermarks");
    let mut reader = log.reader(&[(at(topic), ends.low)]).await.expect("reader");
    let mut out: Vec<Record> = Vec::new();
    while out.last().map_or(ends.low, |r| r.offset + 1) < ends.high {
        match reader
            .poll(PollLimits { records: 10_000, bytes: 32 << 20, wait: Duration::from_secs(5) })
            .await
            .expect("poll")
        {
            Polled::Records(records) => {
                assert!(
                    !records.is_empty(),
                    "{}: nothing behind {:?} of {ends:?}",
                    topic.name,
                    out.last().map(|r| r.offset)
                );
                out.extend(records);
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    out
}

/// Proves that transactions 1 to n are there, each whole and once, and nothing else. Returns n.
pub async fn verify(log: &EmbeddedLog) -> u64 {
    let text = |r: &Record| String::from_utf8(r.value.clone().unwrap_or_default().to_vec()).expect("text");
    let headers = all(log, &HEADERS).await;
    let n = headers.len() as u64;
    assert!(headers.iter().enumerate().all(|(i, r)| text(r) == (i + 1).to_string()), "headers 1 to {n}");
    let wanted = (1..=n).flat_map(|n| (0..children(n)).map(move |i| format!("{n}/{i}/")));
    let found = all(log, &CHILDREN).await;
    assert_eq!(found.len() as u64, (1..=n).map(children).sum::<u64>(), "children of 1 to {n}");
    assert!(found.iter().zip(wanted).all(|(r, w)| text(r).starts_with(&w)), "children in order");
    let checkpoints = all(log, &CHECKPOINT).await;
    let newest = |key: &str| checkpoints.iter().rev().find(|r| r.key.as_deref() == Some(key.as_bytes())).map(text);
    assert_eq!(newest("net"), (n > 0).then(|| n.to_string()), "checkpoint");
    assert_eq!(checkpoints.len() as u64, if n == 0 { 0 } else { 1 + n.min(16) }, "one record per key");
    for m in n.saturating_sub(15).max(1)..=n {
        assert_eq!(newest(&format!("net#{}", m % 16)), Some(m.to_string()), "ring");
    }
    let position = log.lag("ledger", &[SOURCE.name]).await.expect("lag")[0].position;
    assert_eq!(position, (n > 0).then_some(n), "position");
    n
}

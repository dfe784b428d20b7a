//! Records of one topic's partition that wait for those of the other topic.

use std::collections::VecDeque;

use schemas::{Network, headers::ChainHeaders};

use super::{BUFFER_BYTES, BUFFER_RECORDS, Halt};
use crate::log::Record;

/// What a record's headers say, or which network they spoil. The key names the network when the headers do not.
pub type Meta = Result<ChainHeaders, (Option<Network>, Halt)>;

fn meta_of(record: &Record) -> Meta {
    ChainHeaders::parse(|name| record.header(name)).map_err(|e| {
        let key = record.key.as_deref().and_then(|k| std::str::from_utf8(k).ok());
        (key.and_then(|k| k.parse().ok()), Halt::BadHeaders { name: e.name, problem: e.problem })
    })
}

/// Records of one topic's partition that wait.
#[derive(Default)]
pub struct Queue {
    /// The records.
    pub records: VecDeque<(Record, Meta)>,
    bytes: usize,
    /// One past the last record that was taken out.
    pub next: Option<u64>,
    /// Whether the consumer was asked to pause it.
    pub paused: bool,
}

impl Queue {
    /// Takes a record in.
    pub fn push(&mut self, record: Record) {
        self.bytes += size(&record);
        let meta = meta_of(&record);
        self.records.push_back((record, meta));
    }
    /// Takes the record in front out.
    pub fn pop(&mut self) -> Option<Record> {
        let (record, _) = self.records.pop_front()?;
        self.bytes -= size(&record);
        self.next = Some(record.offset + 1);
        Some(record)
    }
    /// What is known of the readable records, in order.
    pub fn metas(&self) -> impl Iterator<Item = &ChainHeaders> {
        self.records.iter().filter_map(|(_, meta)| meta.as_ref().ok())
    }
    /// Whether no more should come.
    pub fn is_full(&self) -> bool {
        self.bytes >= BUFFER_BYTES || self.records.len() >= BUFFER_RECORDS
    }
    /// Whether more may come again.
    pub fn is_low(&self) -> bool {
        self.bytes < BUFFER_BYTES / 2 && self.records.len() < BUFFER_RECORDS / 2
    }
}

fn size(record: &Record) -> usize {
    256 + record.value.as_ref().map_or(0, bytes::Bytes::len)
}

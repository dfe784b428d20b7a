//! Records of one topic's partition that wait for those of the other topic.

use std::collections::VecDeque;

use schemas::{
    Network,
    headers::{ChainHeaders, names},
    limits::{EVENTS_OWN_BYTES, FOREIGN_BYTES, FOREIGN_RECORDS},
};

use super::{BUFFER_BYTES, BUFFER_RECORDS, Halt};
use crate::log::{Record, foreign::pass_over};

/// What a record's headers say, or which network they spoil.
pub type Meta = Result<ChainHeaders, (Network, Halt)>;

/// The key names the network when the headers that only our programs write are there but cannot be used. A record without any
/// of them is not ours, whatever its key: an error.
pub fn meta_of(record: &Record, before: Option<&Network>) -> Result<Meta, Halt> {
    ChainHeaders::parse_near(|name| record.header(name), before).map(Ok).or_else(|e| {
        let why = Halt::BadHeaders { name: e.name, problem: e.problem };
        let ours = [names::SEQUENCE, names::OP].iter().any(|name| record.header(name).is_some());
        let key = record.key.as_deref().and_then(|k| std::str::from_utf8(k).ok());
        match key.and_then(|k| k.parse().ok()) {
            Some(network) if ours => Ok(Err((network, why))),
            _ => Err(why),
        }
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
    /// The same at the last event that was put together.
    pub handed: u64,
    /// Whether the consumer was asked to pause it.
    pub paused: bool,
}

impl Queue {
    /// Takes a record in; gives one back that belongs to no network.
    pub fn push(&mut self, record: Record) -> Option<(Record, Halt)> {
        let before = self.records.back().and_then(|(_, meta)| meta.as_ref().ok());
        match meta_of(&record, before.map(|meta| &meta.network)) {
            Ok(meta) => {
                self.bytes += size(&record);
                self.records.push_back((record, meta));
                None
            }
            Err(why) => Some((record, why)),
        }
    }
    /// Takes the record in front out.
    pub fn pop(&mut self) -> Option<Record> {
        let (record, _) = self.records.pop_front()?;
        self.bytes -= size(&record);
        self.next = Some(record.offset + 1);
        Some(record)
    }
    /// Takes the record in front out, of which no event will be made: since its network is halted, or since its event was handed
    /// out before and may still be worked on.
    pub fn pass_over(&mut self, halted: bool) -> bool {
        let popped = self.pop().is_some();
        if !halted {
            self.handed = self.next.unwrap_or(self.handed);
        }
        popped
    }
    /// What is known of the readable records, in order.
    pub fn metas(&self) -> impl Iterator<Item = &ChainHeaders> {
        self.records.iter().filter_map(|(_, meta)| meta.as_ref().ok())
    }
    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
    /// Whether no more should come; `tight`: all partitions together hold as much as they may.
    pub fn is_full(&self, tight: bool) -> bool {
        self.bytes >= most(tight) || self.records.len() >= BUFFER_RECORDS
    }
    /// Whether more may come again.
    pub fn is_low(&self, tight: bool) -> bool {
        self.bytes < most(tight) / 2 && self.records.len() < BUFFER_RECORDS / 2
    }
}

/// Records that belong to no network, until the next event takes them along. Bounded: what is too many is told and counted only.
#[derive(Default)]
pub struct Foreign {
    records: Vec<(Record, Halt)>,
    bytes: usize,
}

impl Foreign {
    /// Takes one in.
    pub fn push(&mut self, record: Record, why: Halt) {
        pass_over(&record, &why);
        if self.records.len() < FOREIGN_RECORDS && self.bytes + size(&record) <= FOREIGN_BYTES {
            self.bytes += size(&record);
            self.records.push((record, why));
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// All of them.
    pub fn take(&mut self) -> Vec<(Record, Halt)> {
        self.bytes = 0;
        std::mem::take(&mut self.records)
    }
}

fn most(tight: bool) -> usize {
    if tight { EVENTS_OWN_BYTES } else { BUFFER_BYTES }
}

fn size(record: &Record) -> usize {
    256 + record.value.as_ref().map_or(0, bytes::Bytes::len)
}

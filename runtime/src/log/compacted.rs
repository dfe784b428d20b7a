//! What a record of one of our compacted topics is to us (rule 13).
//!
//! Guarantee: whatever another program wrote is passed over and counted; what is ours and cannot be read concerns the network that
//! its key names and no other, and is never taken for absent: who goes on without it would write sequences twice. The newest record
//! of a key counts, as compaction would have it.

use bytes::Bytes;
use schemas::codec::{self, Codec, DecodeError};

use super::{Record, pass_over};

/// A record that stands under one of our keys.
#[derive(Debug, PartialEq)]
pub enum Found<R> {
    /// A value of ours.
    Ours(R),
    /// The key was removed.
    Removed,
    /// Another program's value: it says nothing, but compaction may have removed ours because of it.
    Foreign,
    /// A value of ours that this program cannot read, and why.
    Unreadable(String),
}

impl<R> Found<R> {
    /// A part of what was found; a value of another kind is not read from here.
    pub fn map<P>(self, part: impl FnOnce(R) -> Option<P>) -> Found<P> {
        match self {
            Self::Ours(found) => part(found).map_or(Found::Foreign, Found::Ours),
            Self::Removed => Found::Removed,
            Self::Foreign => Found::Foreign,
            Self::Unreadable(why) => Found::Unreadable(why),
        }
    }
}

/// Judges a record whose key has our shape.
pub fn judge<R: codec::Record>(codec: &Codec, record: &Record) -> Found<R> {
    let Some(value) = &record.value else { return Found::Removed };
    let why = match codec.decode::<R>(value) {
        Ok(found) if record.key.as_deref() == Some(found.key().as_bytes()) => return Found::Ours(found),
        Ok(found) => format!("its value belongs under the key `{}`", found.key()),
        Err(e @ (DecodeError::NotConfluent | DecodeError::WrongTopic { .. })) => e.to_string(),
        Err(e) => return Found::Unreadable(e.to_string()),
    };
    pass_over(record, &why);
    Found::Foreign
}

/// A key as text.
pub fn key(record: &Record) -> Option<&str> {
    record.key.as_ref().and_then(|k: &Bytes| std::str::from_utf8(k).ok())
}

/// What stands under a key once everything was read.
#[derive(Debug)]
pub struct Slot<R> {
    newest: Option<R>,
    unreadable: Option<String>,
    hidden: Option<String>,
}

impl<R> Default for Slot<R> {
    fn default() -> Self {
        Self { newest: None, unreadable: None, hidden: None }
    }
}

impl<R> Slot<R> {
    /// Takes the next record of the key.
    pub fn put(&mut self, record: &Record, found: Found<R>) {
        let from = record.from;
        let place = || format!("{} [{}] at offset {}", from.topic, from.partition, record.offset);
        match found {
            Found::Ours(found) => *self = Self { newest: Some(found), ..Self::default() },
            Found::Removed => *self = Self::default(),
            Found::Unreadable(why) => {
                *self = Self { unreadable: Some(format!("{}: {why}", place())), ..Self::default() };
            }
            Found::Foreign => self.hidden = Some(place()),
        }
    }

    /// The newest value of ours.
    pub fn peek(&self) -> Option<&R> {
        self.newest.as_ref()
    }

    /// The newest value of ours.
    pub fn newest(self) -> Option<R> {
        self.newest
    }

    /// Where the newest value of ours stands and why it cannot be read, if that is so.
    pub fn unreadable(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }

    /// Where another program's value stands that no value of ours is left beside.
    pub fn hidden(&self) -> Option<&str> {
        self.hidden.as_deref().filter(|_| self.newest.is_none() && self.unreadable.is_none())
    }
}

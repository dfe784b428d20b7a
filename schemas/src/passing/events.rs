//! Logs of one applied block as records of their own, written from where they lie.

use bytes::Bytes;

use super::{Decoded, HASH_ITEM, LogView, View, begin, put_event};
use crate::{
    codec::Codec,
    envelope::ChildEnvelope,
    topics,
    wire::{Columns, envelopes::ChildRow, input::put_long},
};

/// Writes the events of one applied block for `enriched.events`: the same bytes as [`Codec::encode`] of their records.
pub struct Events {
    /// How each value begins.
    begin: Vec<u8>,
    /// Kept from one value to the next, which then has no byte too many.
    out: Vec<u8>,
}

impl Events {
    /// For the events of a block with this envelope.
    pub fn new(codec: &Codec, envelope: &ChildEnvelope) -> Self {
        let mut first = begin(codec.id_of(topics::ENRICHED_EVENTS.name).unwrap_or_default()).to_vec();
        ChildRow::put(envelope, &mut first);
        Self { begin: first, out: Vec::new() }
    }

    /// The value of a transaction's log, with its event where that is known. `None`: it takes more than `limit` bytes.
    pub fn value(
        &mut self,
        transaction: &View<'_>,
        log: &LogView<'_>,
        event: Option<Decoded<'_>>,
        limit: usize,
    ) -> Option<Bytes> {
        let out = &mut self.out;
        out.clear();
        out.extend_from_slice(&self.begin);
        put_number(transaction.figures.transaction_index, out);
        put_digits(transaction.hash, out);
        put_number(log.index, out);
        put_digits(log.address, out);
        out.push(2);
        if !log.topics.is_empty() {
            put_long((log.topics.len() / HASH_ITEM) as i64, out);
            out.extend_from_slice(log.topics);
        }
        out.push(0);
        put_digits(log.data, out);
        put_event(event, out);
        out.push(0); // no error
        (out.len() <= limit).then(|| Bytes::copy_from_slice(out))
    }
}

fn put_number(n: u32, out: &mut Vec<u8>) {
    out.push(2);
    put_long(i64::from(n), out);
}

fn put_digits(digits: &[u8], out: &mut Vec<u8>) {
    out.push(2);
    put_long(2 + digits.len() as i64, out);
    out.extend_from_slice(b"0x");
    out.extend_from_slice(digits);
}

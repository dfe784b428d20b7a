//! How records lie on disk: up to [`BLOB_RECORDS`] consecutive records of one partition as one compressed blob.
//!
//! Guarantee: what [`decode`] returns is what [`Encoder`] was given, or an error: a checksum covers all but the time of writing, and
//! every length is checked before it is used.
//!
//! ```text
//! version u8 = 2 | flags u8 (1: lz4, 2: hex packed before) | records u32 | bytes of the records u32 | written at, ms i64
//!     | xxh3 u64 | bytes before lz4 u32
//! records: per record  key, value, header count, headers (name, value)
//!          lengths are LEB128; a missing key or value is length 0, a present one its length + 1
//! ```
//!
//! Version 1, which is read as well, had no packing and nothing behind the xxh3, which was of the payload alone.

use std::borrow::Cow;

use bytes::Bytes;
use schemas::TimeMs;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{
    super::{Headers, NewRecord, Record, TopicPartition, header_name},
    pack::{pack, unpack},
};

/// Records in one blob, at most.
pub const BLOB_RECORDS: usize = 256;
/// Payload bytes after which a blob is closed.
pub const BLOB_BYTES: usize = 1 << 20;
const VERSION: u8 = 2;
const LZ4: u8 = 1;
/// Hex text was packed before ([`pack`]).
const PACKED: u8 = 2;
const HEADER: usize = FORMER_HEADER + 4;
/// Of version 1.
const FORMER_HEADER: usize = 1 + 1 + 4 + 4 + 8 + 8;

/// Why a blob cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// Shorter than its header or its contents say.
    #[error("is cut short")]
    Short,
    /// Written by a newer version.
    #[error("has the unknown version {0}")]
    Version(u8),
    /// The checksum does not match.
    #[error("does not match its checksum")]
    Checksum,
    /// The payload does not decompress or parse.
    #[error("is malformed")]
    Malformed,
}

/// Collects the payload of one blob after the other, in the same buffers.
#[derive(Default)]
pub struct Encoder {
    raw: Vec<u8>,
    packed: Vec<u8>,
    compressed: Vec<u8>,
    records: u32,
}

/// Appends a length, LEB128.
pub(super) fn put_len(out: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn put_optional(out: &mut Vec<u8>, bytes: Option<&Bytes>) {
    match bytes {
        None => put_len(out, 0),
        Some(b) => {
            put_len(out, b.len() + 1);
            out.extend_from_slice(b);
        }
    }
}

impl Encoder {
    /// Adds a record.
    pub fn push(&mut self, record: &NewRecord) {
        put_optional(&mut self.raw, record.key.as_ref());
        put_optional(&mut self.raw, record.value.as_ref());
        put_len(&mut self.raw, record.headers.len());
        for (name, value) in &record.headers {
            put_len(&mut self.raw, name.len());
            self.raw.extend_from_slice(name.as_bytes());
            put_len(&mut self.raw, value.len());
            self.raw.extend_from_slice(value);
        }
        self.records += 1;
    }

    /// Number of records so far.
    pub fn len(&self) -> usize {
        self.records as usize
    }

    /// Whether the blob should be closed before another record.
    pub fn is_full(&self) -> bool {
        self.len() >= BLOB_RECORDS || self.raw.len() >= BLOB_BYTES
    }

    /// Closes the blob; the next record begins another. The time of writing is filled in later, by [`stamp`].
    pub fn finish(&mut self) -> Vec<u8> {
        self.packed.clear();
        let packs = pack(&self.raw, &mut self.packed);
        let plain = if packs { &self.packed } else { &self.raw };
        let most = lz4_flex::block::get_maximum_output_size(plain.len());
        if self.compressed.len() < most {
            self.compressed.resize(most, 0);
        }
        let compressed = lz4_flex::block::compress_into(plain, &mut self.compressed).unwrap_or(usize::MAX);
        let compresses = compressed < plain.len();
        let payload = if compresses { &self.compressed[..compressed] } else { plain.as_slice() };
        let flags = if compresses { LZ4 } else { 0 } | if packs { PACKED } else { 0 };
        let mut out = Vec::with_capacity(HEADER + payload.len());
        out.push(VERSION);
        out.push(flags);
        out.extend_from_slice(&self.records.to_le_bytes());
        out.extend_from_slice(&(self.raw.len() as u32).to_le_bytes());
        let plain_len = (plain.len() as u32).to_le_bytes();
        let checksum = checksum(&out, plain_len, payload);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&plain_len);
        out.extend_from_slice(payload);
        self.raw.clear();
        self.records = 0;
        out
    }
}

/// Over the payload and what says how to read it: all that stands before the time of writing, and the length before lz4.
fn checksum(before_time: &[u8], plain_len: [u8; 4], payload: &[u8]) -> u64 {
    xxh3_64_with_seed(payload, xxh3_64(&[before_time, &plain_len].concat()))
}

/// Writes the time of writing into a finished blob.
pub fn stamp(blob: &mut [u8], at: TimeMs) {
    blob[10..18].copy_from_slice(&at.0.to_le_bytes());
}

fn array<const N: usize>(blob: &[u8], at: usize) -> Result<[u8; N], BlobError> {
    blob.get(at..at + N).and_then(|s| s.try_into().ok()).ok_or(BlobError::Short)
}

/// The records of a blob, in order; the first has offset `base`.
pub fn decode(blob: &[u8], from: TopicPartition, base: u64) -> Result<Vec<Record>, BlobError> {
    let [version, flags] = array(blob, 0)?;
    let (header, known) = match version {
        1 => (FORMER_HEADER, LZ4),
        VERSION => (HEADER, LZ4 | PACKED),
        other => return Err(BlobError::Version(other)),
    };
    if flags & !known != 0 {
        return Err(BlobError::Malformed);
    }
    let records = u32::from_le_bytes(array(blob, 2)?) as usize;
    let raw_len = u32::from_le_bytes(array(blob, 6)?) as usize;
    let timestamp = TimeMs(i64::from_le_bytes(array(blob, 10)?));
    let told = u64::from_le_bytes(array(blob, 18)?);
    let payload = blob.get(header..).ok_or(BlobError::Short)?;
    let (plain_len, found) = if version == 1 {
        (raw_len, xxh3_64(payload))
    } else {
        let plain_len = array(blob, FORMER_HEADER)?;
        (u32::from_le_bytes(plain_len) as usize, checksum(&blob[..10], plain_len, payload))
    };
    if found != told {
        return Err(BlobError::Checksum);
    }
    let plain = if flags & LZ4 != 0 {
        Cow::Owned(lz4_flex::block::decompress(payload, plain_len).map_err(|_| BlobError::Malformed)?)
    } else {
        Cow::Borrowed(payload)
    };
    if plain.len() != plain_len {
        return Err(BlobError::Malformed);
    }
    let raw = if flags & PACKED != 0 {
        Bytes::from(unpack(&plain, raw_len).ok_or(BlobError::Malformed)?)
    } else {
        Bytes::from(plain.into_owned())
    };
    if raw.len() != raw_len {
        return Err(BlobError::Malformed);
    }
    let mut cursor = Cursor { raw: &raw, at: 0 };
    let mut out = Vec::with_capacity(records.min(BLOB_RECORDS));
    for i in 0..records {
        let key = cursor.optional()?;
        let value = cursor.optional()?;
        let count = cursor.len()?;
        let mut headers = Headers::with_capacity(count.min(16));
        for _ in 0..count {
            let n = cursor.len()?;
            let name = cursor.take(n)?;
            let name = header_name(std::str::from_utf8(&name).map_err(|_| BlobError::Malformed)?);
            let n = cursor.len()?;
            headers.push((name, cursor.take(n)?));
        }
        out.push(Record { from, offset: base + i as u64, timestamp, key, value, headers });
    }
    if cursor.at == raw.len() { Ok(out) } else { Err(BlobError::Malformed) }
}

struct Cursor<'a> {
    raw: &'a Bytes,
    at: usize,
}

impl Cursor<'_> {
    fn len(&mut self) -> Result<usize, BlobError> {
        let mut n = 0usize;
        for shift in (0..35).step_by(7) {
            let b = *self.raw.get(self.at).ok_or(BlobError::Malformed)?;
            self.at += 1;
            n |= usize::from(b & 0x7f) << shift;
            if b < 0x80 {
                return Ok(n);
            }
        }
        Err(BlobError::Malformed)
    }
    fn take(&mut self, n: usize) -> Result<Bytes, BlobError> {
        let end = self.at.checked_add(n).filter(|e| *e <= self.raw.len()).ok_or(BlobError::Malformed)?;
        let bytes = self.raw.slice(self.at..end);
        self.at = end;
        Ok(bytes)
    }
    fn optional(&mut self) -> Result<Option<Bytes>, BlobError> {
        match self.len()? {
            0 => Ok(None),
            n => self.take(n - 1).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    const AT: TopicPartition = TopicPartition { topic: "raw.blocks", partition: 3 };

    fn bytes() -> impl Strategy<Value = Bytes> {
        let hex = "(0x[0-9a-f]{0,80}|[a-z]{0,9}){0,6}";
        prop_oneof![prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from), hex.prop_map(Bytes::from)]
    }
    fn record() -> impl Strategy<Value = NewRecord> {
        let headers = prop::collection::vec(("[a-z_]{1,12}".prop_map(|n| Arc::from(n.as_str())), bytes()), 0..5);
        (prop::option::of(bytes()), prop::option::of(bytes()), headers).prop_map(|(key, value, headers)| NewRecord {
            to: AT,
            key,
            value,
            headers,
        })
    }
    fn encode(records: &[NewRecord], at: TimeMs) -> Vec<u8> {
        let mut encoder = Encoder::default();
        records.iter().for_each(|r| encoder.push(r));
        let mut blob = encoder.finish();
        stamp(&mut blob, at);
        blob
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(records in prop::collection::vec(record(), 0..40), base in 0u64..1 << 40) {
            let read = decode(&encode(&records, TimeMs(42)), AT, base).unwrap();
            prop_assert_eq!(read.len(), records.len());
            for (i, (r, w)) in read.iter().zip(&records).enumerate() {
                prop_assert_eq!(r.offset, base + i as u64);
                prop_assert_eq!(r.timestamp, TimeMs(42));
                prop_assert_eq!((&r.key, &r.value, &r.headers), (&w.key, &w.value, &w.headers));
            }
        }

        #[test]
        fn what_the_first_version_wrote_is_read(records in prop::collection::vec(record(), 0..40), lz4: bool) {
            let mut encoder = Encoder::default();
            records.iter().for_each(|r| encoder.push(r));
            let raw = encoder.raw;
            let payload = if lz4 { lz4_flex::block::compress(&raw) } else { raw.clone() };
            let mut blob = vec![1, u8::from(lz4)];
            blob.extend_from_slice(&(records.len() as u32).to_le_bytes());
            blob.extend_from_slice(&(raw.len() as u32).to_le_bytes());
            blob.extend_from_slice(&42i64.to_le_bytes());
            blob.extend_from_slice(&xxh3_64(&payload).to_le_bytes());
            blob.extend_from_slice(&payload);
            let read = decode(&blob, AT, 0).unwrap();
            prop_assert_eq!(read.len(), records.len());
            for (r, w) in read.iter().zip(&records) {
                prop_assert_eq!((&r.key, &r.value, &r.headers), (&w.key, &w.value, &w.headers));
            }
            // Packing is not of that version.
            blob[1] |= PACKED;
            prop_assert_eq!(decode(&blob, AT, 0).err(), Some(BlobError::Malformed));
        }

        #[test]
        fn a_changed_byte_is_noticed_or_harmless(records in prop::collection::vec(record(), 1..10), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut blob = encode(&records, TimeMs(42));
            let at = at.index(blob.len());
            blob[at] ^= 1 << bit;
            // The time of writing is outside the checksum; everything else must be noticed.
            if !(10..18).contains(&at) {
                prop_assert!(decode(&blob, AT, 0).is_err());
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(blob in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&blob, AT, 0);
        }
    }
}

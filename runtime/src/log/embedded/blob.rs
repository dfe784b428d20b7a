//! How records lie on disk: up to [`BLOB_RECORDS`] consecutive records of one partition as one compressed blob.
//!
//! Guarantee: what [`decode`] returns is what [`Encoder`] was given, or an error: a checksum covers the payload, and every
//! length is checked before it is used.
//!
//! ```text
//! version u8 = 1 | flags u8 (1: lz4) | records u32 | payload bytes before compression u32 | written at, ms i64 | xxh3 u64
//! payload: per record  key, value, header count, headers (name, value)
//!          lengths are LEB128; a missing key or value is length 0, a present one its length + 1
//! ```

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use schemas::{TimeMs, headers::names};
use xxhash_rust::xxh3::xxh3_64;

use super::super::{Headers, NewRecord, Record, TopicPartition};

/// Records in one blob, at most.
pub const BLOB_RECORDS: usize = 256;
/// Payload bytes after which a blob is closed.
pub const BLOB_BYTES: usize = 1 << 20;
const VERSION: u8 = 1;
const LZ4: u8 = 1;
const HEADER: usize = 1 + 1 + 4 + 4 + 8 + 8;

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
    records: u32,
}

fn put_len(out: &mut Vec<u8>, mut n: usize) {
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
        let most = lz4_flex::block::get_maximum_output_size(self.raw.len());
        if self.packed.len() < most {
            self.packed.resize(most, 0);
        }
        let packed = lz4_flex::block::compress_into(&self.raw, &mut self.packed).unwrap_or(usize::MAX);
        let (flags, payload) =
            if packed < self.raw.len() { (LZ4, &self.packed[..packed]) } else { (0, self.raw.as_slice()) };
        let mut out = Vec::with_capacity(HEADER + payload.len());
        out.push(VERSION);
        out.push(flags);
        out.extend_from_slice(&self.records.to_le_bytes());
        out.extend_from_slice(&(self.raw.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&xxh3_64(payload).to_le_bytes());
        out.extend_from_slice(payload);
        self.raw.clear();
        self.records = 0;
        out
    }
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
    if version != VERSION {
        return Err(BlobError::Version(version));
    }
    if flags & !LZ4 != 0 {
        return Err(BlobError::Malformed);
    }
    let records = u32::from_le_bytes(array(blob, 2)?) as usize;
    let raw_len = u32::from_le_bytes(array(blob, 6)?) as usize;
    let timestamp = TimeMs(i64::from_le_bytes(array(blob, 10)?));
    let checksum = u64::from_le_bytes(array(blob, 18)?);
    let payload = &blob[HEADER..];
    if xxh3_64(payload) != checksum {
        return Err(BlobError::Checksum);
    }
    let raw = if flags & LZ4 != 0 {
        Bytes::from(lz4_flex::block::decompress(payload, raw_len).map_err(|_| BlobError::Malformed)?)
    } else {
        Bytes::copy_from_slice(payload)
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
            let name = intern(std::str::from_utf8(&name).map_err(|_| BlobError::Malformed)?);
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

/// Header names are few: the known ones are shared instead of allocated per record.
fn intern(name: &str) -> Arc<str> {
    static KNOWN: OnceLock<Vec<Arc<str>>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        [names::NETWORK, names::SEQUENCE, names::OP, names::INDEX, names::TX_COUNT, names::LOG_COUNT]
            .map(Arc::from)
            .to_vec()
    });
    known.iter().find(|k| &***k == name).cloned().unwrap_or_else(|| name.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT: TopicPartition = TopicPartition { topic: "raw.blocks", partition: 3 };

    fn bytes() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from)
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

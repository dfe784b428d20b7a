//! Compression of bodies and answers: `Content-Encoding` (lz4 frames, gzip, deflate) and ClickHouse's own blocks
//! (`decompress=1`, `compress=1`: CityHash128, method, sizes, lz4).
//!
//! Guarantee: what is decompressed is bounded, in all and per block, before memory is taken for it; a block whose checksum is
//! wrong is refused.

use super::error::{Code, Failure};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use hyper::HeaderMap;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderName};
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use schemas::limits::store::COMPRESSED_BLOCK_BYTES;
use std::io::{self, Read, Write};

/// An HTTP content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Lz4,
    Gzip,
    Deflate,
}

impl Coding {
    fn parse(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "lz4" => Some(Self::Lz4),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// Its name in `Content-Encoding`, `None` for identity.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Lz4 => Some("lz4"),
            Self::Gzip => Some("gzip"),
            Self::Deflate => Some("deflate"),
        }
    }

    /// The coding of a request's body.
    pub fn of_body(headers: &HeaderMap) -> Result<Self, Failure> {
        let name = text(headers, &CONTENT_ENCODING);
        Self::parse(&name).ok_or_else(|| {
            Code::NotImplemented
                .failure(format!("Content-Encoding {name} is not supported: send lz4, gzip, deflate or none"))
        })
    }

    /// The coding of the answer: the first of lz4, gzip and deflate that the client accepts.
    pub fn accepted(headers: &HeaderMap) -> Self {
        let accepted = text(headers, &ACCEPT_ENCODING);
        let offered = |coding: &Self| {
            accepted.split(',').any(|offer| {
                let (name, quality) = offer.split_once(';').unwrap_or((offer, ""));
                let refused = quality.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0f32));
                !refused && !name.trim().is_empty() && Self::parse(name) == Some(*coding)
            })
        };
        [Self::Lz4, Self::Gzip, Self::Deflate].into_iter().find(offered).unwrap_or(Self::Identity)
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).unwrap_or_default()
}

/// A body as the statement's text and data: decoded, and at most `limit` bytes of it.
pub(super) fn decoded<'r>(body: impl Read + 'r, coding: Coding, blocks: bool, limit: u64) -> Box<dyn Read + 'r> {
    let plain: Box<dyn Read + 'r> = match coding {
        Coding::Identity => Box::new(body),
        Coding::Lz4 => Box::new(FrameDecoder::new(body)),
        Coding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(body)),
        Coding::Deflate => Box::new(flate2::read::ZlibDecoder::new(body)),
    };
    if blocks {
        Box::new(Limited { inner: BlockReader { inner: plain, block: Vec::new(), at: 0 }, left: limit })
    } else {
        Box::new(Limited { inner: plain, left: limit })
    }
}

/// The error inside an `io::Error` by which a reader says that a body is too large.
#[derive(Debug, thiserror::Error)]
#[error("the body is larger than the store accepts")]
pub(super) struct TooLarge;

struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| io::Error::other(TooLarge))?;
        Ok(n)
    }
}

const CHECKSUM: usize = 16;
const HEADER: usize = 9;
const LZ4: u8 = 0x82;
const STORED: u8 = 0x02;

/// ClickHouse's own blocks.
struct BlockReader<R> {
    inner: R,
    block: Vec<u8>,
    at: usize,
}

impl<R: Read> BlockReader<R> {
    /// Reads the next block; false at the end of the body.
    fn next(&mut self) -> io::Result<bool> {
        let mut head = [0u8; CHECKSUM + HEADER];
        match self.inner.read(&mut head[..1])? {
            0 => return Ok(false),
            _ => self.inner.read_exact(&mut head[1..])?,
        }
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        let (method, packed, plain) = (head[CHECKSUM], number(CHECKSUM + 1), number(CHECKSUM + 5));
        if !(HEADER..=COMPRESSED_BLOCK_BYTES).contains(&packed) || plain > COMPRESSED_BLOCK_BYTES {
            return Err(invalid("a compressed block has an impossible size"));
        }
        let mut block = Vec::with_capacity(packed.min(1 << 20));
        block.extend_from_slice(&head[CHECKSUM..]);
        (&mut self.inner).take((packed - HEADER) as u64).read_to_end(&mut block)?;
        if block.len() != packed {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if checksum(&block) != head[..CHECKSUM] {
            return Err(invalid("the checksum of a compressed block is wrong"));
        }
        self.at = 0;
        self.block = match method {
            LZ4 => lz4_flex::block::decompress(&block[HEADER..], plain).map_err(|e| invalid(&e.to_string()))?,
            STORED => block.split_off(HEADER),
            _ => return Err(invalid("a block is compressed with another method than lz4")),
        };
        if self.block.len() != plain {
            return Err(invalid("a compressed block has another size than it says"));
        }
        Ok(true)
    }
}

impl<R: Read> Read for BlockReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.next()? {
                return Ok(0);
            }
        }
        let n = out.len().min(self.block.len() - self.at);
        out[..n].copy_from_slice(&self.block[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// CityHash128 (1.0.2, the version that ClickHouse froze), low half first.
fn checksum(block: &[u8]) -> [u8; CHECKSUM] {
    cityhash_rs::cityhash_102_128(block).rotate_right(64).to_le_bytes()
}

/// Encodes an answer piece by piece: every piece can be decoded when it arrives.
pub(super) enum Encoder {
    Identity,
    Blocks,
    Lz4(Box<FrameEncoder<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
}

impl Encoder {
    pub fn new(coding: Coding, blocks: bool) -> Self {
        match coding {
            _ if blocks => Self::Blocks,
            Coding::Identity => Self::Identity,
            Coding::Lz4 => Self::Lz4(Box::new(FrameEncoder::new(Vec::new()))),
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Coding::Deflate => Self::Deflate(ZlibEncoder::new(Vec::new(), Compression::fast())),
        }
    }

    /// One piece.
    pub fn piece(&mut self, piece: Bytes) -> io::Result<Bytes> {
        Ok(match self {
            Self::Identity => piece,
            Self::Blocks => piece.chunks(1 << 20).flat_map(pack).collect(),
            Self::Lz4(encoder) => {
                encoder.write_all(&piece)?;
                encoder.flush()?;
                std::mem::take(encoder.get_mut()).into()
            }
            Self::Gzip(encoder) => {
                encoder.write_all(&piece)?;
                encoder.flush()?;
                std::mem::take(encoder.get_mut()).into()
            }
            Self::Deflate(encoder) => {
                encoder.write_all(&piece)?;
                encoder.flush()?;
                std::mem::take(encoder.get_mut()).into()
            }
        })
    }

    /// What ends the encoding.
    pub fn end(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Identity | Self::Blocks => Bytes::new(),
            Self::Lz4(encoder) => encoder.finish()?.into(),
            Self::Gzip(encoder) => encoder.finish()?.into(),
            Self::Deflate(encoder) => encoder.finish()?.into(),
        })
    }
}

fn pack(plain: &[u8]) -> Vec<u8> {
    let data = lz4_flex::block::compress(plain);
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes(); // pieces are a mebibyte
    let mut block = vec![0u8; CHECKSUM];
    block.push(LZ4);
    block.extend_from_slice(&size(data.len() + HEADER));
    block.extend_from_slice(&size(plain.len()));
    block.extend_from_slice(&data);
    let sum = checksum(&block[CHECKSUM..]);
    block[..CHECKSUM].copy_from_slice(&sum);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        (0..300_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect()
    }

    #[test]
    fn every_coding_comes_back_as_it_was() {
        let plain = sample();
        for (coding, blocks) in [
            (Coding::Identity, false),
            (Coding::Identity, true),
            (Coding::Lz4, false),
            (Coding::Gzip, false),
            (Coding::Deflate, false),
        ] {
            let mut encoder = Encoder::new(coding, blocks);
            let mut wire = Vec::new();
            for piece in plain.chunks(123_457) {
                wire.extend_from_slice(&encoder.piece(Bytes::copy_from_slice(piece)).expect("piece"));
            }
            wire.extend_from_slice(&encoder.end().expect("end"));
            let mut back = Vec::new();
            decoded(&wire[..], coding, blocks, u64::MAX).read_to_end(&mut back).expect("decoded");
            assert!(back == plain, "{coding:?} {blocks}");
        }
    }

    #[test]
    fn a_flipped_bit_and_an_impossible_size_are_refused() {
        let mut wire = pack(b"some data that compresses, some data that compresses");
        wire[30] ^= 1;
        let read = |wire: &[u8]| decoded(wire, Coding::Identity, true, u64::MAX).read_to_end(&mut Vec::new());
        assert!(read(&wire).expect_err("flipped").to_string().contains("checksum"));
        let mut huge = pack(b"x");
        huge[21..25].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(read(&huge).expect_err("huge").to_string().contains("impossible size"));
        let cut = pack(b"x");
        assert_eq!(read(&cut[..cut.len() - 1]).expect_err("cut").kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_small_body_that_grows_is_cut_off_at_the_limit() {
        let mut encoder = Encoder::new(Coding::Gzip, false);
        let mut wire = encoder.piece(Bytes::from(vec![0u8; 4 << 20])).expect("piece").to_vec();
        wire.extend_from_slice(&encoder.end().expect("end"));
        assert!(wire.len() < 64 << 10);
        let error = decoded(&wire[..], Coding::Gzip, false, 1 << 20).read_to_end(&mut Vec::new()).expect_err("bomb");
        assert!(error.get_ref().is_some_and(|inner| inner.is::<TooLarge>()));
    }

    #[test]
    fn the_best_offered_coding_is_taken() {
        let accepted = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, value.parse().expect("value"));
            Coding::accepted(&headers)
        };
        assert_eq!(accepted("lz4,br,gzip,deflate"), Coding::Lz4);
        assert_eq!(accepted("gzip;q=0.8, deflate"), Coding::Gzip);
        assert_eq!(accepted("br, zstd"), Coding::Identity);
        assert_eq!(accepted("gzip;q=0"), Coding::Identity);
    }
}

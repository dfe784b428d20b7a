//! Where things lie in a block's bytes (Bitcoin Core's serialization, BIP-144). Pure.
//!
//! Guarantee: every read is checked against what is left, a compact size is the shortest of its value, as Core wants it, and no count is
//! believed that the bytes left could not hold.

use std::ops::Range;

use schemas::limits::bitcoin as limits;

use super::merkle::double_sha256;
use crate::error::NodeErrorKind;

/// Bytes of the smallest transaction that there can be: one input and one output without scripts.
pub(super) const SMALLEST_TRANSACTION: usize = 60;
/// Bytes of the smallest input and output.
const SMALLEST: (usize, usize) = (41, 9);
/// What a script of a witness commitment begins with (BIP-141): OP_RETURN, 36 bytes, its mark.
const COMMITMENT: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// Why bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread(String);

impl Unread {
    /// With what was read.
    pub fn of(self, what: &str) -> NodeErrorKind {
        NodeErrorKind::Malformed(format!("{what}: {}", self.0))
    }
}

impl From<Unread> for NodeErrorKind {
    fn from(unread: Unread) -> Self {
        Self::Malformed(unread.0)
    }
}

/// A place in bytes.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At their beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes before it.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Bytes after it.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The bytes between two places that it was at.
    fn between(&self, range: Range<usize>) -> &'a [u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// The next so many bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Unread> {
        let end = self.at.checked_add(length);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| Unread(format!("{length} bytes at {} and {} left", self.at, self.left())))?;
        self.at += length;
        Ok(taken)
    }

    /// The same, as many as an array has.
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Unread> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| Unread(format!("no {N} bytes at {at}")))
    }

    fn byte(&mut self) -> Result<u8, Unread> {
        self.array::<1>().map(|[byte]| *byte)
    }

    /// A number of eight bytes.
    pub fn u64(&mut self) -> Result<u64, Unread> {
        self.array().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// A compact size.
    pub fn compact(&mut self) -> Result<u64, Unread> {
        let at = self.at;
        let (value, least) = match self.byte()? {
            0xfd => (u64::from(u16::from_le_bytes(*self.array()?)), 0xfd),
            0xfe => (u64::from(u32::from_le_bytes(*self.array()?)), 0x1_0000),
            0xff => (self.u64()?, 0x1_0000_0000),
            small => (u64::from(small), 0),
        };
        if value < least {
            return Err(Unread(format!("the size {value} at {at} is not written in its shortest form")));
        }
        Ok(value)
    }

    /// A count of things, at most so many.
    pub fn count(&mut self, most: usize, of: &str) -> Result<usize, Unread> {
        let value = self.compact()?;
        let count = usize::try_from(value).ok().filter(|count| *count <= most);
        count.ok_or_else(|| Unread(format!("{value} {of}, more than {most}")))
    }

    /// Bytes with their length before them.
    pub fn sized(&mut self) -> Result<&'a [u8], Unread> {
        let length = self.compact()?;
        let length = usize::try_from(length).map_err(|_| Unread(format!("{length} bytes")))?;
        self.take(length)
    }

    /// A count of things that take at least so many bytes each.
    fn list(&mut self, smallest: usize, of: &str) -> Result<usize, Unread> {
        let most = self.left() / smallest;
        self.count(most, of)
    }
}

/// Where a transaction lies, and what is needed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// All of it.
    pub range: Range<usize>,
    /// Its id, as it is serialized.
    pub txid: [u8; 32],
    /// Inputs.
    pub inputs: usize,
    /// Where their count lies.
    inputs_at: usize,
    /// Where the outputs' count lies.
    outputs_at: usize,
    /// Satoshi of its outputs.
    pub output_value: u64,
    /// Where the script of its input lies, if it is a coinbase.
    pub coinbase: Option<Range<usize>>,
    /// Of a coinbase: the commitment to witnesses in its last output that has one (BIP-141).
    pub commitment: Option<[u8; 32]>,
    /// Of a coinbase: the witness of its input, where that is 32 bytes.
    pub reserved: Option<[u8; 32]>,
    witnesses: usize,
}

impl Piece {
    /// Bytes that BIP-144 adds: mark, flag and witnesses; 0 without them.
    pub fn witness_bytes(&self) -> usize {
        self.witnesses
    }

    /// Its hash with witnesses, as it is serialized; `raw` is the block.
    pub fn wtxid(&self, raw: &[u8]) -> [u8; 32] {
        match (self.witnesses, raw.get(self.range.clone())) {
            (1.., Some(bytes)) => double_sha256(&[bytes]),
            _ => self.txid,
        }
    }

    /// The height that a coinbase begins with (BIP-34): a push of a number, low byte first, or a number's own opcode.
    pub fn height(&self, raw: &[u8]) -> Option<u64> {
        let script = raw.get(self.coinbase.clone()?)?;
        let (first, rest) = script.split_first()?;
        match *first {
            0 => Some(0),
            small @ 0x51..=0x60 => Some(u64::from(small - 0x50)),
            length @ 1..=8 => {
                let number = rest.get(..usize::from(length))?;
                // The highest bit would be a sign.
                if number.last()? & 0x80 != 0 {
                    return None;
                }
                Some(number.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
            }
            _ => None,
        }
    }
}

/// Reads a transaction.
pub(super) fn piece(cursor: &mut Cursor<'_>) -> Result<Piece, Unread> {
    let start = cursor.at();
    cursor.take(4)?;
    let body = cursor.at();
    let marked = cursor.between(body..body + 2) == [0, 1];
    let body = if marked { body + 2 } else { body };
    if marked {
        cursor.take(2)?;
    }
    let (inputs, coinbase) = read_inputs(cursor)?;
    let outputs_at = cursor.at();
    let (output_value, commitment) = read_outputs(cursor, coinbase.is_some())?;
    let end = cursor.at();
    let reserved = if marked { read_witnesses(cursor, inputs)? } else { None };
    let lock_time = cursor.at();
    cursor.take(4)?;
    let range = start..cursor.at();
    let txid = double_sha256(&[
        cursor.between(start..start + 4),
        cursor.between(body..end),
        cursor.between(lock_time..lock_time + 4),
    ]);
    let witnesses = if marked { 2 + (lock_time - end) } else { 0 };
    let reserved = reserved.filter(|_| coinbase.is_some());
    Ok(Piece {
        range,
        txid,
        inputs,
        inputs_at: body,
        outputs_at,
        output_value,
        coinbase,
        commitment,
        reserved,
        witnesses,
    })
}

/// What its inputs spend, in their order: a transaction's id, as it is serialized, and which of its outputs. `raw` is the block.
pub(super) fn outpoints(raw: &[u8], piece: &Piece) -> Result<Vec<([u8; 32], u32)>, Unread> {
    let mut cursor = Cursor { bytes: raw, at: piece.inputs_at };
    let count = cursor.list(SMALLEST.0, "inputs")?;
    let mut outpoints = Vec::with_capacity(count);
    for _ in 0..count {
        let txid = *cursor.array::<32>()?;
        outpoints.push((txid, u32::from_le_bytes(*cursor.array()?)));
        cursor.sized()?;
        cursor.take(4)?;
    }
    Ok(outpoints)
}

/// Its outputs, in their order: satoshi, and where the script lies. `raw` is the block.
pub(super) fn outputs(raw: &[u8], piece: &Piece) -> Result<Vec<(u64, Range<usize>)>, Unread> {
    let mut cursor = Cursor { bytes: raw, at: piece.outputs_at };
    let count = cursor.list(SMALLEST.1, "outputs")?;
    let mut outputs = Vec::with_capacity(count);
    for _ in 0..count {
        let value = cursor.u64()?;
        let script = cursor.sized()?.len();
        outputs.push((value, cursor.at() - script..cursor.at()));
    }
    Ok(outputs)
}

/// How many there are, and where the script lies if it is a coinbase's.
fn read_inputs(cursor: &mut Cursor<'_>) -> Result<(usize, Option<Range<usize>>), Unread> {
    let inputs = cursor.list(SMALLEST.0, "inputs")?;
    if inputs == 0 {
        return Err(Unread("it has no input".into()));
    }
    let mut coinbase = None;
    for index in 0..inputs {
        let spent = cursor.array::<36>()?;
        let script = cursor.sized()?.len();
        let end = cursor.at();
        cursor.take(4)?;
        let nothing = spent.iter().take(32).all(|byte| *byte == 0) && spent.iter().skip(32).all(|byte| *byte == 0xff);
        match (nothing, inputs) {
            (true, 1) => coinbase = Some(end - script..end),
            (true, _) => return Err(Unread(format!("input {index} of {inputs} spends nothing"))),
            (false, _) => {}
        }
    }
    Ok((inputs, coinbase))
}

/// The sum of the outputs, satoshi, and the commitment to witnesses, where it is a coinbase.
fn read_outputs(cursor: &mut Cursor<'_>, coinbase: bool) -> Result<(u64, Option<[u8; 32]>), Unread> {
    let outputs = cursor.list(SMALLEST.1, "outputs")?;
    if outputs == 0 {
        return Err(Unread("it has no output".into()));
    }
    let (mut sum, mut commitment) = (0_u64, None);
    for index in 0..outputs {
        let value = cursor.u64()?;
        sum = sum.saturating_add(value);
        if value > limits::MOST_SATOSHI || sum > limits::MOST_SATOSHI {
            return Err(Unread(format!("its outputs up to {index} are worth more than all coins that there can be")));
        }
        let script = cursor.sized()?;
        if coinbase && let Some(rest) = script.strip_prefix(&COMMITMENT) {
            commitment = rest.first_chunk::<32>().copied().or(commitment);
        }
    }
    Ok((sum, commitment))
}

/// The first input's witness, where that is one item of 32 bytes.
fn read_witnesses(cursor: &mut Cursor<'_>, inputs: usize) -> Result<Option<[u8; 32]>, Unread> {
    let (mut any, mut reserved) = (false, None);
    for index in 0..inputs {
        let items = cursor.list(1, "items of a witness")?;
        any |= items > 0;
        for _ in 0..items {
            let item = cursor.sized()?;
            if index == 0 && items == 1 {
                reserved = item.try_into().ok();
            }
        }
    }
    if any { Ok(reserved) } else { Err(Unread("it is marked as one with witnesses and has none".into())) }
}

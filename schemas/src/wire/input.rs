//! Reading and writing of Avro's primitives (Avro 1.12 specification, "Binary encoding"). Nothing here panics, and nothing
//! allocates more than the input's own length justifies.

/// What is wrong with a field's bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The bytes end inside the value.
    #[error("the bytes end inside it")]
    Truncated,
    /// A variable-length integer of more than ten bytes.
    #[error("it is not a variable-length integer")]
    Varint,
    /// A number that does not fit its field.
    #[error("{0} is out of range")]
    Range(i64),
    /// A length or count that is negative or cannot fit into the bytes that are left.
    #[error("{0} is no possible length here")]
    Length(i64),
    /// Not a branch of the union.
    #[error("the union has no branch {0}")]
    Branch(i64),
    /// Neither 0 nor 1.
    #[error("{0} is not a boolean")]
    Boolean(u8),
    /// Text that is not UTF-8.
    #[error("it is not UTF-8")]
    Utf8,
    /// Not `0x` and the right number of hex digits.
    #[error("it is not 0x and {digits} hex digits")]
    Hex {
        /// What was wanted: a number, or "an even number of".
        digits: &'static str,
    },
    /// Not a decimal number below 2^256.
    #[error("it is not a decimal number below 2^256")]
    Decimal,
    /// A word or a newtype that did not parse.
    #[error(transparent)]
    Parse(#[from] crate::primitives::ParseError),
    /// Bytes of a sketch that are none.
    #[error(transparent)]
    Sketch(#[from] crate::sketch::NotASketch),
    /// A field that this kind of record must have.
    #[error("it is missing")]
    Missing,
}

/// The rest of a datum.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    #[inline]
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Problem> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(Problem::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, Problem> {
        let (&byte, rest) = self.0.split_first().ok_or(Problem::Truncated)?;
        self.0 = rest;
        Ok(byte)
    }

    /// An `int` or `long`: both are zigzag variable-length integers.
    #[inline]
    pub(crate) fn long(&mut self) -> Result<i64, Problem> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(Problem::Varint)
    }

    /// A length that the bytes left can hold.
    #[inline]
    fn length(&mut self) -> Result<usize, Problem> {
        let length = self.long()?;
        match usize::try_from(length) {
            Ok(n) if n <= self.0.len() => Ok(n),
            Ok(_) => Err(Problem::Truncated),
            Err(_) => Err(Problem::Length(length)),
        }
    }

    /// The content of `bytes`.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Problem> {
        let n = self.length()?;
        self.take(n)
    }

    /// The content of a `string`.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a str, Problem> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Problem::Utf8)
    }

    /// How many items the array's next block says to have, at most `most`: what room is made for before it is read.
    #[inline]
    pub(crate) fn announced(&self, most: usize) -> usize {
        let count = Input(self.0).long().ok().and_then(|count| usize::try_from(count).ok());
        count.map_or(0, |count| count.min(most).min(self.0.len()))
    }

    /// The items of an `array` (or entries of a `map`), block by block. An item takes at least one byte in every schema
    /// that gets here, so a count above the bytes left is refused before anything is reserved.
    pub(crate) fn items(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Problem>) -> Result<(), Problem> {
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.long()?; // the block's size in bytes
                count = count.checked_neg().ok_or(Problem::Length(count))?;
            }
            if count as u64 > self.0.len() as u64 {
                return Err(Problem::Length(count));
            }
            for _ in 0..count {
                item(self)?;
            }
        }
    }
}

/// Writes an `int` or `long`.
#[inline]
pub(crate) fn put_long(value: i64, out: &mut Vec<u8>) {
    let mut n = (value << 1) as u64 ^ (value >> 63) as u64;
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Writes `bytes` or a `string`.
#[inline]
pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// Writes a string of `0x` and two hex digits per byte, straight into the buffer.
#[inline]
pub(crate) fn put_hex(bytes: &[u8], out: &mut Vec<u8>) {
    put_long(2 + 2 * bytes.len() as i64, out);
    let start = out.len() + 2;
    out.extend_from_slice(b"0x");
    out.resize(start + 2 * bytes.len(), 0);
    // The output is exactly twice the input, which is the only thing that it can object to.
    let done = const_hex::encode_to_slice(bytes, &mut out[start..]);
    debug_assert!(done.is_ok());
}

/// Reads a string of `0x` and hex digits into bytes of a known number.
#[inline]
pub(crate) fn get_hex<const N: usize>(input: &mut Input<'_>, digits: &'static str) -> Result<[u8; N], Problem> {
    let text = input.bytes()?.strip_prefix(b"0x").ok_or(Problem::Hex { digits })?;
    let mut bytes = [0; N];
    const_hex::decode_to_slice(text, &mut bytes).map_err(|_| Problem::Hex { digits })?;
    Ok(bytes)
}

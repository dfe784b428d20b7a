//! How single values stand in a record: hashes and addresses as lower-case `0x` hex, amounts as decimal strings, words as
//! strings, everything that counts as `long`.
//!
//! Unsigned 64-bit numbers above 2^63 − 1 (gas limits of some private chains) are carried in two's complement: nothing that a
//! node can say makes a block unwritable.

use alloy_primitives::{Address, Bytes as HexBytes, FixedBytes, U256};

use super::{
    input::{Input, Problem, get_hex, put_bytes, put_hex, put_long},
    plan::{ColumnSpec, Kind, Plan, Step},
    strict::Form,
};
use crate::{
    bitcoin::BitcoinChain,
    primitives::{BitcoinHash, BlockHash, Family, Network, Op, Origin, Status, TimeMs},
    records::{
        AlertEventKind, CauseEvidence, Coverage, DeliveryState, EnrichState, FactSource, FoundBy, NetworkState,
        Outcome, ProviderState, ProxyKind, ScriptKind, Share,
    },
};

/// A value with a form on the wire.
pub(crate) trait Base: Sized {
    const KIND: Kind;
    /// How it is written, where it may be passed on unread.
    const FORM: Form = Form::Other;
    fn put(&self, out: &mut Vec<u8>);
    fn get(input: &mut Input<'_>, step: &Step) -> Result<Self, Problem>;
}

/// The record of an array. Reads its own columns.
pub(crate) trait Item: Sized {
    fn columns() -> Vec<ColumnSpec>;
    fn put(&self, out: &mut Vec<u8>);
    fn get(input: &mut Input<'_>, plan: &Plan) -> Result<Self, Problem>;
}

/// What a column is kept in: the value itself, or an `Option` of it.
pub(crate) trait Slot<B: Base> {
    /// Whether null leaves it as it should be.
    const OPTIONAL: bool;
    fn as_value(&self) -> Option<&B>;
    fn set(&mut self, value: B);
}

impl<B: Base> Slot<B> for B {
    const OPTIONAL: bool = false;
    #[inline]
    fn as_value(&self) -> Option<&B> {
        Some(self)
    }
    #[inline]
    fn set(&mut self, value: B) {
        *self = value;
    }
}

impl<B: Base> Slot<B> for Option<B> {
    const OPTIONAL: bool = true;
    #[inline]
    fn as_value(&self) -> Option<&B> {
        self.as_ref()
    }
    #[inline]
    fn set(&mut self, value: B) {
        *self = Some(value);
    }
}

/// Bytes that stand as such and not as hex are kept in the same type.
impl Slot<bytes::Bytes> for HexBytes {
    const OPTIONAL: bool = false;
    #[inline]
    fn as_value(&self) -> Option<&bytes::Bytes> {
        Some(&self.0)
    }
    #[inline]
    fn set(&mut self, value: bytes::Bytes) {
        self.0 = value;
    }
}

impl Slot<bytes::Bytes> for Option<HexBytes> {
    const OPTIONAL: bool = true;
    #[inline]
    fn as_value(&self) -> Option<&bytes::Bytes> {
        self.as_ref().map(|bytes| &bytes.0)
    }
    #[inline]
    fn set(&mut self, value: bytes::Bytes) {
        *self = Some(HexBytes(value));
    }
}

impl Base for bool {
    const KIND: Kind = Kind::Boolean;
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Problem::Boolean(other)),
        }
    }
}

impl Base for u64 {
    const KIND: Kind = Kind::Long;
    const FORM: Form = Form::Long;
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_long(*self as i64, out);
    }
    #[inline]
    fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
        input.long().map(|n| n as u64)
    }
}

impl Base for u32 {
    const KIND: Kind = Kind::Long;
    const FORM: Form = Form::Short;
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_long(i64::from(*self), out);
    }
    #[inline]
    fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
        let n = input.long()?;
        n.try_into().map_err(|_| Problem::Range(n))
    }
}

macro_rules! small {
    ($($number:ty),*) => {$(
        impl Base for $number {
            const KIND: Kind = Kind::Long;
            fn put(&self, out: &mut Vec<u8>) {
                put_long(i64::from(*self), out);
            }
            fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
                let n = input.long()?;
                n.try_into().map_err(|_| Problem::Range(n))
            }
        }
    )*};
}
small!(u8, u16);

impl Base for Share {
    const KIND: Kind = Kind::Long;
    fn put(&self, out: &mut Vec<u8>) {
        put_long(i64::from(self.ppm()), out);
    }
    fn get(input: &mut Input<'_>, step: &Step) -> Result<Self, Problem> {
        Ok(Self::from_ppm(u32::get(input, step)?)?)
    }
}

impl Base for TimeMs {
    const KIND: Kind = Kind::Long;
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_long(self.0, out);
    }
    #[inline]
    fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
        input.long().map(Self)
    }
}

impl Base for String {
    const KIND: Kind = Kind::Text;
    const FORM: Form = Form::Text;
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(self.as_bytes(), out);
    }
    fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
        input.text().map(str::to_owned)
    }
}

macro_rules! words {
    ($($word:ty),*) => {$(
        impl Base for $word {
            const KIND: Kind = Kind::Text;
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                put_bytes(self.as_str().as_bytes(), out);
            }
            #[inline]
            fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
                Ok(input.text()?.parse()?)
            }
        }
    )*};
}
words!(
    Network,
    BlockHash,
    Op,
    Origin,
    Family,
    Status,
    Outcome,
    ProviderState,
    FactSource,
    ProxyKind,
    FoundBy,
    CauseEvidence,
    AlertEventKind,
    DeliveryState,
    BitcoinChain,
    Coverage,
    ScriptKind
);

macro_rules! states {
    ($($state:ty),*) => {$(
        impl Base for $state {
            const KIND: Kind = Kind::Text;
            fn put(&self, out: &mut Vec<u8>) {
                put_bytes(self.as_str().as_bytes(), out);
            }
            fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
                Ok(Self::parse(input.text()?)?)
            }
        }
    )*};
}
states!(NetworkState, EnrichState);

impl<const N: usize> Base for FixedBytes<N> {
    const KIND: Kind = Kind::Text;
    const FORM: Form = Form::Hex(2 * N);
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_hex(self.as_slice(), out);
    }
    #[inline]
    fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
        fixed_bytes(input)
    }
}

#[inline]
fn fixed_bytes<const N: usize>(input: &mut Input<'_>) -> Result<FixedBytes<N>, Problem> {
    let digits = match N {
        32 => "64",
        8 => "16",
        4 => "8",
        _ => "the right number of",
    };
    get_hex(input, digits).map(FixedBytes)
}

impl Base for Address {
    const KIND: Kind = Kind::Text;
    const FORM: Form = Form::Hex(40);
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_hex(self.as_slice(), out);
    }
    #[inline]
    fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
        get_hex(input, "40").map(|bytes: [u8; 20]| Self::from(bytes))
    }
}

impl Base for HexBytes {
    const KIND: Kind = Kind::Text;
    const FORM: Form = Form::Data;
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_hex(self, out);
    }
    #[inline]
    fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
        let wrong = Problem::Hex { digits: "an even number of" };
        let Some(text) = input.bytes()?.strip_prefix(b"0x") else { return Err(wrong) };
        if text.is_empty() {
            return Ok(Self::new());
        }
        // `decode` would take a second prefix.
        if text.starts_with(b"0x") {
            return Err(wrong);
        }
        const_hex::decode(text).map(Self::from).map_err(|_| wrong)
    }
}

impl Base for bytes::Bytes {
    const KIND: Kind = Kind::Binary;
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(self, out);
    }
    fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
        input.bytes().map(Self::copy_from_slice)
    }
}

/// As explorers print it.
impl Base for BitcoinHash {
    const KIND: Kind = Kind::Text;
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(const_hex::Buffer::<32, false>::new().format(&self.0).as_bytes(), out);
    }
    #[inline]
    fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
        Ok(input.text()?.parse()?)
    }
}

/// Decimal digits that always fit 64 bits.
const CHUNK_DIGITS: usize = 19;
const CHUNK: u64 = 10u64.pow(CHUNK_DIGITS as u32);
/// Decimal digits of 2^256 − 1.
pub const U256_DIGITS: usize = 78;

impl Base for U256 {
    const KIND: Kind = Kind::Text;
    const FORM: Form = Form::Decimal;
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(decimal_text(self, &mut [0; U256_DIGITS]).as_bytes(), out);
    }
    #[inline]
    fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
        decimal(input.bytes()?)
    }
}

/// A number in decimal, written into a buffer.
#[inline]
pub fn decimal_text<'b>(n: &U256, digits: &'b mut [u8; U256_DIGITS]) -> &'b str {
    let mut start = digits.len();
    let mut push = |mut n: u64, width: usize| {
        let end = start - width;
        while n > 0 || start > end {
            start -= 1;
            digits[start] = b'0' + (n % 10) as u8;
            n /= 10;
        }
    };
    match u128::try_from(*n) {
        Ok(n) if n < u128::from(CHUNK) => push(n as u64, 1),
        Ok(n) if n < u128::from(CHUNK) * u128::from(CHUNK) => {
            push((n % u128::from(CHUNK)) as u64, CHUNK_DIGITS);
            push((n / u128::from(CHUNK)) as u64, 1);
        }
        _ => {
            let mut chunks = n.to_base_le(CHUNK).peekable();
            while let Some(chunk) = chunks.next() {
                push(chunk, if chunks.peek().is_some() { CHUNK_DIGITS } else { 1 });
            }
        }
    }
    // They are digits.
    std::str::from_utf8(&digits[start..]).unwrap_or_default()
}

/// A decimal number below 2^256.
#[inline]
pub(crate) fn decimal(text: &[u8]) -> Result<U256, Problem> {
    if text.is_empty() || text.len() > U256_DIGITS || !text.iter().all(u8::is_ascii_digit) {
        return Err(Problem::Decimal);
    }
    let small = |chunk: &[u8]| chunk.iter().fold(0u64, |n, digit| n * 10 + u64::from(digit - b'0'));
    let (head, rest) = text.split_at(text.len() % CHUNK_DIGITS);
    // Below 2^128, as every amount that is not made up.
    if text.len() <= 2 * CHUNK_DIGITS {
        let wide = |n: u128, chunk: &[u8]| n * u128::from(CHUNK) + u128::from(small(chunk));
        return Ok(U256::from(rest.chunks(CHUNK_DIGITS).fold(u128::from(small(head)), wide)));
    }
    let mut value = U256::from(small(head));
    for chunk in rest.chunks(CHUNK_DIGITS) {
        value = value
            .checked_mul(U256::from(CHUNK))
            .and_then(|v| v.checked_add(U256::from(small(chunk))))
            .ok_or(Problem::Decimal)?;
    }
    Ok(value)
}

impl<const N: usize> Base for Vec<FixedBytes<N>> {
    const KIND: Kind = Kind::Texts;
    const FORM: Form = if N == 32 { Form::Hashes } else { Form::Other };
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_array(self.len(), self.iter(), out, |hash, out| put_hex(hash.as_slice(), out));
    }
    #[inline]
    fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
        let mut hashes = Self::with_capacity(input.announced(ROOM));
        input.items(|input| fixed_bytes(input).map(|hash| hashes.push(hash)))?;
        Ok(hashes)
    }
}

impl Base for Vec<String> {
    const KIND: Kind = Kind::Texts;
    fn put(&self, out: &mut Vec<u8>) {
        put_array(self.len(), self.iter(), out, |text, out| put_bytes(text.as_bytes(), out));
    }
    fn get(input: &mut Input<'_>, step: &Step) -> Result<Self, Problem> {
        let mut texts = Self::with_capacity(input.announced(ROOM));
        input.items(|input| String::get(input, step).map(|text| texts.push(text)))?;
        Ok(texts)
    }
}

impl Base for Vec<HexBytes> {
    const KIND: Kind = Kind::Binaries;
    fn put(&self, out: &mut Vec<u8>) {
        put_array(self.len(), self.iter(), out, |item, out| put_bytes(item, out));
    }
    fn get(input: &mut Input<'_>, _: &Step) -> Result<Self, Problem> {
        let mut items = Self::with_capacity(input.announced(ROOM));
        input.items(|input| input.bytes().map(|item| items.push(HexBytes::copy_from_slice(item))))?;
        Ok(items)
    }
}

/// A record inside a record.
impl<T: Item> Base for Box<T> {
    const KIND: Kind = Kind::Record(T::columns);
    fn put(&self, out: &mut Vec<u8>) {
        T::put(self, out);
    }
    fn get(input: &mut Input<'_>, step: &Step) -> Result<Self, Problem> {
        T::get(input, &step.items).map(Self::new)
    }
}

impl<T: Item> Base for Vec<T> {
    const KIND: Kind = Kind::Records(T::columns);
    fn put(&self, out: &mut Vec<u8>) {
        put_array(self.len(), self.iter(), out, T::put);
    }
    fn get(input: &mut Input<'_>, step: &Step) -> Result<Self, Problem> {
        let mut items = Self::with_capacity(input.announced(ROOM));
        input.items(|input| T::get(input, &step.items).map(|item| items.push(item)))?;
        Ok(items)
    }
}

/// Items of an array for which room is made before they are read: a count that is made up gets no more.
pub(crate) const ROOM: usize = 32;

/// Writes an array as one block.
#[inline]
pub(crate) fn put_array<T>(
    count: usize,
    items: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    mut put: impl FnMut(T, &mut Vec<u8>),
) {
    if count > 0 {
        put_long(count as i64, out);
        items.for_each(|item| put(item, out));
    }
    out.push(0);
}

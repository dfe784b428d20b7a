//! Values where they lie, in the one form in which `put` writes them.
//!
//! Guarantee: bytes that are taken here are the bytes that reading the value and writing it again would give. Every other form of
//! a value (a longer integer, upper-case digits, an array in several blocks) and whatever is broken is `None`: such a record
//! has to be read whole, which says what it means or what is wrong with it (`enrich/src/shortcut/tests.rs`).

use alloy_primitives::U256;

use super::{input::Input, values::U256_DIGITS};

/// Bytes of a hash as an item of an array: the length in two bytes, `0x`, 64 digits.
pub(crate) const HASH_ITEM: usize = 2 + 2 + 64;
/// 2^256 − 1, decimal.
const MOST: &[u8; U256_DIGITS] = b"115792089237316195423570985008687907853269984665640564039457584007913129639935";

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A number of 32 bits.
    Short,
    /// A number of 64 bits.
    Long,
    /// `0x` and so many digits.
    Hex(usize),
    /// `0x` and digits, two by two.
    Data,
    /// A decimal number below 2^256.
    Decimal,
    /// Text.
    Text,
    /// An array of hashes.
    Hashes,
    /// Not looked at here.
    Other,
}

/// A value that was taken.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen<'a> {
    /// A number.
    Number(i64),
    /// Hex digits, without `0x`.
    Hex(&'a [u8]),
    /// Decimal digits.
    Decimal(&'a [u8]),
    /// Text.
    Text,
    /// Items of [`HASH_ITEM`] bytes.
    Hashes(&'a [u8]),
}

impl Form {
    /// Takes a value of this form.
    #[inline]
    pub(crate) fn take<'a>(self, input: &mut Input<'a>) -> Option<Seen<'a>> {
        Some(match self {
            Self::Short => Seen::Number(number(input).filter(|n| u32::try_from(*n).is_ok())?),
            Self::Long => Seen::Number(number(input)?),
            Self::Hex(digits) => Seen::Hex(hex(input).filter(|text| text.len() == digits)?),
            Self::Data => Seen::Hex(hex(input).filter(|text| text.len() % 2 == 0)?),
            Self::Decimal => Seen::Decimal(decimal(input)?),
            Self::Text => {
                std::str::from_utf8(text(input)?).ok()?;
                Seen::Text
            }
            Self::Hashes => Seen::Hashes(hashes(input)?),
            Self::Other => return None,
        })
    }

    /// Takes one that may be null, which is `Some(None)`.
    #[inline]
    pub(crate) fn take_nullable<'a>(self, input: &mut Input<'a>) -> Option<Option<Seen<'a>>> {
        match input.byte().ok()? {
            0 => Some(None),
            2 => self.take(input).map(Some),
            _ => None,
        }
    }
}

/// An integer in as few bytes as it takes.
#[inline]
pub(crate) fn number(input: &mut Input<'_>) -> Option<i64> {
    let before = input.0;
    let n = input.long().ok()?;
    let length = before.len() - input.0.len();
    (length == 1 || before[length - 1] != 0).then_some(n)
}

/// The number of items of an array that has one block, which is left behind its count; 0 is all of an array.
#[inline]
pub(crate) fn count(input: &mut Input<'_>) -> Option<usize> {
    number(input).and_then(|n| usize::try_from(n).ok())
}

#[inline]
fn text<'a>(input: &mut Input<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(number(input)?).ok()?;
    input.take(length).ok()
}

#[inline]
fn hex<'a>(input: &mut Input<'a>) -> Option<&'a [u8]> {
    text(input)?.strip_prefix(b"0x").filter(|digits| is_lower_hex(digits))
}

/// Without a branch per digit, so that it is computed many at a time.
#[inline]
fn is_lower_hex(digits: &[u8]) -> bool {
    let is = |b: u8| (b.wrapping_sub(b'0') < 10) | (b.wrapping_sub(b'a') < 6);
    digits.iter().fold(true, |all, b| all & is(*b))
}

#[inline]
fn decimal<'a>(input: &mut Input<'a>) -> Option<&'a [u8]> {
    let digits = text(input)?;
    let fits = match digits.len() {
        0 => false,
        1 => true,
        U256_DIGITS => digits[0] != b'0' && digits <= &MOST[..],
        n => digits[0] != b'0' && n < U256_DIGITS,
    };
    (fits && digits.iter().all(u8::is_ascii_digit)).then_some(digits)
}

#[inline]
fn hashes<'a>(input: &mut Input<'a>) -> Option<&'a [u8]> {
    let count = count(input)?;
    let items = input.take(count.checked_mul(HASH_ITEM)?).ok()?;
    let mut rest = Input(items);
    for _ in 0..count {
        hex(&mut rest).filter(|digits| digits.len() == HASH_ITEM - 4)?;
    }
    (rest.0.is_empty() && (count == 0 || input.byte().ok()? == 0)).then_some(items)
}

/// Hex digits that were taken, as bytes.
#[inline]
pub(crate) fn bytes_of<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    const_hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

/// Decimal digits that were taken, as a number.
#[inline]
pub(crate) fn amount_of(digits: &[u8]) -> Option<U256> {
    super::values::decimal(digits).ok()
}

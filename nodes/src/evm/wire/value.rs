//! Scalars as nodes write them: hex quantities, hex data, now and then a plain number, a decimal string or an empty `0x`.
//!
//! Guarantee: a value is taken exactly or refused by an error that shows it; nothing is cut, rounded or wrapped.

use std::{fmt, marker::PhantomData};

use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

/// A value that may stand in a field of a node's answer. `null` and what is left out are `None`.
pub trait Wire: Sized {
    /// Reads one value.
    fn wire<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error>;
}

/// A field's slot: what [`Wire`] reads, as serde wants it.
pub struct Lenient<T>(pub Option<T>);

impl<'de, T: Wire> Deserialize<'de> for Lenient<T> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        T::wire(d).map(Lenient)
    }
}

/// A single value written as text or number.
pub(super) trait Scalar: Sized {
    /// What the type takes, for messages.
    const TAKES: &'static str;
    /// From a JSON string; `Ok(None)` is "nothing there".
    fn text(s: &str) -> Result<Option<Self>, ()>;
    /// From a JSON number.
    fn number(_: u64) -> Result<Option<Self>, ()> {
        Err(())
    }
    /// From a negative JSON number.
    fn negative(_: i64) -> Result<Option<Self>, ()> {
        Err(())
    }
    /// From a JSON boolean.
    fn boolean(_: bool) -> Result<Option<Self>, ()> {
        Err(())
    }
}

struct ScalarVisitor<T>(PhantomData<T>);

fn refuse<E: Error, T: Scalar>(value: impl fmt::Display) -> E {
    let text = value.to_string();
    let cut: String = text.chars().take(80).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    E::custom(format_args!("`{cut}{dots}` is not {}", T::TAKES))
}

impl<'de, T: Scalar> Visitor<'de> for ScalarVisitor<T> {
    type Value = Option<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::TAKES)
    }
    #[inline]
    fn visit_str<E: Error>(self, s: &str) -> Result<Option<T>, E> {
        T::text(s).map_err(|()| refuse::<E, T>(s))
    }
    fn visit_u64<E: Error>(self, n: u64) -> Result<Option<T>, E> {
        T::number(n).map_err(|()| refuse::<E, T>(n))
    }
    fn visit_i64<E: Error>(self, n: i64) -> Result<Option<T>, E> {
        T::negative(n).map_err(|()| refuse::<E, T>(n))
    }
    fn visit_f64<E: Error>(self, n: f64) -> Result<Option<T>, E> {
        T::text(&n.to_string()).map_err(|()| refuse::<E, T>(n))
    }
    fn visit_bool<E: Error>(self, b: bool) -> Result<Option<T>, E> {
        T::boolean(b).map_err(|()| refuse::<E, T>(b))
    }
    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
}

macro_rules! scalars {
    ($($t:ty),*) => {$(
        impl Wire for $t {
            #[inline]
            fn wire<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error> {
                d.deserialize_any(ScalarVisitor::<$t>(PhantomData))
            }
        }
    )*};
}
scalars!(u64, i64, U256, B64, B256, Address, Bloom, Bytes, bool, Text);

fn hex_digits(s: &str) -> Option<&str> {
    s.strip_prefix("0x").or_else(|| s.strip_prefix("0X"))
}

impl Scalar for u64 {
    const TAKES: &'static str = "a quantity of at most 64 bits";
    #[inline]
    fn text(s: &str) -> Result<Option<Self>, ()> {
        match hex_digits(s) {
            Some("") => Ok(None),
            Some(h) if h.starts_with('+') => Err(()),
            Some(h) => u64::from_str_radix(h, 16).map(Some).map_err(drop),
            None if s.is_empty() => Ok(None),
            None if s.starts_with('+') => Err(()),
            None => s.parse().map(Some).map_err(drop),
        }
    }
    fn number(n: u64) -> Result<Option<Self>, ()> {
        Ok(Some(n))
    }
}

impl Scalar for i64 {
    const TAKES: &'static str = "a whole number";
    fn text(s: &str) -> Result<Option<Self>, ()> {
        s.parse().map(Some).map_err(drop)
    }
    fn number(n: u64) -> Result<Option<Self>, ()> {
        i64::try_from(n).map(Some).map_err(drop)
    }
    fn negative(n: i64) -> Result<Option<Self>, ()> {
        Ok(Some(n))
    }
}

impl Scalar for U256 {
    const TAKES: &'static str = "a quantity of at most 256 bits";
    #[inline]
    fn text(s: &str) -> Result<Option<Self>, ()> {
        match hex_digits(s) {
            Some("") => Ok(None),
            Some(h) if h.len() <= 16 => u64::text(s).map(|n| n.map(U256::from)),
            Some(h) if h.len() <= 32 && !h.starts_with('+') => {
                u128::from_str_radix(h, 16).map(|n| Some(U256::from(n))).map_err(drop)
            }
            Some(h) => {
                let h = h.trim_start_matches('0');
                if h.len() > 64 {
                    return Err(());
                }
                let mut padded = [b'0'; 64];
                padded[64 - h.len()..].copy_from_slice(h.as_bytes());
                let mut bytes = [0u8; 32];
                const_hex::decode_to_slice(padded, &mut bytes).map_err(drop)?;
                Ok(Some(U256::from_be_bytes(bytes)))
            }
            None if s.is_empty() => Ok(None),
            None if s.bytes().all(|b| b.is_ascii_digit()) => U256::from_str_radix(s, 10).map(Some).map_err(drop),
            None => Err(()),
        }
    }
    fn number(n: u64) -> Result<Option<Self>, ()> {
        Ok(Some(U256::from(n)))
    }
}

/// Hex data of exactly `N` bytes; an empty one (`0x`, as Tron writes missing roots) is nothing.
#[inline]
fn fixed<const N: usize>(s: &str) -> Result<Option<[u8; N]>, ()> {
    let h = hex_digits(s).unwrap_or(s);
    if h.is_empty() {
        return Ok(None);
    }
    let mut out = [0u8; N];
    const_hex::decode_to_slice(h, &mut out).map_err(drop)?;
    Ok(Some(out))
}

macro_rules! fixed_scalar {
    ($($t:ty = $n:literal, $takes:literal);* $(;)?) => {$(
        impl Scalar for $t {
            const TAKES: &'static str = $takes;
            #[inline]
            fn text(s: &str) -> Result<Option<Self>, ()> {
                fixed::<$n>(s).map(|b| b.map(Self::from))
            }
        }
    )*};
}
fixed_scalar! {
    B256 = 32, "32 bytes of hex data";
    Address = 20, "20 bytes of hex data";
}

impl Scalar for Bloom {
    const TAKES: &'static str = "hex data";
    /// A bloom filter of another length is none: it only repeats what the logs say, and some proxies cut it.
    #[inline]
    fn text(s: &str) -> Result<Option<Self>, ()> {
        let h = hex_digits(s).unwrap_or(s);
        if h.len() != 512 {
            return if h.bytes().all(|b| b.is_ascii_hexdigit()) { Ok(None) } else { Err(()) };
        }
        fixed::<256>(s).map(|b| b.map(Self::from))
    }
}

impl Scalar for B64 {
    const TAKES: &'static str = "at most 8 bytes of hex data";
    fn text(s: &str) -> Result<Option<Self>, ()> {
        // Some chains write the header's nonce as a quantity.
        u64::text(s).map(|n| n.map(|n| B64::from(n.to_be_bytes())))
    }
}

impl Scalar for Bytes {
    const TAKES: &'static str = "hex data";
    #[inline]
    fn text(s: &str) -> Result<Option<Self>, ()> {
        let h = hex_digits(s).unwrap_or(s);
        if h.is_empty() {
            return Ok(Some(Bytes::new()));
        }
        const_hex::decode(h).map(|v| Some(Bytes::from(v))).map_err(drop)
    }
}

impl Scalar for bool {
    const TAKES: &'static str = "true or false";
    fn text(s: &str) -> Result<Option<Self>, ()> {
        match s {
            "true" | "0x1" => Ok(Some(true)),
            "false" | "0x0" => Ok(Some(false)),
            _ => Err(()),
        }
    }
    fn boolean(b: bool) -> Result<Option<Self>, ()> {
        Ok(Some(b))
    }
}

/// Text that is kept as the node wrote it, such as OP-stack's decimal `l1FeeScalar`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub String);

impl Scalar for Text {
    const TAKES: &'static str = "text or a number";
    fn text(s: &str) -> Result<Option<Self>, ()> {
        Ok((!s.is_empty()).then(|| Text(s.to_owned())))
    }
    fn number(n: u64) -> Result<Option<Self>, ()> {
        Ok(Some(Text(n.to_string())))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Wire> Visitor<'de> for ListVisitor<T> {
    type Value = Option<Vec<T>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        // Transactions and receipts come by the hundred: few of them, and they are moved each time that the list grows.
        let mut list = Vec::with_capacity(if size_of::<T>() >= 512 { 64 } else { 0 });
        loop {
            match seq.next_element::<Lenient<T>>() {
                Ok(Some(Lenient(Some(item)))) => list.push(item),
                Ok(Some(Lenient(None))) => {
                    return Err(A::Error::custom(format_args!("element {} is empty", list.len())));
                }
                Ok(None) => return Ok(Some(list)),
                Err(e) => return Err(A::Error::custom(format_args!("element {}: {e}", list.len()))),
            }
        }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn wire<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error> {
        d.deserialize_any(ListVisitor::<T>(PhantomData))
    }
}

/// The length of a list whose elements are not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub usize);

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Option<Count>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut n = 0;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            n += 1;
        }
        Ok(Some(Count(n)))
    }
}

impl Wire for Count {
    fn wire<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error> {
        d.deserialize_any(CountVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Wire>(json: &str) -> Result<Option<T>, String> {
        serde_json::from_str::<Lenient<T>>(json).map(|l| l.0).map_err(|e| e.to_string())
    }

    #[test]
    fn quantities_are_taken_exactly_or_refused_with_their_value() {
        assert_eq!(read::<u64>(r#""0x1f""#), Ok(Some(31)));
        assert_eq!(read::<u64>("31"), Ok(Some(31)));
        assert_eq!(read::<u64>(r#""31""#), Ok(Some(31)));
        assert_eq!(read::<u64>("null"), Ok(None));
        assert_eq!(read::<u64>(r#""0x0000000000000000001f""#), Ok(Some(31)));
        let e = read::<u64>(r#""0x10000000000000000""#).unwrap_err();
        assert!(e.contains("`0x10000000000000000` is not a quantity of at most 64 bits"), "{e}");
        for bad in [r#""0x+1""#, r#""-1""#, r#""+1""#, r#""0xzz""#, "1.5", "true", "[]", "-3"] {
            assert!(read::<u64>(bad).is_err(), "{bad}");
            assert!(read::<U256>(bad).is_err(), "{bad}");
        }
        let max = format!(r#""0x{}""#, "f".repeat(64));
        assert_eq!(read::<U256>(&max), Ok(Some(U256::MAX)));
        assert_eq!(read::<U256>(r#""0x0""#), Ok(Some(U256::ZERO)));
        assert_eq!(
            read::<U256>(r#""0xde0b6b3a7640000123456789""#),
            Ok(Some(U256::from(0xde0b6b3a7640000123456789u128)))
        );
        assert!(read::<U256>(&format!(r#""0x1{}""#, "0".repeat(64))).is_err());
    }

    #[test]
    fn data_has_its_length() {
        assert_eq!(read::<B256>(r#""0x""#), Ok(None));
        assert!(read::<B256>(r#""0x12""#).is_err());
        assert_eq!(read::<Address>(&format!(r#""0x{}""#, "11".repeat(20))), Ok(Some(Address::repeat_byte(0x11))));
        assert_eq!(read::<Bytes>(r#""0x""#), Ok(Some(Bytes::new())));
        assert!(read::<Bytes>(r#""0x123""#).is_err());
        assert_eq!(read::<Text>(r#""0.684""#), Ok(Some(Text("0.684".into()))));
        assert_eq!(read::<Text>("0.684"), Ok(Some(Text("0.684".into()))));
        assert_eq!(read::<Count>("[1,{},[]]"), Ok(Some(Count(3))));
        assert!(read::<Vec<u64>>("[1,null]").unwrap_err().contains("element 1 is empty"));
    }
}

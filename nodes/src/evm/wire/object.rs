//! Objects of a node's answer, field by field.
//!
//! Guarantee: a field that cannot be read is an error that names it, unless nothing rests on it (`or nothing`): then it is left out
//! and counted, so that one misspelled `size` loses no block.

use std::{fmt, marker::PhantomData};

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::value::Scalar;
use crate::metrics;

/// The slot of a field on which nothing rests: what cannot be read is nothing, and is said to have been there.
pub struct Loose<T> {
    /// What was read.
    pub value: Option<T>,
    /// Whether something stood there that is no such value.
    pub misspelled: bool,
}

impl<T> Loose<T> {
    fn of(read: Result<Option<T>, ()>) -> Self {
        Self { misspelled: read.is_err(), value: read.unwrap_or_default() }
    }

    /// The value; one that was misspelled is counted under the field's name.
    pub fn or_nothing(self, field: &'static str) -> Option<T> {
        if self.misspelled {
            metrics::odd_field(field, metrics::MISSPELLED);
        }
        self.value
    }
}

impl<'de, T: Scalar> Deserialize<'de> for Loose<T> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(LooseVisitor::<T>(PhantomData))
    }
}

/// Takes every JSON value, so that the reader always goes on behind it.
struct LooseVisitor<T>(PhantomData<T>);

impl<'de, T: Scalar> Visitor<'de> for LooseVisitor<T> {
    type Value = Loose<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    #[inline]
    fn visit_str<E: Error>(self, s: &str) -> Result<Loose<T>, E> {
        Ok(Loose::of(T::text(s)))
    }
    fn visit_u64<E: Error>(self, n: u64) -> Result<Loose<T>, E> {
        Ok(Loose::of(T::number(n)))
    }
    fn visit_i64<E: Error>(self, n: i64) -> Result<Loose<T>, E> {
        Ok(Loose::of(T::negative(n)))
    }
    fn visit_f64<E: Error>(self, n: f64) -> Result<Loose<T>, E> {
        Ok(Loose::of(T::text(&n.to_string())))
    }
    fn visit_bool<E: Error>(self, b: bool) -> Result<Loose<T>, E> {
        Ok(Loose::of(T::boolean(b)))
    }
    fn visit_unit<E: Error>(self) -> Result<Loose<T>, E> {
        Ok(Loose::of(Ok(None)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Loose<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::of(Err(())))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose<T>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::of(Err(())))
    }
}

/// Declares an object of a node's answer: every field optional, unknown fields skipped, errors named by field. A field on
/// which nothing rests is declared `or nothing`: misspelled, it is left out and counted.
macro_rules! wire_object {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$fmeta:meta])* $field:ident: $ty:ty = $key:literal $(| $alias:literal)* $(or $nothing:ident)?),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default)]
        pub struct $name { $($(#[$fmeta])* pub $field: Option<$ty>),* }

        const _: () = {
            use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
            use $crate::evm::wire::value::Wire;

            #[allow(non_camel_case_types)]
            enum Key { $($field,)* Unknown }
            struct KeyVisitor;
            impl<'de> Visitor<'de> for KeyVisitor {
                type Value = Key;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("a field name") }
                #[inline]
                fn visit_str<E: Error>(self, s: &str) -> Result<Key, E> {
                    Ok(match s { $($key $(| $alias)* => Key::$field,)* _ => Key::Unknown })
                }
            }
            impl<'de> Deserialize<'de> for Key {
                #[inline]
                fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> { d.deserialize_identifier(KeyVisitor) }
            }

            struct ObjectVisitor;
            impl<'de> Visitor<'de> for ObjectVisitor {
                type Value = Option<$name>;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("an object") }
                fn visit_unit<E: Error>(self) -> Result<Self::Value, E> { Ok(None) }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                    let mut object = $name::default();
                    while let Some(key) = map.next_key::<Key>()? {
                        match key {
                            $(Key::$field => object.$field = $crate::evm::wire::object::wire_object!(@read map, $name, $ty, $key $(, $nothing)?),)*
                            Key::Unknown => { map.next_value::<IgnoredAny>()?; }
                        }
                    }
                    Ok(Some(object))
                }
            }
            impl Wire for $name {
                fn wire<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error> { d.deserialize_any(ObjectVisitor) }
            }
        };
    };
    (@read $map:ident, $object:ident, $ty:ty, $key:literal) => {
        $map.next_value::<$crate::evm::wire::value::Lenient<$ty>>()
            .map_err(|e| A::Error::custom(format_args!(concat!("field `", $key, "`: {}"), e)))?
            .0
    };
    (@read $map:ident, $object:ident, $ty:ty, $key:literal, nothing) => {
        $map.next_value::<$crate::evm::wire::object::Loose<$ty>>()?.or_nothing(concat!(stringify!($object), ".", $key))
    };
}
pub(crate) use wire_object;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_rests_on_is_left_out_where_it_is_misspelled() {
        let read = |json: &str| serde_json::from_str::<Loose<u64>>(json).map(|l| (l.value, l.misspelled)).unwrap();
        assert_eq!(read(r#""0x1f""#), (Some(31), false));
        assert_eq!(read("null"), (None, false));
        assert_eq!(read(r#""0x""#), (None, false));
        for odd in
            [r#""-0x1""#, "-1", "1.5", "true", r#""zz""#, "[1,[2]]", r#"{"a":{"b":1}}"#, r#""0x10000000000000000""#]
        {
            assert_eq!(read(odd), (None, true), "{odd}");
        }
        assert!(serde_json::from_str::<Loose<u64>>("[1,").is_err(), "broken JSON stays an error");
    }
}

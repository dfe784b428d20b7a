//! Columns of values that need nothing around them.

use alloy_primitives::U256;
use schemas::TimeMs;

use super::put_text;

/// A column, being filled.
pub trait Column {
    /// Its type, as ClickHouse writes it.
    fn kind() -> String;
    /// None yet, with room for so many rows.
    fn with_rows(rows: usize) -> Self;
    /// Its rows.
    fn rows(&self) -> usize;
    /// Gives its bytes to `out`, in order.
    fn parts(self, out: &mut dyn FnMut(Vec<u8>));
}

/// A column that takes one value after the other.
pub trait Values: Column {
    /// What is pushed.
    type Value<'v>;
    /// Adds a row.
    fn push(&mut self, value: Self::Value<'_>);
    /// Adds a row with the type's default.
    fn push_empty(&mut self);
}

/// A column whose bytes have nothing in front, so that it may stand inside of another.
pub trait Plain: Values {}

/// `FixedString(N)`.
pub struct Fixed<const N: usize>(Vec<u8>);

impl<const N: usize> Column for Fixed<N> {
    fn kind() -> String {
        format!("FixedString({N})")
    }
    fn with_rows(rows: usize) -> Self {
        Self(Vec::with_capacity(rows * N))
    }
    fn rows(&self) -> usize {
        self.0.len() / N
    }
    fn parts(self, out: &mut dyn FnMut(Vec<u8>)) {
        out(self.0);
    }
}

impl<const N: usize> Values for Fixed<N> {
    type Value<'v> = [u8; N];
    fn push(&mut self, value: [u8; N]) {
        self.0.extend_from_slice(&value);
    }
    fn push_empty(&mut self) {
        self.push([0; N]);
    }
}

impl<const N: usize> Plain for Fixed<N> {}

/// A number of a fixed width.
pub trait Number: Copy {
    /// Its type, as ClickHouse writes it.
    const KIND: &'static str;
    /// Bytes of one.
    const WIDTH: usize;
    /// Adds its bytes, the least first.
    fn put(self, out: &mut Vec<u8>);
}

macro_rules! numbers {
    ($($t:ty = $kind:literal),*) => {$(
        impl Number for $t {
            const KIND: &'static str = $kind;
            const WIDTH: usize = size_of::<$t>();
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
numbers!(u8 = "UInt8", u16 = "UInt16", u32 = "UInt32", u64 = "UInt64");

impl Number for U256 {
    const KIND: &'static str = "UInt256";
    const WIDTH: usize = 32;
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes::<32>());
    }
}

/// `UInt8` to `UInt256`.
pub struct Numbers<T>(Vec<u8>, std::marker::PhantomData<T>);

impl<T: Number> Column for Numbers<T> {
    fn kind() -> String {
        T::KIND.into()
    }
    fn with_rows(rows: usize) -> Self {
        Self(Vec::with_capacity(rows * T::WIDTH), std::marker::PhantomData)
    }
    fn rows(&self) -> usize {
        self.0.len() / T::WIDTH
    }
    fn parts(self, out: &mut dyn FnMut(Vec<u8>)) {
        out(self.0);
    }
}

impl<T: Number> Values for Numbers<T> {
    type Value<'v> = T;
    fn push(&mut self, value: T) {
        value.put(&mut self.0);
    }
    fn push_empty(&mut self) {
        self.0.resize(self.0.len() + T::WIDTH, 0);
    }
}

impl<T: Number> Plain for Numbers<T> {}

/// `DateTime64(3, 'UTC')`.
pub struct Times(Vec<u8>);

impl Column for Times {
    fn kind() -> String {
        "DateTime64(3, 'UTC')".into()
    }
    fn with_rows(rows: usize) -> Self {
        Self(Vec::with_capacity(rows * 8))
    }
    fn rows(&self) -> usize {
        self.0.len() / 8
    }
    fn parts(self, out: &mut dyn FnMut(Vec<u8>)) {
        out(self.0);
    }
}

impl Values for Times {
    type Value<'v> = TimeMs;
    fn push(&mut self, value: TimeMs) {
        self.0.extend_from_slice(&value.0.to_le_bytes());
    }
    fn push_empty(&mut self) {
        self.push(TimeMs(0));
    }
}

impl Plain for Times {}

/// `String`: bytes of any length.
pub struct Strings {
    bytes: Vec<u8>,
    rows: usize,
}

impl Column for Strings {
    fn kind() -> String {
        "String".into()
    }
    fn with_rows(rows: usize) -> Self {
        // Most columns of text are empty on most rows.
        Self { bytes: Vec::with_capacity(rows), rows: 0 }
    }
    fn rows(&self) -> usize {
        self.rows
    }
    fn parts(self, out: &mut dyn FnMut(Vec<u8>)) {
        out(self.bytes);
    }
}

impl Values for Strings {
    type Value<'v> = &'v [u8];
    fn push(&mut self, value: &[u8]) {
        put_text(&mut self.bytes, value);
        self.rows += 1;
    }
    fn push_empty(&mut self) {
        self.push(&[]);
    }
}

impl Plain for Strings {}

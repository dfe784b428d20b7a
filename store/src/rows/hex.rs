//! Hashes, addresses and bytes as lower-case hex with `0x`.

use alloy_primitives::{Address, Bytes, FixedBytes};
use serde::{Serialize, Serializer};

/// A value of N bytes; encoded on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> From<FixedBytes<N>> for Hex<N> {
    fn from(v: FixedBytes<N>) -> Self {
        Self(v.0)
    }
}

impl From<Address> for Hex<20> {
    fn from(v: Address) -> Self {
        Self(v.into_array())
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(const_hex::Buffer::<N, true>::new().format(&self.0))
    }
}

/// Bytes of any length; empty is `0x`.
#[derive(Debug, Clone, Copy)]
pub struct HexBytes<'a>(pub &'a Bytes);

impl Serialize for HexBytes<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&const_hex::encode_prefixed(self.0))
    }
}

//! How values cross the wire: `UInt256` as `U256`, in RowBinary's little-endian form.

use alloy_primitives::U256;
use clickhouse::types::UInt256;
use serde::{Deserialize, Deserializer};

/// `UInt256`.
pub(crate) mod u256 {
    use super::*;

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<U256, D::Error> {
        Ok(U256::from_le_bytes(UInt256::deserialize(d)?.to_le_bytes()))
    }
}

/// `Nullable(UInt256)`.
pub(crate) mod u256_option {
    use super::*;

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<U256>, D::Error> {
        Ok(Option::<UInt256>::deserialize(d)?.map(|v| U256::from_le_bytes(v.to_le_bytes())))
    }
}

//! `contract.facts`: one row per contract.

use alloy_primitives::{Address, FixedBytes};

use super::{Column, Columns, Datum, Malformed, Row, columns, concat, items};
use crate::{
    primitives::{BlockHash, Network, TimeMs},
    records::{ContractFacts, FactSource, FoundBy, Implementation, ProxyKind},
};

columns! { Implementation, Implementation {
    must from_height: u64,
    null selector: FixedBytes<4>,
    null address: Address,
    must found_by: FoundBy,
    null block_hash: BlockHash,
} }

items!(Implementation);

/// [`ContractFacts`] while it is read.
#[derive(Default)]
struct FactsRow {
    network: Option<Network>,
    address: Address,
    revision: u64,
    name: Option<String>,
    name_source: Option<FactSource>,
    abi: Option<String>,
    abi_source: Option<FactSource>,
    source_host: Option<String>,
    proxy: Option<ProxyKind>,
    implementations: Vec<Implementation>,
    found_at: TimeMs,
}
columns! { FactsRow, ContractFacts {
    must network: Network,
    must address: Address,
    must revision: u64,
    null name: String,
    null name_source: FactSource,
    null abi: String,
    null abi_source: FactSource,
    null source_host: String,
    null proxy: ProxyKind,
    must implementations: Vec<Implementation>,
    must found_at: TimeMs,
} }

impl Row for ContractFacts {
    fn columns() -> Vec<Column> {
        concat([FactsRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        FactsRow::put(self, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = FactsRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        Ok(Self {
            network: super::required("network", row.network)?,
            address: row.address,
            revision: row.revision,
            name: row.name,
            name_source: row.name_source,
            abi: row.abi,
            abi_source: row.abi_source,
            source_host: row.source_host,
            proxy: row.proxy,
            implementations: row.implementations,
            found_at: row.found_at,
        })
    }

    fn size_hint(&self) -> usize {
        512 + self.abi.as_ref().map_or(0, String::len) + 160 * self.implementations.len()
    }
}

//! ABIs of a tenant's own contracts, for monitors of their addresses.

use std::collections::HashMap;

use schemas::{Network, abi::Abi, limits::control as limits, records::DefinitionKind};
use serde_json::Value as Json;

use super::draft;
use crate::{contracts::Source, error::Error, open::Control, tenant::Tenant};

/// By network and address, lower case.
#[derive(Debug, Default)]
pub struct OwnAbis(HashMap<(String, String), Abi>);

impl OwnAbis {
    /// That of a contract.
    pub fn of(&self, network: &Network, address: impl std::fmt::Display) -> Option<Abi> {
        self.0.get(&(network.to_string(), address.to_string().to_lowercase())).cloned()
    }
}

impl Control {
    /// ABIs of the tenant's own contracts at the addresses of a monitor that have none in its definition; of the first
    /// [`limits::LOOK_UP_ADDRESSES`] of a network.
    ///
    /// # Errors
    /// The store is away.
    pub async fn own_abis(&self, tenant: &Tenant, monitor: &Json) -> Result<OwnAbis, Error> {
        let mut own = OwnAbis::default();
        let given = |address: &&Json| {
            ["abi", "contract_spec"].iter().any(|key| address.get(key).is_some_and(|abi| !abi.is_null()))
        };
        let all = monitor.get("addresses").and_then(Json::as_array).into_iter().flatten();
        let without = all.filter(|address| !given(address)).filter_map(|address| address.get("address")?.as_str());
        let addresses: Vec<String> = without.take(limits::LOOK_UP_ADDRESSES).map(str::to_lowercase).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        for network in draft::networks(DefinitionKind::Monitor, monitor) {
            let Ok(network) = network.parse::<Network>() else { continue };
            for contract in self.contracts_at(tenant, &network, &addresses).await? {
                if contract.source != Source::Tenant || !contract.has_abi() {
                    continue;
                }
                let whole = match self.contract(tenant, &contract.id).await {
                    Ok(whole) => whole,
                    Err(Error::NotFound) => continue,
                    Err(error) => return Err(error),
                };
                let abi = whole.abi.and_then(|abi| serde_json::from_str::<Json>(abi.get()).ok());
                if let Some(Ok(abi)) = abi.as_ref().map(Abi::of) {
                    own.0.insert((network.to_string(), contract.address), abi);
                }
            }
        }
        Ok(own)
    }
}

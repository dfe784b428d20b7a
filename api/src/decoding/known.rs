//! What is known of contracts when a transaction is read: names and ABIs, the reader's own, the operator's, and facts.

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::Address;
use control::{Contract, Source};
use decode::Abi;
use schemas::Network;
use tokio::time::timeout;

use super::{ADDRESSES, PATIENCE};
use crate::{app::App, door::Asking, error::ApiError};

/// Names and ABIs for one answer.
#[derive(Default)]
pub struct Known {
    contracts: HashMap<Address, One>,
}

/// A contract of the control store.
struct One {
    name: String,
    source: Source,
    abi: Option<Arc<Abi>>,
}

/// An ABI that something may be decoded with.
#[derive(Clone, Copy)]
pub struct Candidate<'k> {
    /// It.
    pub abi: &'k Abi,
    /// Whose it is.
    pub source: &'static str,
    /// The reader's own.
    pub is_own: bool,
}

impl Known {
    /// Looks up what is known of contracts of a network; of more than so many, of the first. What cannot be had in time is not known.
    pub async fn look_up(app: &App, asking: &Asking, network: &Network, _height: u64, addresses: &[Address]) -> Self {
        let mut known = Self::default();
        let asked = known.ask(app, asking, network, &addresses[..addresses.len().min(ADDRESSES)]);
        match timeout(PATIENCE, asked).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a transaction is shown without names of contracts"),
            Err(_) => tracing::debug!("a transaction is shown without all names of contracts: they took too long"),
        }
        known
    }

    async fn ask(
        &mut self,
        app: &App,
        asking: &Asking,
        network: &Network,
        addresses: &[Address],
    ) -> Result<(), ApiError> {
        let Some(tenant) = asking.tenant() else { return Ok(()) };
        let control = app.control()?;
        let texts: Vec<String> = addresses.iter().map(const_hex::encode_prefixed).collect();
        let asked: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = control.contracts_at(tenant, network, &asked).await;
        let found: Vec<Contract> = found.map_err(|error| ApiError::of_control(error, "contract"))?;
        let mut with_abi = Vec::new();
        for contract in found {
            let Ok(address) = contract.address.parse() else { continue };
            let one = One { name: contract.name.clone(), source: contract.source, abi: None };
            self.contracts.insert(address, one);
            with_abi.extend(contract.has_abi().then_some((address, contract)));
        }
        for (address, contract) in with_abi {
            let abi = app.abis.of(&control, tenant, &contract).await?;
            if let Some(one) = self.contracts.get_mut(&address) {
                one.abi = abi;
            }
        }
        Ok(())
    }

    /// What a contract is called.
    pub fn name_of(&self, address: &str) -> Option<String> {
        let address: Address = address.parse().ok()?;
        self.contracts.get(&address).map(|one| one.name.clone())
    }

    /// ABIs for a call to a contract with this selector, or for a log of it; the best first.
    pub fn abis(&self, address: Address, _selector: Option<[u8; 4]>) -> Vec<Candidate<'_>> {
        let own = self.contracts.get(&address).and_then(|one| Some((one, one.abi.as_deref()?)));
        let candidate =
            |(one, abi): (&One, _)| Candidate { abi, source: one.source.word(), is_own: one.source == Source::Tenant };
        own.into_iter().map(|(one, abi)| candidate((one, abi))).collect()
    }
}

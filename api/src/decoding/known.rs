//! What is known of contracts when a transaction is read: names and ABIs, the reader's own, the operator's, and facts.
//!
//! Guarantee: what stands behind a proxy is what stood there at the transaction's height; of one thing the reader's own word comes first,
//! then the operator's, then what others say.

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::{Address, Selector};
use control::{Contract, Source};
use decode::{Abi, facts::OfNetwork};
use schemas::{Network, limits::facts as limits};
use tokio::time::timeout;

use super::{ADDRESSES, PATIENCE};
use crate::{app::App, door::Asking, error::ApiError};

/// Names and ABIs for one answer.
#[derive(Default)]
pub struct Known {
    /// Of the control store.
    contracts: HashMap<Address, One>,
    facts: Option<Arc<OfNetwork>>,
    height: u64,
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
    /// Looks up what is known of contracts of a network at a height; of more than so many, of the first. What cannot be had in time is not
    /// known.
    pub async fn look_up(app: &App, asking: &Asking, network: &Network, height: u64, addresses: &[Address]) -> Self {
        let mut known = Self { contracts: HashMap::new(), facts: app.facts.of(network), height };
        let mut wanted: Vec<Address> = addresses.iter().take(ADDRESSES).copied().collect();
        // A tenant may have named what stands behind a proxy.
        for address in addresses.iter().take(ADDRESSES) {
            for behind in known.behind(*address, None) {
                if wanted.len() < ADDRESSES && !wanted.contains(&behind) {
                    wanted.push(behind);
                }
            }
        }
        match timeout(PATIENCE, known.ask(app, asking, network, &wanted)).await {
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
        if let Some(one) = self.contracts.get(&address) {
            return Some(one.name.clone());
        }
        self.facts.as_ref()?.name(&address).map(|(name, _)| name.to_owned())
    }

    /// ABIs for a call to a contract with this selector, or for a log of it; the best first.
    pub fn abis(&self, address: Address, selector: Option<Selector>) -> Vec<Candidate<'_>> {
        let mut contracts = vec![address];
        contracts.extend(self.behind(address, selector));
        let of_store = |wanted: Source| {
            let ones = contracts.iter().filter_map(|address| self.contracts.get(address));
            ones.filter(move |one| one.source == wanted).filter_map(move |one| {
                let is_own = wanted == Source::Tenant;
                Some(Candidate { abi: one.abi.as_deref()?, source: wanted.word(), is_own })
            })
        };
        let facts = self.facts.as_deref();
        let of_facts = contracts.iter().filter_map(|address| {
            let (abi, source) = facts?.get(address)?.abi.as_ref()?;
            Some(Candidate { abi, source: source.as_str(), is_own: false })
        });
        of_store(Source::Tenant).chain(of_store(Source::Operator)).chain(of_facts).take(limits::ABIS).collect()
    }

    /// What calls to a contract are handed on to at the height, nearest first, each once, as far as the stream looks.
    fn behind(&self, address: Address, selector: Option<Selector>) -> Vec<Address> {
        let Some(facts) = self.facts.as_deref() else { return Vec::new() };
        let (mut contracts, mut level) = (vec![address], 0..1);
        for _ in 1..limits::DEPTH {
            for at in level.clone() {
                let Some(known) = contracts.get(at).and_then(|address| facts.get(address)) else { continue };
                for next in known.at(self.height, selector) {
                    if contracts.len() < limits::WALKED && !contracts.contains(&next) {
                        contracts.push(next);
                    }
                }
            }
            if contracts.len() == level.end {
                break;
            }
            level = level.end..contracts.len();
        }
        contracts.split_off(1)
    }
}

//! What contracts are called, of several networks in one answer.
//!
//! Guarantee: as for one transaction ([`super`]): bounded, within [`PATIENCE`](super::PATIENCE), and a control store that is away costs
//! names, never the answer.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use futures::future::join_all;
use schemas::Network;

use super::{ADDRESSES, known::Known};
use crate::{app::App, door::Asking};

/// Names of contracts.
#[derive(Default)]
pub struct Names(BTreeMap<String, Known>);

impl Names {
    /// Of these contracts: networks and addresses.
    pub async fn of(app: &App, asking: &Asking, contracts: impl Iterator<Item = (&str, &str)>) -> Self {
        let mut wanted: BTreeMap<&str, Vec<Address>> = BTreeMap::new();
        for (network, address) in contracts {
            let Ok(address) = address.parse() else { continue };
            let of_network = wanted.entry(network).or_default();
            if of_network.len() < ADDRESSES && !of_network.contains(&address) {
                of_network.push(address);
            }
        }
        let looked_up = wanted.into_iter().filter_map(|(network, addresses)| {
            let parsed: Network = network.parse().ok()?;
            // Names know no height.
            let known = async move { Known::look_up(app, asking, &parsed, u64::MAX, &addresses).await };
            Some(async move { (network.to_owned(), known.await) })
        });
        Self(join_all(looked_up).await.into_iter().collect())
    }

    /// What a contract is called.
    pub fn of_contract(&self, network: &str, address: &str) -> Option<String> {
        self.0.get(network)?.name_of(address)
    }
}

//! What whoever opened a connection reaches: networks of its key, and windows of contracts that it has.

use control::Networks;
use schemas::Network;

use super::Connection;
use crate::{
    app::App,
    door::Asking,
    error::ApiError,
    windows,
    ws::{filter::Filter, protocol::Topics},
};

impl Connection {
    /// The network of a subscription, for a key that is narrowed to some: another one is not there, and all are its own one.
    pub(super) fn reached(&self, network: Option<Network>) -> Result<Option<Network>, ApiError> {
        match (&self.reach, network) {
            (Networks::All, network) => Ok(network),
            (reach, Some(network)) if reach.contains(network.as_str()) => Ok(Some(network)),
            (_, Some(network)) => Err(ApiError::NetworkNotFound { network: network.to_string() }),
            (Networks::Only(list), None) => match &list[..] {
                [only] => Ok(Some(only.clone())),
                _ => {
                    let reached = self.reach.listed().join(", ");
                    let problem = format!("this key reaches only some networks: add `network`, one of {reached}");
                    Err(ApiError::InvalidOperation { problem })
                }
            },
        }
    }
}

/// Windows of a contract are told to who has the contract.
pub(super) async fn may_watch(
    (app, asking): (&App, &Asking),
    topics: Topics,
    network: Option<&Network>,
    filter: &Filter,
) -> Result<(), ApiError> {
    let (true, Some(network), Some(contract)) = (topics.windows, network, &filter.contract) else { return Ok(()) };
    match windows::has_contract(app, asking, network, contract.text()).await {
        true => Ok(()),
        false => Err(ApiError::NotHere { what: "contract" }),
    }
}

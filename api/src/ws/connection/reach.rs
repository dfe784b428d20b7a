//! What whoever opened a connection reaches: networks of its key, and windows of contracts that it has.

use control::{Allowed, Networks, Resource};
use schemas::Network;

use super::Connection;
use crate::{
    app::App,
    door::{Asking, permissions::Needs},
    error::ApiError,
    windows,
    ws::{end::End, filter::Filter, protocol::Topics},
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

    /// Where a subscription to alerts begins, for whoever may read them.
    pub(super) fn alerts_from(&self, topics: Topics, after: Option<&str>) -> Result<Option<u64>, ApiError> {
        if !topics.alerts {
            return Ok(None);
        }
        // Nobody in particular is let in where the control store is away: then it is not known whose they are.
        let Some(who) = &self.asking.who else { return Err(self.app.control().err().unwrap_or(ApiError::Internal)) };
        if !who.allows(Resource::Alerts, Allowed::Read) {
            let needs = Needs::Scope(Resource::Alerts, Allowed::Read).word();
            return Err(ApiError::Forbidden { needs, has: who.scopes().texts().join(" ") });
        }
        self.alerts.place(&self.app.alerts, after)
    }

    /// Ends following the windows of contracts that whoever opened it has not got any more, and says so.
    pub(super) async fn end_lost(&mut self) -> Result<(), End> {
        for (network, contracts) in self.subscriptions.contracts_of_windows() {
            let asked: Vec<&str> = contracts.iter().map(String::as_str).collect();
            for contract in windows::lost(&self.app, &self.asking, &network, &asked).await {
                for id in self.subscriptions.end_windows(&network, &contract) {
                    self.refuse(Some(&id), &ApiError::NotHere { what: "contract" }).await?;
                }
            }
        }
        self.windows.end_without(&self.subscriptions);
        Ok(())
    }
}

/// Windows of a contract are told to who has the contract: from which beginning on, goes into the filter.
pub(super) async fn may_watch(
    (app, asking): (&App, &Asking),
    topics: Topics,
    network: Option<&Network>,
    filter: &mut Filter,
) -> Result<(), ApiError> {
    let (true, Some(network), Some(contract)) = (topics.windows, network, &filter.contract) else { return Ok(()) };
    filter.windows_from = windows::windows_from(app, asking, network, contract.text()).await;
    match filter.windows_from {
        Some(_) => Ok(()),
        None => Err(ApiError::NotHere { what: "contract" }),
    }
}

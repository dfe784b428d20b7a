//! Of which network or contract figures are wanted, and whether who asks has the contract.

use runtime::config::Contract as Operators;
use schemas::Network;
use tokio::time::timeout;

use crate::{app::App, decoding::PATIENCE, door::Asking, error::ApiError, params::Params};

/// Whose figures are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// The network.
    pub network: Network,
    /// A contract of it, in the form that is stored.
    pub contract: Option<String>,
    /// Who asks has the contract: its windows may tell of it.
    pub own: bool,
}

impl Whose {
    /// From `network` and `contract` of a request; `None` where no network is named.
    ///
    /// # Errors
    /// They are none, or the network is not known; a contract without its network.
    pub async fn read(app: &App, asking: &Asking, params: &Params) -> Result<Option<Self>, ApiError> {
        let (network, contract) = (params.network()?, params.address("contract")?);
        let Some(network) = network else {
            return match contract {
                Some(contract) => {
                    Err(ApiError::invalid("contract", &contract, "a contract of one network: add `network`"))
                }
                None => Ok(None),
            };
        };
        app.known_network(&network).await?;
        let own = match &contract {
            Some(contract) => has_contract(app, asking, &network, contract).await,
            None => true,
        };
        Ok(Some(Self { network, contract, own }))
    }

    /// The same where a network has to be named.
    ///
    /// # Errors
    /// As [`Self::read`], and where none is named.
    pub async fn read_one(app: &App, asking: &Asking, params: &Params) -> Result<Self, ApiError> {
        let missing = || ApiError::invalid("network", "", "the network's slug; /api/v1/health lists them");
        Self::read(app, asking, params).await?.ok_or_else(missing)
    }

    /// A name for what is kept of it.
    pub fn name(&self) -> String {
        let Self { network, contract, own } = self;
        format!("{network} {} {own}", contract.as_deref().unwrap_or("-"))
    }
}

/// Whether who asks has a contract: its organisation's, or the operator's, which is everybody's. Where the control store is away it is the
/// operator's only.
pub async fn has_contract(app: &App, asking: &Asking, network: &Network, contract: &str) -> bool {
    let is_this = |c: &Operators| c.network == *network && c.address.eq_ignore_ascii_case(contract);
    if app.config.contracts.borrow().iter().any(is_this) {
        return true;
    }
    let (Some(tenant), Ok(control)) = (asking.tenant(), app.control()) else { return false };
    match timeout(PATIENCE, control.contracts_at(tenant, network, &[contract])).await {
        Ok(Ok(found)) => !found.is_empty(),
        Ok(Err(error)) => {
            tracing::debug!(%error, "whose a contract is could not be looked up; its figures are added up from rows");
            false
        }
        Err(_) => {
            tracing::debug!("whose a contract is took too long to look up; its figures are added up from rows");
            false
        }
    }
}

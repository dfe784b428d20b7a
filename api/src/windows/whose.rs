//! Of which network or contract figures are wanted, and which windows of the contract who asks is told of.
//!
//! Guarantee: what somebody is told follows from his own contract, and when he added it, alone: windows from before, which there are where
//! somebody else watches it, are not told to him, neither here nor live.

use control::{Contract, Source};
use runtime::config::Contract as Operators;
use schemas::{Network, TimeMs, limits::windows::TOLD_MARGIN};
use tokio::time::timeout;

use crate::{app::App, decoding::PATIENCE, door::Asking, error::ApiError, params::Params};

/// Whose figures are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// The network.
    pub network: Network,
    /// A contract of it, in the form that is stored.
    pub contract: Option<String>,
    /// From which beginning on windows of the contract may tell of it; `None`: who asks has not got it.
    pub own: Option<TimeMs>,
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
            Some(contract) => windows_from(app, asking, &network, contract).await,
            None => Some(ALL),
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
        let own = own.map_or_else(|| "-".to_owned(), |from| from.0.to_string());
        format!("{network} {} {own}", contract.as_deref().unwrap_or("-"))
    }
}

/// From the first one on: windows of networks, and of the operator's contracts.
pub const ALL: TimeMs = TimeMs(i64::MIN);

fn is_operators(app: &App, network: &Network, contract: &str) -> bool {
    let is_this = |c: &Operators| c.network == *network && c.address.eq_ignore_ascii_case(contract);
    app.config.contracts.borrow().iter().any(is_this)
}

/// From which beginning on who asks is told of a contract's windows: all of the operator's, which are everybody's, and of its own organisation's
/// those from [`TOLD_MARGIN`] after it was added on; `None`: of none. Where the control store is away it is the operator's only.
pub async fn windows_from(app: &App, asking: &Asking, network: &Network, contract: &str) -> Option<TimeMs> {
    if is_operators(app, network, contract) {
        return Some(ALL);
    }
    match had(app, asking, network, &[contract]).await {
        Ok(found) => found.first().map(told_from),
        Err(error) => {
            tracing::debug!(error, "whose a contract is could not be looked up; its figures are added up from rows");
            None
        }
    }
}

/// Those of these contracts that who asks has not got any more. While the control store is away: none.
pub async fn lost(app: &App, asking: &Asking, network: &Network, contracts: &[&str]) -> Vec<String> {
    let asked: Vec<&str> = contracts.iter().copied().filter(|contract| !is_operators(app, network, contract)).collect();
    if asked.is_empty() {
        return Vec::new();
    }
    match had(app, asking, network, &asked).await {
        Ok(found) => {
            let gone = asked.into_iter().filter(|asked| found.iter().all(|contract| contract.address != *asked));
            gone.map(str::to_owned).collect()
        }
        Err(error) => {
            tracing::debug!(error, "whether contracts are still there could not be looked up; their windows go on");
            Vec::new()
        }
    }
}

fn told_from(contract: &Contract) -> TimeMs {
    match contract.source {
        Source::Operator => ALL,
        Source::Tenant => TimeMs(
            contract.created_at.0.saturating_add_unsigned(TOLD_MARGIN.as_millis().try_into().unwrap_or(u64::MAX)),
        ),
    }
}

/// Those of these contracts that who asks has.
async fn had(app: &App, asking: &Asking, network: &Network, contracts: &[&str]) -> Result<Vec<Contract>, String> {
    let Some(tenant) = asking.tenant() else { return Ok(Vec::new()) };
    let Ok(control) = app.control() else { return Err("the control store is away".to_owned()) };
    match timeout(PATIENCE, control.contracts_at(tenant, network, contracts)).await {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(_) => Err("it took too long".to_owned()),
    }
}

//! `GET /failures`: what failed of late, in groups.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};
use control::Networks;
use schemas::{Network, TimeMs, limits::finding};
use store::query::FailuresFilter;
use utoipa::IntoParams;

use super::answer::{Live, Refused};
use crate::{
    app::App,
    decoding::Names,
    door::Asking,
    error::ApiError,
    filters,
    items::{FailureGroupItem, Failures},
    methods,
    params::{self, Params},
};

const KNOWN: &[&str] = &["network", "contract", "cause", "method", "window", "limit"];

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// Only this network.
    network: Option<String>,
    /// Only transactions that called this contract.
    contract: Option<String>,
    /// Only those that failed for this cause: its class, such as `slippage`.
    cause: Option<String>,
    /// Only those that called this function: its selector, its signature, or a name that is known.
    method: Option<String>,
    /// How far back from now: `1h`, `24h` (default) or `7d`.
    window: Option<String>,
    /// Groups at most: 1 to 200, 50 by default.
    limit: Option<u32>,
}

/// What failed within a time, grouped by cause, function and contract, the largest groups first.
///
/// `share` is of all transactions that failed within the time and to which the filters apply; groups beyond `limit` are counted in `failed`.
#[utoipa::path(
    get,
    path = "/failures",
    tag = "chains",
    params(Query),
    responses(
        (status = 200, body = Failures),
        (status = 404, description = "No such network", body = crate::error::Problem, content_type = "application/problem+json"),
        Refused
    )
)]
pub async fn failures(
    State(app): State<Arc<App>>,
    asking: Asking,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), KNOWN)?;
    let network = params.network()?;
    let contract = params.address("contract")?;
    let causes = params.parsed("cause", filters::CAUSE, params::cause)?;
    let window = params.parsed("window", "1h, 24h or 7d", Window::read)?.unwrap_or(Window::Day);
    let limit = params.limited(finding::FAILURE_GROUPS)?;
    let methods = match params.text("method")? {
        Some(text) => methods::named(&app, &asking, "method", text).await?.iter().map(ToString::to_string).collect(),
        None => Vec::new(),
    };
    if let Some(network) = &network {
        app.known_network(network).await?;
    }
    let to = TimeMs::now();
    let filter = FailuresFilter {
        networks: reached(&asking, network),
        contract,
        causes: causes.map(|cause| filters::written(&cause)).unwrap_or_default(),
        methods,
        from: TimeMs(to.0 - window.length().as_millis() as i64),
        to,
        limit,
    };
    let found = app.store.failures(&filter).await.map_err(|e| ApiError::from_store(&e))?;
    let mut items: Vec<FailureGroupItem> =
        found.groups.iter().map(|group| FailureGroupItem::from_row(group, found.failed)).collect();
    let contracts = items.iter().filter_map(|item| Some((&*item.network, item.contract.as_deref()?)));
    let names = Names::of(&app, &asking, contracts).await;
    for item in &mut items {
        let contract = item.contract.as_deref();
        item.contract_name = contract.and_then(|contract| names.of_contract(&item.network, contract));
    }
    let (total, failed) = (found.total, found.failed);
    let (from, to) = (found.from.rfc3339(), filter.to.rfc3339());
    Ok(Live(Json(Failures { items, total, failed, window: window.word().to_owned(), from, to })))
}

/// The networks that are asked about: the one that is named, else those that the caller reaches; empty: all.
fn reached(asking: &Asking, network: Option<Network>) -> Vec<Network> {
    match (network, asking.tenant().map(|tenant| tenant.reach())) {
        (Some(network), _) => vec![network],
        (None, Some(Networks::Only(networks))) => networks.clone(),
        (None, Some(Networks::All) | None) => Vec::new(),
    }
}

/// How far back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Hour,
    Day,
    Week,
}

impl Window {
    const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    const fn word(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.word() == word)
    }

    const fn length(self) -> Duration {
        const HOUR: u64 = 3_600;
        Duration::from_secs(match self {
            Self::Hour => HOUR,
            Self::Day => 24 * HOUR,
            Self::Week => 7 * 24 * HOUR,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_one_of_three() {
        for window in Window::ALL {
            assert_eq!(Window::read(window.word()), Some(window));
        }
        assert_eq!(Window::Week.length().as_secs(), 604_800);
        assert!(["", "2h", "1H", "24"].iter().all(|word| Window::read(word).is_none()));
    }
}

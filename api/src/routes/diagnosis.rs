//! `GET /diagnosis`: is it the contract, the chain or the provider?

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use schemas::{TimeMs, limits::metrics as limits};
use utoipa::IntoParams;

use super::answer::{Refused, figures};
use crate::{
    app::App,
    decoding::Names,
    diagnosis,
    door::Asking,
    error::ApiError,
    items::Diagnosis,
    params::Params,
    windows::{Kept, Whose},
};

const KNOWN: &[&str] = &["network", "contract", "at"];

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// The network.
    network: String,
    /// The contract that it is about. Without it, and on Bitcoin, which has none: the network as a whole.
    contract: Option<String>,
    /// The time that it is about (RFC 3339); now by default. The last minutes before it are compared with the day before them.
    #[param(format = DateTime)]
    at: Option<String>,
}

/// What likely is the matter: the contract, the chain, or the provider.
///
/// The last minutes beside what was usual in the day before them: failures at the contract and in the rest of the network, how full blocks
/// were, the base fee, how fast blocks came, and how the endpoints were. On Bitcoin it is the last hour: how full blocks were by weight, the
/// fee rate, how fast they came, and the sources. `missing` names each comparison that was not possible.
#[utoipa::path(
    get,
    path = "/diagnosis",
    tag = "figures",
    params(Query),
    responses(
        (status = 200, body = Diagnosis),
        (status = 404, description = "No such network", body = crate::error::Problem, content_type = "application/problem+json"),
        Refused
    )
)]
pub async fn diagnosis(
    State(app): State<Arc<App>>,
    asking: Asking,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let params = Params::parse(query.as_deref(), KNOWN)?;
    let now = TimeMs::now();
    let at = params.time("at")?;
    if let Some(at) = at.filter(|at| *at > now) {
        return Err(ApiError::invalid("at", &at.rfc3339(), "a time that is not to come"));
    }
    let whose = Whose::read_one(&app, &asking, &params).await?;
    // What a contract is called depends on who asks.
    let address = whose.contract.as_deref().unwrap_or_default();
    let names = Names::of(&app, &asking, std::iter::once((whose.network.as_str(), address))).await;
    let called = names.of_contract(whose.network.as_str(), address);
    let name = format!("diagnosis {} {} {called:?}", whose.name(), params.text("at")?.unwrap_or("-"));
    let ask = async || {
        let (found, sequence) = diagnosis::of(&app, &whose, called.as_deref(), at).await?;
        Ok(Kept::json(&found, sequence)?.at_most(limits::DIAGNOSIS_KEPT))
    };
    let kept = app.answers.of(&app.rings, &whose.network, name, ask).await?;
    Ok(figures(&headers, "application/json", &kept.body, Some(kept.sequence)))
}

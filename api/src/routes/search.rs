//! `GET /search`: hashes, heights, addresses and names, in all networks that the caller reaches.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};
use schemas::limits::finding;
use utoipa::IntoParams;

use super::answer::{Live, Refused};
use crate::{app::App, door::Asking, error::ApiError, items::FoundItems, params::Params, search};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// A transaction's or block's hash (the address of an explorer's page that has it in it will do), a height, an address, or a part of
    /// a contract's or network's name.
    q: String,
    /// Only in this network. Without it: in all that the caller reaches.
    network: Option<String>,
}

/// What a text finds: transactions and blocks by hash, blocks by height, addresses, contracts and networks by name.
#[utoipa::path(
    get,
    path = "/search",
    tag = "chains",
    params(Query),
    responses(
        (status = 200, body = FoundItems),
        (status = 404, description = "No such network", body = crate::error::Problem, content_type = "application/problem+json"),
        Refused
    )
)]
pub async fn search(
    State(app): State<Arc<App>>,
    asking: Asking,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), &["q", "network"])?;
    let network = params.network()?;
    let short = |text: &str| Some(text.trim().to_owned()).filter(|t| !t.is_empty() && t.len() <= finding::SEARCH_BYTES);
    let text = params.parsed("q", search::EXPECTED, short)?;
    let text = text.ok_or_else(|| ApiError::invalid("q", "", search::EXPECTED))?;
    Ok(Live(Json(search::find(&app, &asking, &text, network).await?)))
}

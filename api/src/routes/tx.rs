//! `GET /txs/{network}/{hash}`: one canonical transaction with everything that is known of it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::IntoResponse,
};

use super::answer::{Live, Refused};
use crate::{
    app::App,
    decoding,
    door::Asking,
    error::ApiError,
    items::TransactionDetail,
    kept,
    params::{self, Params},
};

/// One canonical transaction with its events and the parts of its fee.
///
/// Where a hash occurs twice on a chain, the newest occurrence is given.
#[utoipa::path(
    get,
    path = "/txs/{network}/{hash}",
    tag = "chains",
    params(
        ("network" = String, Path, description = "The network's slug"),
        ("hash" = String, Path, description = "Hash, as the chain's explorers print it"),
    ),
    responses((status = 200, body = TransactionDetail), (status = 404, description = "No such network or transaction", body = crate::error::Problem, content_type = "application/problem+json"), Refused)
)]
pub async fn tx(
    State(app): State<Arc<App>>,
    Path((network, hash)): Path<(String, String)>,
    asking: Asking,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let network = params::path_network(&network)?;
    let hash = params::path_hash(&hash)?;
    app.known_network(&network).await?;
    let found = app.store.transaction(&network, &hash).await.map_err(|e| ApiError::from_store(&e))?;
    match found.first() {
        Some(row) => Ok(Live(Json(decoding::detail(&app, &asking, &network, row).await))),
        None => {
            let doubt = kept::doubt(&app, &network).await?;
            Err(ApiError::TransactionNotFound { network: network.to_string(), hash, doubt })
        }
    }
}

//! `GET /txs/{network}/{hash}`: one canonical transaction with everything that is known of it; `…/similar`: others that failed alike;
//! `…/endpoints`: its network's endpoints at its block's time.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::IntoResponse,
};
use schemas::{Network, limits::finding};
use utoipa::IntoParams;

use super::answer::{Live, Refused};
use crate::{
    alike,
    app::App,
    decoding,
    door::Asking,
    error::ApiError,
    items::{EndpointsAt, Page, TransactionDetail, TransactionItem},
    kept,
    params::{self, Params},
};

/// One canonical transaction with its events, the parts of its fee, and why it failed.
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
    Path(path): Path<(String, String)>,
    asking: Asking,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let (network, row) = found(&app, path).await?;
    let (mut detail, (similar, endpoints)) =
        tokio::join!(decoding::detail(&app, &asking, &network, &row), alike::beside(&app, &network, &row));
    (detail.similar, detail.endpoints) = (similar, endpoints);
    Ok(Live(Json(detail)))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct SimilarQuery {
    /// Items at most: 1 to 50, 10 by default.
    limit: Option<u32>,
}

/// Others that failed alike: of the same network and contract, with the same selector of the error, or for the same cause where there is
/// none; the nearest in time first. None where the transaction did not fail. There is no next page.
#[utoipa::path(
    get,
    path = "/txs/{network}/{hash}/similar",
    tag = "chains",
    params(
        ("network" = String, Path, description = "The network's slug"),
        ("hash" = String, Path, description = "Hash, as the chain's explorers print it"),
        SimilarQuery,
    ),
    responses((status = 200, body = Page<TransactionItem>), (status = 404, description = "No such network or transaction", body = crate::error::Problem, content_type = "application/problem+json"), Refused)
)]
pub async fn similar(
    State(app): State<Arc<App>>,
    Path(path): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), &["limit"])?;
    let limit = params.limited(finding::SIMILAR)?;
    let (network, row) = found(&app, path).await?;
    let items = alike::similar(&app, &network, &row, limit).await?;
    Ok(Live(Json(Page { items, next: None, note: None })))
}

/// The endpoints of its network as they were at its block's time: by the calls of a minute before and after it.
#[utoipa::path(
    get,
    path = "/txs/{network}/{hash}/endpoints",
    tag = "chains",
    params(
        ("network" = String, Path, description = "The network's slug"),
        ("hash" = String, Path, description = "Hash, as the chain's explorers print it"),
    ),
    responses((status = 200, body = EndpointsAt), (status = 404, description = "No such network or transaction", body = crate::error::Problem, content_type = "application/problem+json"), Refused)
)]
pub async fn endpoints(
    State(app): State<Arc<App>>,
    Path(path): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let (network, row) = found(&app, path).await?;
    let items = alike::endpoints(&app, &network, row.transaction.block_timestamp).await?;
    Ok(Live(Json(EndpointsAt { items })))
}

/// The transaction that a path names.
async fn found(
    app: &App,
    (network, hash): (String, String),
) -> Result<(Network, store::query::TransactionDetail), ApiError> {
    let network = params::path_network(&network)?;
    let hash = params::path_hash(&hash)?;
    app.known_network(&network).await?;
    let found = app.store.transaction(&network, &hash).await.map_err(|e| ApiError::from_store(&e))?;
    match found.into_iter().next() {
        Some(row) => Ok((network, row)),
        None => {
            let doubt = kept::doubt(app, &network).await?;
            Err(ApiError::TransactionNotFound { network: network.to_string(), hash, doubt })
        }
    }
}

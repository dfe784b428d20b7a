//! `GET /txs/{network}/{hash}`: one canonical transaction with everything that is known of it; `…/similar`: others that failed alike;
//! `…/endpoints`: its network's endpoints at its block's time.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::IntoResponse,
};
use schemas::{
    Family, Network, TimeMs,
    limits::{bitcoin::TRANSACTION_PARTS, finding},
};
use store::query::{BitcoinParts, BitcoinTransactionDetail};
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
    soon::soon,
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct TxQuery {
    /// On Bitcoin: position of the first input of the answer, which has 1,000 at most; 0 by default.
    inputs_from: Option<u32>,
    /// On Bitcoin: position of the first output of the answer, which has 1,000 at most; 0 by default.
    outputs_from: Option<u32>,
}

/// One canonical transaction with its events, the parts of its fee, and why it failed; on Bitcoin with its inputs, its outputs and who
/// spends them.
///
/// Where a hash occurs twice on a chain, the newest occurrence is given.
#[utoipa::path(
    get,
    path = "/txs/{network}/{hash}",
    tag = "chains",
    params(
        ("network" = String, Path, description = "The network's slug"),
        ("hash" = String, Path, description = "Hash, as the chain's explorers print it"),
        TxQuery,
    ),
    responses((status = 200, body = TransactionDetail), (status = 404, description = "No such network or transaction", body = crate::error::Problem, content_type = "application/problem+json"), Refused)
)]
pub async fn tx(
    State(app): State<Arc<App>>,
    Path(path): Path<(String, String)>,
    asking: Asking,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), &["inputs_from", "outputs_from"])?;
    let parts = BitcoinParts {
        inputs_from: params.position("inputs_from")?,
        outputs_from: params.position("outputs_from")?,
        limit: TRANSACTION_PARTS,
    };
    let (network, found) = found(&app, path, &parts).await?;
    let row = match found {
        Found::Evm(row) => row,
        Found::Bitcoin(row) => {
            let at = row.transaction.block_timestamp;
            let (full_from, endpoints) =
                tokio::join!(full_from(&app, &network), soon(alike::endpoints(&app, &network, at)));
            let detail = TransactionDetail { endpoints, ..TransactionDetail::from_bitcoin(&row, full_from) };
            return Ok(Live(Json(detail)));
        }
    };
    let (mut detail, (similar, endpoints)) =
        tokio::join!(decoding::detail(&app, &asking, &network, &row), alike::beside(&app, &network, &row));
    (detail.similar, detail.endpoints) = (similar, endpoints);
    Ok(Live(Json(detail)))
}

/// From which height on the chain is held without a gap; `None` where the store does not say in time.
async fn full_from(app: &App, network: &Network) -> Option<u64> {
    soon(app.counts.of(&app.store, network, app.asked.known())).await?.full_from()
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
    let (network, found) = found(&app, path, &BitcoinParts::default()).await?;
    let items = match &found {
        Found::Evm(row) => alike::similar(&app, &network, row, limit).await?,
        // Nothing fails there.
        Found::Bitcoin(_) => Vec::new(),
    };
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
    let (network, found) = found(&app, path, &BitcoinParts::default()).await?;
    let items = alike::endpoints(&app, &network, found.time()).await?;
    Ok(Live(Json(EndpointsAt { items })))
}

/// A transaction with the rows of its family.
enum Found {
    Evm(Box<store::query::TransactionDetail>),
    Bitcoin(Box<BitcoinTransactionDetail>),
}

impl Found {
    /// Its block's own time.
    fn time(&self) -> TimeMs {
        match self {
            Self::Evm(row) => row.transaction.block_timestamp,
            Self::Bitcoin(row) => row.transaction.block_timestamp,
        }
    }
}

/// The transaction that a path names. `parts`: what is wanted of it on Bitcoin.
async fn found(
    app: &App,
    (network, hash): (String, String),
    parts: &BitcoinParts,
) -> Result<(Network, Found), ApiError> {
    let network = params::path_network(&network)?;
    let hash = params::path_hash(&hash)?;
    app.known_network(&network).await?;
    let is_evm = Family::of_hash(&hash) == Family::Evm;
    let found = match is_evm {
        true => {
            let found = app.store.transaction(&network, &hash).await;
            found.map(|rows| rows.into_iter().next().map(|row| Found::Evm(Box::new(row))))
        }
        false => {
            let found = app.store.bitcoin_transaction(&network, &hash, parts).await;
            found.map(|rows| rows.into_iter().next().map(|row| Found::Bitcoin(Box::new(row))))
        }
    };
    match found.map_err(|e| ApiError::from_store(&e))? {
        Some(found) => Ok((network, found)),
        None => {
            let doubt = match kept::doubt(app, &network).await? {
                None if !is_evm => kept::headers(app, &network).await,
                removed => removed,
            };
            Err(ApiError::TransactionNotFound { network: network.to_string(), hash, doubt })
        }
    }
}
